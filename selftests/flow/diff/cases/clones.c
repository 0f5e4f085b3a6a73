// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What compilers make of functions: clones for constants, cold and inlined parts;
 * with the change some appear, some go, and callers that did not change follow.
 *
 * FLAVOURS lib pie nopie static Os O0 gold lld
 * VM pie
 * FLAGS -O3
 * ASK 1 | 5 11 cold no 3 | 6 111 cold no 13 | 5 11 cold no 3
 * ASK 9 | 85 19 hot yes 3 | 86 119 icy yes 13 | 85 19 hot yes 3
 */
#include "case.h"

static const char *mood = "hot";
volatile int limit = 5;

__attribute__((cold)) static NOINLINE void complain(const char *text)
{
	mood = text;
}

static NOINLINE int scaled(int x, int by, int plus)
{
	if (x < 0) {
		complain("negative");
		return -scaled(-x, by, plus);
	}
#ifdef FIXED
	plus++;
#endif
	return x * x * by + plus;
}

static inline int once(int x)
{
#ifdef FIXED
	for (int i = 0; i < limit + 95; i++)
		x++;
	return x + 10;
#else
	return x + 10;
#endif
}

static NOINLINE const char *part(int x)
{
	if (__builtin_expect(x < limit, 0)) {
		complain("cold");
		return mood;
	}
#ifdef FIXED
	if (x > limit + 3)
		return "icy";
#endif
	mood = "hot";
	return mood;
}

/* does not change, but calls what does */
static NOINLINE const char *steady(int x)
{
	return scaled(x, 1, 4) > limit + 2 ? "yes" : "no";
}

struct pair {
	int a, b;
};

/* gets only a part of its argument when it is static */
static NOINLINE int sum(const struct pair *pair)
{
#ifdef FIXED
	return pair->a + pair->b + 10;
#else
	return pair->a + 2;
#endif
}

void ask(const char *arg)
{
	int x = atoi(arg);
	struct pair pair = { 1, 2 };

	reply("%d %d %s %s %d", scaled(x, 1, 4), once(x), part(x), steady(x), sum(&pair));
}
