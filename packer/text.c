// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Preprocessed text: what the compiler sees of it, and which files it comes from.
 */
#include <ctype.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"
#include "build.h"

/* The file's name in a line marker, as a C string. */
static char *read_name(const char **pos, const char *end)
{
	const char *p = *pos;
	char *name, *to;

	if (p == end || *p++ != '"')
		return NULL;
	name = to = xcalloc(1, end - p + 1);
	for (; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end) {
			p++;
			if (end - p >= 3 && p[0] >= '0' && p[0] <= '3') {
				*to++ = (p[0] - '0') << 6 | (p[1] - '0') << 3 | (p[2] - '0');
				p += 2;
				continue;
			}
		}
		*to++ = *p;
	}
	if (p == end) {
		free(name);
		return NULL;
	}
	*pos = p + 1;
	return name;
}

static void add_file(struct text *text, const char *cwd, const char *name)
{
	char *path;

	if (name[0] == '<')
		return;		/* <built-in> */
	path = name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", cwd, name);
	for (size_t i = 0; i < text->nr_files; i++) {
		if (!strcmp(text->files[i], path)) {
			free(path);
			return;
		}
	}
	append(text->files, text->nr_files) = path;
}

/*
 * # 12 "file.h" 1 3: a file begins (1); what #line says has no such flag.  Returns
 * false if it is not a line marker.
 */
static bool read_marker(struct text *text, const char *line, const char *end, const char *cwd)
{
	char *name;

	if (end - line < 4 || line[0] != '#' || line[1] != ' ' || !isdigit((unsigned char)line[2]))
		return false;
	line += 2;
	while (line < end && isdigit((unsigned char)*line))
		line++;
	while (line < end && *line == ' ')
		line++;
	name = read_name(&line, end);
	if (!name)
		return false;
	if (end - line >= 2 && line[0] == ' ' && line[1] == '1')
		add_file(text, cwd, name);
	free(name);
	return true;
}

void text_read(struct text *text, const char *data, size_t size, const char *cwd)
{
	/* in a raw string, blanks and empty lines count */
	bool raw = memmem(data, size, "R\"", 2);
	const char *end = data + size;
	struct sha256_ctx sha;

	memset(text, 0, sizeof(*text));
	sha256_init(&sha);
	while (data < end) {
		const char *newline = memchr(data, '\n', end - data);
		const char *line = data, *stop = newline ? newline : end;

		data = newline ? newline + 1 : end;
		if (read_marker(text, line, stop, cwd))
			continue;
		while (!raw && line < stop && isspace((unsigned char)*line))
			line++;
		while (!raw && stop > line && isspace((unsigned char)stop[-1]))
			stop--;
		if (line == stop && !raw)
			continue;
		sha256_update(&sha, stop - line, (const uint8_t *)line);
		sha256_update(&sha, 1, (const uint8_t *)"\n");
	}
	sha256_digest(&sha, 32, text->digest);
}
