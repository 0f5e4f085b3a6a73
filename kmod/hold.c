// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that was in the way because of a word on its stack is kept in the
 * gate when all others are let go, so that its caller can look into the word
 * and try again while the thread is where it was.  The gate of that attempt
 * simply stays closed for it: it can be killed, and what holds for parked
 * threads holds for it.
 *
 * It ends with the transaction that finds nobody in the way, or somebody it
 * cannot hold, with ULP_RELEASE, with the session, or after a time: the session's
 * thread does that, whatever became of the caller.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include "compat.h"
#include "freeze.h"
#include "hold.h"
#include "session.h"

/* The gate of @target opens for its last thread. */
static void ulp_hold_let_go(struct ulp_target *target)
{
	struct ulp_thread *thread = target->held;

	ulp_thaw_held(target);
	ulp_gate_take_back(thread);
	ulp_target_put(target);
}

static void ulp_hold_end_all(struct ulp_holds *holds)
{
	struct ulp_target *target, *next;
	LIST_HEAD(ended);
	u64 now;

	raw_spin_lock_irq(&holds->lock);
	now = ktime_get_ns();
	list_splice_init(&holds->targets, &ended);
	list_for_each_entry(target, &ended, hold)
		holds->longest_ns = max(holds->longest_ns, now - target->hold_began);
	raw_spin_unlock_irq(&holds->lock);
	list_for_each_entry_safe(target, next, &ended, hold)
		ulp_hold_let_go(target);
}

static void ulp_hold_limit(struct kthread_work *work)
{
	ulp_hold_end_all(container_of(work, struct ulp_holds, limit.work));
}

void ulp_hold_init(struct ulp_session *session)
{
	struct ulp_holds *holds = &session->holds;

	raw_spin_lock_init(&holds->lock);
	INIT_LIST_HEAD(&holds->targets);
	kthread_init_delayed_work(&holds->limit, ulp_hold_limit);
}

/**
 * ulp_hold_begin() - keep the thread that the gate of @target is closed for
 * @session: its caller's
 * @target: ->held is the thread
 * @limit_ns: how long all holds of the session may last together, from the
 *	first of them on
 *
 * Return: stamp of the hold.
 */
u32 ulp_hold_begin(struct ulp_session *session, struct ulp_target *target, u64 limit_ns)
{
	struct ulp_holds *holds = &session->holds;
	u32 stamp;

	refcount_inc(&target->refs);
	/* Queued before the first of them is listed, it never misses one. */
	kthread_queue_delayed_work(session->worker, &holds->limit,
				   nsecs_to_jiffies(limit_ns) + 1);
	raw_spin_lock_irq(&holds->lock);
	stamp = ULP_STAMP_HELD | (++holds->serial & ULP_STAMP_MASK);
	target->hold_began = ktime_get_ns();
	target->hold_stamp = stamp;
	list_add_tail(&target->hold, &holds->targets);
	raw_spin_unlock_irq(&holds->lock);
	return stamp;
}

/**
 * ulp_hold_sleeper() - keep a thread that sleeps in the kernel
 * @session: its caller's
 * @thread: found in the way by the pre-scan; nothing else is frozen
 * @limit_ns: as above
 *
 * It notices only if it wakes up meanwhile.  Return: stamp of the hold, 0 if it
 * has run since the pre-scan, or cannot be held.
 */
u32 ulp_hold_sleeper(struct ulp_session *session, struct ulp_thread *thread, u64 limit_ns)
{
	struct ulp_target *target = thread->target;
	bool mine;

	if (!ulp_compat.task_work_add)
		return 0;
	ulp_thaw(target, thread);
	raw_spin_lock_irq(&target->lock);
	mine = ulp_gate_claim(thread);
	raw_spin_unlock_irq(&target->lock);
	if (mine)
		ulp_gate_queue(thread);
	/* Still where it was: whenever it wakes up, the gate is in front of it. */
	if (mine && ulp_task_off_cpu(thread->task) &&
	    ulp_task_switches(thread->task) == thread->switches)
		return ulp_hold_begin(session, target, limit_ns);
	ulp_thaw_held(target);
	ulp_gate_take_back(thread);
	return 0;
}

/* Everybody goes on; not from the session's thread. */
void ulp_hold_end(struct ulp_session *session)
{
	kthread_cancel_delayed_work_sync(&session->holds.limit);
	ulp_hold_end_all(&session->holds);
}

u64 ulp_hold_longest(struct ulp_session *session)
{
	return READ_ONCE(session->holds.longest_ns);
}

/* Whether @task has been held since @stamp was given out. */
bool ulp_hold_has(struct ulp_holds *holds, struct task_struct *task, u32 stamp)
{
	struct ulp_target *target;
	unsigned long flags;
	bool found = false;

	raw_spin_lock_irqsave(&holds->lock, flags);
	list_for_each_entry(target, &holds->targets, hold)
		found |= target->held->task == task && target->hold_stamp == stamp;
	raw_spin_unlock_irqrestore(&holds->lock, flags);
	return found;
}
