// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From diffs to patches, step by step: read build_patches() first.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"
#include "diff.h"

struct work {
	const struct build *build;
	struct scratch scratch;
	struct kept kept;
	struct fix fix;
	struct calls calls;
	struct units units;
	char **env;			/* with the recorders first in PATH */
	bool remembers;			/* it is known which files the build read */
	bool rebuilt;			/* the fixed tree was built as well */
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	if (verbosity < 0)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fflush(stdout);
}

/* ---- building ---- */

static bool run_build(struct work *work, enum tree tree)
{
	struct command command = {
		.argv = work->build->command,
		.env = work->env,
		.out = work->scratch.log,
		.log = work->scratch.log,
	};

	unlink(work->scratch.log);
	return scratch_use(&work->scratch, tree) && recorder_use(&work->scratch, tree) &&
	       run_one(&work->scratch, &command, tree == TREE_ORIGINAL ?
		       "the build fails" : "the build fails with the diff");
}

/* What the build of @tree called. */
static bool read_calls(struct work *work, enum tree tree)
{
	if (!calls_read(&work->scratch, tree, &work->calls.calls[tree], &work->calls.nr[tree]))
		return false;
	units_add(&work->scratch, tree, work->calls.calls[tree], work->calls.nr[tree],
		  &work->units);
	return true;
}

static bool is_unpreprocessed(const struct unit *unit, void *data)
{
	return !unit->versions[TREE_ORIGINAL].preprocessed;
}

static bool build_original(struct work *work)
{
	const struct fix *fix = &work->fix;

	if (work->kept.found)
		say("%s: built before, and used again\n", work->scratch.dir);
	else if (!run_build(work, TREE_ORIGINAL))
		return false;
	if (!kept_complete(&work->scratch, &work->kept) || !read_calls(work, TREE_ORIGINAL))
		return false;
	for (size_t i = 0; i < fix->nr; i++)
		fix->files[i].read = kept_was_read(&work->kept, fix->files[i].path);
	return units_preprocess(&work->scratch, TREE_ORIGINAL, &work->units,
				work->build->parallel, NULL, NULL);
}

static bool has_suffix(const char *path, const char *const *suffixes)
{
	const char *dot = strrchr(base_name(path), '.');

	for (; dot && *suffixes; suffixes++)
		if (!strcmp(dot + 1, *suffixes))
			return true;
	return false;
}

static bool is_compiled(const char *path)
{
	static const char *const suffixes[] = { "c", "cc", "cpp", "cxx", "c++", "C", "cp", "S",
						"s", "y", "l", "yy", "ll", NULL };

	return has_suffix(path, suffixes);
}

static bool is_header(const char *path)
{
	static const char *const suffixes[] = { "h", "hh", "hpp", "hxx", "h++", "H", "inc", "inl",
						"ipp", "tcc", "def", NULL };

	return has_suffix(path, suffixes);
}

/* Do recorded compilations of the original read the file? */
static bool is_included(const char *path, void *data)
{
	const struct units *units = data;

	for (size_t i = 0; i < units->nr; i++) {
		const struct version *version = &units->units[i].versions[TREE_ORIGINAL];

		for (size_t j = 0; j < version->text.nr_files; j++)
			if (!strcmp(version->text.files[j], path))
				return true;
	}
	return false;
}

/*
 * Can the diff have changed how things are built, or what is generated?  A file that
 * only the compilers read cannot.
 */
static bool needs_rebuild(struct work *work)
{
	if (work->build->rebuild)
		return true;
	for (size_t i = 0; i < work->fix.nr; i++) {
		const struct touched *file = &work->fix.files[i];
		bool source = is_compiled(file->path) || is_header(file->path);

		if (file->how == TOUCH_ADDED) {
			if (is_compiled(file->path))
				return true;
			continue;
		}
		if (is_included(xasprintf("%s/%s", work->scratch.place, file->path),
				&work->units) &&
		    (file->how == TOUCH_CHANGED || is_header(file->path)))
			continue;
		/* what was built before may read it without our having seen it */
		if (!work->remembers || file->read || (work->fix.built && source))
			return true;
	}
	return false;
}

/*
 * A call of one build stands for the other: the fixed tree was not built, or the
 * original one was built already.
 */
static void complete_units(struct work *work)
{
	const struct scratch *scratch = &work->scratch;

	for (size_t i = 0; i < work->units.nr; i++) {
		struct unit *unit = &work->units.units[i];
		struct version *original = &unit->versions[TREE_ORIGINAL];
		struct version *fixed = &unit->versions[TREE_FIXED];
		struct version *made = original->call ? original : fixed;
		const char *result = unit->object ? unit->object : made->call->output;

		if (!fixed->call && !access(scratch_path(scratch, TREE_FIXED,
							 original->source->path), R_OK)) {
			fixed->call = original->call;
			fixed->source = original->source;
		} else if (!original->call &&
			   !access(scratch_path(scratch, TREE_ORIGINAL, result), F_OK) &&
			   !access(scratch_path(scratch, TREE_ORIGINAL, fixed->source->path),
				   R_OK)) {
			original->call = fixed->call;
			original->source = fixed->source;
		}
	}
}

static bool build_fixed(struct work *work)
{
	const struct scratch *scratch = &work->scratch;

	if (!tree_copy(scratch->trees[TREE_ORIGINAL], scratch->trees[TREE_FIXED]) ||
	    !fix_install(scratch, &work->fix))
		return false;
	work->rebuilt = needs_rebuild(work);
	if (work->rebuilt) {
		say("the diff may change how things are built: building with it\n");
		if (!run_build(work, TREE_FIXED) || !read_calls(work, TREE_FIXED))
			return false;
	}
	if (!work->units.nr) {
		error("no call of a compiler was seen: the build must call it by name, through PATH");
		return false;
	}
	complete_units(work);
	return scratch_use(&work->scratch, TREE_ORIGINAL) &&
	       units_preprocess(scratch, TREE_ORIGINAL, &work->units, work->build->parallel,
				is_unpreprocessed, NULL);
}

/* ---- what changes ---- */

static bool is_touched(const struct work *work, const char *path)
{
	const char *inside = scratch_inside(&work->scratch, path);

	for (size_t i = 0; inside && i < work->fix.nr; i++)
		if (!strcmp(work->fix.files[i].path, inside))
			return true;
	return false;
}

/* Need it be preprocessed again, to see whether it is changed? */
static bool is_candidate(const struct work *work, const struct unit *unit, bool all)
{
	const struct text *text = &unit->versions[TREE_ORIGINAL].text;

	if (all)
		return true;
	for (size_t i = 0; i < text->nr_files; i++)
		if (is_touched(work, text->files[i]))
			return true;
	return false;
}

static bool wanted_fixed(const struct unit *unit, void *data)
{
	return unit->candidate;
}

/* Precompiled headers would hide what the diff does to them. */
static void remove_precompiled(const struct work *work)
{
	for (size_t i = 0; i < work->calls.nr[TREE_ORIGINAL]; i++) {
		const char *output = work->calls.calls[TREE_ORIGINAL][i].output;
		size_t length = output ? strlen(output) : 0;

		if (length > 4 && (!strcmp(output + length - 4, ".gch") ||
				   !strcmp(output + length - 4, ".pch")))
			for (int tree = 0; scratch_inside(&work->scratch, output) &&
			     tree < NR_TREES; tree++)
				unlink(scratch_path(&work->scratch, tree, output));
	}
}

/* Returns an exit status; EXIT_MADE: go on. */
static int find_changed(struct work *work)
{
	const struct scratch *scratch = &work->scratch;
	unsigned int parallel = work->build->parallel;
	bool all = work->rebuilt;
	size_t nr;

	/* a new header may be found in the place of another one */
	for (size_t i = 0; i < work->fix.nr; i++)
		all |= work->fix.files[i].how == TOUCH_ADDED;
	for (size_t i = 0; i < work->units.nr; i++)
		work->units.units[i].candidate = is_candidate(work, &work->units.units[i], all);
	remove_precompiled(work);
	if (!lines_keep_all(scratch, &work->fix, is_included, &work->units) ||
	    !scratch_use(&work->scratch, TREE_FIXED) ||
	    !units_preprocess(scratch, TREE_FIXED, &work->units, parallel, wanted_fixed, NULL))
		return EXIT_FAILED;
	nr = units_compare(&work->units);
	say("%zu translation units, %zu changed%s", work->units.nr, nr, nr ? ":" : "\n");
	for (size_t i = 0; nr && i < work->units.nr; i++)
		if (work->units.units[i].changed)
			say(" %s", work->units.units[i].name);
	if (!nr) {
		message(MESSAGE_NOTE, "the diff changes no code of this build");
		return EXIT_NOTHING;
	}
	say("\n");
	if (!units_compile(scratch, TREE_FIXED, &work->units, parallel) ||
	    !scratch_use(&work->scratch, TREE_ORIGINAL) ||
	    !units_compile(scratch, TREE_ORIGINAL, &work->units, parallel))
		return EXIT_FAILED;
	return EXIT_MADE;
}

/* ---- patches ---- */

static void say_twin(const struct target *target, const struct output *output)
{
	if (!output->path)
		message(MESSAGE_NOTE,
			"%s: nothing that this build makes looks like it: functions are matched one by one",
			target->path);
	else if (output->same_id)
		say("%s: reproduced, the build-id is the same\n", target->path);
	else if (output->same_code)
		say("%s: reproduced, the code is the same\n", target->path);
	else
		message(MESSAGE_NOTE,
			"%s: not reproduced by this build, %s is another one: functions are matched one by one",
			target->path, output->path);
	if (output->path && !output->same_id && !output->same_code)
		origin_compare(target, output->file);
}

/* The same source compiled twice to the same: it does not matter which is linked. */
static bool is_there(const struct diff_pair *pairs, size_t nr, const struct unit *unit)
{
	for (size_t i = 0; i < nr; i++)
		if (output_same_object(pairs[i].orig, unit->versions[TREE_ORIGINAL].made) &&
		    output_same_object(pairs[i].patched, unit->versions[TREE_FIXED].made))
			return true;
	return false;
}

/* The units of one target; false: there are none. */
static bool add_target(struct work *work, const struct target *target,
		       const struct output *output, struct diff_target *out)
{
	const struct call *link = output_link(&work->calls, output->path);
	struct diff_pair *pairs = NULL;
	size_t nr = 0, changed = 0;

	for (size_t i = 0; i < work->units.nr; i++) {
		const struct unit *unit = &work->units.units[i];
		enum part part = PART_NO;
		struct diff_pair *pair;

		if (unit->changed || unit->used)
			part = output_has(&work->scratch, &work->calls, output->path, unit);
		if (part == PART_NO || is_there(pairs, nr, unit))
			continue;
		pair = &append(pairs, nr);
		pair->name = unit->name;
		pair->orig = unit->versions[TREE_ORIGINAL].made;
		pair->patched = unit->versions[TREE_FIXED].made;
		pair->maybe = part == PART_MAYBE;
		changed += unit->changed;
	}
	*out = (struct diff_target){ .path = target->path, .debug = target->debug,
				     .twin = output->file, .pairs = pairs, .nr_pairs = nr,
				     .symbolic = link && link->symbolic };
	if (!changed)
		message(MESSAGE_NOTE, "%s: none of the changed sources is in it", target->path);
	return changed;
}

static int make_patches(const struct work *work, const struct diff_target *targets, size_t nr)
{
	const struct build *build = work->build;
	struct diff_request request = {
		.targets = targets,
		.nr_targets = nr,
		.out = build->out,
		.comment = work->fix.comment,
		.options = &build->options,
	};

	return nr ? diff_make(&request) : EXIT_NOTHING;
}

/* "" if there is none: it is not looked for again. */
static const char *find_debug_file(const char *path)
{
	struct object object;
	const char *debug;

	debug = object_open(path, &object) ? debug_find(&object) : NULL;
	return debug ? debug : "";
}

static int patch_targets(struct work *work)
{
	const struct build *build = work->build;
	struct diff_target *targets = xcalloc(build->nr_targets, sizeof(*targets));
	bool looked = false;
	size_t nr = 0;

	for (size_t i = 0; i < build->nr_targets; i++) {
		struct target target = build->targets[i];
		struct output output;

		if (!output_find(&work->scratch, &work->calls, target.path, &output))
			return EXIT_FAILED;
		say_twin(&target, &output);
		if (!output.same_code && !target.debug)
			target.debug = find_debug_file(target.path);
		/* else a symbol table tells */
		if (!looked && !output.same_code && !*target.debug) {
			if (!units_compile_used(&work->scratch, &work->units, build->parallel))
				return EXIT_FAILED;
			looked = true;
		}
		nr += add_target(work, &target, &output, &targets[nr]);
	}
	return make_patches(work, targets, nr);
}

/* Everything that was linked and has a build-id; the one in the source, if it is there. */
static int patch_outputs(struct work *work)
{
	const struct scratch *scratch = &work->scratch;
	struct diff_target *targets = NULL;
	size_t nr = 0, nr_targets = 0;
	char **done = NULL;

	for (int tree = 0; tree < NR_TREES; tree++) {
		for (size_t i = 0; i < work->calls.nr[tree]; i++) {
			const struct call *call = &work->calls.calls[tree][i];
			struct output output = { .path = call->output };
			struct target target = { 0 };
			const char *inside;
			bool again = false;

			if (call->kind != CALL_LINK)
				continue;
			for (size_t j = 0; j < nr; j++)
				again |= !strcmp(done[j], call->output);
			output.file = scratch_path(scratch, TREE_ORIGINAL, call->output);
			if (again || !output_build_id(output.file))
				continue;
			append(done, nr) = xstrdup(call->output);
			inside = scratch_inside(scratch, call->output);
			target.path = inside ? xasprintf("%s/%s", scratch->source, inside) : NULL;
			if (!target.path || !output_build_id(target.path))
				target.path = output.file;
			targets = grow(targets, nr_targets, sizeof(*targets));
			nr_targets += add_target(work, &target, &output, &targets[nr_targets]);
		}
	}
	return make_patches(work, targets, nr_targets);
}

int build_patches(const struct build *build)
{
	struct work work = { .build = build };
	int status;

	if (!scratch_begin(&work.scratch, build->source, build->keep) ||
	    !kept_find(&work.scratch, build->command, &work.kept) ||
	    !fix_apply(&work.scratch, build->diffs, build->nr_diffs, &work.fix))
		return EXIT_FAILED;
	if (!work.fix.nr) {
		message(MESSAGE_NOTE, "the diff changes no file");
		return EXIT_NOTHING;
	}
	work.remembers = tree_remembers(work.scratch.dir);
	work.env = recorder_environment(&work.scratch);
	if (!work.env || !build_original(&work) || !build_fixed(&work))
		return EXIT_FAILED;
	status = find_changed(&work);
	if (status != EXIT_MADE)
		return status;
	return build->nr_targets ? patch_targets(&work) : patch_outputs(&work);
}
