// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The least that a patcher by ptrace can do:
 *
 *	ptrace_patch [-r] PID OLD:NEW...
 *
 * Makes functions OLD of PID's executable jump to functions NEW of the same
 * executable; -r takes it back.  There is no patch file to read, nothing to map
 * into the process, nothing to relocate and no record to write; ulp-tool-ptrace
 * (see ptrace_sys.c) does all that.
 *
 * Exit status: 0 done, 1 failed, 3 a thread was inside.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "by_ptrace.h"

static void look_up(pid_t pid, char **pairs, size_t count, struct bench_change *changes)
{
	char **names = calloc(count, 2 * sizeof(*names));
	const char *problem;

	if (!names)
		err(1, "calloc");
	for (size_t i = 0; i < count; i++) {
		names[i] = pairs[i];
		names[count + i] = strchr(pairs[i], ':');
		if (!names[count + i])
			errx(2, "not OLD:NEW: %s", pairs[i]);
		*names[count + i]++ = 0;
	}
	problem = bench_symbols(pid, names, names + count, count, changes);
	if (problem)
		errx(1, "%s", problem);
	free(names);
}

static int patch(pid_t pid, const struct bench_change *changes, size_t count, bool revert)
{
	struct ulp_range *ranges = calloc(count, sizeof(*ranges));
	struct ulp_write *writes = calloc(count, sizeof(*writes));
	struct ulp_transact transact = {
		.attempts = 20,
		.retry_ns = 5000000,
		.ranges = (uintptr_t)ranges,
		.writes = (uintptr_t)writes,
		.nr_ranges = count,
		.nr_writes = count,
	};
	char path[64];
	int mem, status;

	if (!ranges || !writes)
		err(1, "calloc");
	bench_plan(changes, count, revert, ranges, writes);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	if (mem < 0)
		err(1, "%s", path);
	status = by_ptrace_transact(pid, mem, &transact);
	if (status && status != -EADDRINUSE)
		warnx("%s", status == -ESTALE ? "the code is not what it should be" :
						strerror(-status));
	free(ranges);
	free(writes);
	return status == -EADDRINUSE ? 3 : status ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct bench_change *changes;
	int option;
	bool revert = false;
	size_t count;
	pid_t pid;

	while ((option = getopt(argc, argv, "r")) != -1) {
		if (option != 'r')
			return 2;
		revert = true;
	}
	if (argc - optind < 2)
		errx(2, "usage: ptrace_patch [-r] PID OLD:NEW...");
	pid = atoi(argv[optind]);
	count = (size_t)(argc - optind - 1);
	changes = calloc(count, sizeof(*changes));
	if (!changes)
		err(1, "calloc");
	look_up(pid, argv + optind + 1, count, changes);
	return patch(pid, changes, count, revert);
}
