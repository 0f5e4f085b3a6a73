// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool enable, disable, enabled: the list of patches for what is not loaded
 * yet.  Who applies them is the daemon.
 */
#include <stdlib.h>
#include <string.h>

#include "cmds.h"

static const char *entry_name(const struct ulp_enabled_entry *entry)
{
	return entry->patch ? ulp_patch_name(entry->patch) : entry->file;
}

static void json_entry(struct tool *tool, const struct ulp_enabled_entry *entry,
		       const char *status)
{
	json_object *object = json_new(), *targets = NULL, *target;
	const struct ulp_patch_target *raw;
	const char *const *labels;
	size_t nr;

	json_put(object, "file", json_text(entry->file));
	json_put(object, "status", json_text(status));
	json_put(object, "reason", json_text(ulp_reason(entry->code)));
	if (entry->patch) {
		json_put(object, "name", json_text(ulp_patch_name(entry->patch)));
		json_put(object, "id", json_text(ulp_patch_id(entry->patch)));
		nr = ulp_patch_labels(entry->patch, &labels);
		json_put(object, "labels", json_texts(labels, nr));
		targets = json_list(object, "objects");
		nr = ulp_patch_targets(entry->patch, &raw);
		for (size_t i = 0; i < nr; i++) {
			target = json_new();
			json_put(target, "name", json_text(raw[i].name));
			json_put(target, "build_id", json_text(raw[i].build_id));
			json_object_array_add(targets, target);
		}
	} else {
		json_put(object, "message", json_text(entry->message));
	}
	json_object_array_add(json_list(tool->document, "enabled"), object);
}

static void put_entry(const struct tool *tool, const struct ulp_enabled_entry *entry)
{
	const struct ulp_patch_target *targets;
	const char *const *labels;
	size_t nr;

	if (!entry->patch) {
		put_text(stdout, entry->file);
		fputs(": ", stdout);
		put_colored(tool, stdout, COLOR_RED, "DAMAGED");
		putchar('\n');
		return;
	}
	put_text(stdout, ulp_patch_name(entry->patch));
	printf(" (%.12s):", ulp_patch_id(entry->patch));
	nr = ulp_patch_targets(entry->patch, &targets);
	for (size_t i = 0; i < nr; i++) {
		putchar(' ');
		put_text(stdout, targets[i].name);
		printf(" (%.12s)", targets[i].build_id);
	}
	nr = ulp_patch_labels(entry->patch, &labels);
	for (size_t i = 0; i < nr; i++) {
		putchar(' ');
		put_text(stdout, labels[i]);
	}
	putchar('\n');
}

static struct ulp_enabled *read_list(struct tool *tool)
{
	struct ulp_enabled *list;
	int err = ulp_enabled_read(tool->ctx, tool->options.list, &list);

	if (err)
		p_err(tool, err, "%s", ulp_error(tool->ctx));
	return err ? NULL : list;
}

/* One that cannot be used is an error; the others are listed. */
void cmd_enabled(struct tool *tool)
{
	const struct ulp_enabled_entry *entries;
	struct ulp_enabled *list;
	size_t nr;

	if (tool->nr_args) {
		p_usage(tool, "enabled takes no argument '%s'", tool->args[0]);
		return;
	}
	if (tool->document)
		json_list(tool->document, "enabled");
	list = read_list(tool);
	if (!list)
		return;
	nr = ulp_enabled_entries(list, &entries);
	for (size_t i = 0; i < nr; i++) {
		if (tool->document)
			json_entry(tool, &entries[i], entries[i].patch ? "enabled" : "damaged");
		else if (!tool->options.quiet)
			put_entry(tool, &entries[i]);
		if (!entries[i].patch)
			p_err(tool, entries[i].code, "%s", entries[i].message);
	}
	ulp_enabled_free(list);
}

static void report(struct tool *tool, const struct ulp_enabled_entry *entry, const char *status)
{
	if (tool->document) {
		json_entry(tool, entry, status);
	} else if (!tool->options.quiet) {
		put_text(stdout, entry_name(entry));
		printf(": %s\n", status);
	}
}

/* The entry that the list now has of this patch. */
static void report_enabled(struct tool *tool, const char *id, int code)
{
	struct ulp_enabled *list = read_list(tool);
	const struct ulp_enabled_entry *entries;
	size_t nr = list ? ulp_enabled_entries(list, &entries) : 0;

	for (size_t i = 0; i < nr; i++) {
		struct ulp_enabled_entry entry = entries[i];

		if (!entry.patch || strcmp(ulp_patch_id(entry.patch), id) != 0)
			continue;
		entry.code = code;
		report(tool, &entry, code ? "enabled already" : "enabled");
	}
	ulp_enabled_free(list);
}

void cmd_enable(struct tool *tool)
{
	if (!tool->nr_args) {
		p_usage(tool, "enable: no patch FILE");
		return;
	}
	if (tool->document)
		json_list(tool->document, "enabled");
	if (patches_open(tool, tool->args, tool->nr_args))
		return;
	for (size_t i = 0; i < tool->nr_patches; i++) {
		const struct patch_file *file = &tool->patches[i];
		int err = ulp_enabled_add(tool->ctx, tool->options.list, file->patch);

		if (err && !ulp_code_is_nothing(err))
			p_err(tool, err, "%s", ulp_error(tool->ctx));
		else
			report_enabled(tool, file->id, err);
	}
}

/* Whether @text means this entry: its file, or the patch's name or id. */
static bool is_meant(const struct ulp_enabled_entry *entry, const char *text)
{
	const char *slash = strrchr(text, '/');

	if (!strcmp(entry->file, slash ? slash + 1 : text))
		return true;
	return entry->patch &&
	       (!strcmp(ulp_patch_name(entry->patch), text) ||
		(strlen(text) >= ULP_ID_SHORTEST &&
		 !strncmp(ulp_patch_id(entry->patch), text, strlen(text))));
}

static void disable(struct tool *tool, const struct ulp_enabled *list, const char *text)
{
	const struct ulp_enabled_entry *entries, *found = NULL;
	size_t nr = ulp_enabled_entries(list, &entries);
	struct ulp_enabled_entry entry;
	struct ulp_patch *patch = NULL;
	int err;

	for (size_t i = 0; i < nr; i++) {
		if (!is_meant(&entries[i], text))
			continue;
		if (found) {
			p_err(tool, -ULP_E_PATCH_ID, "%s: several enabled patches are called so; use the id",
			      text);
			return;
		}
		found = &entries[i];
	}
	if (!found) {
		/* as with revert: what is not there need not be taken away */
		err = is_patch_argument(text) ? ulp_patch_open(tool->ctx, text, &patch) : 0;
		if (err)
			p_err(tool, err, "%s", ulp_error(tool->ctx));
		else
			p_note(tool, "%s: not enabled", text);
		ulp_patch_close(patch);
		return;
	}
	err = ulp_enabled_remove(tool->ctx, tool->options.list, found->file);
	if (err) {
		p_err(tool, err, "%s", ulp_error(tool->ctx));
		return;
	}
	entry = *found;
	entry.code = 0;
	report(tool, &entry, "disabled");
}

/* A patch's file stands for its id, wherever it is and whatever it is called now. */
static char *meant_by(struct tool *tool, const char *text)
{
	struct ulp_patch *patch = NULL;
	bool is_file = is_patch_argument(text) &&
		       !ulp_patch_open(tool->ctx, text, &patch);
	char *meant = strdup(is_file ? ulp_patch_id(patch) : text);

	ulp_patch_close(patch);
	if (!meant)
		out_of_memory();
	return meant;
}

void cmd_disable(struct tool *tool)
{
	struct ulp_enabled *list;

	if (!tool->nr_args) {
		p_usage(tool, "disable: no FILE, ID or NAME");
		return;
	}
	if (tool->document)
		json_list(tool->document, "enabled");
	for (size_t i = 0; i < tool->nr_args; i++) {
		char *meant = meant_by(tool, tool->args[i]);

		/* read anew each time: what one argument disabled is no entry any more */
		list = read_list(tool);
		if (list)
			disable(tool, list, meant);
		free(meant);
		ulp_enabled_free(list);
	}
}
