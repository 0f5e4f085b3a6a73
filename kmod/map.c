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
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/magic.h>
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

/*
 * For how long closing a session tries again for want of memory, time, a page or a
 * quiet target: all mappings together, since a dying process may wait for it.
 */
#define ULP_TAKE_BACK_NS	(2 * NSEC_PER_SEC)
#define ULP_TAKE_BACK_WAIT_MS	10

/**
 * struct ulp_mapping - a mapping that no transaction has committed
 * @list: in ulp_session.maps
 * @addr: start
 * @length: bytes
 * @file: held
 * @offset: in the file
 */
struct ulp_mapping {
	struct list_head list;
	unsigned long addr;
	unsigned long length;
	struct file *file;
	unsigned long offset;
};

/**
 * struct ulp_stand_in - an open file of ours, mapped in the place of another one
 * @fops: the file's own, but for mmap()
 * @file: which is mapped in the end
 *
 * A child that is forked before the commit is to be old as a whole, without the
 * mapping; one that is forked behind it is to have it.  fork() looks at a flag of
 * the mapping with the mmap lock held.  So the flag must be there when the lock is
 * let go in which the mapping was made, and only a file's mmap() is called in
 * that; and it is taken off in the window that commits (ulp_map_settle()).
 */
struct ulp_stand_in {
	struct file_operations fops;
	struct file *file;
};

/*
 * The flags of a mapping to which nobody else does anything: it is being made, or
 * the mmap lock is held for reading and no thread of the target runs.
 */
static void ulp_vma_write_flags(struct vm_area_struct *vma, unsigned long flags)
{
	WRITE_ONCE(*(unsigned long *)&vma->vm_flags, flags);
}

static int ulp_stand_in_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ulp_stand_in *stand_in = container_of(file->f_op, struct ulp_stand_in, fops);
	int err;

	vma_set_file(vma, stand_in->file);
	err = ulp_file_mmap(stand_in->file, vma);
	if (!err)
		ulp_vma_write_flags(vma, vma->vm_flags | VM_DONTCOPY);
	return err;
}

/* What the session's thread is to do. */
struct ulp_map_job {
	struct mm_struct *mm;
	const struct cred *cred;
	const struct ulp_mapping *mapping;
	struct file *file;
	unsigned long prot;
	int err;
};

static void ulp_map_run(void *data)
{
	struct ulp_map_job *job = data;
	const struct ulp_mapping *mapping = job->mapping;
	const struct cred *old = override_creds(job->cred);
	unsigned long at;

	kthread_use_mm(job->mm);
	at = vm_mmap(job->file, mapping->addr, mapping->length, job->prot,
		     MAP_PRIVATE | MAP_FIXED_NOREPLACE, mapping->offset);
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

/*
 * Only files whose mmap is the page cache's: no device gets a say.  Huge pages are
 * told by the operations of the file, which the stand-in does not have.
 */
static int ulp_map_get_file(const struct ulp_map *args, struct ulp_mapping *mapping)
{
	struct file *file;

	if (args->fd < -1 || (args->fd < 0 && args->offset))
		return -EINVAL;
	file = args->fd < 0 ? ulp_zero_file("ulp", args->length) : fget(args->fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	if (!file)
		return -EBADF;
	mapping->file = file;
	if (!S_ISREG(file_inode(file)->i_mode) ||
	    file_inode(file)->i_sb->s_magic == HUGETLBFS_MAGIC)
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	return ulp_file_has_mmap(file) ? 0 : -ENODEV;
}

/* Maps what @job says, so that it is not copied in a fork. */
static int ulp_map_by_stand_in(struct ulp_session *session, struct ulp_map_job *job)
{
	struct file *file = job->mapping->file;
	const struct file_operations *fops;
	struct ulp_stand_in stand_in;

	job->file = dentry_open(&file->f_path, O_RDONLY | O_LARGEFILE, session->cred);
	if (IS_ERR(job->file))
		return PTR_ERR(job->file);
	/* Nobody else has it, and its own operations are to close it. */
	fops = job->file->f_op;
	stand_in.fops = *fops;
	stand_in.file = file;
	ulp_fops_set_mmap(&stand_in.fops, ulp_stand_in_mmap);
	job->file->f_op = &stand_in.fops;
	ulp_session_run(session, ulp_map_run, job);
	job->file->f_op = fops;
	fput(job->file);
	return job->err;
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
	err = ulp_fault(&session->faults, ULP_FAULT_MAP) ? -ENOMEM :
		ulp_map_by_stand_in(session, &job);
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
			   const struct ulp_mapping *mapping, u64 max_freeze_ns, u32 attempts,
			   struct ulp_outcome *outcome)
{
	struct ulp_plan_range range = {
		.start = mapping->addr, .end = mapping->addr + mapping->length,
	};
	struct ulp_plan plan = {
		.backend = ulp_plan_backend(ULP_BACKEND_AUTO),
		.attempts = attempts,
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

/* Whether all of the range is private memory. */
static bool ulp_range_is_private(struct mm_struct *mm, const struct ulp_mapping *range)
{
	unsigned long addr = range->addr, end = addr + range->length;
	struct vm_area_struct *vma;
	bool good = true;

	mmap_read_lock(mm);
	while (good && addr < end) {
		vma = find_vma(mm, addr);
		good = vma && vma->vm_start <= addr && !(vma->vm_flags & VM_SHARED);
		if (good)
			addr = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return good;
}

/*
 * The first piece of @mapping from @addr on that is still what we mapped there:
 * the target may have replaced it, and somebody taken some of it back.  The mmap
 * lock is held.
 */
static struct vm_area_struct *ulp_mapping_piece(struct mm_struct *mm,
						const struct ulp_mapping *mapping,
						unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	for (; vma && vma->vm_start < mapping->addr + mapping->length;
	     vma = find_vma(mm, vma->vm_end)) {
		addr = max(mapping->addr, vma->vm_start);
		if (!(vma->vm_flags & VM_SHARED) && ulp_is_file_of(vma, mapping->file) &&
		    linear_page_index(vma, addr) ==
		    (mapping->offset + addr - mapping->addr) >> PAGE_SHIFT)
			return vma;
	}
	return NULL;
}

static int ulp_unmap_checked(struct ulp_session *session, struct mm_struct *mm,
			     const struct ulp_mapping *mapping, u64 max_freeze_ns,
			     u32 attempts, struct ulp_outcome *outcome)
{
	struct ulp_map_job job = { .mm = mm, .cred = session->cred, .mapping = mapping };

	job.err = ulp_unmap_check(session, mm, mapping, max_freeze_ns, attempts, outcome);
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
	if (ulp_range_is_private(mm, &range))
		err = ulp_unmap_checked(session, mm, &range, args->max_freeze_ns,
					ULP_UNMAP_ATTEMPTS, &outcome);
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

/*
 * In a window whose transaction commits: from here on a child that is forked has
 * the mappings, as it has what is written in the same window.
 */
void ulp_map_settle(struct ulp_session *session, struct mm_struct *mm)
{
	const struct ulp_mapping *mapping;
	struct vm_area_struct *vma;

	list_for_each_entry(mapping, &session->maps, list)
		for (vma = ulp_mapping_piece(mm, mapping, mapping->addr); vma;
		     vma = ulp_mapping_piece(mm, mapping, vma->vm_end))
			ulp_vma_write_flags(vma, vma->vm_flags & ~VM_DONTCOPY);
}

/* A transaction succeeded: they are the target's. */
void ulp_map_commit(struct ulp_session *session)
{
	struct ulp_mapping *mapping, *next;

	list_for_each_entry_safe(mapping, next, &session->maps, list)
		ulp_mapping_free(mapping);
	session->nr_maps = 0;
}

/* What is left of @mapping from @addr on: its first piece. */
static bool ulp_mapping_left(struct mm_struct *mm, const struct ulp_mapping *mapping,
			     unsigned long addr, struct ulp_mapping *piece)
{
	const struct vm_area_struct *vma;

	mmap_read_lock(mm);
	vma = ulp_mapping_piece(mm, mapping, addr);
	if (vma) {
		piece->addr = max(addr, vma->vm_start);
		piece->length = min(mapping->addr + mapping->length, vma->vm_end) - piece->addr;
	}
	mmap_read_unlock(mm);
	return vma;
}

/*
 * Nobody is told but the log: the one who mapped it is gone.  Return: 0, -EINTR if
 * that is for the last turn to do, since who closes the session has been killed.
 */
static int ulp_map_take_back_one(struct ulp_session *session, struct mm_struct *mm,
				 const struct ulp_mapping *mapping, u64 end)
{
	unsigned long addr = mapping->addr;
	struct ulp_outcome outcome;
	struct ulp_mapping piece;
	int err;

	while (ulp_mapping_left(mm, mapping, addr, &piece)) {
		memset(&outcome, 0, sizeof(outcome));
		err = ulp_unmap_checked(session, mm, &piece, 0, 1, &outcome);
		/* Who has died in the meantime needs nothing. */
		if (err == -ESRCH)
			return 0;
		if (err == -EINTR)
			return err;
		if (err && ktime_get_ns() < end) {
			msleep(ULP_TAKE_BACK_WAIT_MS);
			continue;
		}
		if (err)
			pr_warn("mapping at %lx stays: error %d, reason %u, thread %u, ip %lx, slot %lx, value %lx\n",
				piece.addr, err, outcome.verdict.reason, outcome.verdict.tid,
				outcome.verdict.ip, outcome.verdict.slot, outcome.verdict.value);
		addr = piece.addr + piece.length;
	}
	return 0;
}

/*
 * The session ends: what was not committed goes.  No code leads into it; that
 * no thread is there is checked all the same, and if one is, it stays.
 * @mm: the claimed target, NULL if it is gone
 *
 * Return: 0, -EINTR if some are left: by a thread that is not killed it can be done.
 */
int ulp_map_take_back(struct ulp_session *session, struct mm_struct *mm)
{
	u64 end = ktime_get_ns() + ULP_TAKE_BACK_NS;
	struct ulp_mapping *mapping, *next;

	list_for_each_entry_safe(mapping, next, &session->maps, list) {
		if (mm && ulp_map_take_back_one(session, mm, mapping, end))
			return -EINTR;
		ulp_mapping_free(mapping);
	}
	session->nr_maps = 0;
	return 0;
}
