// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * #line directives.  A diff that adds a line moves all below it, and with them the
 * numbers that assert() and its like compile into functions which the diff does not
 * mean.  Behind each hunk that moves lines, the next line gets back its old number
 * - at the first place where a directive can stand: not within a comment, a string,
 * a directive or parentheses, which may be those of a macro.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

#define MAX_CONDITIONALS	64

/* Where the text stands between two lines. */
struct state {
	bool comment;			/* within one */
	char *raw;			/* within a raw string: what ends it */
	bool directive, continued;	/* the line before goes on in this one */
	int parentheses;
	int at_if[MAX_CONDITIONALS];	/* how many there were at each open #if */
	int conditionals;
	int leaves;			/* the line ended a branch of that many #if */
};

/* R"x( ends with )x" */
static const char *begin_raw(struct state *state, const char *p, const char *end)
{
	const char *paren = memchr(p, '(', end - p);

	if (!paren || paren - p > 16)
		return p;
	state->raw = xasprintf(")%.*s\"", (int)(paren - p), p);
	return paren + 1;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Is the quote at @p within a number, as in 1'000'000? */
static bool separates_digits(const char *line, const char *p)
{
	const char *start = p;

	while (start > line && (is_word(start[-1]) || start[-1] == '\''))
		start--;
	return start < p && isdigit((unsigned char)*start);
}

static const char *skip_quoted(const char *p, const char *end)
{
	char quote = *p++;

	for (; p < end && *p != quote; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static void read_directive(struct state *state, const char *p, const char *end)
{
	while (p < end && isblank((unsigned char)*p))
		p++;
	if (end - p >= 2 && !strncmp(p, "if", 2)) {
		if (state->conditionals < MAX_CONDITIONALS)
			state->at_if[state->conditionals] = state->parentheses;
		state->conditionals++;
	} else if ((end - p >= 4 && !strncmp(p, "else", 4)) ||
		   (end - p >= 4 && !strncmp(p, "elif", 4))) {
		state->leaves = state->conditionals;
		/* the other branch begins as the first one did */
		if (state->conditionals > 0 && state->conditionals <= MAX_CONDITIONALS)
			state->parentheses = state->at_if[state->conditionals - 1];
	} else if (end - p >= 5 && !strncmp(p, "endif", 5)) {
		state->leaves = state->conditionals;
		if (state->conditionals > 0)
			state->conditionals--;
	}
}

static void read_line(struct state *state, const char *line, const char *end)
{
	const char *p = line;

	state->leaves = 0;
	if (!state->continued)
		state->directive = false;
	if (!state->comment && !state->raw && !state->continued) {
		while (p < end && isblank((unsigned char)*p))
			p++;
		if (p < end && *p == '#') {
			state->directive = true;
			read_directive(state, p + 1, end);
		} else if (p == line && p < end && *p == '}') {
			/* whatever was miscounted, a function ends here */
			state->parentheses = 0;
		}
	}
	while (p < end) {
		if (state->comment) {
			if (end - p >= 2 && p[0] == '*' && p[1] == '/') {
				state->comment = false;
				p++;
			}
			p++;
		} else if (state->raw) {
			size_t length = strlen(state->raw);

			if ((size_t)(end - p) >= length && !strncmp(p, state->raw, length)) {
				p += length - 1;
				state->raw = NULL;
			}
			p++;
		} else if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
			break;
		} else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
			state->comment = true;
			p += 2;
		} else if (*p == '"' && p > line && p[-1] == 'R' &&
			   (p - 1 == line || !is_word(p[-2]) || strchr("8uUL", p[-2]))) {
			p = begin_raw(state, p + 1, end);
		} else if (*p == '"' || (*p == '\'' && !separates_digits(line, p))) {
			p = skip_quoted(p, end);
		} else {
			if (!state->directive)
				state->parentheses += *p == '(' ? 1 : *p == ')' ? -1 : 0;
			if (state->parentheses < 0)
				state->parentheses = 0;
			p++;
		}
	}
	state->continued = end > line && end[-1] == '\\';
}

static bool may_stand(const struct state *state)
{
	return !state->comment && !state->raw && !state->continued && !state->parentheses;
}

/* The number that a #line or # directive gives the line behind it, or 0. */
static unsigned long line_directive(const char *line)
{
	line += strspn(line, " \t");
	if (*line++ != '#')
		return 0;
	line += strspn(line, " \t");
	if (!strncmp(line, "line", 4))
		line += 4;
	line += strspn(line, " \t");
	return isdigit((unsigned char)*line) ? strtoul(line, NULL, 10) : 0;
}

/* What __LINE__ is in each line of @text; [0] is the first line's. */
static unsigned long *numbers_of(const char *text, size_t *nr)
{
	unsigned long *numbers = NULL, number = 1;

	*nr = 0;
	while (*text) {
		const char *newline = strchr(text, '\n');
		unsigned long said = line_directive(text);

		append(numbers, *nr) = number;
		number = said ? said : number + 1;
		text = newline ? newline + 1 : text + strlen(text);
	}
	return numbers;
}

/*
 * For each line of the fixed text the line of the original that it is, 0 if it is
 * new.  Of lines like "@@ -3,2 +3,4 @@": from line 3 on, 2 lines became 4.
 */
static unsigned long *old_lines(const char *hunks, size_t nr)
{
	unsigned long *old = xcalloc(nr + 1, sizeof(*old)), moved = 0, line = 1;

	for (const char *p = hunks; p && *p; p = strchr(p, '\n')) {
		unsigned long start[2], count[2];
		char *number;

		p += *p == '\n';
		if (strncmp(p, "@@ -", 4) != 0)
			continue;
		number = (char *)p + 3;
		for (int i = 0; i < 2; i++) {
			start[i] = strtoul(number + 1, &number, 10);
			count[i] = *number == ',' ? strtoul(number + 1, &number, 10) : 1;
			/* of no lines, the one before is named */
			start[i] += !count[i];
			number += *number == ' ';
		}
		for (; line < start[1] && line <= nr; line++)
			old[line] = line - moved;
		line += count[1];
		moved = start[1] + count[1] - start[0] - count[0];
	}
	for (; line <= nr; line++)
		old[line] = line - moved;
	return old;
}

char *lines_keep(const char *original, const char *fixed, const char *hunks)
{
	size_t nr_original, nr_fixed, size = 0, line = 1;
	unsigned long *numbers = numbers_of(original, &nr_original);
	unsigned long *old, shown = 1;	/* what __LINE__ would be */
	struct state state = { 0 };
	bool made = false;
	int within = 0;			/* how many #if are around our last directive */
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	free(numbers_of(fixed, &nr_fixed));
	old = old_lines(hunks, nr_fixed);
	for (const char *p = fixed; out && *p; line++) {
		const char *newline = strchr(p, '\n');
		const char *end = newline ? newline : p + strlen(p);
		unsigned long said = state.comment ? 0 : line_directive(p);

		if (old[line] && old[line] <= nr_original && may_stand(&state) &&
		    shown != numbers[old[line] - 1]) {
			shown = numbers[old[line] - 1];
			fprintf(out, "#line %lu\n", shown);
			within = state.conditionals;
			made = true;
		}
		shown = said ? said : shown ? shown + 1 : 0;
		read_line(&state, p, end);
		/* it was not seen if its branch is not taken: to be said again behind it */
		if (state.leaves && within >= state.leaves)
			shown = 0;
		fwrite(p, 1, end - p + (newline ? 1 : 0), out);
		p = newline ? newline + 1 : end;
	}
	if (out)
		fclose(out);
	free(numbers);
	free(old);
	return made ? text : NULL;
}

static char *hunks_of(const struct scratch *scratch, const char *original, const char *fixed)
{
	char *out = xasprintf("%s/hunks", scratch->dir);
	char *const argv[] = { (char *)"diff", (char *)"-aU0", (char *)original, (char *)fixed,
			       NULL };
	struct command command = { .argv = argv, .cwd = scratch->dir, .out = out };

	unlink(out);
	if (!run_all(scratch, &command, 1, 1))
		return NULL;
	if (command.status > 1) {
		error("diff(1) fails for %s: exit status %d", fixed, command.status);
		return NULL;
	}
	return file_read(out, NULL);
}

/* The fixed file is as old as the original, for __TIMESTAMP__. */
static bool keep_time(const char *original, const char *fixed)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat stat;

	if (lstat(original, &stat))
		return false;
	times[1] = stat.st_mtim;
	return !utimensat(AT_FDCWD, fixed, times, AT_SYMLINK_NOFOLLOW);
}

bool lines_keep_all(const struct scratch *scratch, const struct fix *fix,
		    bool (*is_code)(const char *path, void *data), void *data)
{
	for (size_t i = 0; i < fix->nr; i++) {
		char *original, *fixed, *hunks, *kept, *texts[2];
		size_t size[2];

		if (fix->files[i].how != TOUCH_CHANGED ||
		    !is_code(xasprintf("%s/%s", scratch->place, fix->files[i].path), data))
			continue;
		original = xasprintf("%s/%s", scratch->trees[TREE_ORIGINAL], fix->files[i].path);
		fixed = xasprintf("%s/%s", scratch->trees[TREE_FIXED], fix->files[i].path);
		hunks = hunks_of(scratch, original, fixed);
		if (!hunks)
			return false;
		texts[0] = file_read(original, &size[0]);
		texts[1] = file_read(fixed, &size[1]);
		/* a file with NULs is no source */
		kept = texts[0] && texts[1] && strlen(texts[1]) == size[1] ?
			lines_keep(texts[0], texts[1], hunks) : NULL;
		if (kept && !file_write(fixed, kept, strlen(kept)))
			return false;
		if (!keep_time(original, fixed)) {
			error("%s: %s", fixed, strerror(errno));
			return false;
		}
	}
	return true;
}
