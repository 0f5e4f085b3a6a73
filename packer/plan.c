// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What all ways to make a container share: names, places of the jumps, report.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "packer.h"

static const char name_characters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";

bool name_is_good(const char *name)
{
	return name[0] && strlen(name) <= 64 && !name[strspn(name, name_characters)];
}

char *default_name(const char *path, const char *suffix)
{
	char *name = xstrdup(base_name(path));
	size_t length = strlen(name), tail = strlen(suffix);

	if (length > tail && !strcmp(name + length - tail, suffix))
		name[length - tail] = '\0';
	if (strlen(name) > 64)
		name[64] = '\0';
	for (size_t i = 0; name[i]; i++)
		if (!strchr(name_characters, name[i]))
			name[i] = '_';
	return name;
}

bool is_directory_path(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && !slash[1];
}

const char *output_path(const char *path)
{
	struct stat st;

	if (is_directory_path(path) || stat(path, &st) || !S_ISDIR(st.st_mode))
		return path;
	return xasprintf("%s/", path);
}

bool read_created(uint64_t *created)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	char *end;

	*created = time(NULL);
	if (!epoch)
		return true;
	errno = 0;
	*created = strtoull(epoch, &end, 10);
	if (epoch[0] < '0' || epoch[0] > '9' || *end || errno || *created > INT64_MAX) {
		error("SOURCE_DATE_EPOCH is '%s', not a number of seconds", epoch);
		return false;
	}
	return true;
}

/* What the patch wants to call as it was must be there to be called. */
static bool check_originals(const struct plan *plan)
{
	bool good = true;

	for (size_t i = 0; i < plan->desc->nr_references; i++) {
		const struct described_reference *reference = &plan->desc->references[i];

		for (size_t k = 0; reference->original && k < plan->nr_functions; k++) {
			const struct function *function = &plan->functions[k];

			if (function->old_value != reference->target_value ||
			    !function->no_original)
				continue;
			error_at(plan->desc, &reference->target_name,
				 "'%s' cannot be called as it was: %s", function->old_name,
				 function->no_original);
			good = false;
		}
	}
	return good;
}

bool place(struct plan *plan)
{
	bool good = true;

	code_read(plan->target, &plan->code);
	for (size_t i = 0; i < plan->nr_functions; i++) {
		find_fragments(plan, &plan->functions[i]);
		if (!choose_entry(plan, &plan->functions[i]))
			good = false;
		else
			find_original(plan->target, &plan->functions[i]);
	}
	return check_originals(plan) && good;
}

static void print_function(const struct function *function)
{
	printf("  %s -> %s: 0x%" PRIx64 ", %" PRIu64 " bytes, ", function->old_name,
	       function->new_name, function->old_value, function->old_size);
	if (function->kind == ULP_ENTRY_JUMP)
		printf("jump at 0x%" PRIx64 "\n", function->entry);
	else
		printf("short jump at 0x%" PRIx64 " to 0x%" PRIx64 "\n", function->entry,
		       function->island);
	if (function->no_original)
		printf("    no --consistency=thread: %s\n", function->no_original);
	for (size_t i = 1; i < function->nr_ranges; i++)
		printf("    and its code at 0x%" PRIx64 "-0x%" PRIx64 "\n",
		       function->ranges[i].start, function->ranges[i].end);
}

/* "liba.so, libb.so" */
static char *target_names(const struct plan *plans, size_t nr)
{
	char *names = xstrdup(plans[0].target->name);

	for (size_t i = 1; i < nr; i++)
		names = xasprintf("%s, %s", names, plans[i].target->name);
	return names;
}

void print_plans(const struct plan *plans, size_t nr, const struct container *container)
{
	const struct description *desc = plans[0].desc;
	size_t functions = 0;

	if (verbosity < 0)
		return;
	for (size_t i = 0; i < nr; i++)
		functions += plans[i].nr_functions;
	printf("%s: patch %s, id %.12s, for %s: %zu function%s, %zu reference%s\n",
	       container->out, plans[0].name, container->id, target_names(plans, nr), functions,
	       functions == 1 ? "" : "s", desc->nr_references,
	       desc->nr_references == 1 ? "" : "s");
	if (verbosity < 1)
		return;
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < plans[i].nr_functions; k++)
			print_function(&plans[i].functions[k]);
	for (size_t i = 0; i < desc->nr_references; i++)
		printf("  slot %s at 0x%" PRIx64 " = %s%s at 0x%" PRIx64 "\n",
		       desc->references[i].slot_name.text, desc->references[i].slot_value,
		       desc->references[i].tls ? "thread-local " : "",
		       desc->references[i].target_name.text, desc->references[i].target_value);
}
