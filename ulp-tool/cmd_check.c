// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool check
 */
#include <string.h>

#include "cmds.h"

/* What is asked about: the patch of a file, or an id or name. */
struct question {
	const struct patch_file *file;
	const struct ulp_patch *patch;
	const char *id;
};

static bool is_entry(const struct question *question, const struct ulp_applied *entry)
{
	size_t length = strlen(question->id);

	if (!entry->active)
		return false;
	if (question->file)
		return !strcmp(question->id, entry->id);
	return !strcmp(question->id, entry->name) ||
	       (length >= ULP_ID_SHORTEST && !strncasecmp(question->id, entry->id, length));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * In how many places the patch belongs: a library can be loaded twice.  It goes to
 * all of its targets or to none.  None: -ULP_E_NOT_TARGET, or -ULP_E_BUILD_ID when
 * another build of one is there.
 */
static int count_places(struct visit *visit, const struct ulp_patch *patch)
{
	const struct ulp_object_info *objects;
	const struct ulp_patch_target *targets;
	int nr = ulp_target_objects(visit->target, &objects), places = 0;
	size_t nr_targets = ulp_patch_targets(patch, &targets);

	if (nr < 0)
		return nr;
	for (size_t k = 0; k < nr_targets; k++) {
		bool found = false, other = false;

		for (int i = 0; i < nr; i++) {
			bool same = !strcmp(objects[i].build_id, targets[k].build_id);

			places += same;
			found |= same;
			other |= !strcmp(base_name(objects[i].path), targets[k].name);
		}
		if (!found)
			return other ? -ULP_E_BUILD_ID : -ULP_E_NOT_TARGET;
	}
	return places;
}

/* 0: applied wherever it belongs; else why not. */
static int ask(struct visit *visit, const struct question *question, char *message, size_t size)
{
	const struct ulp_applied *entries;
	int nr = ulp_target_applied(visit->target, &entries), found = 0, places = 1;

	*message = '\0';
	for (int i = 0; i < nr; i++)
		found += is_entry(question, &entries[i]);
	if (nr >= 0 && question->file)
		places = count_places(visit, question->patch);
	if (nr < 0 || (places < 0 && places != -ULP_E_BUILD_ID && places != -ULP_E_NOT_TARGET)) {
		snprintf(message, size, "%s", ulp_error(visit->ctx));
		return nr < 0 ? nr : places;
	}
	if (places < 0)
		return places;
	if (found && found < places)
		snprintf(message, size, "only in %d of %d places", found, places);
	return found >= places ? 0 : -ULP_E_NOT_APPLIED;
}

static void put_answer(struct visit *visit, const struct question *question, int code,
		       const char *message)
{
	FILE *out = visit->out;

	put_text(out, *visit->process->name ? visit->process->name : "?");
	fprintf(out, " (pid: %d): ", (int)visit->process->pid);
	put_colored(visit->tool, out, code ? COLOR_RED : COLOR_GREEN,
		    code ? "NOT APPLIED " : "APPLIED ");
	put_text(out, question->file ? question->file->path : question->id);
	if (code)
		fprintf(out, ": %s", ulp_reason(code));
	if (*message) {
		fputs(": ", out);
		put_text(out, message);
	}
	fputc('\n', out);
}

static json_object *json_answer(const struct visit *visit, const struct question *question,
				int code, const char *message)
{
	const struct patch_file *file = question->file;
	json_object *object = json_new();

	json_put(object, "pid", json_object_new_int(visit->process->pid));
	json_put(object, "name", json_text(visit->process->name));
	json_put(object, "patch", json_text(file ? file->name : question->id));
	json_put(object, "id", json_text(file ? file->id : ""));
	json_put(object, "file", file ? json_text(file->path) : NULL);
	json_put(object, "applied", json_object_new_boolean(!code));
	json_put(object, "reason", json_text(ulp_reason(code)));
	json_put(object, "message", json_text(message));
	return object;
}

/*
 * Nobody named these processes: those that the patch is not made for, or that
 * are gone, say nothing about it.
 */
static bool is_irrelevant(const struct visit *visit, int code)
{
	return visit->all && (code == -ULP_E_NOT_TARGET || code == -ULP_E_BUILD_ID ||
			      code == -ULP_E_ARCH || is_gone(code));
}

static void answer(struct visit *visit, const struct question *question)
{
	const struct options *options = &visit->tool->options;
	char message[sizeof(visit->message)];
	int code = visit->code;

	if (visit->target)
		code = ask(visit, question, message, sizeof(message));
	else
		memcpy(message, visit->message, sizeof(message));
	if (visit->all && code == -ULP_E_PERMISSION && !options->verbose) {
		visit->tally.failed++;
		visit->tally.unreadable++;
		return;
	}
	if (is_irrelevant(visit, code)) {
		visit->tally.skipped++;
		/* another build may well have the fault too: worth a line */
		if (code != -ULP_E_BUILD_ID && !options->verbose && !options->every_one)
			return;
	} else if (code) {
		visit->tally.failed++;
	} else {
		visit->tally.success++;
	}
	if (visit->json)
		json_object_array_add(visit->json, json_answer(visit, question, code, message));
	else if (!options->quiet)
		put_answer(visit, question, code, message);
}

static void visit_check(struct visit *visit)
{
	const struct tool *tool = visit->tool;

	for (size_t i = 0; i < tool->nr_patches; i++)
		answer(visit, &(struct question){
			.file = &tool->patches[i], .id = tool->patches[i].id,
			.patch = visit->patches ? visit->patches[i] : NULL,
		});
	for (size_t i = 0; i < tool->options.nr_ids; i++)
		answer(visit, &(struct question){ .id = tool->options.ids[i] });
}

void cmd_check(struct tool *tool)
{
	struct selection selection = { 0 };
	size_t nr_files = split_arguments(tool);

	if (!nr_files && !tool->options.nr_ids) {
		p_usage(tool, "check: no patch FILE, ID or NAME");
		return;
	}
	if (tool->options.nr_ids && !tool->options.nr_processes) {
		p_usage(tool, "check: an id does not tell which processes should have it: add -p");
		return;
	}
	if (tool->document)
		json_list(tool->document, "results");
	if (!patches_open(tool, tool->args, nr_files) && !select_processes(tool, &selection))
		visit_all(tool, &selection, visit_check, "results");
	if (tool->document)
		json_put(tool->document, "applied",
			 json_object_new_boolean(!exit_status(&tool->tally)));
	else if (selection.all && !tool->options.quiet)
		printf("%s: %zu applied, %zu not applied, %zu without the patch's target\n",
		       tool->name, tool->tally.success, tool->tally.failed, tool->tally.skipped);
	selection_free(&selection);
}
