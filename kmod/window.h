/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One attempt of a transaction: its pre-scan and its window.
 */
#ifndef ULP_WINDOW_H
#define ULP_WINDOW_H

#include "plan.h"
#include "target.h"
#include "transact.h"

/**
 * struct ulp_window - one attempt
 * @session: whose
 * @plan: what to do
 * @mm: the target's address space
 * @target: its tasks
 * @outcome: result
 * @last: no other attempt follows in this transaction
 * @began: when the window began
 * @deadline: when it must end
 */
struct ulp_window {
	struct ulp_session *session;
	const struct ulp_plan *plan;
	struct mm_struct *mm;
	struct ulp_target *target;
	struct ulp_outcome *outcome;
	bool last;
	u64 began;
	u64 deadline;
};

static inline bool ulp_reason_has_thread(u32 reason)
{
	switch (reason) {
	case ULP_REASON_IP:
	case ULP_REASON_STACK:
	case ULP_REASON_REGISTER:
	case ULP_REASON_SIGRETURN:
	case ULP_REASON_NO_STACK:
	case ULP_REASON_FAULT:
		return true;
	default:
		return false;
	}
}

/* A thread that sleeps is in the way until it wakes up. */
static inline bool ulp_reason_is_blocked(u32 reason)
{
	return ulp_reason_has_thread(reason) && reason != ULP_REASON_SIGRETURN &&
	       reason != ULP_REASON_FAULT;
}

/* window.c */
u32 ulp_look(struct ulp_window *window, struct ulp_thread *thread, u64 deadline);
bool ulp_window_passes(struct ulp_window *window, struct task_struct *task);
void ulp_window_copy_stack(struct ulp_window *window);
bool ulp_window_may_hold(struct ulp_window *window);
void ulp_window_run(struct ulp_window *window);

/* prescan.c */
int ulp_prescan(struct ulp_window *window);

#endif /* ULP_WINDOW_H */
