// SPDX-License-Identifier: GPL-2.0
/*
 * The transaction; the file to read first.
 *
 *   pin      the pages of the writes, made the target's own	(everything runs)
 *   enrol    the tasks of the target, newborn ones included
 *   pre-scan their stacks, so that in the window only those that ran since
 *            need another look, and no page is absent
 *   freeze   nothing of the target gets to user mode		(the window)
 *   check    every thread that ran since
 *   write    all or nothing
 *   thaw
 *
 * In the window nothing faults, sleeps, takes a lock that a thread of the
 * target may hold, or looks at other processes.  What is missing there ends it,
 * is fetched while everything runs, and is tried again.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>
#include "session.h"
#include "stack.h"
#include "target.h"
#include "transact.h"
#include "universe.h"
#include "window.h"
#include "write.h"

/* Room for newborn threads, beyond twice the threads there are. */
#define ULP_ROOM_SPARE		64
#define ULP_ROOM_DOUBLINGS	8

/* How often one attempt is begun anew for what was missing in its window. */
#define ULP_RESTARTS_MAX	16

/* How long one attempt is begun anew. */
#define ULP_RESTARTS_NS		(5 * NSEC_PER_SEC)

/* Something was missing: it can be fetched, and the attempt be begun anew. */
static bool ulp_reason_is_transient(u32 reason)
{
	switch (reason) {
	case ULP_REASON_FAULT:
	case ULP_REASON_PAGE:
	case ULP_REASON_NEW_THREADS:
	case ULP_REASON_LOCK:
		return true;
	default:
		return false;
	}
}

static int ulp_reason_errno(u32 reason)
{
	switch (reason) {
	case ULP_REASON_NONE:
		return 0;
	case ULP_REASON_FREEZE_LIMIT:
		return -ETIME;
	case ULP_REASON_BYTES:
		return -ESTALE;
	case ULP_REASON_NO_POINTER:
		return -ENXIO;
	case ULP_REASON_TABLE:
		return -ENOSPC;
	case ULP_REASON_FAULT:
	case ULP_REASON_PAGE:
	case ULP_REASON_NEW_THREADS:
	case ULP_REASON_LOCK:
		return -EAGAIN;
	default:
		return -EADDRINUSE;
	}
}

/* One window; the reason why not in outcome->verdict. */
static int ulp_attempt(struct ulp_session *session, const struct ulp_plan *plan,
		       struct mm_struct *mm, struct ulp_outcome *outcome, u32 room)
{
	struct ulp_window window = {
		.session = session, .plan = plan, .mm = mm, .outcome = outcome,
		.last = outcome->attempts + 1 >= plan->attempts,
	};
	int err = 0;

	outcome->freeze_ns = 0;
	outcome->threads = 0;
	outcome->parked = 0;
	outcome->asleep = 0;
	outcome->rescanned = 0;
	outcome->stale = 0;
	outcome->stack_size = 0;
	memset(&outcome->verdict, 0, sizeof(outcome->verdict));

	window.target = ulp_target_enrol(mm, plan->faults, room);
	if (!window.target)
		return -ENOMEM;
	if (plan->universe && !ulp_universe_begins(plan))
		err = ulp_target_choose(window.target, plan->universe->tid, plan->pid_ns);
	if (!err)
		err = ulp_prescan(&window);
	if (!err) {
		memset(&outcome->verdict, 0, sizeof(outcome->verdict));
		outcome->stack_size = 0;
		ulp_fault(plan->faults, ULP_FAULT_PRESCANNED);
		ulp_window_run(&window);
		ulp_fault(plan->faults, ULP_FAULT_THAWED);
		if (!outcome->verdict.reason && !outcome->threads)
			err = window.target->one ? -ENOENT : -ESRCH;
	} else if (err > 0) {
		outcome->threads = ulp_target_size(window.target);
		err = 0;
	}
	ulp_target_unwatch(window.target);
	ulp_target_put(window.target);
	return err;
}

/* Gets what was missing in the window, while everything runs. */
static int ulp_fetch_missing(struct ulp_plan *plan, struct mm_struct *mm,
			     struct ulp_verdict *verdict, u32 *room)
{
	switch (verdict->reason) {
	case ULP_REASON_FAULT:
		return ulp_stack_fault_in(mm, verdict->slot);
	case ULP_REASON_PAGE:
		ulp_write_unpin(plan);
		return ulp_write_pin(plan, mm);
	case ULP_REASON_NEW_THREADS:
		*room *= 2;
		return 0;
	case ULP_REASON_LOCK:
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		mmap_read_unlock(mm);
		return 0;
	default:
		return 0;
	}
}

static int ulp_pause(u64 ns)
{
	ktime_t expires = ns_to_ktime(ns);

	if (ns) {
		set_current_state(TASK_KILLABLE);
		schedule_hrtimeout(&expires, HRTIMER_MODE_REL);
	}
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Wrong bytes are seen without a freeze. */
static u32 ulp_verify_early(const struct ulp_plan *plan, struct mm_struct *mm,
			    struct ulp_verdict *verdict)
{
	u32 reason;

	if (mmap_read_lock_killable(mm))
		return 0;
	reason = ulp_write_verify(plan, mm, NULL, verdict);
	mmap_read_unlock(mm);
	return reason == ULP_REASON_BYTES ? reason : 0;
}

static int ulp_try(struct ulp_session *session, struct mm_struct *mm, struct ulp_plan *plan,
		   struct ulp_outcome *outcome)
{
	u32 room = 2 * atomic_read(&mm->mm_users) + ULP_ROOM_SPARE;
	u32 room_max = room << ULP_ROOM_DOUBLINGS;
	struct ulp_verdict *verdict = &outcome->verdict;
	u64 restarts_end = ktime_get_ns() + ULP_RESTARTS_NS;
	unsigned int restarts = 0;
	int err;

	for (;;) {
		err = ulp_attempt(session, plan, mm, outcome, room);
		if (!err && ulp_reason_is_transient(verdict->reason) &&
		    restarts++ < ULP_RESTARTS_MAX && room < room_max &&
		    ktime_get_ns() <= restarts_end) {
			err = ulp_fetch_missing(plan, mm, verdict, &room);
			if (!err)
				continue;
			/* Not now: the attempt has failed. */
			if (err == -EAGAIN)
				err = 0;
		}
		if (err)
			return err;

		restarts = 0;
		restarts_end = ktime_get_ns() + ULP_RESTARTS_NS;
		outcome->attempts++;
		if (verdict->reason == ULP_REASON_NONE || verdict->reason == ULP_REASON_BYTES ||
		    outcome->attempts >= plan->attempts)
			return ulp_reason_errno(verdict->reason);
		err = ulp_pause(plan->retry_ns);
		if (err)
			return err;
	}
}

/**
 * ulp_transact() - freeze, check, write, thaw
 * @session: it has the claim on @mm
 * @mm: alive
 * @plan: what to do
 * @outcome: zeroed
 *
 * Return: 0 if it happened; else nothing did.
 */
int ulp_transact(struct ulp_session *session, struct mm_struct *mm, struct ulp_plan *plan,
		 struct ulp_outcome *outcome)
{
	u64 began;
	int err;

	err = ulp_write_pin(plan, mm);
	if (err)
		return err;
	began = ktime_get_ns();
	if (plan->nr_writes && ulp_verify_early(plan, mm, &outcome->verdict))
		err = ulp_reason_errno(outcome->verdict.reason);
	else
		err = ulp_try(session, mm, plan, outcome);
	outcome->total_ns = ktime_get_ns() - began;
	ulp_write_unpin(plan);
	return err;
}
