// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which thread was in the way, and how: for people and for struct ulp_result.
 */
#include <stdio.h>
#include <string.h>

#include "prove.h"

void ulp_thread_name(pid_t pid, pid_t tid, char *out, size_t size)
{
	char path[64];
	FILE *file;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	file = fopen(path, "re");
	/* A process that shares the address space is not among the pid's tasks. */
	if (!file) {
		snprintf(path, sizeof(path), "/proc/%d/comm", tid);
		file = fopen(path, "re");
	}
	if (!file)
		return;
	if (fgets(out, size, file))
		out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

/*
 * The function a blocked thread is in: of a patch's code the replacement that
 * holds the address, else what the range was made for.
 */
static void blocker_function(struct ulp_plan *plan, const struct ulp_transact *t,
			     struct ulp_result *r, char *where, size_t size)
{
	const struct ulp_record_list *records = plan->target->records;
	const char *range = t->out_range < plan->nr_ranges ? plan->range_names[t->out_range] : "?";
	uint64_t value = r->blocker_value;

	/* Where all of an object counts, its name says little. */
	if (plan->check_stack)
		ulp_target_symbolize(plan->target, value, r->blocker_function,
				     sizeof(r->blocker_function));
	if (r->blocker_function[0]) {
		snprintf(where, size, "%s of %s", r->blocker_function, range);
		return;
	}
	snprintf(r->blocker_function, sizeof(r->blocker_function), "%s", range);
	snprintf(where, size, "%s", range);
	for (size_t i = 0; i < records->nr; i++) {
		const struct ulp_found *found = &records->found[i];

		for (uint32_t k = 0; k < found->record->nr_functions; k++) {
			const struct ulp_record_function *f = &found->functions[k];

			if (value < f->new_start || value > f->new_end)
				continue;
			snprintf(r->blocker_function, sizeof(r->blocker_function), "%.*s",
				 (int)f->name.length, ulp_found_text(found, f->name));
			snprintf(where, size, "%s of patch %s", r->blocker_function,
				 found->name);
			return;
		}
	}
}

/* One line for each frame, as many as there is room for. */
static void backtrace(struct ulp_target *target, const struct ulp_unwind *unwind, char *out,
		      size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < unwind->nr; i++) {
		const struct ulp_frame *frame = &unwind->frames[i];
		char line[256], name[192];
		int length;

		ulp_target_describe(target, frame->exact ? frame->ip : frame->ip - 1, name,
				    sizeof(name));
		length = snprintf(line, sizeof(line), "%s#%zu 0x%012llx %s", i ? "\n" : "", i,
				  (unsigned long long)frame->ip, name);
		if (length < 0 || (size_t)length >= sizeof(line) ||
		    (size_t)length >= size - used)
			return;
		memcpy(out + used, line, (size_t)length + 1);
		used += (size_t)length;
	}
}

/* How the scan saw it. */
static void scanned(const struct ulp_transact *t, struct ulp_result *r, char *how, size_t size)
{
	r->blocker_slot = t->out_reason == ULP_REASON_STACK ? t->out_slot : 0;
	r->blocker_value = t->out_reason == ULP_REASON_IP ? t->out_ip : t->out_value;
	switch (t->out_reason) {
	case ULP_REASON_IP:
		snprintf(how, size, "it executes 0x%lx", (unsigned long)t->out_ip);
		break;
	case ULP_REASON_STACK:
		snprintf(how, size, "0x%lx at 0x%lx of its stack",
			 (unsigned long)t->out_value, (unsigned long)t->out_slot);
		break;
	default:
		snprintf(how, size, "a register holds 0x%lx", (unsigned long)t->out_value);
		break;
	}
}

/* What its frames say, if they could be followed. */
static void unwound(const struct ulp_proof *proof, const struct ulp_transact *t,
		    struct ulp_result *r, char *how, size_t size)
{
	size_t used = strlen(how);

	if (!proof->walked)
		return;
	if (proof->live >= 0) {
		const struct ulp_frame *frame = &proof->unwind.frames[proof->live];

		r->blocker_frame = (uint32_t)proof->live;
		r->blocker_slot = frame->slot;
		r->blocker_value = frame->ip;
		if (proof->live)
			snprintf(how, size, "frame %zd goes on at 0x%lx (slot 0x%lx)",
				 proof->live, (unsigned long)frame->ip,
				 (unsigned long)frame->slot);
	} else if (t->out_reason != ULP_REASON_IP && !proof->unwind.complete) {
		snprintf(how + used, size - used, ", which cannot be proven stale: %s",
			 proof->unwind.why);
	} else if (t->out_reason != ULP_REASON_IP && t->out_stamp) {
		snprintf(how + used, size - used, ", which is in none of its frames");
	}
}

/* A word that is on no thread's stack. */
static int in_memory(struct ulp_plan *plan, const struct ulp_transact *t)
{
	struct ulp_target *target = plan->target;
	struct ulp_result *r = plan->result;
	const struct ulp_mapping *map = ulp_target_mapping(target, t->out_slot);
	char where[256];

	r->blocker_slot = t->out_slot;
	r->blocker_value = t->out_value;
	blocker_function(plan, t, r, where, sizeof(where));
	return ulp_err(target->ctx, -ULP_E_BUSY,
		       "%s (pid %d): a suspended context (coroutine) may return into %s: 0x%lx at 0x%lx in %s; nothing was changed, try again, or with --scan-memory=never if it has none",
		       target->name, target->pid, where, (unsigned long)t->out_value,
		       (unsigned long)t->out_slot, map && map->path[0] ? map->path :
		       "anonymous memory");
}

int ulp_plan_blocked(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t)
{
	struct ulp_target *target = plan->target;
	struct ulp_result *r = plan->result;
	char where[256], how[256], now[128];

	r->blocker_tid = t->out_tid;
	r->blocker_ip = t->out_ip;
	r->blocker_value = t->out_ip;
	ulp_thread_name(target->pid, t->out_tid, r->blocker_thread, sizeof(r->blocker_thread));
	if (t->out_reason == ULP_REASON_SIGRETURN)
		return ulp_err(target->ctx, -ULP_E_BUSY,
			       "%s (pid %d): thread %d (%s) was returning from a signal handler; nothing was changed, try again",
			       target->name, target->pid, t->out_tid, r->blocker_thread);
	if (t->out_reason == ULP_REASON_MEMORY)
		return in_memory(plan, t);
	if (t->out_reason == ULP_REASON_NO_STACK)
		return ulp_err(target->ctx, -ULP_E_BUSY,
			       "%s (pid %d): nothing can be proven of thread %d (%s): its stack pointer 0x%lx is in no readable mapping; nothing was changed",
			       target->name, target->pid, t->out_tid, r->blocker_thread,
			       (unsigned long)t->out_sp);
	/* Without memory for its frames there are none to show. */
	if (!ulp_proof_walk(plan, proof, t))
		backtrace(target, &proof->unwind, r->blocker_backtrace,
			  sizeof(r->blocker_backtrace));
	scanned(t, r, how, sizeof(how));
	unwound(proof, t, r, how, sizeof(how));
	blocker_function(plan, t, r, where, sizeof(where));
	ulp_target_symbolize(target, t->out_ip, now, sizeof(now));
	return ulp_err(target->ctx, -ULP_E_BUSY,
		       "%s (pid %d): thread %d (%s)%s%s is in, or may return into, %s: %s; nothing was changed, try again or with more --retries",
		       target->name, target->pid, t->out_tid, r->blocker_thread,
		       now[0] ? ", now at " : "", now, where, how);
}
