// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel version differences and symbol look-ups.
 *
 * task_work_add() is exported by Debian's kernels, not by mainline; the
 * cancelling functions are exported nowhere.  What is not exported is found by
 * a kprobe that is registered disabled, so that no text is touched, and is
 * called through a static_call: a direct jump, which needs neither an ENDBR at
 * the function (IBT seals those that nobody takes the address of) nor a kCFI
 * type.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/uprobes.h>
#include "compat.h"
#include "fault.h"

struct ulp_compat ulp_compat;

#ifdef ULP_DEBUG_BUILD
static bool force_no_task_work_export;
module_param(force_no_task_work_export, bool, 0400);
MODULE_PARM_DESC(force_no_task_work_export, "look task_work_add up even if it is exported");

static bool force_no_cancel;
module_param(force_no_cancel, bool, 0400);
MODULE_PARM_DESC(force_no_cancel, "behave as if gates could not be cancelled");

static bool force_no_gate;
module_param(force_no_gate, bool, 0400);
MODULE_PARM_DESC(force_no_gate, "behave as if task_work_add could not be found");
#else
#define force_no_task_work_export	false
#define force_no_cancel			false
#define force_no_gate			false
#endif

/* Bound where it is exported, NULL where it is not. */
extern typeof(task_work_add) task_work_add __weak;

static int ulp_no_task_work_add(struct task_struct *task, struct callback_head *work,
				enum task_work_notify_mode mode)
{
	return -EOPNOTSUPP;
}

static struct callback_head *
ulp_no_task_work_cancel(struct task_struct *task,
			bool (*match)(struct callback_head *, void *), void *data)
{
	return NULL;
}

DEFINE_STATIC_CALL(ulp_task_work_add_call, ulp_no_task_work_add);
DEFINE_STATIC_CALL(ulp_task_work_cancel_call, ulp_no_task_work_cancel);

static struct tracepoint *ulp_fork_tracepoint, *ulp_exec_tracepoint;

static void *ulp_find_symbol(const char *name)
{
#ifdef CONFIG_KPROBES
	struct kprobe kp = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
	void *addr;

	if (register_kprobe(&kp))
		return NULL;
	addr = kp.addr;
	unregister_kprobe(&kp);
	return addr;
#else
	return NULL;
#endif
}

static void ulp_match_tracepoint(struct tracepoint *tp, void *priv)
{
	if (!strcmp(tp->name, "sched_process_fork"))
		ulp_fork_tracepoint = tp;
	else if (!strcmp(tp->name, "sched_process_exec"))
		ulp_exec_tracepoint = tp;
}

static void ulp_find_task_work(void)
{
	void *add = NULL, *cancel = NULL;

	if (force_no_gate)
		return;
	if (!force_no_task_work_export)
		add = task_work_add;
	if (!add)
		add = ulp_find_symbol("task_work_add");
	if (!add)
		return;
	static_call_update(ulp_task_work_add_call, add);
	ulp_compat.task_work_add = true;

	if (!force_no_cancel)
		cancel = ulp_find_symbol("task_work_cancel_match");
	if (!cancel)
		return;
	static_call_update(ulp_task_work_cancel_call, cancel);
	ulp_compat.task_work_cancel = true;
}

int ulp_compat_init(void)
{
	for_each_kernel_tracepoint(ulp_match_tracepoint, NULL);
	if (!ulp_fork_tracepoint) {
		pr_err("tracepoint sched_process_fork not found: cannot see newborn threads\n");
		return -EOPNOTSUPP;
	}
	ulp_compat.exec_probe = ulp_exec_tracepoint;
	ulp_find_task_work();
	if (!ulp_compat.task_work_add)
		pr_info("task_work_add not found: only the stop_machine backend works\n");
	return 0;
}

/*
 * Queues @work to run before @task next enters user mode.  No kick: the caller
 * sends one IPI for all tasks together.
 */
int ulp_task_work_add(struct task_struct *task, struct callback_head *work)
{
	int err = static_call(ulp_task_work_add_call)(task, work, TWA_NONE);

	if (!err)
		set_tsk_thread_flag(task, TIF_NOTIFY_RESUME);
	return err;
}

static bool ulp_match_work(struct callback_head *work, void *data)
{
	return work == data;
}

/* Whether @work was still queued and now never runs. */
bool ulp_task_work_cancel(struct task_struct *task, struct callback_head *work)
{
	return static_call(ulp_task_work_cancel_call)(task, ulp_match_work, work) == work;
}

/* Patches kernel text: slow. */
int ulp_fork_probe_register(void *probe)
{
	return tracepoint_probe_register(ulp_fork_tracepoint, probe, NULL);
}

/* The probe may run for another grace period. */
void ulp_fork_probe_unregister(void *probe)
{
	tracepoint_probe_unregister(ulp_fork_tracepoint, probe, NULL);
}

/* Called in exec, when all is mapped; atomic. */
int ulp_exec_probe_register(void *probe, void *data)
{
	return tracepoint_probe_register(ulp_exec_tracepoint, probe, data);
}

/* Returns when no probe runs any more. */
void ulp_exec_probe_unregister(void *probe, void *data)
{
	tracepoint_probe_unregister(ulp_exec_tracepoint, probe, data);
	tracepoint_synchronize_unregister();
}

#ifdef CONFIG_UPROBES
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static int ulp_probe_handler(struct uprobe_consumer *consumer, struct pt_regs *regs)
#else
static int ulp_probe_handler(struct uprobe_consumer *consumer, struct pt_regs *regs, __u64 *data)
#endif
{
	struct ulp_probe *probe = container_of(consumer, struct ulp_probe, consumer);

	probe->hit(probe);
	return 0;
}

int ulp_probe_register(struct ulp_probe *probe)
{
	probe->consumer.handler = ulp_probe_handler;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return uprobe_register(probe->inode, probe->offset, &probe->consumer);
#else
	probe->uprobe = uprobe_register(probe->inode, probe->offset, 0, &probe->consumer);
	return PTR_ERR_OR_ZERO(probe->uprobe);
#endif
}

/* Its handler may run until ulp_probe_sync(). */
void ulp_probe_unregister(struct ulp_probe *probe)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	uprobe_unregister(probe->inode, probe->offset, &probe->consumer);
#else
	uprobe_unregister_nosync(probe->uprobe, &probe->consumer);
#endif
}

/* One grace period, for however many were unregistered. */
void ulp_probe_sync(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	uprobe_unregister_sync();
#endif
}
#else
int ulp_probe_register(struct ulp_probe *probe)
{
	return -EOPNOTSUPP;
}

void ulp_probe_unregister(struct ulp_probe *probe)
{
}

void ulp_probe_sync(void)
{
}
#endif

/* One page, with the mmap lock held for reading; 1, or an error. */
long ulp_pin_user_page(struct mm_struct *mm, unsigned long addr, unsigned int flags,
		       struct page **page, int *locked)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	return pin_user_pages_remote(mm, addr, 1, flags, page, NULL, locked);
#else
	return pin_user_pages_remote(mm, addr, 1, flags, page, locked);
#endif
}

/*
 * A uretprobe replaces the return address on the stack and keeps the original
 * in a list of the task.  Stores those; returns how many, or -1 if there are
 * more than can be.  @task may be freeing the list: it is read without faults,
 * and the caller passes over what died.
 */
int ulp_hidden_returns(struct task_struct *task, unsigned long *words)
{
	int nr = 0;
#ifdef CONFIG_UPROBES
	struct uprobe_task *utask = READ_ONCE(task->utask);
	struct return_instance *ri;

	if (!utask || get_kernel_nofault(ri, &utask->return_instances))
		return 0;
	while (ri) {
		if (nr == ULP_HIDDEN_RETURNS_MAX)
			return -1;
		if (get_kernel_nofault(words[nr], &ri->orig_ret_vaddr) ||
		    get_kernel_nofault(ri, &ri->next))
			return -1;
		nr++;
	}
#endif
	return nr;
}
