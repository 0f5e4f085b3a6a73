/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holding the thread that was in the way, while its caller looks into it.
 */
#ifndef ULP_HOLD_H
#define ULP_HOLD_H

#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <ulp.h>

struct task_struct;
struct ulp_session;
struct ulp_target;
struct ulp_thread;

/*
 * A stamp stands for a time in which a thread did not run user code: as long
 * as it is held (%ULP_STAMP_HELD), or as it is switched out.  0 stands for none.
 */
#define ULP_STAMP_SWITCHES	0x40000000U
#define ULP_STAMP_MASK		0x3fffffffU

/**
 * struct ulp_holds - the threads that a session holds
 * @lock: protects the others but @limit
 * @targets: each with the one thread it holds
 * @serial: of the last stamp
 * @longest_ns: of the holds that have ended
 * @limit: ends them all
 */
struct ulp_holds {
	raw_spinlock_t lock;	/* see above */
	struct list_head targets;
	u32 serial;
	u64 longest_ns;
	struct kthread_delayed_work limit;
};

void ulp_hold_init(struct ulp_session *session);
u32 ulp_hold_begin(struct ulp_session *session, struct ulp_target *target, u64 limit_ns);
u32 ulp_hold_sleeper(struct ulp_session *session, struct ulp_thread *thread, u64 limit_ns);
void ulp_hold_end(struct ulp_session *session);
u64 ulp_hold_longest(struct ulp_session *session);
bool ulp_hold_has(struct ulp_holds *holds, struct task_struct *task, u32 stamp);

#endif /* ULP_HOLD_H */
