// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool set-patchable
 */
#include <string.h>

#include "cmds.h"

static json_object *json_result(const struct visit *visit, enum verdict verdict, int code)
{
	json_object *object = json_new();

	json_put(object, "pid", json_object_new_int(visit->process->pid));
	json_put(object, "name", json_text(visit->process->name));
	json_put(object, "status", json_text(verdict_status(verdict)));
	json_put(object, "reason", json_text(ulp_reason(code)));
	json_put(object, "message", json_text(visit->message));
	return object;
}

static void visit_patchable(struct visit *visit, bool patchable)
{
	const struct options *options = &visit->tool->options;
	enum verdict verdict;
	int code = visit->code;

	if (visit->target) {
		code = ulp_set_patchable(visit->target, patchable, &options->change);
		if (code)
			snprintf(visit->message, sizeof(visit->message), "%s",
				 ulp_error(visit->ctx));
	}
	verdict = verdict_of(visit, code);
	tally_verdict(&visit->tally, verdict, code);
	/* most processes have no preload library, and many are another user's */
	if (visit->all && !options->verbose && !options->every_one) {
		if (code == -ULP_E_PERMISSION) {
			visit->tally.unreadable++;
			return;
		}
		if (verdict == SKIPPED) {
			visit->tally.hidden++;
			return;
		}
	}
	if (visit->json)
		json_object_array_add(visit->json, json_result(visit, verdict, code));
	if (options->json || (options->quiet && verdict != FAILED))
		return;
	put_process(visit->out, visit->process);
	put_verdict(visit->tool, visit->out, verdict);
	if (code)
		put_reason(visit->out, visit->process, code, visit->message);
	else
		fputs(patchable ? "takes patches\n" : "takes no patches\n", visit->out);
}

static void visit_enable(struct visit *visit)
{
	visit_patchable(visit, true);
}

static void visit_disable(struct visit *visit)
{
	visit_patchable(visit, false);
}

void cmd_set_patchable(struct tool *tool)
{
	bool enable;

	if (tool->nr_args != 1 || (strcmp(tool->args[0], "enable") != 0 &&
				   strcmp(tool->args[0], "disable") != 0)) {
		p_usage(tool, "set-patchable: say enable or disable");
		return;
	}
	enable = !strcmp(tool->args[0], "enable");
	visit_selected(tool, enable ? visit_enable : visit_disable, "results");
	outcome_summary(tool);
}
