// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * All that ordinary code does: each WHAT is one thing that has to be right in
 * code that no dynamic linker has loaded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "victims/libvictim.h"

struct tls_index {
	unsigned long module, offset;
};

void new_probe(const char *what, char *out, size_t size);
int own_function(int x);
void *__tls_get_addr(struct tls_index *index);

/* weak: one that is nowhere, one that is somewhere */
extern int victim_is_not_there(void) __attribute__((weak));
extern int victim_second(int x) __attribute__((weak));
extern int not_there_either __attribute__((weak));
extern char **environ;

int *ref_hidden_counter = (int *)1;
struct tls_index ref_hidden_tls = { 1, 1 };

static int calls = 500;
static int zeroes[2000];
int own_exported = 11;

static const char *const words[] = { "zero", "one", "two", "three" };

static int plus(int x)
{
	return x + 1;
}

static int minus(int x)
{
	return x - 1;
}

static int times(int x)
{
	return x * 10;
}

static int (*const operations[])(int) = { plus, minus, times };
static int (*changing[])(int) = { times, minus, plus, own_function };

int own_function(int x)
{
	return x + own_exported;
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void probe_environ(char *out, size_t size)
{
	for (char **p = environ; *p; p++) {
		if (!strncmp(*p, "VICTIM_MARK=", 12)) {
			snprintf(out, size, "%s %s", *p, getenv("VICTIM_MARK"));
			return;
		}
	}
	snprintf(out, size, "not found");
}

static void probe_malloc(const char *what, char *out, size_t size)
{
	size_t length = strlen(what) + 1;
	char *copy = malloc(length), *longer;

	memcpy(copy, what, length);
	longer = realloc(copy, 100000);
	memset(longer + length, 'x', 99999 - length);
	longer[99999] = '\0';
	snprintf(out, size, "%s %zu", longer, strlen(longer + length));
	free(longer);
}

static void probe_tables(char *out, size_t size)
{
	int x = 1;

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		x = x * 100 + operations[i](5);
	for (size_t i = 0; i < sizeof(changing) / sizeof(changing[0]); i++)
		x += changing[i](3);
	snprintf(out, size, "%s %s %d", words[x & 1], words[2], x);
}

static void probe_sort(char *out, size_t size)
{
	int values[] = { 3, 1, 2 };

	qsort(values, 3, sizeof(values[0]), by_value);
	snprintf(out, size, "%d%d%d", values[0], values[1], values[2]);
}

/* Dense enough for a jump table. */
static const char *name_of(int n)
{
	switch (n) {
	case 0:
		return "none";
	case 1:
		return own_exported == 11 ? "one" : "uno";
	case 2:
		zeroes[1]++;
		return "two";
	case 3:
		return getenv("HOME") ? "three" : "tre";
	case 4:
		calls++;
		return "four";
	case 5:
		return words[1];
	case 6:
		return "six";
	default:
		return "many";
	}
}

void new_probe(const char *what, char *out, size_t size)
{
	volatile double half = 0.5;

	if (!strcmp(what, "errno")) {
		snprintf(out, size, "close says %d", close(-1));
	} else if (!strcmp(what, "stdout")) {
		fputs("from the patch\n", stdout);
		snprintf(out, size, "descriptor %d", fileno(stdout));
	} else if (!strcmp(what, "environ")) {
		probe_environ(out, size);
	} else if (!strcmp(what, "malloc")) {
		probe_malloc(what, out, size);
	} else if (!strcmp(what, "weak")) {
		snprintf(out, size, "%s %s %d", victim_is_not_there ? "there" : "absent",
			 &not_there_either ? "there" : "absent",
			 victim_second ? victim_second(1) : -1);
	} else if (!strcmp(what, "exported")) {
		victim_counter++;
		snprintf(out, size, "%d", victim_counter);
	} else if (!strcmp(what, "tls")) {
		victim_tls += 10;
		snprintf(out, size, "%d", victim_tls);
	} else if (!strcmp(what, "reference")) {
		*ref_hidden_counter += 1;
		snprintf(out, size, "%d", *ref_hidden_counter);
	} else if (!strcmp(what, "tls-reference")) {
		int *tls = __tls_get_addr(&ref_hidden_tls);

		*tls += 100;
		snprintf(out, size, "%d", *tls);
	} else if (!strcmp(what, "static")) {
		zeroes[1999]++;
		snprintf(out, size, "%d %d %d", calls++, zeroes[0], zeroes[1999]);
	} else if (!strcmp(what, "own")) {
		snprintf(out, size, "%d", own_function(5));
	} else if (!strcmp(what, "tables")) {
		probe_tables(out, size);
	} else if (!strcmp(what, "sort")) {
		probe_sort(out, size);
	} else if (!strcmp(what, "switch")) {
		snprintf(out, size, "%s %s %s", name_of((int)strlen(what) - 3), name_of(5),
			 name_of(99));
	} else if (!strcmp(what, "double")) {
		snprintf(out, size, "%.3f", half * 3.25 + 1e3);
	} else {
		snprintf(out, size, "new %s", what);
	}
}
