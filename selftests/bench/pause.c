// SPDX-License-Identifier: LGPL-2.1-or-later
/* How long a process is held: by its length, and as a thread of it feels it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "driver.h"

static int way_width(enum way way)
{
	return strlen(way_names[way]) > 12 ? (int)strlen(way_names[way]) : 12;
}

/* fewer runs where one takes seconds */
static int runs_for(enum way way, int threads)
{
	if (way != WAY_PTRACE && way != WAY_PTRACE_FIFO)
		return 15;
	return threads > 100 ? 3 : threads > 10 ? 5 : 9;
}

/* Each run applies and reverts, and so gives two samples. */
static double pause_us(struct victim *victim, enum way way, size_t count, int threads, int spinning)
{
	struct samples samples = { 0 };
	struct session session;
	struct change_set set;

	session_open(&session, victim->pid);
	change_set_find(victim->pid, count, &set);
	for (int run = 0; run < runs_for(way, threads); run++)
		for (int revert = 0; revert < 2; revert++)
			sample_add(&samples, transact(&session, way, &set, revert, false));
	session_close(&session);
	return report_figure(&samples, "us", "pause.%s.threads%d.spinning%d.functions%zu",
			     way_names[way], threads, spinning, count);
}

static void print_ways(void)
{
	for (enum way way = 0; way < NR_WAYS; way++)
		printf(" %*s", way_width(way), way_names[way]);
}

static void print_us(enum way way, double us)
{
	printf(" %*.0f", way_width(way), us);
	fflush(stdout);
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
		     "How long the process is held: the module says it itself; ptrace from the first\n"
		     "PTRACE_INTERRUPT to the last PTRACE_DETACH, \"fifo\" with real-time priority.");
	printf("threads functions");
	print_ways();
	printf("  gate/ptrace  100/1\n");
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
				print_us(way, us[f][way]);
			}
			printf("  %11.4f", us[f][WAY_GATE] / us[f][WAY_PTRACE]);
			if (f)
				printf("  %5.2f", us[1][WAY_GATE] / us[0][WAY_GATE]);
			putchar('\n');
			report_ratio(us[f][WAY_GATE] / us[f][WAY_PTRACE], pause_target(threads),
				     "pause, gate/ptrace, %d threads, %zu function(s)", threads,
				     functions[f]);
			report_ratio(us[f][WAY_GATE] / us[f][WAY_PTRACE_FIFO], 0,
				     "pause, gate/ptrace fifo, %d threads, %zu function(s)",
				     threads, functions[f]);
		}
		report_ratio((us[1][WAY_GATE] / us[0][WAY_GATE] - 1) / 99, 0.05,
			     "pause, one more function/1 function, %d threads", threads);
		victim_end(&victim);
	}
}

/* Sleeping threads should cost next to nothing: their stacks were read before. */
void measure_sleepers(void)
{
	static const int counts[] = { 2, 64, 256 };
	double us[3][NR_WAYS];

	report_title("Pause (us), all threads asleep", "As above; 1 function.");
	printf("threads");
	print_ways();
	putchar('\n');
	for (int i = 0; i < 3; i++) {
		struct victim victim;

		victim_start(&victim, (struct victim_options){ counts[i], 0, 0, 0 });
		printf("%7d", counts[i]);
		for (enum way way = 0; way < NR_WAYS; way++) {
			us[i][way] = pause_us(&victim, way, 1, counts[i], 0);
			print_us(way, us[i][way]);
		}
		putchar('\n');
		victim_end(&victim);
	}
	printf("each   ");
	for (enum way way = 0; way < NR_WAYS; way++)
		printf(" %*.2f", way_width(way), (us[2][way] - us[0][way]) / 254);
	putchar('\n');
	report_ratio((us[2][WAY_GATE] - us[0][WAY_GATE]) / (us[2][WAY_PTRACE] - us[0][WAY_PTRACE]),
		     0.01, "pause, one more sleeping thread, gate/ptrace");
}

/* ---- as a thread feels it ---- */

static double gap_us(struct victim *victim, enum way way, size_t count, int threads)
{
	struct samples samples = { 0 };
	struct session session;
	struct change_set set;

	session_open(&session, victim->pid);
	change_set_find(victim->pid, count, &set);
	for (int run = 0; run < runs_for(way, threads); run++)
		for (int revert = 0; revert < 2; revert++) {
			victim_gap(victim);
			if (way < NR_WAYS)
				transact(&session, way, &set, revert, false);
			else
				usleep(20000);
			sample_add(&samples, (double)victim_gap(victim) / 1000);
		}
	session_close(&session);
	return report_figure(&samples, "us", "gap.%s.threads%d",
			     way < NR_WAYS ? way_names[way] : "idle", threads);
}

void measure_gap(void)
{
	static const int counts[] = { 2, 8, 64 };

	report_title("Gap (us) that a spinning thread feels",
		     "The longest time that a thread with a processor of its own was kept from\n"
		     "running.  Half of the threads spin; all others, and the patcher, share the\n"
		     "other processors.  \"idle\": 20 ms in which nothing is patched.  1 function.");
	printf("threads %12s", "idle");
	print_ways();
	printf("  gate/ptrace\n");
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		int threads = counts[i];
		struct victim victim;
		double us[NR_WAYS];

		victim_start(&victim, (struct victim_options){ threads, threads / 2, 1, 0 });
		printf("%7d %12.0f", threads, gap_us(&victim, NR_WAYS, 1, threads));
		for (enum way way = 0; way < NR_WAYS; way++) {
			us[way] = gap_us(&victim, way, 1, threads);
			print_us(way, us[way]);
		}
		printf("  %11.4f\n", us[WAY_GATE] / us[WAY_PTRACE]);
		report_ratio(us[WAY_GATE] / us[WAY_PTRACE], pause_target(threads),
			     "gap felt by a spinning thread, gate/ptrace, %d threads", threads);
		report_ratio(us[WAY_GATE] / us[WAY_PTRACE_FIFO], 0,
			     "gap felt by a spinning thread, gate/ptrace fifo, %d threads",
			     threads);
		victim_end(&victim);
	}
}

/* ---- a patch that is refused ---- */

enum { APPLIED, ASLEEP, RUNNING, NR_CASES };

static const char *const case_names[NR_CASES] = {
	"applied", "refused, it sleeps", "refused, it runs",
};

/* Both ways of one case; each gives two samples, of the pause and of the gap. */
static void refusal_run(struct victim *victim, const struct session *session, int number,
			struct samples pauses[2][NR_CASES], struct samples gaps[2][NR_CASES])
{
	bool refused = number != APPLIED;
	struct change_set set;

	if (refused)
		change_set_inside(victim->pid, number == RUNNING, &set);
	else
		change_set_find(victim->pid, 1, &set);
	for (int i = 0; i < 4; i++) {
		int by_ptrace = i / 2, again = i % 2;

		victim_gap(victim);
		sample_add(&pauses[by_ptrace][number],
			   transact(session, by_ptrace ? WAY_PTRACE : WAY_GATE, &set,
				    again && !refused, refused));
		sample_add(&gaps[by_ptrace][number], (double)victim_gap(victim) / 1000);
	}
}

/* P3: a refusal never holds an innocent thread longer than a success does. */
void measure_refusal(void)
{
	static const char *const ways[] = { "gate", "ptrace" };
	struct samples pauses[2][NR_CASES] = { 0 }, gaps[2][NR_CASES] = { 0 };
	double pause[2][NR_CASES], gap[2][NR_CASES];
	struct session session;
	struct victim victim;

	report_title("A refused patch (us)",
		     "64 threads, half of them spinning, and one more that stays inside the function\n"
		     "to be replaced, asleep or running; one attempt.  The gap is that of a thread\n"
		     "which has nothing to do with it.");
	victim_start(&victim, (struct victim_options){ 64, 32, 1, 1 });
	session_open(&session, victim.pid);
	for (int run = 0; run < 3; run++)
		for (int i = 0; i < NR_CASES; i++)
			refusal_run(&victim, &session, i, pauses, gaps);
	session_close(&session);
	victim_end(&victim);
	printf("%-20s %12s %12s %12s %12s\n", "", "pause, gate", "gap, gate", "pause, ptrace",
	       "gap, ptrace");
	for (int i = 0; i < NR_CASES; i++) {
		for (int way = 0; way < 2; way++) {
			pause[way][i] = report_figure(&pauses[way][i], "us", "refusal.pause.%s.%s",
						      ways[way], case_names[i]);
			gap[way][i] = report_figure(&gaps[way][i], "us", "refusal.gap.%s.%s",
						    ways[way], case_names[i]);
		}
		printf("%-20s %12.0f %12.0f %12.0f %12.0f\n", case_names[i], pause[0][i],
		       gap[0][i], pause[1][i], gap[1][i]);
	}
	report_ratio(pause[0][RUNNING] / pause[0][APPLIED], 1.1,
		     "pause by a refused patch/by an applied one");
	report_ratio(gap[0][RUNNING] / gap[1][RUNNING], 0.05,
		     "gap by a refused patch, gate/ptrace, 64 threads");
}
