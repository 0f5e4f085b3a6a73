// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-packer pack: a description and a shared object to a patch container
 */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "packer.h"

struct pack {
	const char *out, *livepatch, *target, *debug;
	const char *description;
	struct options options;
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
	"      --debug=FILE        symbols of the target from its separate debug file; if it\n"
	"                          is stripped, the one that debuggers find; --debug=: none\n"
	"  -i, --name=NAME         name of the patch, instead of the description's\n"
	USAGE_ALL
	"\n"
	"Exit status: 0 made, 1 refused or failed, 2 wrong usage.\n";

enum { OPT_DEBUG = 256 };

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "livepatch", required_argument, NULL, 'l' },
	{ "target", required_argument, NULL, 't' },
	{ "debug", required_argument, NULL, OPT_DEBUG },
	OPTIONS_ALL
};

static const struct verb verb = { "pack", usage };

/* -1: go on */
static int parse_options(int argc, char **argv, struct pack *pack)
{
	int c, status;

	while ((c = getopt_long(argc, argv, "o:l:t:" OPTIONS_SHORT, long_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			pack->out = optarg;
			break;
		case 'l':
			pack->livepatch = optarg;
			break;
		case 't':
			pack->target = optarg;
			break;
		case OPT_DEBUG:
			pack->debug = optarg;
			break;
		default:
			status = option_take(c, argv, &verb, &pack->options);
			if (status >= 0)
				return status;
		}
	}
	if (optind == argc)
		return option_error(&verb, "no description given");
	if (optind + 1 < argc)
		return option_error(&verb, "more than one description given");
	pack->description = argv[optind];
	return -1;
}

static bool open_objects(const struct pack *pack, struct description *desc,
			 struct object *patch, struct object *target)
{
	const char *path;
	bool added;

	path = pack->livepatch ? pack->livepatch :
				 description_find(desc, desc->livepatch.text);
	if (!object_open(path, patch)) {
		if (!pack->livepatch)
			message_at(MESSAGE_NOTE, desc, &desc->livepatch, "named here");
		return false;
	}
	if (!pack->target && !desc->target.text) {
		error_at(desc, &desc->target,
			 "it names no target: add a line @/path/of/target or use --target");
		return false;
	}
	path = pack->target ? pack->target : description_find(desc, desc->target.text);
	if (!object_open(path, target)) {
		if (!pack->target)
			message_at(MESSAGE_NOTE, desc, &desc->target, "named here");
		return false;
	}
	return debug_add(target, pack->debug, &pack->options, &added);
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
	struct pack pack = { 0 };
	struct description desc;
	struct plan plan = { .desc = &desc, .patch = &patch, .target = &target };
	struct container container;
	const char *out;
	int status = parse_options(argc, argv, &pack);

	if (status >= 0)
		return status;
	if (!read_created(&plan.created) ||
	    !describe(pack.description, pack.livepatch, &desc) ||
	    !open_objects(&pack, &desc, &patch, &target))
		return EXIT_FAILED;
	desc.scan_memory |= pack.options.scan_memory;
	plan.name = pack.options.name;
	if (!plan.name)
		plan.name = default_name(pack.description, ".dsc");
	if (!check_target(&target) ||
	    !check_patch(&patch, &target, pack.options.allow_exceptions) ||
	    !resolve(&plan, &desc) || !place(&plan))
		return EXIT_FAILED;
	out = pack.out ? pack.out : patch.path;
	if (!emit(&plan, 1, out, &container) || !containers_write(&container, 1))
		return EXIT_FAILED;
	print_plans(&plan, 1, &container);
	return EXIT_MADE;
}
