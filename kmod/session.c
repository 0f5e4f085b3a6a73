// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions: who may have one, on what, and what closing it does.
 *
 * The way in is an open /proc/PID/mem: opening it made the kernel check ptrace
 * access, LSMs included, and it names an address space, so that neither a
 * reused pid nor an exec can redirect it.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/security.h>
#include <linux/slab.h>
#include "compat.h"
#include "debug.h"
#include "map.h"
#include "session.h"
#include "warm.h"

/* f_op of /proc/PID/mem, learnt from our own. */
static const struct file_operations *ulp_mem_fops;

/* Sessions at work: one for each address space at a time. */
static LIST_HEAD(ulp_active);
static DEFINE_MUTEX(ulp_active_mutex);	/* of all lists */

/* Those of which a descriptor is open. */
static LIST_HEAD(ulp_open);

/* Closed sessions that have something to take back while another one is at work. */
static LIST_HEAD(ulp_waiting);
static struct workqueue_struct *ulp_last_turns;

/*
 * That private_data of such a file is the address space is no ABI: it is
 * compared with the one we know before anything is built on it.
 */
int ulp_session_init(void)
{
	struct file *file = filp_open("/proc/self/mem", O_RDONLY, 0);
	int err = 0;

	if (IS_ERR(file)) {
		pr_err("cannot open /proc/self/mem: %ld\n", PTR_ERR(file));
		return PTR_ERR(file);
	}
	if (!current->mm || file->private_data != current->mm) {
		pr_err("/proc/PID/mem of this kernel does not hold the address space\n");
		err = -EOPNOTSUPP;
	}
	ulp_mem_fops = file->f_op;
	filp_close(file, NULL);
	if (err)
		return err;
	ulp_last_turns = alloc_workqueue("ulp", WQ_UNBOUND, 0);
	return ulp_last_turns ? 0 : -ENOMEM;
}

/*
 * No session is open, so that none is at work, and the turn of all that waited
 * has come: they are waited for.
 */
void ulp_session_exit(void)
{
	destroy_workqueue(ulp_last_turns);
}

/*
 * A descriptor can be passed on, and what it allows must not go with it: the
 * user of it has to be who made it, or could have made it.
 */
static bool ulp_cred_may_use(const struct cred *maker, struct mm_struct *mm)
{
	const struct cred *cred = current_cred();

	if (cred == maker ||
	    (cred->user_ns == maker->user_ns && uid_eq(cred->euid, maker->euid) &&
	     uid_eq(cred->fsuid, maker->fsuid) && gid_eq(cred->egid, maker->egid) &&
	     cap_issubset(maker->cap_effective, cred->cap_effective)))
		return true;
	return ulp_mm_capable(mm, CAP_SYS_PTRACE);
}

bool ulp_session_may_use(struct ulp_session *session)
{
	return ulp_cred_may_use(session->cred, session->mm);
}

/* The address space behind a descriptor of /proc/PID/mem, held. */
static struct mm_struct *ulp_mm_of_fd(int fd)
{
	struct mm_struct *mm = ERR_PTR(-EBADF);
	struct file *file = fget(fd);

	if (!file)
		return mm;
	if (file->f_op != ulp_mem_fops) {
		mm = ERR_PTR(-EINVAL);
	} else if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) == (FMODE_READ | FMODE_WRITE)) {
		mm = file->private_data;
		if (!mm)
			mm = ERR_PTR(-EINVAL);	/* a kernel thread's */
		else if (!ulp_cred_may_use(file->f_cred, mm))
			mm = ERR_PTR(-EPERM);
		else if (!mmget_not_zero(mm))
			mm = ERR_PTR(-ESRCH);
	}
	if (!IS_ERR(mm)) {
		mmgrab(mm);
		mmput(mm);
	}
	fput(file);
	return mm;
}

static struct ulp_session *ulp_session_at(struct list_head *list, struct mm_struct *mm)
{
	struct ulp_session *session;

	list_for_each_entry(session, list, active)
		if (session->mm == mm)
			return session;
	return NULL;
}

/* With @otherwise, it is where the session waits while another one is at work. */
static int ulp_session_claim_or(struct ulp_session *session, struct mm_struct **mm,
				struct list_head *otherwise)
{
	int err = 0;

	if (!mmget_not_zero(session->mm))
		return -ESRCH;
	mutex_lock(&ulp_active_mutex);
	if (ulp_session_at(&ulp_active, session->mm))
		err = -EALREADY;
	else
		list_add(&session->active, &ulp_active);
	if (err && otherwise)
		list_add_tail(&session->active, otherwise);
	mutex_unlock(&ulp_active_mutex);
	if (err)
		mmput(session->mm);
	else
		*mm = session->mm;
	return err;
}

/**
 * ulp_session_claim() - begin to work on the target
 * @session: its session
 * @mm: receives the address space, alive until ulp_session_unclaim()
 *
 * Return: 0, -ESRCH, -EALREADY if some session works on it.
 */
int ulp_session_claim(struct ulp_session *session, struct mm_struct **mm)
{
	return ulp_session_claim_or(session, mm, NULL);
}

/* Ends the work; the claim passes to a closed session that waits for it. */
void ulp_session_unclaim(struct ulp_session *session, struct mm_struct *mm)
{
	struct ulp_session *next;

	mutex_lock(&ulp_active_mutex);
	list_del_init(&session->active);
	next = ulp_session_at(&ulp_waiting, mm);
	if (next) {
		list_move(&next->active, &ulp_active);
		queue_work(ulp_last_turns, &next->last_turn);
	}
	mutex_unlock(&ulp_active_mutex);
	if (!next)
		mmput(mm);
}

/**
 * ulp_session_wrote() - tell the others that the target is not as they know it
 * @session: it has the claim on the target, and has changed it
 */
void ulp_session_wrote(struct ulp_session *session)
{
	struct ulp_session *other;

	mutex_lock(&ulp_active_mutex);
	list_for_each_entry(other, &ulp_open, open)
		if (other->mm == session->mm && other != session)
			other->overtaken = true;
	mutex_unlock(&ulp_active_mutex);
}

static void ulp_session_list(struct ulp_session *session, bool open)
{
	mutex_lock(&ulp_active_mutex);
	if (open)
		list_add(&session->open, &ulp_open);
	else
		list_del(&session->open);
	mutex_unlock(&ulp_active_mutex);
}

static void ulp_session_free(struct ulp_session *session)
{
	ulp_warm_put(session->worker);
	mmdrop(session->mm);
	put_cred(session->cred);
	kfree(session);
}

/* What is left to be done when the last descriptor has been closed. */
static void ulp_session_take_last_turn(struct work_struct *work)
{
	struct ulp_session *session = container_of(work, struct ulp_session, last_turn);

	ulp_map_take_back(session, session->mm);
	ulp_session_unclaim(session, session->mm);
	ulp_session_free(session);
}

/*
 * The last descriptor is closed, also by the death of its owner.  He does not
 * wait for another session: that may be at work for long.  Nor does he wait for pages
 * of the target once he is killed.
 */
void ulp_session_release(struct ulp_session *session)
{
	struct mm_struct *mm;
	int err = -ESRCH;

	ulp_session_list(session, false);
	ulp_hold_end(session);
	ulp_debug_thaw(session);
	if (!list_empty(&session->maps))
		err = ulp_session_claim_or(session, &mm, &ulp_waiting);
	if (err == -EALREADY)
		return;
	if (ulp_map_take_back(session, err ? NULL : mm)) {
		queue_work(ulp_last_turns, &session->last_turn);
		return;
	}
	if (!err)
		ulp_session_unclaim(session, mm);
	ulp_session_free(session);
}

/**
 * ulp_session_open() - make a session
 * @mem_fd: descriptor of the target's /proc/PID/mem
 * @fops: of the new file
 *
 * Return: a descriptor, or -EBADF, -EINVAL, -EPERM, -ESRCH, -ENOMEM.
 */
int ulp_session_open(int mem_fd, const struct file_operations *fops)
{
	struct ulp_session *session;
	struct mm_struct *mm;
	int err;

	err = security_locked_down(ULP_LOCKDOWN_REASON);
	if (err)
		return err;
	mm = ulp_mm_of_fd(mem_fd);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	err = -ENOMEM;
	session = kzalloc(sizeof(*session), GFP_KERNEL);
	if (!session)
		goto err_mm;
	session->mm = mm;
	session->cred = get_current_cred();
	mutex_init(&session->lock);
	INIT_LIST_HEAD(&session->active);
	INIT_LIST_HEAD(&session->maps);
	INIT_WORK(&session->last_turn, ulp_session_take_last_turn);
	ulp_hold_init(session);
	ulp_debug_init(session);
	ulp_faults_init(&session->faults);

	session->worker = ulp_warm_get();
	if (IS_ERR(session->worker)) {
		err = PTR_ERR(session->worker);
		goto err_session;
	}
	ulp_session_list(session, true);
	err = anon_inode_getfd("[ulp]", fops, session, O_RDWR | O_CLOEXEC);
	if (err < 0)
		goto err_list;
	return err;

err_list:
	ulp_session_list(session, false);
	ulp_warm_put(session->worker);
err_session:
	put_cred(session->cred);
	kfree(session);
err_mm:
	mmdrop(mm);
	return err;
}

struct ulp_job {
	struct kthread_work work;
	void (*fn)(void *data);
	void *data;
};

static void ulp_session_job(struct kthread_work *work)
{
	struct ulp_job *job = container_of(work, struct ulp_job, work);

	job->fn(job->data);
}

/* Runs @fn in the session's thread and waits for it. */
void ulp_session_run(struct ulp_session *session, void (*fn)(void *data), void *data)
{
	struct ulp_job job = { .fn = fn, .data = data };

	kthread_init_work(&job.work, ulp_session_job);
	kthread_queue_work(session->worker, &job.work);
	kthread_flush_work(&job.work);
}
