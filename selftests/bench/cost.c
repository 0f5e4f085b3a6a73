// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a patched process pays afterwards: by call, and in memory. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include "driver.h"

/* ---- calls ---- */

static void step(pid_t pid, struct user_regs_struct *regs)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid ||
	    !WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, pid, NULL, regs))
		err(1, "single step");
}

/*
 * Have the main thread, which waits for a line, call a function at @entry, and
 * count the instructions up to its return.
 */
static int instructions(pid_t pid, uint64_t entry)
{
	struct user_regs_struct saved, regs;
	uint64_t home, sp;
	int status, count = 0;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
	    waitpid(pid, &status, __WALL) != pid || ptrace(PTRACE_GETREGS, pid, NULL, &saved))
		err(1, "ptrace");
	regs = saved;
	home = saved.rip;
	/* below the red zone, aligned as by a call */
	sp = ((saved.rsp - 1024) & ~15ULL) - 8;
	if (ptrace(PTRACE_POKEDATA, pid, (void *)sp, (void *)home))
		err(1, "PTRACE_POKEDATA");
	regs.rsp = sp;
	regs.rip = entry;
	regs.rdi = 1;
	regs.orig_rax = -1; /* no system call to be restarted on the way */
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs))
		err(1, "PTRACE_SETREGS");
	do {
		step(pid, &regs);
		count++;
	} while ((regs.rip != home || regs.rsp != sp + 8) && count < 1000);
	if (ptrace(PTRACE_SETREGS, pid, NULL, &saved) || ptrace(PTRACE_DETACH, pid, NULL, NULL))
		err(1, "ptrace");
	return count;
}

static void calls_ns(struct victim *victim, unsigned long count, struct samples *samples)
{
	char question[32];

	snprintf(question, sizeof(question), "calls %lu", count);
	sample_add(samples, (double)victim_ask(victim, question) / count);
}

/* As many calls as take about a quarter of a second, emulated or not. */
static unsigned long calls_for(struct victim *victim)
{
	unsigned long count = 100000;
	char question[32];

	for (;;) {
		snprintf(question, sizeof(question), "calls %lu", count);
		if (victim_ask(victim, question) > 100000000 || count > 100000000)
			return count * 5 / 2;
		count *= 2;
	}
}

static int call_instructions(struct victim *victim, size_t number)
{
	struct change_set set;
	int count;

	change_set_find(victim->pid, BENCH_FUNCTIONS, &set);
	count = instructions(victim->pid, set.changes[number].old_start);
	return count;
}

void measure_calls(void)
{
	struct samples before = { 0 }, during = { 0 }, after = { 0 }, other = { 0 };
	unsigned long count;
	struct victim victim;
	double ns[4];
	int executed[4];

	report_title("One call of a function (ns)",
		     "int f(int x) { return x * 3 + 100; } through a pointer, loop included; the\n"
		     "replacement does the same work.  Instructions by single steps, from the first\n"
		     "of the function to its return.");
	victim_start(&victim, (struct victim_options){ 1, 0, 0, 0 });
	count = calls_for(&victim);
	executed[0] = call_instructions(&victim, 0);
	/* alternating, so that a slow minute of the machine hits all alike */
	for (int run = 0; run < 9; run++) {
		calls_ns(&victim, count, &before);
		tool_change("apply", 1, victim.pid);
		if (victim_ask(&victim, "value") != 1103)
			errx(1, "the victim is not patched");
		calls_ns(&victim, count, &during);
		if (!run) {
			executed[1] = call_instructions(&victim, 0);
			executed[3] = call_instructions(&victim, 1);
		}
		tool_change("revert", 1, victim.pid);
		calls_ns(&victim, count, &after);
	}
	executed[2] = call_instructions(&victim, 0);
	victim_end(&victim);

	ns[0] = report_figure(&before, "ns", "call.unpatched");
	ns[1] = report_figure(&during, "ns", "call.patched");
	ns[2] = report_figure(&after, "ns", "call.reverted");
	printf("%-32s %10s %14s\n", "", "ns", "instructions");
	printf("%-32s %10.3f %14d\n", "unpatched", ns[0], executed[0]);
	printf("%-32s %10.3f %14d\n", "patched", ns[1], executed[1]);
	printf("%-32s %10.3f %14d\n", "reverted", ns[2], executed[2]);
	printf("%-32s %10s %14d\n", "its neighbour, not patched", "", executed[3]);
	sample_add(&other, executed[1] - executed[0]);
	report_figure(&other, "instructions", "call.instructions.added");
	report_ratio(executed[1] - executed[0], 1, "instructions added to a patched call");
	report_ratio(executed[3] - executed[0], 0,
		     "instructions added to a function that is not patched");
	report_ratio(ns[1] / ns[0], 0, "time of a call, patched/unpatched");
}

/* ---- memory ---- */

const char *const size_names[NR_SIZES] = { "Rss", "Pss", "Private_Dirty", "VmSize" };

void read_sizes(pid_t pid, long *kib)
{
	static const char *const files[] = { "smaps_rollup", "status" };
	char path[64], line[256];

	for (int i = 0; i < 2; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		file = fopen(path, "re");
		if (!file)
			err(1, "%s", path);
		while (fgets(line, sizeof(line), file))
			for (int j = 0; j < NR_SIZES; j++)
				if (!strncmp(line, size_names[j], strlen(size_names[j])) &&
				    line[strlen(size_names[j])] == ':')
					kib[j] = atol(line + strlen(size_names[j]) + 1);
		fclose(file);
	}
}

static void print_sizes(const char *when, size_t functions, const long *kib, const long *before)
{
	printf("%-26s", when);
	for (int i = 0; i < NR_SIZES; i++) {
		struct samples one = { .count = 1, .values = { kib[i] - before[i] } };

		printf(" %14ld", kib[i] - before[i]);
		report_figure(&one, "KiB", "memory.%s.functions%zu.%s", size_names[i], functions,
			      when);
	}
	putchar('\n');
}

void measure_memory(void)
{
	static const size_t counts[] = { 1, BENCH_FUNCTIONS };

	report_title("Memory (KiB more than before)", "A process of one thread.");
	printf("%-26s", "");
	for (int i = 0; i < NR_SIZES; i++)
		printf(" %14s", size_names[i]);
	putchar('\n');
	for (int i = 0; i < 2; i++) {
		long before[NR_SIZES] = { 0 }, now[NR_SIZES] = { 0 };
		char when[32];
		struct victim victim;

		victim_start(&victim, (struct victim_options){ 1, 0, 0, 0 });
		victim_ask(&victim, "value");
		read_sizes(victim.pid, before);
		tool_change("apply", counts[i], victim.pid);
		victim_ask(&victim, "value");
		read_sizes(victim.pid, now);
		snprintf(when, sizeof(when), "applied, %zu functions", counts[i]);
		print_sizes(when, counts[i], now, before);
		tool_change("revert", counts[i], victim.pid);
		victim_ask(&victim, "value");
		read_sizes(victim.pid, now);
		snprintf(when, sizeof(when), "reverted, %zu functions", counts[i]);
		print_sizes(when, counts[i], now, before);
		victim_end(&victim);
	}
}
