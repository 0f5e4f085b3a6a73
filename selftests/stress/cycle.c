// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * cycle PID PATCH COUNT [any] - apply and revert a patch COUNT times
 *
 * The same calls as ulp-tool makes, without a new process for each.  Stops at
 * the first operation that fails, with exit status 1.  With "any" the process
 * may go away or change under it: that it is busy, changes or is gone is fine,
 * and is counted.  Prints what it did in one line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libulp.h"

static struct ulp_context *ctx;
static struct ulp_patch *patch;
static unsigned int done, refused, attempts;
static unsigned long long longest, longest_hold;
static unsigned int unwound;

static bool may_happen(int code)
{
	switch (-code) {
	case ULP_E_NO_PROCESS:
	case ULP_E_CHANGING:
	case ULP_E_TRACED:
	case ULP_E_NOT_TARGET:
	case ULP_E_ALREADY_APPLIED:
	case ULP_E_NOT_APPLIED:
	case ULP_E_BUSY:
		return true;
	default:
		return false;
	}
}

static int change(struct ulp_target *target, bool revert)
{
	struct ulp_options options = { .sz = sizeof(options), .timeout_ns = 60000000000ull,
				       .attempts = 200, .max_hold_ns = 5000000000ull };
	struct ulp_result result = { .sz = sizeof(result) };
	int code;

	if (revert)
		code = ulp_revert(target, ulp_patch_id(patch), &options, &result);
	else
		code = ulp_apply(target, patch, &options, &result);
	attempts += result.attempts;
	if (result.max_freeze_ns > longest)
		longest = result.max_freeze_ns;
	if (result.hold_ns > longest_hold)
		longest_hold = result.hold_ns;
	if (!code && !strcmp(result.proof, "unwound"))
		unwound++;
	return code;
}

/* Each operation opens the target anew, as different tools would. */
static int operate(pid_t pid, bool revert)
{
	struct ulp_target *target;
	int code = ulp_target_open(ctx, pid, &target);

	if (code < 0)
		return code;
	code = change(target, revert);
	ulp_target_close(target);
	return code;
}

int main(int argc, char **argv)
{
	bool any = argc == 5 && !strcmp(argv[4], "any");
	int code = 0, count;
	pid_t pid;

	if (argc < 4) {
		fprintf(stderr, "usage: cycle PID PATCH COUNT [any]\n");
		return 2;
	}
	pid = atoi(argv[1]);
	count = atoi(argv[3]);
	if (ulp_context_new(&ctx) < 0)
		return 1;
	if (ulp_patch_open(ctx, argv[2], &patch) < 0) {
		fprintf(stderr, "%s\n", ulp_error(ctx));
		return 1;
	}
	for (int i = 0; i < 2 * count; i++) {
		code = operate(pid, i & 1);
		if (!code) {
			done++;
		} else if (any && may_happen(code)) {
			refused++;
			code = 0;
		} else {
			fprintf(stderr, "%s %d: %s: %s\n", i & 1 ? "revert" : "apply", i / 2,
				ulp_reason(code), ulp_error(ctx));
			break;
		}
	}
	printf("done=%u unwound=%u refused=%u attempts=%u ", done, unwound, refused, attempts);
	printf("longest-freeze-us=%llu longest-hold-us=%llu\n", longest / 1000,
	       longest_hold / 1000);
	ulp_patch_close(patch);
	ulp_context_free(ctx);
	return code ? 1 : 0;
}
