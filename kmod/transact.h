/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The transaction: freeze, check, write, thaw.
 */
#ifndef ULP_TRANSACT_H
#define ULP_TRANSACT_H

#include "plan.h"

struct ulp_session;

/**
 * struct ulp_outcome - what came of a transaction
 * @verdict: of the last attempt
 * @freeze_ns: how long the target was held in it
 * @max_freeze_ns: the longest hold of all attempts
 * @total_ns: from the first freeze to the end of the last
 * @attempts: made
 * @threads: of the target in the last attempt
 * @parked: of these, parked in the gate when their turn in the check came
 * @asleep: of these, asleep in the kernel then
 * @rescanned: stacks read in the window
 * @stale: words that were passed over because they are proven stale
 * @members: threads in the table of the universe
 * @stack_size: bytes of the blocker's stack in plan->stack
 */
struct ulp_outcome {
	struct ulp_verdict verdict;
	u64 freeze_ns;
	u64 max_freeze_ns;
	u64 total_ns;
	u32 attempts;
	u32 threads;
	u32 parked;
	u32 asleep;
	u32 rescanned;
	u32 stale;
	u32 members;
	u32 stack_size;
};

int ulp_transact(struct ulp_session *session, struct mm_struct *mm, struct ulp_plan *plan,
		 struct ulp_outcome *outcome);

#endif /* ULP_TRANSACT_H */
