// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Threads that switch one by one: what others feel of it, and what a call costs
 * while it lasts.
 */
#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "driver.h"

enum mode { IDLE, ATOMIC, THREAD, BY_PTRACE, NR_MODES };

static const char *const mode_names[NR_MODES] = { "idle", "atomic", "thread", "ptrace" };

/* ulp-tool, or its likeness; it must end with @status. */
static void change(enum mode mode, const char *verb, const char *fix, pid_t pid, int status,
		   const char *timeout)
{
	const char *consistency = mode == THREAD ? "--consistency=thread" : "-q";
	char file[PATH_MAX], number[16];
	char *const argv[] = {
		(char *)(mode == BY_PTRACE ? ulp_tool_ptrace : ulp_tool), (char *)verb, "-q",
		(char *)consistency, (char *)timeout, "-p", number, file, NULL
	};

	snprintf(number, sizeof(number), "%d", pid);
	snprintf(file, sizeof(file), "%s/%s.so", bench_dir, fix);
	run_expect(status, argv, NULL, 0);
}

static double felt_us(struct victim *victim, enum mode mode, int threads, int runs)
{
	struct samples samples = { 0 };

	for (int run = 0; run < 2 * runs; run++) {
		victim_gap(victim);
		if (mode == IDLE)
			usleep(20000);
		else
			change(mode, run % 2 ? "revert" : "apply", "fix_1", victim->pid, 0,
			       "--timeout=10");
		sample_add(&samples, (double)victim_gap(victim) / 1000);
	}
	return report_figure(&samples, "us", "universe.gap.%s.threads%d", mode_names[mode],
			     threads);
}

void measure_universe(void)
{
	static const int counts[] = { 2, 8, 64 };

	report_title("Gap (us) that a spinning thread feels, of a whole apply or revert",
		     "As above, with the tool; nobody is inside.  In mode thread there are two short\n"
		     "windows, and none that depends on who is inside.");
	printf("threads");
	for (enum mode mode = 0; mode < NR_MODES; mode++)
		printf(" %12s", mode_names[mode]);
	puts("  thread/ptrace  thread/atomic");
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		int threads = counts[i];
		double us[NR_MODES];
		struct victim victim;

		victim_start(&victim, (struct victim_options){ threads, threads / 2, 1, 0 });
		printf("%7d", threads);
		for (enum mode mode = 0; mode < NR_MODES; mode++) {
			us[mode] = felt_us(&victim, mode, threads, mode == BY_PTRACE ? 3 : 8);
			printf(" %12.0f", us[mode]);
			fflush(stdout);
		}
		printf("  %13.4f  %13.4f\n", us[THREAD] / us[BY_PTRACE], us[THREAD] / us[ATOMIC]);
		report_ratio(us[THREAD] / us[BY_PTRACE], 0,
			     "gap felt, mode thread/ptrace, %d threads", threads);
		report_ratio(us[THREAD] / us[ATOMIC], 0,
			     "gap felt, mode thread/mode atomic, %d threads", threads);
		victim_end(&victim);
	}
}

void measure_switching(void)
{
	struct samples before = { 0 }, during = { 0 }, after = { 0 };
	struct samples by_counter = { 0 }, gap = { 0 };
	const unsigned long count = 200000;
	char question[32], counted[32];
	struct victim victim;
	double ns[4], us;

	report_title("One call (ns) while a thread stays inside for ever",
		     "The caller has switched: its calls look through the table and go to the new\n"
		     "function.  Counter: the same decided by a counter in thread-local memory, which\n"
		     "only processes with a preloaded library could have.  The gap is that of a thread\n"
		     "which has nothing to do with it, over 0.3 s in which the tool waits for the one\n"
		     "inside; 8 threads, and one that spins inside.");
	victim_start(&victim, (struct victim_options){ 8, 1, 1, 1 });
	snprintf(question, sizeof(question), "calls %lu", count);
	snprintf(counted, sizeof(counted), "counted %lu", count);
	for (int run = 0; run < 5; run++) {
		sample_add(&before, (double)victim_ask(&victim, question) / count);
		victim_gap(&victim);
		change(THREAD, "apply", "fix_inside", victim.pid, 4, "--timeout=0.3");
		sample_add(&gap, (double)victim_gap(&victim) / 1000);
		if (victim_ask(&victim, "value") != 1103)
			errx(1, "the victim is not patched");
		sample_add(&during, (double)victim_ask(&victim, question) / count);
		sample_add(&by_counter, (double)victim_ask(&victim, counted) / count);
		change(THREAD, "revert", "fix_inside", victim.pid, 0, "--timeout=10");
		sample_add(&after, (double)victim_ask(&victim, question) / count);
	}
	victim_end(&victim);
	ns[0] = report_figure(&before, "ns", "universe.call.unpatched");
	ns[1] = report_figure(&during, "ns", "universe.call.switching");
	ns[2] = report_figure(&after, "ns", "universe.call.reverted");
	ns[3] = report_figure(&by_counter, "ns", "universe.call.counter");
	us = report_figure(&gap, "us", "universe.gap.waiting");
	printf("unpatched %.3f, switching %.3f, counter %.3f, reverted %.3f; gap %.0f us\n",
	       ns[0], ns[1], ns[3], ns[2], us);
	report_ratio(ns[1] / ns[0], 0, "time of a call, switching/unpatched");
	report_ratio(ns[1] / ns[3], 0, "time of a call, switching/by a counter of the thread");
}
