// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The benchmark: what live patching by /dev/ulp costs, against the same by
 * ptrace.  Prints tables, and ratios with their targets; absolute times are of
 * this machine only and are compared with nothing.
 *
 *	bench DIR JSON-FILE [MEASUREMENT...]
 *
 * DIR has ulp-tool, ulp-tool-ptrace, ptrace_patch, bench_victim, fix_1.so,
 * fix_100.so, fix_inside.so, ulp-packer, libulp-preload.so and project/, see
 * project.
 */
#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "driver.h"

static const struct {
	const char *name;
	void (*measure)(void);
} measurements[] = {
	{ "pause", measure_pause },
	{ "sleepers", measure_sleepers },
	{ "gap", measure_gap },
	{ "refusal", measure_refusal },
	{ "universe", measure_universe },
	{ "switching", measure_switching },
	{ "wall", measure_wall },
	{ "processes", measure_processes },
	{ "start", measure_start },
	{ "preload", measure_preload },
	{ "build", measure_build },
	{ "calls", measure_calls },
	{ "memory", measure_memory },
};

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc == 0;
}

int main(int argc, char **argv)
{
	char tool[PATH_MAX], tool_ptrace[PATH_MAX];
	bool any = false;

	if (argc < 3)
		errx(2, "usage: bench DIR JSON-FILE [MEASUREMENT...]");
	bench_dir = argv[1];
	snprintf(tool, sizeof(tool), "%s/ulp-tool", bench_dir);
	snprintf(tool_ptrace, sizeof(tool_ptrace), "%s/ulp-tool-ptrace", bench_dir);
	ulp_tool = tool;
	ulp_tool_ptrace = tool_ptrace;
	report_start(module_version());
	for (size_t i = 0; i < sizeof(measurements) / sizeof(*measurements); i++) {
		if (!wanted(measurements[i].name, argc - 3, argv + 3))
			continue;
		any = true;
		measurements[i].measure();
	}
	if (!any)
		errx(2, "no such measurement: %s", argv[3]);
	report_end(argv[2]);
	return 0;
}
