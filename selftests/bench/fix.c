// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The patch of the victim: one function, or with HUNDRED all of them; with INSIDE
 * also the one that a thread sleeps in.
 */
#include "bench.h"

#define FUNCTION(n) \
	int new_##n(int x); \
	int new_##n(int x) { return x * 3 + (n) + 1000; }

#ifdef HUNDRED
BENCH_HUNDRED(FUNCTION)
#else
FUNCTION(100)
#endif

#ifdef INSIDE
int new_sleep(void);

int new_sleep(void)
{
	return 1;
}
#endif
