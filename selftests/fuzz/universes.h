/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Thread by thread: transactions with a table of threads that have not switched,
 * and looks into it.  Nobody but the module reads what is in the table, so that any
 * of its threads may be in it, and the words that were there before are any.
 */
#ifndef FUZZ_UNIVERSES_H
#define FUZZ_UNIVERSES_H

#include "callers.h"

#define FUZZ_CODE_SIZE	256	/* of the victims' threads that call */

static void *fuzz_hammer_main(void *arg);

/* Where the table is; or where it cannot be: the answer must be no. */
static uint64_t fuzz_any_table(struct fuzz_thread *t, bool *bad)
{
	static const uint64_t odd[] = {
		0, RAW_PAGE, FUZZ_TABLE + 8, FUZZ_TABLE + RAW_PAGE, FUZZ_TABLE - RAW_PAGE,
		FUZZ_SHARED, FUZZ_SCRATCH, 0x7fffffff8000, 0xffff888000000000,
		-(uint64_t)FUZZ_TABLE_SIZE, (uint64_t)-1,
	};

	*bad = fuzz_once_in(&t->random, 12);
	return *bad ? FUZZ_PICK(&t->random, odd) : FUZZ_TABLE;
}

/* Some thread of the target, or of nobody: ids follow each other. */
static uint32_t fuzz_any_tid(struct fuzz_thread *t, unsigned int target)
{
	return t->caller->targets[target] + fuzz_below(&t->random, 8);
}

/**
 * fuzz_universe() - what a transaction is to do with the table
 * @t: the caller
 * @target: its victim
 * @ranges: of the transaction, @nr of them
 * @nr: of them
 * @leaving: receives those of the universe, one more at most
 * @must_fail: set if there is something wrong with it
 *
 * What is left has all of the ranges, or the answer is no.
 */
static struct ulp_universe fuzz_universe(struct fuzz_thread *t, unsigned int target,
					 const struct ulp_range *ranges, unsigned int nr,
					 struct ulp_range *leaving, bool *must_fail)
{
	struct ulp_universe universe = { .size = sizeof(universe),
					 .op = 1 + fuzz_below(&t->random, 3) };
	unsigned int bad = fuzz_below(&t->random, 60);
	bool no_table;

	universe.table = fuzz_any_table(t, &no_table);
	if (universe.op == ULP_UNIVERSE_ADVANCE) {
		universe.tid = fuzz_any_tid(t, target);
	} else {
		memcpy(leaving, ranges, nr * sizeof(*leaving));
		leaving[nr++] = (struct ulp_range){ (uintptr_t)fuzz_hammer_main,
						    (uintptr_t)fuzz_hammer_main + FUZZ_CODE_SIZE };
		universe.nr_ranges = nr;
	}
	if (bad == 0)
		universe.size = fuzz_below(&t->random, sizeof(universe));
	if (bad == 1)
		universe.op = 4 + fuzz_below(&t->random, 1U << 31);
	if (bad == 2)
		universe.tid ^= 1 + fuzz_next(&t->random) % 1000;
	if (bad == 2 && universe.op == ULP_UNIVERSE_ADVANCE)
		universe.tid = 0;
	if (bad == 3 && universe.op != ULP_UNIVERSE_ADVANCE)
		universe.nr_ranges = fuzz_below(&t->random, 2) ? 0 : 4097;
	*must_fail |= no_table || bad < 3 ||
		      (bad == 3 && universe.op != ULP_UNIVERSE_ADVANCE);
	return universe;
}

/* Words of threads that have ended are struck off: any are nobody's here. */
static void fuzz_op_members(struct fuzz_thread *t)
{
	static const uint32_t room[] = { 0, 1, 16, 512, 65536, 65537, 0xffffffff };
	struct ulp_members args = { .size = sizeof(args),
				    .nr_threads = FUZZ_PICK(&t->random, room) };
	unsigned int bad = fuzz_below(&t->random, 40);
	const struct ulp_members *out;
	bool no_table;
	size_t at;
	int ret;

	args.table = fuzz_any_table(t, &no_table);
	if (bad == 0)
		args.flags = 1U << fuzz_below(&t->random, 32);
	if (bad == 1)
		args.size = fuzz_below(&t->random, sizeof(args));
	if (bad == 2)
		args.__reserved = 1;
	fuzz_arena_begin(t->arena);
	/* no process here has that many threads */
	args.threads = (uintptr_t)t->arena->view +
		       fuzz_arena_place(t->arena, 256 * sizeof(struct ulp_member));
	at = fuzz_arena_args(t->arena, &args, sizeof(args));
	ret = fuzz_ioctl(FUZZ_OP_MEMBERS, fuzz_session(t, fuzz_any_slot(t)), ULP_MEMBERS,
			 (uintptr_t)t->arena->view + at);
	if (!t->arena->steady)
		return;
	out = (const void *)(t->arena->alias + at);
	if (!ret && (bad < 3 || no_table || args.nr_threads > ULP_MEMBERS_MAX))
		fuzz_wrong("MEMBERS succeeds with bad argument %u, table %#lx, room %u", bad,
			   (unsigned long)args.table, args.nr_threads);
	if (!ret && (!out->out_threads || out->out_threads > 256 ||
		     out->out_members > out->out_threads))
		fuzz_wrong("MEMBERS tells of %u of %u threads", out->out_members,
			   out->out_threads);
}

#endif /* FUZZ_UNIVERSES_H */
