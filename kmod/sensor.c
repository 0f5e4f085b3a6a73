// SPDX-License-Identifier: GPL-2.0
/*
 * The sensor: who starts a program, or comes to an armed place of a dynamic
 * linker, is held until the holder of the sensor says that it may go on.
 *
 *   tracepoint, uprobe  queue a task_work for the thread itself; they may be
 *                       atomic, or hold locks of uprobes
 *   task_work           on the way to user mode, where no lock is held: tell,
 *                       and sleep
 *
 * The list of those that are held is at the same time the queue that read()
 * takes them from: nothing can overrun.  What is held lives on the stack of its
 * thread.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "compat.h"
#include "freeze.h"
#include "netlink.h"
#include "sensor.h"

#define ULP_SENSOR_TIMEOUT	(2 * NSEC_PER_SEC)
#define ULP_SENSOR_TIMEOUT_MAX	(600 * NSEC_PER_SEC)

#define ULP_PLACES_MAX		1024

/* Threads between a probe and their way to user mode: some for each CPU. */
#define ULP_TRIPS_SPARE		64
#define ULP_TRIPS_PER_CPU	4

/* How many are told by one look at the list. */
#define ULP_TELL_BATCH		16

/**
 * struct ulp_trip - a thread that has met a probe
 * @work: runs before it is in user mode again
 * @sensor: it will be held by; referenced
 * @place: enum ulp_place
 * @next: in ulp_sensor.trips
 */
struct ulp_trip {
	struct callback_head work;
	struct ulp_sensor *sensor;
	u32 place;
	struct ulp_trip *next;
};

/**
 * struct ulp_armed - an armed file
 * @probe: the breakpoint in it
 * @sensor: it belongs to
 * @file: keeps the file system of the inode mounted
 * @list: in ulp_sensor.armed
 */
struct ulp_armed {
	struct ulp_probe probe;
	struct ulp_sensor *sensor;
	struct file *file;
	struct list_head list;
};

/**
 * struct ulp_held - a thread that is held, on its own stack
 * @list: in ulp_sensor.held
 * @wait: where it sleeps
 * @task: it
 * @ticket: names the hold
 * @place: enum ulp_place
 * @told: read() has given it out
 * @free: it may go on
 */
struct ulp_held {
	struct list_head list;
	wait_queue_head_t wait;
	struct task_struct *task;
	u64 ticket;
	u32 place;
	bool told;
	bool free;
};

/**
 * struct ulp_sensor - state behind the sensor's file descriptor
 * @missed: threads that passed, since read() told so last
 * @refs: one of the file, one of each trip
 * @arming: one call of arm at a time
 * @owner: process that is never held
 * @timeout: longest hold, in jiffies
 * @lock: all below
 * @armed: files
 * @nr_armed: of @armed
 * @held: threads, oldest first
 * @serial: of the last ticket
 * @deaf: time was up once: nobody is held until the holder shows life again
 * @closed: nobody is held any more
 * @readers: wait for news
 * @trips_lock: protects @trips; taken by probes
 * @trips: free ones
 * @trip: all of them
 */
struct ulp_sensor {
	atomic64_t missed;
	refcount_t refs;
	struct mutex arming;	/* see above */
	pid_t owner;
	unsigned long timeout;
	spinlock_t lock;	/* see above */
	struct list_head armed;
	u32 nr_armed;
	struct list_head held;
	u64 serial;
	bool deaf;
	bool closed;
	wait_queue_head_t readers;
	raw_spinlock_t trips_lock;	/* see above */
	struct ulp_trip *trips;
	struct ulp_trip trip[];
};

/* There is one in the machine. */
static atomic_t ulp_sensors = ATOMIC_INIT(0);

bool ulp_sensor_works(void)
{
	return ulp_compat.task_work_add && ulp_compat.exec_probe && IS_ENABLED(CONFIG_UPROBES);
}

static void ulp_sensor_put(struct ulp_sensor *sensor)
{
	if (!refcount_dec_and_test(&sensor->refs))
		return;
	kvfree(sensor);
	module_put(THIS_MODULE);
}

/* ---- a thread is held ---- */

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
		list_add_tail(&held->list, &sensor->held);
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
	struct ulp_held held = { .task = current, .place = place };
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

static void ulp_trip_put(struct ulp_trip *trip)
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

static void ulp_sensor_exec_probe(void *data, struct task_struct *task, pid_t old_pid,
				  struct linux_binprm *bprm)
{
	ulp_trip_begin(data, ULP_PLACE_EXEC);
}

static void ulp_sensor_link_probe(struct ulp_probe *probe)
{
	ulp_trip_begin(container_of(probe, struct ulp_armed, probe)->sensor, ULP_PLACE_LINK);
}

/* ---- what its holder does ---- */

static void ulp_armed_free(struct ulp_armed *armed)
{
	ulp_probe_unregister(&armed->probe);
	fput(armed->file);
	kfree(armed);
}

static struct ulp_sensor *ulp_sensor_alloc(u64 timeout_ns)
{
	u32 i, nr = ULP_TRIPS_SPARE + ULP_TRIPS_PER_CPU * num_possible_cpus();
	struct ulp_sensor *sensor = kvzalloc(struct_size(sensor, trip, nr), GFP_KERNEL);

	if (!sensor)
		return NULL;
	refcount_set(&sensor->refs, 1);
	mutex_init(&sensor->arming);
	sensor->owner = task_tgid_nr(current);
	sensor->timeout = nsecs_to_jiffies(timeout_ns ?: ULP_SENSOR_TIMEOUT) + 1;
	spin_lock_init(&sensor->lock);
	INIT_LIST_HEAD(&sensor->armed);
	INIT_LIST_HEAD(&sensor->held);
	init_waitqueue_head(&sensor->readers);
	raw_spin_lock_init(&sensor->trips_lock);
	for (i = 0; i < nr; i++) {
		sensor->trip[i].sensor = sensor;
		ulp_trip_put(&sensor->trip[i]);
	}
	/* Trips may outlive the file, which holds the module until here. */
	__module_get(THIS_MODULE);
	return sensor;
}

/* Afterwards nobody is held, and no probe runs any more. */
static void ulp_sensor_close(struct ulp_sensor *sensor)
{
	struct ulp_armed *armed, *next;
	struct ulp_held *held;
	LIST_HEAD(files);

	spin_lock(&sensor->lock);
	sensor->closed = true;
	list_for_each_entry(held, &sensor->held, list) {
		WRITE_ONCE(held->free, true);
		wake_up(&held->wait);
	}
	list_splice_init(&sensor->armed, &files);
	spin_unlock(&sensor->lock);

	ulp_exec_probe_unregister(ulp_sensor_exec_probe, sensor);
	list_for_each_entry_safe(armed, next, &files, list)
		ulp_armed_free(armed);
	ulp_sensor_put(sensor);
	atomic_set(&ulp_sensors, 0);
}

/**
 * ulp_sensor_open() - make the sensor
 * @timeout_ns: longest hold, 0 for the default
 * @fops: of the new file
 *
 * Return: a descriptor, or -EPERM, -EINVAL, -EOPNOTSUPP, -EBUSY, -ENOMEM.
 */
int ulp_sensor_open(u64 timeout_ns, const struct file_operations *fops)
{
	struct ulp_sensor *sensor;
	int fd, err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = security_locked_down(ULP_LOCKDOWN_REASON);
	if (err)
		return err;
	if (timeout_ns > ULP_SENSOR_TIMEOUT_MAX)
		return -EINVAL;
	if (!ulp_sensor_works())
		return -EOPNOTSUPP;
	if (atomic_cmpxchg(&ulp_sensors, 0, 1))
		return -EBUSY;
	sensor = ulp_sensor_alloc(timeout_ns);
	if (!sensor) {
		err = -ENOMEM;
		goto err_sensors;
	}
	err = ulp_exec_probe_register(ulp_sensor_exec_probe, sensor);
	if (err)
		goto err_sensor;
	fd = anon_inode_getfd("[ulp-sensor]", fops, sensor, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		ulp_sensor_close(sensor);
	return fd;

err_sensor:
	ulp_sensor_put(sensor);
err_sensors:
	atomic_set(&ulp_sensors, 0);
	return err;
}

int ulp_sensor_file_release(struct inode *inode, struct file *file)
{
	ulp_sensor_close(file->private_data);
	return 0;
}

/* What maps show as the file's inode: of an overlay that is the one below. */
static struct inode *ulp_sensor_inode(struct file *file)
{
	return d_real_inode(file->f_path.dentry);
}

/* The regular file of a descriptor, held. */
static struct file *ulp_sensor_file(int fd)
{
	struct file *file = fget(fd);
	int err = 0;

	if (!file)
		return ERR_PTR(-EBADF);
	if (!(file->f_mode & FMODE_READ))
		err = -EBADF;
	else if (!S_ISREG(ulp_sensor_inode(file)->i_mode))
		err = -EINVAL;
	if (!err)
		return file;
	fput(file);
	return ERR_PTR(err);
}

static struct ulp_armed *ulp_sensor_find(struct ulp_sensor *sensor, const struct inode *inode)
{
	struct ulp_armed *armed;

	list_for_each_entry(armed, &sensor->armed, list)
		if (armed->probe.inode == inode)
			return armed;
	return NULL;
}

static int ulp_sensor_arm_file(struct ulp_sensor *sensor, struct file *file, u64 offset)
{
	struct inode *inode = ulp_sensor_inode(file);
	struct ulp_armed *armed;
	int err;

	if (ulp_sensor_find(sensor, inode))
		return -EEXIST;
	if (sensor->nr_armed == ULP_PLACES_MAX)
		return -E2BIG;
	if (offset > i_size_read(inode))
		return -EINVAL;
	armed = kzalloc(sizeof(*armed), GFP_KERNEL);
	if (!armed)
		return -ENOMEM;
	armed->probe.inode = inode;
	armed->probe.offset = offset;
	armed->probe.hit = ulp_sensor_link_probe;
	armed->sensor = sensor;
	armed->file = file;
	err = ulp_probe_register(&armed->probe);
	if (err) {
		kfree(armed);
		return err;
	}
	/* Only now do programs that have it pass their start. */
	spin_lock(&sensor->lock);
	list_add(&armed->list, &sensor->armed);
	sensor->nr_armed++;
	spin_unlock(&sensor->lock);
	return 0;
}

int ulp_sensor_arm(struct ulp_sensor *sensor, int fd, u64 offset)
{
	struct file *file = ulp_sensor_file(fd);
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	mutex_lock(&sensor->arming);
	err = ulp_sensor_arm_file(sensor, file, offset);
	mutex_unlock(&sensor->arming);
	if (err)
		fput(file);
	return err;
}

/* That it was asked shows that its holder is alive, whatever the answer. */
int ulp_sensor_done(struct ulp_sensor *sensor, u64 ticket)
{
	struct ulp_held *held;
	int err = -ENOENT;

	spin_lock(&sensor->lock);
	sensor->deaf = false;
	list_for_each_entry(held, &sensor->held, list) {
		if (held->ticket != ticket)
			continue;
		WRITE_ONCE(held->free, true);
		wake_up(&held->wait);
		err = 0;
		break;
	}
	spin_unlock(&sensor->lock);
	return err;
}

/* ---- reading ---- */

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
	list_for_each_entry(held, &sensor->held, list) {
		if (nr == max)
			break;
		if (held->told)
			continue;
		held->told = true;
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
	bool news = atomic64_read(&sensor->missed);
	struct ulp_held *held;

	spin_lock(&sensor->lock);
	list_for_each_entry(held, &sensor->held, list)
		news |= !held->told;
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
	return copy_to_user(user, loads, nr * sizeof(*loads)) ? -EFAULT : nr * sizeof(*loads);
}

__poll_t ulp_sensor_file_poll(struct file *file, poll_table *wait)
{
	struct ulp_sensor *sensor = file->private_data;

	poll_wait(file, &sensor->readers, wait);
	return ulp_sensor_has_news(sensor) ? EPOLLIN | EPOLLRDNORM : 0;
}
