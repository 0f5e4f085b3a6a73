/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The writes: private pages before the freeze, all or nothing inside it.
 */
#ifndef ULP_WRITE_H
#define ULP_WRITE_H

#include "plan.h"

int ulp_write_pin(struct ulp_plan *plan, struct mm_struct *mm);
void ulp_write_unpin(struct ulp_plan *plan);
u32 ulp_write_verify(const struct ulp_plan *plan, struct mm_struct *mm,
		     struct ulp_faults *faults, struct ulp_verdict *verdict);
void ulp_write_all(const struct ulp_plan *plan);

#endif /* ULP_WRITE_H */
