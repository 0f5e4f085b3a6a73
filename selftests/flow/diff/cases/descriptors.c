// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thread-local variables by descriptors.
 *
 * FLAVOURS desc
 * VM desc
 * ASK 1 | 6 11 | 106 111 | 8 13
 */
#include "case.h"

static __thread int of_file = 5;
__thread int global = 10;

#ifdef FIXED
#define MORE 99
#else
#define MORE 0
#endif

static NOINLINE int *place(void)
{
	of_file += MORE - MORE;
	return &of_file;
}

void ask(const char *arg)
{
	int x = atoi(arg), *at = place();

	*at += x;
	global += x;
#ifdef FIXED
	reply("%d %d", *at + MORE, global + MORE);
#else
	reply("%d %d", *at, global);
#endif
}
