/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events by generic netlink.
 */
#ifndef ULP_NETLINK_H
#define ULP_NETLINK_H

#include "plan.h"
#include "transact.h"

int ulp_netlink_init(void);
void ulp_netlink_exit(void);
void ulp_event_send(struct mm_struct *mm, const struct ulp_plan *plan,
		    const struct ulp_outcome *outcome, int err);
void ulp_event_overdue(u32 place, u64 held_ns);

#endif /* ULP_NETLINK_H */
