// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The recorder: ulp-packer under the name of a compiler, in a directory that stands
 * first in PATH.  It writes down how it was called and becomes the real compiler,
 * the next one of that name in PATH.
 *
 * One file per call; its fields end with NUL: directory, compiler, number of
 * arguments, the arguments with response files (@FILE) put in, then the
 * environment.  Files are named by time, so that their order is that of the calls.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

#define CANNOT_RUN	127
#define MAX_RESPONSE	100	/* response files in one call */

/* ---- the bin directory ---- */

/* gcc, gcc-12, x86_64-linux-gnu-g++: not gcc-ar */
static bool is_compiler(const char *name)
{
	static const char *const compilers[] = { "cc", "c++", "gcc", "g++", "clang", "clang++",
						 "c89", "c99", "ccache" };
	const char *end = name + strlen(name);
	const char *version = strrchr(name, '-');

	if (version && version[1] && version[1 + strspn(version + 1, "0123456789.")] == '\0')
		end = version;
	for (size_t i = 0; i < sizeof(compilers) / sizeof(compilers[0]); i++) {
		size_t length = strlen(compilers[i]);

		if ((size_t)(end - name) < length ||
		    strncmp(end - length, compilers[i], length) != 0)
			continue;
		if (end - length == name || end[-length - 1] == '-')
			return true;
	}
	return false;
}

static bool add_names(const char *from, const char *bin)
{
	DIR *dir = opendir(from);
	struct dirent *entry;

	/* PATH may name what is not there */
	while (dir && (entry = readdir(dir))) {
		char *path;

		if (!is_compiler(entry->d_name))
			continue;
		path = xasprintf("%s/%s", bin, entry->d_name);
		if (symlink(RECORDER, path) && errno != EEXIST) {
			error("%s: %s", path, strerror(errno));
			return false;
		}
		free(path);
	}
	if (dir)
		closedir(dir);
	return true;
}

char **recorder_environment(const struct scratch *scratch)
{
	const char *path = getenv("PATH");
	char *bin = xasprintf("%s/bin", scratch->dir);
	char *dirs = xstrdup(path ? path : ""), *rest, **env = NULL;
	size_t nr = 0;

	/* a copy: the build may remove or replace the program itself */
	if (!file_copy(realpath("/proc/self/exe", NULL), xasprintf("%s/" RECORDER, bin)))
		return NULL;
	rest = dirs;
	for (const char *dir; (dir = strsep(&rest, ":"));)
		if (*dir && !add_names(dir, bin))
			return NULL;
	for (char **var = environ; *var; var++)
		if (strncmp(*var, "PATH=", 5) != 0)
			append(env, nr) = *var;
	append(env, nr) = xasprintf("PATH=%s:%s", bin, path ? path : "/usr/bin:/bin");
	append(env, nr) = NULL;
	return env;
}

bool recorder_use(const struct scratch *scratch, enum tree tree)
{
	char *link = xasprintf("%s/bin/calls", scratch->dir);

	unlink(link);
	if (!symlink(tree == TREE_ORIGINAL ? "../calls.original" : "../calls.fixed", link))
		return true;
	error("%s: %s", link, strerror(errno));
	return false;
}

/* ---- being the compiler ---- */

static bool is_ours(const char *dir)
{
	return *dir && !access(xasprintf("%s/" RECORDER, dir), F_OK);
}

/* The bin directory that we were called from, or NULL if we were not. */
static char *our_directory(const char *name)
{
	const char *path = getenv("PATH");
	char *dirs, *slash;

	if (!strncmp(base_name(name), "ulp-packer", 10))
		return NULL;
	slash = strrchr(name, '/');
	if (slash) {
		dirs = xstrndup(name, slash - name);
		return is_ours(dirs) ? dirs : NULL;
	}
	dirs = xstrdup(path ? path : "");
	for (const char *dir; (dir = strsep(&dirs, ":"));)
		if (!access(xasprintf("%s/%s", dir, name), X_OK))
			return is_ours(dir) ? xstrdup(dir) : NULL;
	return NULL;
}

/*
 * Takes our directories out of PATH, for all that the compiler starts in its turn,
 * and returns the real compiler.
 */
static char *find_real(const char *name)
{
	const char *path = getenv("PATH");
	char *dirs = xstrdup(path ? path : "/usr/bin:/bin"), *others = xstrdup("");
	char *real = NULL;

	for (const char *dir; (dir = strsep(&dirs, ":"));) {
		if (is_ours(dir))
			continue;
		others = xasprintf("%s%s%s", others, *others ? ":" : "", dir);
		if (!real) {
			real = xasprintf("%s/%s", *dir ? dir : ".", name);
			if (access(real, X_OK))
				real = NULL;
		}
	}
	setenv("PATH", others, 1);
	return real;
}

struct list {
	char **items;
	size_t nr;
};

static void expand(struct list *list, char *argument, unsigned int *budget);

/* The words of a response file, as gcc reads it: blanks, quotes and backslashes. */
static void expand_text(struct list *list, const char *text, unsigned int *budget)
{
	while (*text) {
		char quote = 0, *word, *end;

		text += strspn(text, " \t\n\r\v\f");
		if (!*text)
			break;
		word = end = xcalloc(1, strlen(text) + 1);
		for (; *text && (quote || !isspace((unsigned char)*text)); text++) {
			if (*text == '\\' && text[1])
				*end++ = *++text;
			else if (quote ? *text == quote : (*text == '\'' || *text == '"'))
				quote = quote ? 0 : *text;
			else
				*end++ = *text;
		}
		expand(list, word, budget);
	}
}

static void expand(struct list *list, char *argument, unsigned int *budget)
{
	char *text = argument[0] == '@' && *budget ? file_read(argument + 1, NULL) : NULL;

	if (text) {
		--*budget;
		expand_text(list, text, budget);
	} else {
		append(list->items, list->nr) = argument;
	}
}

static bool write_call(const char *dir, const char *compiler, char **args)
{
	char *cwd = getcwd(NULL, 0), *path, *part;
	unsigned int budget = MAX_RESPONSE;
	struct list list = { 0 };
	struct timespec now;
	FILE *file;
	bool good;

	for (; *args; args++)
		expand(&list, *args, &budget);
	clock_gettime(CLOCK_MONOTONIC, &now);
	path = xasprintf("%s/calls/%012lld.%09ld.%d", dir, (long long)now.tv_sec, now.tv_nsec,
			 getpid());
	/* complete, or not there */
	part = xasprintf("%s/calls/.%d", dir, getpid());
	file = fopen(part, "we");
	if (!file)
		return false;
	fprintf(file, "%s%c%s%c%zu%c", cwd, 0, compiler, 0, list.nr, 0);
	for (size_t i = 0; i < list.nr; i++)
		fprintf(file, "%s%c", list.items[i], 0);
	for (char **var = environ; *var; var++)
		fprintf(file, "%s%c", *var, 0);
	good = cwd && !ferror(file);
	return !fclose(file) && good && !rename(part, path);
}

/* "ccache gcc ...": the compiler is its first argument. */
static bool is_prefix(const char *name, char **argv)
{
	return !strcmp(name, "ccache") && argv[1] && argv[1][0] != '-' &&
	       is_compiler(base_name(argv[1]));
}

void recorder_main(int argc, char **argv)
{
	char *dir = our_directory(argv[0]), *real, *compiler;
	const char *name = base_name(argv[0]);

	if (!dir)
		return;
	real = compiler = find_real(name);
	if (is_prefix(name, argv)) {
		const char *slash = strrchr(argv[1], '/');

		if (!slash || is_ours(xstrndup(argv[1], slash - argv[1])))
			argv[1] = find_real(base_name(argv[1]));
		compiler = argv[1];
	}
	if (!real || !compiler) {
		error("%s: there is none in PATH but the recorder", name);
		exit(CANNOT_RUN);
	}
	if (!write_call(dir, compiler, argv + (compiler == real ? 1 : 2))) {
		error("%s: cannot write down this call: %s", dir, strerror(errno));
		exit(CANNOT_RUN);
	}
	argv[0] = real;
	execv(real, argv);
	error("%s: %s", real, strerror(errno));
	exit(CANNOT_RUN);
}
