// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the preload library costs: at the start of a program, in memory, and in malloc(). */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include "driver.h"

static void preload(bool with)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/libulp-preload.so", bench_dir);
	if (with ? setenv("LD_PRELOAD", path, 1) : unsetenv("LD_PRELOAD"))
		err(1, "LD_PRELOAD");
}

static void starts(char *const *argv, const char *name)
{
	struct samples samples[2] = { 0 };
	double us[2];

	/* alternating, so that a slow minute of the machine hits both alike */
	for (int run = 0; run < 101; run++)
		for (int with = 0; with < 2; with++) {
			preload(with);
			sample_add(&samples[with], (double)run_expect(0, argv, NULL, 0) / 1000);
		}
	preload(false);
	for (int with = 0; with < 2; with++)
		us[with] = report_figure(&samples[with], "us", "preload.start.%s.%s", name,
					 with ? "with" : "without");
	printf("%-26s %12.0f %12.0f\n", name, us[0], us[1]);
	fflush(stdout);
	report_ratio(us[1] / us[0], 0, "start of %s, with/without the preload library", name);
}

/* One victim of each kind, asked in turns. */
static void allocations(void)
{
	const unsigned long count = 200000;
	struct samples samples[2] = { 0 };
	struct victim victims[2];
	char question[32];
	double ns[2];

	snprintf(question, sizeof(question), "malloc %lu", count);
	for (int with = 0; with < 2; with++) {
		preload(with);
		victim_start(&victims[with], (struct victim_options){ 1, 0, 0, 0 });
	}
	preload(false);
	for (int run = 0; run < 31; run++)
		for (int with = 0; with < 2; with++)
			sample_add(&samples[with],
				   (double)victim_ask(&victims[with], question) / count);
	for (int with = 0; with < 2; with++) {
		victim_end(&victims[with]);
		ns[with] = report_figure(&samples[with], "ns", "preload.malloc.%s",
					 with ? "with" : "without");
	}
	printf("%-26s %12.1f %12.1f\n", "malloc() and free(), ns", ns[0], ns[1]);
	report_ratio(ns[1] / ns[0], 0, "malloc() and free(), with/without the preload library");
}

void measure_preload(void)
{
	char *const nothing[] = { "/bin/true", NULL };
	char *const python[] = { "/usr/bin/python3", "-S", "-c", "pass", NULL };
	long kib[2][NR_SIZES] = { 0 };

	report_title("The preload library: start of a program (us), memory (KiB), malloc() (ns)",
		     "From before its creation to its end; memory of a process of one thread.");
	printf("%-26s %12s %12s\n", "", "without", "with");
	starts(nothing, "true");
	starts(python, "python3");
	for (int with = 0; with < 2; with++) {
		struct victim victim;

		preload(with);
		victim_start(&victim, (struct victim_options){ 1, 0, 0, 0 });
		preload(false);
		victim_ask(&victim, "value");
		read_sizes(victim.pid, kib[with]);
		victim_end(&victim);
	}
	for (int i = 0; i < NR_SIZES; i++) {
		struct samples more = { .count = 1, .values = { kib[1][i] - kib[0][i] } };

		printf("%-26s %12ld %12ld\n", size_names[i], kib[0][i], kib[1][i]);
		report_figure(&more, "KiB", "preload.memory.%s.more", size_names[i]);
	}
	allocations();
}
