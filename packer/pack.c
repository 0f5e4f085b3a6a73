// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-packer pack: a description and a shared object to a patch container
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "packer.h"

struct options {
	const char *out, *livepatch, *target, *debug, *name;
	const char *description;
	bool allow_exceptions;
};

static const char usage[] =
	"Usage: ulp-packer pack [OPTION]... DESCRIPTION\n"
	"Make a patch container of a shared object with the new functions and a\n"
	"description (.dsc) of what they replace.\n"
	"\n"
	"  -o, --output=FILE       write the container there; without, the shared object\n"
	"                          itself becomes the container\n"
	"  -l, --livepatch=FILE    shared object, instead of the description's first line\n"
	"  -t, --target=FILE       target, instead of the description's '@' line\n"
	"      --debug=FILE        symbols of the target from its separate debug file\n"
	"      --name=NAME         name of the patch, instead of the description's\n"
	"      --allow-exceptions  allow code that handles C++ exceptions in a target that\n"
	"                          is linked statically; none may pass through it\n"
	"  -q, --quiet             print errors only\n"
	"  -v, --verbose           print what was decided about each function\n"
	"  -?, --help              print this and exit\n"
	"  -V, --version           print the version and exit\n"
	"\n"
	"Exit status: 0 made, 1 refused or failed, 2 wrong usage.\n";

enum { OPT_DEBUG = 256, OPT_NAME, OPT_EXCEPTIONS };

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "livepatch", required_argument, NULL, 'l' },
	{ "target", required_argument, NULL, 't' },
	{ "debug", required_argument, NULL, OPT_DEBUG },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "allow-exceptions", no_argument, NULL, OPT_EXCEPTIONS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 }
};

static int usage_error(const char *text)
{
	error("%s", text);
	fputs("Try 'ulp-packer pack --help'.\n", stderr);
	return EXIT_USAGE;
}

/* -1: go on */
static int parse_options(int argc, char **argv, struct options *options)
{
	int c;

	while ((c = getopt_long(argc, argv, "o:l:t:qvV?h", long_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			options->out = optarg;
			break;
		case 'l':
			options->livepatch = optarg;
			break;
		case 't':
			options->target = optarg;
			break;
		case OPT_DEBUG:
			options->debug = optarg;
			break;
		case OPT_NAME:
			options->name = optarg;
			break;
		case OPT_EXCEPTIONS:
			options->allow_exceptions = true;
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
			fputs("Try 'ulp-packer pack --help'.\n", stderr);
			return EXIT_USAGE;
		case 'h':
			fputs(usage, stdout);
			return EXIT_MADE;
		}
	}
	if (optind == argc)
		return usage_error("no description given");
	if (optind + 1 < argc)
		return usage_error("more than one description given");
	options->description = argv[optind];
	if (options->name && !name_is_good(options->name))
		return usage_error("a name has 1 to 64 characters of [A-Za-z0-9._+-]");
	return -1;
}

static bool open_objects(const struct options *options, struct description *desc,
			 struct object *patch, struct object *target)
{
	const char *path;

	path = options->livepatch ? options->livepatch :
				    description_find(desc, desc->livepatch.text);
	if (!object_open(path, patch)) {
		if (!options->livepatch)
			message_at(MESSAGE_NOTE, desc, &desc->livepatch, "named here");
		return false;
	}
	if (!options->target && !desc->target.text) {
		error_at(desc, &desc->target,
			 "it names no target: add a line @/path/of/target or use --target");
		return false;
	}
	path = options->target ? options->target : description_find(desc, desc->target.text);
	if (!object_open(path, target)) {
		if (!options->target)
			message_at(MESSAGE_NOTE, desc, &desc->target, "named here");
		return false;
	}
	return !options->debug || object_add_debug(target, options->debug);
}

/* All errors of one kind are printed before giving up. */
static bool resolve(struct plan *plan, struct description *desc)
{
	bool good = true;

	plan->functions = xcalloc(desc->nr_functions, sizeof(*plan->functions));
	for (size_t i = 0; i < desc->nr_functions; i++) {
		bool found = resolve_function(plan, &desc->functions[i],
					      &plan->functions[plan->nr_functions]);

		plan->nr_functions += found;
		good &= found;
	}
	for (size_t i = 0; i < desc->nr_references; i++)
		good &= resolve_reference(plan, &desc->references[i]);
	plan->dependencies = xcalloc(desc->nr_dependencies, ULP_ID_SIZE);
	for (size_t i = 0; i < desc->nr_dependencies; i++)
		good &= resolve_dependency(plan, &desc->dependencies[i], plan->dependencies[i]);
	plan->nr_dependencies = desc->nr_dependencies;
	return good;
}

int cmd_pack(int argc, char **argv)
{
	struct object patch, target;
	struct options options = { 0 };
	struct description desc;
	struct plan plan = { .desc = &desc, .patch = &patch, .target = &target };
	const char *out;
	char id[65];
	int status = parse_options(argc, argv, &options);

	if (status >= 0)
		return status;
	if (!read_created(&plan.created) ||
	    !describe(options.description, options.livepatch, &desc) ||
	    !open_objects(&options, &desc, &patch, &target))
		return EXIT_FAILED;
	plan.name = options.name ? options.name : default_name(options.description, ".dsc");
	if (!check_target(&target) || !check_patch(&patch, &target, options.allow_exceptions) ||
	    !resolve(&plan, &desc) || !place(&plan))
		return EXIT_FAILED;
	out = options.out ? options.out : patch.path;
	if (!emit(&plan, out, id))
		return EXIT_FAILED;
	print_plan(&plan, out, id);
	return EXIT_MADE;
}
