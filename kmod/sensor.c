// SPDX-License-Identifier: GPL-2.0
/*
 * The sensor: who starts a program, or comes to an armed place of a dynamic
 * linker, is held (sensor_held.c) until the holder of the sensor says that it may go
 * on.  Here are its file and the armed places.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "compat.h"
#include "sensor_held.h"
#include "sensor.h"

#define ULP_SENSOR_TIMEOUT	(2 * NSEC_PER_SEC)
#define ULP_SENSOR_TIMEOUT_MAX	(600 * NSEC_PER_SEC)

#define ULP_PLACES_MAX		1024

/* Threads between a probe and their way to user mode: some for each CPU. */
#define ULP_TRIPS_SPARE		64
#define ULP_TRIPS_PER_CPU	4

/* There is one in the machine. */
static atomic_t ulp_sensors = ATOMIC_INIT(0);

bool ulp_sensor_works(void)
{
	return ulp_compat.task_work_add && ulp_compat.exec_probe && IS_ENABLED(CONFIG_UPROBES);
}

void ulp_sensor_put(struct ulp_sensor *sensor)
{
	if (!refcount_dec_and_test(&sensor->refs))
		return;
	kvfree(sensor);
	module_put(THIS_MODULE);
}

static void ulp_sensor_disarm(struct list_head *files)
{
	struct ulp_armed *armed, *next;

	list_for_each_entry(armed, files, list)
		ulp_probe_unregister(&armed->probe);
	ulp_probe_sync();
	list_for_each_entry_safe(armed, next, files, list) {
		fput(armed->file);
		kfree(armed);
	}
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
	INIT_LIST_HEAD(&sensor->waiting);
	INIT_LIST_HEAD(&sensor->told);
	ulp_faults_init(&sensor->faults);
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
	struct ulp_held *held;
	LIST_HEAD(files);

	spin_lock(&sensor->lock);
	sensor->closed = true;
	list_for_each_entry(held, &sensor->waiting, list)
		ulp_held_free(held);
	list_for_each_entry(held, &sensor->told, list)
		ulp_held_free(held);
	list_splice_init(&sensor->armed, &files);
	spin_unlock(&sensor->lock);

	ulp_exec_probe_unregister(ulp_sensor_exec_probe, sensor);
	ulp_sensor_disarm(&files);
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

/*
 * Makes room where nobody has the file mapped any more: the next one that does is
 * held at its start, where it gets armed again.
 */
static void ulp_sensor_disarm_unused(struct ulp_sensor *sensor)
{
	struct ulp_armed *armed, *next;
	LIST_HEAD(unused);

	spin_lock(&sensor->lock);
	list_for_each_entry_safe(armed, next, &sensor->armed, list) {
		if (mapping_mapped(armed->probe.inode->i_mapping))
			continue;
		list_move(&armed->list, &unused);
		sensor->nr_armed--;
	}
	spin_unlock(&sensor->lock);
	ulp_sensor_disarm(&unused);
}

static int ulp_sensor_arm_file(struct ulp_sensor *sensor, struct file *file, u64 offset)
{
	struct inode *inode = ulp_sensor_inode(file);
	struct ulp_armed *armed;
	int err;

	if (ulp_sensor_find(sensor, inode))
		return -EEXIST;
	if (sensor->nr_armed == ULP_PLACES_MAX)
		ulp_sensor_disarm_unused(sensor);
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
