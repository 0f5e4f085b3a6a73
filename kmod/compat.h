/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that differs between kernel versions, and the symbols that are
 * not exported everywhere.  No other file has a version check.
 */
#ifndef ULP_COMPAT_H
#define ULP_COMPAT_H

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/shmem_fs.h>
#include <linux/task_work.h>
#include <linux/uprobes.h>
#include <linux/version.h>
#include <net/genetlink.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "ulp needs Linux 6.1 or newer"
#endif
#if !defined(CONFIG_X86_64) || !defined(CONFIG_SMP) || !defined(CONFIG_TRACEPOINTS)
#error "ulp needs an x86_64 SMP kernel with tracepoints"
#endif
#ifndef CONFIG_NET
#error "ulp needs a kernel with CONFIG_NET: events are sent by netlink"
#endif

/* Workers of io_uring (PF_IO_WORKER) and vhost (6.4): they never run user code. */
#ifdef PF_USER_WORKER
#define ULP_PF_NO_USER_CODE	(PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)
#else
#define ULP_PF_NO_USER_CODE	(PF_KTHREAD | PF_IO_WORKER)
#endif

/*
 * "Use of ... to write user RAM": the one reason of the lockdown LSM that says
 * what this module does.
 */
#define ULP_LOCKDOWN_REASON	LOCKDOWN_BPF_WRITE_USER

/*
 * Who may join a multicast group: flags of genl_multicast_group mean
 * CAP_SYS_ADMIN since 6.7 and 6.1.68; before, CAP_NET_ADMIN was the most.
 */
#ifdef GENL_MCAST_CAP_SYS_ADMIN
#define ULP_MCAST_PRIVILEGED	GENL_MCAST_CAP_SYS_ADMIN
#else
#define ULP_MCAST_PRIVILEGED	GENL_UNS_ADMIN_PERM
#endif

/* mmap_min_addr is not exported: its value at the kernel's build, at least 64K. */
#if defined(CONFIG_LSM_MMAP_MIN_ADDR) && CONFIG_LSM_MMAP_MIN_ADDR > 65536
#define ULP_MMAP_MIN_ADDR	((unsigned long)CONFIG_LSM_MMAP_MIN_ADDR)
#elif CONFIG_DEFAULT_MMAP_MIN_ADDR > 65536
#define ULP_MMAP_MIN_ADDR	((unsigned long)CONFIG_DEFAULT_MMAP_MIN_ADDR)
#else
#define ULP_MMAP_MIN_ADDR	65536UL
#endif

/*
 * Whether the caller has @cap where the program that @mm belongs to was started.
 * In Linux 7 only tasks know where that was, and only the machine's own name
 * space will do.
 */
static inline bool ulp_mm_capable(struct mm_struct *mm, int cap)
{
#ifdef ULP_HAS_EXEC_STATE
	return capable(cap);
#else
	return ns_capable(mm->user_ns, cap);
#endif
}

/* Newer files prepare what is mapped, instead of mapping it. */
static inline bool ulp_file_has_mmap(const struct file *file)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	return file->f_op->mmap;
#else
	return file->f_op->mmap || file->f_op->mmap_prepare;
#endif
}

static inline void ulp_fops_set_mmap(struct file_operations *fops,
				     int (*mmap)(struct file *file, struct vm_area_struct *vma))
{
	fops->mmap = mmap;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	fops->mmap_prepare = NULL;
#endif
}

/* What mmap() has the file do to a mapping. */
static inline int ulp_file_mmap(struct file *file, struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	return call_mmap(file, vma);
#else
	return vfs_mmap(file, vma);
#endif
}

/* A file of zeroes that has no place, and is gone with its last user. */
static inline struct file *ulp_zero_file(const char *name, loff_t size)
{
#ifdef mk_vma_flags
	return shmem_file_setup(name, size, mk_vma_flags(VMA_NORESERVE_BIT));
#else
	return shmem_file_setup(name, size, VM_NORESERVE);
#endif
}

/* What ulp_compat_init() found. */
struct ulp_compat {
	bool task_work_add;
	bool task_work_cancel;
	bool exec_probe;
};

extern struct ulp_compat ulp_compat;

int ulp_compat_init(void);

int ulp_task_work_add(struct task_struct *task, struct callback_head *work);
bool ulp_task_work_cancel(struct task_struct *task, struct callback_head *work);

int ulp_fork_probe_register(void *probe);
void ulp_fork_probe_unregister(void *probe);

int ulp_exec_probe_register(void *probe, void *data);
void ulp_exec_probe_unregister(void *probe, void *data);

/**
 * struct ulp_probe - a uprobe
 * @inode: file it is in; must stay until it is unregistered
 * @offset: of the instruction
 * @hit: called in the thread that comes there, before the instruction
 * @consumer: the kernel's
 * @uprobe: the kernel's, of newer ones
 */
struct ulp_probe {
	struct inode *inode;
	loff_t offset;
	void (*hit)(struct ulp_probe *probe);
	struct uprobe_consumer consumer;
	struct uprobe *uprobe;
};

int ulp_probe_register(struct ulp_probe *probe);
void ulp_probe_unregister(struct ulp_probe *probe);
void ulp_probe_sync(void);

long ulp_pin_user_page(struct mm_struct *mm, unsigned long addr, unsigned int flags,
		       struct page **page, int *locked);

/* Depth limit of uretprobes (MAX_URETPROBE_DEPTH of kernel/events/uprobes.c). */
#define ULP_HIDDEN_RETURNS_MAX	64

int ulp_hidden_returns(struct task_struct *task, unsigned long *words);

#endif /* ULP_COMPAT_H */
