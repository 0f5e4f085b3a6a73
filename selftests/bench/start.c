// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the start of a program costs while the daemon waits for it: with nothing
 * enabled, with a patch for another program, and with one for this.
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "driver.h"

#define READY_MS	120000

extern char **environ;

/* Starts it with the list in @directory, and waits until it is ready. */
static pid_t daemon_start(const char *directory)
{
	char list[64], said[4096] = "";
	char *const argv[] = { (char *)ulp_tool, "daemon", list, NULL };
	posix_spawn_file_actions_t actions;
	struct pollfd fd = { .events = POLLIN };
	size_t have = 0;
	int ends[2];
	pid_t pid;

	snprintf(list, sizeof(list), "--list=%s", directory);
	if (pipe2(ends, O_CLOEXEC))
		err(1, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	if (posix_spawn(&pid, ulp_tool, &actions, NULL, argv, environ))
		errx(1, "%s cannot be started", ulp_tool);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	fd.fd = ends[0];
	while (!strstr(said, ": ready")) {
		ssize_t n = poll(&fd, 1, READY_MS) == 1 ?
			read(ends[0], said + have, sizeof(said) - 1 - have) : 0;

		if (n <= 0)
			errx(1, "the daemon does not get ready: %s", said);
		have += (size_t)n;
		said[have] = '\0';
	}
	/* it may go on logging into what nobody reads: less than a pipe holds */
	return pid;
}

static void daemon_end(pid_t pid)
{
	int status;

	kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "the daemon ended with status %#x", status);
}

static void list_change(const char *verb, const char *directory, const char *patch)
{
	char list[64], path[4096];
	char *const argv[] = { (char *)ulp_tool, (char *)verb, "-q", list, path, NULL };

	snprintf(list, sizeof(list), "--list=%s", directory);
	snprintf(path, sizeof(path), "%s/%s", bench_dir, patch);
	run_expect(0, argv, NULL, 0);
}

/* Programs that do nothing: dynamic, and the victim, which fix_1.so is for. */
static void start_us(struct samples *samples)
{
	char victim[4096];
	char *const nothing[] = { "/bin/true", NULL }, *const patched[] = { victim, NULL };

	snprintf(victim, sizeof(victim), "%s/bench_victim", bench_dir);
	sample_add(&samples[0], (double)run_expect(0, nothing, NULL, 0) / 1000);
	/* without arguments it only says how it is used */
	sample_add(&samples[1], (double)run_expect(2, patched, NULL, 0) / 1000);
}

static const struct {
	const char *name;
	bool daemon, patch;
} cases[] = {
	{ "no daemon", false, false },
	{ "daemon, nothing enabled", true, false },
	{ "daemon, fix_1 enabled", true, true },
};

#define NR_CASES	(sizeof(cases) / sizeof(*cases))
#define ROUNDS		8

/* Some starts of each case. */
static void one_round(const char *directory, struct samples samples[NR_CASES][2])
{
	for (size_t i = 0; i < NR_CASES; i++) {
		pid_t pid = 0;

		if (cases[i].patch)
			list_change("enable", directory, "fix_1.so");
		if (cases[i].daemon)
			pid = daemon_start(directory);
		for (int run = 0; run < 7; run++)
			start_us(samples[i]);
		if (cases[i].daemon)
			daemon_end(pid);
		if (cases[i].patch)
			list_change("disable", directory, "fix_1.so");
	}
}

void measure_start(void)
{
	struct samples samples[NR_CASES][2] = { 0 };
	char directory[] = "/tmp/ulp-bench.XXXXXX";
	double us[NR_CASES][2];

	if (!mkdtemp(directory))
		err(1, "mkdtemp");
	report_title("Start of a program (us)",
		     "From before its creation to its end.  /bin/true has nothing that is patched,\n"
		     "bench_victim is the program that fix_1 is for: it is patched at its start.");
	printf("%-26s %12s %12s\n", "", "/bin/true", "bench_victim");
	/* in turns, so that a slow minute of the machine hits all alike */
	for (int round = 0; round < ROUNDS; round++)
		one_round(directory, samples);
	for (size_t i = 0; i < NR_CASES; i++) {
		for (int k = 0; k < 2; k++)
			us[i][k] = report_figure(&samples[i][k], "us", "start.%s.%s",
						 k ? "bench_victim" : "true", cases[i].name);
		printf("%-26s %12.0f %12.0f\n", cases[i].name, us[i][0], us[i][1]);
	}
	fflush(stdout);
	for (size_t i = 1; i < NR_CASES; i++)
		for (int k = 0; k < 2; k++)
			report_ratio(us[i][k] / us[0][k], 0, "start of %s, %s/no daemon",
				     k ? "bench_victim" : "/bin/true", cases[i].name);
	rmdir(directory);
}
