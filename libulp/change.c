// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A change of a target, apply or revert: the file to read first.
 *
 *	plan (apply.c, revert.c) -> open a session -> map the image (image.c)
 *	-> transact: freeze, check, write, thaw (plan.c)
 *
 * Everything up to the transaction works on what was read from the target while
 * it ran.  The transaction compares again what it overwrites, and is refused if
 * another tool has changed the target since the session was opened; then, and if the
 * records had changed before, all of it is done again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_TIMEOUT_NS	10000000000ULL
/* How often the whole sequence is done again when the target changed. */
#define CHANGE_LIMIT		5
/* How often foreign bytes are looked at again before they are believed. */
#define DOUBT_LIMIT		2
/* While another tool is at it; doubled each time. */
#define PAUSE_NS		1000000ULL
#define PAUSE_MAX_NS		100000000ULL

int ulp_session_open(struct ulp_target *target)
{
	int session;

	if (!target->mem_writable)
		return ulp_err(target->ctx, -ULP_E_PERMISSION,
			       "%s (pid %d): its memory may not be written by this user; run as root",
			       target->name, target->pid);
	session = ulp_sys_session_open(target->ctx->dev, target->mem);
	if (session == -ESRCH)
		return ulp_target_gone(target);
	if (session == -EPERM || session == -EACCES)
		return ulp_err(target->ctx, -ULP_E_PERMISSION,
			       "%s (pid %d): ulp.ko refuses a session: %s (kernel lockdown, or other credentials than those the process was opened with)",
			       target->name, target->pid, strerror(-session));
	if (session < 0)
		return ulp_err(target->ctx, session, "%s (pid %d): cannot open a session: %s",
			       target->name, target->pid, strerror(-session));
	return session;
}

int ulp_options_read(struct ulp_context *ctx, const struct ulp_options *given,
		     struct ulp_options *options)
{
	const uint8_t *tail = (const uint8_t *)given;

	memset(options, 0, sizeof(*options));
	if (!given)
		return 0;
	for (size_t i = sizeof(*options); i < given->sz; i++)
		if (tail[i])
			return ulp_err(ctx, -E2BIG,
				       "struct ulp_options has fields this library does not know");
	memcpy(options, given, given->sz < sizeof(*options) ? given->sz : sizeof(*options));
	return 0;
}

uint64_t ulp_options_deadline(const struct ulp_options *options)
{
	return ulp_now_ns() + (options->timeout_ns ? options->timeout_ns : DEFAULT_TIMEOUT_NS);
}

void ulp_result_give(struct ulp_target *target, int err, struct ulp_result *result,
		     struct ulp_result *out)
{
	size_t size;

	result->code = err;
	result->message[0] = '\0';
	if (err)
		snprintf(result->message, sizeof(result->message), "%s", ulp_error(target->ctx));
	if (!out)
		return;
	size = out->sz < sizeof(*result) ? out->sz : sizeof(*result);
	result->sz = out->sz;
	memcpy(out, result, size);
}

/* One time through; -ESTALE: again. */
static int change_once(struct ulp_target *target, const struct ulp_change_ops *ops, void *arg,
		       const struct ulp_options *options, uint64_t deadline,
		       struct ulp_result *result)
{
	struct ulp_plan plan = {
		.target = target, .result = result, .check_stack = options->check_stack,
		.ignore_opt_out = options->ignore_opt_out,
		.by_thread = options->consistency == ULP_CONSISTENCY_THREAD,
	};
	int session = -1, err;

	plan.patch_may_scan = options->scan_memory == ULP_SCAN_AUTO;
	plan.scan_memory = options->scan_memory == ULP_SCAN_ALWAYS ||
			   (options->scan_memory == ULP_SCAN_AUTO &&
			    ulp_target_has_contexts(target));
	err = ulp_records_read(target);
	if (!err)
		err = ops->plan(target, &plan, arg);
	if (!err)
		err = ulp_sys_open(target->ctx);
	if (!err) {
		session = ulp_session_open(target);
		err = session < 0 ? session : 0;
	}
	if (!err && !ulp_records_same(target))
		err = ulp_target_busy(target);
	if (!err && ops->map)
		err = ops->map(target, session, arg);
	if (!err)
		err = ulp_plan_run(&plan, session, options, deadline);
	/* Whatever it looked like to who met it first. */
	if (err && err != -ULP_E_NO_PROCESS && !ulp_memory_alive(target))
		err = ulp_target_gone(target);
	/* Closing it takes back what was mapped and not committed. */
	if (session >= 0)
		close(session);
	ulp_plan_free(&plan);
	return err;
}

int ulp_change(struct ulp_target *target, const struct ulp_change_ops *ops, void *arg,
	       const struct ulp_options *given, struct ulp_result *out)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	struct ulp_options options;
	uint64_t deadline, pause = PAUSE_NS;
	unsigned int changed = 0;
	int err;

	target->ctx->error[0] = '\0';
	err = ulp_options_read(target->ctx, given, &options);
	deadline = ulp_options_deadline(&options);
	while (!err) {
		err = change_once(target, ops, arg, &options, deadline, &result);
		if (err == -ULP_E_TRACED && ulp_now_ns() + pause < deadline) {
			/* Another tool's turn; it is short. */
			ulp_pause_ns(pause);
			if (pause < PAUSE_MAX_NS)
				pause *= 2;
		} else if ((err == -ULP_E_FOREIGN_HOOK || err == -ULP_E_BYTES_DIFFER) &&
			   changed < DOUBT_LIMIT) {
			/* Records and code were not read at one instant: look again. */
			changed++;
		} else if (err != -ESTALE) {
			break;
		} else if (++changed == CHANGE_LIMIT) {
			err = ulp_err(target->ctx, -ULP_E_CHANGING,
				      "%s (pid %d): it changed each time between reading and patching; nothing was changed, try again",
				      target->name, target->pid);
			break;
		}
		err = 0;
		target->outdated = true;
	}
	if (!err && !options.dry_run)
		target->outdated = true;
	if (err == -ENOMEM)
		ulp_err(target->ctx, err, "%s (pid %d): out of memory", target->name, target->pid);
	ulp_result_give(target, err, &result, out);
	return err;
}

int ulp_change_by_thread(struct ulp_target *target, const struct ulp_change_ops *ops, void *arg,
			 const struct ulp_options *given, struct ulp_result *out)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	struct ulp_options options;
	uint64_t deadline;
	int err = ulp_change(target, ops, arg, given, &result);

	if ((err && err != -EALREADY) || ulp_options_read(target->ctx, given, &options)) {
		ulp_result_give(target, err, &result, out);
		return err;
	}
	deadline = ulp_options_deadline(&options);
	err = 0;
	if (!options.dry_run)
		err = ulp_switching_finish(target, &options, deadline, &result);
	ulp_result_give(target, err, &result, out);
	return err;
}
