// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Three functions that change together.  New outer calls left and right by
 * their exported names, that is by the library's entries: a mixture of old and
 * new would show in the sum.
 */
#include "victims/libvictim.h"

int new_left(void);
int new_right(void);
long new_outer(void);

int new_left(void)
{
	return 3;
}

int new_right(void)
{
	return 4;
}

long new_outer(void)
{
	long sum = 0x20000 + victim_left() * 0x100;

	for (volatile int i = 0; i < 20; i++)
		;
	return sum + victim_right();
}
