// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/ulp and the ioctls of both kinds of descriptors: arguments in and out,
 * no policy.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include "chrdev.h"
#include "compat.h"
#include "debug.h"
#include "map.h"
#include "netlink.h"
#include "plan.h"
#include "sensor.h"
#include "session.h"
#include "transact.h"
#include "universe.h"

/* Any argument; the largest is the transaction. */
union ulp_args {
	u32 size;
	struct ulp_query query;
	struct ulp_session_open session_open;
	struct ulp_map map;
	struct ulp_unmap unmap;
	struct ulp_transact transact;
	struct ulp_release release;
	struct ulp_members members;
	struct ulp_debug debug;
	struct ulp_sensor_open sensor_open;
	struct ulp_sensor_arm sensor_arm;
	struct ulp_sensor_done sensor_done;
};

/**
 * struct ulp_ioctl - one command
 * @nr: _IOC_NR
 * @size: of its struct today
 * @min_size: of its struct when it was published; 0 if it has not grown since
 * @answers: the struct is written back, also when @fn failed
 * @fn: does it; @session is NULL for /dev/ulp
 * @sensor_fn: does it, if it is one of the sensor's
 */
struct ulp_ioctl {
	unsigned int nr;
	u32 size;
	u32 min_size;
	bool answers;
	int (*fn)(struct ulp_session *session, union ulp_args *args);
	int (*sensor_fn)(struct ulp_sensor *sensor, union ulp_args *args);
};

static const struct file_operations ulp_session_fops, ulp_sensor_fops;

static int ulp_ioctl_query(struct ulp_session *session, union ulp_args *args)
{
	struct ulp_query *query = &args->query;

	if (query->flags)
		return -EINVAL;
	query->out_abi = ULP_ABI;
	query->out_default_backend = ulp_plan_backend(ULP_BACKEND_AUTO);
	query->out_features = ULP_FEATURE_STOP_MACHINE | ULP_FEATURE_FORK_PROBE |
			      ULP_FEATURE_EVENTS | ULP_FEATURE_STALE |
			      ULP_FEATURE_SCAN_MEMORY | ULP_FEATURE_UNIVERSE |
			      ULP_FEATURE_UNCHANGED;
	if (ulp_compat.task_work_add)
		query->out_features |= ULP_FEATURE_GATE;
	if (ulp_sensor_works())
		query->out_features |= ULP_FEATURE_SENSOR;
	if (ULP_IS_DEBUG)
		query->out_features |= ULP_FEATURE_DEBUG;
	query->out_max_ranges = ULP_MAX_RANGES;
	query->out_max_writes = ULP_MAX_WRITES;
	query->out_max_write_bytes = ULP_MAX_WRITE_BYTES;
	query->out_max_stale = ULP_MAX_STALE;
	query->out_max_stack = ULP_MAX_STACK;
	query->out_max_maps = ULP_MAX_MAPS;
	memset(query->out_version, 0, sizeof(query->out_version));
	strscpy(query->out_version, ULP_VERSION, sizeof(query->out_version));
	return 0;
}

static int ulp_ioctl_session_open(struct ulp_session *session, union ulp_args *args)
{
	if (args->session_open.flags || args->session_open.__reserved)
		return -EINVAL;
	return ulp_session_open(args->session_open.mem_fd, &ulp_session_fops);
}

static int ulp_ioctl_sensor_open(struct ulp_session *session, union ulp_args *args)
{
	if (args->sensor_open.flags)
		return -EINVAL;
	return ulp_sensor_open(args->sensor_open.timeout_ns, &ulp_sensor_fops);
}

static int ulp_ioctl_sensor_arm(struct ulp_sensor *sensor, union ulp_args *args)
{
	if (args->sensor_arm.flags || args->sensor_arm.__reserved)
		return -EINVAL;
	return ulp_sensor_arm(sensor, args->sensor_arm.fd, args->sensor_arm.offset);
}

static int ulp_ioctl_sensor_done(struct ulp_sensor *sensor, union ulp_args *args)
{
	if (args->sensor_done.flags)
		return -EINVAL;
	return ulp_sensor_done(sensor, args->sensor_done.ticket);
}

static int ulp_ioctl_map(struct ulp_session *session, union ulp_args *args)
{
	return ulp_map(session, &args->map);
}

static int ulp_ioctl_unmap(struct ulp_session *session, union ulp_args *args)
{
	return ulp_unmap(session, &args->unmap);
}

/* What cannot be answered to must fail before anything is done. */
static int ulp_transact_test_outputs(const struct ulp_transact *args)
{
	if (args->regs && clear_user(u64_to_user_ptr(args->regs), sizeof(struct ulp_regs)))
		return -EFAULT;
	if (args->stack && clear_user(u64_to_user_ptr(args->stack), args->stack_size))
		return -EFAULT;
	return 0;
}

static void ulp_transact_answer(struct ulp_transact *args, const struct ulp_plan *plan,
				const struct ulp_outcome *outcome)
{
	const struct ulp_verdict *verdict = &outcome->verdict;

	args->out_freeze_ns = outcome->freeze_ns;
	args->out_max_freeze_ns = outcome->max_freeze_ns;
	args->out_total_ns = outcome->total_ns;
	args->out_attempts = outcome->attempts;
	args->out_backend = plan->backend;
	args->out_threads = outcome->threads;
	args->out_parked = outcome->parked;
	args->out_asleep = outcome->asleep;
	args->out_rescanned = outcome->rescanned;
	args->out_stale = outcome->stale;
	args->out_members = outcome->members;
	args->out_reason = verdict->reason;
	args->out_tid = verdict->tid;
	args->out_range = verdict->range;
	args->out_write = verdict->write;
	args->out_stamp = verdict->stamp;
	args->out_ip = verdict->ip;
	args->out_sp = verdict->sp;
	args->out_slot = verdict->slot;
	args->out_value = verdict->value;
	/* The transaction is over: what cannot be stored now is left out. */
	if (args->regs && verdict->tid &&
	    copy_to_user(u64_to_user_ptr(args->regs), &verdict->regs, sizeof(verdict->regs)))
		return;
	if (outcome->stack_size &&
	    copy_to_user(u64_to_user_ptr(args->stack), plan->stack, outcome->stack_size))
		return;
	args->out_stack_size = outcome->stack_size;
}

/* Whether the target is another one, once the plan is carried out. */
static bool ulp_plan_changes(const struct ulp_plan *plan)
{
	return plan->nr_writes && !(plan->flags & ULP_TRANSACT_DRY_RUN) &&
	       (!plan->universe || ulp_universe_begins(plan));
}

static int ulp_ioctl_transact(struct ulp_session *session, union ulp_args *args)
{
	struct ulp_outcome outcome = { };
	struct ulp_plan plan = { };
	struct mm_struct *mm;
	int err;

	memset((void *)args + offsetof(struct ulp_transact, out_freeze_ns), 0,
	       offsetof(struct ulp_transact, subject) -
	       offsetof(struct ulp_transact, out_freeze_ns));
	args->transact.out_hold_ns = 0;
	args->transact.out_stale = 0;
	args->transact.out_members = 0;

	err = ulp_plan_read(&plan, &args->transact, &session->faults);
	if (err)
		goto out;
	err = ulp_transact_test_outputs(&args->transact);
	if (err)
		goto out;
	err = ulp_session_claim(session, &mm);
	if (err)
		goto out;
	plan.holds = &session->holds;
	if ((plan.flags & ULP_TRANSACT_UNCHANGED) && session->overtaken)
		err = -ESTALE;
	else
		err = ulp_transact(session, mm, &plan, &outcome);
	if (!(outcome.verdict.stamp & ULP_STAMP_HELD))
		ulp_hold_end(session);
	if (!err && (plan.flags & ULP_TRANSACT_COMMIT_MAPS) &&
	    !(plan.flags & ULP_TRANSACT_DRY_RUN))
		ulp_map_commit(session);
	if (!err && ulp_plan_changes(&plan))
		ulp_session_wrote(session);
	ulp_event_send(mm, &plan, &outcome, err);
	ulp_session_unclaim(session, mm);
	ulp_transact_answer(&args->transact, &plan, &outcome);
	args->transact.out_hold_ns = ulp_hold_longest(session);
out:
	ulp_plan_free(&plan);
	return err;
}

static int ulp_ioctl_release(struct ulp_session *session, union ulp_args *args)
{
	if (args->release.flags)
		return -EINVAL;
	ulp_hold_end(session);
	args->release.out_hold_ns = ulp_hold_longest(session);
	return 0;
}

static int ulp_ioctl_members(struct ulp_session *session, union ulp_args *args)
{
	return ulp_universe_members(session, &args->members);
}

#ifdef ULP_DEBUG_BUILD
static int ulp_ioctl_debug(struct ulp_session *session, union ulp_args *args)
{
	return ulp_debug(session, &args->debug);
}
#endif

#define ULP_IOCTL(_nr, _struct, _answers, _fn) \
	{ .nr = (_nr), .size = sizeof(struct _struct), .answers = (_answers), .fn = (_fn) }

static const struct ulp_ioctl ulp_device_ioctls[] = {
	ULP_IOCTL(ULP_IOC_NR_QUERY, ulp_query, true, ulp_ioctl_query),
	ULP_IOCTL(ULP_IOC_NR_SESSION_OPEN, ulp_session_open, false, ulp_ioctl_session_open),
	ULP_IOCTL(ULP_IOC_NR_SENSOR_OPEN, ulp_sensor_open, false, ulp_ioctl_sensor_open),
};

#define ULP_SENSOR_IOCTL(_nr, _struct, _fn) \
	{ .nr = (_nr), .size = sizeof(struct _struct), .sensor_fn = (_fn) }

static const struct ulp_ioctl ulp_sensor_ioctls[] = {
	ULP_SENSOR_IOCTL(ULP_IOC_NR_SENSOR_ARM, ulp_sensor_arm, ulp_ioctl_sensor_arm),
	ULP_SENSOR_IOCTL(ULP_IOC_NR_SENSOR_DONE, ulp_sensor_done, ulp_ioctl_sensor_done),
};

static const struct ulp_ioctl ulp_session_ioctls[] = {
	ULP_IOCTL(ULP_IOC_NR_MAP, ulp_map, false, ulp_ioctl_map),
	ULP_IOCTL(ULP_IOC_NR_UNMAP, ulp_unmap, true, ulp_ioctl_unmap),
	{
		.nr = ULP_IOC_NR_TRANSACT,
		.size = sizeof(struct ulp_transact),
		.min_size = offsetof(struct ulp_transact, subject),
		.answers = true,
		.fn = ulp_ioctl_transact,
	},
	ULP_IOCTL(ULP_IOC_NR_RELEASE, ulp_release, true, ulp_ioctl_release),
	ULP_IOCTL(ULP_IOC_NR_MEMBERS, ulp_members, true, ulp_ioctl_members),
#ifdef ULP_DEBUG_BUILD
	ULP_IOCTL(ULP_IOC_NR_DEBUG, ulp_debug, true, ulp_ioctl_debug),
#endif
};

static const struct ulp_ioctl *ulp_ioctl_find(const struct ulp_ioctl *table, size_t entries,
					      unsigned int cmd)
{
	size_t i;

	if (_IOC_TYPE(cmd) != ULP_IOC_TYPE)
		return NULL;
	for (i = 0; i < entries; i++)
		if (table[i].nr == _IOC_NR(cmd))
			return &table[i];
	return NULL;
}

/*
 * Copies the argument in, with what an older caller leaves out as zero and
 * refusing what a newer one asks for that we do not know; and back out.  The
 * copy out is tried before the command, so that it fails before anything is
 * done; when it fails behind a command that was done, the command stays done
 * and says so.
 */
static long ulp_ioctl_call(struct ulp_session *session, struct ulp_sensor *sensor,
			   const struct ulp_ioctl *ioctl, void __user *user)
{
	struct ulp_faults *faults = session ? &session->faults : NULL;
	union ulp_args args;
	size_t answer;
	u32 size;
	int err;

	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < (ioctl->min_size ?: ioctl->size))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(&args, 0, sizeof(args));
	err = copy_struct_from_user(&args, ioctl->size, user, size);
	if (err)
		return err;
	/* It may have changed between the two reads. */
	args.size = size;
	answer = min(size, ioctl->size);
	if (ioctl->answers &&
	    (ulp_fault(faults, ULP_FAULT_COPY_RESULT) || copy_to_user(user, &args, answer)))
		return -EFAULT;

	err = sensor ? ioctl->sensor_fn(sensor, &args) : ioctl->fn(session, &args);
	if (ioctl->answers && !ulp_fault(faults, ULP_FAULT_COPY_RESULT) &&
	    copy_to_user(user, &args, answer))
		pr_debug("answer to ioctl %u could not be stored\n", ioctl->nr);
	return err;
}

static long ulp_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct ulp_ioctl *ioctl = ulp_ioctl_find(ulp_device_ioctls,
						       ARRAY_SIZE(ulp_device_ioctls), cmd);

	return ioctl ? ulp_ioctl_call(NULL, NULL, ioctl, (void __user *)arg) : -ENOTTY;
}

static long ulp_sensor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct ulp_ioctl *ioctl = ulp_ioctl_find(ulp_sensor_ioctls,
						       ARRAY_SIZE(ulp_sensor_ioctls), cmd);

	if (!ioctl)
		return -ENOTTY;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return ulp_ioctl_call(NULL, file->private_data, ioctl, (void __user *)arg);
}

static long ulp_session_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct ulp_ioctl *ioctl = ulp_ioctl_find(ulp_session_ioctls,
						       ARRAY_SIZE(ulp_session_ioctls), cmd);
	struct ulp_session *session = file->private_data;
	long err;

	if (!ioctl)
		return -ENOTTY;
	if (!ulp_session_may_use(session))
		return -EPERM;
	if (mutex_lock_killable(&session->lock))
		return -EINTR;
	err = ulp_ioctl_call(session, NULL, ioctl, (void __user *)arg);
	mutex_unlock(&session->lock);
	return err;
}

static int ulp_session_file_release(struct inode *inode, struct file *file)
{
	ulp_session_release(file->private_data);
	return 0;
}

static const struct file_operations ulp_session_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= ulp_session_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= ulp_session_file_release,
	.llseek		= noop_llseek,
};

static const struct file_operations ulp_sensor_fops = {
	.owner		= THIS_MODULE,
	.read		= ulp_sensor_file_read,
	.poll		= ulp_sensor_file_poll,
	.unlocked_ioctl	= ulp_sensor_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= ulp_sensor_file_release,
	.llseek		= noop_llseek,
};

static const struct file_operations ulp_device_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= ulp_device_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice ulp_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "ulp",
	.fops	= &ulp_device_fops,
	.mode	= 0600,
};

int ulp_chrdev_init(void)
{
	return misc_register(&ulp_device);
}

void ulp_chrdev_exit(void)
{
	misc_deregister(&ulp_device);
}
