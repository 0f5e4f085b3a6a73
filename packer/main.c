// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-packer: the commands.  Each has its own file.
 */
#include <stdio.h>
#include <string.h>

#include "packer.h"
#include "build.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "diff", cmd_diff, "make a container of objects compiled before and after a change" },
	{ "pack", cmd_pack, "make a container of a description and a shared object" },
	{ "build", cmd_build, "make containers of a source diff: builds before and after it" },
	{ "make", cmd_make, "the same for all that make(1) builds here" },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *file)
{
	fputs("Usage: ulp-packer COMMAND [OPTION]... ARGUMENT\n"
	      "Make patches for running processes.\n\nCommands:\n", file);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(file, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n  -?, --help     print this and exit; 'ulp-packer COMMAND --help' says more\n"
	      "  -V, --version  print the version and exit\n", file);
}

int main(int argc, char **argv)
{
	if (argc > 0)
		recorder_main(argc, argv);
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") || !strcmp(argv[1], "-h")) {
		print_usage(stdout);
		return EXIT_MADE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("ulp-packer " ULP_VERSION);
		return EXIT_MADE;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	error("unknown command '%s'", argv[1]);
	print_usage(stderr);
	return EXIT_USAGE;
}
