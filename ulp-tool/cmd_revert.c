// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool revert
 */
#include <stdlib.h>
#include <string.h>

#include "cmds.h"

/* What one active patch of a target is called, copied: a revert frees the list. */
struct applied {
	char *id;
	char *name;
};

static char *copy_text(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		out_of_memory();
	return copy;
}

/* Copies the active patches of the target, newest first, each once. */
static int list_active(struct visit *visit, struct applied **out)
{
	const struct ulp_applied *entries;
	struct applied *list;
	int nr = ulp_target_applied(visit->target, &entries), used = 0;

	*out = NULL;
	if (nr < 0)
		return nr;
	list = calloc((size_t)nr + 1, sizeof(*list));
	if (!list)
		out_of_memory();
	for (;;) {
		const struct ulp_applied *newest = NULL;

		for (int i = 0; i < nr; i++) {
			bool known = !entries[i].active;

			for (int k = 0; k < used && !known; k++)
				known = !strcmp(list[k].id, entries[i].id);
			if (!known && (!newest || entries[i].sequence > newest->sequence))
				newest = &entries[i];
		}
		if (!newest)
			break;
		list[used].id = copy_text(newest->id);
		list[used++].name = copy_text(newest->name);
	}
	*out = list;
	return used;
}

static void free_active(struct applied *list, int nr)
{
	for (int i = 0; i < nr; i++) {
		free(list[i].id);
		free(list[i].name);
	}
	free(list);
}

static void revert_one(struct visit *visit, const char *id, struct outcome *outcome)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	const struct ulp_options *options = &visit->tool->options.change;
	int err;

	outcome->action = "revert";
	if (!visit->target) {
		outcome_unopened(visit, outcome);
		return;
	}
	if (outcome->object)
		err = ulp_revert_object(visit->target, outcome->object, options, &result);
	else
		err = ulp_revert(visit->target, id, options, &result);
	result.code = err;
	outcome->result = &result;
	outcome_add(visit, outcome);
	outcome->result = NULL;
}

/* By id or name, as the user wrote it; shown by the name it has in the target. */
static void revert_id(struct visit *visit, const char *id)
{
	struct outcome outcome = { .patch = id };
	struct applied *list = NULL;
	int nr = visit->target ? list_active(visit, &list) : 0;

	for (int i = 0; i < nr && strlen(id) >= ULP_ID_SHORTEST; i++)
		if (!strncasecmp(list[i].id, id, strlen(id)))
			outcome.patch = list[i].name;
	revert_one(visit, id, &outcome);
	free_active(list, nr);
}

static void revert_everything(struct visit *visit)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	struct outcome outcome = { .action = "revert", .patch = "" };
	struct applied *list = NULL;
	int nr = visit->target ? list_active(visit, &list) : 0;

	if (!visit->target) {
		outcome_unopened(visit, &outcome);
	} else if (nr <= 0) {
		result.code = nr ? nr : -ULP_E_NOT_APPLIED;
		snprintf(result.message, sizeof(result.message), "%s",
			 nr ? ulp_error(visit->ctx) : "it has no patches");
		outcome.result = &result;
		outcome_add(visit, &outcome);
	}
	for (int i = 0; i < nr; i++) {
		outcome = (struct outcome){ .patch = list[i].name, .id = list[i].id };
		revert_one(visit, list[i].id, &outcome);
	}
	free_active(list, nr);
}

static void visit_revert(struct visit *visit)
{
	const struct options *options = &visit->tool->options;
	struct outcome outcome;

	if (options->all) {
		revert_everything(visit);
		return;
	}
	/* what depends on others goes before them */
	for (size_t i = visit->tool->nr_patches; i-- > 0;) {
		const struct patch_file *file = &visit->tool->patches[i];

		outcome = (struct outcome){
			.patch = file->name, .id = file->id, .file = file->path,
		};
		revert_one(visit, file->id, &outcome);
	}
	for (size_t i = 0; i < options->nr_ids; i++)
		revert_id(visit, options->ids[i]);
	if (options->all_of) {
		outcome = (struct outcome){ .patch = "", .object = options->all_of };
		revert_one(visit, NULL, &outcome);
	}
}

void cmd_revert(struct tool *tool)
{
	const struct options *options = &tool->options;
	struct selection selection = { 0 };
	size_t nr_files;

	nr_files = split_arguments(tool);
	if (options->all && (nr_files || options->nr_ids || options->all_of)) {
		p_usage(tool, "--all leaves nothing else to name");
		return;
	}
	if (!options->all && !nr_files && !options->nr_ids && !options->all_of) {
		p_usage(tool, "%s: no patch FILE, ID or NAME", tool->command->name);
		return;
	}
	if (tool->document)
		json_list(tool->document, "results");
	if (!patches_open(tool, tool->args, nr_files) &&
	    !select_processes(tool, &selection) &&
	    (!selection.all || !module_check(tool)))
		visit_all(tool, &selection, visit_revert, "results");
	outcome_summary(tool);
	selection_free(&selection);
}
