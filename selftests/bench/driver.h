/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the driver share.  Whatever goes wrong ends it with a
 * message and exit status 1: figures of half a run are worth nothing.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include "bench.h"

/* ---- report.c: samples, tables, the JSON file ---- */

#define MAX_SAMPLES	256

struct samples {
	size_t count;
	double values[MAX_SAMPLES];
};

void sample_add(struct samples *samples, double value);
double sample_median(const struct samples *samples);

void report_start(const char *module_version);

/* a heading, and below it what the figures mean */
void report_title(const char *title, const char *text);

/*
 * Note a figure for the JSON file under the name that the format makes;
 * returns the median.
 */
double report_figure(const struct samples *samples, const char *unit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Note a ratio for the summary and the JSON file.  @target is the most it
 * should be, 0 if there is no target.
 */
void report_ratio(double ratio, double target, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* print the summary, write the JSON file */
void report_end(const char *path);

/* ---- process.c: the victim, and programs that are run ---- */

struct victim {
	pid_t pid;
	int to, from;
	struct bench_shared *shared;
};

struct victim_options {
	int threads, spinning;
	bool pin;	/* the probe has a processor for itself, and the driver none of it */
	bool inside;	/* one more thread is asleep in old_sleep(), one runs in old_spin() */
};

void victim_start(struct victim *victim, struct victim_options options);
void victim_end(struct victim *victim);
unsigned long long victim_ask(struct victim *victim, const char *question);

/* the gap that the probe has seen since the last call, in ns */
uint64_t victim_gap(struct victim *victim);

/*
 * Run a program to its end.  Returns its exit status; @output receives what it
 * wrote to standard output, @wall_ns the time from before its creation to its
 * end.  Both may be NULL.
 */
int run_program(char *const *argv, char *output, size_t size, uint64_t *wall_ns);

/* the same; it must end with @status */
uint64_t run_expect(int status, char *const *argv, char *output, size_t size);

/*
 * Run "PROGRAM VERB -q OPTION1 OPTION2 fix_COUNT.so", which must succeed;
 * returns its wall time in ns.
 */
uint64_t tool_run(const char *program, const char *verb, size_t count, const char *option1,
		  const char *option2);

/* the same with ulp-tool, for one process */
uint64_t tool_change(const char *verb, size_t count, pid_t pid);

extern const char *bench_dir;	/* where the programs of the benchmark are */
extern const char *ulp_tool;	/* and */
extern const char *ulp_tool_ptrace;	/* its likeness, see ptrace_sys.c */

/* ---- transact.c: transactions without a tool, by the module and by ptrace ---- */

struct change_set {
	size_t count;
	struct bench_change changes[BENCH_FUNCTIONS];
};

enum way {
	WAY_GATE,
	WAY_GATE_NO_STAMPS,
	WAY_STOP_MACHINE,
	WAY_PTRACE,
	WAY_PTRACE_FIFO,	/* with real-time priority */
	NR_WAYS,
};

extern const char *const way_names[NR_WAYS];

const char *module_version(void);

struct session {
	pid_t pid;
	int mem;	/* /proc/PID/mem */
	int module;	/* session of /dev/ulp */
};

void session_open(struct session *session, pid_t pid);
void session_close(struct session *session);

/* the first @count functions of a victim */
void change_set_find(pid_t pid, size_t count, struct change_set *set);

/* old_sleep() or old_spin(), in which a thread is */
void change_set_inside(pid_t pid, bool spin, struct change_set *set);

/*
 * Apply, or take back; returns how long the victim was held, in us, by the last
 * attempt.  With @refused there is one attempt, and it must be refused.
 */
double transact(const struct session *session, enum way way, const struct change_set *set,
		bool revert, bool refused);

/* ---- cost.c: memory of a process ---- */

enum { RSS, PSS, PRIVATE_DIRTY, VM_SIZE, NR_SIZES };

extern const char *const size_names[NR_SIZES];

void read_sizes(pid_t pid, long *kib);

/* ---- the measurements ---- */

void measure_pause(void);
void measure_sleepers(void);
void measure_gap(void);
void measure_refusal(void);
void measure_universe(void);
void measure_switching(void);
void measure_wall(void);
void measure_processes(void);
void measure_start(void);
void measure_preload(void);
void measure_build(void);
void measure_calls(void);
void measure_memory(void);

#endif /* DRIVER_H */
