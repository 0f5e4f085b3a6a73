// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool patches
 */
#include <inttypes.h>
#include <string.h>

#include "cmds.h"

struct view {				/* of one process */
	struct visit *visit;
	const struct ulp_object_info *objects;
	int nr_objects;
	const struct ulp_applied *entries;
	int nr_entries;
	const struct ulp_thread_state *threads;	/* while they switch one by one */
	int nr_threads;
};

static bool belongs(const struct ulp_applied *entry, const struct ulp_object_info *object)
{
	return !strcmp(entry->build_id, object->build_id) && !strcmp(entry->object, object->path);
}

/* @active: only those that are not reverted count. */
static bool has_patches(const struct view *view, const struct ulp_object_info *object, bool active)
{
	for (int i = 0; i < view->nr_entries; i++)
		if (belongs(&view->entries[i], object) && (view->entries[i].active || !active))
			return true;
	return false;
}

/* An object that is mapped twice is one line: its records do not tell them apart. */
static bool is_repeated(const struct view *view, int index)
{
	for (int i = 0; i < index; i++)
		if (!strcmp(view->objects[i].path, view->objects[index].path) &&
		    !strcmp(view->objects[i].build_id, view->objects[index].build_id))
			return true;
	return false;
}

/* What has patches; with -b what has that build-id; with -v all. */
static bool is_wanted(const struct view *view, int index)
{
	const struct options *options = &view->visit->tool->options;
	const struct ulp_object_info *object = &view->objects[index];

	if (options->build_id &&
	    strncasecmp(object->build_id, options->build_id, strlen(options->build_id)) != 0)
		return false;
	if (options->only_livepatched ? !has_patches(view, object, true) :
	    !options->build_id && !options->verbose && !has_patches(view, object, false))
		return false;
	return !is_repeated(view, index);
}

/* A record whose object is not there any more (dlclose). */
static bool is_orphan(const struct view *view, const struct ulp_applied *entry)
{
	for (int i = 0; i < view->nr_objects; i++)
		if (belongs(entry, &view->objects[i]))
			return false;
	return true;
}

static bool is_moving(const struct ulp_applied *entry)
{
	return !strcmp(entry->state, "switching") || !strcmp(entry->state, "returning");
}

/* Whether threads that have not switched run the old code, or the new (revert). */
static bool leaves_old(const struct view *view)
{
	for (int i = 0; i < view->nr_entries; i++)
		if (is_moving(&view->entries[i]))
			return !strcmp(view->entries[i].state, "switching");
	return true;
}

static const char *universe(const struct view *view, const struct ulp_thread_state *thread)
{
	return thread->switched == leaves_old(view) ? "new" : "old";
}

static void put_threads(const struct view *view)
{
	FILE *out = view->visit->out;

	for (int i = 0; i < view->nr_threads; i++) {
		const struct ulp_thread_state *thread = &view->threads[i];

		fprintf(out, "  thread %d (", (int)thread->tid);
		put_text(out, thread->name);
		fprintf(out, "): %s code", universe(view, thread));
		if (thread->function[0]) {
			fputs(", inside ", out);
			put_text(out, thread->function);
			fprintf(out, " (frame %u)", thread->frame);
		}
		fputc('\n', out);
	}
}

static json_object *json_thread(const struct view *view, const struct ulp_thread_state *thread)
{
	json_object *object = json_new();

	json_put(object, "tid", json_object_new_int(thread->tid));
	json_put(object, "name", json_text(thread->name));
	json_put(object, "universe", json_text(universe(view, thread)));
	json_put(object, "switched", json_object_new_boolean(thread->switched));
	json_put(object, "function", thread->function[0] ? json_text(thread->function) : NULL);
	json_put(object, "frame", json_object_new_int64(thread->frame));
	return object;
}

static void put_entry(const struct tool *tool, FILE *out, const struct ulp_applied *entry)
{
	fprintf(out, "    %.12s ", entry->id);
	put_text(out, entry->name);
	fputs(": ", out);
	put_colored(tool, out, strcmp(entry->state, "active") ? COLOR_YELLOW : COLOR_GREEN,
		    entry->state);
	if (is_moving(entry))
		fprintf(out, ", %zu thread%s left,", entry->waiting, entry->waiting == 1 ? "" : "s");
	fputs(" since ", out);
	put_time(out, entry->applied);
	for (size_t i = 0; i < entry->nr_labels; i++) {
		fputs(i ? " " : ", ", out);
		put_text(out, entry->labels[i]);
	}
	fputs("\n      functions:", out);
	for (size_t i = 0; i < entry->nr_functions; i++) {
		fputc(' ', out);
		put_text(out, entry->functions[i]);
	}
	fputc('\n', out);
}

static void put_object(const struct view *view, const char *path, const char *build_id,
		       bool deleted)
{
	const struct ulp_object_info object = { .path = path, .build_id = build_id };
	FILE *out = view->visit->out;

	fputs("  ", out);
	put_text(out, *path ? path : "(anonymous)");
	fprintf(out, " build-id %s%s\n", *build_id ? build_id : "none",
		deleted ? " (file deleted or replaced)" : "");
	for (int i = 0; i < view->nr_entries; i++)
		if (belongs(&view->entries[i], &object))
			put_entry(view->visit->tool, out, &view->entries[i]);
}

static json_object *json_entry(const struct ulp_applied *entry)
{
	json_object *object = json_new();

	json_put(object, "id", json_text(entry->id));
	json_put(object, "file", json_text(entry->name));
	json_put(object, "labels", json_texts(entry->labels, entry->nr_labels));
	json_put(object, "functions", json_texts(entry->functions, entry->nr_functions));
	json_put(object, "active", json_object_new_boolean(entry->active));
	json_put(object, "state", json_text(entry->state));
	json_put(object, "waiting", json_object_new_int64((int64_t)entry->waiting));
	json_put(object, "sequence", json_object_new_int64((int64_t)entry->sequence));
	json_put(object, "changed", json_object_new_int64(entry->applied));
	json_put(object, "uid", json_object_new_int64(entry->uid));
	return object;
}

static json_object *json_one(const struct view *view, const char *path, const char *build_id,
			     bool loaded, bool deleted)
{
	const struct ulp_object_info wanted = { .path = path, .build_id = build_id };
	json_object *object = json_new(), *list;

	json_put(object, "path", json_text(path));
	json_put(object, "build_id", json_text(build_id));
	json_put(object, "loaded", json_object_new_boolean(loaded));
	json_put(object, "deleted", json_object_new_boolean(deleted));
	list = json_list(object, "patches");
	for (int i = 0; i < view->nr_entries; i++)
		if (belongs(&view->entries[i], &wanted))
			json_object_array_add(list, json_entry(&view->entries[i]));
	return object;
}

/* Whether an orphan of the same object came before. */
static bool is_shown(const struct view *view, int index)
{
	const struct ulp_object_info object = {
		.path = view->entries[index].object, .build_id = view->entries[index].build_id,
	};

	for (int i = 0; i < index; i++)
		if (belongs(&view->entries[i], &object))
			return true;
	return false;
}

static void show_objects(const struct view *view, json_object *list)
{
	const struct options *options = &view->visit->tool->options;

	for (int i = 0; i < view->nr_objects; i++) {
		const struct ulp_object_info *object = &view->objects[i];

		if (!is_wanted(view, i))
			continue;
		if (list)
			json_object_array_add(list, json_one(view, object->path, object->build_id,
							     true, object->deleted));
		else
			put_object(view, object->path, object->build_id, object->deleted);
	}
	for (int i = 0; i < view->nr_entries; i++) {
		const struct ulp_applied *entry = &view->entries[i];

		if (options->build_id || options->only_livepatched ||
		    !is_orphan(view, entry) || is_shown(view, i))
			continue;
		if (list)
			json_object_array_add(list, json_one(view, entry->object, entry->build_id,
							     false, true));
		else
			put_object(view, entry->object, entry->build_id, true);
	}
}

/* A process that was named is shown whatever it has; of all those with something. */
static bool is_worth_it(const struct view *view)
{
	const struct options *options = &view->visit->tool->options;

	if (!view->visit->all && !options->only_livepatched && !options->build_id)
		return true;
	for (int i = 0; i < view->nr_objects; i++)
		if (is_wanted(view, i))
			return true;
	return view->nr_entries && !options->build_id && !options->only_livepatched;
}

static json_object *json_preload(struct visit *visit)
{
	struct ulp_preload_info info = { .sz = sizeof(info) };
	json_object *object;

	if (ulp_target_preload(visit->target, &info))
		return NULL;
	object = json_new();
	json_put(object, "version", json_object_new_int64(info.version));
	json_put(object, "patchable", json_object_new_boolean(info.patchable));
	json_put(object, "cause", json_text(info.cause));
	return object;
}

static void put_preload(struct visit *visit)
{
	struct ulp_preload_info info = { .sz = sizeof(info) };

	if (!ulp_target_preload(visit->target, &info) && !info.patchable)
		fprintf(visit->out, "  takes no patches (%s)\n", info.cause);
}

static void show_process(const struct view *view)
{
	struct visit *visit = view->visit;
	json_object *object, *list;

	if (visit->json) {
		object = json_new();
		json_put(object, "pid", json_object_new_int(visit->process->pid));
		json_put(object, "name", json_text(visit->process->name));
		json_put(object, "preload", json_preload(visit));
		show_objects(view, json_list(object, "objects"));
		list = view->nr_threads ? json_list(object, "threads") : NULL;
		for (int i = 0; i < view->nr_threads; i++)
			json_object_array_add(list, json_thread(view, &view->threads[i]));
		json_object_array_add(visit->json, object);
		return;
	}
	if (visit->tool->options.quiet)
		return;
	put_text(visit->out, visit->process->name);
	fprintf(visit->out, " (pid: %d)%s\n", (int)visit->process->pid,
		view->nr_entries ? "" : ": no patches");
	put_preload(visit);
	show_objects(view, NULL);
	put_threads(view);
}

/* What the target has; false after it was told why that cannot be seen. */
static bool look(struct view *view)
{
	struct visit *visit = view->visit;

	view->nr_objects = ulp_target_objects(visit->target, &view->objects);
	if (view->nr_objects >= 0)
		view->nr_entries = ulp_target_applied(visit->target, &view->entries);
	if (view->nr_objects >= 0 && view->nr_entries >= 0)
		return true;
	visit->code = view->nr_objects < 0 ? view->nr_objects : view->nr_entries;
	snprintf(visit->message, sizeof(visit->message), "%s", ulp_error(visit->ctx));
	visit_unopened(visit);
	return false;
}

static void visit_patches(struct visit *visit)
{
	struct view view = { .visit = visit };
	bool active = false, moving = false;

	if (!visit->target) {
		visit_unopened(visit);
		return;
	}
	if (!look(&view))
		return;
	for (int i = 0; i < view.nr_entries; i++) {
		active |= view.entries[i].active;
		moving |= is_moving(&view.entries[i]);
	}
	/* The threads are for the module to tell; without it there is the number left. */
	if (moving) {
		view.nr_threads = ulp_target_threads(visit->target, &view.threads);
		if (!look(&view))
			return;
	}
	if (view.nr_threads < 0)
		view.nr_threads = 0;
	visit->tally.success++;
	visit->tally.hidden += !active;
	if (is_worth_it(&view))
		show_process(&view);
}

void cmd_patches(struct tool *tool)
{
	bool all;

	if (!takes_no_argument(tool))
		return;
	all = visit_selected(tool, visit_patches, "processes");
	if (all && !tool->document && !tool->options.quiet)
		printf("%s: processes with patches: %zu, without: %zu\n", tool->name,
		       tool->tally.success - tool->tally.hidden, tool->tally.hidden);
}
