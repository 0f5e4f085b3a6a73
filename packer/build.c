// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-packer build and ulp-packer make: their options.  steps.c does it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

#define COMMON_OPTIONS \
	"  -i, --id=ID             name of the patch, instead of the first diff's\n" \
	"  -j, --jobs=N            how many compilers we run at a time (one per processor)\n" \
	"      --keep=DIR          work in DIR and leave all there; a build of the same\n" \
	"                          source by the same command that it left is used again\n" \
	"      --rebuild           build with the diff too, even if it seems to touch\n" \
	"                          nothing but sources\n" \
	USAGE_COMPARE \
	USAGE_ALL \
	"\n" \
	"Exit status: 0 made, 1 refused or failed, 2 wrong usage, 3 the diff changes no\n" \
	"code.\n"

static const char build_usage[] =
	"Usage: ulp-packer build [OPTION]... --target=BINARY --diff=FILE... -- COMMAND...\n"
	"Make a patch for a running program or library of a source diff.  COMMAND builds\n"
	"the source as BINARY was built; it runs in a copy, with the compilers that PATH\n"
	"finds.\n"
	"\n"
	"      --source=DIR        the source, without the diff (the current directory)\n"
	"      --target=BINARY     what runs; may be given several times\n"
	"      --debug=FILE        separate debug file of the target named before it; if that\n"
	"                          is stripped, the one that debuggers find; --debug=: none\n"
	"      --diff=FILE         what to change, as for patch -p1; may be given several\n"
	"                          times\n"
	"  -o, --output=FILE       write the container there (ID.so), one for all targets;\n"
	"                          DIR/ for one file per target, DIR/BUILD-ID.so\n"
	COMMON_OPTIONS;

static const char make_usage[] =
	"Usage: ulp-packer make [OPTION]... DIFF...\n"
	"Make patches of source diffs for all programs and libraries that make(1) builds in\n"
	"the current directory and that the diffs change: patchroot/BUILD-ID.so.\n"
	"\n"
	COMMON_OPTIONS;

enum { OPT_SOURCE = 256, OPT_TARGET, OPT_DEBUG, OPT_DIFF, OPT_KEEP, OPT_REBUILD };

#define COMMON_LONG \
	{ "jobs", required_argument, NULL, 'j' }, \
	{ "keep", required_argument, NULL, OPT_KEEP }, \
	{ "rebuild", no_argument, NULL, OPT_REBUILD }, \
	OPTIONS_COMPARE, \
	OPTIONS_ALL

static const struct option build_options[] = {
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "target", required_argument, NULL, OPT_TARGET },
	{ "debug", required_argument, NULL, OPT_DEBUG },
	{ "diff", required_argument, NULL, OPT_DIFF },
	{ "output", required_argument, NULL, 'o' },
	COMMON_LONG
};

static const struct option make_options[] = { COMMON_LONG };

static const struct verb build_verb = { "build", build_usage };
static const struct verb make_verb = { "make", make_usage };

static bool read_jobs(const char *text, unsigned int *jobs)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*jobs = value;
	return isdigit((unsigned char)text[0]) && !*end && value > 0 && value <= 4096;
}

/* -1: go on */
static int parse(const struct verb *verb, int argc, char **argv, const char *letters,
		 const struct option *options, struct build *build)
{
	int c, status;

	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		switch (c) {
		case OPT_SOURCE:
			build->source = optarg;
			break;
		case OPT_TARGET:
			append(build->targets, build->nr_targets).path = optarg;
			break;
		case OPT_DEBUG:
			if (!build->nr_targets)
				return option_error(verb, "--debug comes behind its --target");
			build->targets[build->nr_targets - 1].debug = optarg;
			break;
		case OPT_DIFF:
			append(build->diffs, build->nr_diffs) = optarg;
			break;
		case OPT_KEEP:
			build->keep = optarg;
			break;
		case OPT_REBUILD:
			build->rebuild = true;
			break;
		case 'o':
			build->out = optarg;
			break;
		case 'j':
			if (!read_jobs(optarg, &build->parallel))
				return option_error(verb, "--jobs needs a number from 1 to 4096");
			break;
		default:
			status = option_take(c, argv, verb, &build->options);
			if (status >= 0)
				return status;
		}
	}
	return -1;
}

static void set_defaults(struct build *build)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (!build->parallel)
		build->parallel = processors > 0 ? processors : 1;
	if (!build->source)
		build->source = ".";
	if (!build->options.name)
		build->options.name = default_name(default_name(build->diffs[0], ".diff"), ".patch");
	if (!build->out)
		build->out = xasprintf("%s.so", build->options.name);
	else
		build->out = output_path(build->out);
}

/* What would be found out when all is built. */
static bool can_begin(const struct build *build)
{
	for (size_t i = 0; i < build->nr_diffs; i++) {
		if (access(build->diffs[i], R_OK)) {
			error("%s: %s", build->diffs[i], strerror(errno));
			return false;
		}
	}
	return may_be_written(build->out);
}

int cmd_build(int argc, char **argv)
{
	struct build build = { 0 };
	int status;

	status = parse(&build_verb, argc, argv, "+o:j:" OPTIONS_SHORT, build_options, &build);
	if (status >= 0)
		return status;
	if (!build.nr_targets)
		return option_error(&build_verb, "no --target given");
	if (!build.nr_diffs)
		return option_error(&build_verb, "no --diff given");
	if (optind == argc)
		return option_error(&build_verb, "no build command given");
	build.command = argv + optind;
	if (build.out && !build.out[0])
		return option_error(&build_verb, "--output is empty");
	set_defaults(&build);
	return can_begin(&build) ? build_patches(&build) : EXIT_FAILED;
}

int cmd_make(int argc, char **argv)
{
	struct build build = { .out = "patchroot/" };
	char *command[3] = { (char *)"make" };
	int status;

	status = parse(&make_verb, argc, argv, "j:" OPTIONS_SHORT, make_options, &build);
	if (status >= 0)
		return status;
	if (optind == argc)
		return option_error(&make_verb, "no diff given");
	build.diffs = argv + optind;
	build.nr_diffs = argc - optind;
	set_defaults(&build);
	command[1] = xasprintf("-j%u", build.parallel);
	build.command = command;
	return can_begin(&build) ? build_patches(&build) : EXIT_FAILED;
}
