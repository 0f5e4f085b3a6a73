/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ioctl interface of ulp.ko, the live patching module: /dev/ulp, its session and
 * its sensor file descriptors.
 */
#ifndef _UAPI_ULP_H
#define _UAPI_ULP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: General ioctl format
 *
 * The interface knows three kinds of file descriptors:
 *
 *   /dev/ulp   answers %ULP_QUERY, makes sessions (%ULP_SESSION_OPEN) and the
 *              sensor (%ULP_SENSOR_OPEN)
 *   session    one address space; closing it (also by dying) aborts what is
 *              under way, thaws, takes back what was mapped but never
 *              committed, and forgets the target
 *   sensor     tells of programs and libraries before their code runs; closing
 *              it lets go of all threads that it holds (ulp_sensor.h)
 *
 * Threads that switch one by one are described in ulp_universe.h, what only the
 * debug build has in ulp_debug.h.
 *
 * Every argument is a struct whose first field is its own size.  The structs
 * are extended only at their end: a module that is older than its caller
 * accepts a longer struct if the part it does not know is zero, and a module
 * that is newer than its caller takes the missing part as zero.  Fields are
 * fixed-width, pointers are __aligned_u64, reserved fields must be zero.
 * Outputs are named out_* and are also written when the ioctl fails with one
 * of the errors marked (*).
 *
 * An errno means the same everywhere:
 *
 *   ENOTTY      no such ioctl on this kind of file descriptor
 *   E2BIG       the unknown tail of the struct is not zero, or an array is
 *               longer than the limits of ULP_QUERY
 *   EINVAL      a field is wrong: size too small, bad flag, reserved not zero,
 *               range empty or overlapping, unaligned
 *   EOPNOTSUPP  a known field asks for what this machine cannot do (backend)
 *   EFAULT      a pointer argument, or an address of the target, is not mapped
 *   EPERM       not the opener's credentials, or the kernel is locked down
 *   EBADF       mem_fd is no file descriptor opened for reading and writing
 *   ESRCH       the target's address space is gone
 *   EALREADY    another session of this address space is in a transaction
 *   ENOMEM      no memory, in the kernel or for the target
 *   EEXIST      (ULP_MAP) something is mapped there already; (ULP_SENSOR_ARM) it
 *               is armed already
 *   EADDRINUSE  (*) a thread is, or may be, inside a range: see out_reason
 *   ETIME       (*) max_freeze_ns was reached in every attempt
 *   ESTALE      (*) the target's memory is not what the plan expects, or another
 *               session has written to it (%ULP_TRANSACT_UNCHANGED)
 *   EAGAIN      (*) the target kept changing under us (new threads without
 *               end, a page that would not stay); nothing was written
 *   EINTR       (*) the caller got a fatal signal between two attempts
 *   ENOSPC      (*) (universe) the table has no room for the threads inside
 *   ENXIO       (*) (universe) a thread inside has no thread pointer
 *   ENOENT      (universe) there is no such thread (any more)
 *
 * Whenever an ioctl fails nothing of the target was changed.
 *
 * The type letter 0xE7 has no entry in the kernel's ioctl-number.rst (6.1).
 */

/** define ULP_ABI - version of this interface; raised only when it breaks */
#define ULP_ABI			1

#define ULP_IOC_TYPE		0xE7

/* Command numbers are grouped by file descriptor, with room to grow. */
enum {
	ULP_IOC_NR_QUERY	= 0x00,	/* /dev/ulp */
	ULP_IOC_NR_SESSION_OPEN	= 0x01,
	ULP_IOC_NR_SENSOR_OPEN	= 0x02,
	ULP_IOC_NR_MAP		= 0x20,	/* session */
	ULP_IOC_NR_UNMAP	= 0x21,
	ULP_IOC_NR_TRANSACT	= 0x22,
	ULP_IOC_NR_RELEASE	= 0x23,
	ULP_IOC_NR_MEMBERS	= 0x24,
	ULP_IOC_NR_DEBUG	= 0x40,	/* session, debug build only */
	ULP_IOC_NR_SENSOR_ARM	= 0x60,	/* sensor */
	ULP_IOC_NR_SENSOR_DONE	= 0x62,
};

/**
 * enum ulp_features - bits of ulp_query.out_features
 * @ULP_FEATURE_GATE: backend gate works (task_work_add was found)
 * @ULP_FEATURE_STOP_MACHINE: backend stop_machine works
 * @ULP_FEATURE_DEBUG: debug build: ULP_DEBUG exists, fault points are armed
 * @ULP_FEATURE_FORK_PROBE: children born in the window are gated
 * @ULP_FEATURE_EVENTS: ulp_transact.subject is known, events are sent
 * @ULP_FEATURE_STALE: ulp_stale.stamp and out_stamp are known; %ULP_TRANSACT_HOLD
 *	is, and can be done with %ULP_FEATURE_GATE
 * @ULP_FEATURE_SCAN_MEMORY: %ULP_TRANSACT_SCAN_MEMORY is known
 * @ULP_FEATURE_SENSOR: %ULP_SENSOR_OPEN works
 * @ULP_FEATURE_UNIVERSE: ulp_transact.universe and ULP_MEMBERS are known
 * @ULP_FEATURE_UNCHANGED: %ULP_TRANSACT_UNCHANGED is known
 */
enum ulp_features {
	ULP_FEATURE_GATE		= 1 << 0,
	ULP_FEATURE_STOP_MACHINE	= 1 << 1,
	ULP_FEATURE_DEBUG		= 1 << 2,
	ULP_FEATURE_FORK_PROBE		= 1 << 3,
	ULP_FEATURE_EVENTS		= 1 << 4,
	ULP_FEATURE_STALE		= 1 << 5,
	ULP_FEATURE_SCAN_MEMORY		= 1 << 6,
	ULP_FEATURE_SENSOR		= 1 << 7,
	ULP_FEATURE_UNIVERSE		= 1 << 8,
	ULP_FEATURE_UNCHANGED		= 1 << 9,
};

/**
 * struct ulp_query - ioctl(ULP_QUERY): what this module is and can do
 * @size: sizeof(struct ulp_query)
 * @flags: must be 0
 * @out_abi: %ULP_ABI of the module
 * @out_default_backend: enum ulp_backend taken for %ULP_BACKEND_AUTO
 * @out_features: bits of enum ulp_features
 * @out_max_ranges: most ranges in one transaction
 * @out_max_writes: most writes in one transaction
 * @out_max_write_bytes: most bytes written in one transaction, all together
 * @out_max_stale: most proven stale slots in one transaction
 * @out_max_stack: most bytes of a blocker's stack that are copied out
 * @out_max_maps: most uncommitted mappings of one session
 * @out_version: version of the module, NUL terminated text
 *
 * Needs no session and no privilege beyond opening /dev/ulp.
 */
struct ulp_query {
	__u32 size;
	__u32 flags;
	__u32 out_abi;
	__u32 out_default_backend;
	__aligned_u64 out_features;
	__u32 out_max_ranges;
	__u32 out_max_writes;
	__u32 out_max_write_bytes;
	__u32 out_max_stale;
	__u32 out_max_stack;
	__u32 out_max_maps;
	__u8  out_version[32];
};

#define ULP_QUERY	_IOWR(ULP_IOC_TYPE, ULP_IOC_NR_QUERY, struct ulp_query)

/**
 * struct ulp_session_open - ioctl(ULP_SESSION_OPEN): a session on one target
 * @size: sizeof(struct ulp_session_open)
 * @flags: must be 0
 * @mem_fd: /proc/PID/mem, or /proc/PID/task/TID/mem of a live thread, opened
 *	O_RDWR by the caller
 * @__reserved: must be 0
 *
 * Opening the file made the kernel check ptrace access (LSMs included), and it
 * names an address space, not a pid: neither a reused pid nor an exec can
 * redirect the session.  The caller's credentials must be those the file was
 * opened with, or it must have CAP_SYS_PTRACE.  The descriptor may be closed
 * afterwards.
 *
 * Return: a new file descriptor (close-on-exec), or one of
 * EBADF, EINVAL (not a /proc/PID/mem file, or a kernel thread's), EPERM, ESRCH.
 */
struct ulp_session_open {
	__u32 size;
	__u32 flags;
	__s32 mem_fd;
	__u32 __reserved;
};

#define ULP_SESSION_OPEN \
	_IOW(ULP_IOC_TYPE, ULP_IOC_NR_SESSION_OPEN, struct ulp_session_open)

/**
 * enum ulp_map_flags - flags of ulp_map
 * @ULP_MAP_EXEC: readable and executable
 * @ULP_MAP_WRITE: readable and writable
 *
 * Neither: read-only.  Both: EINVAL, nothing is ever writable and executable.
 */
enum ulp_map_flags {
	ULP_MAP_EXEC	= 1 << 0,
	ULP_MAP_WRITE	= 1 << 1,
};

/**
 * struct ulp_map - ioctl(ULP_MAP): map a piece of a file into the target
 * @size: sizeof(struct ulp_map)
 * @flags: bits of enum ulp_map_flags
 * @fd: file of the caller (a sealed memfd), or -1 for zeroed memory, which shows
 *	up as "/ulp (deleted)" in /proc/PID/maps
 * @__reserved: must be 0
 * @offset: where in the file, page aligned; 0 when @fd is -1
 * @addr: where in the target, page aligned, free
 * @length: bytes, a multiple of the page size, not 0
 *
 * The mapping is private (MAP_PRIVATE | MAP_FIXED_NOREPLACE), made with the
 * credentials that opened the session while the target runs, charged to the
 * target's memory cgroup; of a regular file, and at most 256 MiB long.  It is
 * uncommitted until a transaction of this session with
 * %ULP_TRANSACT_COMMIT_MAPS succeeds: closing the session unmaps what is
 * uncommitted, unless a thread may be in it; the kernel log tells what stayed.
 * While another session is in a transaction, it is unmapped behind that one.
 * Children that the target forks do not have what is uncommitted, and have what
 * is committed, together with what is written in the transaction that commits.
 * The ranges below mmap_min_addr and above the user address space are refused.
 *
 * Errors: EEXIST, EINVAL (also: neither a regular file nor -1, huge pages), E2BIG
 * (out_max_maps), EBADF, EACCES (not opened for reading), EPERM, ESRCH, ENOMEM, and
 * what the file says to being opened and mapped.
 */
struct ulp_map {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 __reserved;
	__aligned_u64 offset;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define ULP_MAP		_IOW(ULP_IOC_TYPE, ULP_IOC_NR_MAP, struct ulp_map)

/**
 * enum ulp_backend - how the target is kept from running during the window
 * @ULP_BACKEND_AUTO: the module's choice
 * @ULP_BACKEND_GATE: a task_work gate before user mode for each thread of the
 *	address space; other processes are not held
 * @ULP_BACKEND_STOP_MACHINE: stop_machine(); every CPU of the machine is held,
 *	so that it needs CAP_SYS_ADMIN (EPERM)
 */
enum ulp_backend {
	ULP_BACKEND_AUTO		= 0,
	ULP_BACKEND_GATE		= 1,
	ULP_BACKEND_STOP_MACHINE	= 2,
};

/**
 * struct ulp_range - code that no thread may be inside
 * @start: first byte
 * @end: first byte behind it
 *
 * A thread is a candidate when its instruction pointer is in [start, end), or a
 * word of its stack, from the stack pointer to where the stack may end, or a
 * general register is in (start, end]: a return address can equal the end
 * (behind a call that does not return) and never the start.
 */
struct ulp_range {
	__aligned_u64 start;
	__aligned_u64 end;
};

/**
 * struct ulp_write - bytes to be replaced
 * @addr: address in the target; the write stays within one page
 * @len: bytes, 1..256
 * @__reserved: must be 0
 * @expected: user pointer to @len bytes that must be there
 * @bytes: user pointer to @len bytes to be there afterwards
 *
 * Works on private mappings whatever their protection; the page becomes the
 * target's own (copy on write), its protection stays.  Shared mappings and
 * hugetlbfs are refused with EFAULT.
 */
struct ulp_write {
	__aligned_u64 addr;
	__u32 len;
	__u32 __reserved;
	__aligned_u64 expected;
	__aligned_u64 bytes;
};

/**
 * struct ulp_stale - a stack word that was proven not to be a return address
 * @tid: thread, as seen in the caller's pid namespace
 * @stamp: out_stamp of the transaction that reported it
 * @ip: user instruction pointer the proof was made for
 * @sp: user stack pointer the proof was made for
 * @slot: address of the word; for %ULP_REASON_REGISTER the offset, as reported
 * @value: the word
 *
 * A candidate is passed over only if all five agree and the thread has not run
 * user code since: it is still held (%ULP_TRANSACT_HOLD), or still switched out
 * as it was.  The same registers alone would prove nothing: a loop comes back to
 * them with another stack.
 */
struct ulp_stale {
	__u32 tid;
	__u32 stamp;
	__aligned_u64 ip;
	__aligned_u64 sp;
	__aligned_u64 slot;
	__aligned_u64 value;
};

/**
 * enum ulp_reason - why a transaction did not happen (ulp_transact.out_reason)
 * @ULP_REASON_NONE: it happened, or the errno says it all
 * @ULP_REASON_IP: a thread executes inside a range: out_tid, out_range, out_ip
 * @ULP_REASON_STACK: a stack word points into a range, or is where a signal
 *	interrupted in it: also out_slot, out_value
 * @ULP_REASON_SIGRETURN: a thread was inside rt_sigreturn: out_tid
 * @ULP_REASON_NO_STACK: a thread's stack pointer is in no readable mapping, so
 *	nothing can be proven: out_tid, out_ip, out_sp
 * @ULP_REASON_FREEZE_LIMIT: max_freeze_ns went by
 * @ULP_REASON_BYTES: a write did not find its expected bytes: out_write,
 *	out_value is the offset of the first byte that differs
 * @ULP_REASON_PAGE: the page of a write was replaced under us: out_write
 * @ULP_REASON_NEW_THREADS: threads were born faster than they could be gated
 * @ULP_REASON_FAULT: a stack page stayed absent: out_tid, out_slot
 * @ULP_REASON_REGISTER: a general register points into a range, by the rule of
 *	stack words (vfork and longjmp keep return addresses there): out_value,
 *	out_slot is its offset in struct ulp_regs
 * @ULP_REASON_LOCK: the target's memory map stayed locked (by one of its threads
 *	in mmap or munmap)
 * @ULP_REASON_MEMORY: a word that is on no thread's stack points into a range, by
 *	the rule of stack words (%ULP_TRANSACT_SCAN_MEMORY): out_slot, out_value
 * @ULP_REASON_NO_POINTER: a thread that had to be put into the table has no thread
 *	pointer: out_tid
 * @ULP_REASON_TABLE: the table is too full for another thread: out_tid
 */
enum ulp_reason {
	ULP_REASON_NONE			= 0,
	ULP_REASON_IP			= 1,
	ULP_REASON_STACK		= 2,
	ULP_REASON_SIGRETURN		= 3,
	ULP_REASON_NO_STACK		= 4,
	ULP_REASON_FREEZE_LIMIT		= 5,
	ULP_REASON_BYTES		= 6,
	ULP_REASON_PAGE			= 7,
	ULP_REASON_NEW_THREADS		= 8,
	ULP_REASON_FAULT		= 9,
	ULP_REASON_REGISTER		= 10,
	ULP_REASON_LOCK			= 11,
	ULP_REASON_MEMORY		= 12,
	ULP_REASON_NO_POINTER		= 13,
	ULP_REASON_TABLE		= 14,
};

/**
 * struct ulp_regs - user registers of a blocking thread, x86-64
 * @r15: as in the kernel's struct pt_regs, and so on down to @ss; @orig_ax is
 *	the system call number while in one, -1 otherwise
 * @fs_base: thread pointer
 * @gs_base: base of gs
 */
struct ulp_regs {
	__aligned_u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	__aligned_u64 ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
	__aligned_u64 fs_base, gs_base;
};

/**
 * enum ulp_transact_flags - flags of ulp_transact
 * @ULP_TRANSACT_DRY_RUN: everything but the writing
 * @ULP_TRANSACT_COMMIT_MAPS: when it succeeds, the mappings made in this
 *	session belong to the target and outlive the session
 * @ULP_TRANSACT_NO_STAMPS: scan each thread in the window, also one that slept
 *	since the scan before it (for tests and measurements)
 * @ULP_TRANSACT_HOLD: when the last attempt is refused because of a thread that
 *	may yet be proven free (%ULP_REASON_STACK with a slot, or
 *	%ULP_REASON_REGISTER), keep that thread, alone, from running user code
 *	until a transaction of this session ends in any other way, or
 *	%ULP_RELEASE, the session's end, or @hold_ns.  With the gate, or when it
 *	sleeps; out_stamp says whether it was done
 * @ULP_TRANSACT_SCAN_MEMORY: in the window, look for return addresses into the
 *	ranges in all private writable memory as well, but for the stacks that
 *	threads were started on, and pages of files that were not written to:
 *	suspended user contexts have theirs there.  The whole of it counts for
 *	@max_freeze_ns
 * @ULP_TRANSACT_UNCHANGED: refuse (ESTALE) if another session has written to the
 *	target since this one was opened: the plan may rest on what is no more
 */
enum ulp_transact_flags {
	ULP_TRANSACT_DRY_RUN		= 1 << 0,
	ULP_TRANSACT_COMMIT_MAPS	= 1 << 1,
	ULP_TRANSACT_NO_STAMPS		= 1 << 2,
	ULP_TRANSACT_HOLD		= 1 << 3,
	ULP_TRANSACT_SCAN_MEMORY	= 1 << 4,
	ULP_TRANSACT_UNCHANGED		= 1 << 5,
};

/**
 * enum ulp_action - what a transaction is meant to do
 * @ULP_ACTION_APPLY: put new code in the place of old
 * @ULP_ACTION_REVERT: put old code back
 */
enum ulp_action {
	ULP_ACTION_APPLY		= 1,
	ULP_ACTION_REVERT		= 2,
};

#define ULP_SUBJECT_NAME	72	/* bytes of ulp_subject.name */
#define ULP_SUBJECT_FUNCTIONS	2048	/* most bytes at ulp_subject.functions */

/**
 * struct ulp_subject - what a transaction is about, for the event it ends in
 * @size: sizeof(struct ulp_subject)
 * @action: enum ulp_action
 * @functions: user pointer to @functions_size bytes: names, each with its NUL
 * @functions_size: at most %ULP_SUBJECT_FUNCTIONS; 0 if no name is known
 * @nr_functions: how many functions there are; names may be left out
 * @id: of the patch
 * @name: of the patch, with its NUL
 *
 * The module believes none of it: it is passed on in the event (ulp_netlink.h),
 * beside what the module knows itself.
 */
struct ulp_subject {
	__u32 size;
	__u32 action;
	__aligned_u64 functions;
	__u32 functions_size;
	__u32 nr_functions;
	__u8  id[32];
	__u8  name[ULP_SUBJECT_NAME];
};

/**
 * struct ulp_transact - ioctl(ULP_TRANSACT): freeze, check, write, thaw
 * @size: sizeof(struct ulp_transact)
 * @flags: bits of enum ulp_transact_flags
 * @backend: enum ulp_backend
 * @attempts: how often to try, at least 1
 * @retry_ns: pause between two attempts, in which everything runs
 * @max_freeze_ns: longest time the target may be held in one attempt, at most
 *	10 s; 0 is the module's default (50 ms).  The clock is looked at until
 *	the writing begins: what is begun then is finished
 * @ranges: user pointer to @nr_ranges of struct ulp_range
 * @writes: user pointer to @nr_writes of struct ulp_write, not overlapping
 * @stale: user pointer to @nr_stale of struct ulp_stale
 * @nr_ranges: may be 0: no condition on the threads
 * @nr_writes: may be 0: only the check
 * @nr_stale: may be 0
 * @stack_size: bytes at @stack
 * @stack: user pointer; receives the blocking thread's stack from its stack
 *	pointer upwards.  May be 0
 * @regs: user pointer to struct ulp_regs; receives the blocking thread's
 *	registers.  May be 0
 * @out_freeze_ns: how long the target was held in the last attempt
 * @out_max_freeze_ns: the longest of all attempts
 * @out_total_ns: from the first freeze to the end of the last
 * @out_attempts: attempts made
 * @out_backend: enum ulp_backend that was used
 * @out_threads: tasks that share the address space in the last attempt
 * @out_parked: of these, parked in the gate when the check began
 * @out_asleep: of these, asleep in the kernel
 * @out_rescanned: stacks read inside the window
 * @out_reason: enum ulp_reason
 * @out_tid: blocking thread, in the caller's pid namespace; 0 none
 * @out_range: index of the range it is in
 * @out_write: index of the write that failed
 * @out_stack_size: bytes stored at @stack
 * @out_stamp: for struct ulp_stale: stands for the time in which the blocking
 *	thread does not run; %ULP_STAMP_HELD is set in it if it is held.  0: it
 *	runs, nothing can be proven of it
 * @out_ip: blocking thread's instruction pointer
 * @out_sp: its stack pointer
 * @out_slot: address of the stack word
 * @out_value: the stack word
 * @subject: user pointer to struct ulp_subject: the end of the transaction is
 *	an event for who listens (ulp_netlink.h), unless it is a dry run.  0: no event
 * @hold_ns: longest time that threads are held by %ULP_TRANSACT_HOLD, from the
 *	first of them on, at most 10 s; 0 is the module's default (100 ms)
 * @out_hold_ns: the longest such time of this session so far
 * @out_stale: words that were passed over by @stale in the last attempt
 * @out_members: threads in the table after the transaction (BEGIN and TURN)
 * @universe: user pointer to struct ulp_universe; 0: all threads at once
 *
 * All or nothing: either every write was done while no thread of the address
 * space could run user code and none was inside a range, or none was done.
 * What can fail, sleep or fault happens before the freeze: the pages of the
 * writes are made private and pinned first.  The caller may be killed at any
 * time: between two attempts that ends the transaction, inside one it has no
 * effect on its outcome.
 */
struct ulp_transact {
	__u32 size;
	__u32 flags;
	__u32 backend;
	__u32 attempts;
	__aligned_u64 retry_ns;
	__aligned_u64 max_freeze_ns;
	__aligned_u64 ranges;
	__aligned_u64 writes;
	__aligned_u64 stale;
	__u32 nr_ranges;
	__u32 nr_writes;
	__u32 nr_stale;
	__u32 stack_size;
	__aligned_u64 stack;
	__aligned_u64 regs;
	__aligned_u64 out_freeze_ns;
	__aligned_u64 out_max_freeze_ns;
	__aligned_u64 out_total_ns;
	__u32 out_attempts;
	__u32 out_backend;
	__u32 out_threads;
	__u32 out_parked;
	__u32 out_asleep;
	__u32 out_rescanned;
	__u32 out_reason;
	__u32 out_tid;
	__u32 out_range;
	__u32 out_write;
	__u32 out_stack_size;
	__u32 out_stamp;
	__aligned_u64 out_ip;
	__aligned_u64 out_sp;
	__aligned_u64 out_slot;
	__aligned_u64 out_value;
	__aligned_u64 subject;
	__aligned_u64 hold_ns;
	__aligned_u64 out_hold_ns;
	__u32 out_stale;
	__u32 out_members;
	__aligned_u64 universe;
};

#define ULP_TRANSACT \
	_IOWR(ULP_IOC_TYPE, ULP_IOC_NR_TRANSACT, struct ulp_transact)

/** define ULP_STAMP_HELD - bit of ulp_transact.out_stamp: the thread is held */
#define ULP_STAMP_HELD	0x80000000U

/**
 * struct ulp_release - ioctl(ULP_RELEASE): let go what %ULP_TRANSACT_HOLD holds
 * @size: sizeof(struct ulp_release)
 * @flags: must be 0
 * @out_hold_ns: the longest time that a thread was held in this session
 *
 * Also when nothing is held.
 */
struct ulp_release {
	__u32 size;
	__u32 flags;
	__aligned_u64 out_hold_ns;
};

#define ULP_RELEASE	_IOWR(ULP_IOC_TYPE, ULP_IOC_NR_RELEASE, struct ulp_release)

/**
 * struct ulp_unmap - ioctl(ULP_UNMAP): take memory back that ULP_MAP mapped
 * @size: sizeof(struct ulp_unmap)
 * @flags: must be 0
 * @addr: page aligned start
 * @length: bytes, a multiple of the page size, not 0
 * @max_freeze_ns: as in struct ulp_transact
 * @out_reason: enum ulp_reason
 * @out_tid: thread that is inside, in the caller's pid namespace
 * @out_freeze_ns: how long the target was held for the check
 *
 * Freezes, checks that no thread is inside [addr, addr + length), thaws, and
 * unmaps.  That no pointer to it is left in the target's data is the caller's
 * to know: the module cannot.
 *
 * Errors: EADDRINUSE (*), ETIME (*), EAGAIN (*), EINVAL, ESRCH.
 */
struct ulp_unmap {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
	__aligned_u64 max_freeze_ns;
	__u32 out_reason;
	__u32 out_tid;
	__aligned_u64 out_freeze_ns;
};

#define ULP_UNMAP	_IOWR(ULP_IOC_TYPE, ULP_IOC_NR_UNMAP, struct ulp_unmap)

#endif /* _UAPI_ULP_H */
