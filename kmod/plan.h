/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A transaction's input as the kernel keeps it: copied, checked, sorted.
 */
#ifndef ULP_PLAN_H
#define ULP_PLAN_H

#include <linux/mm_types.h>
#include <linux/pid_namespace.h>
#include <ulp.h>
#include "fault.h"
#include "hold.h"

#define ULP_MAX_RANGES		4096
#define ULP_MAX_WRITES		4096
#define ULP_MAX_WRITE_BYTES	(128 * 1024)
#define ULP_MAX_WRITE_LEN	256
#define ULP_MAX_STALE		4096
#define ULP_MAX_STACK		(256 * 1024)
#define ULP_MAX_MAPS		64

#define ULP_DEFAULT_FREEZE_NS	(50 * NSEC_PER_MSEC)
#define ULP_MAX_FREEZE_NS	(10 * NSEC_PER_SEC)
#define ULP_DEFAULT_HOLD_NS	(100 * NSEC_PER_MSEC)
#define ULP_MAX_HOLD_NS		(10 * NSEC_PER_SEC)

/**
 * struct ulp_plan_range - a range, in order of addresses
 * @start: first byte
 * @end: first byte behind it
 * @index: in the caller's array
 */
struct ulp_plan_range {
	unsigned long start;
	unsigned long end;
	u32 index;
};

/**
 * struct ulp_plan_write - a write, in order of addresses
 * @addr: in the target
 * @len: bytes
 * @index: in the caller's array
 * @page: index of its page in ulp_plan.pages
 * @expected: what must be there
 * @bytes: what will be there
 */
struct ulp_plan_write {
	unsigned long addr;
	u32 len;
	u32 index;
	u32 page;
	const u8 *expected;
	const u8 *bytes;
};

/**
 * struct ulp_plan_page - a page that is written to
 * @addr: in the target
 * @page: pinned, the target's own; NULL while it is not
 */
struct ulp_plan_page {
	unsigned long addr;
	struct page *page;
};

/**
 * struct ulp_plan_subject - what the plan is about, as the caller says
 * @said: checked; its pointer is not used
 * @functions: names, each with its NUL; said.functions_size bytes
 */
struct ulp_plan_subject {
	struct ulp_subject said;
	char functions[ULP_SUBJECT_FUNCTIONS];
};

struct ulp_plan_universe;

/**
 * struct ulp_plan - everything a transaction works from; no user pointer in it
 * @flags: bits of enum ulp_transact_flags
 * @backend: enum ulp_backend, not AUTO
 * @attempts: how often to try
 * @retry_ns: pause between two attempts
 * @max_freeze_ns: limit of the window
 * @hold_ns: limit of %ULP_TRANSACT_HOLD
 * @nr_ranges: of @ranges
 * @ranges: sorted, not overlapping
 * @nr_writes: of @writes
 * @writes: sorted, not overlapping
 * @nr_pages: of @pages
 * @pages: sorted
 * @nr_stale: of @stale
 * @stale: sorted by slot
 * @bytes: backing of the writes' bytes
 * @stack_size: of @stack
 * @stack: receives the blocker's stack
 * @subject: for the event, NULL if there is to be none
 * @universe: what is done with the table of threads, NULL: all switch at once
 * @pid_ns: the caller's
 * @holds: the session's, NULL if it has none to speak of
 * @faults: the session's
 */
struct ulp_plan {
	u32 flags;
	u32 backend;
	u32 attempts;
	u64 retry_ns;
	u64 max_freeze_ns;
	u64 hold_ns;
	u32 nr_ranges;
	struct ulp_plan_range *ranges;
	u32 nr_writes;
	struct ulp_plan_write *writes;
	u32 nr_pages;
	struct ulp_plan_page *pages;
	u32 nr_stale;
	struct ulp_stale *stale;
	u8 *bytes;
	u32 stack_size;
	u8 *stack;
	struct ulp_plan_subject *subject;
	struct ulp_plan_universe *universe;
	struct pid_namespace *pid_ns;
	struct ulp_holds *holds;
	struct ulp_faults *faults;
};

/**
 * struct ulp_verdict - why not
 * @reason: enum ulp_reason
 * @thread: index of the blocking thread in the target
 * @tid: of the blocking thread, in the plan's pid namespace
 * @init_tid: the same in the initial one
 * @range: index in the caller's array
 * @write: index in the caller's array
 * @stamp: of the blocking thread, 0 none
 * @stale: words that were passed over
 * @ip: instruction pointer
 * @sp: stack pointer
 * @slot: address of the word; of the page for %ULP_REASON_FAULT
 * @value: the word
 * @regs: of the blocking thread
 */
struct ulp_verdict {
	u32 reason;
	u32 thread;
	u32 tid;
	u32 init_tid;
	u32 range;
	u32 write;
	u32 stamp;
	u32 stale;
	unsigned long ip;
	unsigned long sp;
	unsigned long slot;
	unsigned long value;
	struct ulp_regs regs;
};

int ulp_plan_read(struct ulp_plan *plan, const struct ulp_transact *args,
		  struct ulp_faults *faults);
int ulp_plan_read_ranges(struct ulp_plan *plan, u64 ranges, u32 nr);
void ulp_plan_free(struct ulp_plan *plan);
u32 ulp_plan_backend(u32 asked);
bool ulp_plan_may_use(u32 backend);
u64 ulp_plan_freeze_limit(u64 asked);

#endif /* ULP_PLAN_H */
