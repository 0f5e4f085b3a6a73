/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Looking for return addresses, word by word, without unwinding.
 */
#ifndef ULP_SCAN_H
#define ULP_SCAN_H

#include <linux/mm.h>
#include "plan.h"
#include "target.h"
#include "x86_64.h"

/* A thread in more signal frames on stacks of their own cannot be proven. */
#define ULP_STACKS_MAX		8

/* Words before the present one, for recognising signal frames. */
#define ULP_TAIL		ULP_ARCH_FRAME_WORDS

/* Mappings of what is no normal memory. */
#define ULP_VM_SPECIAL		(VM_IO | VM_PFNMAP | VM_MIXEDMAP)

/**
 * struct ulp_check - the check of one thread
 * @plan: ranges and stale words
 * @mm: of the thread
 * @task: the thread; NULL: memory that is no thread's stack
 * @deadline: when to give up (ktime_get_ns())
 * @verdict: result
 * @regs: user registers
 * @width: size of a stack word
 * @low: lowest word that may be a candidate
 * @span: how many words from @low on may be candidates
 * @pages: read so far
 * @stamp: of the time in which this was read, 0 if it may have run in it
 * @nr_stacks: of @stacks
 * @stacks: where the scan of each stack begins
 * @ends: where the mapping of each ends; 0 not yet scanned
 * @tail: the last words read
 */
struct ulp_check {
	const struct ulp_plan *plan;
	struct mm_struct *mm;
	struct task_struct *task;
	u64 deadline;
	struct ulp_verdict *verdict;
	struct pt_regs regs;
	unsigned int width;
	u64 low;
	u64 span;
	unsigned int pages;
	u32 stamp;
	unsigned int nr_stacks;
	unsigned long stacks[ULP_STACKS_MAX];
	unsigned long ends[ULP_STACKS_MAX];
	u64 tail[ULP_TAIL];
};

const struct ulp_plan_range *ulp_range_of_ip(const struct ulp_plan *plan, u64 ip);
u32 ulp_task_stamp(struct task_struct *task);
bool ulp_stop(struct ulp_check *check, u32 reason, unsigned long slot, u64 value);
bool ulp_check_word(struct ulp_check *check, u32 reason, unsigned long slot, u64 value);
bool ulp_scan_vma(struct ulp_check *check, struct vm_area_struct *vma, unsigned long addr,
		  unsigned long end);

#endif /* ULP_SCAN_H */
