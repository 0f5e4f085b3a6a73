// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One wrapper per ioctl of uapi/ulp.h, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

static int sys_ioctl(int fd, unsigned long number, void *arg)
{
	int ret = ioctl(fd, number, arg);

	return ret < 0 ? -errno : ret;
}

int ulp_sys_query(int dev, struct ulp_query *query)
{
	return sys_ioctl(dev, ULP_QUERY, query);
}

/* errno keeps why open() failed: ulp_status_get() reports it. */
int ulp_sys_open(struct ulp_context *ctx)
{
	struct ulp_query query = { .size = sizeof(query) };
	int err;

	if (ctx->dev < 0)
		ctx->dev = open("/dev/ulp", O_RDWR | O_CLOEXEC);
	if (ctx->dev < 0) {
		err = errno;
		if (err == EACCES || err == EPERM)
			ulp_err(ctx, 0, "/dev/ulp: %s; run as root, or as a member of the group that a udev rule gives it to",
				strerror(err));
		else
			ulp_err(ctx, 0, "/dev/ulp: %s; load the module with \"modprobe ulp\" or \"insmod ulp.ko\"",
				strerror(err));
		errno = err;
		return err == EACCES || err == EPERM ? -ULP_E_PERMISSION : -ULP_E_MODULE;
	}
	err = ulp_sys_query(ctx->dev, &query);
	if (err)
		return ulp_err(ctx, -ULP_E_ABI,
			       "/dev/ulp does not answer ULP_QUERY (%s); is it ulp.ko's?",
			       strerror(-err));
	if (query.out_abi != ULP_ABI)
		return ulp_err(ctx, -ULP_E_ABI,
			       "ulp.ko speaks ABI %u, this library %u; load the module of version %s",
			       query.out_abi, ULP_ABI, ulp_version());
	ctx->features = query.out_features;
	return 0;
}

int ulp_sys_session_open(int dev, int mem)
{
	struct ulp_session_open arg = { .size = sizeof(arg), .mem_fd = mem };

	return sys_ioctl(dev, ULP_SESSION_OPEN, &arg);
}

int ulp_sys_map(int session, uint32_t flags, int fd, uint64_t offset, uint64_t addr,
		uint64_t length)
{
	struct ulp_map arg = {
		.size = sizeof(arg),
		.flags = flags,
		.fd = fd,
		.offset = offset,
		.addr = addr,
		.length = length,
	};

	return sys_ioctl(session, ULP_MAP, &arg);
}

int ulp_sys_unmap(int session, uint64_t addr, uint64_t length, uint64_t max_freeze_ns)
{
	struct ulp_unmap arg = {
		.size = sizeof(arg),
		.addr = addr,
		.length = length,
		.max_freeze_ns = max_freeze_ns,
	};

	return sys_ioctl(session, ULP_UNMAP, &arg);
}

int ulp_sys_release(int session, uint64_t *hold_ns)
{
	struct ulp_release arg = { .size = sizeof(arg) };
	int err = sys_ioctl(session, ULP_RELEASE, &arg);

	if (!err)
		*hold_ns = arg.out_hold_ns;
	return err;
}

int ulp_sys_members(int session, struct ulp_members *members)
{
	members->size = sizeof(*members);
	return sys_ioctl(session, ULP_MEMBERS, members);
}

int ulp_sys_transact(int session, struct ulp_transact *transact)
{
	transact->size = sizeof(*transact);
	return sys_ioctl(session, ULP_TRANSACT, transact);
}
