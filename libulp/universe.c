// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Switching thread by thread, as plans (Documentation/consistency.rst has the
 * states and why this is right):
 *
 *	begin, turn	entries lead to stubs, threads inside are put in the table
 *	advance		one thread, when it is inside no more
 *	end		entries lead straight to where all are now
 *
 * switching.c carries them out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <elf.h>

#include "internal.h"

#define HWCAP2_FSGSBASE	(1 << 1)	/* RDFSBASE works in user mode */

/* What is at the entry of a function, and at its island. */
struct code {
	uint8_t entry[ULP_RECORD_CODE];
	uint8_t island[ULP_RECORD_CODE];
};

const struct ulp_found *ulp_records_moving(const struct ulp_record_list *records)
{
	for (size_t i = 0; i < records->nr; i++)
		if (ulp_found_moves(&records->found[i]))
			return &records->found[i];
	return NULL;
}

/* Calls among displaced instructions are on the stack only. */
static bool has_shadow_stack(const struct ulp_target *target)
{
	static const char key[] = "x86_Thread_features:";
	FILE *file = ulp_target_file(target, "status");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	/* It comes last, behind the groups, which may be tens of thousands. */
	while (file && !found && getline(&line, &room, file) > 0)
		found = !strncmp(line, key, sizeof(key) - 1) && strstr(line, "shstk");
	free(line);
	if (file)
		fclose(file);
	return found;
}

int ulp_universe_check(struct ulp_target *target, const struct ulp_plan *plan)
{
	const char *why = NULL;
	int err = ulp_sys_open(target->ctx);

	if (err)
		return err;
	if (!(target->ctx->features & ULP_FEATURE_UNIVERSE))
		why = "ulp.ko is too old for it";
	else if (!(ulp_target_auxv(target, AT_HWCAP2) & HWCAP2_FSGSBASE))
		why = "programs cannot read their thread pointer here (RDFSBASE)";
	else if (has_shadow_stack(target))
		why = "it has shadow stacks";
	else if (plan->scan_memory)
		why = "its program switches user contexts (makecontext), which are not threads";
	else if (plan->check_stack)
		why = "--check-stack is about all threads at once";
	if (!why)
		return 0;
	return ulp_err(target->ctx, -ULP_E_CONSISTENCY,
		       "%s (pid %d): threads cannot switch one by one: %s; use --consistency=atomic",
		       target->name, target->pid, why);
}

int ulp_universe_exclusive(struct ulp_target *target, const uint8_t *id,
			   const struct ulp_found **moving)
{
	const struct ulp_found *found = ulp_records_moving(target->records);

	*moving = found;
	if (!found || (id && !memcmp(found->record->id, id, ULP_ID_SIZE)))
		return 0;
	return ulp_err(target->ctx, -ULP_E_BUSY,
		       "%s (pid %d): its threads are still switching %s patch %s (%.12s); finish that first, or revert it",
		       target->name, target->pid,
		       found->record->state == ULP_RECORD_SWITCHING ? "to" : "back from",
		       found->name, found->id_hex);
}

static bool is_self(const struct ulp_found *found, void *data)
{
	return found == data;
}

/* The patch below this one at an entry; function is NULL if there is none. */
static struct ulp_owner beneath(const struct ulp_target *target, const struct ulp_found *found,
				const struct ulp_record_function *f)
{
	return ulp_records_top(target->records, f->entry, is_self, (void *)found);
}

/* Whether the entry is this patch's to change: no newer one has it. */
static bool owns(const struct ulp_target *target, const struct ulp_found *found,
		 const struct ulp_record_function *f)
{
	return !ulp_found_active(found) ||
	       ulp_records_top(target->records, f->entry, NULL, NULL).found == found;
}

static void jump_to(const struct ulp_record_function *f, uint64_t to, struct code *out)
{
	uint8_t *jump = f->island ? out->island : out->entry;
	uint64_t from = f->island ? f->island : f->entry;
	int32_t distance = (int32_t)(to - (from + 5));

	memcpy(out->entry, f->entry_jump, sizeof(out->entry));
	memset(out->island, 0, sizeof(out->island));
	jump[0] = 0xe9;
	memcpy(jump + 1, &distance, sizeof(distance));
}

/* What is at the entry without this patch. */
static void without(const struct ulp_target *target, const struct ulp_found *found,
		    const struct ulp_record_function *f, struct code *out)
{
	const struct ulp_record_function *b = beneath(target, found, f).function;

	memcpy(out->entry, b ? b->entry_jump : f->entry_saved, sizeof(out->entry));
	memcpy(out->island, b ? b->island_jump : f->island_saved, sizeof(out->island));
}

/* What is there in a state of the patch. */
static void code_in(const struct ulp_target *target, const struct ulp_found *found, uint32_t k,
		    uint32_t state, struct code *out)
{
	const struct ulp_record_function *f = &found->functions[k];

	switch (state) {
	case ULP_RECORD_SWITCHING:
		jump_to(f, found->switches[k].forth, out);
		break;
	case ULP_RECORD_RETURNING:
		jump_to(f, found->switches[k].back, out);
		break;
	case ULP_RECORD_ACTIVE:
		memcpy(out->entry, f->entry_jump, sizeof(out->entry));
		memcpy(out->island, f->island_jump, sizeof(out->island));
		break;
	default:
		without(target, found, f, out);
	}
}

/* The code that threads leave on their way to @to. */
static int leave(struct ulp_target *target, struct ulp_plan *plan, const struct ulp_found *found,
		 uint32_t to)
{
	const struct ulp_record *record = found->record;
	const struct ulp_record_function *named = NULL;
	int err = 0;

	if (to == ULP_RECORD_RETURNING)
		return ulp_plan_range(plan, record->text_start, record->text_end, "patch %s",
				      found->name);
	/* The fragments of a function follow it. */
	for (size_t i = 0; i < found->nr_leaves && !err; i++) {
		const struct ulp_record_leave *l = &found->leaves[i];

		for (uint32_t k = 0; k < record->nr_functions; k++)
			if (found->functions[k].old_start == l->start)
				named = &found->functions[k];
		if (i + 1 == found->nr_leaves || !named)
			err = ulp_plan_range(plan, l->start, l->end, "patch %s", found->name);
		else
			err = ulp_plan_range(plan, l->start, l->end, "%.*s",
					     (int)named->name.length,
					     ulp_found_text(found, named->name));
	}
	for (uint32_t k = 0; k < record->nr_functions && !err; k++) {
		const struct ulp_record_function *f = &found->functions[k];
		struct ulp_owner b = beneath(target, found, f);

		err = ulp_plan_range(plan, f->entry, f->entry + f->entry_length, "%.*s",
				     (int)f->name.length, ulp_found_text(found, f->name));
		if (!err && b.found)
			err = ulp_plan_range(plan, b.found->record->text_start,
					     b.found->record->text_end, "patch %s", b.found->name);
	}
	return err;
}

static int write_code(struct ulp_plan *plan, const struct ulp_found *found,
		      const struct ulp_record_function *f, const struct code *now,
		      const struct code *then)
{
	const char *name = ulp_found_text(found, f->name);
	int length = (int)f->name.length, err = 0;

	if (memcmp(now->entry, then->entry, f->entry_length) != 0)
		err = ulp_plan_write(plan, f->entry, now->entry, then->entry, f->entry_length,
				     "%.*s", length, name);
	if (!err && f->island &&
	    memcmp(now->island, then->island, f->island_length) != 0)
		err = ulp_plan_write(plan, f->island, now->island, then->island, f->island_length,
				     "island of %.*s", length, name);
	return err;
}

/* Makes a stub lead to the old code, which may be another patch's by now. */
static int aim(struct ulp_target *target, struct ulp_plan *plan, const struct ulp_found *found,
	       uint32_t k, bool mapped, uint64_t field)
{
	const struct ulp_record_function *f = &found->functions[k];
	const struct ulp_record_function *b = beneath(target, found, f).function;
	uint64_t original = found->switches[k].original;
	int64_t distance = (int64_t)((b ? b->new_start : original) - (field + 4));
	int32_t then = (int32_t)distance, now = (int32_t)(original - (field + 4));

	if (then != distance)
		return ulp_err(target->ctx, -ULP_E_NO_ROOM,
			       "%s (pid %d): patch %s is too far from the one below it",
			       target->name, target->pid, found->name);
	if (mapped && ulp_memory_read(target, field, &now, sizeof(now)))
		return -ESTALE;
	if (now == then)
		return 0;
	return ulp_plan_write(plan, field, &now, &then, sizeof(now), "stub");
}

static int begin_function(struct ulp_target *target, struct ulp_plan *plan,
			  const struct ulp_found *found, uint32_t k, uint32_t to, bool mapped)
{
	const struct ulp_record_function *f = &found->functions[k];
	const struct ulp_record_switch *s = &found->switches[k];
	uint32_t from = ulp_found_active(found) ? found->record->state : ULP_RECORD_REVERTED;
	struct code now, then;
	int err = 0;

	if (!owns(target, found, f))
		return 0;
	if (!s->forth)
		return ulp_err(target->ctx, -ULP_E_CONSISTENCY,
			       "%s (pid %d): threads cannot switch one by one: the old code of %.*s cannot be kept; use --consistency=atomic",
			       target->name, target->pid, (int)f->name.length,
			       ulp_found_text(found, f->name));
	if (!ulp_found_moves(found)) {
		err = aim(target, plan, found, k, mapped, s->forth_old);
		if (!err)
			err = aim(target, plan, found, k, mapped, s->back_old);
	}
	code_in(target, found, k, from, &now);
	code_in(target, found, k, to, &then);
	/* In the middle of the instructions that the jump replaces nobody may be. */
	if (!err && from == ULP_RECORD_REVERTED && !beneath(target, found, f).found)
		err = ulp_plan_range(plan, f->entry + 1, f->entry + f->entry_length, "%.*s",
				     (int)f->name.length, ulp_found_text(found, f->name));
	return err ? err : write_code(plan, found, f, &now, &then);
}

int ulp_universe_begin(struct ulp_target *target, struct ulp_plan *plan,
		       const struct ulp_found *found, enum ulp_record_state to,
		       uint64_t sequence, bool mapped)
{
	int err = 0;

	if (!found->table)
		return ulp_err(target->ctx, -ULP_E_CONSISTENCY,
			       "%s (pid %d): threads cannot switch one by one: patch %s does not keep the old code of all its functions; use --consistency=atomic",
			       target->name, target->pid, found->name);
	plan->universe.size = sizeof(plan->universe);
	plan->universe.op = ulp_found_moves(found) ? ULP_UNIVERSE_TURN : ULP_UNIVERSE_BEGIN;
	plan->universe.table = found->table;
	plan->leaving = calloc(1, sizeof(*plan->leaving));
	if (!plan->leaving)
		return -ENOMEM;
	err = leave(target, plan->leaving, found, to);
	for (uint32_t k = 0; k < found->record->nr_functions && !err; k++)
		err = begin_function(target, plan, found, k, to, mapped);
	return err ? err : ulp_plan_state(plan, found->record, to, sequence);
}

int ulp_universe_advance(struct ulp_target *target, struct ulp_plan *plan,
			 const struct ulp_found *found, pid_t tid)
{
	const size_t at = offsetof(struct ulp_record, state);
	const uint8_t *now = (const uint8_t *)found->record + at;

	plan->universe = (struct ulp_universe){
		.size = sizeof(plan->universe), .op = ULP_UNIVERSE_ADVANCE,
		.table = found->table, .tid = tid,
	};
	/* Only as long as it is about this: another tool may have turned it round. */
	return leave(target, plan, found, found->record->state) ?:
	       ulp_plan_write(plan, found->record->image_start + at, now, now,
			      offsetof(struct ulp_record, image_start) - at, "record");
}

int ulp_universe_end(struct ulp_target *target, struct ulp_plan *plan,
		     const struct ulp_found *found)
{
	const struct ulp_record *record = found->record;
	uint32_t to = record->state == ULP_RECORD_SWITCHING ? ULP_RECORD_ACTIVE :
		ULP_RECORD_REVERTED;
	struct code now, then;
	int err = 0;

	for (uint32_t k = 0; k < record->nr_functions && !err; k++) {
		const struct ulp_record_function *f = &found->functions[k];

		if (!owns(target, found, f))
			continue;
		code_in(target, found, k, record->state, &now);
		code_in(target, found, k, to, &then);
		err = write_code(plan, found, f, &now, &then);
	}
	return err ? err : ulp_plan_state(plan, record, to, record->sequence);
}
