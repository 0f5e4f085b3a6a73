// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool messages
 */
#include <inttypes.h>

#include "cmds.h"

static void put_messages(const struct visit *visit, const struct ulp_message *messages, int nr,
			 uint64_t lost)
{
	FILE *out = visit->out;

	put_process(out, visit->process);
	fprintf(out, "%d message%s", nr, nr == 1 ? "" : "s");
	if (lost)
		fprintf(out, " (%" PRIu64 " older ones are lost)", lost);
	fputc('\n', out);
	for (int i = 0; i < nr; i++) {
		fputs("  ", out);
		put_time(out, (int64_t)(messages[i].time_ns / 1000000000));
		fprintf(out, " %s: ", messages[i].kind);
		put_text(out, messages[i].text);
		fputc('\n', out);
	}
}

static json_object *json_messages(const struct visit *visit, const struct ulp_message *messages,
				  int nr, uint64_t lost)
{
	json_object *object = json_new(), *list;

	json_put(object, "pid", json_object_new_int(visit->process->pid));
	json_put(object, "name", json_text(visit->process->name));
	json_put(object, "lost", json_object_new_int64((int64_t)lost));
	list = json_list(object, "messages");
	for (int i = 0; i < nr; i++) {
		json_object *message = json_new();

		json_put(message, "number", json_object_new_int64((int64_t)messages[i].number));
		json_put(message, "time_ns", json_object_new_int64((int64_t)messages[i].time_ns));
		json_put(message, "kind", json_text(messages[i].kind));
		json_put(message, "text", json_text(messages[i].text));
		json_object_array_add(list, message);
	}
	return object;
}

static void visit_messages(struct visit *visit)
{
	const struct ulp_message *messages;
	uint64_t lost;
	int nr = 0;

	if (visit->target) {
		nr = ulp_target_messages(visit->target, &messages, &lost);
		if (nr < 0) {
			visit->code = nr;
			snprintf(visit->message, sizeof(visit->message), "%s",
				 ulp_error(visit->ctx));
		}
	}
	if (!visit->target || nr < 0) {
		visit_unopened(visit);
		return;
	}
	visit->tally.success++;
	/* of all processes those that have something to say */
	if (visit->all && !nr && !visit->tool->options.verbose)
		return;
	if (visit->json)
		json_object_array_add(visit->json, json_messages(visit, messages, nr, lost));
	else if (!visit->tool->options.quiet)
		put_messages(visit, messages, nr, lost);
}

void cmd_messages(struct tool *tool)
{
	bool all;

	if (!takes_no_argument(tool))
		return;
	all = visit_selected(tool, visit_messages, "processes");
	if (all && !tool->document && !tool->options.quiet)
		printf("%s: processes with the preload library: %zu\n", tool->name,
		       tool->tally.success);
}
