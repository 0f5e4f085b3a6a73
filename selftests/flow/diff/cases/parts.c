// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Clones and parts that are there before the change only, or after it only; a static
 * variable of a function that is inlined into several; one that is gone.
 *
 * FLAVOURS lib pie nopie static Os O0 O3 gold lld
 * VM O3
 * ASK 1 | 89 65 3 3 12 12 8 8 1 2 3 1 | 189 65 103 3 112 12 108 8 107 108 109 1 | 89 65 3 3 12 12 8 8 13 14 15 3
 * ASK 6 | 89 65 3 3 12 12 8 8 4 5 6 2 | 189 65 103 3 112 12 108 8 110 111 112 1 | 89 65 3 3 12 12 8 8 16 17 18 4
 */
#include "case.h"

/* GOES what is there before, COMES after: the same code, the one or the other way */
#ifdef FIXED
#define GOES	1
#define COMES	0
#define MORE	100
#else
#define GOES	0
#define COMES	1
#define MORE	0
#endif

static volatile int one = 1, four = 4;
static const void *volatile kept;

struct pair {
	int a, b;
};

__attribute__((cold)) static NOINLINE void complain(void)
{
	one = 1;
}

/* called with a constant, and a clone for that, or not */
#define CONSTPROP(name, plain, with)						\
static NOINLINE int name##_steps(int x, int by)					\
{										\
	for (int i = 0; i < by; i++)						\
		x = x * by - (x ^ by) + (with);					\
	return x;								\
}										\
										\
static NOINLINE int name(int x)							\
{										\
	return name##_steps(x, (plain) ? four : 4) % 97;			\
}

CONSTPROP(const_goes, GOES, 1)
CONSTPROP(const_comes, COMES, -2)

/* gets what its argument points to, or that */
#define ISRA(name, plain)							\
static NOINLINE int name##_sum(const struct pair *pair)				\
{										\
	if (plain)								\
		kept = pair;							\
	return pair->a + pair->b;						\
}										\
										\
static NOINLINE int name(int x)							\
{										\
	struct pair pair = { one, 2 };						\
										\
	return name##_sum(&pair) + x - x;					\
}

ISRA(isra_goes, GOES)
ISRA(isra_comes, COMES)

/* its first lines are inlined, what is left is a part, or there is not enough for one */
#define PART(name, plain)							\
static int name##_much(struct pair *pair)					\
{										\
	char text[64];								\
										\
	if (!pair)								\
		return 0;							\
	if (plain)								\
		return one + 2;							\
	for (int i = 0; i < four; i++) {					\
		snprintf(text, sizeof(text), "%d %d %d", pair->a, pair->b, i);	\
		pair->b += atoi(text) + (int)strlen(text);			\
		kept = pair;							\
	}									\
	snprintf(text, sizeof(text), "%d", pair->b);				\
	return pair->b ? one + 2 : atoi(text);					\
}										\
										\
static NOINLINE int name(struct pair *first, struct pair *second)		\
{										\
	int sum = name##_much(first);						\
										\
	if (first != second)							\
		sum += name##_much(second) + name##_much(one ? first : NULL);	\
	return sum + name##_much(NULL) + 3;					\
}										\

PART(part_goes, GOES)
PART(part_comes, COMES)

/* what is unlikely is elsewhere, or not there at all */
#define COLD(name, plain)							\
static NOINLINE int name(int x)							\
{										\
	if (!(plain) && __builtin_expect(x > 5, 0)) {				\
		complain();							\
		one += four - 4;						\
	}									\
	return one + 7;								\
}

COLD(cold_goes, GOES)
COLD(cold_comes, COMES)

/* one variable for all that have it inline */
static inline __attribute__((always_inline)) int number(void)
{
	static int last;

	return ++last + MORE;
}

static NOINLINE int number_one(void)
{
	return number();
}

static NOINLINE int number_two(void)
{
	return number();
}

static NOINLINE int number_three(void)
{
	return number();
}

static NOINLINE int counted(void)
{
#ifdef FIXED
	return one;
#else
	static int calls;

	return ++calls;
#endif
}

void ask(const char *arg)
{
	int x = atoi(arg), numbers[3];
	struct pair first = { one, 2 }, second = { four, 4 };

	numbers[0] = number_one();
	numbers[1] = number_two();
	numbers[2] = number_three();
	reply("%d %d %d %d %d %d %d %d %d %d %d %d", const_goes(7 * one) + MORE,
	      const_comes(7 * one), isra_goes(x) + MORE, isra_comes(x),
	      part_goes(&first, &second) + MORE, part_comes(&first, &second),
	      cold_goes(x) + MORE, cold_comes(x), numbers[0], numbers[1], numbers[2], counted());
}
