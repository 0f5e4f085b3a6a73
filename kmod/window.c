// SPDX-License-Identifier: GPL-2.0
/*
 * The window: the target is held, every thread that ran since the pre-scan is
 * checked, all is written or nothing, and the target goes on.
 */
#include <linux/ktime.h>
#include <linux/mmap_lock.h>
#include "freeze.h"
#include "hold.h"
#include "map.h"
#include "session.h"
#include "stack.h"
#include "stopm.h"
#include "target.h"
#include "trace.h"
#include "universe.h"
#include "window.h"
#include "write.h"
#include "x86_64.h"

/* How many threads are looked at between two looks at the clock. */
#define ULP_CHECK_BATCH		32

/*
 * One thread, that does not run user code, or the answer is a guess.  If a
 * universe begins it may be inside the code that is left: it is noted so.
 */
u32 ulp_look(struct ulp_window *window, struct ulp_thread *thread, u64 deadline)
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
bool ulp_window_passes(struct ulp_window *window, struct task_struct *task)
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

void ulp_window_copy_stack(struct ulp_window *window)
{
	const struct ulp_plan *plan = window->plan;
	struct ulp_outcome *outcome = window->outcome;

	if (plan->stack && ulp_reason_has_thread(outcome->verdict.reason))
		outcome->stack_size = ulp_stack_copy(window->mm, outcome->verdict.sp,
						     plan->stack, plan->stack_size);
}

/* Whether the caller is to look into the word that was found, see hold.c. */
bool ulp_window_may_hold(struct ulp_window *window)
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

/* In the session's worker: it is not preempted. */
void ulp_window_run(struct ulp_window *window)
{
	ulp_session_run(window->session, window->plan->backend == ULP_BACKEND_GATE ?
			ulp_window_gate : ulp_window_stop_machine, window);
}
