/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The check: is a thread inside a range, or may it return into one?
 */
#ifndef ULP_STACK_H
#define ULP_STACK_H

#include "plan.h"
#include "target.h"

u32 ulp_stack_check(const struct ulp_plan *plan, struct mm_struct *mm,
		    struct task_struct *task, u64 deadline, struct ulp_verdict *verdict);
u32 ulp_memory_check(const struct ulp_plan *plan, struct mm_struct *mm,
		     struct ulp_target *target, u64 deadline, struct ulp_verdict *verdict);
u32 ulp_stack_copy(struct mm_struct *mm, unsigned long sp, void *to, u32 size);
int ulp_stack_fault_in(struct mm_struct *mm, unsigned long addr);

#endif /* ULP_STACK_H */
