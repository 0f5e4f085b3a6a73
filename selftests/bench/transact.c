// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The same change to a victim in several ways, made by this process itself: by
 * the module, and by ptrace.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "by_ptrace.h"
#include "driver.h"
#include "ulp.h"

const char *const way_names[NR_WAYS] = {
	[WAY_GATE] = "gate",
	[WAY_GATE_NO_STAMPS] = "gate, no stamps",
	[WAY_STOP_MACHINE] = "stop_machine",
	[WAY_PTRACE] = "ptrace",
	[WAY_PTRACE_FIFO] = "ptrace, fifo",
};

static int device(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/ulp", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, "/dev/ulp");
	return fd;
}

const char *module_version(void)
{
	static struct ulp_query query;

	query = (struct ulp_query){ .size = sizeof(query) };
	if (ioctl(device(), ULP_QUERY, &query))
		err(1, "ULP_QUERY");
	return (const char *)query.out_version;
}

void session_open(struct session *session, pid_t pid)
{
	struct ulp_session_open arg = { .size = sizeof(arg) };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	session->pid = pid;
	session->mem = open(path, O_RDWR | O_CLOEXEC);
	if (session->mem < 0)
		err(1, "%s", path);
	arg.mem_fd = session->mem;
	session->module = ioctl(device(), ULP_SESSION_OPEN, &arg);
	if (session->module < 0)
		err(1, "ULP_SESSION_OPEN");
}

void session_close(struct session *session)
{
	close(session->module);
	close(session->mem);
}

static void find(pid_t pid, char *const *old_names, char *const *new_names,
		 struct change_set *set)
{
	const char *problem = bench_symbols(pid, old_names, new_names, set->count, set->changes);

	if (problem)
		errx(1, "victim: %s", problem);
}

void change_set_find(pid_t pid, size_t count, struct change_set *set)
{
	char names[2][BENCH_FUNCTIONS][16];
	char *old_names[BENCH_FUNCTIONS], *new_names[BENCH_FUNCTIONS];

	for (size_t i = 0; i < count; i++) {
		old_names[i] = names[0][i];
		new_names[i] = names[1][i];
		snprintf(old_names[i], sizeof(names[0][i]), "old_%zu", BENCH_FIRST + i);
		snprintf(new_names[i], sizeof(names[1][i]), "new_%zu", BENCH_FIRST + i);
	}
	set->count = count;
	find(pid, old_names, new_names, set);
}

void change_set_inside(pid_t pid, bool spin, struct change_set *set)
{
	char *old_name = spin ? "old_spin" : "old_sleep";
	char *new_name = spin ? "new_spin" : "new_sleep";

	set->count = 1;
	find(pid, &old_name, &new_name, set);
}

static void set_scheduler(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, policy, &param))
		err(1, "sched_setscheduler");
}

/* Returns 0 or errno. */
static int run(const struct session *session, enum way way, struct ulp_transact *arg)
{
	int status;

	switch (way) {
	case WAY_PTRACE:
		return -by_ptrace_transact(session->pid, session->mem, arg);
	case WAY_PTRACE_FIFO:
		set_scheduler(SCHED_FIFO, 50);
		status = -by_ptrace_transact(session->pid, session->mem, arg);
		set_scheduler(SCHED_OTHER, 0);
		return status;
	default:
		return ioctl(session->module, ULP_TRANSACT, arg) ? errno : 0;
	}
}

double transact(const struct session *session, enum way way, const struct change_set *set,
		bool revert, bool refused)
{
	struct ulp_range ranges[BENCH_FUNCTIONS];
	struct ulp_write writes[BENCH_FUNCTIONS];
	struct ulp_transact arg = {
		.size = sizeof(arg),
		.flags = way == WAY_GATE_NO_STAMPS ? ULP_TRANSACT_NO_STAMPS : 0,
		.backend = way == WAY_STOP_MACHINE ? ULP_BACKEND_STOP_MACHINE : ULP_BACKEND_GATE,
		.attempts = refused ? 1 : 20,
		.retry_ns = 5000000,
		.max_freeze_ns = 10000000000,
		.ranges = (uintptr_t)ranges,
		.writes = (uintptr_t)writes,
		.nr_ranges = set->count,
		.nr_writes = set->count,
	};
	int status;

	bench_plan(set->changes, set->count, revert, ranges, writes);
	status = run(session, way, &arg);
	if (status != (refused ? EADDRINUSE : 0))
		errx(1, "transaction (%s): %s, reason %u", way_names[way], strerror(status),
		     arg.out_reason);
	return (double)arg.out_freeze_ns / 1000;
}
