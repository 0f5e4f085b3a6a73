/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the ioctl fuzzer's processes share: numbers that look random and are
 * not, counts, and what went wrong.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdarg.h>
#include <stddef.h>
#include "../abi/ulp_raw.h"

#define FUZZ_ERRNOS	134
#define FUZZ_REASONS	15
#define FUZZ_MESSAGES	16

/* ---- random numbers: the same for the same seed ---- */

struct fuzz_random {
	uint64_t state;
};

static inline uint64_t fuzz_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline uint64_t fuzz_next(struct fuzz_random *random)
{
	random->state += 0x9e3779b97f4a7c15ULL;
	return fuzz_mix(random->state);
}

/* 0 ... @limit - 1 */
static inline uint32_t fuzz_below(struct fuzz_random *random, uint32_t limit)
{
	return fuzz_next(random) % limit;
}

/* True once in @n times. */
static inline bool fuzz_once_in(struct fuzz_random *random, uint32_t n)
{
	return !fuzz_below(random, n);
}

/* A sequence of its own for each part of a round. */
static inline struct fuzz_random fuzz_derive(uint64_t seed, uint64_t part)
{
	return (struct fuzz_random){ fuzz_mix(seed ^ fuzz_mix(part + 1)) };
}

#define FUZZ_PICK(random, array) \
	((array)[fuzz_below(random, sizeof(array) / sizeof(*(array)))])

/* ---- counts, in memory that all processes share ---- */

enum fuzz_op {
	FUZZ_OP_RAW, FUZZ_OP_QUERY, FUZZ_OP_OPEN, FUZZ_OP_MAP, FUZZ_OP_UNMAP, FUZZ_OP_TRANSACT,
	FUZZ_OP_RELEASE, FUZZ_OP_MEMBERS, FUZZ_OP_DEBUG, FUZZ_OPS
};

/**
 * struct fuzz_counts - of one run
 * @errors: results of each kind of ioctl, by errno
 * @reasons: refusals of transactions and unmappings
 * @closed: sessions closed, also under other threads
 * @forks: forks of callers
 * @callers: started
 * @callers_killed: on purpose
 * @victims: started
 * @victims_killed: on purpose, or ended by themselves
 * @execs: by victims
 * @stayed: uncommitted mappings that a thread may be in, by the reason
 * @longest_ns: longest freeze
 * @nr_wrong: violations of the model
 * @wrong: the first of them
 */
struct fuzz_counts {
	uint64_t errors[FUZZ_OPS][FUZZ_ERRNOS];
	uint64_t reasons[FUZZ_REASONS];
	uint64_t closed, forks, callers, callers_killed, victims, victims_killed, execs;
	uint64_t stayed[FUZZ_REASONS];
	uint64_t longest_ns;
	uint32_t nr_wrong;
	char wrong[FUZZ_MESSAGES][400];
};

static struct fuzz_counts *fuzz_counts;

static inline void fuzz_count(uint64_t *count)
{
	__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
}

static inline void fuzz_longest(uint64_t ns)
{
	uint64_t old = __atomic_load_n(&fuzz_counts->longest_ns, __ATOMIC_RELAXED);

	while (ns > old && !__atomic_compare_exchange_n(&fuzz_counts->longest_ns, &old, ns, true,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* The model was violated. */
__attribute__((format(printf, 1, 2)))
static inline void fuzz_wrong(const char *format, ...)
{
	uint32_t i = __atomic_fetch_add(&fuzz_counts->nr_wrong, 1, __ATOMIC_SEQ_CST);
	va_list args;

	if (i >= FUZZ_MESSAGES)
		return;
	va_start(args, format);
	vsnprintf(fuzz_counts->wrong[i], sizeof(fuzz_counts->wrong[i]), format, args);
	va_end(args);
}

#endif /* FUZZ_H */
