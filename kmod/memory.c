// SPDX-License-Identifier: GPL-2.0
/*
 * The check of memory that is no thread's stack: suspended user contexts have their
 * frames there.
 */
#include <linux/mm.h>
#include <linux/string.h>
#include "scan.h"
#include "stack.h"

/*
 * It begins with a stack: with the kernel's, or behind a guard page.  Without, what is
 * below may be anything, a coroutine's stack too, that was mapped next to it.
 */
static bool ulp_vma_guarded(struct mm_struct *mm, struct vm_area_struct *vma)
{
	struct vm_area_struct *below;

	if (vma->vm_flags & VM_GROWSDOWN)
		return true;
	below = find_vma(mm, vma->vm_start - 1);
	return below && below->vm_end == vma->vm_start &&
	       !(below->vm_flags & (VM_READ | VM_WRITE | VM_EXEC));
}

/* The whole stack of a thread that was started there has been checked. */
static bool ulp_vma_is_stack(struct mm_struct *mm, struct ulp_target *target,
			     struct vm_area_struct *vma)
{
	struct task_struct *task;
	struct pt_regs regs;
	unsigned long fs;
	u32 i;

	if (!ulp_vma_guarded(mm, vma))
		return false;
	for (i = 0; i < ulp_target_size(target); i++) {
		task = target->threads[i].task;
		if (!ulp_task_lives_in(task, mm) || !ulp_arch_copy_regs(task, &regs) ||
		    regs.sp < vma->vm_start || regs.sp >= vma->vm_end)
			continue;
		/* Its own data at the top, or the program's arguments. */
		fs = ulp_arch_fs_base(task);
		if ((fs > regs.sp && fs < vma->vm_end) ||
		    (mm->start_stack > regs.sp && mm->start_stack < vma->vm_end))
			return true;
	}
	return false;
}

/**
 * ulp_memory_check() - is there a return address into a range in other memory?
 * @plan: ranges
 * @mm: address space, with the mmap lock held for reading
 * @target: its tasks
 * @deadline: when to give up (ktime_get_ns())
 * @verdict: tells where, if there is
 *
 * All private writable memory but stacks that threads were started on.  A user
 * context that is suspended has its frames there.  Return: enum ulp_reason.
 */
u32 ulp_memory_check(const struct ulp_plan *plan, struct mm_struct *mm,
		     struct ulp_target *target, u64 deadline, struct ulp_verdict *verdict)
{
	struct ulp_check check = {
		.plan = plan, .mm = mm, .deadline = deadline, .verdict = verdict,
		.width = sizeof(u64),
	};
	struct vm_area_struct *vma;
	unsigned long addr = 0;
	bool stop = false;

	verdict->reason = ULP_REASON_NONE;
	if (!plan->nr_ranges)
		return ULP_REASON_NONE;
	check.low = plan->ranges[0].start + 1;
	check.span = plan->ranges[plan->nr_ranges - 1].end - plan->ranges[0].start;
	rcu_read_lock();
	while (!stop) {
		vma = find_vma(mm, addr);
		if (!vma)
			break;
		addr = vma->vm_end;
		if (!(vma->vm_flags & VM_WRITE) ||
		    (vma->vm_flags & (VM_SHARED | ULP_VM_SPECIAL)) ||
		    ulp_vma_is_stack(mm, target, vma))
			continue;
		memset(check.tail, 0, sizeof(check.tail));
		stop = ulp_scan_vma(&check, vma, vma->vm_start, vma->vm_end);
	}
	rcu_read_unlock();
	return verdict->reason;
}
