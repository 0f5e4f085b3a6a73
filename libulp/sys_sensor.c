// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One wrapper per ioctl of uapi/ulp_sensor.h, and nothing else.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "internal.h"

static int sensor_ioctl(int fd, unsigned long number, void *arg)
{
	int ret = ioctl(fd, number, arg);

	return ret < 0 ? -errno : ret;
}

int ulp_sys_sensor_open(int dev, uint64_t timeout_ns)
{
	struct ulp_sensor_open arg = { .size = sizeof(arg), .timeout_ns = timeout_ns };

	return sensor_ioctl(dev, ULP_SENSOR_OPEN, &arg);
}

int ulp_sys_sensor_arm(int sensor, int fd, uint64_t offset)
{
	struct ulp_sensor_arm arg = { .size = sizeof(arg), .fd = fd, .offset = offset };

	return sensor_ioctl(sensor, ULP_SENSOR_ARM, &arg);
}

int ulp_sys_sensor_done(int sensor, uint64_t ticket)
{
	struct ulp_sensor_done arg = { .size = sizeof(arg), .ticket = ticket };

	return sensor_ioctl(sensor, ULP_SENSOR_DONE, &arg);
}
