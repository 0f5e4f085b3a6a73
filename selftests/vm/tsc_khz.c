// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * tsc_khz - print how often the processor's time stamp counter ticks, in kHz.
 *
 * An emulated processor has the host's counter.  The guest's kernel measures it against
 * an emulated timer: when the host is busy then, by a factor too slow, and its clock is
 * as much too fast from there on.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES		1000
#define WAIT_NS		100000000

struct moment {
	uint64_t ticks;
	uint64_t ns;
};

/* The try that was interrupted the least. */
static struct moment now(void)
{
	struct moment best = { 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), length;
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		length = __rdtsc() - before;
		if (length >= least)
			continue;
		least = length;
		best.ticks = before + length / 2;
		best.ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	}
	return best;
}

int main(void)
{
	const struct timespec wait = { .tv_nsec = WAIT_NS };
	struct moment begin = now(), end;

	nanosleep(&wait, NULL);
	end = now();
	printf("%.0f\n", (double)(end.ticks - begin.ticks) * 1e6 / (double)(end.ns - begin.ns));
	return 0;
}
