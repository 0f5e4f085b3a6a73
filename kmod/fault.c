// SPDX-License-Identifier: GPL-2.0
/*
 * Fault points that wait instead of failing, so that something can be done to
 * the caller or to the target exactly there; and those that are armed for
 * sessions and sensors of programs that know nothing of them.
 */
#include <linux/atomic.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/wait.h>
#include "fault.h"

/* No test needs longer. */
#define ULP_FAULT_PAUSE	(60 * HZ)

static DECLARE_WAIT_QUEUE_HEAD(ulp_fault_queue);
static atomic_t ulp_fault_waiting = ATOMIC_INIT(0);
static atomic_t ulp_fault_turn = ATOMIC_INIT(0);

static uint fault_point;
module_param(fault_point, uint, 0600);
MODULE_PARM_DESC(fault_point, "fault point that is armed in each new session and sensor, 0 none");

static ulong fault_passing;
module_param(fault_passing, ulong, 0600);
MODULE_PARM_DESC(fault_passing, "at which of its passings it acts");

static uint fault_acted;
module_param(fault_acted, uint, 0600);
MODULE_PARM_DESC(fault_acted, "how many fault points have acted");

void ulp_faults_init(struct ulp_faults *faults)
{
	ulp_fault_arm(faults, READ_ONCE(fault_point), READ_ONCE(fault_passing), false);
}

void ulp_fault_arm(struct ulp_faults *faults, u32 point, u64 passing, bool waits)
{
	WRITE_ONCE(faults->point, 0);
	WRITE_ONCE(faults->waits, waits);
	atomic64_set(&faults->countdown, passing);
	WRITE_ONCE(faults->point, point);
}

/* At an armed point; whether it must fail. */
bool ulp_fault_act(struct ulp_faults *faults)
{
	int turn = atomic_read(&ulp_fault_turn);

	if (atomic64_dec_return(&faults->countdown) >= 0)
		return false;
	WRITE_ONCE(faults->point, 0);
	WRITE_ONCE(fault_acted, READ_ONCE(fault_acted) + 1);
	if (!READ_ONCE(faults->waits))
		return true;
	/* Under stop_machine there is nobody who could let us go. */
	if (irqs_disabled())
		return false;
	atomic_inc(&ulp_fault_waiting);
	wait_event_idle_timeout(ulp_fault_queue, atomic_read(&ulp_fault_turn) != turn,
				ULP_FAULT_PAUSE);
	atomic_dec(&ulp_fault_waiting);
	return false;
}

unsigned int ulp_fault_paused(void)
{
	return atomic_read(&ulp_fault_waiting);
}

void ulp_fault_go(void)
{
	atomic_inc(&ulp_fault_turn);
	wake_up_all(&ulp_fault_queue);
}
