// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether this process takes patches: the rules of rules.h, asked once.
 */
#include "preload.h"
#include "rules.h"

WEAK(fnmatch);

void decide(char *const *environment)
{
	const struct rules_process process = {
		.environment = environment,
		.exe = "/proc/self/exe",
		.passwd = "/etc/passwd",
		.group = "/etc/group",
		.uid = (uint32_t)system_call(SYS_getuid, 0, 0, 0),
		.gid = (uint32_t)system_call(SYS_getgid, 0, 0, 0),
		.match = fnmatch,
	};
	enum ulp_preload_cause cause;
	struct rules_answer answer;
	struct line line;

	cause = rules_decide(&process, &answer);
	if (cause == ULP_PRELOAD_CAUSE_NONE)
		return;
	ulp_preload_block.head.state = ULP_PRELOAD_OPTED_OUT;
	ulp_preload_block.head.cause = cause;
	line.length = 0;
	line_put(&line, answer.prefix);
	line_put(&line, answer.variable);
	line_put(&line, *answer.item ? " has " : ": the path of the program is unknown");
	line_put(&line, answer.item);
	say(ULP_PRELOAD_OPT_OUT, &line);
}
