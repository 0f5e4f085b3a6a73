// SPDX-License-Identifier: GPL-2.0
/*
 * The stop_machine backend: every CPU of the machine is held for the window.
 * It needs no symbol that mainline does not export.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/stop_machine.h>
#include <linux/sync_core.h>
#include "stopm.h"

struct ulp_stopm {
	void (*fn)(void *data);
	void *data;
	atomic_t entered;
	bool done;
};

/* One CPU works, the others wait for it; all drop what they prefetched. */
static int ulp_stopm_cpu(void *arg)
{
	struct ulp_stopm *stop = arg;

	if (atomic_inc_return(&stop->entered) == 1) {
		stop->fn(stop->data);
		/* Who waits below sees all that was written. */
		smp_store_release(&stop->done, true);
	} else {
		smp_cond_load_acquire(&stop->done, VAL);
	}
	sync_core();
	return 0;
}

/* Runs @fn, which must not sleep, while nothing else runs on this machine. */
int ulp_stopm(void (*fn)(void *data), void *data)
{
	struct ulp_stopm stop = { .fn = fn, .data = data, .entered = ATOMIC_INIT(0) };

	return stop_machine(ulp_stopm_cpu, &stop, cpu_online_mask);
}
