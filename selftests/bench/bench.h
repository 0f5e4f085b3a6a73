/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the programs of the benchmark share.
 *
 *	bench		the driver: runs the others and prints the table
 *	bench_victim	the process that is patched and feels it
 *	ptrace_patch	the reference: the same change by ptrace
 *	ulp-tool-ptrace	the whole tool, by ptrace instead of the module
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "ulp.h"

/*
 * The victim has functions old_100() to old_199() to be replaced by its own
 * new_100() to new_199(); the numbers have three digits so that they can be
 * pasted together.
 */
#define BENCH_FIRST	100
#define BENCH_FUNCTIONS	100

#define BENCH_TEN(f, n)	f(n##0) f(n##1) f(n##2) f(n##3) f(n##4) \
			f(n##5) f(n##6) f(n##7) f(n##8) f(n##9)
#define BENCH_HUNDRED(f) \
	BENCH_TEN(f, 10) BENCH_TEN(f, 11) BENCH_TEN(f, 12) BENCH_TEN(f, 13) BENCH_TEN(f, 14) \
	BENCH_TEN(f, 15) BENCH_TEN(f, 16) BENCH_TEN(f, 17) BENCH_TEN(f, 18) BENCH_TEN(f, 19)

/**
 * struct bench_shared - memory that the driver shares with the victim
 * @generation: the driver adds 1 to end a measurement of the gap, and start the
 *	next
 * @seen: the generation that the probing thread has noticed
 * @longest_gap_ns: longest time between two looks of the probing thread at the
 *	clock, in the measurement that ended then: how long it was kept from
 *	running
 */
struct bench_shared {
	_Atomic uint32_t generation;
	_Atomic uint32_t seen;
	_Atomic uint64_t longest_gap_ns;
};

static inline uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#define BENCH_JUMP	5	/* bytes of a "jmp rel32" */

/** struct bench_change - one function of a running program and its replacement */
struct bench_change {
	uint64_t old_start, old_end;
	uint64_t new_start, new_end;
	uint8_t saved[BENCH_JUMP];	/* as in the program's file */
	uint8_t jump[BENCH_JUMP];	/* from old to new */
};

/*
 * Look up @count pairs of function names in the executable of a running
 * program.  Returns NULL, or what went wrong.
 */
const char *bench_symbols(pid_t pid, char *const *old_names, char *const *new_names, size_t count,
			  struct bench_change *changes);

/* Ranges and writes of an apply or, with @revert, of taking it back. */
void bench_plan(const struct bench_change *changes, size_t count, bool revert,
		struct ulp_range *ranges, struct ulp_write *writes);

#endif /* BENCH_H */
