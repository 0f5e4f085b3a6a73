// SPDX-License-Identifier: LGPL-2.1-or-later
/* How long a command takes from its start to its end, for one process and many. */
#include <err.h>
#include <limits.h>
#include <stdio.h>
#include "driver.h"

/* ---- one process ---- */

enum { APPLY, REVERT, BY_PTRACE, BARE, NR_COMMANDS };

static const char *const command_names[NR_COMMANDS] = {
	"apply", "revert", "apply by ptrace", "ptrace_patch",
};

static double by_ptrace_us(const char *verb, pid_t pid)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	return (double)tool_run(ulp_tool_ptrace, verb, 1, "-p", number) / 1000;
}

static double bare_us(bool revert, pid_t pid)
{
	char path[PATH_MAX], number[16], pair[] = "old_100:new_100";
	char *const argv[] = { path, revert ? "-r" : number, revert ? number : pair,
			       revert ? pair : NULL, NULL };

	snprintf(path, sizeof(path), "%s/ptrace_patch", bench_dir);
	snprintf(number, sizeof(number), "%d", pid);
	return (double)run_expect(0, argv, NULL, 0) / 1000;
}

static void wall_run(pid_t pid, struct samples *samples)
{
	sample_add(&samples[APPLY], (double)tool_change("apply", 1, pid) / 1000);
	sample_add(&samples[REVERT], (double)tool_change("revert", 1, pid) / 1000);
	sample_add(&samples[BY_PTRACE], by_ptrace_us("apply", pid));
	by_ptrace_us("revert", pid);
	sample_add(&samples[BARE], bare_us(false, pid));
	sample_add(&samples[BARE], bare_us(true, pid));
}

void measure_wall(void)
{
	static const struct {
		int threads, spinning;
	} cases[] = { { 1, 0 }, { 2, 1 }, { 64, 0 }, { 64, 32 }, { 256, 0 } };
	char *const version[] = { (char *)ulp_tool, "--version", NULL };
	struct samples start = { 0 };
	double start_us;

	for (int run = 0; run < 9; run++)
		sample_add(&start, (double)run_expect(0, version, NULL, 0) / 1000);
	report_title("Wall time of one command (us)",
		     "From before its creation to its end; 1 function.  \"apply by ptrace\" is\n"
		     "ulp-tool-ptrace, which does all that ulp-tool does, by ptrace.  ptrace_patch\n"
		     "does less than either: it reads no patch file, maps and relocates no code,\n"
		     "and leaves no record.");
	start_us = report_figure(&start, "us", "wall.ulp-tool.version");
	printf("ulp-tool --version: %.0f\n\n", start_us);
	printf("threads spinning");
	for (int i = 0; i < NR_COMMANDS; i++)
		printf(" %15s", command_names[i]);
	printf("  apply/by ptrace\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct samples samples[NR_COMMANDS] = { 0 };
		int threads = cases[i].threads, spinning = cases[i].spinning;
		struct victim victim;
		double us[NR_COMMANDS];

		victim_start(&victim, (struct victim_options){ threads, spinning, 0, 0 });
		for (int run = 0; run < (spinning > 10 ? 3 : 7); run++)
			wall_run(victim.pid, samples);
		victim_end(&victim);
		printf("%7d %8d", threads, spinning);
		for (int j = 0; j < NR_COMMANDS; j++) {
			us[j] = report_figure(&samples[j], "us", "wall.%s.threads%d.spinning%d",
					      command_names[j], threads, spinning);
			printf(" %15.0f", us[j]);
		}
		printf("  %15.4f\n", us[APPLY] / us[BY_PTRACE]);
		fflush(stdout);
		report_ratio(us[APPLY] / us[BY_PTRACE], 1,
			     "wall time, ulp-tool/the same by ptrace, %d threads, %d spinning",
			     threads, spinning);
		report_ratio((us[APPLY] - start_us) / (us[BY_PTRACE] - start_us), 0,
			     "wall time but for the start, ulp-tool/by ptrace, %d threads, %d spinning",
			     threads, spinning);
		report_ratio(us[APPLY] / us[BARE], 0,
			     "wall time, ulp-tool/ptrace_patch, %d threads, %d spinning", threads,
			     spinning);
	}
}

/* ---- many processes ---- */

static double ms(const struct samples *samples, const char *name, int count)
{
	return report_figure(samples, "ms", "processes.%s.%d", name, count);
}

/* All victims by one command; of one thread or as many as it likes. */
static double all_ms(const char *verb, bool serial)
{
	const char *jobs = serial ? "--jobs=1" : "--disable-summarization";

	return (double)tool_run(ulp_tool, verb, 1, jobs, "-pbench_victim") / 1e6;
}

void measure_processes(void)
{
	static const int counts[] = { 1, 20, 100 };
	static struct victim victims[100];

	report_title("Many processes (ms)",
		     "Apply to all processes of one thread each: by one command, by one command\n"
		     "that works on one at a time (--jobs 1), and by one command for each.");
	printf("processes %12s %12s %12s  parallel/each\n", "parallel", "--jobs 1", "one each");
	for (int i = 0, started = 0; i < 3; i++) {
		struct samples parallel = { 0 }, serial = { 0 }, each = { 0 };
		int count = counts[i];
		double median[3];

		for (; started < count; started++)
			victim_start(&victims[started], (struct victim_options){ 1, 0, 0, 0 });
		for (int run = 0; run < (count > 50 ? 3 : 5); run++) {
			double sum = 0;

			sample_add(&parallel, all_ms("apply", false));
			all_ms("revert", false);
			sample_add(&serial, all_ms("apply", true));
			all_ms("revert", false);
			for (int j = 0; j < count; j++)
				sum += tool_change("apply", 1, victims[j].pid) / 1e6;
			sample_add(&each, sum);
			all_ms("revert", false);
		}
		for (int j = 0; j < count; j++)
			if (victim_ask(&victims[j], "value") != 103)
				errx(1, "a process is still patched");
		median[0] = ms(&parallel, "parallel", count);
		median[1] = ms(&serial, "jobs1", count);
		median[2] = ms(&each, "each", count);
		printf("%9d %12.1f %12.1f %12.1f  %13.4f\n", count, median[0], median[1], median[2],
		       median[0] / median[2]);
		fflush(stdout);
		report_ratio(median[0] / median[2], count == 100 ? 0.5 : 0,
			     "%d processes, parallel/one by one", count);
		report_ratio(median[0] / median[1], 0, "%d processes, parallel/--jobs 1", count);
	}
	for (int i = 0; i < 100; i++)
		victim_end(&victims[i]);
}
