/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Threads that switch one by one: a part of ulp.h, whose general rules hold.
 */
#ifndef _UAPI_ULP_UNIVERSE_H
#define _UAPI_ULP_UNIVERSE_H

#include "ulp.h"

/**
 * DOC: Universes
 *
 * While a patch is applied thread by thread, code in the target sends each
 * thread to old or new functions by a table of those that have not switched.
 * The table is %ULP_UNIVERSE_WORDS words in the target, page aligned, in buckets
 * of %ULP_UNIVERSE_BUCKET.  A word is the thread pointer (fs base) of a thread, or
 * %ULP_UNIVERSE_STRUCK where one was, or 0 behind the last one of a bucket.  A
 * thread is in bucket number
 *
 *   (fs base * %ULP_UNIVERSE_HASH_1) >> %ULP_UNIVERSE_SHIFT,
 *
 * or, if that has no 0, in the one with HASH_2: who comes to a 0 need not go on.
 *
 * Threads with the same fs base are one thread here; one without (0, or 1) is never
 * in the table.  Only the module writes to it, one word at a time while threads
 * run.
 */
#define ULP_UNIVERSE_WORDS	4096
#define ULP_UNIVERSE_BUCKET	8
#define ULP_UNIVERSE_STRUCK	1
#define ULP_UNIVERSE_SHIFT	55		/* 512 buckets */
#define ULP_UNIVERSE_HASH_1	0x9e3779b97f4a7c15
#define ULP_UNIVERSE_HASH_2	0xc2b2ae3d27d4eb4f

/**
 * enum ulp_universe_op - what a transaction does with the table
 * @ULP_UNIVERSE_BEGIN: the table is filled anew: with each thread that is, or may
 *	be, inside ulp_universe.ranges
 * @ULP_UNIVERSE_TURN: the same, but a thread that is in the table is where it shall
 *	be from now on: it is struck off, whatever it is inside
 * @ULP_UNIVERSE_ADVANCE: only thread ulp_universe.tid, with those that have its fs
 *	base, is looked at and kept from running meanwhile.  It is struck off if it
 *	is inside none of ulp_transact.ranges; not being in the table is success, too.
 *	The others run: writes must have the bytes that they expect, as a condition
 */
enum ulp_universe_op {
	ULP_UNIVERSE_BEGIN	= 1,
	ULP_UNIVERSE_TURN	= 2,
	ULP_UNIVERSE_ADVANCE	= 3,
};

/**
 * struct ulp_universe - what a transaction does with the table of threads
 * @size: sizeof(struct ulp_universe)
 * @op: enum ulp_universe_op
 * @table: its address in the target, in a private mapping
 * @ranges: user pointer to @nr_ranges of struct ulp_range, for BEGIN and TURN:
 *	code that is left.  A thread inside is not in the way of the transaction
 *	(one inside ulp_transact.ranges is)
 * @nr_ranges: at least 1 for BEGIN and TURN, 0 for ADVANCE
 * @tid: for ADVANCE, in the caller's pid namespace; else 0
 *
 * The table changes with the writes of the transaction, or not at all.
 */
struct ulp_universe {
	__u32 size;
	__u32 op;
	__aligned_u64 table;
	__aligned_u64 ranges;
	__u32 nr_ranges;
	__u32 tid;
};

/**
 * struct ulp_member - a thread, for ULP_MEMBERS
 * @tid: in the caller's pid namespace
 * @member: 1 if it is in the table
 */
struct ulp_member {
	__u32 tid;
	__u32 member;
};

/**
 * struct ulp_members - ioctl(ULP_MEMBERS): which threads have not switched
 * @size: sizeof(struct ulp_members)
 * @flags: must be 0
 * @table: as in struct ulp_universe
 * @threads: user pointer to @nr_threads of struct ulp_member
 * @nr_threads: room there, at most %ULP_MEMBERS_MAX
 * @out_threads: threads of the address space; the first @nr_threads are stored
 * @out_members: how many of all are in the table
 * @__reserved: must be 0
 *
 * Nothing is frozen, but a thread that is born meanwhile waits until it is done.
 * Words of threads that have ended are struck off.
 *
 * Errors: EINVAL, E2BIG, EFAULT, EPERM, EALREADY, EAGAIN, ESRCH, ENOMEM, EINTR.
 */
struct ulp_members {
	__u32 size;
	__u32 flags;
	__aligned_u64 table;
	__aligned_u64 threads;
	__u32 nr_threads;
	__u32 out_threads;
	__u32 out_members;
	__u32 __reserved;
};

#define ULP_MEMBERS_MAX	65536
#define ULP_MEMBERS	_IOWR(ULP_IOC_TYPE, ULP_IOC_NR_MEMBERS, struct ulp_members)

#endif /* _UAPI_ULP_UNIVERSE_H */
