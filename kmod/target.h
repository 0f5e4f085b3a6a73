/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tasks that share an address space.
 */
#ifndef ULP_TARGET_H
#define ULP_TARGET_H

#include <linux/mm_types.h>
#include <linux/pid_namespace.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include "compat.h"
#include "fault.h"

struct ulp_target;

/**
 * struct ulp_thread - one task of a target
 * @gate: the task_work that parks it
 * @target: it belongs to; the queued gate holds a reference
 * @task: held
 * @switches: its context switches when the pre-scan found it clean
 * @next: index + 1 of the next thread in its hash bucket, 0 none
 * @clean: no candidate was found while it was off the CPU
 * @stale: words that were passed over then
 * @queued: the gate was handed to task_work_add()
 * @parked: it stands in the gate
 * @inside: it is inside code that is left (struct ulp_plan_universe)
 */
struct ulp_thread {
	struct callback_head gate;
	struct ulp_target *target;
	struct task_struct *task;
	unsigned long switches;
	u32 next;
	u32 stale;
	bool clean;
	bool queued;
	bool parked;
	bool inside;
};

/**
 * struct ulp_target - the tasks of an address space during one attempt
 * @refs: one of the attempt, one of each queued gate
 * @mm: the address space, kept from being freed but not alive
 * @faults: fault points of the session
 * @watched: in the list of the fork probe
 * @lock: protects @nr, @bucket, @gated and @queued of each thread
 * @gated: newborn threads get their gate at once
 * @one: only threads with thread pointer @fs_base are meant
 * @fs_base: see @one
 * @overflow: there was no room for a newborn thread
 * @open: the gate is open
 * @held: the one thread the gate is still closed for although it is @open
 * @hold: in ulp_holds.targets, while @held outlasts its attempt
 * @hold_began: when that began
 * @hold_stamp: stands for it
 * @wait: where threads are parked
 * @nr: threads so far, only grows
 * @max: room for threads
 * @mask: of a hash
 * @bucket: heads of the hash chains, index + 1
 * @threads: in order of their enrolment
 *
 * Enrolment begins before the freeze and the fork probe goes on with it, so
 * that in the frozen window the set is complete without a look at any other
 * process: nothing but fork by one of them makes a new user of an address
 * space that runs user code.
 */
struct ulp_target {
	refcount_t refs;
	struct mm_struct *mm;
	struct ulp_faults *faults;
	struct list_head watched;
	raw_spinlock_t lock;
	bool gated;
	bool one;
	u64 fs_base;
	bool overflow;
	bool open;
	struct ulp_thread *held;
	struct list_head hold;
	u64 hold_began;
	u32 hold_stamp;
	wait_queue_head_t wait;
	u32 nr;
	u32 max;
	u32 mask;
	u32 *bucket;
	struct ulp_thread threads[];
};

struct ulp_target *ulp_target_enrol(struct mm_struct *mm, struct ulp_faults *faults, u32 room);
int ulp_target_choose(struct ulp_target *target, u32 tid, struct pid_namespace *ns);
bool ulp_target_means(const struct ulp_target *target, struct task_struct *task);
void ulp_target_unwatch(struct ulp_target *target);
void ulp_target_put(struct ulp_target *target);
pid_t ulp_target_process(struct mm_struct *mm, char *comm);
void ulp_target_fork_probe(void *data, struct task_struct *parent, struct task_struct *child);

/* How many threads there are; all below this index are fully set up. */
static inline u32 ulp_target_size(const struct ulp_target *target)
{
	/* Pairs with ulp_target_add(). */
	return smp_load_acquire(&target->nr);
}

/* Whether @task may yet run user code in @mm; once it is false it stays so. */
static inline bool ulp_task_lives_in(struct task_struct *task, struct mm_struct *mm)
{
	return !(READ_ONCE(task->flags) & (PF_EXITING | ULP_PF_NO_USER_CODE)) &&
	       READ_ONCE(task->mm) == mm;
}

/* Whether @task is switched out, so that its switch counts stand still. */
static inline bool ulp_task_off_cpu(struct task_struct *task)
{
	/* Pairs with the scheduler's finish_task(). */
	return !smp_load_acquire(&task->on_cpu);
}

/* Grows each time @task is switched out. */
static inline unsigned long ulp_task_switches(struct task_struct *task)
{
	return READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw);
}

/* Asleep in the kernel: neither preempted nor woken up by now. */
static inline bool ulp_task_asleep(struct task_struct *task)
{
	unsigned int state = READ_ONCE(task->__state);

	return ulp_task_off_cpu(task) && state != TASK_RUNNING && !(state & TASK_WAKING);
}

#endif /* ULP_TARGET_H */
