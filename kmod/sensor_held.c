// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that meets a probe of the sensor, and is held.
 *
 *   tracepoint, uprobe  queue a task_work for the thread itself; they may be
 *                       atomic, or hold locks of uprobes
 *   task_work           on the way to user mode, where no lock is held: tell,
 *                       and sleep
 *
 * The list of those that are waiting is at the same time the queue that read()
 * takes them from: nothing can overrun.  What is held lives on the stack of its
 * thread.
 */
#include <linux/capability.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include "compat.h"
#include "freeze.h"
#include "sensor_held.h"
#include "netlink.h"
#include "sensor.h"

/* How many are told by one look at the list. */
#define ULP_TELL_BATCH		16

/* A program whose dynamic linker is armed comes to that place later. */
static bool ulp_sensor_sees_linker(struct ulp_sensor *sensor)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	struct ulp_armed *armed;
	bool found = false;

	if (mmap_read_lock_killable(mm))
		return true;	/* it dies */
	for (vma = find_vma(mm, 0); vma && !found; vma = find_vma(mm, vma->vm_end)) {
		if (!vma->vm_file || !(vma->vm_flags & VM_EXEC))
			continue;
		spin_lock(&sensor->lock);
		list_for_each_entry(armed, &sensor->armed, list)
			found |= armed->probe.inode == file_inode(vma->vm_file);
		spin_unlock(&sensor->lock);
	}
	mmap_read_unlock(mm);
	return found;
}

/* Lists the thread; false if it is not to be held. */
static bool ulp_sensor_list(struct ulp_sensor *sensor, struct ulp_held *held)
{
	bool listed;

	spin_lock(&sensor->lock);
	listed = !sensor->closed && !sensor->deaf;
	if (listed) {
		held->ticket = ++sensor->serial;
		list_add_tail(&held->list, &sensor->waiting);
	} else {
		atomic64_inc(&sensor->missed);
	}
	spin_unlock(&sensor->lock);
	wake_up(&sensor->readers);
	return listed;
}

/* Whether it goes although nobody let it. */
static bool ulp_sensor_unlist(struct ulp_sensor *sensor, struct ulp_held *held)
{
	bool overdue;

	spin_lock(&sensor->lock);
	list_del(&held->list);
	overdue = !held->free && !fatal_signal_pending(current);
	if (overdue) {
		sensor->deaf = true;
		atomic64_inc(&sensor->missed);
	}
	spin_unlock(&sensor->lock);
	if (overdue)
		wake_up(&sensor->readers);
	return overdue;
}

static void ulp_sensor_hold(struct ulp_sensor *sensor, u32 place)
{
	struct ulp_held held = { .task = current, .user = current_uid(), .place = place };
	u64 began = ktime_get_ns();
	long left = sensor->timeout;

	init_waitqueue_head(&held.wait);
	if (!ulp_sensor_list(sensor, &held))
		return;
	___wait_event(held.wait, READ_ONCE(held.free) || !left, ULP_PARKED, 0, 0,
		      left = schedule_timeout(left));
	if (!ulp_sensor_unlist(sensor, &held))
		return;
	began = ktime_get_ns() - began;
	pr_warn_ratelimited("%s (pid %d): held for %llu ms and let go: no answer to the sensor\n",
			    current->comm, task_tgid_nr(current),
			    div_u64(began, NSEC_PER_MSEC));
	ulp_event_overdue(place, began);
}

static struct ulp_trip *ulp_trip_get(struct ulp_sensor *sensor)
{
	struct ulp_trip *trip;
	unsigned long flags;

	raw_spin_lock_irqsave(&sensor->trips_lock, flags);
	trip = sensor->trips;
	if (trip)
		sensor->trips = trip->next;
	raw_spin_unlock_irqrestore(&sensor->trips_lock, flags);
	return trip;
}

void ulp_trip_put(struct ulp_trip *trip)
{
	struct ulp_sensor *sensor = trip->sensor;
	unsigned long flags;

	raw_spin_lock_irqsave(&sensor->trips_lock, flags);
	trip->next = sensor->trips;
	sensor->trips = trip;
	raw_spin_unlock_irqrestore(&sensor->trips_lock, flags);
}

/* In the thread, on its way to user mode or in its exit. */
static void ulp_trip_end(struct callback_head *work)
{
	struct ulp_trip *trip = container_of(work, struct ulp_trip, work);
	struct ulp_sensor *sensor = trip->sensor;
	u32 place = trip->place;

	ulp_trip_put(trip);
	if (current->mm && ulp_task_lives_in(current, current->mm) &&
	    !(place == ULP_PLACE_EXEC && ulp_sensor_sees_linker(sensor)))
		ulp_sensor_hold(sensor, place);
	ulp_sensor_put(sensor);
}

/* Called by the probes, in the thread; atomic. */
static void ulp_trip_begin(struct ulp_sensor *sensor, u32 place)
{
	struct ulp_trip *trip;

	if (READ_ONCE(sensor->closed) || task_tgid_nr(current) == sensor->owner)
		return;
	trip = ulp_trip_get(sensor);
	if (!trip) {
		atomic64_inc(&sensor->missed);
		return;
	}
	trip->place = place;
	refcount_inc(&sensor->refs);
	init_task_work(&trip->work, ulp_trip_end);
	if (ulp_task_work_add(current, &trip->work)) {
		/* It exits; the reference is not the last: we are in a probe. */
		ulp_trip_put(trip);
		ulp_sensor_put(sensor);
	}
}

void ulp_sensor_exec_probe(void *data, struct task_struct *task, pid_t old_pid,
			   struct linux_binprm *bprm)
{
	ulp_trip_begin(data, ULP_PLACE_EXEC);
}

void ulp_sensor_link_probe(struct ulp_probe *probe)
{
	ulp_trip_begin(container_of(probe, struct ulp_armed, probe)->sensor, ULP_PLACE_LINK);
}

/* With the lock held. */
void ulp_held_free(struct ulp_held *held)
{
	WRITE_ONCE(held->free, true);
	wake_up(&held->wait);
}

int ulp_sensor_done(struct ulp_sensor *sensor, u64 ticket)
{
	struct ulp_held *held;
	int err = -ENOENT;

	spin_lock(&sensor->lock);
	list_for_each_entry(held, &sensor->told, list) {
		if (held->ticket != ticket)
			continue;
		ulp_held_free(held);
		err = 0;
		break;
	}
	spin_unlock(&sensor->lock);
	return err;
}

static u32 ulp_sensor_nr_told(const struct ulp_sensor *sensor, kuid_t user)
{
	const struct ulp_held *held;
	u32 nr = 0;

	list_for_each_entry(held, &sensor->told, list)
		nr += uid_eq(held->user, user);
	return nr;
}

/*
 * The oldest of the user that has the fewest told: one that starts many, or some that
 * take long to look at, does not use up the time of others.  NULL if nobody waits.
 */
static struct ulp_held *ulp_sensor_next(const struct ulp_sensor *sensor)
{
	struct ulp_held *held, *next = NULL;
	u32 nr, fewest = U32_MAX;

	list_for_each_entry(held, &sensor->waiting, list) {
		nr = ulp_sensor_nr_told(sensor, held->user);
		if (nr < fewest) {
			next = held;
			fewest = nr;
		}
		if (!nr)
			break;
	}
	return next;
}

/* That it reads shows that the holder is alive. */
static u32 ulp_sensor_take(struct ulp_sensor *sensor, struct ulp_load *loads, u32 max)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	u64 missed = atomic64_xchg(&sensor->missed, 0);
	struct ulp_held *held;
	u32 nr = 0;

	if (missed)
		loads[nr++] = (struct ulp_load){
			.size = sizeof(*loads),
			.place = ULP_PLACE_MISSED,
			.ticket = missed,
		};
	spin_lock(&sensor->lock);
	sensor->deaf = false;
	while (nr < max) {
		held = ulp_sensor_next(sensor);
		if (!held)
			break;
		list_move_tail(&held->list, &sensor->told);
		loads[nr++] = (struct ulp_load){
			.size = sizeof(*loads),
			.place = held->place,
			.ticket = held->ticket,
			.pid = task_tgid_nr_ns(held->task, ns),
			.tid = task_pid_nr_ns(held->task, ns),
		};
	}
	spin_unlock(&sensor->lock);
	return nr;
}

static bool ulp_sensor_has_news(struct ulp_sensor *sensor)
{
	bool news;

	spin_lock(&sensor->lock);
	news = !list_empty(&sensor->waiting) || atomic64_read(&sensor->missed);
	spin_unlock(&sensor->lock);
	return news;
}

ssize_t ulp_sensor_file_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	struct ulp_sensor *sensor = file->private_data;
	struct ulp_load loads[ULP_TELL_BATCH];
	u32 nr, max = min_t(size_t, size / sizeof(*loads), ARRAY_SIZE(loads));
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!max)
		return -EINVAL;
	while (!(nr = ulp_sensor_take(sensor, loads, max))) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(sensor->readers, ulp_sensor_has_news(sensor));
		if (err)
			return err;
	}
	/* Those that cannot be told are let go when their time is up. */
	if (ulp_fault(&sensor->faults, ULP_FAULT_TELL) ||
	    copy_to_user(user, loads, nr * sizeof(*loads)))
		return -EFAULT;
	return nr * sizeof(*loads);
}

__poll_t ulp_sensor_file_poll(struct file *file, poll_table *wait)
{
	struct ulp_sensor *sensor = file->private_data;

	poll_wait(file, &sensor->readers, wait);
	return ulp_sensor_has_news(sensor) ? EPOLLIN | EPOLLRDNORM : 0;
}
