// SPDX-License-Identifier: LGPL-2.1-or-later
/* How long a process is held: by its length, and as a thread of it feels it. */
#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "driver.h"

/* fewer runs where one takes seconds */
static int runs_for(int threads)
{
	return threads > 100 ? 3 : threads > 10 ? 5 : 9;
}

static uint64_t change(struct victim *victim, int session, enum way way,
		       const struct change_set *set, bool revert)
{
	if (way == WAY_PTRACE)
		return ptrace_patch(victim->pid, set->count, revert, NULL);
	return transact(session, way, set, revert, 20, false);
}

/* Each run applies and reverts, and so gives two samples. */
static double pause_us(struct victim *victim, enum way way, size_t count, int threads, int spinning)
{
	int session = way == WAY_PTRACE ? -1 : session_open(victim->pid);
	struct change_set set;
	struct samples samples = { 0 };

	change_set_find(victim->pid, count, &set);
	for (int run = 0; run < runs_for(threads); run++)
		for (int revert = 0; revert < 2; revert++)
			sample_add(&samples,
				   change(victim, session, way, &set, revert) / 1000.0);
	if (session >= 0)
		close(session);
	return report_figure(&samples, "us", "pause.%s.threads%d.spinning%d.functions%zu",
			     way_names[way], threads, spinning, count);
}

static double pause_target(int threads)
{
	switch (threads) {
	case 2: return 1.0 / 3;
	case 64: return 1.0 / 20;
	case 256: return 1.0 / 100;
	default: return 0;
	}
}

void measure_pause(void)
{
	static const int counts[] = { 1, 2, 8, 64, 65, 256, 257 };
	static const size_t functions[] = { 1, BENCH_FUNCTIONS };

	report_title("Pause (us), half of the threads spinning",
		     "How long the process is held: the module says it itself; ptrace_patch from\n"
		     "the first PTRACE_INTERRUPT to the last PTRACE_DETACH.  Medians.");
	printf("threads functions %12s %15s %12s %12s  gate/ptrace  100/1 functions\n",
	       way_names[0], way_names[1], way_names[2], way_names[3]);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		int threads = counts[i], spinning = threads / 2;
		double us[2][NR_WAYS];
		struct victim victim;

		victim_start(&victim, (struct victim_options){ threads, spinning, 0, 0 });
		for (int f = 0; f < 2; f++) {
			printf("%7d %9zu", threads, functions[f]);
			for (enum way way = 0; way < NR_WAYS; way++) {
				us[f][way] = pause_us(&victim, way, functions[f], threads,
						      spinning);
				printf(" %*.0f", way == 1 ? 15 : 12, us[f][way]);
				fflush(stdout);
			}
			printf("  %11.4f", us[f][WAY_GATE] / us[f][WAY_PTRACE]);
			if (f)
				printf("  %15.2f", us[1][WAY_GATE] / us[0][WAY_GATE]);
			putchar('\n');
			report_ratio(us[f][WAY_GATE] / us[f][WAY_PTRACE], pause_target(threads),
				     "pause, gate/ptrace, %d threads, %zu functions", threads,
				     functions[f]);
		}
		report_ratio(us[1][WAY_GATE] / us[0][WAY_GATE], 1.5,
			     "pause, 100 functions/1 function, %d threads", threads);
		victim_end(&victim);
	}
}

/* Sleeping threads should cost next to nothing: their stacks were read before. */
void measure_sleepers(void)
{
	static const int counts[] = { 2, 64, 256 };
	double us[3][NR_WAYS];

	report_title("Pause (us), all threads asleep", "As above; 1 function.");
	printf("threads %12s %15s %12s %12s\n", way_names[0], way_names[1], way_names[2],
	       way_names[3]);
	for (int i = 0; i < 3; i++) {
		struct victim victim;

		victim_start(&victim, (struct victim_options){ counts[i], 0, 0, 0 });
		printf("%7d", counts[i]);
		for (enum way way = 0; way < NR_WAYS; way++) {
			us[i][way] = pause_us(&victim, way, 1, counts[i], 0);
			printf(" %*.0f", way == 1 ? 15 : 12, us[i][way]);
		}
		putchar('\n');
		victim_end(&victim);
	}
	printf("each   ");
	for (enum way way = 0; way < NR_WAYS; way++)
		printf(" %*.2f", way == 1 ? 15 : 12, (us[2][way] - us[0][way]) / 254);
	putchar('\n');
	report_ratio((us[2][WAY_GATE] - us[0][WAY_GATE]) / 254 / us[0][WAY_GATE], 0.01,
		     "pause, one more sleeping thread/pause of 2 threads");
	report_ratio((us[2][WAY_GATE] - us[0][WAY_GATE]) / (us[2][WAY_PTRACE] - us[0][WAY_PTRACE]),
		     0, "pause, one more sleeping thread, gate/ptrace");
}

/* ---- as a thread feels it ---- */

static double gap_us(struct victim *victim, enum way way, size_t count, int threads)
{
	int session = way < WAY_PTRACE ? session_open(victim->pid) : -1;
	struct change_set set;
	struct samples samples = { 0 };

	change_set_find(victim->pid, count, &set);
	for (int run = 0; run < runs_for(threads); run++)
		for (int revert = 0; revert < 2; revert++) {
			victim_gap(victim);
			if (way < NR_WAYS)
				change(victim, session, way, &set, revert);
			else
				usleep(20000);
			sample_add(&samples, victim_gap(victim) / 1000.0);
		}
	if (session >= 0)
		close(session);
	return report_figure(&samples, "us", "gap.%s.threads%d",
			     way < NR_WAYS ? way_names[way] : "idle", threads);
}

void measure_gap(void)
{
	static const int counts[] = { 2, 8, 64, 256 };

	report_title("Gap (us) that a spinning thread feels",
		     "The longest time that a thread with a processor of its own was kept from\n"
		     "running.  Half of the threads spin; all others, and the patcher, share the\n"
		     "other processors.  \"idle\": 20 ms in which nothing is patched.  1 function.");
	printf("threads %12s %12s %15s %12s %12s  gate/ptrace\n", "idle", way_names[0],
	       way_names[1], way_names[2], way_names[3]);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		int threads = counts[i];
		struct victim victim;
		double us[NR_WAYS];

		victim_start(&victim, (struct victim_options){ threads, threads / 2, 1, 0 });
		printf("%7d %12.0f", threads, gap_us(&victim, NR_WAYS, 1, threads));
		for (enum way way = 0; way < NR_WAYS; way++) {
			us[way] = gap_us(&victim, way, 1, threads);
			printf(" %*.0f", way == 1 ? 15 : 12, us[way]);
			fflush(stdout);
		}
		printf("  %11.4f\n", us[WAY_GATE] / us[WAY_PTRACE]);
		report_ratio(us[WAY_GATE] / us[WAY_PTRACE], pause_target(threads),
			     "gap felt by a spinning thread, gate/ptrace, %d threads", threads);
		victim_end(&victim);
	}
}

/* ---- a patch that is refused ---- */

static uint64_t ptrace_refused(pid_t pid)
{
	char path[PATH_MAX], number[16], output[256];
	char *const argv[] = { path, "-a", "1", number, "old_inside:new_inside", NULL };

	snprintf(path, sizeof(path), "%s/ptrace_patch", bench_dir);
	snprintf(number, sizeof(number), "%d", pid);
	run_expect(3, argv, output, sizeof(output));
	return output_number(output, "longest_ns=");
}

/* P3: a refusal never holds an innocent thread longer than a success does. */
void measure_refusal(void)
{
	struct samples gaps[4] = { 0 }, pauses[2] = { 0 };
	struct change_set free_set, busy_set;
	struct victim victim;
	double median[4];
	int session;

	report_title("A refused patch (us)",
		     "64 threads, half of them spinning, and one more that stays inside the function\n"
		     "to be replaced: one attempt, refused.  The gap is that of a thread which has\n"
		     "nothing to do with it.");
	victim_start(&victim, (struct victim_options){ 64, 32, 1, 1 });
	session = session_open(victim.pid);
	change_set_find(victim.pid, 1, &free_set);
	change_set_inside(victim.pid, &busy_set);
	for (int run = 0; run < 5; run++) {
		for (int revert = 0; revert < 2; revert++) {
			victim_gap(&victim);
			sample_add(&pauses[0], transact(session, WAY_GATE, &free_set, revert, 20,
							false) / 1000.0);
			sample_add(&gaps[0], victim_gap(&victim) / 1000.0);
		}
		sample_add(&pauses[1],
			   transact(session, WAY_GATE, &busy_set, false, 1, true) / 1000.0);
		sample_add(&gaps[1], victim_gap(&victim) / 1000.0);
		for (int revert = 0; revert < 2; revert++) {
			victim_gap(&victim);
			ptrace_patch(victim.pid, 1, revert, NULL);
			sample_add(&gaps[2], victim_gap(&victim) / 1000.0);
		}
		ptrace_refused(victim.pid);
		sample_add(&gaps[3], victim_gap(&victim) / 1000.0);
	}
	close(session);
	victim_end(&victim);
	median[0] = report_figure(&gaps[0], "us", "refusal.gate.applied.gap");
	median[1] = report_figure(&gaps[1], "us", "refusal.gate.refused.gap");
	median[2] = report_figure(&gaps[2], "us", "refusal.ptrace.applied.gap");
	median[3] = report_figure(&gaps[3], "us", "refusal.ptrace.refused.gap");
	printf("                     gate       ptrace\n");
	printf("pause, applied %10.0f\n", report_figure(&pauses[0], "us", "refusal.gate.applied"));
	printf("pause, refused %10.0f\n", report_figure(&pauses[1], "us", "refusal.gate.refused"));
	printf("gap, applied   %10.0f %12.0f\n", median[0], median[2]);
	printf("gap, refused   %10.0f %12.0f\n", median[1], median[3]);
	report_ratio(sample_median(&pauses[1]) / sample_median(&pauses[0]), 1.1,
		     "pause of a refused patch/of an applied one");
	report_ratio(median[1] / median[3], 0.05,
		     "gap by a refused patch, gate/ptrace, 64 threads");
}
