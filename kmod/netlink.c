// SPDX-License-Identifier: GPL-2.0
/*
 * Events: what became of a transaction, told to who listens.  Nothing here
 * changes anything, and nothing waits for a listener.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <net/genetlink.h>
#include <ulp_netlink.h>
#include "compat.h"
#include "netlink.h"
#include "target.h"

static const struct genl_multicast_group ulp_groups[] = {
	{ .name = ULP_GENL_GROUP_EVENTS, .flags = ULP_MCAST_PRIVILEGED },
};

static struct genl_family ulp_family __ro_after_init = {
	.name		= ULP_GENL_NAME,
	.version	= ULP_GENL_VERSION,
	.maxattr	= ULP_A_MAX,
	.module		= THIS_MODULE,
	.mcgrps		= ulp_groups,
	.n_mcgrps	= ARRAY_SIZE(ulp_groups),
};

static enum ulp_event ulp_event_of(const struct ulp_plan *plan, int err)
{
	switch (err) {
	case 0:
		return plan->subject->said.action == ULP_ACTION_REVERT ? ULP_EVENT_REVERTED :
			ULP_EVENT_APPLIED;
	case -EADDRINUSE:
	case -ETIME:
	case -EAGAIN:
	case -EINTR:
		return ULP_EVENT_BUSY;
	default:
		return ULP_EVENT_REFUSED;
	}
}

/* The fixed part is less than this, headers included. */
#define ULP_EVENT_BASE	512

static size_t ulp_event_size(const struct ulp_plan_subject *subject)
{
	size_t size = ULP_EVENT_BASE;
	u32 at = 0, length;

	for (; at < subject->said.functions_size; at += length) {
		length = strlen(subject->functions + at) + 1;
		size += nla_total_size(length);
	}
	return size;
}

static int ulp_put_subject(struct sk_buff *skb, const struct ulp_plan_subject *subject)
{
	const struct ulp_subject *said = &subject->said;
	u32 at = 0;
	int err;

	err = nla_put_u32(skb, ULP_A_ACTION, said->action) ?:
	      nla_put(skb, ULP_A_PATCH_ID, sizeof(said->id), said->id) ?:
	      nla_put_string(skb, ULP_A_PATCH_NAME, said->name) ?:
	      nla_put_u32(skb, ULP_A_NR_FUNCTIONS, said->nr_functions);
	for (; !err && at < said->functions_size; at += strlen(subject->functions + at) + 1)
		err = nla_put_string(skb, ULP_A_FUNCTION, subject->functions + at);
	return err;
}

static int ulp_put_process(struct sk_buff *skb, struct mm_struct *mm)
{
	char comm[TASK_COMM_LEN];
	pid_t pid = ulp_target_process(mm, comm);

	if (!pid)
		return 0;
	return nla_put_u32(skb, ULP_A_PID, pid) ?: nla_put_string(skb, ULP_A_COMM, comm);
}

static int ulp_put_outcome(struct sk_buff *skb, const struct ulp_plan *plan,
			   const struct ulp_outcome *outcome)
{
	return nla_put_u32(skb, ULP_A_BY_PID, task_tgid_nr(current)) ?:
	       nla_put_u32(skb, ULP_A_BY_UID, from_kuid(&init_user_ns, current_euid())) ?:
	       nla_put_u64_64bit(skb, ULP_A_FREEZE_NS, outcome->max_freeze_ns, ULP_A_PAD) ?:
	       nla_put_u32(skb, ULP_A_ATTEMPTS, outcome->attempts) ?:
	       nla_put_u32(skb, ULP_A_THREADS, outcome->threads) ?:
	       nla_put_u32(skb, ULP_A_BACKEND, plan->backend);
}

static int ulp_put_verdict(struct sk_buff *skb, const struct ulp_verdict *verdict, int err)
{
	int ret = nla_put_u32(skb, ULP_A_ERRNO, -err) ?:
		  nla_put_u32(skb, ULP_A_REASON, verdict->reason);

	if (ret || !verdict->init_tid)
		return ret;
	return nla_put_u32(skb, ULP_A_TID, verdict->init_tid) ?:
	       nla_put_u64_64bit(skb, ULP_A_IP, verdict->ip, ULP_A_PAD) ?:
	       nla_put_u64_64bit(skb, ULP_A_SLOT, verdict->slot, ULP_A_PAD) ?:
	       nla_put_u64_64bit(skb, ULP_A_VALUE, verdict->value, ULP_A_PAD);
}

/**
 * ulp_event_send() - tell what became of a transaction
 * @mm: the target
 * @plan: without a subject, or of a dry run: there is no event
 * @outcome: of the transaction
 * @err: what the ioctl returns
 *
 * An event that finds no memory or no room at a listener is lost; netlink tells
 * the listener of the latter (ENOBUFS).
 */
void ulp_event_send(struct mm_struct *mm, const struct ulp_plan *plan,
		    const struct ulp_outcome *outcome, int err)
{
	struct sk_buff *skb;
	void *header;

	if (!plan->subject || (plan->flags & ULP_TRANSACT_DRY_RUN) ||
	    !genl_has_listeners(&ulp_family, &init_net, 0))
		return;
	skb = genlmsg_new(ulp_event_size(plan->subject), GFP_KERNEL);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &ulp_family, 0, ulp_event_of(plan, err));
	if (!header || ulp_put_subject(skb, plan->subject) || ulp_put_process(skb, mm) ||
	    ulp_put_outcome(skb, plan, outcome) ||
	    (err && ulp_put_verdict(skb, &outcome->verdict, err))) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&ulp_family, skb, 0, 0, GFP_KERNEL);
}

/**
 * ulp_event_overdue() - tell that the caller was held by the sensor for nothing
 * @place: enum ulp_place
 * @held_ns: how long
 */
void ulp_event_overdue(u32 place, u64 held_ns)
{
	struct sk_buff *skb;
	void *header;

	if (!genl_has_listeners(&ulp_family, &init_net, 0))
		return;
	skb = genlmsg_new(ULP_EVENT_BASE, GFP_KERNEL);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &ulp_family, 0, ULP_EVENT_OVERDUE);
	if (!header || nla_put_u32(skb, ULP_A_PID, task_tgid_nr(current)) ||
	    nla_put_u32(skb, ULP_A_TID, task_pid_nr(current)) ||
	    nla_put_string(skb, ULP_A_COMM, current->comm) ||
	    nla_put_u32(skb, ULP_A_PLACE, place) ||
	    nla_put_u64_64bit(skb, ULP_A_HELD_NS, held_ns, ULP_A_PAD)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&ulp_family, skb, 0, 0, GFP_KERNEL);
}

int ulp_netlink_init(void)
{
	return genl_register_family(&ulp_family);
}

void ulp_netlink_exit(void)
{
	genl_unregister_family(&ulp_family);
}
