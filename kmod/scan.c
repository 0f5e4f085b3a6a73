// SPDX-License-Identifier: GPL-2.0
/*
 * The scan: is a word of this memory a return address into a range?  What cannot be
 * read is never taken for free.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include "hold.h"
#include "scan.h"
#include "walk.h"

/* Memory that may have no place in the direct mapping is read by this much. */
#define ULP_BOUNCE_BYTES	256

/* Words that are looked at together; a multiple of 4. */
#define ULP_SCAN_WORDS		8

/* How many pages are read between two looks at the clock. */
#define ULP_SCAN_BATCH		16

/* The last range that starts at or below @addr, or NULL. */
static const struct ulp_plan_range *ulp_range_below(const struct ulp_plan *plan, u64 addr)
{
	u32 low = 0, high = plan->nr_ranges;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (plan->ranges[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &plan->ranges[low - 1] : NULL;
}

/*
 * Stands for the time in which @task has been off the CPU; 0 if it is on one.
 * That a number of switches comes again takes longer than any proof.
 */
u32 ulp_task_stamp(struct task_struct *task)
{
	unsigned long switches = ulp_task_switches(task);

	return ulp_task_off_cpu(task) && ulp_task_switches(task) == switches ?
		ULP_STAMP_SWITCHES | (switches & ULP_STAMP_MASK) : 0;
}

bool ulp_stop(struct ulp_check *check, u32 reason, unsigned long slot, u64 value)
{
	struct ulp_verdict *verdict = check->verdict;

	verdict->reason = reason;
	verdict->slot = slot;
	verdict->value = value;
	verdict->ip = check->regs.ip;
	verdict->sp = check->regs.sp;
	if (!check->task)
		return true;
	verdict->stamp = ulp_task_stamp(check->task) == check->stamp ? check->stamp : 0;
	verdict->tid = __task_pid_nr_ns(check->task, PIDTYPE_PID, check->plan->pid_ns);
	verdict->init_tid = task_pid_nr(check->task);
	return true;
}

/* Whether the thread did not run since it was given that stamp. */
static bool ulp_stamp_is_valid(struct ulp_check *check, u32 stamp)
{
	if (stamp & ULP_STAMP_HELD)
		return check->plan->holds &&
		       ulp_hold_has(check->plan->holds, check->task, stamp);
	return stamp && stamp == ulp_task_stamp(check->task);
}

/* Whether the caller has proven that this very word is no return address. */
static bool ulp_word_is_stale(struct ulp_check *check, unsigned long slot, u64 value)
{
	const struct ulp_plan *plan = check->plan;
	u32 low = 0, high = plan->nr_stale, tid;

	if (!check->task)
		return false;
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (plan->stale[middle].slot < slot)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == plan->nr_stale || plan->stale[low].slot != slot)
		return false;
	tid = __task_pid_nr_ns(check->task, PIDTYPE_PID, plan->pid_ns);
	for (; low < plan->nr_stale && plan->stale[low].slot == slot; low++) {
		const struct ulp_stale *stale = &plan->stale[low];

		if (stale->value == value && stale->ip == check->regs.ip &&
		    stale->sp == check->regs.sp && stale->tid == tid &&
		    ulp_stamp_is_valid(check, stale->stamp)) {
			check->verdict->stale++;
			return true;
		}
	}
	return false;
}

/* Whether @value may be a return address into a range; slow path of the scan. */
bool ulp_check_word(struct ulp_check *check, u32 reason, unsigned long slot, u64 value)
{
	const struct ulp_plan_range *range;

	if (value - check->low >= check->span)
		return false;
	range = ulp_range_below(check->plan, value - 1);
	if (!range || value > range->end || ulp_word_is_stale(check, slot, value))
		return false;
	check->verdict->range = range->index;
	return ulp_stop(check, check->task ? reason : ULP_REASON_MEMORY, slot, value);
}

/* An address at which code goes on, unlike a return address the first one too. */
const struct ulp_plan_range *ulp_range_of_ip(const struct ulp_plan *plan, u64 ip)
{
	const struct ulp_plan_range *range = ulp_range_below(plan, ip);

	return range && ip < range->end ? range : NULL;
}

/*
 * A signal frame, which ends at @slot: it goes on where it was interrupted, and
 * that may have been on another stack.
 */
static bool ulp_check_frame(struct ulp_check *check, unsigned long slot, u64 word,
			    const u64 before[ULP_TAIL])
{
	unsigned int i, at = ulp_arch_frame_ip(check->width);
	const struct ulp_plan_range *range;
	u64 sp, ip = before[at];

	if (!ulp_arch_is_frame(word, before, check->width))
		return false;
	slot -= (ULP_TAIL - at) * check->width;
	range = ulp_range_of_ip(check->plan, ip);
	if (range && !ulp_word_is_stale(check, slot, ip)) {
		check->verdict->range = range->index;
		return ulp_stop(check, check->task ? ULP_REASON_STACK : ULP_REASON_MEMORY,
				slot, ip);
	}
	if (!check->task)
		return false;
	sp = round_down(before[ulp_arch_frame_sp(check->width)], check->width);
	for (i = 0; i < check->nr_stacks; i++)
		if (sp == check->stacks[i] || (sp > check->stacks[i] && sp < check->ends[i]))
			return false;
	if (check->nr_stacks == ULP_STACKS_MAX)
		return ulp_stop(check, ULP_REASON_NO_STACK, 0, 0);
	check->stacks[check->nr_stacks++] = sp;
	return false;
}

static __always_inline u64 ulp_word(const void *memory, unsigned long i, const unsigned int width)
{
	return width == sizeof(u64) ? READ_ONCE(((const u64 *)memory)[i]) :
				      READ_ONCE(((const u32 *)memory)[i]);
}

/* The word @n words before word @i, which may be in the memory before. */
static __always_inline u64 ulp_word_before(const struct ulp_check *check, const void *memory,
					   unsigned long i, unsigned long n,
					   const unsigned int width)
{
	return i >= n ? ulp_word(memory, i - n, width) : check->tail[ULP_TAIL + i - n];
}

/* Whether a word has to be looked at more closely. */
static __always_inline u64 ulp_word_hits(const void *memory, unsigned long i, u64 low, u64 span,
					 const unsigned int width)
{
	u64 word = ulp_word(memory, i, width);

	return (word - low < span) | ulp_arch_may_be_frame(word, width);
}

/* The inner loop of everything. */
static __always_inline bool ulp_scan_words(struct ulp_check *check, const void *memory,
					   unsigned long addr, unsigned long bytes,
					   const unsigned int width)
{
	const u64 low = check->low, span = check->span;
	unsigned long i, j, n, nr = bytes / width;
	u64 word, hit, tail[ULP_TAIL];

	for (i = 0; i < nr; i += ULP_SCAN_WORDS) {
		unsigned long end = min(nr, i + ULP_SCAN_WORDS);

		/* No branch for each word: hits are rare. */
		hit = end != i + ULP_SCAN_WORDS;
		for (j = 0; !hit && j < ULP_SCAN_WORDS; j += 4)
			hit = ulp_word_hits(memory, i + j, low, span, width) |
			      ulp_word_hits(memory, i + j + 1, low, span, width) |
			      ulp_word_hits(memory, i + j + 2, low, span, width) |
			      ulp_word_hits(memory, i + j + 3, low, span, width);
		if (likely(!hit))
			continue;
		for (j = i; j < end; j++) {
			word = ulp_word(memory, j, width);
			if (ulp_check_word(check, ULP_REASON_STACK, addr + j * width, word))
				return true;
			if (!ulp_arch_may_be_frame(word, width))
				continue;
			for (n = 0; n < ULP_TAIL; n++)
				tail[n] = ulp_word_before(check, memory, j, ULP_TAIL - n, width);
			if (ulp_check_frame(check, addr + j * width, word, tail))
				return true;
		}
	}
	for (i = 0; i < ULP_TAIL; i++)
		tail[i] = ulp_word_before(check, memory, nr + i, ULP_TAIL, width);
	memcpy(check->tail, tail, sizeof(tail));
	return false;
}

static bool ulp_scan_memory(struct ulp_check *check, const void *memory,
			    unsigned long addr, unsigned long bytes)
{
	if (check->width == sizeof(u64))
		return ulp_scan_words(check, memory, addr, bytes, sizeof(u64));
	return ulp_scan_words(check, memory, addr, bytes, sizeof(u32));
}

/* Pages of files may be outside of the direct mapping (memfd_secret). */
static bool ulp_scan_bounced(struct ulp_check *check, const void *memory,
			     unsigned long addr, unsigned long bytes)
{
	u64 bounce[ULP_BOUNCE_BYTES / sizeof(u64)];
	unsigned long done, part;

	for (done = 0; done < bytes; done += part) {
		part = min_t(unsigned long, bytes - done, sizeof(bounce));
		if (copy_from_kernel_nofault(bounce, memory + done, part))
			return ulp_stop(check, ULP_REASON_NO_STACK, 0, 0);
		if (ulp_scan_memory(check, bounce, addr + done, part))
			return true;
	}
	return false;
}

/*
 * A page of a private mapping that is still the file's: nothing was written to it
 * there, no return address either.
 */
static bool ulp_scan_unwritten(struct ulp_check *check)
{
	memset(check->tail, 0, sizeof(check->tail));
	return false;
}

static bool ulp_check_clock(struct ulp_check *check)
{
	if (++check->pages % ULP_SCAN_BATCH || ktime_get_ns() <= check->deadline)
		return false;
	return ulp_stop(check, ULP_REASON_FREEZE_LIMIT, 0, 0);
}

/* [@addr, @end) lies within @vma. */
bool ulp_scan_vma(struct ulp_check *check, struct vm_area_struct *vma, unsigned long addr,
		  unsigned long end)
{
	bool anon = vma_is_anonymous(vma);
	struct ulp_spot spot;
	bool stop;

	if ((vma->vm_flags & ULP_VM_SPECIAL) || !(vma->vm_flags & (VM_READ | VM_WRITE)))
		return ulp_stop(check, ULP_REASON_NO_STACK, 0, 0);

	while (addr < end) {
		unsigned long bytes;

		if (ulp_check_clock(check))
			return true;
		switch (ulp_walk(check->mm, addr, &spot)) {
		case ULP_WALK_NONE:
			/*
			 * Never touched, unless somebody else provides its pages; in
			 * a private mapping of a file not written, as below.
			 */
			if (check->task && (!anon || userfaultfd_missing(vma)))
				return ulp_stop(check, ULP_REASON_FAULT, addr, 0);
			memset(check->tail, 0, sizeof(check->tail));
			addr = spot.end;
			continue;
		case ULP_WALK_AWAY:
			return ulp_stop(check, ULP_REASON_FAULT, addr, 0);
		case ULP_WALK_BAD:
			return ulp_stop(check, ULP_REASON_NO_STACK, addr, 0);
		case ULP_WALK_HERE:
			break;
		}
		bytes = min(spot.end, end) - addr;
		if (anon)
			stop = ulp_scan_memory(check, spot.memory, addr, bytes);
		else if (check->task || PageAnon(pfn_to_page(spot.pfn)))
			stop = ulp_scan_bounced(check, spot.memory, addr, bytes);
		else
			stop = ulp_scan_unwritten(check);
		if (!ulp_walk_same(&spot))
			return ulp_stop(check, ULP_REASON_FAULT, addr, 0);
		if (stop)
			return true;
		addr += bytes;
	}
	return false;
}
