/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The gate: no thread of a target gets back to user mode.
 */
#ifndef ULP_FREEZE_H
#define ULP_FREEZE_H

#include "target.h"

/* Parked: dies when killed, is no load, is no signal. */
#define ULP_PARKED	(TASK_KILLABLE | TASK_NOLOAD)

bool ulp_gate_claim(struct ulp_thread *thread);
void ulp_gate_queue(struct ulp_thread *thread);
int ulp_gate_count(void);

void ulp_freeze_newborn(struct ulp_target *target);
int ulp_freeze(struct ulp_target *target, u64 deadline);
void ulp_sync_cores(struct mm_struct *mm);
void ulp_thaw(struct ulp_target *target, struct ulp_thread *except);
void ulp_thaw_held(struct ulp_target *target);
void ulp_gate_take_back(struct ulp_thread *thread);
void ulp_freeze_clear(struct ulp_target *target);

#endif /* ULP_FREEZE_H */
