/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Switching thread by thread: the table, in the target, of threads that have not.
 */
#ifndef ULP_UNIVERSE_H
#define ULP_UNIVERSE_H

#include <ulp_universe.h>
#include "plan.h"
#include "target.h"

#define ULP_UNIVERSE_BYTES	(ULP_UNIVERSE_WORDS * sizeof(u64))
#define ULP_UNIVERSE_PAGES	(ULP_UNIVERSE_BYTES / PAGE_SIZE)

struct ulp_session;

/**
 * struct ulp_plan_universe - what a transaction does with the table
 * @op: enum ulp_universe_op
 * @tid: the thread that is to advance, in the plan's pid namespace
 * @table: address in the target
 * @leaving: only its ranges count: code that a thread may be inside, but then it
 *	does not switch now
 * @pages: of the table
 * @members: of @words
 * @words: the table to be, for BEGIN and TURN
 */
struct ulp_plan_universe {
	u32 op;
	u32 tid;
	unsigned long table;
	struct ulp_plan leaving;
	struct ulp_plan_page pages[ULP_UNIVERSE_PAGES];
	u32 members;
	u64 words[ULP_UNIVERSE_WORDS];
};

int ulp_universe_read(struct ulp_plan *plan, u64 user);
void ulp_universe_free(struct ulp_plan_universe *universe);
bool ulp_universe_begins(const struct ulp_plan *plan);
void ulp_universe_clear(struct ulp_plan_universe *universe);
bool ulp_universe_has(const struct ulp_plan_universe *universe, u64 fs_base);
u32 ulp_universe_note(const struct ulp_plan *plan, struct task_struct *task,
		      struct ulp_verdict *verdict);
void ulp_universe_strike(struct ulp_plan_universe *universe, u64 fs_base);
void ulp_universe_write(struct ulp_plan_universe *universe);
int ulp_universe_members(struct ulp_session *session, struct ulp_members *args);

#endif /* ULP_UNIVERSE_H */
