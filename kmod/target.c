// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the tasks that share an address space, newborn ones included:
 * threads, CLONE_VM processes, vfork children.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include "freeze.h"
#include "target.h"
#include "x86_64.h"

/* Targets whose newborn threads the fork probe enrols. */
static LIST_HEAD(ulp_watched);
static DEFINE_RAW_SPINLOCK(ulp_watched_lock);

/* Whether @task is one of those that are to be looked at. */
bool ulp_target_means(const struct ulp_target *target, struct task_struct *task)
{
	return !target->one || ulp_arch_fs_base(task) == target->fs_base;
}

static struct ulp_target *ulp_target_alloc(struct mm_struct *mm, struct ulp_faults *faults,
					   u32 room)
{
	u32 buckets = roundup_pow_of_two(room);
	struct ulp_target *target;

	target = ulp_fault(faults, ULP_FAULT_ALLOC) ? NULL :
		kvzalloc(struct_size(target, threads, room), GFP_KERNEL);
	if (!target)
		return NULL;
	target->bucket = ulp_fault(faults, ULP_FAULT_ALLOC) ? NULL :
		kvcalloc(buckets, sizeof(*target->bucket), GFP_KERNEL);
	if (!target->bucket) {
		kvfree(target);
		return NULL;
	}
	refcount_set(&target->refs, 1);
	raw_spin_lock_init(&target->lock);
	init_waitqueue_head(&target->wait);
	INIT_LIST_HEAD(&target->watched);
	mmgrab(mm);
	target->mm = mm;
	target->faults = faults;
	target->max = room;
	target->mask = buckets - 1;
	/* The gates may outlive the session; its file holds the module until here. */
	__module_get(THIS_MODULE);
	return target;
}

void ulp_target_put(struct ulp_target *target)
{
	u32 i;

	if (!refcount_dec_and_test(&target->refs))
		return;
	for (i = 0; i < target->nr; i++)
		put_task_struct(target->threads[i].task);
	mmdrop(target->mm);
	kvfree(target->bucket);
	kvfree(target);
	module_put(THIS_MODULE);
}

/* The thread is new, and with @target->gated it must get its gate now. */
static struct ulp_thread *ulp_target_add(struct ulp_target *target, struct task_struct *task)
{
	struct ulp_thread *thread = NULL;
	unsigned long flags;
	u32 *bucket, i;

	if (!ulp_task_lives_in(task, target->mm))
		return NULL;
	bucket = &target->bucket[hash_ptr(task, 32) & target->mask];

	raw_spin_lock_irqsave(&target->lock, flags);
	for (i = *bucket; i; i = target->threads[i - 1].next)
		if (target->threads[i - 1].task == task)
			goto out;
	if (target->nr == target->max) {
		WRITE_ONCE(target->overflow, true);
		goto out;
	}
	i = target->nr;
	thread = &target->threads[i];
	thread->target = target;
	thread->task = get_task_struct(task);
	thread->next = *bucket;
	*bucket = i + 1;
	/* Pairs with ulp_target_size(). */
	smp_store_release(&target->nr, i + 1);
	if (!target->gated || !ulp_target_means(target, task) || !ulp_gate_claim(thread))
		thread = NULL;
out:
	raw_spin_unlock_irqrestore(&target->lock, flags);
	return thread;
}

/*
 * Called by the parent in fork, after the child was linked and before its
 * first instruction.  Atomic.
 */
void ulp_target_fork_probe(void *data, struct task_struct *parent, struct task_struct *child)
{
	struct ulp_thread *thread = NULL;
	struct ulp_target *target;
	unsigned long flags;

	/* The child was linked before we look; pairs with ulp_target_watch(). */
	smp_mb();
	if (list_empty_careful(&ulp_watched))
		return;
	raw_spin_lock_irqsave(&ulp_watched_lock, flags);
	list_for_each_entry(target, &ulp_watched, watched) {
		if (child->mm != target->mm)
			continue;
		if (ulp_fault(target->faults, ULP_FAULT_GATE_POOL))
			WRITE_ONCE(target->overflow, true);
		else
			thread = ulp_target_add(target, child);
		break;
	}
	raw_spin_unlock_irqrestore(&ulp_watched_lock, flags);
	if (thread)
		ulp_gate_queue(thread);
}

static void ulp_target_watch(struct ulp_target *target)
{
	raw_spin_lock_irq(&ulp_watched_lock);
	list_add(&target->watched, &ulp_watched);
	raw_spin_unlock_irq(&ulp_watched_lock);
	/* Who forks sees the list, or our walk its child; pairs with the probe. */
	smp_mb();
}

/* Afterwards the fork probe does not touch @target any more. */
void ulp_target_unwatch(struct ulp_target *target)
{
	raw_spin_lock_irq(&ulp_watched_lock);
	list_del_init(&target->watched);
	raw_spin_unlock_irq(&ulp_watched_lock);
}

/* All threads of a process have the same mm, or none when they exit. */
static bool ulp_process_has_mm(struct task_struct *process, struct mm_struct *mm)
{
	struct mm_struct *found;
	struct task_struct *task;

	for_each_thread(process, task) {
		found = READ_ONCE(task->mm);
		if (found)
			return found == mm;
	}
	return false;
}

/**
 * ulp_target_enrol() - start to gather the tasks of @mm
 * @mm: address space
 * @faults: fault points of the session
 * @room: for how many tasks; too few shows as overflow
 *
 * From here on newborn tasks are added by the fork probe, until
 * ulp_target_unwatch().  Sleeps, walks all processes: outside the window.
 */
struct ulp_target *ulp_target_enrol(struct mm_struct *mm, struct ulp_faults *faults, u32 room)
{
	struct ulp_target *target = ulp_target_alloc(mm, faults, room);
	struct task_struct *process, *task;

	if (!target)
		return NULL;
	ulp_target_watch(target);
	rcu_read_lock();
	for_each_process(process) {
		if ((process->flags & PF_KTHREAD) || !ulp_process_has_mm(process, mm))
			continue;
		for_each_thread(process, task)
			ulp_target_add(target, task);
	}
	rcu_read_unlock();
	return target;
}

/**
 * ulp_target_choose() - look at one thread only, and those that share its thread pointer
 * @target: enrolled
 * @tid: of the thread
 * @ns: in which that is its id
 *
 * Return: 0, -ENOENT if it is none of the target's.
 */
int ulp_target_choose(struct ulp_target *target, u32 tid, struct pid_namespace *ns)
{
	struct task_struct *task;
	u32 i;

	/* Of those that run the kernel knows it since they were last switched in. */
	ulp_sync_cores(target->mm);
	for (i = 0; i < ulp_target_size(target); i++) {
		task = target->threads[i].task;
		if (!ulp_task_lives_in(task, target->mm) ||
		    __task_pid_nr_ns(task, PIDTYPE_PID, ns) != tid)
			continue;
		target->fs_base = ulp_arch_fs_base(task);
		target->one = true;
		return 0;
	}
	return -ENOENT;
}

/**
 * ulp_target_process() - the oldest process that has @mm
 * @mm: address space
 * @comm: receives its name, TASK_COMM_LEN bytes
 *
 * Return: its id in the initial pid namespace, 0 if there is none.
 */
pid_t ulp_target_process(struct mm_struct *mm, char *comm)
{
	struct task_struct *process;
	pid_t pid = 0;

	rcu_read_lock();
	for_each_process(process) {
		if ((process->flags & PF_KTHREAD) || !ulp_process_has_mm(process, mm))
			continue;
		pid = task_tgid_nr(process);
		strscpy_pad(comm, process->comm, TASK_COMM_LEN);
		break;
	}
	rcu_read_unlock();
	return pid;
}
