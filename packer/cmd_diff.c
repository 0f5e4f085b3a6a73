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
	"  -t, --target=FILE       the binary that runs, stripped or not\n"
	"      --orig=FILE         object of the original source ...\n"
	"      --patched=FILE      ... and of the changed one; again for each pair; an empty\n"
	"                          name (--orig=) for a unit that is new or gone\n"
	"  -o, --output=FILE       write the container there\n"
	"      --debug=FILE        symbols of the target from its separate debug file\n"
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

/* Arrays while they grow. */
struct lists {
	const char **origs, **patched, **labels;
	size_t nr_origs, nr_patched, nr_labels;
};

static int usage_error(const char *text)
{
	return option_error(&diff, text);
}

static bool list_option(int c, struct lists *lists)
{
	switch (c) {
	case OPT_ORIG:
		append(lists->origs, lists->nr_origs) = optarg;
		return true;
	case OPT_PATCHED:
		append(lists->patched, lists->nr_patched) = optarg;
		return true;
	case OPT_LABEL:
		append(lists->labels, lists->nr_labels) = optarg;
		return true;
	default:
		return false;
	}
}

/* -1: go on */
static int parse_option(int c, char **argv, struct diff_request *request,
			struct options *options)
{
	switch (c) {
	case 't':
		if (request->target)
			return usage_error("one target at a time");
		request->target = optarg;
		break;
	case 'o':
		request->out = optarg;
		break;
	case OPT_DEBUG:
		request->debug = optarg;
		break;
	case OPT_REPRODUCED:
		request->twin = optarg;
		break;
	case OPT_COMMENT:
		request->comment = optarg;
		break;
	default:
		return option_take(c, argv, &diff, options);
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

/* -1: go on */
static int check_options(const struct diff_request *request, const struct lists *lists, bool more)
{
	if (more)
		return usage_error("too many arguments: objects are given by --orig and --patched");
	if (!request->target)
		return usage_error("no target given (--target)");
	if (!request->out)
		return usage_error("no output given (-o)");
	if (!lists->nr_origs || lists->nr_origs != lists->nr_patched)
		return usage_error("as many --orig as --patched are needed, at least one");
	for (size_t i = 0; i < lists->nr_labels; i++)
		if (!label_is_good(lists->labels[i]))
			return usage_error("a label has 1 to 64 characters");
	for (size_t i = 0; i < lists->nr_origs; i++)
		if (!*lists->origs[i] && !*lists->patched[i])
			return usage_error("a pair of which neither is there");
	return -1;
}

int cmd_diff(int argc, char **argv)
{
	struct options options = { 0 };
	struct diff_request request = { .options = &options };
	struct lists lists = { 0 };
	struct diff_pair *pairs;
	int c, status;

	while ((c = getopt_long(argc, argv, "t:o:" OPTIONS_SHORT, long_options, NULL)) != -1) {
		if (list_option(c, &lists))
			continue;
		status = parse_option(c, argv, &request, &options);
		if (status >= 0)
			return status;
	}
	status = check_options(&request, &lists, optind < argc);
	if (status >= 0)
		return status;
	pairs = xcalloc(lists.nr_origs, sizeof(*pairs));
	for (size_t i = 0; i < lists.nr_origs; i++) {
		pairs[i].orig = *lists.origs[i] ? lists.origs[i] : NULL;
		pairs[i].patched = *lists.patched[i] ? lists.patched[i] : NULL;
	}
	request.pairs = pairs;
	request.nr_pairs = lists.nr_origs;
	request.labels = lists.labels;
	request.nr_labels = lists.nr_labels;
	return diff_make(&request);
}
