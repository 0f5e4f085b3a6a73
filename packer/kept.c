// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The original build that --keep leaves.  It is used again where it would be made
 * again of the same: the source, the place that it is seen at, the command and the
 * environment.  What else builds depend on, such as what is installed, is not compared:
 * that code is the target's is verified whatever was built.
 */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

#define BUILT	"built"		/* what of, once it is complete */

/* ---- what it is built of ---- */

static void add_text(struct sha256_ctx *digest, const char *text)
{
	sha256_update(digest, strlen(text) + 1, (const uint8_t *)text);
}

static bool add_file(const char *path, const char *relative, const struct stat *stat, void *data)
{
	char *contents;
	size_t size;

	add_text(data, relative);
	if (S_ISLNK(stat->st_mode)) {
		char target[4096] = "";

		if (readlink(path, target, sizeof(target) - 1) < 0) {
			error("%s: %s", path, strerror(errno));
			return false;
		}
		add_text(data, target);
		return true;
	}
	contents = file_read(path, &size);
	if (!contents) {
		error("%s: %s", path, strerror(errno));
		return false;
	}
	add_text(data, xasprintf("%o %zu", stat->st_mode & 07777, size));
	sha256_update(data, size, (const uint8_t *)contents);
	free(contents);
	return true;
}

/* Variables that say where a command was typed, and not what it is to do. */
static bool is_circumstance(const char *var)
{
	static const char *const names[] = { "_=", "PWD=", "OLDPWD=", "SHLVL=", NULL };

	for (const char *const *name = names; *name; name++)
		if (!strncmp(var, *name, strlen(*name)))
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_environment(struct sha256_ctx *digest)
{
	char **vars = NULL;
	size_t nr = 0;

	for (char **var = environ; *var; var++)
		if (!is_circumstance(*var))
			append(vars, nr) = *var;
	if (nr)
		qsort(vars, nr, sizeof(*vars), by_text);
	for (size_t i = 0; i < nr; i++)
		add_text(digest, vars[i]);
	free(vars);
}

static bool digest_inputs(const struct scratch *scratch, char *const *command, uint8_t out[32])
{
	struct sha256_ctx digest;

	sha256_init(&digest);
	add_text(&digest, "ulp-packer " ULP_VERSION);
	add_text(&digest, scratch->place);
	for (; *command; command++)
		add_text(&digest, *command);
	add_text(&digest, "");
	add_environment(&digest);
	add_text(&digest, "");
	if (!tree_walk(scratch->unbuilt, add_file, &digest))
		return false;
	sha256_digest(&digest, 32, out);
	return true;
}

/* ---- using it ---- */

static char *in_dir(const struct scratch *scratch, const char *name)
{
	return xasprintf("%s/%s", scratch->dir, name);
}

bool kept_find(struct scratch *scratch, char *const *command, struct kept *kept)
{
	const char *original = scratch->trees[TREE_ORIGINAL];
	char *built;
	size_t size;

	memset(kept, 0, sizeof(*kept));
	if (scratch->keeps) {
		if (!digest_inputs(scratch, command, kept->inputs))
			return false;
		built = file_read(in_dir(scratch, BUILT), &size);
		kept->found = built && size == sizeof(kept->inputs) &&
			      !memcmp(built, kept->inputs, size) && !access(original, F_OK);
		if (!kept->found && built)
			message(MESSAGE_NOTE,
				"%s: it was built of something else, by another command or in another environment: building again",
				scratch->dir);
	}
	if (!kept->found) {
		unlink(in_dir(scratch, BUILT));
		tree_remove(original);
		tree_remove(in_dir(scratch, "calls.original"));
		if (!tree_copy(scratch->unbuilt, original))
			return false;
		if (mkdir(in_dir(scratch, "calls.original"), 0777)) {
			error("%s/calls.original: %s", scratch->dir, strerror(errno));
			return false;
		}
	}
	return scratch_use(scratch, TREE_ORIGINAL);
}

/* Names, each with a NUL. */
static bool list_read(const char *path, const char *relative, const struct stat *stat, void *data)
{
	if (tree_was_read(path))
		fwrite(relative, 1, strlen(relative) + 1, data);
	return true;
}

static bool list_all_read(const struct scratch *scratch, struct kept *kept)
{
	FILE *list = open_memstream(&kept->read, &kept->read_size);
	bool good = list && tree_walk(scratch->trees[TREE_ORIGINAL], list_read, list);

	return list && !fclose(list) && good;
}

bool kept_complete(const struct scratch *scratch, struct kept *kept)
{
	char *list = in_dir(scratch, "read.original");

	if (kept->found) {
		kept->read = file_read(list, &kept->read_size);
		if (!kept->read)
			error("%s: %s", list, strerror(errno));
		return kept->read;
	}
	/* what it is built of comes last, when all else is there */
	return list_all_read(scratch, kept) &&
	       (!scratch->keeps ||
		(file_write(list, kept->read, kept->read_size) &&
		 file_write(in_dir(scratch, BUILT), kept->inputs, sizeof(kept->inputs))));
}

bool kept_was_read(const struct kept *kept, const char *path)
{
	const char *end = kept->read + kept->read_size;

	for (const char *name = kept->read; name < end; name += strlen(name) + 1)
		if (!strcmp(name, path))
			return true;
	return false;
}
