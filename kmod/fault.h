/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault points of the debug build; nothing is left of them in the other.
 */
#ifndef ULP_FAULT_H
#define ULP_FAULT_H

#include <linux/atomic.h>
#include <ulp.h>

/**
 * struct ulp_faults - the armed fault point of one session
 * @point: enum ulp_fault, 0 none
 * @countdown: passings until it acts
 */
struct ulp_faults {
#ifdef ULP_DEBUG_BUILD
	u32 point;
	atomic64_t countdown;
#endif
};

#ifdef ULP_DEBUG_BUILD
#define ULP_IS_DEBUG	true

/* Whether the step at @point must fail now; in any context, @faults may be NULL. */
static inline bool ulp_fault(struct ulp_faults *faults, enum ulp_fault point)
{
	if (!faults || READ_ONCE(faults->point) != point ||
	    atomic64_dec_return(&faults->countdown) >= 0)
		return false;
	WRITE_ONCE(faults->point, 0);
	return true;
}
#else
#define ULP_IS_DEBUG	false

static inline bool ulp_fault(struct ulp_faults *faults, enum ulp_fault point)
{
	return false;
}
#endif

#endif /* ULP_FAULT_H */
