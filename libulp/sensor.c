// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The module's sensor: threads that are held before new code runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "linker.h"
#include "object.h"

struct ulp_sensor {
	int fd;
};

int ulp_sensor_open(struct ulp_context *ctx, uint64_t timeout_ns, struct ulp_sensor **out)
{
	struct ulp_sensor *sensor;
	int fd, err;

	*out = NULL;
	err = ulp_sys_open(ctx);
	if (err)
		return err;
	if (!(ctx->features & ULP_FEATURE_SENSOR))
		return ulp_err(ctx, -EOPNOTSUPP,
			       "ulp.ko has no sensor here: it is too old, or the kernel has no uprobes or no task_work_add");
	fd = ulp_sys_sensor_open(ctx->dev, timeout_ns);
	if (fd == -EBUSY)
		return ulp_err(ctx, fd, "the sensor is in use: another daemon is running");
	if (fd == -EPERM)
		return ulp_err(ctx, -ULP_E_PERMISSION,
			       "the sensor needs CAP_SYS_ADMIN, and a kernel that is not locked down; run as root");
	if (fd < 0)
		return ulp_err(ctx, fd, "cannot open the sensor: %s", strerror(-fd));
	sensor = malloc(sizeof(*sensor));
	if (!sensor) {
		close(fd);
		return ulp_err(ctx, -ENOMEM, "out of memory");
	}
	sensor->fd = fd;
	*out = sensor;
	return 0;
}

void ulp_sensor_close(struct ulp_sensor *sensor)
{
	if (!sensor)
		return;
	close(sensor->fd);
	free(sensor);
}

int ulp_sensor_next(struct ulp_sensor *sensor, struct ulp_load_info *out)
{
	struct ulp_load load;
	ssize_t n = read(sensor->fd, &load, sizeof(load));

	if (n < 0)
		return -errno;
	if (n != sizeof(load))
		return -EPROTO;
	*out = (struct ulp_load_info){
		.place = load.place,
		.ticket = load.ticket,
		.pid = (pid_t)load.pid,
		.tid = (pid_t)load.tid,
	};
	return 0;
}

int ulp_sensor_done(struct ulp_sensor *sensor, uint64_t ticket)
{
	return ulp_sys_sensor_done(sensor->fd, ticket);
}

/* The file that is mapped there, whatever its name leads to by now. */
static int open_mapped(const struct ulp_target *target, const struct ulp_mapping *map)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, map->start, map->end);
	return ulp_target_proc(target, name, O_RDONLY);
}

int ulp_sensor_arm(struct ulp_sensor *sensor, struct ulp_target *target)
{
	uint64_t base = ulp_target_auxv(target, AT_BASE), at = base, offset;
	const struct ulp_mapping *map;
	int fd, err;

	/* Without one the program is static, or ld.so itself that was called by name. */
	for (size_t i = 0; !at && i < target->nr_objects; i++)
		if (target->objects[i].program)
			at = target->objects[i].start;
	map = ulp_target_mapping(target, at);
	if (!map || !map->inode)
		return base ? ulp_err(target->ctx, -ULP_E_NOT_TARGET,
				      "%s (pid %d): its dynamic linker is not mapped any more",
				      target->name, target->pid) : 0;
	fd = open_mapped(target, map);
	/* a static program may be for others only to run */
	if (fd < 0 && !base && !ulp_is_shortage(fd))
		return 0;
	if (fd < 0)
		return ulp_err(target->ctx, fd, "%s (pid %d): cannot open %s that it has mapped: %s",
			       target->name, target->pid, map->path, strerror(-fd));
	err = ulp_linker_place(fd, &offset);
	if (!err)
		err = ulp_sys_sensor_arm(sensor->fd, fd, offset);
	else if (!base)
		err = -ENOENT;
	close(fd);
	switch (err) {
	case 0:
		ulp_log(target->ctx, ULP_LOG_INFO, "armed %s at 0x%" PRIx64 ", found in %s (pid %d)",
			map->path, offset, target->name, target->pid);
		return 1;
	case -EEXIST:
		return 1;
	case -ENOENT:
		return 0;
	case -ENOEXEC:
		return ulp_err(target->ctx, -ULP_E_NOT_TARGET,
			       "%s (pid %d): %s is no dynamic linker that we know: what it loads is not patched before it runs",
			       target->name, target->pid, map->path);
	}
	return ulp_err(target->ctx, err, "%s cannot be armed: %s", map->path, strerror(-err));
}
