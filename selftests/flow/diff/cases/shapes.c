// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Functions of all shapes: that become inline, or no longer are, renamed ones, with
 * other arguments, with labels whose addresses are taken, that never return, are left by
 * longjmp, have a variable frame, call each other, clean up.
 *
 * FLAVOURS lib pie nopie static O0 O1 O3 Os gold lld cet
 * VM O0 O3
 * FLAGS -fexceptions
 * ASK 1 | 2 4 11 5 1 120 15 left 1 | 103 6 12 6 101 720 21 right 103 | 2 4 11 5 1 120 15 left 205
 * ASK 3 | 4 6 13 7 3 120 15 left 2 | 105 8 14 8 103 720 21 right 204 | 4 6 13 7 3 120 15 left 206
 */
#include <alloca.h>
#include <setjmp.h>
#include <stdarg.h>
#include "case.h"

#ifdef FIXED
#define MORE 1
#else
#define MORE 0
#endif

static volatile int one = 1;
static int cleaned;

/* inline after the change */
#ifdef FIXED
static inline __attribute__((always_inline)) int becomes_inline(int x)
{
	return x + 102;
}
#else
static NOINLINE int becomes_inline(int x)
{
	return x + 1;
}
#endif

/* inline before it */
#ifdef FIXED
static NOINLINE int was_inline(int x)
{
	return x + 5;
}
#else
static inline __attribute__((always_inline)) int was_inline(int x)
{
	return x + 3;
}
#endif

/* renamed, and now for all */
#ifdef FIXED
int new_name(int x);
NOINLINE int new_name(int x)
{
	return x + 11;
}
#else
static NOINLINE int old_name(int x)
{
	return x + 10;
}

#define new_name old_name
#endif

/* another argument */
#ifdef FIXED
static NOINLINE int arguments(int x, int y)
{
	return x + y;
}
#else
static NOINLINE int arguments(int x)
{
	return x + 4 * one;
}

#define arguments(x, y) arguments(x)
#endif

static NOINLINE int labels(int x)
{
	static const void *const to[] = { &&zero, &&first,
#ifdef FIXED
		&&second,
#endif
	};

	goto *to[one + MORE];
zero:
	return 0;
first:
	return x;
#ifdef FIXED
second:
	return x + 100 * one;
#endif
}

static int even(int n, int product);

static NOINLINE int odd(int n, int product)
{
	return n ? even(n - 1, product * n) : product;
}

static NOINLINE int even(int n, int product)
{
	return n ? odd(n - 1, product * (n + 0 * MORE)) : product;
}

static NOINLINE int sum(int n, ...)
{
	int *all = alloca((n + one) * sizeof(*all)), total = 0;
	va_list list;

	va_start(list, n);
	for (int i = 0; i < n; i++)
		all[i] = va_arg(list, int);
	va_end(list);
	for (int i = 0; i < n; i++)
		total += all[i] + MORE;
	return total;
}

static jmp_buf back;

__attribute__((noreturn)) static NOINLINE void leave(int x)
{
	longjmp(back, x + MORE);
}

static NOINLINE const char *come_back(void)
{
	switch (setjmp(back)) {
	case 0:
		leave(1);
	case 1:
		return "left";
	default:
		return "right";
	}
}

static void clean(int *x)
{
	cleaned += *x + 100 * MORE;
}

static NOINLINE int cleans_up(int x)
{
	__attribute__((cleanup(clean))) int value = x;

	return value + atoi("0");
}

void ask(const char *arg)
{
	int x = atoi(arg);

	cleans_up(1);
	reply("%d %d %d %d %d %d %d %s %d", becomes_inline(x), was_inline(x), new_name(x),
	      arguments(x, 4 + one), labels(x), odd(5 + MORE, 1),
	      sum(5 + MORE, 1, 2, 3, 4, 5, 0), come_back(), cleaned);
}
