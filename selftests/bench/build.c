// SPDX-License-Identifier: LGPL-2.1-or-later
/* How long ulp-packer build takes, against the builds that it is made of. */
#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "driver.h"

#define RUNS	2

static double shell_ms(const char *command)
{
	char *const argv[] = { "/bin/sh", "-c", (char *)command, NULL };

	return (double)run_expect(0, argv, NULL, 0) / 1e6;
}

void measure_build(void)
{
	char *const build[] = { "../ulp-packer", "build", "-q", "-j1", "--source=source",
				"--target=libproject.so", "--diff=fix.diff", "-ofix.so",
				"--", "make", "-s", NULL };
	struct samples plain = { 0 }, unit = { 0 }, patch = { 0 };
	double plain_ms, unit_ms, patch_ms;
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/project", bench_dir);
	if (chdir(dir))
		err(1, "%s", dir);
	for (int run = 0; run < RUNS; run++) {
		sample_add(&plain, shell_ms("exec make -s -C source"));
		shell_ms("exec rm source/libulp/symbol.o");
		sample_add(&unit, shell_ms("exec make -s -C source libulp/symbol.o"));
		shell_ms("exec rm source/libulp/*.o source/libproject.so");
		sample_add(&patch, (double)run_expect(0, build, NULL, 0) / 1e6);
	}
	if (chdir("/"))
		err(1, "/");
	report_title("Time to make a patch of a source diff (ms)",
		     "ulp-packer build, one compiler at a time, against \"make\" of the same source,\n"
		     "and its compilation of the one source that the diff changes.");
	plain_ms = report_figure(&plain, "ms", "build.plain");
	unit_ms = report_figure(&unit, "ms", "build.unit");
	patch_ms = report_figure(&patch, "ms", "build.patch");
	printf("%10s %16s %12s\n%10.0f %16.0f %12.0f\n", "make", "changed source", "build",
	       plain_ms, unit_ms, patch_ms);
	fflush(stdout);
	report_ratio(patch_ms / (plain_ms + 2 * unit_ms), 1.3,
		     "time of build/one make and the changed source twice");
	report_ratio(patch_ms / (2 * plain_ms), 1, "time of build/two makes");
}
