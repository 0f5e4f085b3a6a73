// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names: protected, hidden and weak ones, aliases, common variables, imports that are
 * there and that are not, old and new ones, variables that a program has copies of.
 *
 * FLAVOURS lib symbolic noplt pie nopie static staticpie cet O0 O1 O3 gold lld picexe
 * VM symbolic O1
 * FLAGS -fcommon
 * ASK 1 | 11 21 31 41 4 0 10 9 | 112 222 332 442 1004 0 20 18 5 0 3 | 13 23 33 43 4 0 40 36
 */
#include "case.h"
#include "support.h"

int support_present(int x) __attribute__((weak));
int support_absent(int x) __attribute__((weak));
int common_count;
__attribute__((visibility("protected"))) int protected_count = 20;
__attribute__((visibility("hidden"))) int hidden_count = 30;
__attribute__((weak)) int weak_count = 40;

#ifdef FIXED
#define MORE 100
int new_common;
int support_never(int x) __attribute__((weak));
#else
#define MORE 0
#endif

__attribute__((visibility("protected"), noinline)) int protected_one(int x)
{
	common_count += x;
	return common_count + 10 + MORE;
}

__attribute__((visibility("hidden"), noinline)) int hidden_one(int x)
{
	protected_count += x;
	return protected_count + 2 * MORE;
}

__attribute__((weak, noinline)) int weak_one(int x)
{
	hidden_count += x;
	return hidden_count + 3 * MORE;
}

__attribute__((noinline)) int strong_one(int x)
{
	weak_count += x;
	return weak_count + 4 * MORE;
}

int alias_one(int x) __attribute__((alias("strong_one")));

void ask(const char *arg)
{
	int x = atoi(arg), sum = 0;
	int a = protected_one(x), b = hidden_one(x), c = weak_one(x), d = alias_one(x);

	for (int i = 0; i < 4; i++)
		sum += support_data[i];
#ifdef FIXED
	new_common += 5;
	reply("%d %d %d %d %d %d %d %d %d %d %d", a, b, c, d,
	      support_present ? 1000 + support_present(x) : -1,
	      support_absent ? support_absent(x) : 0, sum, support_protected, new_common,
	      support_never ? support_never(x) : 0, support_version(x));
#else
	reply("%d %d %d %d %d %d %d %d", a, b, c, d, support_present ? support_present(x) : -1,
	      support_absent ? support_absent(x) : 0, sum, support_protected);
#endif
	for (int i = 0; i < 4; i++)
		support_data[i] *= 2;
	support_protected *= 2;
}
