/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Single steps and fault points of ulp.ko's debug build, for its tests: a part of
 * ulp.h, whose general rules hold.
 */
#ifndef _UAPI_ULP_DEBUG_H
#define _UAPI_ULP_DEBUG_H

#include "ulp.h"

/**
 * enum ulp_debug_op - what ULP_DEBUG does
 * @ULP_DEBUG_FREEZE: freeze and stay frozen until THAW, close or @arg ns
 * @ULP_DEBUG_THAW: thaw
 * @ULP_DEBUG_FAULT: arm fault point @point to fail once, at its @arg-th passing
 *	from now (0: the next one); it acts on this session only.  @out_value is
 *	the point that was armed before and has not acted
 * @ULP_DEBUG_GATES: @out_value is the number of gates of the whole module that
 *	are queued or parked
 * @ULP_DEBUG_PAUSE: as FAULT, but it does not fail: it waits there until GO, a
 *	minute at most.  With stop_machine nothing can wait in the window
 * @ULP_DEBUG_PAUSED: @out_value is how many wait, of the whole module
 * @ULP_DEBUG_GO: let them go; @out_value is how many those were
 */
enum ulp_debug_op {
	ULP_DEBUG_FREEZE	= 1,
	ULP_DEBUG_THAW		= 2,
	ULP_DEBUG_FAULT		= 3,
	ULP_DEBUG_GATES		= 4,
	ULP_DEBUG_PAUSE		= 5,
	ULP_DEBUG_PAUSED	= 6,
	ULP_DEBUG_GO		= 7,
};

/**
 * enum ulp_fault - numbered fault points; the numbers never change
 * @ULP_FAULT_PIN: a page of a write cannot be pinned
 * @ULP_FAULT_COPY_PLAN: the arg-th piece of the plan cannot be read from the caller
 * @ULP_FAULT_ALLOC: the arg-th allocation of an ioctl fails
 * @ULP_FAULT_MAP: vm_mmap fails in the worker
 * @ULP_FAULT_FREEZE_LIMIT: the limit is reached while threads are gated
 * @ULP_FAULT_CHECK: the check finds a candidate
 * @ULP_FAULT_STACK: a stack page is absent in the window
 * @ULP_FAULT_BYTES: expected bytes differ at the arg-th write
 * @ULP_FAULT_PAGE: the page of the arg-th write has moved
 * @ULP_FAULT_GATE_POOL: no gate object is left for a newborn child
 * @ULP_FAULT_COPY_RESULT: the result cannot be written to the caller
 * @ULP_FAULT_UNMAP: vm_munmap fails in the worker
 * @ULP_FAULT_PRESCANNED: all stacks have been seen; here and at the next two
 *	nothing can fail, they are to wait at
 * @ULP_FAULT_WRITTEN: all writes are done, the target is still held
 * @ULP_FAULT_THAWED: it is not held any more
 * @ULP_FAULT_TELL: the arg-th read of a sensor fails; it is of no session, and
 *	armed only by the module's parameter
 */
enum ulp_fault {
	ULP_FAULT_PIN		= 1,
	ULP_FAULT_COPY_PLAN	= 2,
	ULP_FAULT_ALLOC		= 3,
	ULP_FAULT_MAP		= 4,
	ULP_FAULT_FREEZE_LIMIT	= 5,
	ULP_FAULT_CHECK		= 6,
	ULP_FAULT_STACK		= 7,
	ULP_FAULT_BYTES		= 8,
	ULP_FAULT_PAGE		= 9,
	ULP_FAULT_GATE_POOL	= 10,
	ULP_FAULT_COPY_RESULT	= 11,
	ULP_FAULT_UNMAP		= 12,
	ULP_FAULT_PRESCANNED	= 13,
	ULP_FAULT_WRITTEN	= 14,
	ULP_FAULT_THAWED	= 15,
	ULP_FAULT_TELL		= 16,
};

/**
 * struct ulp_debug - ioctl(ULP_DEBUG): single steps and fault points for tests
 * @size: sizeof(struct ulp_debug)
 * @op: enum ulp_debug_op
 * @point: enum ulp_fault, for %ULP_DEBUG_FAULT and %ULP_DEBUG_PAUSE
 * @__reserved: must be 0
 * @arg: see enum ulp_debug_op
 * @out_value: see enum ulp_debug_op
 *
 * Exists only in the debug build (%ULP_FEATURE_DEBUG), ENOTTY otherwise.
 */
struct ulp_debug {
	__u32 size;
	__u32 op;
	__u32 point;
	__u32 __reserved;
	__aligned_u64 arg;
	__aligned_u64 out_value;
};

#define ULP_DEBUG	_IOWR(ULP_IOC_TYPE, ULP_IOC_NR_DEBUG, struct ulp_debug)

#endif /* _UAPI_ULP_DEBUG_H */
