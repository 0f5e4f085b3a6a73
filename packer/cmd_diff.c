// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-packer diff: its options
 */
#include <getopt.h>
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
	"      --new-data=NAME     this static variable may begin with its initial value\n"
	"      --allow-exceptions  allow code that handles C++ exceptions in a target that\n"
	"                          is linked statically; none may pass through it\n"
	"      --explain           print why each function is in the patch, and how its\n"
	"                          place in the target is known\n"
	"  -q, --quiet             print errors only\n"
	"  -v, --verbose           print what was decided about each function\n"
	"  -?, --help              print this and exit\n"
	"  -V, --version           print the version and exit\n"
	"\n"
	"Exit status: 0 made, 1 refused or failed, 2 wrong usage, 3 no code differs.\n";

enum {
	OPT_ORIG = 256, OPT_PATCHED, OPT_DEBUG, OPT_REPRODUCED, OPT_COMMENT, OPT_LABEL,
	OPT_NEW_DATA, OPT_EXCEPTIONS, OPT_EXPLAIN
};

static const struct option long_options[] = {
	{ "target", required_argument, NULL, 't' },
	{ "orig", required_argument, NULL, OPT_ORIG },
	{ "patched", required_argument, NULL, OPT_PATCHED },
	{ "output", required_argument, NULL, 'o' },
	{ "debug", required_argument, NULL, OPT_DEBUG },
	{ "reproduced", required_argument, NULL, OPT_REPRODUCED },
	{ "id", required_argument, NULL, 'i' },
	{ "name", required_argument, NULL, 'i' },
	{ "comment", required_argument, NULL, OPT_COMMENT },
	{ "label", required_argument, NULL, OPT_LABEL },
	{ "new-data", required_argument, NULL, OPT_NEW_DATA },
	{ "allow-exceptions", no_argument, NULL, OPT_EXCEPTIONS },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* Arrays while they grow. */
struct lists {
	const char **origs, **patched, **labels, **new_data;
	size_t nr_origs, nr_patched, nr_labels, nr_new_data;
};

static int usage_error(const char *text)
{
	error("%s", text);
	fputs("Try 'ulp-packer diff --help'.\n", stderr);
	return EXIT_USAGE;
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
	case OPT_NEW_DATA:
		append(lists->new_data, lists->nr_new_data) = optarg;
		return true;
	default:
		return false;
	}
}

/* -1: go on */
static int parse_option(int c, char **argv, struct diff_request *request)
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
	case 'i':
		request->name = optarg;
		break;
	case OPT_COMMENT:
		request->comment = optarg;
		break;
	case OPT_EXCEPTIONS:
		request->allow_exceptions = true;
		break;
	case OPT_EXPLAIN:
		request->explain = true;
		break;
	case 'q':
		verbosity = -1;
		break;
	case 'v':
		verbosity = 1;
		break;
	case 'V':
		puts("ulp-packer " ULP_VERSION);
		return EXIT_MADE;
	case '?':
		/* getopt's word for what it does not know, too */
		if (!strcmp(argv[optind - 1], "-?")) {
			fputs(usage, stdout);
			return EXIT_MADE;
		}
		fputs("Try 'ulp-packer diff --help'.\n", stderr);
		return EXIT_USAGE;
	case 'h':
		fputs(usage, stdout);
		return EXIT_MADE;
	}
	return -1;
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
	if (request->name && !name_is_good(request->name))
		return usage_error("a name has 1 to 64 characters of [A-Za-z0-9._+-]");
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
	struct diff_request request = { 0 };
	struct lists lists = { 0 };
	struct diff_pair *pairs;
	int c, status;

	while ((c = getopt_long(argc, argv, "t:o:i:qvV?h", long_options, NULL)) != -1) {
		if (list_option(c, &lists))
			continue;
		status = parse_option(c, argv, &request);
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
	request.new_data = lists.new_data;
	request.nr_new_data = lists.nr_new_data;
	return diff_make(&request);
}
