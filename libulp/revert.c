// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Revert: everything it needs is in the records of the target.
 *
 * Patches of one function form a stack.  What must be at an entry afterwards is
 * decided by the newest active patch that stays, else it is the object's own
 * bytes: never blindly what one of them saved.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "internal.h"

#define SHOWN_ID	12

struct revert {
	const char *name;		/* id, its beginning, or name; or the object's */
	bool object;
	bool *chosen;			/* for each record of the target */
};

static bool chosen(const struct ulp_record_list *records, const struct revert *revert,
		   const struct ulp_found *found)
{
	return revert->chosen[found - records->found];
}

static bool names_object(struct ulp_target *target, const struct ulp_found *found,
			 const char *name)
{
	for (uint32_t i = 0; i < found->record->nr_objects; i++) {
		const struct ulp_record_object *o = &found->objects[i];
		const char *path = ulp_found_text(found, o->path);
		size_t length = o->path.length, base = length;

		while (base && path[base - 1] != '/')
			base--;
		if ((length == strlen(name) && !memcmp(path, name, length)) ||
		    (length - base == strlen(name) && !memcmp(path + base, name, length - base)))
			return true;
		for (size_t k = 0; k < target->nr_objects; k++)
			if (target->objects[k].bias == o->bias &&
			    (!strcmp(target->objects[k].soname, name) ||
			     !strcasecmp(target->objects[k].build_id_hex, name)))
				return true;
	}
	return false;
}

static bool names_patch(const struct ulp_found *found, const char *name)
{
	size_t length = strlen(name);

	return !strcmp(found->name, name) ||
	       (length >= ULP_ID_SHORTEST && !strncasecmp(found->id_hex, name, length));
}

static int choose(struct ulp_target *target, struct revert *revert)
{
	const struct ulp_record_list *records = target->records;
	bool is_id = strlen(revert->name) == 2 * ULP_ID_SIZE && !revert->object;
	const struct ulp_found *first = NULL;

	free(revert->chosen);
	revert->chosen = calloc(records->nr + 1, sizeof(*revert->chosen));
	if (!revert->chosen)
		return -ENOMEM;
	for (size_t i = 0; i < records->nr; i++) {
		const struct ulp_found *found = &records->found[i];

		if (!ulp_found_active(found))
			continue;
		if (!(revert->object ? names_object(target, found, revert->name) :
		      names_patch(found, revert->name)))
			continue;
		/* A library that is loaded twice has the same patch twice. */
		if (!revert->object && first &&
		    memcmp(first->record->id, found->record->id, sizeof(found->record->id)) != 0)
			return ulp_err(target->ctx, -ULP_E_PATCH_ID,
				       "%s (pid %d): \"%s\" names patch %.12s (%s) and patch %.12s (%s); give more digits of the id",
				       target->name, target->pid, revert->name, first->id_hex,
				       first->name, found->id_hex, found->name);
		if (!first)
			first = found;
		revert->chosen[i] = true;
	}
	if (!first)
		return ulp_err(target->ctx, -ULP_E_NOT_APPLIED,
			       revert->object ? "%s (pid %d): no patch of %.*s is applied" :
			       "%s (pid %d): patch %.*s is not applied",
			       target->name, target->pid, is_id ? SHOWN_ID : INT_MAX,
			       revert->name);
	return 0;
}

/* A patch that stays may depend on one that is to go. */
static int check_dependents(struct ulp_target *target, const struct revert *revert)
{
	const struct ulp_record_list *records = target->records;

	for (size_t i = 0; i < records->nr; i++) {
		const struct ulp_found *found = &records->found[i];
		const uint8_t *ids = (const uint8_t *)found->record + found->record->requires;

		if (!ulp_found_active(found) || chosen(records, revert, found))
			continue;
		for (size_t k = 0; k < records->nr; k++) {
			const struct ulp_found *goes = &records->found[k];

			for (uint32_t n = 0; n < found->record->nr_requires; n++)
				if (chosen(records, revert, goes) &&
				    !memcmp(ids + n * ULP_ID_SIZE, goes->record->id, ULP_ID_SIZE))
					return ulp_err(target->ctx, -ULP_E_DEPENDENCY,
						       "%s (pid %d): patch %s (%.12s) needs patch %s; revert that first",
						       target->name, target->pid, found->name,
						       found->id_hex, goes->name);
		}
	}
	return 0;
}

static bool goes(const struct ulp_found *found, void *data)
{
	const struct {
		const struct ulp_record_list *records;
		const struct revert *revert;
	} *ctx = data;

	return chosen(ctx->records, ctx->revert, found);
}

static int verify_jump(struct ulp_target *target, const struct ulp_found *found,
		       const struct ulp_record_function *f)
{
	uint8_t now[ULP_RECORD_CODE];
	int err = ulp_memory_read(target, f->entry, now, f->entry_length);

	if (!err && !memcmp(now, f->entry_jump, f->entry_length))
		return 0;
	return ulp_err(target->ctx, -ULP_E_FOREIGN_HOOK,
		       "%s (pid %d): the entry of %.*s at 0x%lx is not what patch %s wrote there (breakpoint, or somebody else's jump?); remove that first",
		       target->name, target->pid, (int)f->name.length,
		       ulp_found_text(found, f->name), (unsigned long)f->entry, found->name);
}

static int plan_entry(struct ulp_target *target, struct ulp_plan *plan,
		      const struct revert *revert, const struct ulp_found *found,
		      const struct ulp_record_function *f)
{
	struct {
		const struct ulp_record_list *records;
		const struct revert *revert;
	} ctx = { target->records, revert };
	struct ulp_owner next = ulp_records_top(target->records, f->entry, goes, &ctx);
	const uint8_t *entry = next.function ? next.function->entry_jump : f->entry_saved;
	const uint8_t *island = next.function ? next.function->island_jump : f->island_saved;
	const char *name = ulp_found_text(found, f->name);
	int err = verify_jump(target, found, f);

	if (!err && memcmp(entry, f->entry_jump, f->entry_length) != 0)
		err = ulp_plan_write(plan, f->entry, f->entry_jump, entry, f->entry_length,
				     "%.*s", (int)f->name.length, name);
	if (!err && f->island)
		err = ulp_plan_write(plan, f->island, f->island_jump, island, f->island_length,
				     "island of %.*s", (int)f->name.length, name);
	return err;
}

static bool has_object(const struct ulp_found *found, const struct ulp_object *object)
{
	for (uint32_t i = 0; i < found->record->nr_objects; i++)
		if (found->objects[i].bias == object->bias &&
		    found->objects[i].start == object->start)
			return true;
	return false;
}

/* Thread by thread: one patch, which may be on its way already, forth or back. */
static int plan_by_thread(struct ulp_target *target, struct ulp_plan *plan,
			  const struct revert *revert, const struct ulp_found *moving)
{
	const struct ulp_record_list *records = target->records;
	const struct ulp_found *found = NULL;
	int err = moving ? 0 : ulp_universe_check(target, plan);

	if (err)
		return err;
	for (size_t i = 0; i < records->nr; i++) {
		if (!revert->chosen[i])
			continue;
		if (found)
			return ulp_err(target->ctx, -ULP_E_CONSISTENCY,
				       "%s (pid %d): threads cannot switch one by one: patches %s and %s at once; revert one after the other",
				       target->name, target->pid, found->name,
				       records->found[i].name);
		found = &records->found[i];
	}
	if (!found)
		return -ULP_E_NOT_APPLIED;
	memcpy(plan->result->id, found->id_hex, sizeof(plan->result->id));
	if (found->record->state == ULP_RECORD_RETURNING)
		return -EALREADY;
	ulp_plan_subject(plan, ULP_ACTION_REVERT, found->name, found->record->id);
	for (uint32_t k = 0; k < found->record->nr_functions; k++)
		ulp_plan_function(plan, ulp_found_text(found, found->functions[k].name),
				  found->functions[k].name.length);
	return ulp_universe_begin(target, plan, found, ULP_RECORD_RETURNING,
				  found->record->sequence, true);
}

static int revert_plan(struct ulp_target *target, struct ulp_plan *plan, void *arg)
{
	const struct ulp_record_list *records = target->records;
	struct revert *revert = arg;
	const struct ulp_found *first = NULL, *moving = NULL;
	bool one = true;
	int err = choose(target, revert);

	if (!err)
		err = check_dependents(target, revert);
	for (size_t i = 0; i < records->nr && !err; i++)
		if (revert->chosen[i])
			err = ulp_universe_exclusive(target, records->found[i].record->id,
						     &moving);
	for (size_t i = 0; i < records->nr && !err; i++)
		plan->scan_memory |= plan->patch_may_scan && revert->chosen[i] &&
				     ulp_found_scans(&records->found[i]);
	if (err)
		return err;
	if (moving || plan->by_thread)
		return plan_by_thread(target, plan, revert, moving);
	for (size_t i = 0; i < records->nr && !err; i++) {
		const struct ulp_found *found = &records->found[i];
		const struct ulp_record *record = found->record;

		if (!revert->chosen[i])
			continue;
		memcpy(plan->result->id, found->id_hex, sizeof(plan->result->id));
		if (!first)
			first = found;
		one = one && !memcmp(first->record->id, record->id, sizeof(record->id));
		/* All of its code: what a replacement calls returns into it. */
		err = ulp_plan_range(plan, record->text_start, record->text_end,
				     "patch %s", found->name);
		for (uint32_t k = 0; k < record->nr_functions && !err; k++) {
			const struct ulp_record_function *f = &found->functions[k];

			ulp_plan_function(plan, ulp_found_text(found, f->name), f->name.length);
			if (ulp_records_top(records, f->entry, NULL, NULL).function == f)
				err = plan_entry(target, plan, revert, found, f);
		}
		for (size_t k = 0; k < target->nr_objects && plan->check_stack && !err; k++)
			if (has_object(found, &target->objects[k]))
				err = ulp_plan_object(plan, &target->objects[k]);
		if (!err)
			err = ulp_plan_state(plan, record, ULP_RECORD_REVERTED,
					     record->sequence);
	}
	if (first)
		ulp_plan_subject(plan, ULP_ACTION_REVERT, one ? first->name : revert->name,
				 one ? first->record->id : NULL);
	return err;
}

static const struct ulp_change_ops revert_ops = {
	.plan = revert_plan,
};

static int revert_run(struct ulp_target *target, struct revert *revert,
		      const struct ulp_options *options, struct ulp_result *result)
{
	int err = ulp_change_by_thread(target, &revert_ops, revert, options, result);

	free(revert->chosen);
	return err;
}

int ulp_revert(struct ulp_target *target, const char *id, const struct ulp_options *options,
	       struct ulp_result *result)
{
	struct revert revert = { .name = id };

	return revert_run(target, &revert, options, result);
}

int ulp_revert_object(struct ulp_target *target, const char *object,
		      const struct ulp_options *options, struct ulp_result *result)
{
	struct revert revert = { .name = object, .object = true };

	return revert_run(target, &revert, options, result);
}
