// SPDX-License-Identifier: GPL-2.0
/*
 * The check of one thread: its registers and every word of its stack.
 *
 * No unwinding: a thread that has no word pointing into a range, from its
 * stack pointer to the end of the stack, cannot return into one.  What cannot
 * be read is never taken for free.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "compat.h"
#include "scan.h"
#include "stack.h"
#include "walk.h"

/* How often an absent page is asked for, with a tick between. */
#define ULP_FETCH_TRIES		50

/* How often registers that are being written are read again. */
#define ULP_REGS_TRIES		3

static bool ulp_check_ip(struct ulp_check *check)
{
	const struct ulp_plan_range *range = ulp_range_of_ip(check->plan, check->regs.ip);

	if (!range)
		return false;
	check->verdict->range = range->index;
	return ulp_stop(check, ULP_REASON_IP, 0, check->regs.ip);
}

/*
 * Registers carry return addresses where code has taken them off the stack:
 * in vfork() until the child is gone, in longjmp() before its jump.
 */
static bool ulp_check_registers(struct ulp_check *check)
{
	unsigned int i;
	u64 value;

	for (i = 0; i < ULP_ARCH_REGISTERS; i++) {
		value = ulp_arch_register(&check->regs, i);
		if (unlikely(value - check->low < check->span) &&
		    ulp_check_word(check, ULP_REASON_REGISTER, i * sizeof(u64), value))
			return true;
	}
	return false;
}

static bool ulp_check_hidden_returns(struct ulp_check *check)
{
	unsigned long words[ULP_HIDDEN_RETURNS_MAX];
	int i, nr = ulp_hidden_returns(check->task, words);

	if (nr < 0)
		return ulp_stop(check, ULP_REASON_NO_STACK, 0, 0);
	for (i = 0; i < nr; i++)
		if (ulp_check_word(check, ULP_REASON_STACK, 0, words[i]))
			return true;
	return false;
}

/*
 * Where the stack of @sp is: its mapping in *@vma and the first address to read
 * in *@from.  A stack that grows may not have reached its sp yet; an empty one
 * has it right behind its end.
 */
static bool ulp_find_stack(struct ulp_check *check, unsigned long sp,
			   struct vm_area_struct **vma, unsigned long *from)
{
	unsigned long limit = READ_ONCE(check->task->signal->rlim[RLIMIT_STACK].rlim_cur);
	struct vm_area_struct *found = find_vma(check->mm, sp);

	*from = sp;
	if (found && found->vm_start <= sp)
		goto found;
	if (found && (found->vm_flags & VM_GROWSDOWN) && found->vm_end - sp <= limit) {
		*from = found->vm_start;
		goto found;
	}
	found = find_vma(check->mm, sp - 1);
	if (!found || found->vm_start >= sp)
		return false;
found:
	*vma = found;
	return true;
}

/*
 * The mapping in which the stack of @sp goes on behind @vma, or NULL.
 *
 * mlock, madvise and mprotect split the mapping of a stack, and nothing says so.
 * Whatever lies right behind may be more of it, until the stack has certainly
 * ended: neither the thread's own data nor the arguments of the process lie
 * among frames, so that a stack that begins below one of them ends below it; and
 * it ends at a hole, at memory without access (a guard page), and at what can
 * only be read and is of another file (a library).
 */
static struct vm_area_struct *ulp_stack_goes_on(struct ulp_check *check, unsigned long sp,
						struct vm_area_struct *vma)
{
	unsigned long tops[] = { check->mm->start_stack, ulp_arch_fs_base(check->task) };
	struct vm_area_struct *next;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tops); i++)
		if (tops[i] >= sp && tops[i] < vma->vm_end)
			return NULL;
	next = find_vma(check->mm, vma->vm_end);
	if (!next || next->vm_start != vma->vm_end || (next->vm_flags & ULP_VM_SPECIAL))
		return NULL;
	if ((next->vm_flags & VM_WRITE) ||
	    ((next->vm_flags & VM_READ) && next->vm_file == vma->vm_file))
		return next;
	return NULL;
}

static bool ulp_check_stack(struct ulp_check *check, unsigned int index)
{
	unsigned long sp = check->stacks[index], from;
	struct vm_area_struct *vma;

	if (!ulp_find_stack(check, sp, &vma, &from)) {
		/* A dead signal frame may name anything; the live sp may not. */
		check->ends[index] = sp;
		return !index && ulp_stop(check, ULP_REASON_NO_STACK, 0, 0);
	}
	memset(check->tail, 0, sizeof(check->tail));
	for (;;) {
		check->ends[index] = vma->vm_end;
		if (ulp_scan_vma(check, vma, from, vma->vm_end))
			return true;
		vma = ulp_stack_goes_on(check, sp, vma);
		if (!vma)
			return false;
		from = vma->vm_start;
	}
}

/* Registers that were all there at one moment. */
static bool ulp_read_regs(struct ulp_check *check)
{
	struct pt_regs again;
	unsigned int i;

	if (!ulp_arch_copy_regs(check->task, &check->regs))
		return false;
	for (i = 0; i < ULP_REGS_TRIES; i++) {
		if (!ulp_arch_copy_regs(check->task, &again))
			return false;
		if (!memcmp(&again, &check->regs, sizeof(again)))
			break;
		check->regs = again;
	}
	return true;
}

/**
 * ulp_stack_check() - is @task inside a range, or may it return into one?
 * @plan: ranges and stale words
 * @mm: its address space, with the mmap lock held for reading
 * @task: must not run user code, or the answer is only a guess
 * @deadline: when to give up (ktime_get_ns())
 * @verdict: tells where, if it is
 *
 * Never faults, never sleeps.  Return: enum ulp_reason; %ULP_REASON_FAULT
 * asks for ulp_stack_fault_in() of verdict->slot.
 */
u32 ulp_stack_check(const struct ulp_plan *plan, struct mm_struct *mm,
		    struct task_struct *task, u64 deadline, struct ulp_verdict *verdict)
{
	struct ulp_check check = {
		.plan = plan, .mm = mm, .task = task, .deadline = deadline, .verdict = verdict,
	};
	bool stop = false;
	unsigned int i;
	u64 high;

	verdict->reason = ULP_REASON_NONE;
	verdict->stale = 0;
	check.stamp = ulp_task_stamp(task);
	if (!plan->nr_ranges || !ulp_read_regs(&check))
		return ULP_REASON_NONE;
	high = plan->ranges[plan->nr_ranges - 1].end;
	check.low = plan->ranges[0].start + 1;
	check.span = high - plan->ranges[0].start;
	check.width = ulp_arch_is_32bit(&check.regs) ? sizeof(u32) : sizeof(u64);
	check.stacks[check.nr_stacks++] = check.regs.sp;

	/* 32-bit code keeps the 64-bit frames of its process where we cannot know. */
	if ((check.width == sizeof(u32) && high > U32_MAX) ||
	    !IS_ALIGNED(check.regs.sp, check.width))
		stop = ulp_stop(&check, ULP_REASON_NO_STACK, 0, 0);
	else if (ulp_arch_in_sigreturn(&check.regs) || ulp_arch_in_delivery(&check.regs))
		stop = ulp_stop(&check, ULP_REASON_SIGRETURN, 0, 0);

	stop = stop || ulp_check_ip(&check) || ulp_check_registers(&check) ||
	       ulp_check_hidden_returns(&check);
	rcu_read_lock();
	for (i = 0; !stop && i < check.nr_stacks; i++)
		stop = ulp_check_stack(&check, i);
	rcu_read_unlock();
	/* It died under the check: its stack may be somebody else's by now. */
	if (stop && !ulp_task_lives_in(task, mm))
		*verdict = (struct ulp_verdict){ .thread = verdict->thread };
	else if (stop)
		ulp_arch_export_regs(task, &check.regs, &verdict->regs);
	return verdict->reason;
}

/* Copies what is there from @sp upwards, in the window; returns the bytes. */
u32 ulp_stack_copy(struct mm_struct *mm, unsigned long sp, void *to, u32 size)
{
	struct vm_area_struct *vma;
	struct ulp_spot spot;
	u32 done = 0, part;

	rcu_read_lock();
	while (done < size && sp + done < TASK_SIZE_MAX) {
		vma = find_vma(mm, sp + done);
		if (!vma || vma->vm_start > sp + done ||
		    ulp_walk(mm, sp + done, &spot) != ULP_WALK_HERE)
			break;
		part = min_t(unsigned long, spot.end - (sp + done), size - done);
		if (copy_from_kernel_nofault(to + done, spot.memory, part) ||
		    !ulp_walk_same(&spot))
			break;
		done += part;
	}
	rcu_read_unlock();
	return done;
}

static long ulp_stack_fetch(struct mm_struct *mm, unsigned long addr)
{
	struct page *page;
	int locked = 1;
	long ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = ulp_pin_user_page(mm, addr, FOLL_NOWAIT, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (ret == 1)
		unpin_user_page(page);
	return ret;
}

/**
 * ulp_stack_fault_in() - make a page present
 * @mm: address space
 * @addr: in the page
 *
 * Sleeps, outside the window only; not for ever, because who has to provide the
 * page (userfaultfd, a file system in user space) may be the target.
 *
 * Return: 0, -EINTR when the caller is killed, -EAGAIN if it cannot be had now.
 */
int ulp_stack_fault_in(struct mm_struct *mm, unsigned long addr)
{
	unsigned int i;
	long ret;

	for (i = 0; i < ULP_FETCH_TRIES; i++) {
		ret = ulp_stack_fetch(mm, addr);
		if (ret == 1)
			return 0;
		if (ret == -EINTR || fatal_signal_pending(current))
			return -EINTR;
		if (ret)
			break;
		schedule_timeout_killable(1);
	}
	return -EAGAIN;
}
