// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool apply
 */
#include <string.h>

#include "cmds.h"

/*
 * Takes all patches of @object back; 0, or why not.  Threads that are still to switch
 * are no reason to say nothing of the patches: what they let be done is for libulp to say.
 */
static int revert_object(struct visit *visit, const char *object, const char *name)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	const struct outcome outcome = {
		.action = "revert", .patch = "", .object = name, .result = &result,
	};
	int err = ulp_revert_object(visit->target, object, &visit->tool->options.change, &result);

	if (ulp_code_is_nothing(err))
		return 0;
	outcome_add(visit, &outcome);
	return ulp_code_is_switching(err) ? 0 : err;
}

/* --revert-all: before anything is applied, and only if all of it succeeds. */
static int revert_first(struct visit *visit)
{
	const char *lib = visit->tool->options.revert_all;
	const struct ulp_patch_target *targets;
	int err = 0;

	if (!lib)
		return 0;
	if (strcmp(lib, "target") != 0)
		return revert_object(visit, lib, lib);
	for (size_t i = 0; i < visit->tool->nr_patches; i++) {
		size_t nr = ulp_patch_targets(visit->patches[i], &targets);

		for (size_t k = 0; k < nr && !err; k++)
			err = revert_object(visit, targets[k].build_id, targets[k].name);
	}
	return err;
}

static void visit_apply(struct visit *visit)
{
	struct tool *tool = visit->tool;

	if (visit->target && revert_first(visit))
		return;
	for (size_t i = 0; i < tool->nr_patches; i++) {
		const struct patch_file *file = &tool->patches[i];
		struct ulp_result result = { .sz = sizeof(result), .proof = "" };
		struct outcome outcome = {
			.action = "apply", .patch = file->name, .id = file->id,
			.file = file->path, .result = &result,
		};

		if (!visit->target) {
			outcome_unopened(visit, &outcome);
			continue;
		}
		result.code = ulp_apply(visit->target, visit->patches[i], &tool->options.change,
					&result);
		outcome_add(visit, &outcome);
	}
}

void cmd_apply(struct tool *tool)
{
	const struct options *options = &tool->options;
	struct selection selection = { 0 };

	if (options->revert && options->revert_all) {
		p_usage(tool, "--revert and --revert-all exclude each other");
		return;
	}
	if (options->revert) {
		cmd_revert(tool);
		return;
	}
	if (!tool->nr_args) {
		p_usage(tool, options->revert_all ?
			"%s: no patch FILE; only to revert: revert --all-of=LIB" :
			"%s: no patch FILE", tool->command->name);
		return;
	}
	if (tool->document)
		json_list(tool->document, "results");
	if (!patches_open(tool, tool->args, tool->nr_args) &&
	    !select_processes(tool, &selection) &&
	    (!selection.all || !module_check(tool)))
		visit_all(tool, &selection, visit_apply, "results");
	outcome_summary(tool);
	selection_free(&selection);
}
