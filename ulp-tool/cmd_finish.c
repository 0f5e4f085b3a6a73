// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool finish: threads that have not switched yet
 */
#include <stdlib.h>
#include <string.h>

#include "cmds.h"

/* Name of the patch that threads are switching to or back from, or "". */
static void patch_name(struct visit *visit, char *out, size_t size)
{
	const struct ulp_applied *entries;
	int nr = visit->target ? ulp_target_applied(visit->target, &entries) : 0;

	out[0] = '\0';
	for (int i = 0; i < nr; i++)
		if (!strcmp(entries[i].state, "switching") ||
		    !strcmp(entries[i].state, "returning"))
			snprintf(out, size, "%s", entries[i].name);
}

static void visit_finish(struct visit *visit)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	char name[ULP_NAME_MAX + 1];
	struct outcome outcome = { .action = "finish", .patch = name };

	patch_name(visit, name, sizeof(name));
	if (!visit->target) {
		outcome_unopened(visit, &outcome);
		return;
	}
	result.code = ulp_finish(visit->target, &visit->tool->options.change, &result);
	outcome.result = &result;
	outcome_add(visit, &outcome);
}

void cmd_finish(struct tool *tool)
{
	if (!takes_no_argument(tool))
		return;
	visit_selected(tool, visit_finish, "results");
	outcome_summary(tool);
}
