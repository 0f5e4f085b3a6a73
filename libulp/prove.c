// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Proofs.  The module refuses a transaction for any word that may be a return
 * address into a range.  It keeps the thread where it is (or says, by a stamp,
 * whether it still is), and here it is unwound: if its frames are known to the
 * last one, and none of them is in a range, the words are left over from calls
 * that are done.  The next transaction names them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "prove.h"

#define CHUNK		4096		/* bytes of a stack read at a time */
#define REGISTERS	15		/* general ones the module looks at, r15..di */
#define EXTENT_MAX	(64ULL << 20)	/* of the stacks of one thread */

int ulp_proof_init(struct ulp_proof *proof)
{
	memset(proof, 0, sizeof(*proof));
	proof->live = -1;
	proof->stack = malloc(ULP_PROOF_STACK);
	return proof->stack ? 0 : -ENOMEM;
}

void ulp_proof_free(struct ulp_proof *proof)
{
	ulp_cfi_free(proof->cfi);
	ulp_unwind_free(&proof->unwind);
	free(proof->stale);
	free(proof->stack);
	memset(proof, 0, sizeof(*proof));
}

/* Whether a return address of this value leads into a range. */
static bool returns_into(const struct ulp_plan *plan, uint64_t value)
{
	for (size_t i = 0; i < plan->nr_ranges; i++)
		if (value > plan->ranges[i].start && value <= plan->ranges[i].end)
			return true;
	return false;
}

static bool executes_in(const struct ulp_plan *plan, uint64_t ip)
{
	for (size_t i = 0; i < plan->nr_ranges; i++)
		if (ip >= plan->ranges[i].start && ip < plan->ranges[i].end)
			return true;
	return false;
}

static struct ulp_thread_copy thread_copy(const struct ulp_proof *proof,
					  const struct ulp_transact *t)
{
	return (struct ulp_thread_copy){
		.regs = proof->regs, .stack = proof->stack, .size = t->out_stack_size,
	};
}

int ulp_proof_walk(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t)
{
	struct ulp_thread_copy copy = thread_copy(proof, t);
	int err;

	if (proof->walked || !t->out_tid || !proof->regs.cs)
		return 0;
	if (!proof->cfi)
		proof->cfi = ulp_cfi_new(plan->target);
	if (!proof->cfi)
		return -ENOMEM;
	ulp_unwind_free(&proof->unwind);
	proof->live = -1;
	err = ulp_unwind(plan->target, proof->cfi, &copy, &proof->unwind);
	if (err)
		return err;
	for (size_t i = 0; i < proof->unwind.nr && proof->live < 0; i++) {
		const struct ulp_frame *frame = &proof->unwind.frames[i];

		if (frame->exact ? executes_in(plan, frame->ip) : returns_into(plan, frame->ip))
			proof->live = (ssize_t)i;
	}
	proof->walked = true;
	return 0;
}

static int add_stale(struct ulp_proof *proof, const struct ulp_transact *t, uint64_t slot,
		     uint64_t value)
{
	if (!proof->stale)
		proof->stale = calloc(ULP_PROOF_STALE, sizeof(*proof->stale));
	if (!proof->stale)
		return -ENOMEM;
	if (proof->nr_stale == ULP_PROOF_STALE)
		return -E2BIG;
	proof->stale[proof->nr_stale++] = (struct ulp_stale){
		.tid = t->out_tid, .stamp = t->out_stamp, .ip = t->out_ip, .sp = t->out_sp,
		.slot = slot, .value = value,
	};
	return 0;
}

/* What was proven of this thread at another moment is worth nothing now. */
static void forget_thread(struct ulp_proof *proof, uint32_t tid)
{
	size_t kept = 0;

	for (size_t i = 0; i < proof->nr_stale; i++)
		if (proof->stale[i].tid != tid)
			proof->stale[kept++] = proof->stale[i];
	proof->nr_stale = kept;
}

bool ulp_proof_is_lost(const struct ulp_proof *proof, const struct ulp_transact *t)
{
	for (size_t i = 0; i < proof->nr_stale; i++)
		if (proof->stale[i].tid == t->out_tid)
			return true;
	return false;
}

static int read_chunk(const struct ulp_plan *plan, const struct ulp_thread_copy *copy,
		      uint64_t addr, uint64_t *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		/* All that is not in the copy comes in one piece. */
		if (addr + 8 * i - copy->regs.sp > copy->size)
			return ulp_memory_read(plan->target, addr + 8 * i, words + i,
					       8 * (nr - i));
		if (ulp_thread_word(plan->target, copy, addr + 8 * i, &words[i]))
			return -EFAULT;
	}
	return 0;
}

/*
 * The words of one frame.  Return addresses among them are of live frames that
 * are in no range, or this is not reached; and so is what a signal interrupted,
 * which the module finds at the first byte of a range, too.
 */
static int frame_words(struct ulp_plan *plan, struct ulp_proof *proof,
		       const struct ulp_transact *t, const struct ulp_frame *frame)
{
	struct ulp_thread_copy copy = thread_copy(proof, t);
	uint64_t words[CHUNK / 8];
	uint64_t at = frame->sp & ~7ULL;
	int err = 0;

	while (at < frame->end && !err) {
		size_t nr = (frame->end - at + 7) / 8;

		nr = nr < CHUNK / 8 ? nr : CHUNK / 8;
		err = read_chunk(plan, &copy, at, words, nr);
		for (size_t i = 0; i < nr && !err; i++)
			if (returns_into(plan, words[i]) ||
			    (at + 8 * i == t->out_slot && words[i] == t->out_value))
				err = add_stale(proof, t, at + 8 * i, words[i]);
		at += 8 * nr;
	}
	return err;
}

/* All words of the thread that look like returns into a range, registers too. */
static int all_words(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t)
{
	const uint64_t *regs = (const uint64_t *)&proof->regs;
	uint64_t extent = 0;
	int err = 0;

	for (size_t i = 0; i < REGISTERS && !err; i++)
		if (returns_into(plan, regs[i]))
			err = add_stale(proof, t, 8 * i, regs[i]);
	for (size_t i = 0; i < proof->unwind.nr && !err; i++) {
		const struct ulp_frame *frame = &proof->unwind.frames[i];

		extent += frame->end - frame->sp;
		if (extent > EXTENT_MAX)
			return -E2BIG;
		err = frame_words(plan, proof, t, frame);
	}
	return err;
}

static bool has_stale(const struct ulp_proof *proof, const struct ulp_transact *t)
{
	for (size_t i = 0; i < proof->nr_stale; i++) {
		const struct ulp_stale *stale = &proof->stale[i];

		if (stale->tid == t->out_tid && stale->slot == t->out_slot &&
		    stale->value == t->out_value)
			return true;
	}
	return false;
}

/* It got stuck in what was loaded after the target was looked at. */
static bool is_new_code(const struct ulp_plan *plan, const struct ulp_unwind *unwind)
{
	return !ulp_target_mapping(plan->target, unwind->frames[unwind->nr - 1].ip);
}

int ulp_proof_make(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t)
{
	int err;

	if (!t->out_stamp || (t->out_reason != ULP_REASON_STACK &&
			      t->out_reason != ULP_REASON_REGISTER))
		return 0;
	err = ulp_proof_walk(plan, proof, t);
	if (err)
		return err;
	forget_thread(proof, t->out_tid);
	if (!proof->walked || proof->live >= 0)
		return 0;
	if (!proof->unwind.complete)
		return is_new_code(plan, &proof->unwind) ? -ESTALE : 0;
	/* Too many words, or some that cannot be read: not proven. */
	err = all_words(plan, proof, t);
	if (err) {
		forget_thread(proof, t->out_tid);
		return err == -ENOMEM ? err : 0;
	}
	/*
	 * A word beyond the outermost frame is in nobody's part of the stack: it
	 * may be of a context that is suspended there.
	 */
	return has_stale(proof, t);
}
