// SPDX-License-Identifier: LGPL-2.1-or-later
/* How long a command takes from its start to its end, for one process and many. */
#include <err.h>
#include <stdio.h>
#include "driver.h"

/* ---- one process ---- */

void measure_wall(void)
{
	static const int counts[] = { 1, 2, 64, 256 };
	char *const version[] = { (char *)ulp_tool, "--version", NULL };
	struct samples floor = { 0 };

	for (int run = 0; run < 9; run++)
		sample_add(&floor, run_expect(0, version, NULL, 0) / 1000.0);
	report_title("Wall time of one command (us)",
		     "From before its creation to its end.  ulp-tool reads a patch file, finds its\n"
		     "object in the process, maps and relocates new code, writes a record;\n"
		     "ptrace_patch has the new code in the process already.  1 function, half of\n"
		     "the threads spinning; apply and revert alternate.");
	printf("ulp-tool --version: %.0f\n\n",
	       report_figure(&floor, "us", "wall.ulp-tool.version"));
	printf("threads %14s %14s %14s  apply/ptrace\n", "apply", "revert", "ptrace_patch");
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct samples apply = { 0 }, revert = { 0 }, ptrace = { 0 };
		int threads = counts[i], runs = threads > 100 ? 3 : 7;
		struct victim victim;
		double us[3];

		victim_start(&victim, (struct victim_options){ threads, threads / 2, 0, 0 });
		for (int run = 0; run < runs; run++) {
			sample_add(&apply, tool_change("apply", 1, victim.pid) / 1000.0);
			sample_add(&revert, tool_change("revert", 1, victim.pid) / 1000.0);
			for (int back = 0; back < 2; back++) {
				uint64_t wall_ns;

				ptrace_patch(victim.pid, 1, back, &wall_ns);
				sample_add(&ptrace, wall_ns / 1000.0);
			}
		}
		victim_end(&victim);
		us[0] = report_figure(&apply, "us", "wall.apply.threads%d", threads);
		us[1] = report_figure(&revert, "us", "wall.revert.threads%d", threads);
		us[2] = report_figure(&ptrace, "us", "wall.ptrace.threads%d", threads);
		printf("%7d %14.0f %14.0f %14.0f  %12.4f\n", threads, us[0], us[1], us[2],
		       us[0] / us[2]);
		fflush(stdout);
		report_ratio(us[0] / us[2], 0.5,
			     "wall time, ulp-tool apply/ptrace_patch, %d threads", threads);
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
	return (double)tool_change_some(verb, 1, serial ? "--jobs=1" : "--disable-summarization",
					"-pbench_victim") / 1e6;
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
