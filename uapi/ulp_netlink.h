/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Events of ulp.ko by generic netlink.  Documentation/netlink/ulp.yaml says the
 * same for programs.
 */
#ifndef _UAPI_ULP_NETLINK_H
#define _UAPI_ULP_NETLINK_H

/**
 * DOC: Events
 *
 * Family "ulp" has one multicast group, "events", and no commands: what can be
 * asked is asked by ioctl (ulp.h).  Joining the group needs CAP_SYS_ADMIN,
 * since events tell addresses of other processes.  Messages are sent in the
 * initial network namespace, and process ids are those of the initial pid
 * namespace.
 *
 * A transaction (ULP_TRANSACT) with a subject ends in one event:
 *
 *   ULP_EVENT_APPLIED    it happened, %ULP_ACTION_APPLY
 *   ULP_EVENT_REVERTED   it happened, %ULP_ACTION_REVERT
 *   ULP_EVENT_BUSY       nothing was changed, it may succeed later
 *   ULP_EVENT_REFUSED    nothing was changed, and it will not succeed like this
 *
 * A thread that the sensor (ULP_SENSOR_OPEN) held for nothing, since nobody
 * answered in time, is one too:
 *
 *   ULP_EVENT_OVERDUE    it goes on, without what was to be applied
 *
 * One command of a tool may be several transactions: busy ones, and a last
 * one.  What a tool finds out by itself before it asks the module is no event.
 *
 * New attributes may come; who does not know one passes it over.
 */

#define ULP_GENL_NAME		"ulp"
#define ULP_GENL_VERSION	1
#define ULP_GENL_GROUP_EVENTS	"events"

/** enum ulp_event - kinds of messages (genlmsghdr.cmd) */
enum ulp_event {
	ULP_EVENT_APPLIED	= 1,
	ULP_EVENT_REVERTED	= 2,
	ULP_EVENT_REFUSED	= 3,
	ULP_EVENT_BUSY		= 4,
	ULP_EVENT_OVERDUE	= 5,
};

/**
 * enum ulp_attr - attributes of an event
 * @ULP_A_UNSPEC: none
 * @ULP_A_PAD: fills up to alignment
 * @ULP_A_PID: u32, the process; missing if it was gone by then
 * @ULP_A_COMM: string, its name
 * @ULP_A_ACTION: u32, enum ulp_action
 * @ULP_A_PATCH_ID: binary, 32 bytes
 * @ULP_A_PATCH_NAME: string
 * @ULP_A_NR_FUNCTIONS: u32
 * @ULP_A_FUNCTION: string, once for each function whose name was told
 * @ULP_A_BY_PID: u32, process that made the transaction
 * @ULP_A_BY_UID: u32, its effective user, in the initial user namespace
 * @ULP_A_FREEZE_NS: u64, the longest hold of all attempts
 * @ULP_A_ATTEMPTS: u32
 * @ULP_A_THREADS: u32
 * @ULP_A_BACKEND: u32, enum ulp_backend
 * @ULP_A_ERRNO: u32, of the ioctl; refused and busy only, like all below
 * @ULP_A_REASON: u32, enum ulp_reason
 * @ULP_A_TID: u32, blocking thread; missing if there is none, like all below
 * @ULP_A_IP: u64, its instruction pointer
 * @ULP_A_SLOT: u64, ulp_transact.out_slot
 * @ULP_A_VALUE: u64, ulp_transact.out_value
 * @ULP_A_PLACE: u32, enum ulp_place; overdue only, where ULP_A_TID is the thread
 * @ULP_A_HELD_NS: u64, how long it was held; overdue only
 */
enum ulp_attr {
	ULP_A_UNSPEC,
	ULP_A_PAD,
	ULP_A_PID,
	ULP_A_COMM,
	ULP_A_ACTION,
	ULP_A_PATCH_ID,
	ULP_A_PATCH_NAME,
	ULP_A_NR_FUNCTIONS,
	ULP_A_FUNCTION,
	ULP_A_BY_PID,
	ULP_A_BY_UID,
	ULP_A_FREEZE_NS,
	ULP_A_ATTEMPTS,
	ULP_A_THREADS,
	ULP_A_BACKEND,
	ULP_A_ERRNO,
	ULP_A_REASON,
	ULP_A_TID,
	ULP_A_IP,
	ULP_A_SLOT,
	ULP_A_VALUE,
	ULP_A_PLACE,
	ULP_A_HELD_NS,
	__ULP_A_LAST
};

#define ULP_A_MAX	(__ULP_A_LAST - 1)

#endif /* _UAPI_ULP_NETLINK_H */
