// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What other objects define: stdout and environ, which a program has copies of,
 * indirect functions, functions that the original did not call, weak ones that
 * nobody defines; aliases and an indirect function of the object itself.
 *
 * FLAVOURS lib pie noplt cet O0 picexe gold
 * VM lib
 * ASK a | here old 1 7 14 absent | here new 1 107 214 absent strchr 5 | here old 1 7 14 absent
 */
#include "case.h"

extern char **environ;
int absent(int x) __attribute__((weak));
int also(int x) __attribute__((alias("own"), weak));
int chosen(int x);

int own(int x)
{
#ifdef FIXED
	return x + 106;
#else
	return x + 6;
#endif
}

static NOINLINE int twice(int x)
{
	return 2 * x;
}

static void *choose(void)
{
	return twice;
}

int chosen(int x) __attribute__((ifunc("choose")));

static NOINLINE const char *find(const char *text)
{
	setenv("DIFF_CASE", "here", 1);
	for (char **at = environ; *at; at++)
		if (!strncmp(*at, text, strlen(text)))
			return *at + strlen(text);
	return "nowhere";
}

void ask(const char *arg)
{
	const char *where = find("DIFF_CASE=");
	const char *there = absent ? "there" : "absent";

#ifdef FIXED
	char text[32] = "";

	strncat(text, strchr("a strchr", 's'), sizeof(text) - 1);
	if (absent)
		absent(1);
	fputs("", stdout);
	reply("%s new %d %d %d %s %s %d", where, fileno(stdout), also(1), chosen(own(1)), there,
	      text, (int)strnlen(arg - 0 + strlen(arg), 5) + 5);
#else
	reply("%s old %d %d %d %s", where, fileno(stdout), also(1), chosen(own(1)), there);
#endif
}
