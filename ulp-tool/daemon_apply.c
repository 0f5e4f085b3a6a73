// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is enabled, applied to one process.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../uapi/ulp_sensor.h"
#include "daemon.h"

/* Whether one of the patch's objects is there. */
static bool is_wanted(const struct ulp_patch *patch, const struct ulp_object_info *objects,
		      size_t nr)
{
	const struct ulp_patch_target *targets;
	size_t nr_targets = ulp_patch_targets(patch, &targets);

	for (size_t i = 0; i < nr_targets; i++)
		for (size_t k = 0; k < nr; k++)
			if (!strcmp(targets[i].build_id, objects[k].build_id))
				return true;
	return false;
}

/* A function of both, or NULL. */
static const char *shared_function(const struct ulp_patch_target *one,
				   const struct ulp_patch_target *other)
{
	for (size_t i = 0; i < one->nr_functions; i++)
		for (size_t k = 0; k < other->nr_functions; k++)
			if (one->functions[i].old_value == other->functions[k].old_value)
				return one->functions[i].old_name;
	return NULL;
}

/* Whether both change one object; @function receives a function of both, or NULL. */
static bool share_object(const struct ulp_patch *one, const struct ulp_patch *other,
			 const char **function)
{
	const struct ulp_patch_target *a, *b;
	size_t nr_a = ulp_patch_targets(one, &a), nr_b = ulp_patch_targets(other, &b);
	bool found = false;

	*function = NULL;
	for (size_t i = 0; i < nr_a; i++)
		for (size_t k = 0; k < nr_b && !*function; k++)
			if (!strcmp(a[i].build_id, b[k].build_id)) {
				found = true;
				*function = shared_function(&a[i], &b[k]);
			}
	return found;
}

/* What was enabled later must not come below what is busy. */
static void keep_order(const struct ulp_enabled_entry *entries, bool *wanted, size_t busy,
		       size_t nr)
{
	const char *function;

	for (size_t i = busy + 1; i < nr; i++)
		wanted[i] = wanted[i] &&
			    !share_object(entries[busy].patch, entries[i].patch, &function);
}

static bool is_active(const struct ulp_applied *applied, size_t nr, const struct ulp_patch *patch)
{
	for (size_t i = 0; i < nr; i++)
		if (applied[i].active && !strcmp(applied[i].id, ulp_patch_id(patch)))
			return true;
	return false;
}

/*
 * What was refused when that came, or reverted since, must not come on top of what was
 * enabled later: functions of both would be the older ones.
 */
static void keep_below(struct worker *worker, struct ulp_target *target,
		       const struct ulp_enabled_entry *entries, bool *wanted, size_t nr)
{
	const struct ulp_applied *applied;
	int nr_applied = ulp_target_applied(target, &applied);
	const char *function;
	bool active[nr + 1];

	if (nr_applied <= 0)
		return;
	for (size_t i = 0; i < nr; i++)
		active[i] = wanted[i] && is_active(applied, (size_t)nr_applied, entries[i].patch);
	for (size_t i = 0; i < nr; i++) {
		if (!wanted[i] || active[i])
			continue;
		for (size_t k = i + 1; k < nr && wanted[i]; k++) {
			if (!active[k] ||
			    !share_object(entries[i].patch, entries[k].patch, &function) ||
			    !function)
				continue;
			wanted[i] = false;
			daemon_say(worker->daemon, SAY_WARNING,
				   "%s (pid: %d): %s is not applied: %s, which was enabled later, is there already and replaces %s as well; revert that, and both are applied in order",
				   ulp_target_name(target), (int)ulp_target_pid(target),
				   ulp_patch_name(entries[i].patch),
				   ulp_patch_name(entries[k].patch), function);
		}
	}
}

/* We have run out of something; the process may be as it should. */
static bool is_passing(int code)
{
	return code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -EAGAIN;
}

static bool is_to_be_tried_again(int code)
{
	return ulp_code_is_busy(code) || ulp_code_is_switching(code) || is_passing(code);
}

static void note_busy(struct worker *worker, const char *message, int err, uint32_t blocker)
{
	if (!worker->busy)
		snprintf(worker->message, sizeof(worker->message), "%s (%s)", message,
			 ulp_reason(err));
	worker->busy = true;
	worker->blocker = (pid_t)blocker;
}

static void say_applied(const struct worker *worker, const struct ulp_target *target,
			const struct ulp_patch *patch, const struct ulp_result *result)
{
	daemon_say(worker->daemon, SAY_NOTE,
		   "%s (pid: %d): %s applied (%" PRIu64 ".%03u ms frozen, attempt %u)",
		   ulp_target_name(target), (int)ulp_target_pid(target), ulp_patch_name(patch),
		   result->freeze_ns / 1000000, (unsigned int)(result->freeze_ns / 1000 % 1000),
		   result->attempts);
}

/* How many of the @nr patches were applied, or the code of one that was not. */
static int apply_all(struct worker *worker, struct ulp_target *target,
		     const struct ulp_enabled_entry *entries, size_t nr)
{
	const struct ulp_object_info *objects;
	int nr_objects = ulp_target_objects(target, &objects), applied = 0, code = 0, err;
	bool wanted[nr + 1], any = false;

	if (nr_objects < 0)
		return nr_objects;
	/* all of them first: a change of the target makes the objects invalid */
	for (size_t i = 0; i < nr; i++) {
		wanted[i] = entries[i].patch &&
			    is_wanted(entries[i].patch, objects, (size_t)nr_objects);
		any |= wanted[i];
	}
	if (any)
		keep_below(worker, target, entries, wanted, nr);
	for (size_t i = 0; i < nr; i++) {
		struct ulp_result result = { .sz = sizeof(result), .proof = "" };

		if (!wanted[i])
			continue;
		err = ulp_apply(target, entries[i].patch, &worker->options, &result);
		if (is_gone(err))
			return applied;
		if (!err) {
			applied++;
			say_applied(worker, target, entries[i].patch, &result);
		} else if (is_to_be_tried_again(err)) {
			code = err;
			note_busy(worker, result.message, err, result.blocker_tid);
			keep_order(entries, wanted, i, nr);
		} else if (err == -ULP_E_OPTED_OUT) {
			daemon_say(worker->daemon, SAY_DETAIL, "%s", result.message);
		} else if (!ulp_code_is_nothing(err)) {
			code = err;
			daemon_say(worker->daemon, SAY_WARNING, "%s (%s)", result.message,
				   ulp_reason(err));
		}
	}
	return code ? code : applied;
}

static int apply_enabled(struct worker *worker, struct ulp_target *target)
{
	struct daemon_list *list = daemon_list_get(worker->daemon);
	const struct ulp_enabled_entry *entries;
	size_t nr = daemon_list_entries(list, &entries);
	int applied = apply_all(worker, target, entries, nr);

	daemon_list_put(worker->daemon, list);
	return applied;
}

/* 1; 0: it is static; else what it loads later does not get patched in time. */
static int arm_linker(struct worker *worker, struct ulp_target *target)
{
	int linker = ulp_sensor_arm(worker->daemon->sensor, target);

	if (linker < 0)
		daemon_say(worker->daemon,
			   linker == -ULP_E_NOT_TARGET || is_gone(linker) ? SAY_DETAIL :
									    SAY_WARNING,
			   "%s", ulp_error(worker->ctx));
	return linker;
}

static int serve(struct worker *worker, pid_t pid, uint32_t place)
{
	struct daemon_state *daemon = worker->daemon;
	struct ulp_target *target;
	int err, linker = 1;

	err = ulp_target_open(worker->ctx, pid, &target);
	if (is_passing(err))
		note_busy(worker, ulp_error(worker->ctx), err, 0);
	else if (err)
		/* gone, a kernel thread, or no program of ours */
		daemon_say(daemon, SAY_DETAIL, "%s", ulp_error(worker->ctx));
	if (err)
		return err;
	if (place != ULP_PLACE_LINK)
		linker = arm_linker(worker, target);
	/* at its start there is nothing but the program yet, and that only if it is static */
	if (!(place == ULP_PLACE_EXEC && linker) &&
	    !(place == ULP_PLACE_MISSED && daemon->tool->options.only_new))
		err = apply_enabled(worker, target);
	ulp_target_close(target);
	return err;
}

int worker_serve(struct worker *worker, pid_t pid, uint32_t place)
{
	int applied;

	worker->busy = false;
	worker->blocker = 0;
	if (!worker_begin(worker, pid)) {
		daemon_say(worker->daemon, SAY_DETAIL,
			   "process %d is passed over: another thread is still at it", (int)pid);
		return -EBUSY;
	}
	applied = serve(worker, pid, place);
	worker_end(worker);
	return applied;
}

void worker_leave_for_later(struct worker *worker, pid_t pid)
{
	if (!worker->busy)
		return;
	daemon_say(worker->daemon, SAY_WARNING, "%s; it will be tried again", worker->message);
	daemon_later(worker->daemon, pid, worker->blocker);
}
