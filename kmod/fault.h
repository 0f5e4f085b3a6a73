/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault points of the debug build; nothing is left of them in the other.
 */
#ifndef ULP_FAULT_H
#define ULP_FAULT_H

#include <linux/atomic.h>
#include <ulp_debug.h>

/**
 * struct ulp_faults - the armed fault point of one session or sensor
 * @point: enum ulp_fault, 0 none
 * @waits: it waits for ulp_fault_go() and does not fail
 * @countdown: passings until it acts
 */
struct ulp_faults {
#ifdef ULP_DEBUG_BUILD
	u32 point;
	bool waits;
	atomic64_t countdown;
#endif
};

#ifdef ULP_DEBUG_BUILD
#define ULP_IS_DEBUG	true

void ulp_faults_init(struct ulp_faults *faults);
void ulp_fault_arm(struct ulp_faults *faults, u32 point, u64 passing, bool waits);
bool ulp_fault_act(struct ulp_faults *faults);
unsigned int ulp_fault_paused(void);
void ulp_fault_go(void);

/* Whether the step at @point must fail now; in any context, @faults may be NULL. */
static inline bool ulp_fault(struct ulp_faults *faults, enum ulp_fault point)
{
	return faults && READ_ONCE(faults->point) == point && ulp_fault_act(faults);
}
#else
#define ULP_IS_DEBUG	false

static inline void ulp_faults_init(struct ulp_faults *faults)
{
}

static inline bool ulp_fault(struct ulp_faults *faults, enum ulp_fault point)
{
	return false;
}
#endif

#endif /* ULP_FAULT_H */
