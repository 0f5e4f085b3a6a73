// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Output for programs.  The keys are listed in ulp-tool(8): scripts depend on
 * them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmds.h"

static json_object *checked(json_object *object)
{
	if (!object)
		out_of_memory();
	return object;
}

json_object *json_new(void)
{
	return checked(json_object_new_object());
}

json_object *json_text(const char *text)
{
	char *valid = text_for_json(text);
	json_object *object = json_object_new_string(valid);

	free(valid);
	return checked(object);
}

json_object *json_texts(const char *const *texts, size_t nr)
{
	json_object *list = checked(json_object_new_array());

	for (size_t i = 0; i < nr; i++)
		json_object_array_add(list, json_text(texts[i]));
	return list;
}

/* As text: half the readers of JSON have no 64-bit integers. */
json_object *json_address(uint64_t address)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	return checked(json_object_new_string(text));
}

void json_put(json_object *object, const char *key, json_object *value)
{
	if (json_object_object_add(object, key, value))
		out_of_memory();
}

json_object *json_list(json_object *object, const char *key)
{
	json_object *list;

	if (json_object_object_get_ex(object, key, &list))
		return list;
	list = checked(json_object_new_array());
	json_put(object, key, list);
	return list;
}

static json_object *json_lines(const char *text)
{
	json_object *list = checked(json_object_new_array());
	size_t length;

	for (; *text; text += length + (text[length] == '\n')) {
		char line[256];

		length = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		json_object_array_add(list, json_text(line));
	}
	return list;
}

static json_object *json_blocker(const struct ulp_result *result)
{
	json_object *blocker = json_new();

	json_put(blocker, "tid", json_object_new_int(result->blocker_tid));
	json_put(blocker, "thread", json_text(result->blocker_thread));
	json_put(blocker, "function", json_text(result->blocker_function));
	json_put(blocker, "ip", json_address(result->blocker_ip));
	json_put(blocker, "slot", result->blocker_slot ? json_address(result->blocker_slot) : NULL);
	json_put(blocker, "value", json_address(result->blocker_value));
	json_put(blocker, "frame", json_object_new_int64(result->blocker_frame));
	json_put(blocker, "backtrace", json_lines(result->blocker_backtrace));
	return blocker;
}

json_object *json_outcome(const struct visit *visit, const struct outcome *outcome,
			  const char *status)
{
	const struct ulp_result *result = outcome->result;
	json_object *object = json_new();

	json_put(object, "pid", json_object_new_int(visit->process->pid));
	json_put(object, "name", json_text(visit->process->name));
	json_put(object, "action", json_text(outcome->action));
	json_put(object, "dry_run", json_object_new_boolean(visit->tool->options.change.dry_run));
	json_put(object, "patch", json_text(outcome->patch));
	json_put(object, "id", json_text(*result->id || !outcome->id ? result->id : outcome->id));
	json_put(object, "file", outcome->file ? json_text(outcome->file) : NULL);
	json_put(object, "object", outcome->object ? json_text(outcome->object) : NULL);
	json_put(object, "status", json_text(status));
	json_put(object, "reason", json_text(ulp_reason(result->code)));
	json_put(object, "message", json_text(result->message));
	json_put(object, "freeze_ns", json_object_new_int64((int64_t)result->freeze_ns));
	json_put(object, "max_freeze_ns", json_object_new_int64((int64_t)result->max_freeze_ns));
	json_put(object, "hold_ns", json_object_new_int64((int64_t)result->hold_ns));
	json_put(object, "attempts", json_object_new_int64(result->attempts));
	json_put(object, "threads", json_object_new_int64(result->threads));
	json_put(object, "backend", json_text(backend_name(result->backend)));
	json_put(object, "proof", json_text(result->proof ? result->proof : ""));
	json_put(object, "waiting", json_object_new_int64(result->waiting));
	json_put(object, "blocker", *result->blocker_function || result->blocker_tid ?
		 json_blocker(result) : NULL);
	return object;
}

void json_error(struct tool *tool, const char *reason, const char *message)
{
	json_object *error;

	if (!tool->document)
		return;
	error = json_new();
	json_put(error, "reason", json_text(reason));
	json_put(error, "message", json_text(message));
	json_object_array_add(json_list(tool->document, "errors"), error);
}

void json_line(json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
}

void json_finish(struct tool *tool)
{
	if (!tool->document)
		return;
	json_list(tool->document, "errors");
	puts(json_object_to_json_string_ext(tool->document, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(tool->document);
	tool->document = NULL;
}
