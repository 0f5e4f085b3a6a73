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
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include "freeze.h"
#include "hold.h"
#include "map.h"
#include "session.h"
#include "stack.h"
#include "stopm.h"
#include "target.h"
#include "trace.h"
#include "transact.h"
#include "universe.h"
#include "write.h"
#include "x86_64.h"

/* Room for newborn threads, beyond twice the threads there are. */
#define ULP_ROOM_SPARE		64
#define ULP_ROOM_DOUBLINGS	8

/* How many threads are looked at between two looks at the clock. */
#define ULP_CHECK_BATCH		32

/* How often one attempt is begun anew for what was missing in its window. */
#define ULP_RESTARTS_MAX	16

/*
 * How long one thread is looked at before the window, and its absent pages are
 * fetched: it may drop them as fast as they come.
 */
#define ULP_PRESCAN_NS		NSEC_PER_SEC

/* How long one attempt is begun anew. */
#define ULP_RESTARTS_NS		(5 * NSEC_PER_SEC)

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

static bool ulp_reason_has_thread(u32 reason)
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
static bool ulp_reason_is_blocked(u32 reason)
{
	return ulp_reason_has_thread(reason) && reason != ULP_REASON_SIGRETURN &&
	       reason != ULP_REASON_FAULT;
}

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

/*
 * One thread, that does not run user code, or the answer is a guess.  If a
 * universe begins it may be inside the code that is left: it is noted so.
 */
static u32 ulp_look(struct ulp_window *window, struct ulp_thread *thread, u64 deadline)
{
	const struct ulp_plan *plan = window->plan;
	struct ulp_verdict *verdict = &window->outcome->verdict;
	u32 reason;

	thread->inside = false;
	if (ulp_universe_begins(plan)) {
		reason = ulp_stack_check(&plan->universe->leaving, window->mm, thread->task,
					 deadline, verdict);
		if (!ulp_reason_is_blocked(reason))
			return reason;
		thread->inside = true;
		*verdict = (struct ulp_verdict){ .thread = verdict->thread };
	}
	return ulp_stack_check(plan, window->mm, thread->task, deadline, verdict);
}

/* What is the matter with a thread that passed the check. */
static u32 ulp_window_note(struct ulp_window *window, struct ulp_thread *thread)
{
	const struct ulp_plan *plan = window->plan;
	struct ulp_verdict *verdict = &window->outcome->verdict;

	/* It has this fs base only since the others were gated. */
	if (plan->universe && plan->universe->op == ULP_UNIVERSE_ADVANCE &&
	    plan->backend == ULP_BACKEND_GATE && !READ_ONCE(thread->queued))
		return verdict->reason = ULP_REASON_NEW_THREADS;
	return thread->inside ? ulp_universe_note(plan, thread->task, verdict) : ULP_REASON_NONE;
}

/* Who is where all shall be: nothing of it matters. */
static bool ulp_window_passes(struct ulp_window *window, struct task_struct *task)
{
	const struct ulp_plan_universe *universe = window->plan->universe;

	return !ulp_target_means(window->target, task) ||
	       (universe && universe->op == ULP_UNIVERSE_TURN &&
		ulp_universe_has(universe, ulp_arch_fs_base(task)));
}

/* All threads but those that have not left the kernel since the pre-scan. */
static u32 ulp_window_check(struct ulp_window *window)
{
	struct ulp_target *target = window->target;
	struct ulp_outcome *outcome = window->outcome;
	struct ulp_verdict *verdict = &outcome->verdict;
	struct ulp_thread *thread;
	bool off_cpu;
	u32 i;

	if (ulp_universe_begins(window->plan))
		ulp_universe_clear(window->plan->universe);
	for (i = 0; i < ulp_target_size(target); i++) {
		if (i % ULP_CHECK_BATCH == ULP_CHECK_BATCH - 1 &&
		    ktime_get_ns() > window->deadline)
			return verdict->reason = ULP_REASON_FREEZE_LIMIT;
		thread = &target->threads[i];
		if (!ulp_task_lives_in(thread->task, window->mm))
			continue;
		outcome->threads += ulp_target_means(target, thread->task);
		if (ulp_window_passes(window, thread->task))
			continue;
		verdict->thread = i;
		off_cpu = ulp_task_off_cpu(thread->task);
		if (READ_ONCE(thread->parked))
			outcome->parked++;
		else if (ulp_task_asleep(thread->task))
			outcome->asleep++;
		if (off_cpu && thread->clean &&
		    ulp_task_switches(thread->task) == thread->switches) {
			outcome->stale += thread->stale;
			if (ulp_window_note(window, thread))
				return verdict->reason;
			continue;
		}
		outcome->rescanned++;
		if (ulp_look(window, thread, window->deadline))
			return verdict->reason;
		outcome->stale += verdict->stale;
		if (ulp_window_note(window, thread))
			return verdict->reason;
		if (ulp_fault(window->plan->faults, ULP_FAULT_CHECK))
			return verdict->reason = ULP_REASON_IP;
		if (ulp_fault(window->plan->faults, ULP_FAULT_STACK)) {
			verdict->slot = window->mm->start_stack;	/* can be had */
			return verdict->reason = ULP_REASON_FAULT;
		}
	}
	if ((window->plan->flags & ULP_TRANSACT_SCAN_MEMORY) &&
	    ulp_memory_check(window->plan, window->mm, target, window->deadline, verdict))
		return verdict->reason;
	if (READ_ONCE(target->overflow))
		return verdict->reason = ULP_REASON_NEW_THREADS;
	if (ktime_get_ns() > window->deadline)
		return verdict->reason = ULP_REASON_FREEZE_LIMIT;
	return verdict->reason = ULP_REASON_NONE;
}

/* What is done while the target is held; whether it was written to. */
static bool ulp_window_body(struct ulp_window *window)
{
	const struct ulp_plan *plan = window->plan;
	struct ulp_outcome *outcome = window->outcome;
	struct ulp_plan_universe *universe = plan->universe;
	u32 reason = ulp_window_check(window);

	trace_verdict(window->mm, outcome->threads, outcome->rescanned, reason);
	if (!reason && (plan->nr_writes || universe))
		reason = ulp_write_verify(plan, window->mm, plan->faults, &outcome->verdict);
	if (reason || (plan->flags & ULP_TRANSACT_DRY_RUN) || !outcome->threads)
		return false;
	if (plan->flags & ULP_TRANSACT_COMMIT_MAPS)
		ulp_map_settle(window->session, window->mm);
	if (!plan->nr_writes && !universe)
		return false;
	if (universe && !ulp_universe_begins(plan)) {
		ulp_universe_strike(universe, window->target->fs_base);
		return false;
	}
	ulp_write_all(plan);
	if (universe) {
		ulp_universe_write(universe);
		outcome->members = universe->members;
	}
	ulp_fault(plan->faults, ULP_FAULT_WRITTEN);
	trace_write(window->mm, plan->nr_writes, plan->nr_pages);
	return true;
}

static void ulp_window_copy_stack(struct ulp_window *window)
{
	const struct ulp_plan *plan = window->plan;
	struct ulp_outcome *outcome = window->outcome;

	if (plan->stack && ulp_reason_has_thread(outcome->verdict.reason))
		outcome->stack_size = ulp_stack_copy(window->mm, outcome->verdict.sp,
						     plan->stack, plan->stack_size);
}

/* Whether the caller is to look into the word that was found, see hold.c. */
static bool ulp_window_may_hold(struct ulp_window *window)
{
	const struct ulp_verdict *verdict = &window->outcome->verdict;

	return (window->plan->flags & ULP_TRANSACT_HOLD) && window->last &&
	       (verdict->reason == ULP_REASON_REGISTER ||
		(verdict->reason == ULP_REASON_STACK && verdict->slot));
}

static void ulp_window_begin(struct ulp_window *window)
{
	window->began = ktime_get_ns();
	window->deadline = window->began + window->plan->max_freeze_ns;
}

static void ulp_window_end(struct ulp_window *window)
{
	struct ulp_outcome *outcome = window->outcome;

	outcome->freeze_ns = ktime_get_ns() - window->began;
	outcome->max_freeze_ns = max(outcome->max_freeze_ns, outcome->freeze_ns);
}

static void ulp_window_gate(void *data)
{
	struct ulp_window *window = data;
	struct ulp_target *target = window->target;
	struct ulp_verdict *verdict = &window->outcome->verdict;
	struct ulp_thread *blocker = NULL;

	/* Before the freeze: a thread that holds it for writing can let it go. */
	if (!mmap_read_trylock(window->mm)) {
		verdict->reason = ULP_REASON_LOCK;
		return;
	}
	ulp_window_begin(window);
	trace_freeze(window->mm, ulp_target_size(target));
	if (ulp_freeze(target, window->deadline))
		verdict->reason = ULP_REASON_FREEZE_LIMIT;
	else if (ulp_window_body(window))
		ulp_sync_cores(window->mm);

	/* Only the blocker waits for its stack to be copied. */
	if (ulp_reason_has_thread(verdict->reason))
		blocker = &target->threads[verdict->thread];
	ulp_thaw(target, blocker);
	ulp_window_end(window);
	trace_thaw(window->mm, window->outcome->freeze_ns, verdict->reason);
	if (blocker) {
		ulp_window_copy_stack(window);
		if (ulp_window_may_hold(window))
			verdict->stamp = ulp_hold_begin(window->session, target,
							window->plan->hold_ns);
		else
			ulp_thaw_held(target);
	}
	mmap_read_unlock(window->mm);
	ulp_target_unwatch(target);
	ulp_freeze_clear(target);
}

static void ulp_window_stopped(void *data)
{
	struct ulp_window *window = data;

	if (!mmap_read_trylock(window->mm)) {
		window->outcome->verdict.reason = ULP_REASON_LOCK;
		return;
	}
	ulp_window_body(window);
	ulp_window_copy_stack(window);
	mmap_read_unlock(window->mm);
}

static void ulp_window_stop_machine(void *data)
{
	struct ulp_window *window = data;

	ulp_window_begin(window);
	trace_freeze(window->mm, ulp_target_size(window->target));
	ulp_stopm(ulp_window_stopped, window);
	ulp_window_end(window);
	trace_thaw(window->mm, window->outcome->freeze_ns, window->outcome->verdict.reason);
}

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

static int ulp_prescan(struct ulp_window *window)
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
		ulp_session_run(session, plan->backend == ULP_BACKEND_GATE ?
				ulp_window_gate : ulp_window_stop_machine, &window);
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
