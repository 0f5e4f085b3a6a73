/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options that several commands have.
 */
#ifndef PACKER_OPTIONS_H
#define PACKER_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * struct options - how patches are made, whatever of
 * @name: of the patch ([A-Za-z0-9._+-], at most 64), NULL: from its output
 * @allow_exceptions: code that handles C++ exceptions, for a target that is linked
 *	statically
 * @scan_memory: coroutines of the program may be inside what is replaced
 * @explain: print on stdout each function of the patch, why it is in it, and how its
 *	place in the target is known
 * @new_data: names of static variables that may begin with their initial value, though
 *	they look like renamed ones
 * @nr_new_data: number of them
 * @new_layouts: names of types, functions and variables of which nothing with the old
 *	layout, arguments or type is used by the new code, or the other way round
 * @nr_new_layouts: number of them
 */
struct options {
	const char *name;
	bool allow_exceptions, scan_memory, explain;
	const char **new_data;
	size_t nr_new_data;
	const char **new_layouts;
	size_t nr_new_layouts;
};

struct verb {
	const char *name, *usage;
};

#define OPTIONS_SHORT	"i:qvV?h"

enum { OPT_EXCEPTIONS = 512, OPT_EXPLAIN, OPT_NEW_DATA, OPT_NEW_LAYOUT, OPT_SCAN_MEMORY };

/* For arrays of struct option: those of all commands, with the end ... */
#define OPTIONS_ALL \
	{ "id", required_argument, NULL, 'i' }, \
	{ "name", required_argument, NULL, 'i' }, \
	{ "allow-exceptions", no_argument, NULL, OPT_EXCEPTIONS }, \
	{ "scan-memory", no_argument, NULL, OPT_SCAN_MEMORY }, \
	{ "quiet", no_argument, NULL, 'q' }, \
	{ "verbose", no_argument, NULL, 'v' }, \
	{ "help", no_argument, NULL, 'h' }, \
	{ "version", no_argument, NULL, 'V' }, \
	{ NULL, 0, NULL, 0 }

/* ... and those that compare objects. */
#define OPTIONS_COMPARE \
	{ "explain", no_argument, NULL, OPT_EXPLAIN }, \
	{ "new-data", required_argument, NULL, OPT_NEW_DATA }, \
	{ "new-layout", required_argument, NULL, OPT_NEW_LAYOUT }

#define USAGE_ALL \
	"      --allow-exceptions  allow code that handles C++ exceptions in a target that\n" \
	"                          is linked statically; none may pass through it\n" \
	"      --scan-memory       coroutines of the program may be inside what is replaced:\n" \
	"                          look for them in its memory when the patch is applied\n" \
	"  -q, --quiet             print errors only\n" \
	"  -v, --verbose           print what was decided about each function\n" \
	"  -?, --help              print this and exit\n" \
	"  -V, --version           print the version and exit\n"

#define USAGE_COMPARE \
	"      --new-data=NAME     this static variable may begin anew with its initial\n" \
	"                          value, though it looks like a renamed one\n" \
	"      --new-layout=NAME   this type, function or variable may have its new layout,\n" \
	"                          arguments or type, though memory or code that stays has\n" \
	"                          the old one\n" \
	"      --explain           print why each function is in the patch, and how its\n" \
	"                          place in the target is known\n"

enum { OPTION_TAKEN = -1, OPTION_UNKNOWN = -2 };

/* What getopt_long() returned; an exit status, or one of the two above. */
int option_take(int c, char **argv, const struct verb *verb, struct options *options);
/* Prints it, and returns the exit status. */
int option_error(const struct verb *verb, const char *text);

#endif /* PACKER_OPTIONS_H */
