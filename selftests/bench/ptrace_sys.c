// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libulp/sys.c without the module: everything by ptrace.
 *
 * Linked in its place this makes ulp-tool-ptrace: the same tool with the same
 * work to do - the same patch file, look-ups, image and record - which differs
 * from ulp-tool only in what is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "by_ptrace.h"
#include "../../libulp/internal.h"

int ulp_sys_query(int dev, struct ulp_query *query)
{
	query->out_abi = ULP_ABI;
	snprintf((char *)query->out_version, sizeof(query->out_version), "ptrace");
	return 0;
}

int ulp_sys_open(struct ulp_context *ctx)
{
	return 0;
}

/* A session is /proc/PID/mem itself; closing it is all there is to do. */
int ulp_sys_session_open(int dev, int mem)
{
	int session = fcntl(mem, F_DUPFD_CLOEXEC, 0);

	return session < 0 ? -errno : session;
}

static pid_t pid_of(int session)
{
	char path[64], target[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", session);
	if (readlink(path, target, sizeof(target) - 1) < 0 || strncmp(target, "/proc/", 6))
		return 0;
	return atoi(target + 6);
}

int ulp_sys_map(int session, uint32_t flags, int fd, uint64_t offset, uint64_t addr,
		uint64_t length)
{
	int protection = PROT_READ | (flags & ULP_MAP_EXEC ? PROT_EXEC : 0) |
			 (flags & ULP_MAP_WRITE ? PROT_WRITE : 0);

	return by_ptrace_map(pid_of(session), session, fd, offset, addr, length, protection);
}

/* Nothing that is measured needs it. */
int ulp_sys_unmap(int session, uint64_t addr, uint64_t length, uint64_t max_freeze_ns)
{
	return -EOPNOTSUPP;
}

/* Nor does it hold anybody. */
int ulp_sys_release(int session, uint64_t *hold_ns)
{
	return -EOPNOTSUPP;
}

/* Nor does it switch threads one by one. */
int ulp_sys_members(int session, struct ulp_members *members)
{
	return -EOPNOTSUPP;
}

int ulp_sys_transact(int session, struct ulp_transact *transact)
{
	return by_ptrace_transact(pid_of(session), session, transact);
}
