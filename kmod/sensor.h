/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sensor: threads are held where code was mapped and has not run yet.
 */
#ifndef ULP_SENSOR_H
#define ULP_SENSOR_H

#include <linux/fs.h>
#include <linux/poll.h>
#include <ulp_sensor.h>

struct ulp_sensor;

bool ulp_sensor_works(void);
int ulp_sensor_open(u64 timeout_ns, const struct file_operations *fops);
int ulp_sensor_arm(struct ulp_sensor *sensor, int fd, u64 offset);
int ulp_sensor_done(struct ulp_sensor *sensor, u64 ticket);
ssize_t ulp_sensor_file_read(struct file *file, char __user *user, size_t size, loff_t *pos);
__poll_t ulp_sensor_file_poll(struct file *file, poll_table *wait);
int ulp_sensor_file_release(struct inode *inode, struct file *file);

#endif /* ULP_SENSOR_H */
