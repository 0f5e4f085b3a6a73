// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Function pointers taken before lead to the new code, and a function has one
 * address for old and new code, static or not, imported or not.
 *
 * FLAVOURS lib pie nopie static staticpie cet nops O0 gold lld
 * VM cet
 * ASK keep | kept | kept again same same | kept
 * ASK call | 11 12 | 111 112 | 11 12
 */
#include "case.h"

typedef int (*number)(int x);

static number kept_static, kept_global;
int (*kept_import)(const char *text);
static const number table_of_old[2];
int global_function(int x);

static NOINLINE int static_function(int x)
{
#ifdef FIXED
	return x + 110;
#else
	return x + 10;
#endif
}

NOINLINE int global_function(int x)
{
#ifdef FIXED
	return x + 111;
#else
	return x + 11;
#endif
}

static const number table[] = { static_function, global_function };

void ask(const char *arg)
{
	if (!strcmp(arg, "call")) {
		reply("%d %d", kept_static(1), kept_global(1));
		return;
	}
#ifdef FIXED
	reply("kept again %s %s",
	      kept_static == static_function && kept_global == global_function &&
	      kept_import == puts ? "same" : "other",
	      kept_static == table[atoi("0")] && kept_global == table[atoi("1")] &&
	      !table_of_old[atoi("0")] ? "same" : "other");
#else
	reply("kept");
#endif
	kept_static = table[atoi("0")];
	kept_global = table[atoi("1")];
	kept_import = puts;
	if (table_of_old[atoi("1")])
		reply("never");
}
