// SPDX-License-Identifier: GPL-2.0
/*
 * The check of one thread: its registers and every word of its stack.
 *
 * No unwinding: a thread that has no word pointing into a range, from its
 * stack pointer to the end of the stack, cannot return into one.  What cannot
 * be read is never taken for free.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include "stack.h"
#include "walk.h"
#include "x86_64.h"

/* A thread in more signal frames on stacks of their own cannot be proven. */
#define ULP_STACKS_MAX		8

/* Words before the present one, for recognising signal frames. */
#define ULP_TAIL		ULP_ARCH_FRAME_WORDS

/* Memory that may have no place in the direct mapping is read by this much. */
#define ULP_BOUNCE_BYTES	256

/* Words that are looked at together; a multiple of 4. */
#define ULP_SCAN_WORDS		8

/* How many pages are read between two looks at the clock. */
#define ULP_SCAN_BATCH		16

/* How often an absent page is asked for, with a tick between. */
#define ULP_FETCH_TRIES		50

/* Mappings of what is no normal memory. */
#define ULP_VM_SPECIAL		(VM_IO | VM_PFNMAP | VM_MIXEDMAP)

/* How often registers that are being written are read again. */
#define ULP_REGS_TRIES		3

/**
 * struct ulp_check - the check of one thread
 * @plan: ranges and stale words
 * @mm: of the thread
 * @task: the thread; NULL: memory that is no thread's stack
 * @deadline: when to give up (ktime_get_ns())
 * @verdict: result
 * @regs: user registers
 * @width: size of a stack word
 * @low: lowest word that may be a candidate
 * @span: how many words from @low on may be candidates
 * @pages: read so far
 * @stamp: of the time in which this was read, 0 if it may have run in it
 * @nr_stacks: of @stacks
 * @stacks: where the scan of each stack begins
 * @ends: where the mapping of each ends; 0 not yet scanned
 * @tail: the last words read
 */
struct ulp_check {
	const struct ulp_plan *plan;
	struct mm_struct *mm;
	struct task_struct *task;
	u64 deadline;
	struct ulp_verdict *verdict;
	struct pt_regs regs;
	unsigned int width;
	u64 low;
	u64 span;
	unsigned int pages;
	u32 stamp;
	unsigned int nr_stacks;
	unsigned long stacks[ULP_STACKS_MAX];
	unsigned long ends[ULP_STACKS_MAX];
	u64 tail[ULP_TAIL];
};

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
static u32 ulp_task_stamp(struct task_struct *task)
{
	unsigned long switches = ulp_task_switches(task);

	return ulp_task_off_cpu(task) && ulp_task_switches(task) == switches ?
		ULP_STAMP_SWITCHES | (switches & ULP_STAMP_MASK) : 0;
}

static bool ulp_stop(struct ulp_check *check, u32 reason, unsigned long slot, u64 value)
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
static bool ulp_check_word(struct ulp_check *check, u32 reason, unsigned long slot, u64 value)
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
static const struct ulp_plan_range *ulp_range_of_ip(const struct ulp_plan *plan, u64 ip)
{
	const struct ulp_plan_range *range = ulp_range_below(plan, ip);

	return range && ip < range->end ? range : NULL;
}

static bool ulp_check_ip(struct ulp_check *check)
{
	const struct ulp_plan_range *range = ulp_range_of_ip(check->plan, check->regs.ip);

	if (!range)
		return false;
	check->verdict->range = range->index;
	return ulp_stop(check, ULP_REASON_IP, 0, check->regs.ip);
}

/*
 * Registers carry return addresses where code has taken them off the stack:
 * in vfork() until the child is gone, in longjmp() before its jump.
 */
static bool ulp_check_registers(struct ulp_check *check)
{
	unsigned int i;
	u64 value;

	for (i = 0; i < ULP_ARCH_REGISTERS; i++) {
		value = ulp_arch_register(&check->regs, i);
		if (unlikely(value - check->low < check->span) &&
		    ulp_check_word(check, ULP_REASON_REGISTER, i * sizeof(u64), value))
			return true;
	}
	return false;
}

static bool ulp_check_hidden_returns(struct ulp_check *check)
{
	unsigned long words[ULP_HIDDEN_RETURNS_MAX];
	int i, nr = ulp_hidden_returns(check->task, words);

	if (nr < 0)
		return ulp_stop(check, ULP_REASON_NO_STACK, 0, 0);
	for (i = 0; i < nr; i++)
		if (ulp_check_word(check, ULP_REASON_STACK, 0, words[i]))
			return true;
	return false;
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

static bool ulp_check_clock(struct ulp_check *check)
{
	if (++check->pages % ULP_SCAN_BATCH || ktime_get_ns() <= check->deadline)
		return false;
	return ulp_stop(check, ULP_REASON_FREEZE_LIMIT, 0, 0);
}

/* [@addr, @end) lies within @vma. */
static bool ulp_scan_vma(struct ulp_check *check, struct vm_area_struct *vma,
			 unsigned long addr, unsigned long end)
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
			 * Never touched, unless somebody else provides its pages.  In
			 * a private mapping what is still the file's was not written.
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
		else
			stop = ulp_scan_bounced(check, spot.memory, addr, bytes);
		if (!ulp_walk_same(&spot))
			return ulp_stop(check, ULP_REASON_FAULT, addr, 0);
		if (stop)
			return true;
		addr += bytes;
	}
	return false;
}

/*
 * Where the stack of @sp is: its mapping in *@vma and the first address to read
 * in *@from.  A stack that grows may not have reached its sp yet; an empty one
 * has it right behind its end.
 */
static bool ulp_find_stack(struct ulp_check *check, unsigned long sp,
			   struct vm_area_struct **vma, unsigned long *from)
{
	unsigned long limit = READ_ONCE(check->task->signal->rlim[RLIMIT_STACK].rlim_cur);
	struct vm_area_struct *found = find_vma(check->mm, sp);

	*from = sp;
	if (found && found->vm_start <= sp)
		goto found;
	if (found && (found->vm_flags & VM_GROWSDOWN) && found->vm_end - sp <= limit) {
		*from = found->vm_start;
		goto found;
	}
	found = find_vma(check->mm, sp - 1);
	if (!found || found->vm_start >= sp)
		return false;
found:
	*vma = found;
	return true;
}

/*
 * The mapping in which the stack of @sp goes on behind @vma, or NULL.
 *
 * mlock, madvise and mprotect split the mapping of a stack, and nothing says so.
 * Whatever lies right behind may be more of it, until the stack has certainly
 * ended: neither the thread's own data nor the arguments of the process lie
 * among frames, so that a stack that begins below one of them ends below it; and
 * it ends at a hole, at memory without access (a guard page), and at what can
 * only be read and is of another file (a library).
 */
static struct vm_area_struct *ulp_stack_goes_on(struct ulp_check *check, unsigned long sp,
						struct vm_area_struct *vma)
{
	unsigned long tops[] = { check->mm->start_stack, ulp_arch_fs_base(check->task) };
	struct vm_area_struct *next;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tops); i++)
		if (tops[i] >= sp && tops[i] < vma->vm_end)
			return NULL;
	next = find_vma(check->mm, vma->vm_end);
	if (!next || next->vm_start != vma->vm_end || (next->vm_flags & ULP_VM_SPECIAL))
		return NULL;
	if ((next->vm_flags & VM_WRITE) ||
	    ((next->vm_flags & VM_READ) && next->vm_file == vma->vm_file))
		return next;
	return NULL;
}

static bool ulp_check_stack(struct ulp_check *check, unsigned int index)
{
	unsigned long sp = check->stacks[index], from;
	struct vm_area_struct *vma;

	if (!ulp_find_stack(check, sp, &vma, &from)) {
		/* A dead signal frame may name anything; the live sp may not. */
		check->ends[index] = sp;
		return !index && ulp_stop(check, ULP_REASON_NO_STACK, 0, 0);
	}
	memset(check->tail, 0, sizeof(check->tail));
	for (;;) {
		check->ends[index] = vma->vm_end;
		if (ulp_scan_vma(check, vma, from, vma->vm_end))
			return true;
		vma = ulp_stack_goes_on(check, sp, vma);
		if (!vma)
			return false;
		from = vma->vm_start;
	}
}

/* Registers that were all there at one moment. */
static bool ulp_read_regs(struct ulp_check *check)
{
	struct pt_regs again;
	unsigned int i;

	if (!ulp_arch_copy_regs(check->task, &check->regs))
		return false;
	for (i = 0; i < ULP_REGS_TRIES; i++) {
		if (!ulp_arch_copy_regs(check->task, &again))
			return false;
		if (!memcmp(&again, &check->regs, sizeof(again)))
			break;
		check->regs = again;
	}
	return true;
}

/**
 * ulp_stack_check() - is @task inside a range, or may it return into one?
 * @plan: ranges and stale words
 * @mm: its address space, with the mmap lock held for reading
 * @task: must not run user code, or the answer is only a guess
 * @deadline: when to give up (ktime_get_ns())
 * @verdict: tells where, if it is
 *
 * Never faults, never sleeps.  Return: enum ulp_reason; %ULP_REASON_FAULT
 * asks for ulp_stack_fault_in() of verdict->slot.
 */
u32 ulp_stack_check(const struct ulp_plan *plan, struct mm_struct *mm,
		    struct task_struct *task, u64 deadline, struct ulp_verdict *verdict)
{
	struct ulp_check check = {
		.plan = plan, .mm = mm, .task = task, .deadline = deadline, .verdict = verdict,
	};
	bool stop = false;
	unsigned int i;
	u64 high;

	verdict->reason = ULP_REASON_NONE;
	verdict->stale = 0;
	check.stamp = ulp_task_stamp(task);
	if (!plan->nr_ranges || !ulp_read_regs(&check))
		return ULP_REASON_NONE;
	high = plan->ranges[plan->nr_ranges - 1].end;
	check.low = plan->ranges[0].start + 1;
	check.span = high - plan->ranges[0].start;
	check.width = ulp_arch_is_32bit(&check.regs) ? sizeof(u32) : sizeof(u64);
	check.stacks[check.nr_stacks++] = check.regs.sp;

	/* 32-bit code keeps the 64-bit frames of its process where we cannot know. */
	if ((check.width == sizeof(u32) && high > U32_MAX) ||
	    !IS_ALIGNED(check.regs.sp, check.width))
		stop = ulp_stop(&check, ULP_REASON_NO_STACK, 0, 0);
	else if (ulp_arch_in_sigreturn(&check.regs) || ulp_arch_in_delivery(&check.regs))
		stop = ulp_stop(&check, ULP_REASON_SIGRETURN, 0, 0);

	stop = stop || ulp_check_ip(&check) || ulp_check_registers(&check) ||
	       ulp_check_hidden_returns(&check);
	rcu_read_lock();
	for (i = 0; !stop && i < check.nr_stacks; i++)
		stop = ulp_check_stack(&check, i);
	rcu_read_unlock();
	/* It died under the check: its stack may be somebody else's by now. */
	if (stop && !ulp_task_lives_in(task, mm))
		verdict->reason = ULP_REASON_NONE;
	if (stop)
		ulp_arch_export_regs(task, &check.regs, &verdict->regs);
	return verdict->reason;
}

/*
 * It begins with a stack: with the kernel's, or behind a guard page.  Without, what is
 * below may be anything, a coroutine's stack too, that was mapped next to it.
 */
static bool ulp_vma_guarded(struct mm_struct *mm, struct vm_area_struct *vma)
{
	struct vm_area_struct *below;

	if (vma->vm_flags & VM_GROWSDOWN)
		return true;
	below = find_vma(mm, vma->vm_start - 1);
	return below && below->vm_end == vma->vm_start &&
	       !(below->vm_flags & (VM_READ | VM_WRITE | VM_EXEC));
}

/* The whole stack of a thread that was started there has been checked. */
static bool ulp_vma_is_stack(struct mm_struct *mm, struct ulp_target *target,
			     struct vm_area_struct *vma)
{
	struct task_struct *task;
	struct pt_regs regs;
	unsigned long fs;
	u32 i;

	if (!ulp_vma_guarded(mm, vma))
		return false;
	for (i = 0; i < ulp_target_size(target); i++) {
		task = target->threads[i].task;
		if (!ulp_task_lives_in(task, mm) || !ulp_arch_copy_regs(task, &regs) ||
		    regs.sp < vma->vm_start || regs.sp >= vma->vm_end)
			continue;
		/* Its own data at the top, or the program's arguments. */
		fs = ulp_arch_fs_base(task);
		if ((fs > regs.sp && fs < vma->vm_end) ||
		    (mm->start_stack > regs.sp && mm->start_stack < vma->vm_end))
			return true;
	}
	return false;
}

/**
 * ulp_memory_check() - is there a return address into a range in other memory?
 * @plan: ranges
 * @mm: address space, with the mmap lock held for reading
 * @target: its tasks
 * @deadline: when to give up (ktime_get_ns())
 * @verdict: tells where, if there is
 *
 * All private writable memory but stacks that threads were started on.  A user
 * context that is suspended has its frames there.  Return: enum ulp_reason.
 */
u32 ulp_memory_check(const struct ulp_plan *plan, struct mm_struct *mm,
		     struct ulp_target *target, u64 deadline, struct ulp_verdict *verdict)
{
	struct ulp_check check = {
		.plan = plan, .mm = mm, .deadline = deadline, .verdict = verdict,
		.width = sizeof(u64),
	};
	struct vm_area_struct *vma;
	unsigned long addr = 0;
	bool stop = false;

	verdict->reason = ULP_REASON_NONE;
	if (!plan->nr_ranges)
		return ULP_REASON_NONE;
	check.low = plan->ranges[0].start + 1;
	check.span = plan->ranges[plan->nr_ranges - 1].end - plan->ranges[0].start;
	rcu_read_lock();
	while (!stop) {
		vma = find_vma(mm, addr);
		if (!vma)
			break;
		addr = vma->vm_end;
		if (!(vma->vm_flags & VM_WRITE) ||
		    (vma->vm_flags & (VM_SHARED | ULP_VM_SPECIAL)) ||
		    ulp_vma_is_stack(mm, target, vma))
			continue;
		memset(check.tail, 0, sizeof(check.tail));
		stop = ulp_scan_vma(&check, vma, vma->vm_start, vma->vm_end);
	}
	rcu_read_unlock();
	return verdict->reason;
}

/* Copies what is there from @sp upwards, in the window; returns the bytes. */
u32 ulp_stack_copy(struct mm_struct *mm, unsigned long sp, void *to, u32 size)
{
	struct vm_area_struct *vma;
	struct ulp_spot spot;
	u32 done = 0, part;

	rcu_read_lock();
	while (done < size && sp + done < TASK_SIZE_MAX) {
		vma = find_vma(mm, sp + done);
		if (!vma || vma->vm_start > sp + done ||
		    ulp_walk(mm, sp + done, &spot) != ULP_WALK_HERE)
			break;
		part = min_t(unsigned long, spot.end - (sp + done), size - done);
		if (copy_from_kernel_nofault(to + done, spot.memory, part) ||
		    !ulp_walk_same(&spot))
			break;
		done += part;
	}
	rcu_read_unlock();
	return done;
}

static long ulp_stack_fetch(struct mm_struct *mm, unsigned long addr)
{
	struct page *page;
	int locked = 1;
	long ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = ulp_pin_user_page(mm, addr, FOLL_NOWAIT, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (ret == 1)
		unpin_user_page(page);
	return ret;
}

/**
 * ulp_stack_fault_in() - make a page present
 * @mm: address space
 * @addr: in the page
 *
 * Sleeps, outside the window only; not for ever, because who has to provide the
 * page (userfaultfd, a file system in user space) may be the target.
 *
 * Return: 0, -EINTR when the caller is killed, -EAGAIN if it cannot be had now.
 */
int ulp_stack_fault_in(struct mm_struct *mm, unsigned long addr)
{
	unsigned int i;
	long ret;

	for (i = 0; i < ULP_FETCH_TRIES; i++) {
		ret = ulp_stack_fetch(mm, addr);
		if (ret == 1)
			return 0;
		if (ret == -EINTR || fatal_signal_pending(current))
			return -EINTR;
		if (ret)
			break;
		schedule_timeout_killable(1);
	}
	return -EAGAIN;
}
