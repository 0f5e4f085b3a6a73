// SPDX-License-Identifier: GPL-2.0
/*
 * What sessions need and what is slow to make: threads, and the fork probe,
 * whose switching on patches kernel text.  Both outlive the last session for a
 * while, so that a hundred targets in a row pay for them once; a machine
 * without sessions pays nothing for its forks.
 */
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include "compat.h"
#include "target.h"
#include "warm.h"

/* How long they are kept without a session, and how many threads at most. */
#define ULP_WARM_TIME		(10 * HZ)
#define ULP_WARM_WORKERS	16

static DEFINE_MUTEX(ulp_warm_mutex);	/* all of these */
static struct kthread_worker *ulp_idle[ULP_WARM_WORKERS];
static unsigned int ulp_nr_idle;
static unsigned int ulp_nr_used;
static unsigned int ulp_serial;
static bool ulp_probe_is_on;

static void ulp_warm_cool(struct work_struct *work)
{
	mutex_lock(&ulp_warm_mutex);
	if (!ulp_nr_used) {
		while (ulp_nr_idle)
			kthread_destroy_worker(ulp_idle[--ulp_nr_idle]);
		if (ulp_probe_is_on)
			ulp_fork_probe_unregister(ulp_target_fork_probe);
		ulp_probe_is_on = false;
	}
	mutex_unlock(&ulp_warm_mutex);
}

static DECLARE_DELAYED_WORK(ulp_warm_work, ulp_warm_cool);

static struct kthread_worker *ulp_worker_new(void)
{
	struct kthread_worker *worker = kthread_create_worker(0, "ulp/%u", ulp_serial++);

	/* A preempted window would hold its target for as long. */
	if (!IS_ERR(worker))
		sched_set_fifo(worker->task);
	return worker;
}

/* A thread of one's own, and the fork probe on; or an error pointer. */
struct kthread_worker *ulp_warm_get(void)
{
	struct kthread_worker *worker;
	int err = 0;

	mutex_lock(&ulp_warm_mutex);
	if (!ulp_probe_is_on)
		err = ulp_fork_probe_register(ulp_target_fork_probe);
	if (err) {
		worker = ERR_PTR(err);
		goto out;
	}
	ulp_probe_is_on = true;
	worker = ulp_nr_idle ? ulp_idle[--ulp_nr_idle] : ulp_worker_new();
	if (!IS_ERR(worker))
		ulp_nr_used++;
	else if (!ulp_nr_used)
		mod_delayed_work(system_wq, &ulp_warm_work, ULP_WARM_TIME);
out:
	mutex_unlock(&ulp_warm_mutex);
	return worker;
}

void ulp_warm_put(struct kthread_worker *worker)
{
	mutex_lock(&ulp_warm_mutex);
	if (ulp_nr_idle < ULP_WARM_WORKERS) {
		ulp_idle[ulp_nr_idle++] = worker;
		worker = NULL;
	}
	if (!--ulp_nr_used)
		mod_delayed_work(system_wq, &ulp_warm_work, ULP_WARM_TIME);
	mutex_unlock(&ulp_warm_mutex);
	if (worker)
		kthread_destroy_worker(worker);
}

/* No session is left, nor will there be one. */
void ulp_warm_exit(void)
{
	cancel_delayed_work_sync(&ulp_warm_work);
	ulp_warm_cool(NULL);
}
