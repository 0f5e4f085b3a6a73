/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the check has to know about x86-64; a second architecture brings its
 * own file with the same functions.
 */
#ifndef ULP_X86_64_H
#define ULP_X86_64_H

#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/fsgsbase.h>
#include <asm/segment.h>
#include <asm/sigframe.h>
#include <ulp.h>

/* Numbers of sigreturn and rt_sigreturn. */
#define ULP_NR_RT_SIGRETURN		15
#define ULP_NR_SIGRETURN_IA32		119
#define ULP_NR_RT_SIGRETURN_IA32	173

/* How far below its frame a signal handler may be at its very beginning. */
#define ULP_HANDLER_ENTRY_BYTES		4096

/*
 * Copies the user registers that @task left on its kernel stack.  A task
 * reference does not keep that stack, and put_task_stack() is exported nowhere.
 * Of a task that is dying the stack may be another task's by now, or be
 * unmapped at once (a CPU goes offline with its cache of stacks): it is read
 * without faults, and what was read counts only if PF_EXITING, which is set long
 * before, was not set even then.  False if the task died.
 */
static inline bool ulp_arch_copy_regs(struct task_struct *task, struct pt_regs *regs)
{
	void *stack = READ_ONCE(task->stack);

	if (!stack ||
	    copy_from_kernel_nofault(regs, (struct pt_regs *)(stack + THREAD_SIZE -
							      TOP_OF_KERNEL_STACK_PADDING) - 1,
				     sizeof(*regs)))
		return false;
	/* The copy was taken before it is known to be good. */
	smp_rmb();
	return READ_ONCE(task->stack) == stack && !(READ_ONCE(task->flags) & PF_EXITING);
}

/* Runs 32-bit code, whose stack has 32-bit words. */
static inline bool ulp_arch_is_32bit(const struct pt_regs *regs)
{
	return regs->cs == __USER32_CS;
}

/* In the system call that takes registers from a signal frame. */
static inline bool ulp_arch_in_sigreturn(const struct pt_regs *regs)
{
	if (ulp_arch_is_32bit(regs))
		return regs->orig_ax == ULP_NR_SIGRETURN_IA32 ||
		       regs->orig_ax == ULP_NR_RT_SIGRETURN_IA32;
	return regs->orig_ax == ULP_NR_RT_SIGRETURN;
}

/*
 * Signal delivery stores the handler's arguments, then ip, then sp.  Between
 * the last two the interrupted ip is neither in the registers nor above sp.
 * The arguments show it: both pointers are into the frame that sp is to be
 * set to.
 */
static inline bool ulp_arch_in_delivery(const struct pt_regs *regs)
{
	unsigned long frame = regs->dx - offsetof(struct rt_sigframe, uc);

	return regs->ax == 0 && regs->di - 1 < _NSIG &&
	       regs->si == frame + offsetof(struct rt_sigframe, info) &&
	       frame - regs->sp > ULP_HANDLER_ENTRY_BYTES;
}

/*
 * A signal frame on a stack is recognised by its saved selectors, whatever
 * stack it is on (sigaltstack, SS_AUTODISARM, nested): cs, gs = 0, fs = 0, ss in
 * one word in a 64-bit frame; ip, cs, flags, sp, ss in five in a 32-bit one.
 */
#define ULP_SELECTORS_32	(((u64)__USER_DS << 48) | __USER32_CS)
#define ULP_SELECTORS_BIT	(__USER_CS ^ __USER32_CS)

/* The quick half of ulp_arch_is_frame(). */
static inline bool ulp_arch_may_be_frame(u64 word, unsigned int width)
{
	if (width == sizeof(u64))
		return (word & ~(u64)ULP_SELECTORS_BIT) == ULP_SELECTORS_32;
	return word == __USER_DS;
}

/* How many words before those selectors tell about the frame. */
#define ULP_ARCH_FRAME_WORDS	4

/* @before: those words, the nearest last */
static inline bool ulp_arch_is_frame(u64 word, const u64 before[ULP_ARCH_FRAME_WORDS],
				     unsigned int width)
{
	return ulp_arch_may_be_frame(word, width) &&
	       (width == sizeof(u64) || before[1] == __USER32_CS);
}

/* Which of those words is the saved stack pointer. */
static inline unsigned int ulp_arch_frame_sp(unsigned int width)
{
	return width == sizeof(u64) ? 1 : 3;
}

/* Which is the saved instruction pointer. */
static inline unsigned int ulp_arch_frame_ip(unsigned int width)
{
	return width == sizeof(u64) ? 2 : 0;
}

/* General registers but the stack pointer, in the order of both structs. */
#define ULP_ARCH_REGISTERS	(offsetof(struct ulp_regs, orig_ax) / sizeof(u64))
static_assert(offsetof(struct ulp_regs, orig_ax) == offsetof(struct pt_regs, orig_ax));

static inline u64 ulp_arch_register(const struct pt_regs *regs, unsigned int index)
{
	return ((const unsigned long *)regs)[index];
}

static inline unsigned long ulp_arch_fs_base(struct task_struct *task)
{
	return READ_ONCE(task->thread.fsbase);
}

/* Of the running task: user mode may have changed it since it was switched in. */
static inline void ulp_arch_save_fs_base(void)
{
	if (boot_cpu_has(X86_FEATURE_FSGSBASE))
		WRITE_ONCE(current->thread.fsbase, rdfsbase());
}

static inline void ulp_arch_export_regs(struct task_struct *task, const struct pt_regs *regs,
					struct ulp_regs *out)
{
	*out = (struct ulp_regs) {
		.r15 = regs->r15, .r14 = regs->r14, .r13 = regs->r13, .r12 = regs->r12,
		.bp = regs->bp, .bx = regs->bx, .r11 = regs->r11, .r10 = regs->r10,
		.r9 = regs->r9, .r8 = regs->r8, .ax = regs->ax, .cx = regs->cx,
		.dx = regs->dx, .si = regs->si, .di = regs->di, .orig_ax = regs->orig_ax,
		.ip = regs->ip, .cs = regs->cs, .flags = regs->flags, .sp = regs->sp,
		.ss = regs->ss,
		.fs_base = ulp_arch_fs_base(task),
		.gs_base = READ_ONCE(task->thread.gsbase),
	};
}

#endif /* ULP_X86_64_H */
