// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Constants: strings, numbers in memory, tables of numbers, strings and functions,
 * jump tables that grow, appear and go, __func__, structures compared by address.
 *
 * FLAVOURS lib pie nopie static staticpie Os O1 gold lld
 * VM nopie
 * ASK 0 | zero 0.50 one 10 zero same say | null 0.25 one 110 zero same say3 | zero 0.50 one 10 zero same say
 * ASK 2 | two 1.50 two 12 none same say | zwei 0.75 two 112 two same say3 | two 1.50 two 12 none same say
 * ASK 5 | many 3.00 many 15 none same say | five 1.50 five 106 five same say3 | many 3.00 many 15 none same say
 */
#include "case.h"

struct kind {
	const char *name;
	int (*run)(int x);
};

static NOINLINE int plus(int x)
{
	return x + 10;
}

#ifdef FIXED
static NOINLINE int more(int x)
{
	return x + 101;
}
#endif

static NOINLINE int plus_too(int x)
{
#ifdef FIXED
	return x + 110;
#else
	return x + 10;
#endif
}

static const struct kind kinds[] = {
	{ "zero", plus_too },
	{ "one", plus },
	{ "two", plus_too },
#ifdef FIXED
	{ "five", more },
#endif
};

/* not changed, and compared by address */
static const struct kind fixed = { "fixed", plus };
static const struct kind *kept = &fixed;

static NOINLINE const char *by_switch(int x)
{
	switch (x) {
#ifdef FIXED
	case 0: return "null";
	case 2: return "zwei";
	case 5: return "five";
	case 6: return "six";
#else
	case 0: return "zero";
	case 2: return "two";
#endif
	case 1: return "one";
	case 3: return "three";
	case 4: return "four";
	}
	return "many";
}

/* a table of code addresses, not of values */
static NOINLINE int by_jump(int x)
{
	switch (x) {
	case 0: return plus(0);
	case 1: return plus_too(1) * 2;
	case 2: return getpid() ? 12 : 1;
	case 3: return atoi("13") + plus(3);
	case 4: return abs(x) + plus(4);
#ifdef FIXED
	case 5: return more(5);
	case 6: return fflush(stdout);
#endif
	}
	return x + 10;
}

static NOINLINE const char *from_table(int x)
{
#ifdef FIXED
	return x == 5 ? kinds[3].name : x < 3 ? kinds[x].name : "none";
#else
	return x < 2 ? kinds[x].name : "none";
#endif
}

static NOINLINE const char *say(void)
{
#ifdef FIXED
	return __func__[3] ? "" : "say3";
#else
	return __func__;
#endif
}

static NOINLINE const char *compare(void)
{
#ifdef FIXED
	if (!kept)
		return "gone";
#endif
	return kept == &fixed ? "same" : "other";
}

void ask(const char *arg)
{
	int x = atoi(arg);
#ifdef FIXED
	double half = (x + 1) * 0.25;
	int jump = by_jump(x) + (x < 5 ? 100 : 0);

	reply("%s %.2f %s %d %s %s %s", by_switch(x), half, x == 0 ? "one" : x == 5 ? "five" :
	      "two", jump, from_table(x), compare(), say());
#else
	double half = (x + 1) * 0.5;

	reply("%s %.2f %s %d %s %s %s", by_switch(x), half, x == 0 ? "one" : x == 5 ? "many" :
	      "two", by_jump(x), from_table(x), compare(), say());
#endif
}
