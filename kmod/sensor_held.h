/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What sensor.c and sensor_held.c share: the sensor, its places and its threads.
 */
#ifndef ULP_SENSOR_HELD_H
#define ULP_SENSOR_HELD_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include "compat.h"
#include "fault.h"

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
 * @list: in ulp_sensor.waiting, or .told
 * @wait: where it sleeps
 * @task: it
 * @user: whose it is
 * @ticket: names the hold
 * @place: enum ulp_place
 * @free: it may go on
 */
struct ulp_held {
	struct list_head list;
	wait_queue_head_t wait;
	struct task_struct *task;
	kuid_t user;
	u64 ticket;
	u32 place;
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
 * @waiting: threads that are held and read() is still to tell, oldest first
 * @told: those that it has told
 * @serial: of the last ticket
 * @deaf: time was up once: nobody is held until the next read()
 * @closed: nobody is held any more
 * @faults: of the debug build
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
	struct list_head waiting;
	struct list_head told;
	u64 serial;
	bool deaf;
	bool closed;
	struct ulp_faults faults;
	wait_queue_head_t readers;
	raw_spinlock_t trips_lock;	/* see above */
	struct ulp_trip *trips;
	struct ulp_trip trip[];
};

void ulp_sensor_put(struct ulp_sensor *sensor);
void ulp_held_free(struct ulp_held *held);
void ulp_trip_put(struct ulp_trip *trip);
void ulp_sensor_exec_probe(void *data, struct task_struct *task, pid_t old_pid,
			   struct linux_binprm *bprm);
void ulp_sensor_link_probe(struct ulp_probe *probe);

#endif /* ULP_SENSOR_HELD_H */
