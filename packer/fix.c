// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The diffs.  They are applied by patch(1) before anything is built, to a tree of
 * hard links to the unbuilt one: patch(1) replaces files, so that what it touched
 * is what is another file afterwards.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

#define COMMENT_MAX	4000

/* ---- what a diff says about itself ---- */

/* Where the first file's change begins, or the end. */
static const char *end_of_header(const char *text)
{
	while (*text) {
		const char *next = strchr(text, '\n');

		next = next ? next + 1 : text + strlen(text);
		if (!strncmp(text, "diff ", 5) || !strncmp(text, "Index: ", 7) ||
		    (!strncmp(text, "--- ", 4) && !strncmp(next, "+++ ", 4)))
			break;
		text = next;
	}
	return text;
}

static char *printable(const char *text, size_t length)
{
	char *copy = xstrndup(text, length);

	for (char *c = copy; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\n' && *c != '\t')
			*c = ' ';
	return copy;
}

static void add_comment(struct fix *fix, const char *path, const char *text)
{
	size_t length = end_of_header(text) - text;

	fix->comment = xasprintf("%s%s\n%s", fix->comment ? fix->comment : "",
				 printable(base_name(path), PATH_MAX),
				 printable(text, length < COMMENT_MAX ? length : COMMENT_MAX));
}

/* ---- applying ---- */

static bool apply(const struct scratch *scratch, const char *diff, const struct fix *fix)
{
	char *log = xasprintf("%s/patch.log", scratch->dir);
	char *rejects = xasprintf("%s/rejects", scratch->dir), *path = realpath(diff, NULL);
	char *const argv[] = { (char *)"patch", (char *)"-p1", (char *)"-f", (char *)"-i", path,
			       (char *)"--no-backup-if-mismatch", (char *)"-r", rejects, NULL };
	struct command command = { .argv = argv, .cwd = fix->tree, .out = log, .log = log };

	unlink(log);
	unlink(rejects);
	if (!run_all(scratch, &command, 1, 1))
		return false;
	if (!command.status)
		return true;
	if (command.status == 127) {
		error("patch(1) is needed to apply diffs: install the package patch");
		return false;
	}
	error("%s: does not apply with -p1 to %s", diff, scratch->source);
	run_show_log(log);
	run_show_log(rejects);
	return false;
}

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\r\n")];
}

static bool same_link(const char *a, const char *b)
{
	char targets[2][PATH_MAX];
	ssize_t length = readlink(a, targets[0], PATH_MAX);

	return length >= 0 && readlink(b, targets[1], PATH_MAX) == length &&
	       !memcmp(targets[0], targets[1], length);
}

struct comparison {
	const struct scratch *scratch;
	struct fix *fix;
};

static void touch(struct comparison *comparison, const char *relative, enum touch how)
{
	struct touched *touched = &append(comparison->fix->files, comparison->fix->nr);

	touched->path = xstrdup(relative);
	touched->how = how;
}

static bool compare_fixed(const char *path, const char *relative, const struct stat *stat,
			  void *data)
{
	struct comparison *comparison = data;
	char *original = xasprintf("%s/%s", comparison->scratch->unbuilt, relative);
	struct stat other;

	if (lstat(original, &other))
		touch(comparison, relative, TOUCH_ADDED);
	else if (S_ISLNK(stat->st_mode) ? !same_link(path, original) :
					  stat->st_ino != other.st_ino)
		touch(comparison, relative, TOUCH_CHANGED);
	free(original);
	return true;
}

static bool compare_original(const char *path, const char *relative, const struct stat *stat,
			     void *data)
{
	struct comparison *comparison = data;
	char *fixed = xasprintf("%s/%s", comparison->fix->tree, relative);
	const char *dot = strrchr(relative, '.');

	if (access(fixed, F_OK) && errno == ENOENT && !S_ISLNK(stat->st_mode))
		touch(comparison, relative, TOUCH_REMOVED);
	if (dot && (!strcmp(dot, ".o") || !strcmp(dot, ".lo") || !strcmp(dot, ".obj")))
		comparison->fix->built = true;
	free(fixed);
	return true;
}

bool fix_apply(const struct scratch *scratch, char *const *diffs, size_t nr, struct fix *fix)
{
	struct comparison comparison = { .scratch = scratch, .fix = fix };

	memset(fix, 0, sizeof(*fix));
	fix->tree = xasprintf("%s/diff", scratch->dir);
	if (!tree_link(scratch->unbuilt, fix->tree))
		return false;
	for (size_t i = 0; i < nr; i++) {
		char *text = file_read(diffs[i], NULL);

		if (!text) {
			error("%s: %s", diffs[i], strerror(errno));
			return false;
		}
		add_comment(fix, diffs[i], text);
		if (!is_blank(text) && !apply(scratch, diffs[i], fix))
			return false;
		free(text);
	}
	return tree_walk(fix->tree, compare_fixed, &comparison) &&
	       tree_walk(scratch->unbuilt, compare_original, &comparison);
}

bool fix_install(const struct scratch *scratch, const struct fix *fix)
{
	for (size_t i = 0; i < fix->nr; i++) {
		char *from = xasprintf("%s/%s", fix->tree, fix->files[i].path);
		char *to = xasprintf("%s/%s", scratch->trees[TREE_FIXED], fix->files[i].path);

		if (fix->files[i].how == TOUCH_REMOVED) {
			if (unlink(to) && errno != ENOENT) {
				error("%s: %s", to, strerror(errno));
				return false;
			}
		} else if (!file_copy(from, to) ||
			   utimensat(AT_FDCWD, to, NULL, AT_SYMLINK_NOFOLLOW)) {
			return false;
		}
	}
	return true;
}
