// SPDX-License-Identifier: GPL-2.0
/*
 * The pre-scan: the check of each thread while everything runs.  What sleeps in
 * a range is seen without a freeze, and what is absent is fetched.
 */
#include <linux/ktime.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>
#include "hold.h"
#include "stack.h"
#include "target.h"
#include "universe.h"
#include "window.h"

/*
 * How long one thread is looked at before the window, and its absent pages are
 * fetched: it may drop them as fast as they come.
 */
#define ULP_PRESCAN_NS		NSEC_PER_SEC

/*
 * Looks at one thread while it runs, or does not.  Its answer is good for the
 * window only if it was off the CPU all the time, and still is then.  Return:
 * 1 if it sleeps inside a range: no freeze is needed to see that.
 */
static int ulp_prescan_thread(struct ulp_window *window, struct ulp_thread *thread)
{
	const struct ulp_plan *plan = window->plan;
	struct ulp_verdict *verdict = &window->outcome->verdict;
	struct task_struct *task = thread->task;
	u64 deadline = ktime_get_ns() + ULP_PRESCAN_NS;
	unsigned long switches;
	bool off_cpu, asleep;
	int err;
	u32 reason;

	for (;;) {
		if (mmap_read_lock_killable(window->mm))
			return -EINTR;
		if (!ulp_task_lives_in(task, window->mm)) {
			mmap_read_unlock(window->mm);
			return 0;
		}
		off_cpu = ulp_task_off_cpu(task);
		switches = ulp_task_switches(task);
		reason = ulp_look(window, thread, deadline);
		if (reason != ULP_REASON_FAULT)
			break;
		mmap_read_unlock(window->mm);
		err = ulp_stack_fault_in(window->mm, verdict->slot);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (err)
			return err;
		if (ktime_get_ns() > deadline)
			return 0;
	}
	asleep = ulp_task_asleep(task);
	if (asleep)
		ulp_window_copy_stack(window);
	mmap_read_unlock(window->mm);

	if (!off_cpu || !ulp_task_off_cpu(task) || ulp_task_switches(task) != switches)
		return 0;
	thread->switches = switches;
	thread->stale = verdict->stale;
	thread->clean = !reason && !(plan->flags & ULP_TRANSACT_NO_STAMPS);
	if (!asleep || !ulp_reason_is_blocked(reason) || (plan->flags & ULP_TRANSACT_NO_STAMPS))
		return 0;
	if (ulp_window_may_hold(window)) {
		u32 stamp = ulp_hold_sleeper(window->session, thread, plan->hold_ns);

		verdict->stamp = stamp ?: verdict->stamp;
	}
	return 1;
}

/*
 * What is swapped out comes back.  A word that is found while everything runs
 * says nothing: it may be of a thread's.
 */
static int ulp_prescan_memory(struct ulp_window *window)
{
	struct ulp_verdict *verdict = &window->outcome->verdict;
	u64 deadline = ktime_get_ns() + ULP_PRESCAN_NS;
	u32 reason;
	int err;

	do {
		if (mmap_read_lock_killable(window->mm))
			return -EINTR;
		reason = ulp_memory_check(window->plan, window->mm, window->target,
					  deadline, verdict);
		mmap_read_unlock(window->mm);
		if (reason != ULP_REASON_FAULT)
			return 0;
		err = ulp_stack_fault_in(window->mm, verdict->slot);
	} while (!err && ktime_get_ns() <= deadline && !fatal_signal_pending(current));
	return err == -EINTR || fatal_signal_pending(current) ? -EINTR : 0;
}

/**
 * ulp_prescan() - check what can be checked without a freeze
 * @window: of the attempt
 *
 * Return: 1 if a thread sleeps inside a range, see the verdict; or -EINTR.
 */
int ulp_prescan(struct ulp_window *window)
{
	struct ulp_target *target = window->target;
	int err = 0;
	u32 i;

	if (!window->plan->nr_ranges && !window->plan->universe)
		return 0;
	for (i = 0; !err && i < ulp_target_size(target); i++) {
		window->outcome->verdict.thread = i;
		if (ulp_window_passes(window, target->threads[i].task))
			continue;
		err = ulp_prescan_thread(window, &target->threads[i]);
		cond_resched();
	}
	if (!err && (window->plan->flags & ULP_TRANSACT_SCAN_MEMORY))
		err = ulp_prescan_memory(window);
	/* The window will say of which thread; waiting for each takes too long. */
	return err == -EAGAIN ? 0 : err;
}
