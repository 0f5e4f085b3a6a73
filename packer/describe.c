// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The description of a patch, a .dsc file:
 *
 *	! comment; CVE-..., bsc#... and jsc#... in it become labels
 *	livepatch.so
 *	@/usr/lib/libtarget.so.1
 *	*dependency.so			(or its id)
 *	%scan-memory
 *	old_function:new_function
 *	old_function:new_function:0x1234
 *	#target_variable:slot
 *	#target_variable:slot:0x5678:0x4040
 *	#%thread_local:tls_index
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"

/* A line split at its colons. */
struct parts {
	struct field fields[5];
	size_t nr;
};

char *description_find(const struct description *desc, const char *path)
{
	const char *slash = strrchr(desc->path, '/');
	char *beside;

	if (path[0] == '/' || !slash)
		return xstrdup(path);
	beside = xasprintf("%.*s/%s", (int)(slash - desc->path), desc->path, path);
	return access(beside, F_OK) ? xstrdup(path) : beside;
}

/* The text [@start, @end) of line @line without the blanks around it. */
static struct field field_of(const struct description *desc, unsigned int line, size_t start,
			     size_t end)
{
	const char *text = desc->lines[line - 1];

	while (start < end && isblank((unsigned char)text[start]))
		start++;
	while (end > start && isblank((unsigned char)text[end - 1]))
		end--;
	return (struct field){ xstrndup(text + start, end - start), line, start + 1 };
}

static struct field rest_of_line(const struct description *desc, unsigned int line, size_t start)
{
	return field_of(desc, line, start, strlen(desc->lines[line - 1]));
}

static bool split(const struct description *desc, unsigned int line, size_t start,
		  struct parts *parts)
{
	const char *text = desc->lines[line - 1];
	size_t end;

	parts->nr = 0;
	do {
		end = start + strcspn(text + start, ":");
		if (parts->nr == sizeof(parts->fields) / sizeof(parts->fields[0])) {
			struct field field = rest_of_line(desc, line, start);

			error_at(desc, &field, "too many fields");
			return false;
		}
		parts->fields[parts->nr++] = field_of(desc, line, start, end);
		start = end + 1;
	} while (text[end]);
	return true;
}

static bool check_name(const struct description *desc, const struct field *field,
		       const char *what)
{
	if (!field->text[0]) {
		error_at(desc, field, "%s is missing", what);
		return false;
	}
	for (size_t i = 0; field->text[i]; i++)
		if ((unsigned char)field->text[i] <= ' ' || field->text[i] == 0x7f) {
			struct field at = { NULL, field->line, field->column + i };

			error_at(desc, &at, "blank or control character inside %s", what);
			return false;
		}
	return true;
}

static bool parse_address(const struct description *desc, const struct field *field,
			  uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(field->text, &end, 16);
	if (!isxdigit((unsigned char)field->text[0]) || *end || errno) {
		error_at(desc, field, "'%s' is not an address in hexadecimal", field->text);
		return false;
	}
	return true;
}

/* old:new[:address]; old may have a version, as in nm's output. */
static bool parse_function(struct description *desc, unsigned int line)
{
	struct described_function *function;
	struct parts parts;
	char *at;

	if (!split(desc, line, 0, &parts) ||
	    !check_name(desc, &parts.fields[0], "the name of the old function"))
		return false;
	if (parts.nr < 2) {
		error_at(desc, &parts.fields[0],
			 "expected old_function:new_function, found no ':'");
		return false;
	}
	if (!check_name(desc, &parts.fields[1], "the name of the new function"))
		return false;
	if (parts.nr > 3) {
		error_at(desc, &parts.fields[3],
			 "too many fields: expected old_function:new_function[:address]");
		return false;
	}
	function = &append(desc->functions, desc->nr_functions);
	function->old_name = parts.fields[0];
	function->new_name = parts.fields[1];
	at = strchr(function->old_name.text + 1, '@');
	if (at) {
		function->version = at + (at[1] == '@' ? 2 : 1);
		*at = '\0';
		if (!*function->version) {
			error_at(desc, &function->old_name, "no version behind '@'");
			return false;
		}
	}
	if (parts.nr < 3)
		return true;
	function->address = parts.fields[2];
	return parse_address(desc, &function->address, &function->value);
}

/* #[%|=]variable:slot[:address:address], @start is behind the '#' */
static bool parse_reference(struct description *desc, unsigned int line, size_t start)
{
	struct described_reference *reference;
	bool tls = desc->lines[line - 1][start] == '%';
	bool original = desc->lines[line - 1][start] == '=';
	struct parts parts;

	if (!split(desc, line, start + (tls || original), &parts) ||
	    !check_name(desc, &parts.fields[0], "the name of the target's variable"))
		return false;
	if (parts.nr < 2) {
		error_at(desc, &parts.fields[0], "expected #%svariable:slot, found no ':'",
			 tls ? "%" : original ? "=" : "");
		return false;
	}
	if (!check_name(desc, &parts.fields[1], "the name of the patch's variable"))
		return false;
	if (parts.nr != 2 && parts.nr != 4) {
		error_at(desc, &parts.fields[2],
			 "expected two addresses, the target's and the patch's, or none");
		return false;
	}
	reference = &append(desc->references, desc->nr_references);
	reference->target_name = parts.fields[0];
	reference->slot_name = parts.fields[1];
	reference->tls = tls;
	reference->original = original;
	if (parts.nr == 2)
		return true;
	reference->target_offset = parts.fields[2];
	reference->slot_offset = parts.fields[3];
	return parse_address(desc, &parts.fields[2], &reference->target_value) &&
	       parse_address(desc, &parts.fields[3], &reference->slot_value);
}

static bool parse_target(struct description *desc, unsigned int line, size_t start)
{
	struct field field = rest_of_line(desc, line, start);

	if (!field.text[0]) {
		error_at(desc, &field, "the path of the target is missing behind '@'");
		return false;
	}
	if (desc->target.text) {
		error_at(desc, &field,
			 "a second target: one description is for one object, make another one");
		message_at(MESSAGE_NOTE, desc, &desc->target, "the first one is here");
		return false;
	}
	desc->target = field;
	return true;
}

static bool parse_dependency(struct description *desc, unsigned int line, size_t start)
{
	struct field field = rest_of_line(desc, line, start);

	if (!field.text[0]) {
		error_at(desc, &field, "the id or path of a patch is missing behind '*'");
		return false;
	}
	append(desc->dependencies, desc->nr_dependencies) = field;
	return true;
}

/* %what the whole patch is to be like */
static bool parse_setting(struct description *desc, unsigned int line, size_t start)
{
	struct field field = rest_of_line(desc, line, start);

	if (strcmp(field.text, "scan-memory") != 0) {
		error_at(desc, &field, "unknown setting behind '%%': there is %%scan-memory");
		return false;
	}
	desc->scan_memory = true;
	return true;
}

static void add_label(struct description *desc, char *label)
{
	for (size_t i = 0; i < desc->nr_labels; i++)
		if (!strcmp(desc->labels[i], label))
			return;
	append(desc->labels, desc->nr_labels) = label;
}

static size_t span_of(const char *text, int (*is)(int c))
{
	size_t length = 0;

	while (is((unsigned char)text[length]))
		length++;
	return length;
}

/* Length of the label that @text begins with, 0 if there is none. */
static size_t label_length(const char *text)
{
	size_t word, number;

	if (!strncasecmp(text, "cve-", 4)) {
		if (span_of(text + 4, isdigit) != 4 || text[8] != '-')
			return 0;
		number = span_of(text + 9, isdigit);
		return number >= 4 ? 9 + number : 0;
	}
	if (!strncasecmp(text, "bsc#", 4)) {
		number = span_of(text + 4, isdigit);
		return number ? 4 + number : 0;
	}
	if (!strncasecmp(text, "jsc#", 4)) {
		word = span_of(text + 4, isalpha);
		if (!word || text[4 + word] != '-')
			return 0;
		number = span_of(text + 5 + word, isdigit);
		return number ? 5 + word + number : 0;
	}
	return 0;
}

/* CVE-2024-1234, bsc#1234 and jsc#ABC-12 of a comment, in one spelling. */
static void find_labels(struct description *desc, const char *text)
{
	for (size_t i = 0; text[i]; i++) {
		size_t length = label_length(text + i);
		char *label;

		if (!length || length > 64 ||
		    (i && isalnum((unsigned char)text[i - 1])) ||
		    isalpha((unsigned char)text[i + length]))
			continue;
		label = xstrndup(text + i, length);
		for (size_t j = 0; j < length; j++)
			label[j] = toupper((unsigned char)label[j]);
		if (label[3] == '#')
			for (size_t j = 0; j < 3; j++)
				label[j] = tolower((unsigned char)label[j]);
		add_label(desc, label);
		i += length - 1;
	}
}

void description_comment(struct description *desc, const char *text)
{
	find_labels(desc, text);
	desc->comment = xappend(desc->comment, &desc->comment_length, text);
	desc->comment = xappend(desc->comment, &desc->comment_length, "\n");
}

void description_label(struct description *desc, const char *label)
{
	add_label(desc, xstrdup(label));
}

static bool parse_comment(struct description *desc, unsigned int line, size_t start)
{
	struct field field = rest_of_line(desc, line, start);

	description_comment(desc, field.text);
	return true;
}

static bool parse_line(struct description *desc, unsigned int line, bool has_livepatch)
{
	const char *text = desc->lines[line - 1];
	size_t start = strspn(text, " \t");

	switch (text[start]) {
	case '\0':
		return true;
	case '!':
		return parse_comment(desc, line, start + 1);
	case '@':
		return parse_target(desc, line, start + 1);
	case '*':
		return parse_dependency(desc, line, start + 1);
	case '#':
		return parse_reference(desc, line, start + 1);
	case '%':
		return parse_setting(desc, line, start + 1);
	}
	/* The first line that is none of these is a path, whatever is in it. */
	if (!desc->livepatch.text && !desc->target.text && !desc->nr_functions &&
	    !(has_livepatch && strchr(text, ':'))) {
		desc->livepatch = rest_of_line(desc, line, 0);
		return true;
	}
	return parse_function(desc, line);
}

/* Text only: what is printed again must not play with the terminal. */
static bool check_characters(const struct description *desc, unsigned int line, size_t length)
{
	const char *text = desc->lines[line - 1];

	for (size_t i = 0; i < length; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f) {
			struct field at = { NULL, 0, 0 };

			error_at(desc, &at, "line %u, column %zu: control character 0x%02x",
				 line, i + 1, text[i]);
			return false;
		}
	return true;
}

static bool read_lines(struct description *desc)
{
	FILE *file = fopen(desc->path, "re");
	char *line = NULL;
	bool good = true;
	size_t room = 0;
	ssize_t length;

	if (!file) {
		error("%s: %s", desc->path, strerror(errno));
		return false;
	}
	while ((length = getline(&line, &room, file)) >= 0) {
		if (length && line[length - 1] == '\n')
			line[--length] = '\0';
		if (length && line[length - 1] == '\r')
			line[--length] = '\0';
		append(desc->lines, desc->nr_lines) = line;
		good &= check_characters(desc, desc->nr_lines, length);
		line = NULL;
		room = 0;
	}
	if (ferror(file)) {
		error("%s: %s", desc->path, strerror(errno));
		good = false;
	}
	fclose(file);
	return good;
}

bool describe(const char *path, bool has_livepatch, struct description *desc)
{
	struct field whole = { NULL, 0, 0 };
	bool good = true;

	memset(desc, 0, sizeof(*desc));
	desc->path = path;
	desc->comment = xstrdup("");
	if (!read_lines(desc))
		return false;
	for (unsigned int line = 1; line <= desc->nr_lines; line++)
		good &= parse_line(desc, line, has_livepatch);
	if (!good)
		return false;
	if (!desc->livepatch.text && !has_livepatch) {
		error_at(desc, &whole,
			 "it names no patch: its first line is the path of the .so with the new functions");
		return false;
	}
	if (!desc->nr_functions) {
		error_at(desc, &whole,
			 "it replaces nothing: a line old_function:new_function is missing");
		return false;
	}
	return true;
}
