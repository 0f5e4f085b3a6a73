// SPDX-License-Identifier: GPL-2.0
/*
 * ULP_DEBUG: freeze and thaw as single steps, fault points.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched/mm.h>
#include "compat.h"
#include "debug.h"
#include "freeze.h"
#include "session.h"

/* No test holds its victim longer than this. */
#define ULP_DEBUG_FREEZE_MAX_NS	(10 * NSEC_PER_SEC)

/* In the session's thread: it is the only one that thaws. */
static void ulp_debug_thaw_run(void *data)
{
	struct ulp_session *session = data;

	if (!session->frozen)
		return;
	ulp_thaw(session->frozen, NULL);
	ulp_target_unwatch(session->frozen);
	ulp_freeze_clear(session->frozen);
	ulp_target_put(session->frozen);
	session->frozen = NULL;
	ulp_session_unclaim(session, session->mm);
}

static void ulp_debug_thaw_timer(struct kthread_work *work)
{
	ulp_debug_thaw_run(container_of(work, struct ulp_session, thaw.work));
}

static void ulp_debug_freeze_run(void *data)
{
	ulp_freeze(data, U64_MAX);
}

void ulp_debug_init(struct ulp_session *session)
{
	kthread_init_delayed_work(&session->thaw, ulp_debug_thaw_timer);
}

void ulp_debug_thaw(struct ulp_session *session)
{
	kthread_cancel_delayed_work_sync(&session->thaw);
	ulp_session_run(session, ulp_debug_thaw_run, session);
}

static int ulp_debug_freeze(struct ulp_session *session, u64 ns)
{
	struct ulp_target *target;
	struct mm_struct *mm;
	int err;

	if (!ulp_compat.task_work_add)
		return -EOPNOTSUPP;
	err = ulp_session_claim(session, &mm);
	if (err)
		return err;
	target = ulp_target_enrol(mm, &session->faults, 4 * atomic_read(&mm->mm_users) + 4096);
	if (!target) {
		ulp_session_unclaim(session, mm);
		return -ENOMEM;
	}
	session->frozen = target;
	ulp_session_run(session, ulp_debug_freeze_run, target);
	kthread_queue_delayed_work(session->worker, &session->thaw,
				   nsecs_to_jiffies(min_t(u64, ns ?: ULP_DEBUG_FREEZE_MAX_NS,
							  ULP_DEBUG_FREEZE_MAX_NS)));
	return 0;
}

/* Fault points are numbered for ever; the last three have nothing to fail. */
static int ulp_debug_arm(struct ulp_session *session, struct ulp_debug *args, bool waits)
{
	if (args->point > ULP_FAULT_THAWED || args->arg > S64_MAX)
		return -EINVAL;
	/* The fork probe is atomic. */
	if (waits ? args->point == ULP_FAULT_GATE_POOL : args->point >= ULP_FAULT_PRESCANNED)
		return -EINVAL;
	args->out_value = READ_ONCE(session->faults.point);
	ulp_fault_arm(&session->faults, args->point, args->arg, waits);
	return 0;
}

/* ioctl(ULP_DEBUG); the session is locked. */
int ulp_debug(struct ulp_session *session, struct ulp_debug *args)
{
	if (args->__reserved || (args->point && args->op != ULP_DEBUG_FAULT &&
				 args->op != ULP_DEBUG_PAUSE))
		return -EINVAL;
	switch (args->op) {
	case ULP_DEBUG_FREEZE:
		return ulp_debug_freeze(session, args->arg);
	case ULP_DEBUG_THAW:
		ulp_debug_thaw(session);
		return 0;
	case ULP_DEBUG_FAULT:
		return ulp_debug_arm(session, args, false);
	case ULP_DEBUG_PAUSE:
		return ulp_debug_arm(session, args, true);
	case ULP_DEBUG_PAUSED:
		args->out_value = ulp_fault_paused();
		return 0;
	case ULP_DEBUG_GO:
		args->out_value = ulp_fault_paused();
		ulp_fault_go();
		return 0;
	case ULP_DEBUG_GATES:
		args->out_value = ulp_gate_count();
		return 0;
	default:
		return -EINVAL;
	}
}
