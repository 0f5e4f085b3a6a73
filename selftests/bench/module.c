// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The same change to a victim in several ways: transactions of the module, made
 * by this process itself, and the ptrace patcher.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
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

int session_open(pid_t pid)
{
	struct ulp_session_open arg = { .size = sizeof(arg) };
	char path[64];
	int session;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	arg.mem_fd = open(path, O_RDWR | O_CLOEXEC);
	if (arg.mem_fd < 0)
		err(1, "%s", path);
	session = ioctl(device(), ULP_SESSION_OPEN, &arg);
	if (session < 0)
		err(1, "ULP_SESSION_OPEN");
	close(arg.mem_fd);
	return session;
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

uint64_t transact(int session, enum way way, const struct change_set *set, bool revert,
		  int attempts, bool busy)
{
	struct ulp_range ranges[BENCH_FUNCTIONS];
	struct ulp_write writes[BENCH_FUNCTIONS];
	struct ulp_transact arg = {
		.size = sizeof(arg),
		.flags = way == WAY_GATE_NO_STAMPS ? ULP_TRANSACT_NO_STAMPS : 0,
		.backend = way == WAY_STOP_MACHINE ? ULP_BACKEND_STOP_MACHINE : ULP_BACKEND_GATE,
		.attempts = attempts,
		.retry_ns = 5000000,
		.max_freeze_ns = 10000000000,
		.ranges = (uintptr_t)ranges,
		.writes = (uintptr_t)writes,
		.nr_ranges = set->count,
		.nr_writes = set->count,
	};
	int status;

	bench_plan(set->changes, set->count, revert, ranges, writes);
	status = ioctl(session, ULP_TRANSACT, &arg) ? errno : 0;
	if (status != (busy ? EADDRINUSE : 0))
		errx(1, "ULP_TRANSACT (%s): %s, reason %u", way_names[way], strerror(status),
		     arg.out_reason);
	return busy ? arg.out_max_freeze_ns : arg.out_freeze_ns;
}

uint64_t ptrace_patch(pid_t pid, size_t count, bool revert, bool fifo, uint64_t *wall_ns)
{
	char path[PATH_MAX], number[16], pairs[BENCH_FUNCTIONS][24], output[256];
	char *argv[BENCH_FUNCTIONS + 5] = { path };
	int argc = 1;
	uint64_t wall;

	snprintf(path, sizeof(path), "%s/ptrace_patch", bench_dir);
	snprintf(number, sizeof(number), "%d", pid);
	if (revert)
		argv[argc++] = "-r";
	if (fifo)
		argv[argc++] = "-f";
	argv[argc++] = number;
	for (size_t i = 0; i < count; i++) {
		snprintf(pairs[i], sizeof(pairs[i]), "old_%zu:new_%zu", BENCH_FIRST + i,
			 BENCH_FIRST + i);
		argv[argc++] = pairs[i];
	}
	wall = run_expect(0, argv, output, sizeof(output));
	if (wall_ns)
		*wall_ns = wall;
	return output_number(output, "pause_ns=");
}
