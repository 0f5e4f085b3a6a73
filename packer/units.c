// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Translation units: found in the recorded calls, preprocessed, compiled.  What is
 * added to the build's own options is said here and nowhere else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

/* ---- finding them ---- */

static struct unit *find_unit(struct units *units, const char *key)
{
	for (size_t i = 0; i < units->nr; i++)
		if (!strcmp(units->units[i].key, key))
			return &units->units[i];
	return NULL;
}

void units_add(const struct scratch *scratch, enum tree tree, const struct call *calls,
	       size_t nr, struct units *units)
{
	for (size_t i = 0; i < nr; i++) {
		for (size_t j = 0; calls[i].kind != CALL_OTHER && j < calls[i].nr_inputs; j++) {
			const struct input *source = &calls[i].inputs[j];
			const char *object, *inside;
			struct unit *unit;
			char *key;

			/* configure's are gone again; cmake's are, but for the source */
			if (!source->source ||
			    access(scratch_path(scratch, tree, source->path), R_OK) ||
			    access(scratch_path(scratch, tree, calls[i].cwd), F_OK))
				continue;
			object = call_object(&calls[i], source);
			key = object ? xstrdup(object) :
				       xasprintf("%s(%s)", calls[i].output, source->path);
			unit = find_unit(units, key);
			if (!unit) {
				unit = &append(units->units, units->nr);
				inside = scratch_inside(scratch, source->path);
				unit->name = inside ? inside : source->path;
				unit->key = key;
				unit->object = object;
			}
			/* the last call is the one whose result is there */
			unit->versions[tree].call = &calls[i];
			unit->versions[tree].source = source;
		}
	}
}

/* ---- commands ---- */

struct arguments {
	char **argv;
	size_t nr;
};

static void add(struct arguments *arguments, const char *text)
{
	append(arguments->argv, arguments->nr) = (char *)text;
}

/* The call of @version's compiler with @mode... put behind its options. */
static char **make_argv(const struct version *version, const char *const *mode, const char *out)
{
	const struct call *call = version->call;
	struct arguments arguments = { 0 };

	add(&arguments, call->compiler);
	for (size_t i = 0; i < call->nr_options; i++)
		add(&arguments, call->options[i]);
	for (; *mode; mode++)
		add(&arguments, *mode);
	if (out) {
		add(&arguments, "-o");
		add(&arguments, out);
	}
	if (version->source->language) {
		add(&arguments, "-x");
		add(&arguments, version->source->language);
	}
	add(&arguments, version->source->given);
	add(&arguments, NULL);
	return arguments.argv;
}

/*
 * __DATE__ and __TIME__ are the same before and after the diff: those of the
 * epoch, unless the build itself says another time.
 */
static char **fixed_time(char **env)
{
	char **out = NULL;
	size_t nr = 0;

	for (char **var = env; *var; var++) {
		if (!strncmp(*var, "SOURCE_DATE_EPOCH=", 18))
			return env;
		append(out, nr) = *var;
	}
	append(out, nr) = xstrdup("SOURCE_DATE_EPOCH=0");
	append(out, nr) = NULL;
	return out;
}

/* ---- preprocessing ---- */

struct preprocessing {
	const struct scratch *scratch;
	enum tree tree;
	struct version *version;
	char *out;
};

static bool is_preprocessed(const struct input *source)
{
	const char *dot = strrchr(source->given, '.');
	const char *language = source->language;

	if (language)
		return !strcmp(language, "assembler") || strstr(language, "cpp-output");
	return dot && (!strcmp(dot, ".s") || !strcmp(dot, ".i") || !strcmp(dot, ".ii"));
}

static bool is_assembly(const struct input *source)
{
	const char *dot = strrchr(source->given, '.');

	if (source->language)
		return !strncmp(source->language, "assembler", 9);
	return dot && (!strcmp(dot, ".s") || !strcmp(dot, ".S") || !strcmp(dot, ".sx"));
}

/* @path: what the preprocessor wrote */
static void read_text(const struct scratch *scratch, enum tree tree, struct version *version,
		      const char *path)
{
	struct text *text = &version->text;
	size_t size;
	char *data = file_read(path, &size);

	if (!data)
		return;
	text_read(text, data, size, version->call->cwd);
	/* the source itself is not among those that others began */
	append(text->files, text->nr_files) = xstrdup(version->source->path);
	for (size_t i = 0; i < text->nr_files; i++)
		if (scratch_inside(scratch, text->files[i]))
			text->files[i] = scratch_real(scratch, tree, text->files[i]);
	version->preprocessed = true;
	free(data);
}

static void preprocessed(struct command *command)
{
	struct preprocessing *preprocessing = command->data;

	if (!command->status)
		read_text(preprocessing->scratch, preprocessing->tree, preprocessing->version,
			  preprocessing->out);
	unlink(preprocessing->out);
}

bool units_preprocess(const struct scratch *scratch, enum tree tree, struct units *units,
		      unsigned int parallel, unit_wanted *wanted, void *data)
{
	static const char *const mode[] = { "-E", NULL };
	struct command *commands = xcalloc(units->nr, sizeof(*commands));
	struct preprocessing *all = xcalloc(units->nr, sizeof(*all));
	size_t nr = 0;

	for (size_t i = 0; i < units->nr; i++) {
		struct version *version = &units->units[i].versions[tree];

		if (!version->call || (wanted && !wanted(&units->units[i], data)))
			continue;
		if (is_preprocessed(version->source)) {
			read_text(scratch, tree, version,
				  scratch_path(scratch, tree, version->source->path));
			continue;
		}
		all[nr] = (struct preprocessing){
			.scratch = scratch,
			.tree = tree,
			.version = version,
			.out = xasprintf("%s/text/%zu", scratch->dir, i),
		};
		commands[nr] = (struct command){
			.argv = make_argv(version, mode, NULL),
			.env = fixed_time(version->call->env),
			.cwd = version->call->cwd,
			.out = all[nr].out,
			.done = preprocessed,
			.data = &all[nr],
		};
		nr++;
	}
	return run_all(scratch, commands, nr, parallel);
}

static bool same_call(const struct call *a, const struct call *b)
{
	if (strcmp(a->compiler, b->compiler) != 0 || a->nr_options != b->nr_options)
		return false;
	for (size_t i = 0; i < a->nr_options; i++)
		if (strcmp(a->options[i], b->options[i]) != 0)
			return false;
	return true;
}

size_t units_compare(struct units *units)
{
	size_t changed = 0;

	for (size_t i = 0; i < units->nr; i++) {
		struct unit *unit = &units->units[i];
		const struct version *original = &unit->versions[TREE_ORIGINAL];
		const struct version *fixed = &unit->versions[TREE_FIXED];

		/* what could not be preprocessed before was a failed probe of configure */
		if (original->call && !original->preprocessed)
			continue;
		unit->changed = !original->call || !fixed->call ||
				!same_call(original->call, fixed->call) ||
				(unit->candidate && (!fixed->preprocessed ||
				 memcmp(original->text.digest, fixed->text.digest,
					sizeof(fixed->text.digest)) != 0));
		changed += unit->changed;
	}
	return changed;
}

/* ---- compiling ---- */

struct compilation {
	const struct unit *unit;
	struct version *version;
	char *out, *log;
	bool *good;
};

static void compiled(struct command *command)
{
	struct compilation *compilation = command->data;

	if (!command->status && !access(compilation->out, R_OK)) {
		compilation->version->made = compilation->out;
		return;
	}
	*compilation->good = false;
	error("%s: does not compile", compilation->unit->name);
	run_show_log(compilation->log);
}

bool units_compile(const struct scratch *scratch, enum tree tree, struct units *units,
		   unsigned int parallel)
{
	/* Debug information changes no code; where it did, functions would not be found. */
	static const char *const mode[] = { "-ffunction-sections", "-fdata-sections", "-g",
					    "-fno-debug-types-section", "-c", NULL };
	static const char *const assembly[] = { "-c", NULL };
	struct command *commands = xcalloc(units->nr, sizeof(*commands));
	struct compilation *all = xcalloc(units->nr, sizeof(*all));
	size_t nr = 0;
	bool good = true;

	for (size_t i = 0; i < units->nr; i++) {
		struct unit *unit = &units->units[i];
		struct version *version = &unit->versions[tree];

		if ((!unit->changed && !unit->used) || !version->call || version->made)
			continue;
		if (version->call->lto) {
			error("%s: it is built with %s: its object is not the code that runs",
			      unit->name, version->call->lto);
			good = false;
			continue;
		}
		all[nr] = (struct compilation){
			.unit = unit,
			.version = version,
			.out = xasprintf("%s/objects/%zu.%s.o", scratch->dir, i,
					 tree == TREE_ORIGINAL ? "original" : "fixed"),
			.log = xasprintf("%s/objects/%zu.log", scratch->dir, i),
			.good = &good,
		};
		commands[nr] = (struct command){
			.argv = make_argv(version, is_assembly(version->source) ? assembly : mode,
					  all[nr].out),
			.env = fixed_time(version->call->env),
			.cwd = version->call->cwd,
			.log = all[nr].log,
			.done = compiled,
			.data = &all[nr],
		};
		nr++;
	}
	return good && run_all(scratch, commands, nr, parallel) && good;
}
