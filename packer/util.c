// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory and messages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"

int verbosity;

static void *have(void *memory)
{
	if (!memory) {
		fputs("ulp-packer: error: out of memory\n", stderr);
		exit(EXIT_FAILED);
	}
	return memory;
}

void *xcalloc(size_t nr, size_t size)
{
	return have(calloc(nr ? nr : 1, size));
}

char *xstrdup(const char *text)
{
	return have(strdup(text));
}

char *xstrndup(const char *text, size_t length)
{
	return have(strndup(text, length));
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *out;

	va_start(args, format);
	if (vasprintf(&out, format, args) < 0)
		out = NULL;
	va_end(args);
	return have(out);
}

char *xappend(char *text, size_t *length, const char *more)
{
	size_t size = strlen(more);

	text = have(realloc(text, *length + size + 1));
	memcpy(text + *length, more, size + 1);
	*length += size;
	return text;
}

/* The array doubles whenever its number of entries is a power of two. */
void *grow(void *array, size_t nr, size_t size)
{
	if (!nr || !(nr & (nr - 1)))
		array = have(reallocarray(array, nr ? 2 * nr : 1, size));
	memset((char *)array + nr * size, 0, size);
	return array;
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *hex(const uint8_t *bytes, size_t size)
{
	char *text = xcalloc(2 * size + 1, 1);

	for (size_t i = 0; i < size; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	return text;
}

static const char *const kinds[] = {
	[MESSAGE_ERROR]	  = "error",
	[MESSAGE_WARNING] = "warning",
	[MESSAGE_NOTE]	  = "note",
};

static bool wanted(enum message kind)
{
	return kind == MESSAGE_ERROR || verbosity >= 0;
}

void message(enum message kind, const char *format, ...)
{
	va_list args;

	if (!wanted(kind))
		return;
	fprintf(stderr, "ulp-packer: %s: ", kinds[kind]);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* The line, and a caret under the field: tabs stay tabs to keep it in place. */
static void show_line(const struct description *desc, const struct field *field)
{
	const char *line = desc->lines[field->line - 1];
	size_t width = field->text ? strlen(field->text) : 0;

	fprintf(stderr, "%5u | %s\n      | ", field->line, line);
	for (unsigned int i = 1; i < field->column && line[i - 1]; i++)
		fputc(line[i - 1] == '\t' ? '\t' : ' ', stderr);
	fputc('^', stderr);
	for (size_t i = 1; i < width; i++)
		fputc('~', stderr);
	fputc('\n', stderr);
}

void message_at(enum message kind, const struct description *desc, const struct field *field,
		const char *format, ...)
{
	va_list args;

	if (!wanted(kind))
		return;
	if (field->line)
		fprintf(stderr, "%s:%u:%u: %s: ", desc->path, field->line, field->column,
			kinds[kind]);
	else
		fprintf(stderr, "%s: %s: ", desc->path, kinds[kind]);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (field->line && field->line <= desc->nr_lines)
		show_line(desc, field);
}
