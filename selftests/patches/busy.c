// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Functions that threads are inside of.  The new ones wait, too.
 */
#include <time.h>
#include <unistd.h>
#include "victims/libvictim.h"

int new_wait(int fd);
int new_deep(int depth, int fd);
int new_spin(volatile int *stop);
long new_clock(volatile int *stop);
int new_call(void (*fn)(void));

int new_wait(int fd)
{
	char c = 0;

	if (read(fd, &c, 1) != 1)
		return -1;
	return c + 2000;
}

int new_deep(int depth, int fd)
{
	volatile char page[3000];

	page[depth & 7] = 2;
	if (depth == 0)
		return victim_wait(fd);
	return victim_deep(depth - 1, fd) + page[depth & 7];
}

int new_spin(volatile int *stop)
{
	int n = 0;

	while (!*stop)
		n |= 1;
	return n + 2000;
}

long new_clock(volatile int *stop)
{
	struct timespec ts;
	long n = 0;

	while (!*stop) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		n += ts.tv_nsec >= 0;
	}
	return n + 2000;
}

int new_call(void (*fn)(void))
{
	fn();
	return 2007;
}
