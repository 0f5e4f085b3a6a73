// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Seeing a switch through, thread by thread.  All that is known is in the target:
 * whoever comes later goes on where the last one stopped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define PAUSE_NS	2000000ULL	/* between two rounds; doubled each time */
#define PAUSE_MAX_NS	100000000ULL
#define SPARE_THREADS	64
#define STALE_MAX	20		/* rounds in a row in which the target changed */

/* One look at all threads. */
struct round {
	const struct ulp_options *options;
	uint64_t deadline;
	bool only_look;
	bool done;			/* no patch is being switched */
	size_t waiting;
	size_t nr;
	struct ulp_thread_state *threads;
	char message[512];		/* about the first that waits */
	struct ulp_result worst;	/* of the first that waits */
	struct ulp_result *result;	/* what all transactions tell */
};

static int list_members(struct ulp_target *target, int session, uint64_t table,
			struct ulp_member **out, struct ulp_members *m)
{
	uint32_t room = SPARE_THREADS;
	int err;

	for (;;) {
		*out = calloc(room, sizeof(**out));
		if (!*out)
			return -ENOMEM;
		*m = (struct ulp_members){
			.table = table, .threads = (uintptr_t)*out, .nr_threads = room,
		};
		err = ulp_sys_members(session, m);
		if (err || m->out_threads <= room || room == ULP_MEMBERS_MAX)
			break;
		free(*out);
		room = m->out_threads + SPARE_THREADS;
		room = room < ULP_MEMBERS_MAX ? room : ULP_MEMBERS_MAX;
	}
	if (err == -EALREADY)
		return ulp_target_busy(target);
	if (err == -EAGAIN)
		return -ESTALE;		/* threads were born faster than it was made ready */
	if (err == -ESRCH)
		return ulp_target_gone(target);
	if (err)
		return ulp_err(target->ctx, err, "%s (pid %d): cannot list its threads: %s",
			       target->name, target->pid, strerror(-err));
	return 0;
}

/* It may be tried again in the next round. */
static bool is_passing(int err)
{
	return err == -ULP_E_BUSY || err == -ULP_E_LIMIT || err == -ULP_E_CHANGING ||
	       err == -ULP_E_TRACED;
}

static int advance(struct ulp_target *target, int session, const struct ulp_found *found,
		   struct round *round, struct ulp_thread_state *thread)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	struct ulp_options options = *round->options;
	struct ulp_plan plan = { .target = target, .result = &result };
	int err;

	options.attempts = 1;
	options.dry_run = round->only_look;
	err = ulp_universe_advance(target, &plan, found, thread->tid);
	if (!err)
		err = ulp_plan_run(&plan, session, &options, round->deadline);
	ulp_plan_free(&plan);
	ulp_result_add(round->result, &result);
	if (err == -ENOENT)
		err = 0;
	if (!is_passing(err)) {
		thread->switched = !err && !round->only_look;
		return err;
	}
	snprintf(thread->function, sizeof(thread->function), "%s", result.blocker_function);
	thread->frame = result.blocker_frame;
	if (!round->waiting++) {
		round->worst = result;
		snprintf(round->message, sizeof(round->message), "%s", ulp_error(target->ctx));
	}
	return 0;
}

static int end(struct ulp_target *target, int session, const struct ulp_found *found,
	       struct round *round)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	struct ulp_plan plan = { .target = target, .result = &result };
	int err = ulp_universe_end(target, &plan, found);

	if (!err)
		err = ulp_plan_run(&plan, session, round->options, round->deadline);
	ulp_plan_free(&plan);
	ulp_result_add(round->result, &result);
	if (!err)
		round->done = true;
	return err;
}

static int look(struct ulp_target *target, int session, const struct ulp_found *found,
		struct round *round)
{
	struct ulp_member *members = NULL;
	struct ulp_members m = { 0 };
	uint32_t nr;
	int err = list_members(target, session, found->table, &members, &m);

	nr = m.out_threads < m.nr_threads ? m.out_threads : m.nr_threads;
	free(round->threads);
	round->threads = err ? NULL : calloc(nr + 1, sizeof(*round->threads));
	round->nr = 0;
	round->waiting = 0;
	if (!err && !round->threads)
		err = -ENOMEM;
	for (uint32_t i = 0; i < nr && !err; i++) {
		struct ulp_thread_state *thread = &round->threads[round->nr++];

		thread->tid = members[i].tid;
		thread->switched = !members[i].member;
		ulp_thread_name(target->pid, thread->tid, thread->name, sizeof(thread->name));
		if (members[i].member)
			err = advance(target, session, found, round, thread);
	}
	free(members);
	/* The next look finds the table empty. */
	if (!err && !m.out_members && !round->only_look)
		err = end(target, session, found, round);
	return err;
}

static int one_round(struct ulp_target *target, struct round *round)
{
	const struct ulp_found *found;
	int session, err = ulp_records_read(target);

	if (err)
		return err;
	found = ulp_records_moving(target->records);
	if (!found) {
		round->done = true;
		return 0;
	}
	err = ulp_sys_open(target->ctx);
	if (!err && !(target->ctx->features & ULP_FEATURE_UNIVERSE))
		err = ulp_err(target->ctx, -ULP_E_CONSISTENCY,
			      "%s (pid %d): this ulp.ko is too old to switch threads one by one",
			      target->name, target->pid);
	if (err)
		return err;
	session = ulp_session_open(target);
	if (session < 0)
		return session;
	err = look(target, session, found, round);
	close(session);
	return err;
}

static int still_switching(struct ulp_target *target, const struct round *round,
			   struct ulp_result *result)
{
	const struct ulp_found *found = ulp_records_moving(target->records);
	bool forth = !found || found->record->state == ULP_RECORD_SWITCHING;
	/* What a refusal ends in says nothing here. */
	const char *detail = round->message, *tail = strstr(detail, "; nothing was changed");
	int length_shown = (int)(tail ? tail - detail : (ptrdiff_t)strlen(detail));
	char start[64];
	size_t length = snprintf(start, sizeof(start), "%s (pid %d): ", target->name, target->pid);

	if (length < sizeof(start) && !strncmp(detail, start, length)) {
		detail += length;
		length_shown -= (int)length;
	}
	result->blocker_tid = round->worst.blocker_tid;
	result->blocker_ip = round->worst.blocker_ip;
	result->blocker_slot = round->worst.blocker_slot;
	result->blocker_value = round->worst.blocker_value;
	result->blocker_frame = round->worst.blocker_frame;
	memcpy(result->blocker_function, round->worst.blocker_function,
	       sizeof(result->blocker_function));
	memcpy(result->blocker_thread, round->worst.blocker_thread,
	       sizeof(result->blocker_thread));
	memcpy(result->blocker_backtrace, round->worst.blocker_backtrace,
	       sizeof(result->blocker_backtrace));
	return ulp_err(target->ctx, -ULP_E_SWITCHING,
		       "%s (pid %d): %zu of %zu threads still run the %s code; \"ulp-tool finish\" goes on%s%.*s",
		       target->name, target->pid, round->waiting, round->nr,
		       forth ? "old" : "new", detail[0] ? ": " : "", length_shown, detail);
}

static int kept_changing(struct ulp_target *target)
{
	return ulp_err(target->ctx, -ULP_E_CHANGING,
		       "%s (pid %d): it changed each time between reading and switching; try again",
		       target->name, target->pid);
}

int ulp_switching_finish(struct ulp_target *target, const struct ulp_options *options,
			 uint64_t deadline, struct ulp_result *result)
{
	struct round round = { .options = options, .deadline = deadline, .result = result };
	uint64_t pause = PAUSE_NS;
	unsigned int stale = 0;
	int err;

	for (;;) {
		round.message[0] = '\0';
		err = one_round(target, &round);
		/* a transaction has told of the one thread that it was about */
		if (round.nr)
			result->threads = (uint32_t)round.nr;
		stale = err == -ESTALE ? stale + 1 : 0;
		if (err && err != -ULP_E_TRACED && (err != -ESTALE || stale == STALE_MAX))
			break;
		result->waiting = (uint32_t)round.waiting;
		if (round.done)
			break;
		/* All have switched in this round: once more for the entries. */
		if (err || round.waiting) {
			if (ulp_now_ns() + pause >= deadline) {
				err = still_switching(target, &round, result);
				break;
			}
			ulp_pause_ns(pause);
			if (pause < PAUSE_MAX_NS)
				pause *= 2;
		}
		target->outdated = true;
	}
	if (err == -ESTALE)
		err = kept_changing(target);
	free(round.threads);
	return err;
}

int ulp_finish(struct ulp_target *target, const struct ulp_options *given,
	       struct ulp_result *out)
{
	struct ulp_result result = { .sz = sizeof(result), .proof = "" };
	const struct ulp_found *found = NULL;
	struct ulp_options options;
	int err;

	target->ctx->error[0] = '\0';
	err = ulp_options_read(target->ctx, given, &options);
	if (!err)
		err = ulp_records_read(target);
	if (!err)
		found = ulp_records_moving(target->records);
	if (found)
		memcpy(result.id, found->id_hex, sizeof(result.id));
	if (!err && !found)
		err = ulp_err(target->ctx, -ULP_E_NOT_SWITCHING,
			      "%s (pid %d): no patch of it is being switched", target->name,
			      target->pid);
	if (!err)
		err = ulp_switching_finish(target, &options, ulp_options_deadline(&options),
					   &result);
	ulp_result_give(target, err, &result, out);
	return err;
}

int ulp_target_threads(struct ulp_target *target, const struct ulp_thread_state **out)
{
	const struct ulp_options options = { .sz = sizeof(options) };
	struct ulp_result nobody_asks = { .sz = sizeof(nobody_asks) };
	struct round round = {
		.options = &options, .deadline = ulp_now_ns() + 1000000000, .only_look = true,
		.result = &nobody_asks,
	};
	unsigned int tries = 0;
	int err;

	for (;;) {
		err = one_round(target, &round);
		if ((err != -ESTALE && err != -ULP_E_TRACED) || ++tries == STALE_MAX)
			break;
		ulp_pause_ns(PAUSE_NS);
		target->outdated = true;
	}
	if (err == -ESTALE)
		err = kept_changing(target);
	free(target->threads);
	target->threads = round.threads;
	*out = target->threads;
	return err ? err : round.done ? 0 : (int)round.nr;
}
