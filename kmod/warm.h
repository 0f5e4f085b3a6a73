/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What sessions need and what is slow to make.
 */
#ifndef ULP_WARM_H
#define ULP_WARM_H

#include <linux/kthread.h>

struct kthread_worker *ulp_warm_get(void);
void ulp_warm_put(struct kthread_worker *worker);
void ulp_warm_exit(void);

#endif /* ULP_WARM_H */
