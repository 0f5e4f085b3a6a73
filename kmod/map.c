// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping into the target and out of it, while it runs.
 *
 * The session's thread adopts the address space for it, with the opener's
 * credentials: LSMs and the memory cgroup see who does it and for whom.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "compat.h"
#include "map.h"
#include "plan.h"
#include "trace.h"
#include "transact.h"

/* The limits of the caller do not reach this far, so there is one of ours. */
#define ULP_MAP_MAX_BYTES	(256UL << 20)

/* A thread passes a dead range's addresses on its stack: look again. */
#define ULP_UNMAP_ATTEMPTS	5
#define ULP_UNMAP_RETRY_NS	(2 * NSEC_PER_MSEC)

/* How often closing a session tries again for want of memory, time or a quiet target. */
#define ULP_TAKE_BACK_AGAIN	10
#define ULP_TAKE_BACK_WAIT_MS	10

/**
 * struct ulp_mapping - a mapping that no transaction has committed
 * @list: in ulp_session.maps
 * @addr: start
 * @length: bytes
 * @file: held, NULL for anonymous memory
 * @offset: in the file
 */
struct ulp_mapping {
	struct list_head list;
	unsigned long addr;
	unsigned long length;
	struct file *file;
	unsigned long offset;
};

/* What the session's thread is to do. */
struct ulp_map_job {
	struct mm_struct *mm;
	const struct cred *cred;
	const struct ulp_mapping *mapping;
	unsigned long prot;
	int err;
};

static void ulp_map_run(void *data)
{
	struct ulp_map_job *job = data;
	const struct ulp_mapping *mapping = job->mapping;
	unsigned long flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE;
	const struct cred *old;
	unsigned long at;

	if (!mapping->file)
		flags |= MAP_ANONYMOUS;
	old = override_creds(job->cred);
	kthread_use_mm(job->mm);
	at = vm_mmap(mapping->file, mapping->addr, mapping->length, job->prot, flags,
		     mapping->offset);
	job->err = IS_ERR_VALUE(at) ? (int)(long)at : 0;
	/* A file may have a will of its own where it wants to be. */
	if (!job->err && at != mapping->addr) {
		vm_munmap(at, mapping->length);
		job->err = -EINVAL;
	}
	kthread_unuse_mm(job->mm);
	revert_creds(old);
}

static void ulp_unmap_run(void *data)
{
	struct ulp_map_job *job = data;
	const struct cred *old = override_creds(job->cred);

	kthread_use_mm(job->mm);
	job->err = vm_munmap(job->mapping->addr, job->mapping->length);
	kthread_unuse_mm(job->mm);
	revert_creds(old);
}

static bool ulp_range_is_valid(struct mm_struct *mm, u64 addr, u64 length)
{
	return PAGE_ALIGNED(addr) && PAGE_ALIGNED(length) && length &&
	       length <= ULP_MAP_MAX_BYTES && addr >= ULP_MMAP_MIN_ADDR &&
	       addr < mm->task_size && length <= mm->task_size - addr;
}

static void ulp_mapping_free(struct ulp_mapping *mapping)
{
	list_del(&mapping->list);
	if (mapping->file)
		fput(mapping->file);
	kfree(mapping);
}

/* Only files whose mmap is the page cache's: no device gets a say. */
static int ulp_map_get_file(const struct ulp_map *args, struct ulp_mapping *mapping)
{
	if (args->fd < 0)
		return args->fd == -1 && !args->offset ? 0 : -EINVAL;
	mapping->file = fget(args->fd);
	if (!mapping->file)
		return -EBADF;
	return S_ISREG(file_inode(mapping->file)->i_mode) ? 0 : -EINVAL;
}

/* ioctl(ULP_MAP); the session is locked. */
int ulp_map(struct ulp_session *session, const struct ulp_map *args)
{
	struct ulp_map_job job = { .cred = session->cred, .prot = PROT_READ };
	struct ulp_mapping *mapping;
	int err;

	if ((args->flags & ~(ULP_MAP_EXEC | ULP_MAP_WRITE)) || args->__reserved ||
	    args->flags == (ULP_MAP_EXEC | ULP_MAP_WRITE) || !PAGE_ALIGNED(args->offset) ||
	    !ulp_range_is_valid(session->mm, args->addr, args->length))
		return -EINVAL;
	if (session->nr_maps == ULP_MAX_MAPS)
		return -E2BIG;
	mapping = ulp_fault(&session->faults, ULP_FAULT_ALLOC) ? NULL :
		kzalloc(sizeof(*mapping), GFP_KERNEL);
	if (!mapping)
		return -ENOMEM;
	INIT_LIST_HEAD(&mapping->list);
	mapping->addr = args->addr;
	mapping->length = args->length;
	mapping->offset = args->offset;
	err = ulp_map_get_file(args, mapping);
	if (err)
		goto out;
	if (args->flags & ULP_MAP_EXEC)
		job.prot |= PROT_EXEC;
	if (args->flags & ULP_MAP_WRITE)
		job.prot |= PROT_WRITE;

	err = ulp_session_claim(session, &job.mm);
	if (err)
		goto out;
	job.mapping = mapping;
	job.err = -ENOMEM;
	if (!ulp_fault(&session->faults, ULP_FAULT_MAP))
		ulp_session_run(session, ulp_map_run, &job);
	err = job.err;
	trace_map(job.mm, mapping->addr, mapping->length, err);
	ulp_session_unclaim(session, job.mm);
	if (err)
		goto out;
	list_add_tail(&mapping->list, &session->maps);
	session->nr_maps++;
	return 0;
out:
	ulp_mapping_free(mapping);
	return err;
}

/* Nobody is inside [addr, addr + length), nor returns into it. */
static int ulp_unmap_check(struct ulp_session *session, struct mm_struct *mm,
			   const struct ulp_mapping *mapping, u64 max_freeze_ns,
			   struct ulp_outcome *outcome)
{
	struct ulp_plan_range range = {
		.start = mapping->addr, .end = mapping->addr + mapping->length,
	};
	struct ulp_plan plan = {
		.backend = ulp_plan_backend(ULP_BACKEND_AUTO),
		.attempts = ULP_UNMAP_ATTEMPTS,
		.retry_ns = ULP_UNMAP_RETRY_NS,
		.max_freeze_ns = ulp_plan_freeze_limit(max_freeze_ns),
		.nr_ranges = 1,
		.ranges = &range,
		.pid_ns = task_active_pid_ns(current) ?: &init_pid_ns,
		.faults = &session->faults,
	};

	return ulp_transact(session, mm, &plan, outcome);
}

/* A stacked file system (overlayfs) maps the file of the one below. */
static bool ulp_is_file_of(const struct vm_area_struct *vma, const struct file *file)
{
	const struct inode *inode = vma->vm_file ? file_inode(vma->vm_file) : NULL;

	return inode && (inode == file_inode(file) || inode == d_real_inode(file->f_path.dentry));
}

/*
 * Whether all of the range is private memory and, with @ours, still what we
 * mapped there: the target may have replaced it.
 */
static bool ulp_range_is_mapped(struct mm_struct *mm, const struct ulp_mapping *mapping,
				bool ours)
{
	unsigned long addr = mapping->addr, end = addr + mapping->length;
	struct vm_area_struct *vma;
	bool good = true;

	mmap_read_lock(mm);
	while (good && addr < end) {
		vma = find_vma(mm, addr);
		good = vma && vma->vm_start <= addr && !(vma->vm_flags & VM_SHARED);
		if (good && ours && mapping->file)
			good = ulp_is_file_of(vma, mapping->file) &&
			       linear_page_index(vma, addr) ==
			       (mapping->offset + addr - mapping->addr) >> PAGE_SHIFT;
		else if (good && ours)
			good = vma_is_anonymous(vma);
		if (good)
			addr = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return good;
}

static int ulp_unmap_checked(struct ulp_session *session, struct mm_struct *mm,
			     const struct ulp_mapping *mapping, u64 max_freeze_ns,
			     struct ulp_outcome *outcome)
{
	struct ulp_map_job job = { .mm = mm, .cred = session->cred, .mapping = mapping };

	job.err = ulp_unmap_check(session, mm, mapping, max_freeze_ns, outcome);
	if (!job.err && ulp_fault(&session->faults, ULP_FAULT_UNMAP))
		job.err = -ENOMEM;
	if (!job.err)
		ulp_session_run(session, ulp_unmap_run, &job);
	trace_unmap(mm, mapping->addr, mapping->length, job.err);
	return job.err;
}

/* ioctl(ULP_UNMAP); the session is locked. */
int ulp_unmap(struct ulp_session *session, struct ulp_unmap *args)
{
	struct ulp_mapping range = { .addr = args->addr, .length = args->length };
	struct ulp_mapping *mapping, *next;
	struct ulp_outcome outcome = { };
	struct mm_struct *mm;
	int err;

	if (args->flags || !ulp_range_is_valid(session->mm, args->addr, args->length))
		return -EINVAL;
	if (!ulp_plan_may_use(ulp_plan_backend(ULP_BACKEND_AUTO)))
		return -EPERM;
	err = ulp_session_claim(session, &mm);
	if (err)
		return err;
	err = -EINVAL;
	if (ulp_range_is_mapped(mm, &range, false))
		err = ulp_unmap_checked(session, mm, &range, args->max_freeze_ns, &outcome);
	ulp_session_unclaim(session, mm);
	args->out_reason = outcome.verdict.reason;
	args->out_tid = outcome.verdict.tid;
	args->out_freeze_ns = outcome.max_freeze_ns;
	if (err)
		return err;

	list_for_each_entry_safe(mapping, next, &session->maps, list) {
		if (mapping->addr < range.addr ||
		    mapping->addr + mapping->length > range.addr + range.length)
			continue;
		ulp_mapping_free(mapping);
		session->nr_maps--;
	}
	return 0;
}

/* A transaction succeeded: they are the target's. */
void ulp_map_commit(struct ulp_session *session)
{
	struct ulp_mapping *mapping, *next;

	list_for_each_entry_safe(mapping, next, &session->maps, list)
		ulp_mapping_free(mapping);
	session->nr_maps = 0;
}

/* Nobody is told but the log: the one who mapped it is gone. */
static void ulp_map_take_back_one(struct ulp_session *session, struct mm_struct *mm,
				  const struct ulp_mapping *mapping)
{
	struct ulp_outcome outcome;
	unsigned int tries;
	int err = 0;

	for (tries = 0; tries <= ULP_TAKE_BACK_AGAIN; tries++) {
		if (!ulp_range_is_mapped(mm, mapping, true))
			return;
		if (tries)
			msleep(ULP_TAKE_BACK_WAIT_MS);
		memset(&outcome, 0, sizeof(outcome));
		err = ulp_unmap_checked(session, mm, mapping, 0, &outcome);
		if (err != -ENOMEM && err != -ETIME && err != -EAGAIN && err != -EADDRINUSE)
			break;
	}
	/* Who has died in the meantime needs nothing. */
	if (err && err != -ESRCH)
		pr_warn("mapping at %lx stays: error %d, reason %u, thread %u, ip %lx, slot %lx, value %lx\n",
			mapping->addr, err, outcome.verdict.reason, outcome.verdict.tid,
			outcome.verdict.ip, outcome.verdict.slot, outcome.verdict.value);
}

/*
 * The session ends: what was not committed goes.  No code leads into it; that
 * no thread is there is checked all the same, and if one is, it stays.
 * @mm: the claimed target, NULL if it is gone
 */
void ulp_map_take_back(struct ulp_session *session, struct mm_struct *mm)
{
	struct ulp_mapping *mapping, *next;

	list_for_each_entry_safe(mapping, next, &session->maps, list) {
		if (mm)
			ulp_map_take_back_one(session, mm, mapping);
		ulp_mapping_free(mapping);
	}
	session->nr_maps = 0;
}
