// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-packer diff: its options
 */
#include <stdio.h>
#include <string.h>

#include "diff.h"
#include "packer.h"

static const char usage[] =
	"Usage: ulp-packer diff [OPTION]... --target=BINARY --orig=A.o --patched=B.o... -o FILE\n"
	"Make a patch container of relocatable objects compiled before and after a change,\n"
	"both with -ffunction-sections -fdata-sections and else as the target was.\n"
	"\n"
	"  -t, --target=FILE       the binary that runs, stripped or not; may be given several\n"
	"                          times, what follows is about it\n"
	"      --orig=FILE         object of the original source ...\n"
	"      --patched=FILE      ... and of the changed one; again for each pair; an empty\n"
	"                          name (--orig=) for a unit that is new or gone\n"
	"  -o, --output=FILE       write the container there, one for all targets; DIR/ for\n"
	"                          one file per target, DIR/BUILD-ID.so\n"
	"      --debug=FILE        symbols of the target from its separate debug file; if it\n"
	"                          is stripped, the one that debuggers find; --debug=: none\n"
	"      --reproduced=FILE   unstripped output of the same build: if its code is the\n"
	"                          target's, its symbols are\n"
	"  -i, --id=NAME           name of the patch; without, the output's\n"
	"      --comment=TEXT      kept in the container; CVE-... in it become labels\n"
	"      --label=LABEL       label, such as CVE-2024-1234\n"
	USAGE_COMPARE
	USAGE_ALL
	"\n"
	"Exit status: 0 made, 1 refused or failed, 2 wrong usage, 3 no code differs.\n";

enum { OPT_ORIG = 256, OPT_PATCHED, OPT_DEBUG, OPT_REPRODUCED, OPT_COMMENT, OPT_LABEL };

static const struct option long_options[] = {
	{ "target", required_argument, NULL, 't' },
	{ "orig", required_argument, NULL, OPT_ORIG },
	{ "patched", required_argument, NULL, OPT_PATCHED },
	{ "output", required_argument, NULL, 'o' },
	{ "debug", required_argument, NULL, OPT_DEBUG },
	{ "reproduced", required_argument, NULL, OPT_REPRODUCED },
	{ "comment", required_argument, NULL, OPT_COMMENT },
	{ "label", required_argument, NULL, OPT_LABEL },
	OPTIONS_COMPARE,
	OPTIONS_ALL
};

static const struct verb diff = { "diff", usage };

/* A target, and its arrays while they grow. */
struct given {
	const char *path, *debug, *twin;
	const char **origs, **patched;
	size_t nr_origs, nr_patched;
};

struct all {
	struct given *targets;		/* one at least, which may have no name yet */
	size_t nr_targets;
	const char **labels;
	size_t nr_labels;
	struct options options;
	const char *out, *comment;
};

static int usage_error(const char *text)
{
	return option_error(&diff, text);
}

/* OPTION_TAKEN: go on */
static int parse_option(int c, char **argv, struct all *all)
{
	struct given *last = &all->targets[all->nr_targets - 1];

	switch (c) {
	case 't':
		if (last->path)
			last = &append(all->targets, all->nr_targets);
		last->path = optarg;
		break;
	case OPT_ORIG:
		append(last->origs, last->nr_origs) = optarg;
		break;
	case OPT_PATCHED:
		append(last->patched, last->nr_patched) = optarg;
		break;
	case OPT_DEBUG:
		last->debug = optarg;
		break;
	case OPT_REPRODUCED:
		last->twin = optarg;
		break;
	case 'o':
		all->out = optarg;
		break;
	case OPT_LABEL:
		append(all->labels, all->nr_labels) = optarg;
		break;
	case OPT_COMMENT:
		all->comment = optarg;
		break;
	default:
		return option_take(c, argv, &diff, &all->options);
	}
	return OPTION_TAKEN;
}

static bool label_is_good(const char *label)
{
	for (size_t i = 0; label[i]; i++)
		if ((unsigned char)label[i] < ' ' || label[i] == 0x7f)
			return false;
	return *label && strlen(label) <= 64;
}

/* OPTION_TAKEN: go on */
static int check_target_options(const struct given *given)
{
	if (!given->path)
		return usage_error("no target given (--target)");
	if (!given->nr_origs || given->nr_origs != given->nr_patched)
		return usage_error("as many --orig as --patched are needed for each target, at least one");
	for (size_t i = 0; i < given->nr_origs; i++)
		if (!*given->origs[i] && !*given->patched[i])
			return usage_error("a pair of which neither is there");
	return OPTION_TAKEN;
}

static int check_options(const struct all *all, bool more)
{
	int status = OPTION_TAKEN;

	if (more)
		return usage_error("too many arguments: objects are given by --orig and --patched");
	if (!all->out || !*all->out)
		return usage_error("no output given (-o)");
	for (size_t i = 0; i < all->nr_labels; i++)
		if (!label_is_good(all->labels[i]))
			return usage_error("a label has 1 to 64 characters");
	for (size_t i = 0; i < all->nr_targets && status == OPTION_TAKEN; i++)
		status = check_target_options(&all->targets[i]);
	return status;
}

static void fill_target(const struct given *given, struct diff_target *target)
{
	struct diff_pair *pairs = xcalloc(given->nr_origs, sizeof(*pairs));

	for (size_t i = 0; i < given->nr_origs; i++) {
		pairs[i].orig = *given->origs[i] ? given->origs[i] : NULL;
		pairs[i].patched = *given->patched[i] ? given->patched[i] : NULL;
	}
	*target = (struct diff_target){ .path = given->path, .debug = given->debug,
					.twin = given->twin, .pairs = pairs,
					.nr_pairs = given->nr_origs };
}

int cmd_diff(int argc, char **argv)
{
	struct all all = { .targets = xcalloc(1, sizeof(*all.targets)), .nr_targets = 1 };
	struct diff_target *targets;
	int c, status;

	while ((c = getopt_long(argc, argv, "t:o:" OPTIONS_SHORT, long_options, NULL)) != -1) {
		status = parse_option(c, argv, &all);
		if (status >= 0)
			return status;
	}
	status = check_options(&all, optind < argc);
	if (status >= 0)
		return status;
	targets = xcalloc(all.nr_targets, sizeof(*targets));
	for (size_t i = 0; i < all.nr_targets; i++)
		fill_target(&all.targets[i], &targets[i]);
	return diff_make(&(struct diff_request){
		.targets = targets, .nr_targets = all.nr_targets,
		.out = output_path(all.out), .comment = all.comment,
		.labels = all.labels, .nr_labels = all.nr_labels,
		.options = &all.options,
	});
}
