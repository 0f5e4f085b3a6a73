// SPDX-License-Identifier: GPL-2.0
/*
 * The gate backend: a task_work before user mode for each thread, one IPI, and
 * nobody waits for anybody.
 *
 * After ulp_freeze() each thread of the target is parked in the gate, or in
 * the kernel with the gate between it and user mode.  No signal is involved:
 * a sleeping thread goes on sleeping, and meets the gate only when its system
 * call ends.
 */
#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/sync_core.h>
#include "freeze.h"
#include "x86_64.h"

/* How many threads are gated between two looks at the clock. */
#define ULP_GATE_BATCH	32

/* Gates that are queued or have threads parked in them, of all targets. */
static atomic_t ulp_gates = ATOMIC_INIT(0);

int ulp_gate_count(void)
{
	return atomic_read(&ulp_gates);
}

static bool ulp_gate_is_open(struct ulp_thread *thread)
{
	struct ulp_target *target = thread->target;

	/* Pairs with ulp_thaw(). */
	return smp_load_acquire(&target->open) && READ_ONCE(target->held) != thread;
}

static void ulp_gate_release(struct ulp_thread *thread)
{
	struct ulp_target *target = thread->target;

	atomic_dec(&ulp_gates);
	ulp_target_put(target);
}

/*
 * Runs in the thread, on its way to user mode or in its exit.  One that exits
 * or has got another address space by exec passes: it never comes back to this
 * one's code.
 */
static void ulp_gate_enter(struct callback_head *work)
{
	struct ulp_thread *thread = container_of(work, struct ulp_thread, gate);

	if (ulp_task_lives_in(current, thread->target->mm)) {
		WRITE_ONCE(thread->parked, true);
		___wait_event(thread->target->wait, ulp_gate_is_open(thread), ULP_PARKED, 0, 0,
			      schedule());
	}
	ulp_gate_release(thread);
}

/*
 * Makes the caller the one who queues the gate of @thread.  With target->lock
 * held; from here on the gate holds a reference to the target.
 */
bool ulp_gate_claim(struct ulp_thread *thread)
{
	if (thread->queued)
		return false;
	thread->queued = true;
	refcount_inc(&thread->target->refs);
	atomic_inc(&ulp_gates);
	return true;
}

/* Without target->lock: a debug kernel's task_work_add() takes locks. */
void ulp_gate_queue(struct ulp_thread *thread)
{
	init_task_work(&thread->gate, ulp_gate_enter);
	if (ulp_task_work_add(thread->task, &thread->gate))
		ulp_gate_release(thread);	/* it is gone */
}

static void ulp_sync_core(void *mm)
{
	sync_core();
	if (current->mm == mm)
		ulp_arch_save_fs_base();
}

/*
 * Interrupts each CPU that may run code of @mm and waits until it has.  A CPU
 * that is not in the mask has to load CR3 before it can, which serialises too.
 * From here on ulp_arch_fs_base() knows those that were running.
 */
void ulp_sync_cores(struct mm_struct *mm)
{
	on_each_cpu_mask(mm_cpumask(mm), ulp_sync_core, mm, true);
}

/* Close the gate for those that are born from now on; ulp_thaw() opens it. */
void ulp_freeze_newborn(struct ulp_target *target)
{
	raw_spin_lock_irq(&target->lock);
	target->gated = true;
	raw_spin_unlock_irq(&target->lock);
}

/**
 * ulp_freeze() - close the gate
 * @target: its tasks
 * @deadline: when to give up (ktime_get_ns())
 *
 * Return: 0, -ETIME.  Either way ulp_thaw() and ulp_freeze_clear() must follow.
 */
int ulp_freeze(struct ulp_target *target, u64 deadline)
{
	struct ulp_thread *thread;
	bool mine;
	u32 i;

	ulp_freeze_newborn(target);
	/* Those that the fork probe adds meanwhile are gated by it. */
	for (i = 0; i < ulp_target_size(target); i++) {
		if (i % ULP_GATE_BATCH == ULP_GATE_BATCH - 1 && ktime_get_ns() > deadline)
			return -ETIME;
		thread = &target->threads[i];
		if (!ulp_task_lives_in(thread->task, target->mm) ||
		    !ulp_target_means(target, thread->task))
			continue;
		raw_spin_lock_irq(&target->lock);
		mine = ulp_gate_claim(thread);
		raw_spin_unlock_irq(&target->lock);
		if (mine)
			ulp_gate_queue(thread);
	}
	ulp_sync_cores(target->mm);
	return ulp_fault(target->faults, ULP_FAULT_FREEZE_LIMIT) ? -ETIME : 0;
}

/**
 * ulp_thaw() - open the gate
 * @target: its tasks
 * @except: the thread it stays closed for until ulp_thaw_held(), or NULL
 */
void ulp_thaw(struct ulp_target *target, struct ulp_thread *except)
{
	WRITE_ONCE(target->held, except);
	raw_spin_lock_irq(&target->lock);
	target->gated = false;
	raw_spin_unlock_irq(&target->lock);
	/* Pairs with ulp_gate_is_open(). */
	smp_store_release(&target->open, true);
	wake_up_all(&target->wait);
}

void ulp_thaw_held(struct ulp_target *target)
{
	if (!target->held)
		return;
	WRITE_ONCE(target->held, NULL);
	wake_up_all(&target->wait);
}

/*
 * Takes the gate of @thread back if it did not come to it.  Where that cannot
 * be done it waits, open, until the thread wakes up, and keeps the module loaded.
 */
void ulp_gate_take_back(struct ulp_thread *thread)
{
	if (READ_ONCE(thread->queued) && !READ_ONCE(thread->parked) &&
	    ulp_task_work_cancel(thread->task, &thread->gate))
		ulp_gate_release(thread);
}

/* All gates but that of a thread that is still held. */
void ulp_freeze_clear(struct ulp_target *target)
{
	u32 i;

	for (i = 0; i < ulp_target_size(target); i++)
		if (READ_ONCE(target->held) != &target->threads[i])
			ulp_gate_take_back(&target->threads[i]);
}
