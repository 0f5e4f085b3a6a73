// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the preload library costs: at the start of a program, and in memory. */
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

void measure_preload(void)
{
	char *const nothing[] = { "/bin/true", NULL };
	char *const python[] = { "/usr/bin/python3", "-S", "-c", "pass", NULL };
	long kib[2][NR_SIZES] = { 0 };

	report_title("The preload library: start of a program (us), memory (KiB)",
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
}
