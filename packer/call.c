// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a call of gcc or clang does.  Options are taken apart only as far as this
 * needs: what is read, what is written, and which of them shape the object.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"
#include "build.h"

enum effect {
	SHAPES,		/* the object is another one with it */
	LINKS,		/* matters to the linker only */
	WRITES,		/* makes another file beside the object: not when we compile */
	OUTPUT,		/* -o */
	LANGUAGE,	/* -x */
	LIBRARY,	/* -l */
	TO_OBJECT,	/* -c */
	TO_OTHER,	/* no object comes out of it */
	LTO,
	NO_LTO,
};

enum form {
	ALONE,		/* -c */
	JOINED,		/* -fplugin=x */
	SEPARATE,	/* -o x, -ox */
	NEXT,		/* -Xlinker x only */
};

/* The first that fits counts.  What is not here is ALONE or JOINED and SHAPES. */
static const struct option_kind {
	const char *name;
	enum form form;
	enum effect effect;
} kinds[] = {
	{ "-c", ALONE, TO_OBJECT },
	{ "-S", ALONE, TO_OTHER },
	{ "-E", ALONE, TO_OTHER },
	{ "-M", ALONE, TO_OTHER },
	{ "-MM", ALONE, TO_OTHER },
	{ "-fsyntax-only", ALONE, TO_OTHER },
	{ "-###", ALONE, TO_OTHER },
	{ "-o", SEPARATE, OUTPUT },
	{ "-x", SEPARATE, LANGUAGE },
	{ "-l", SEPARATE, LIBRARY },
	{ "-flto", ALONE, LTO },
	{ "-flto=", JOINED, LTO },
	{ "-fno-lto", ALONE, NO_LTO },
	/* dependencies */
	{ "-MD", ALONE, WRITES },
	{ "-MMD", ALONE, WRITES },
	{ "-MP", ALONE, WRITES },
	{ "-MG", ALONE, WRITES },
	{ "-MV", ALONE, WRITES },
	{ "-MF", SEPARATE, WRITES },
	{ "-MT", SEPARATE, WRITES },
	{ "-MQ", SEPARATE, WRITES },
	{ "-MJ", SEPARATE, WRITES },
	{ "-Wp,-M", JOINED, WRITES },
	{ "--write-dependencies", ALONE, WRITES },
	{ "--write-user-dependencies", ALONE, WRITES },
	{ "-gsplit-dwarf", ALONE, WRITES },
	{ "-save-temps", ALONE, WRITES },
	{ "-save-temps=", JOINED, WRITES },
	{ "--save-temps", ALONE, WRITES },
	{ "-fdump-", JOINED, WRITES },
	{ "-fcallgraph-info", JOINED, WRITES },
	{ "-fstack-usage", ALONE, WRITES },
	{ "-fopt-info", JOINED, WRITES },
	{ "-dumpbase", NEXT, WRITES },
	{ "-dumpbase-ext", NEXT, WRITES },
	{ "-dumpdir", NEXT, WRITES },
	{ "-aux-info", NEXT, WRITES },
	{ "-serialize-diagnostics", NEXT, WRITES },
	{ "--serialize-diagnostics", NEXT, WRITES },
	/* the linker's */
	{ "-Wl,", JOINED, LINKS },
	{ "-Xlinker", NEXT, LINKS },
	{ "-L", SEPARATE, LINKS },
	{ "-T", SEPARATE, LINKS },
	{ "-undef", ALONE, SHAPES },
	{ "-u", SEPARATE, LINKS },
	{ "-z", SEPARATE, LINKS },
	{ "-e", NEXT, LINKS },
	{ "-h", NEXT, LINKS },
	{ "-rpath", NEXT, LINKS },
	{ "-soname", NEXT, LINKS },
	{ "-rdynamic", ALONE, LINKS },
	{ "-static-libgcc", ALONE, LINKS },
	{ "-static-libstdc++", ALONE, LINKS },
	{ "-nostdlib", ALONE, LINKS },
	{ "-nodefaultlibs", ALONE, LINKS },
	{ "-nostartfiles", ALONE, LINKS },
	{ "-s", ALONE, LINKS },
	{ "-r", ALONE, LINKS },
	{ "-export-dynamic", ALONE, LINKS },
	/* shaping ones whose argument may be the next word */
	{ "-D", SEPARATE, SHAPES },
	{ "-U", SEPARATE, SHAPES },
	{ "-include-pch", NEXT, SHAPES },
	{ "-include", SEPARATE, SHAPES },
	{ "-imacros", SEPARATE, SHAPES },
	{ "-iquote", SEPARATE, SHAPES },
	{ "-isystem", SEPARATE, SHAPES },
	{ "-idirafter", SEPARATE, SHAPES },
	{ "-iprefix", SEPARATE, SHAPES },
	{ "-iwithprefixbefore", SEPARATE, SHAPES },
	{ "-iwithprefix", SEPARATE, SHAPES },
	{ "-isysroot", SEPARATE, SHAPES },
	{ "-imultilib", SEPARATE, SHAPES },
	{ "-imultiarch", SEPARATE, SHAPES },
	{ "-iframework", SEPARATE, SHAPES },
	{ "-I", SEPARATE, SHAPES },
	{ "-A", SEPARATE, SHAPES },
	{ "-B", SEPARATE, SHAPES },
	{ "-G", SEPARATE, SHAPES },
	{ "--param", NEXT, SHAPES },
	{ "--sysroot", NEXT, SHAPES },
	{ "--include", NEXT, SHAPES },
	{ "-target", NEXT, SHAPES },
	{ "-arch", NEXT, SHAPES },
	{ "-mllvm", NEXT, SHAPES },
	{ "-Xassembler", NEXT, SHAPES },
	{ "-Xpreprocessor", NEXT, SHAPES },
	{ "-Xclang", NEXT, SHAPES },
	{ "-wrapper", NEXT, SHAPES },
};

static const char *const source_suffixes[] = {
	"c", "i", "ii", "cc", "cp", "cxx", "cpp", "CPP", "c++", "C", "S", "sx", "s",
};

static bool fits(const struct option_kind *kind, const char *option)
{
	size_t length = strlen(kind->name);

	switch (kind->form) {
	case ALONE:
	case NEXT:
		return !strcmp(option, kind->name);
	default:
		return !strncmp(option, kind->name, length);
	}
}

static const struct option_kind *kind_of(const char *option)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (fits(&kinds[i], option))
			return &kinds[i];
	return NULL;
}

/* Not realpath(): it is compared, and looked up in either tree. */
char *path_absolute(const char *cwd, const char *path)
{
	char *out = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", cwd, path), *to = out;

	for (const char *from = out; *from;) {
		if (from[0] == '/' && from[1] == '/') {
			from++;
		} else if (!strncmp(from, "/./", 3) || !strcmp(from, "/.")) {
			from += 2;
		} else if (!strncmp(from, "/../", 4) || !strcmp(from, "/..")) {
			from += 3;
			while (to > out && *--to != '/')
				;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return out;
}

static bool is_source(const char *path, const char *language)
{
	const char *dot = strrchr(base_name(path), '.');

	/* of a language that has a header's name comes a precompiled one */
	if (language)
		return !strstr(language, "header");
	for (size_t i = 0; dot && i < sizeof(source_suffixes) / sizeof(source_suffixes[0]); i++)
		if (!strcmp(dot + 1, source_suffixes[i]))
			return true;
	return false;
}

static void add_input(struct call *call, const char *given, const char *language, bool library)
{
	struct input *input = &append(call->inputs, call->nr_inputs);

	input->given = given;
	input->path = library ? given : path_absolute(call->cwd, given);
	input->language = language;
	input->source = !library && is_source(given, language);
}

static void add_option(struct call *call, char *option)
{
	append(call->options, call->nr_options) = option;
}

/* Also among others behind -Wl; the library itself tells of -Bsymbolic. */
static bool is_symbolic(const char *option)
{
	return option && (strstr(option, "-Bsymbolic-functions") ||
			  strstr(option, "-Bsymbolic-non-weak-functions"));
}

void call_parse(struct call *call, char *const *args)
{
	const char *language = NULL;

	call->kind = CALL_LINK;
	for (; *args; args++) {
		const struct option_kind *kind = NULL;
		char *option = *args, *value = NULL;

		if (option[0] != '-' || !option[1]) {
			if (option[0] == '-')
				call->kind = CALL_OTHER;	/* standard input */
			add_input(call, option, language, false);
			continue;
		}
		kind = kind_of(option);
		if (kind && kind->form == SEPARATE)
			value = option + strlen(kind->name);
		if (kind && (kind->form == NEXT || (value && !*value)))
			value = args[1] ? *++args : NULL;
		switch (kind ? kind->effect : SHAPES) {
		case SHAPES:
			add_option(call, option);
			if (kind && value && value == *args)
				add_option(call, value);
			break;
		case OUTPUT:
			call->output = value ? path_absolute(call->cwd, value) : NULL;
			break;
		case LANGUAGE:
			language = value && strcmp(value, "none") != 0 ? value : NULL;
			break;
		case LIBRARY:
			if (value)
				add_input(call, xasprintf("-l%s", value), NULL, true);
			break;
		case LINKS:
			/* where libraries are is said in the order of the inputs */
			if (value && !strcmp(kind->name, "-L"))
				add_input(call, xasprintf("-L%s", path_absolute(call->cwd, value)),
					  NULL, true);
			call->symbolic |= is_symbolic(option) || is_symbolic(value);
			break;
		case TO_OBJECT:
			if (call->kind == CALL_LINK)
				call->kind = CALL_COMPILE;
			break;
		case TO_OTHER:
			call->kind = CALL_OTHER;
			break;
		case LTO:
			call->lto = option;
			add_option(call, option);
			break;
		case NO_LTO:
			call->lto = NULL;
			add_option(call, option);
			break;
		case WRITES:
			break;
		}
	}
	add_option(call, NULL);
	call->nr_options--;
	if (!call->nr_inputs)
		call->kind = CALL_OTHER;
	if (call->kind == CALL_LINK && !call->output)
		call->output = path_absolute(call->cwd, "a.out");
}

char *call_object(const struct call *call, const struct input *source)
{
	const char *name = base_name(source->given), *dot = strrchr(name, '.');

	if (call->kind != CALL_COMPILE || !source->source)
		return NULL;
	if (call->output)
		return xstrdup(call->output);
	return path_absolute(call->cwd, xasprintf("%.*s.o", dot ? (int)(dot - name) :
							    (int)strlen(name), name));
}

/* ---- what the recorder wrote ---- */

/* The next field of @text, which is as long as up to @end and ends with NUL. */
static char *next_field(char **text, const char *end)
{
	char *field = *text;

	if (field >= end)
		return NULL;
	*text += strlen(field) + 1;
	return field;
}

static bool read_call(const char *path, struct call *call)
{
	char *text, *end, *field, **args = NULL;
	size_t size, nr = 0, nr_args = 0, nr_env = 0;

	text = file_read(path, &size);
	if (!text) {
		error("%s: %s", path, strerror(errno));
		return false;
	}
	end = text + size;
	memset(call, 0, sizeof(*call));
	call->cwd = next_field(&text, end);
	call->compiler = next_field(&text, end);
	field = next_field(&text, end);
	if (!field) {
		error("%s: not a recorded call", path);
		return false;
	}
	nr = strtoul(field, NULL, 10);
	while (nr_args < nr && (field = next_field(&text, end)))
		append(args, nr_args) = field;
	append(args, nr_args) = NULL;
	while ((field = next_field(&text, end)))
		append(call->env, nr_env) = field;
	append(call->env, nr_env) = NULL;
	call_parse(call, args);
	return true;
}

static int is_call(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

bool calls_read(const struct scratch *scratch, enum tree tree, struct call **calls, size_t *nr)
{
	char *dir = xasprintf("%s/calls.%s", scratch->dir,
			      tree == TREE_ORIGINAL ? "original" : "fixed");
	struct dirent **names;
	int found = scandir(dir, &names, is_call, alphasort);

	*calls = NULL;
	*nr = 0;
	if (found < 0) {
		error("%s: %s", dir, strerror(errno));
		return false;
	}
	for (int i = 0; i < found; i++)
		if (!read_call(xasprintf("%s/%s", dir, names[i]->d_name),
			       &append(*calls, *nr)))
			return false;
	return true;
}
