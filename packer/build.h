/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ulp-packer build: a source diff to patches.  It builds in a scratch copy of the
 * source, with compilers that write down how they are called, applies the diff,
 * compiles what it changes before and after, and has diff_make() compare.
 *
 *	build.c		the commands build and make, their options
 *	scratch.c	the directory that all of it happens in, gone at the end
 *	kept.c		a build that --keep left, used again
 *	tree.c		copying and comparing source trees
 *	run.c		commands that see a tree at the place of the source
 *	recorder.c	the compiler that writes down how it is called
 *	call.c		what such a call does: sources, objects, flags
 *	units.c		translation units: preprocessed, compiled
 *	used.c		units whose code tells where things are that changed ones use
 *	text.c		what the preprocessor says
 *	fix.c		the diffs: applying, labels
 *	lines.c		#line directives that keep __LINE__ as it was
 *	output.c	programs and libraries: the target's twin, what is linked in
 *	origin.c	who made a program: compiler and flags
 *	steps.c		the steps in their order
 */
#ifndef PACKER_BUILD_H
#define PACKER_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "options.h"

/* ---- scratch.c ---- */

/*
 * The trees: ORIGINAL is what the build command builds, a copy of the unbuilt one;
 * FIXED is its copy with the diff.  A command sees one of them at scratch->place,
 * which is the path of the source itself where mount namespaces can be had: a build with absolute
 * paths is then the same build, and cannot reach the source.
 */
enum tree { TREE_ORIGINAL, TREE_FIXED, NR_TREES };

struct scratch {
	const char *source;		/* what was copied: a real, absolute path */
	const char *dir;		/* everything of ours */
	bool keeps;			/* @dir stays, and what is in it is used again */
	const char *place;		/* where commands see the tree */
	const char *unbuilt;		/* a copy of the source as it is */
	const char *trees[NR_TREES];	/* where the trees are, for us */
	int namespaces;			/* flags for unshare(), 0: cannot be had */
	enum tree now;			/* without namespaces: the tree at @place */
	const char *log;		/* what the commands said */
};

/* @keep: make it there, or use what is there, and leave it; NULL: a temporary one */
bool scratch_begin(struct scratch *scratch, const char *source, const char *keep);
/* Later commands see @tree. */
bool scratch_use(struct scratch *scratch, enum tree tree);
/* In a new process: become one that sees the tree in use. */
bool scratch_enter(const struct scratch *scratch);
/* Our path of what commands see as @path. */
char *scratch_path(const struct scratch *scratch, enum tree tree, const char *path);
/* The path without links, as commands would see it; itself if it is nowhere. */
char *scratch_real(const struct scratch *scratch, enum tree tree, const char *path);
/* The other way round for a path in the tree in use; NULL if it is outside. */
const char *scratch_inside(const struct scratch *scratch, const char *path);
/* Processes that must not outlive us. */
void scratch_started(pid_t pid);
void scratch_ended(pid_t pid);

/* ---- kept.c ---- */

struct kept {
	bool found;			/* the original tree is built already */
	uint8_t inputs[32];		/* what of: a digest */
	char *read;			/* the files that the build read, each with a NUL */
	size_t read_size;
};

/* The original tree, for @command: the one that was kept, else a new one, unbuilt. */
bool kept_find(struct scratch *scratch, char *const *command, struct kept *kept);
/* It is built: see what was read, and let it be found again. */
bool kept_complete(const struct scratch *scratch, struct kept *kept);
bool kept_was_read(const struct kept *kept, const char *path);

/* ---- tree.c ---- */

/* Copies @from to the new directory @to; forgets when files were last read. */
bool tree_copy(const char *from, const char *to);
/* The same with hard links, for files that are only ever replaced. */
bool tree_link(const char *from, const char *to);
void tree_remove(const char *path);
/* Does this file system remember that a file was read? */
bool tree_remembers(const char *dir);
/* Was this file, of a copied tree, read since it was copied or forgotten? */
bool tree_was_read(const char *path);
bool tree_forget(const char *path);
/* Calls @visit for each file of the tree, its path relative to @top. */
typedef bool tree_visit(const char *path, const char *relative, const struct stat *stat,
			void *data);
bool tree_walk(const char *top, tree_visit *visit, void *data);
/* One file, with its times; directories to it are made. */
bool file_copy(const char *from, const char *to);
/* All of a file and a NUL, or NULL with errno set; @size may be NULL. */
char *file_read(const char *path, size_t *size);
bool file_write(const char *path, const void *data, size_t size);

/* ---- run.c ---- */

struct command {
	char *const *argv;
	char *const *env;		/* NULL: ours */
	const char *cwd;		/* as commands see it; NULL: scratch->place */
	const char *in;			/* NULL: /dev/null */
	const char *out, *log;		/* written and appended to; NULL: /dev/null */
	int status;			/* exit status, 128 + signal */
	void (*done)(struct command *command);	/* called when it ended; may be NULL */
	void *data;
};

/* All of them, @parallel at a time; false: some could not be started. */
bool run_all(const struct scratch *scratch, struct command *commands, size_t nr,
	     unsigned int parallel);
/* One; false with a message that begins with @what if it fails. */
bool run_one(const struct scratch *scratch, struct command *command, const char *what);
/* The end of what commands said, to standard error. */
void run_show_log(const char *path);

/* ---- recorder.c ---- */

#define RECORDER	".ulp-recorder"	/* a directory with this file is one of ours */

/* Fills @scratch's bin/ and returns the environment in which it is found first. */
char **recorder_environment(const struct scratch *scratch);
/* The calls go to this directory from now on. */
bool recorder_use(const struct scratch *scratch, enum tree tree);
/* Does argv[0] ask for a compiler?  Then this does not return. */
void recorder_main(int argc, char **argv);

/* ---- call.c ---- */

/* A file named by a call. */
struct input {
	const char *given;		/* as it is written there */
	const char *path;		/* absolute */
	const char *language;		/* of -x, or NULL */
	bool source;			/* else an object, an archive or a library */
};

enum call_kind {
	CALL_OTHER,			/* preprocesses, prints its version, ... */
	CALL_COMPILE,			/* -c: an object of each source */
	CALL_LINK,
};

/* One call of a compiler. */
struct call {
	enum call_kind kind;
	const char *compiler, *cwd;
	char **env;
	char **options;			/* those that shape an object, NULL at the end */
	size_t nr_options;
	struct input *inputs;
	size_t nr_inputs;
	const char *output;		/* absolute; NULL: not said */
	const char *lto;		/* the option that asks for it, or NULL */
	bool symbolic;			/* functions are bound to those of the library itself */
};

/* All calls that were recorded while @tree was built, in their order. */
bool calls_read(const struct scratch *scratch, enum tree tree, struct call **calls, size_t *nr);
/* Parses @args, those behind the compiler's name.  For calls_read() and its test. */
void call_parse(struct call *call, char *const *args);
/* The object that it makes of @source; NULL: none that stays */
char *call_object(const struct call *call, const struct input *source);
/* @path, which may be relative to @cwd, without "." and ".." */
char *path_absolute(const char *cwd, const char *path);

/* ---- text.c ---- */

/* What the preprocessor made of a source. */
struct text {
	uint8_t digest[32];		/* of what the compiler sees of it */
	char **files;			/* that were read for it, from / on */
	size_t nr_files;
};

/* @cwd: where the preprocessor ran; @text may contain NULs */
void text_read(struct text *text, const char *data, size_t size, const char *cwd);

/* ---- units.c ---- */

/* A source and the call that compiles it. */
struct version {
	const struct call *call;	/* NULL: there is none */
	const struct input *source;
	bool preprocessed;
	struct text text;
	char *made;			/* its object, compiled by us; NULL: failed */
};

/* A translation unit, before and after the diff. */
struct unit {
	const char *name;		/* for people */
	const char *key;		/* what it becomes: same unit, same key */
	const char *object;		/* where the build puts it; NULL: straight into @key */
	struct version versions[NR_TREES];
	bool candidate;			/* something that it reads may have changed */
	bool changed;
	bool used;			/* not changed: has what changed ones use anew */
};

struct units {
	struct unit *units;
	size_t nr;
};

/* The units that @calls compile, into @units where they are not there yet. */
void units_add(const struct scratch *scratch, enum tree tree, const struct call *calls,
	       size_t nr, struct units *units);
/* Those for which @wanted is true, or all. */
typedef bool unit_wanted(const struct unit *unit, void *data);
bool units_preprocess(const struct scratch *scratch, enum tree tree, struct units *units,
		      unsigned int parallel, unit_wanted *wanted, void *data);
/* Which are changed; returns how many. */
size_t units_compare(struct units *units);
/* The changed and used ones that are not yet, for diff_make(). */
bool units_compile(const struct scratch *scratch, enum tree tree, struct units *units,
		   unsigned int parallel);

/* ---- used.c ---- */

/* The changed ones are compiled: find those that they use anew, and compile them. */
bool units_compile_used(const struct scratch *scratch, struct units *units,
			unsigned int parallel);

/* ---- fix.c ---- */

enum touch { TOUCH_CHANGED, TOUCH_ADDED, TOUCH_REMOVED };

struct touched {
	const char *path;		/* in the tree */
	enum touch how;
	bool read;			/* by the build, as far as is known */
};

struct fix {
	struct touched *files;
	size_t nr;
	const char *tree;		/* where the fixed files are at first */
	const char *comment;		/* what the diffs say about themselves */
	bool built;			/* there were objects before we built any */
};

/* Applies the diffs, in their order, to a copy of the unbuilt tree. */
bool fix_apply(const struct scratch *scratch, char *const *diffs, size_t nr, struct fix *fix);
/* Puts the fixed files into the fixed tree, as of now. */
bool fix_install(const struct scratch *scratch, const struct fix *fix);

/* ---- lines.c ---- */

/*
 * The text of @fixed with #line directives where it is needed for the lines that it
 * has in common with @original to have the same numbers; NULL: there are no such
 * lines.  @hunks are the output of "diff -U0".
 */
char *lines_keep(const char *original, const char *fixed, const char *hunks);
/* The same for those files of the fixed tree of which @is_code is true. */
bool lines_keep_all(const struct scratch *scratch, const struct fix *fix,
		    bool (*is_code)(const char *path, void *data), void *data);

/* ---- output.c ---- */

/* All recorded calls, of both builds. */
struct calls {
	struct call *calls[NR_TREES];
	size_t nr[NR_TREES];
};

/* How sure it is that a unit is part of a program or library. */
enum part { PART_NO, PART_MAYBE, PART_YES };

struct output {
	const char *path;		/* as commands see it; NULL: nothing looks like it */
	const char *file;		/* the original build's one, for us */
	bool same_id, same_code;	/* as the target */
};

/* The recorded call that linked it; NULL: nobody was seen, or @path is NULL */
const struct call *output_link(const struct calls *calls, const char *path);
/* The output of the original build that is @target, or is likely to be. */
bool output_find(const struct scratch *scratch, const struct calls *calls, const char *target,
		 struct output *output);
enum part output_has(const struct scratch *scratch, const struct calls *calls,
		     const char *path, const struct unit *unit);
/* The build-id as hexadecimal number, or NULL: not a program or library with one. */
char *output_build_id(const char *path);
/* Whether two objects are the same but for their debug information; NULL: none. */
bool output_same_object(const char *a, const char *b);

/* ---- origin.c ---- */

struct target {
	const char *path, *debug;
};

/* Says what @target was made by, if the file @ours was made by something else. */
void origin_compare(const struct target *target, const char *ours);

/* ---- steps.c ---- */

/* What is asked for. */
struct build {
	const char *source;
	char *const *command;
	char **diffs;
	size_t nr_diffs;
	struct target *targets;		/* none: everything that the build makes */
	size_t nr_targets;
	const char *out;		/* a file, or a directory with "/" at its end */
	const char *keep;
	unsigned int parallel;
	bool rebuild;			/* the fixed tree, whatever was touched */
	struct options options;
};

/* Returns an exit status. */
int build_patches(const struct build *build);

#endif /* PACKER_BUILD_H */
