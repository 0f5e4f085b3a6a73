// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The plan: code no thread may be inside, bytes to be replaced; and the
 * transaction that carries it out, with its attempts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prove.h"

#define PAGE			4096ULL
#define DEFAULT_ATTEMPTS	20
#define DEFAULT_RETRY_NS	5000000ULL
#define RETRY_GROWTH		20
/* Attempts handed to the module at once: between them we look at the clock. */
#define ATTEMPTS_AT_ONCE	4

uint64_t ulp_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int grow(void **array, size_t count, size_t entsize)
{
	void *bigger;

	/* Powers of two: full whenever the count is one. */
	if (count & (count - 1))
		return 0;
	bigger = reallocarray(*array, count ? 2 * count : 1, entsize);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	return 0;
}

int ulp_plan_range(struct ulp_plan *plan, uint64_t start, uint64_t end, const char *format, ...)
{
	size_t n = plan->nr_ranges;
	va_list args;
	int ret;

	/*
	 * The module takes no overlapping ranges.  Functions with two names and
	 * fragments that two functions share make them: one range for all.
	 */
	for (size_t i = 0; i < n; i++) {
		struct ulp_range *r = &plan->ranges[i];

		if (start >= r->end || r->start >= end)
			continue;
		start = start < r->start ? start : r->start;
		end = end > r->end ? end : r->end;
		free(plan->range_names[i]);
		plan->range_names[i] = plan->range_names[n - 1];
		*r = plan->ranges[n - 1];
		n = --plan->nr_ranges;
		i = -1;		/* the union may overlap what was passed */
	}
	if (grow((void **)&plan->ranges, n, sizeof(*plan->ranges)) ||
	    grow((void **)&plan->range_names, n, sizeof(*plan->range_names)))
		return -ENOMEM;
	va_start(args, format);
	ret = vasprintf(&plan->range_names[n], format, args);
	va_end(args);
	if (ret < 0)
		return -ENOMEM;
	plan->ranges[n] = (struct ulp_range){ .start = start, .end = end };
	plan->nr_ranges++;
	return 0;
}

int ulp_plan_object(struct ulp_plan *plan, const struct ulp_object *object)
{
	const struct ulp_target *target = plan->target;
	const char *slash = strrchr(object->path, '/');
	int err = 0;

	for (size_t i = 0; i < target->nr_mappings && !err; i++) {
		const struct ulp_mapping *map = &target->mappings[i];

		if (map->exec && map->start >= object->start && map->end <= object->end)
			err = ulp_plan_range(plan, map->start, map->end, "%s",
					     slash ? slash + 1 : object->path);
	}
	return err;
}

static int add_write(struct ulp_plan *plan, uint64_t addr, const uint8_t *expected,
		     const uint8_t *bytes, size_t size, const char *name)
{
	size_t n = plan->nr_writes;
	uint8_t *copy;

	if (grow((void **)&plan->writes, n, sizeof(*plan->writes)) ||
	    grow((void **)&plan->write_names, n, sizeof(*plan->write_names)))
		return -ENOMEM;
	copy = malloc(2 * size);
	plan->write_names[n] = strdup(name);
	if (!copy || !plan->write_names[n]) {
		free(copy);
		free(plan->write_names[n]);
		return -ENOMEM;
	}
	memcpy(copy, expected, size);
	memcpy(copy + size, bytes, size);
	plan->writes[n] = (struct ulp_write){
		.addr = addr,
		.len = size,
		.expected = (uintptr_t)copy,
		.bytes = (uintptr_t)(copy + size),
	};
	plan->nr_writes++;
	return 0;
}

int ulp_plan_write(struct ulp_plan *plan, uint64_t addr, const void *expected, const void *bytes,
		   size_t size, const char *format, ...)
{
	const uint8_t *from = expected, *to = bytes;
	char name[256];
	va_list args;
	int err = 0;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	while (size && !err) {
		size_t room = PAGE - addr % PAGE;
		size_t n = size < room ? size : room;

		err = add_write(plan, addr, from, to, n, name);
		addr += n;
		from += n;
		to += n;
		size -= n;
	}
	return err;
}

int ulp_plan_state(struct ulp_plan *plan, const struct ulp_record *record,
		   enum ulp_record_state state, uint64_t sequence)
{
	const size_t at = offsetof(struct ulp_record, state);
	const size_t size = offsetof(struct ulp_record, image_start) - at;
	struct ulp_record next;

	memcpy(&next, record, sizeof(next));
	next.state = state;
	next.uid = ulp_acting_user();
	next.sequence = sequence;
	next.applied = time(NULL);
	return ulp_plan_write(plan, record->image_start + at, (const char *)record + at,
			      (const char *)&next + at, size, "record");
}

void ulp_plan_subject(struct ulp_plan *plan, enum ulp_action action, const char *name,
		      const uint8_t *id)
{
	struct ulp_subject *subject = &plan->subject;

	subject->size = sizeof(*subject);
	subject->action = action;
	subject->functions = (uintptr_t)plan->functions;
	if (id)
		memcpy(subject->id, id, sizeof(subject->id));
	snprintf((char *)subject->name, sizeof(subject->name), "%s", name);
}

void ulp_plan_function(struct ulp_plan *plan, const char *name, size_t length)
{
	struct ulp_subject *subject = &plan->subject;
	char *at = plan->functions + subject->functions_size;

	subject->nr_functions++;
	if (!length || memchr(name, '\0', length) ||
	    length >= sizeof(plan->functions) - subject->functions_size)
		return;
	memcpy(at, name, length);
	at[length] = '\0';
	subject->functions_size += length + 1;
}

void ulp_plan_free(struct ulp_plan *plan)
{
	for (size_t i = 0; i < plan->nr_ranges; i++)
		free(plan->range_names[i]);
	for (size_t i = 0; i < plan->nr_writes; i++) {
		free((void *)(uintptr_t)plan->writes[i].expected);
		free(plan->write_names[i]);
	}
	free(plan->ranges);
	free(plan->range_names);
	free(plan->writes);
	free(plan->write_names);
	if (plan->leaving)
		ulp_plan_free(plan->leaving);
	free(plan->leaving);
	memset(plan, 0, sizeof(*plan));
}

/* What did not hold still. */
static const char *what_changed(uint32_t reason)
{
	switch (reason) {
	case ULP_REASON_NEW_THREADS:
		return "threads were born faster than they can be held";
	case ULP_REASON_PAGE:
		return "a page to be written was replaced each time";
	case ULP_REASON_FAULT:
		return "a page of a stack stayed absent";
	case ULP_REASON_LOCK:
		return "its memory map stayed locked by one of its threads";
	default:
		return "it kept changing under us";
	}
}

static int explain(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t,
		   int err)
{
	struct ulp_target *target = plan->target;
	struct ulp_context *ctx = target->ctx;
	const char *name = target->name;
	pid_t pid = target->pid;

	switch (err) {
	case -EADDRINUSE:
		return ulp_plan_blocked(plan, proof, t);
	case -ETIME:
		return ulp_err(ctx, -ULP_E_LIMIT,
			       "%s (pid %d): the freeze limit was reached (held %lu us); nothing was changed, try again or with a larger --max-freeze",
			       name, pid, (unsigned long)(t->out_max_freeze_ns / 1000));
	case -EAGAIN:
		return ulp_err(ctx, -ULP_E_CHANGING,
			       "%s (pid %d): %s; nothing was changed, try again", name, pid,
			       what_changed(t->out_reason));
	case -EALREADY:
		return ulp_target_busy(target);
	case -ESRCH:
		return ulp_target_gone(target);
	case -ENXIO:
		return ulp_err(ctx, -ULP_E_CONSISTENCY,
			       "%s (pid %d): threads cannot switch one by one: thread %d is inside and has no thread pointer; nothing was changed, use --consistency=atomic",
			       name, pid, t->out_tid);
	case -ENOSPC:
		return ulp_err(ctx, -ULP_E_CONSISTENCY,
			       "%s (pid %d): more threads are inside than can switch one by one; nothing was changed",
			       name, pid);
	case -ENOENT:
		return ulp_err(ctx, -ENOENT, "%s (pid %d): the thread has ended", name, pid);
	case -EINTR:
		return ulp_err(ctx, -EINTR, "%s (pid %d): interrupted; nothing was changed",
			       name, pid);
	case -EFAULT:
		return ulp_err(ctx, -ULP_E_BYTES_DIFFER,
			       "%s (pid %d): a page to be written cannot be made private (shared mapping, huge page, or unmapped); nothing was changed",
			       name, pid);
	case -E2BIG:
		return ulp_err(ctx, err,
			       "%s (pid %d): %zu ranges and %zu writes are more than ulp.ko takes",
			       name, pid, plan->nr_ranges, plan->nr_writes);
	default:
		return ulp_err(ctx, err, "%s (pid %d): transaction: %s; nothing was changed",
			       name, pid, strerror(-err));
	}
}

/* Whether another attempt may end otherwise. */
static bool passing(int err, const struct ulp_transact *t)
{
	return err == -EADDRINUSE ? t->out_reason != ULP_REASON_NO_STACK :
		err == -ETIME || err == -EAGAIN || err == -EALREADY;
}

void ulp_result_add(struct ulp_result *all, const struct ulp_result *one)
{
	all->attempts += one->attempts;
	/* one that came to no attempt says nothing of that */
	if (one->attempts) {
		all->threads = one->threads;
		all->backend = one->backend;
		all->freeze_ns = one->freeze_ns;
	}
	if (one->max_freeze_ns > all->max_freeze_ns)
		all->max_freeze_ns = one->max_freeze_ns;
	if (one->hold_ns > all->hold_ns)
		all->hold_ns = one->hold_ns;
}

static void result_fill(struct ulp_plan *plan, const struct ulp_transact *t)
{
	const struct ulp_result one = {
		.attempts = t->out_attempts,
		.threads = t->out_threads,
		.backend = t->out_backend,
		.freeze_ns = t->out_freeze_ns,
		.max_freeze_ns = t->out_max_freeze_ns,
		.hold_ns = t->out_hold_ns,
	};

	ulp_result_add(plan->result, &one);
}

void ulp_pause_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	nanosleep(&ts, NULL);
}

static void transact_fill(struct ulp_plan *plan, struct ulp_proof *proof,
			  const struct ulp_options *options, struct ulp_transact *t)
{
	const uint64_t features = plan->target->ctx->features;

	t->flags = (options->dry_run ? ULP_TRANSACT_DRY_RUN : 0) |
		   (plan->commit_maps ? ULP_TRANSACT_COMMIT_MAPS : 0);
	if (features & ULP_FEATURE_UNCHANGED)
		t->flags |= ULP_TRANSACT_UNCHANGED;
	t->backend = options->backend;
	t->max_freeze_ns = options->max_freeze_ns;
	t->ranges = (uintptr_t)plan->ranges;
	t->writes = (uintptr_t)plan->writes;
	t->nr_ranges = plan->nr_ranges;
	t->nr_writes = plan->nr_writes;
	t->regs = (uintptr_t)&proof->regs;
	t->stack = (uintptr_t)proof->stack;
	t->stack_size = ULP_PROOF_STACK;
	if (features & ULP_FEATURE_STALE) {
		t->flags |= ULP_TRANSACT_HOLD;
		t->hold_ns = options->max_hold_ns;
		t->stale = (uintptr_t)proof->stale;
		t->nr_stale = proof->nr_stale;
	}
	if (plan->scan_memory && (features & ULP_FEATURE_SCAN_MEMORY))
		t->flags |= ULP_TRANSACT_SCAN_MEMORY;
	if (plan->universe.op) {
		t->universe = (uintptr_t)&plan->universe;
		if (plan->leaving) {
			plan->universe.ranges = (uintptr_t)plan->leaving->ranges;
			plan->universe.nr_ranges = plan->leaving->nr_ranges;
		}
	}
	if (plan->subject.action && (features & ULP_FEATURE_EVENTS))
		t->subject = (uintptr_t)&plan->subject;
	proof->walked = false;
}

/*
 * Whether the thread that was in the way is proven to be free: then the next
 * attempt follows at once, while it is where it was.  It costs one of @left only
 * if what was proven of that thread before was lost because it ran.
 */
static int try_proof(struct ulp_plan *plan, struct ulp_proof *proof, int session,
		     const struct ulp_transact *t, uint32_t *left)
{
	bool lost = ulp_proof_is_lost(proof, t);
	uint64_t hold_ns = 0;
	int ret = 0;

	if (!lost || *left)
		ret = ulp_proof_make(plan, proof, t);
	if (lost && *left)
		--*left;
	if (ret <= 0) {
		if ((t->out_stamp & ULP_STAMP_HELD) && !ulp_sys_release(session, &hold_ns) &&
		    hold_ns > plan->result->hold_ns)
			plan->result->hold_ns = hold_ns;
	}
	return ret;
}

static int run(struct ulp_plan *plan, struct ulp_proof *proof, int session,
	       const struct ulp_options *options, uint64_t deadline)
{
	uint32_t left = options->attempts ? options->attempts : DEFAULT_ATTEMPTS;
	uint64_t first = options->retry_ns ? options->retry_ns : DEFAULT_RETRY_NS;
	uint64_t retry = first;
	bool proven = false;
	int err;

	for (;;) {
		uint32_t now = proven ? 1 : left < ATTEMPTS_AT_ONCE ? left : ATTEMPTS_AT_ONCE;
		struct ulp_transact t = { .attempts = now, .retry_ns = retry };
		int ret = 0;

		transact_fill(plan, proof, options, &t);
		err = ulp_sys_transact(session, &t);
		result_fill(plan, &t);
		if (!err) {
			plan->result->proof = t.out_stale ? "unwound" : "scan";
			return 0;
		}
		/* Refused as a whole: another tool was faster. */
		if (err == -ESTALE && t.out_reason != ULP_REASON_BYTES)
			return explain(plan, proof, &t, -EALREADY);
		if (err == -ESTALE) {
			ulp_log(plan->target->ctx, ULP_LOG_DEBUG,
				"%s (pid %d): %s changed since it was read", plan->target->name,
				plan->target->pid, t.out_write < plan->nr_writes ?
				plan->write_names[t.out_write] : "memory");
			return err;
		}
		if (!proven)
			left -= now;
		if (err == -EADDRINUSE && t.out_stamp)
			ret = try_proof(plan, proof, session, &t, &left);
		if (ret < 0)
			return ret;
		proven = ret > 0;
		if (proven && ulp_now_ns() < deadline)
			continue;
		proof->nr_stale = 0;
		if (!left || !passing(err, &t) || ulp_now_ns() + retry >= deadline)
			return explain(plan, proof, &t, err);
		ulp_pause_ns(retry);
		if (retry < RETRY_GROWTH * first)
			retry *= 2;
	}
}

int ulp_plan_run(struct ulp_plan *plan, int session, const struct ulp_options *options,
		 uint64_t deadline)
{
	struct ulp_proof proof;
	int err = ulp_proof_init(&proof);

	if (!err)
		err = run(plan, &proof, session, options, deadline);
	ulp_proof_free(&proof);
	return err;
}
