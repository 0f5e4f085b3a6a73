// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which patches: files, wildcards, directories; and the order to apply them in.
 */
#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmds.h"

#define WILDCARDS	"*?["

static bool exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

bool is_patch_argument(const char *arg)
{
	size_t length = strlen(arg);

	return strchr(arg, '/') || strpbrk(arg, WILDCARDS) || exists(arg) ||
	       (length > 3 && !strcmp(arg + length - 3, ".so"));
}

size_t split_arguments(struct tool *tool)
{
	size_t nr = 0;

	for (size_t i = 0; i < tool->nr_args; i++)
		if (is_patch_argument(tool->args[i]))
			tool->args[nr++] = tool->args[i];
		else
			options_add_id(&tool->options, tool->args[i]);
	return nr;
}

static void patch_file_free(struct patch_file *file)
{
	ulp_patch_close(file->patch);
	for (size_t i = 0; i < file->nr_dependencies; i++)
		free(file->dependencies[i]);
	free(file->dependencies);
	free(file->path);
	free(file->name);
	free(file->id);
}

void patches_close(struct tool *tool)
{
	for (size_t i = 0; i < tool->nr_patches; i++)
		patch_file_free(&tool->patches[i]);
	free(tool->patches);
	tool->patches = NULL;
	tool->nr_patches = 0;
}

static char *copy_text(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		out_of_memory();
	return copy;
}

/* @found: counts patches; NULL if the file is named, so that it must be one. */
static int add_file(struct tool *tool, const char *path, size_t *found)
{
	const char *const *dependencies;
	struct patch_file *larger, *file;
	struct ulp_patch *patch;
	int err;

	err = ulp_patch_open(tool->ctx, path, &patch);
	if (err == -ULP_E_NOT_PATCH && found) {
		if (tool->options.verbose)
			p_note(tool, "passed over: %s", ulp_error(tool->ctx));
		return 0;
	}
	if (err) {
		p_err(tool, err, "%s", ulp_error(tool->ctx));
		return -1;
	}
	if (found)
		(*found)++;
	for (size_t i = 0; i < tool->nr_patches; i++) {
		if (strcmp(tool->patches[i].id, ulp_patch_id(patch)) != 0)
			continue;
		if (tool->options.verbose)
			p_note(tool, "passed over: %s is the same patch as %s", path,
			       tool->patches[i].path);
		ulp_patch_close(patch);
		return 0;
	}
	larger = reallocarray(tool->patches, tool->nr_patches + 1, sizeof(*larger));
	if (!larger)
		out_of_memory();
	tool->patches = larger;
	file = &larger[tool->nr_patches++];
	*file = (struct patch_file){
		.path = copy_text(path),
		.name = copy_text(ulp_patch_name(patch)),
		.id = copy_text(ulp_patch_id(patch)),
		.nr_dependencies = ulp_patch_dependencies(patch, &dependencies),
		.patch = patch,
	};
	file->dependencies = calloc(file->nr_dependencies + 1, sizeof(*file->dependencies));
	if (!file->dependencies)
		out_of_memory();
	for (size_t i = 0; i < file->nr_dependencies; i++)
		file->dependencies[i] = copy_text(dependencies[i]);
	return 0;
}

static int by_path(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* All files below @directory whose name matches @pattern. */
static int add_tree(struct tool *tool, const char *directory, const char *pattern, size_t *found)
{
	char *copy = copy_text(directory);
	char *const roots[] = { copy, NULL };
	const FTSENT *entry;
	int err = 0;
	FTS *tree;

	tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_path);
	if (!tree)
		out_of_memory();
	while (!err && (entry = fts_read(tree))) {
		switch (entry->fts_info) {
		case FTS_F:
		case FTS_SL:
			if (fnmatch(pattern, entry->fts_name, FNM_PERIOD))
				break;
			err = add_file(tool, entry->fts_path, found);
			break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			p_err(tool, -entry->fts_errno, "%s: %s", entry->fts_path,
			      strerror(entry->fts_errno));
			err = -1;
			break;
		}
	}
	if (!err && errno) {
		p_err(tool, -errno, "%s: %s", directory, strerror(errno));
		err = -1;
	}
	fts_close(tree);
	free(copy);
	return err;
}

static int add_wildcard(struct tool *tool, const char *arg, size_t *found)
{
	const char *slash = strrchr(arg, '/');
	glob_t paths = { 0 };
	char *directory;
	struct stat st;
	int err;

	if (tool->options.recursive && !(slash && strpbrk(arg, WILDCARDS) < slash)) {
		directory = slash ? strndup(arg, slash == arg ? 1 : slash - arg) : strdup(".");
		if (!directory)
			out_of_memory();
		err = add_tree(tool, directory, slash ? slash + 1 : arg, found);
		free(directory);
		return err;
	}
	err = glob(arg, 0, NULL, &paths);
	if (err == GLOB_NOSPACE)
		out_of_memory();
	if (err == GLOB_ABORTED) {
		p_err(tool, -errno, "%s: %s", arg, strerror(errno));
		return -1;
	}
	err = 0;
	for (size_t i = 0; i < paths.gl_pathc && !err; i++) {
		const char *path = paths.gl_pathv[i];

		if (stat(path, &st) || !S_ISDIR(st.st_mode))
			err = add_file(tool, path, found);
		else if (tool->options.recursive)
			err = add_tree(tool, path, "*.so", found);
	}
	globfree(&paths);
	return err;
}

static int add_argument(struct tool *tool, const char *arg)
{
	size_t found = 0;
	struct stat st;
	int err;

	if (!stat(arg, &st) && S_ISDIR(st.st_mode)) {
		if (!tool->options.recursive) {
			p_err(tool, -EISDIR,
			      "%s is a directory: say '%s/*.so', or --recursive for all below it",
			      arg, arg);
			return -1;
		}
		err = add_tree(tool, arg, "*.so", &found);
	} else if (strpbrk(arg, WILDCARDS) && !exists(arg)) {
		err = add_wildcard(tool, arg, &found);
	} else {
		return add_file(tool, arg, NULL);
	}
	if (!err && !found) {
		p_err(tool, -ENOENT, "%s: there is no live patch like that", arg);
		return -1;
	}
	return err;
}

/* ---- order ---- */

static bool contains(const struct patch_file *files, size_t nr, const char *id)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(files[i].id, id))
			return true;
	return false;
}

/* Nothing that @file depends on is among the @nr files that still wait. */
static bool is_ready(const struct patch_file *file, const struct patch_file *waiting, size_t nr)
{
	for (size_t i = 0; i < file->nr_dependencies; i++)
		if (contains(waiting, nr, file->dependencies[i]))
			return false;
	return true;
}

/*
 * What a patch depends on comes before it; else the order stays: as given, and
 * by name where a wildcard stood.
 */
static int sort(struct tool *tool)
{
	struct patch_file *files = tool->patches, chosen;
	size_t at;

	for (size_t done = 0; done < tool->nr_patches; done++) {
		for (at = done; at < tool->nr_patches; at++)
			if (is_ready(&files[at], files + done, tool->nr_patches - done))
				break;
		if (at == tool->nr_patches) {
			p_err(tool, -ULP_E_DEPENDENCY, "%s: it depends on itself through others",
			      files[done].path);
			return -1;
		}
		chosen = files[at];
		memmove(files + done + 1, files + done, (at - done) * sizeof(*files));
		files[done] = chosen;
	}
	return 0;
}

int patches_open(struct tool *tool, char **args, size_t nr_args)
{
	int err = 0;

	/* all of them, so that everything that is wrong is told at once */
	for (size_t i = 0; i < nr_args; i++)
		err |= add_argument(tool, args[i]);
	return err ? err : sort(tool);
}
