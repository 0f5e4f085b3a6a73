// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Options that several commands have.
 */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "packer.h"

static int try_help(const struct verb *verb)
{
	fprintf(stderr, "Try 'ulp-packer %s --help'.\n", verb->name);
	return EXIT_USAGE;
}

int option_error(const struct verb *verb, const char *text)
{
	error("%s", text);
	return try_help(verb);
}

int option_take(int c, char **argv, const struct verb *verb, struct options *options)
{
	switch (c) {
	case 'i':
		if (!name_is_good(optarg))
			return option_error(verb, "a name has 1 to 64 characters of [A-Za-z0-9._+-]");
		options->name = optarg;
		return OPTION_TAKEN;
	case OPT_EXCEPTIONS:
		options->allow_exceptions = true;
		return OPTION_TAKEN;
	case OPT_SCAN_MEMORY:
		options->scan_memory = true;
		return OPTION_TAKEN;
	case OPT_EXPLAIN:
		options->explain = true;
		return OPTION_TAKEN;
	case OPT_NEW_DATA:
		append(options->new_data, options->nr_new_data) = optarg;
		return OPTION_TAKEN;
	case OPT_NEW_LAYOUT:
		append(options->new_layouts, options->nr_new_layouts) = optarg;
		return OPTION_TAKEN;
	case 'q':
		verbosity = -1;
		return OPTION_TAKEN;
	case 'v':
		verbosity = 1;
		return OPTION_TAKEN;
	case 'V':
		puts("ulp-packer " ULP_VERSION);
		return EXIT_MADE;
	case '?':
		/* getopt's word for what it does not know, too */
		if (strcmp(argv[optind - 1], "-?") != 0)
			return try_help(verb);
		fputs(verb->usage, stdout);
		return EXIT_MADE;
	case 'h':
		fputs(verb->usage, stdout);
		return EXIT_MADE;
	default:
		return OPTION_UNKNOWN;
	}
}
