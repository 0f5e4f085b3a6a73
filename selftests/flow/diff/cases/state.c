// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Variables keep their values: static ones of one name in two functions, of the
 * file, global ones; new ones come with the patch, shared by two new functions.
 *
 * FLAVOURS lib pie nopie static staticpie cet nops Os O0 picexe gold lld
 * VM static nops
 * ASK 1 | 101 201 8 1 | 1104 1204 109 4 1 1 | 107 207 210 7
 * ASK 2 | 103 203 9 3 | 1106 1206 209 6 3 2 | 109 209 211 9
 */
#include "case.h"

static int of_file = 7;
int global;

#ifdef FIXED
int new_global;
static int calls;
#define MORE	1000

static NOINLINE int sum(int add)
{
	return new_global += add;
}

static NOINLINE void count(void)
{
	calls++;
	new_global += calls - calls;
}
#else
#define MORE	0
#endif

static NOINLINE int first(int add)
{
	static int count = 100;

	count += add;
	return count + MORE;
}

static NOINLINE int second(int add)
{
	static int count = 200;

	count += add;
	return count + MORE;
}

void ask(const char *arg)
{
	int a = first(atoi(arg)), b = second(atoi(arg));

	global += atoi(arg);
#ifdef FIXED
	count();
	of_file += 100;
	reply("%d %d %d %d %d %d", a, b, of_file, global, sum(atoi(arg)), calls);
#else
	of_file++;
	reply("%d %d %d %d", a, b, of_file, global);
#endif
}
