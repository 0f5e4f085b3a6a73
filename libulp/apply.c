// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Apply: find the objects, verify their bytes, prepare the image, plan the
 * writes.  change.c carries the plan out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct apply {
	struct ulp_patch *patch;
	size_t nr_images;
	struct ulp_image *images;
	struct ulp_resident resident;
};

static const char *object_name(const struct ulp_object *object)
{
	return object->path[0] ? object->path : object->soname;
}

static int not_loaded(struct ulp_target *target, const struct ulp_patch *patch,
		      const struct ulp_patch_target *wanted)
{
	const struct ulp_object *other = ulp_target_object_named(target, wanted->name);

	if (other)
		return ulp_err(target->ctx, -ULP_E_BUILD_ID,
			       "%s (pid %d): %s has build-id %s there, patch %s is for %s",
			       target->name, target->pid, object_name(other),
			       other->build_id_hex[0] ? other->build_id_hex : "(none)",
			       patch->name, wanted->build_id);
	return ulp_err(target->ctx, -ULP_E_NOT_TARGET, "%s (pid %d): %s is not loaded there",
		       target->name, target->pid, wanted->name);
}

static bool is_object(const struct ulp_object *object, const struct ulp_patch *patch,
		      const struct ulp_container_target *wanted)
{
	return object->build_id_size == wanted->build_id.length &&
	       !memcmp(object->build_id, patch->bytes + wanted->build_id.offset,
		       object->build_id_size);
}

static bool already(const struct ulp_target *target, const struct ulp_patch *patch,
		    const struct ulp_image *image)
{
	for (size_t i = 0; i < target->records->nr; i++) {
		const struct ulp_found *found = &target->records->found[i];
		bool same = ulp_found_active(found) &&
			    !memcmp(found->record->id, patch->id, sizeof(patch->id)) &&
			    found->record->nr_objects == patch->nr_targets;

		for (size_t k = 0; same && k < patch->nr_targets; k++)
			same = found->objects[k].bias == image->objects[k]->bias;
		if (same)
			return true;
	}
	return false;
}

static void add_image(struct ulp_target *target, struct apply *apply,
		      struct ulp_object **objects)
{
	struct ulp_image *image = &apply->images[apply->nr_images];

	memset(image, 0, sizeof(*image));
	image->fd = -1;
	image->objects = objects;
	if (already(target, apply->patch, image))
		ulp_image_free(image);
	else
		apply->nr_images++;
}

/*
 * One image for each place the patch goes to: a library that is loaded twice
 * (dlmopen) has two copies of each function.
 */
static int find_objects(struct ulp_target *target, struct apply *apply)
{
	const struct ulp_patch *patch = apply->patch;
	size_t places = 0;

	apply->images = calloc(target->nr_objects + 1, sizeof(*apply->images));
	if (!apply->images)
		return -ENOMEM;
	for (size_t i = 0; i < target->nr_objects; i++) {
		struct ulp_object **objects;

		if (!is_object(&target->objects[i], patch, &patch->raw_targets[0]))
			continue;
		objects = calloc(patch->nr_targets, sizeof(struct ulp_object *));
		if (!objects)
			return -ENOMEM;
		objects[0] = &target->objects[i];
		for (size_t t = 1; t < patch->nr_targets; t++) {
			const struct ulp_container_target *raw = &patch->raw_targets[t];

			objects[t] = ulp_target_object(target, patch->bytes + raw->build_id.offset,
						       raw->build_id.length);
			if (!objects[t]) {
				free(objects);
				return not_loaded(target, patch, &patch->targets[t]);
			}
		}
		places++;
		add_image(target, apply, objects);
	}
	if (!places)
		return not_loaded(target, patch, &patch->targets[0]);
	if (places > 1 && patch->nr_targets > 1)
		return ulp_err(target->ctx, -ULP_E_NOT_TARGET,
			       "%s (pid %d): %s is loaded %zu times, and a patch of several objects cannot tell which belong together",
			       target->name, target->pid, patch->targets[0].name, places);
	if (!apply->nr_images)
		return ulp_err(target->ctx, -ULP_E_ALREADY_APPLIED,
			       "%s (pid %d): patch %s is applied already", target->name,
			       target->pid, patch->name);
	return 0;
}

static int check_dependencies(struct ulp_target *target, const struct ulp_patch *patch)
{
	for (size_t i = 0; i < patch->nr_dependencies; i++) {
		bool found = false;

		for (size_t k = 0; k < target->records->nr && !found; k++)
			found = ulp_found_active(&target->records->found[k]) &&
				!strcmp(target->records->found[k].id_hex, patch->dependencies[i]);
		if (!found)
			return ulp_err(target->ctx, -ULP_E_DEPENDENCY,
				       "%s (pid %d): patch %s needs patch %.12s; apply that first",
				       target->name, target->pid, patch->name,
				       patch->dependencies[i]);
	}
	return 0;
}

static int bytes_differ(struct ulp_target *target, const char *function, uint64_t addr,
			uint8_t now, uint8_t expected, bool at_entry)
{
	const char *what = now == 0xcc ? "a breakpoint" :
		at_entry && (now == 0xe9 || now == 0xeb || now == 0xff) ? "somebody else's jump" :
		NULL;

	if (what)
		return ulp_err(target->ctx, -ULP_E_FOREIGN_HOOK,
			       "%s (pid %d): %s at 0x%lx in %s (0x%02x, expected 0x%02x); remove it first",
			       target->name, target->pid, what, (unsigned long)addr, function, now,
			       expected);
	return ulp_err(target->ctx, -ULP_E_BYTES_DIFFER,
		       "%s (pid %d): memory at 0x%lx in %s is 0x%02x, the patch was built against 0x%02x",
		       target->name, target->pid, (unsigned long)addr, function, now, expected);
}

/* What we wrote there, if we did, must still be what is there. */
static int verify_owned(struct ulp_target *target, const char *name, uint64_t entry,
			const uint8_t *now, size_t size)
{
	struct ulp_owner top = ulp_records_top(target->records, entry, NULL, NULL);
	const struct ulp_record_function *f = top.function;

	if (!f)
		return 0;
	for (size_t i = 0; i < f->entry_length && i < size; i++)
		if (now[i] != f->entry_jump[i])
			return bytes_differ(target, name, entry + i, now[i], f->entry_jump[i],
					    true);
	return 0;
}

static int verify_bytes(struct ulp_target *target, const char *name, uint64_t addr,
			const uint8_t *expected, const uint8_t *mask, size_t size,
			uint64_t entry)
{
	uint8_t *now = malloc(size);
	int err;

	if (!now)
		return -ENOMEM;
	err = ulp_memory_read(target, addr, now, size);
	if (err) {
		free(now);
		return ulp_err(target->ctx, -ULP_E_BYTES_DIFFER,
			       "%s (pid %d): cannot read %zu bytes of %s at 0x%lx: %s",
			       target->name, target->pid, size, name, (unsigned long)addr,
			       strerror(-err));
	}
	if (entry >= addr && entry - addr < size)
		err = verify_owned(target, name, entry, now + (entry - addr),
				   size - (entry - addr));
	ulp_records_pristine(target->records, addr, now, size);
	for (size_t i = 0; i < size && !err; i++)
		if ((now[i] ^ expected[i]) & (mask ? mask[i] : 0xff))
			err = bytes_differ(target, name, addr + i, now[i], expected[i],
					   addr + i == entry);
	free(now);
	return err;
}

struct span {
	uint64_t start, length;
};

static bool overlap(const struct span *a, const struct span *b)
{
	return a->start < b->start + b->length && b->start < a->start + a->length;
}

/*
 * Another patch may own the same entry: then this one goes on top of it.  Bytes
 * that two patches share in any other way cannot be stacked.
 */
static int check_overlap(struct ulp_target *target, const struct ulp_record_function *f)
{
	for (size_t i = 0; i < target->records->nr; i++) {
		const struct ulp_found *found = &target->records->found[i];

		if (!ulp_found_active(found))
			continue;
		for (uint32_t k = 0; k < found->record->nr_functions; k++) {
			const struct ulp_record_function *o = &found->functions[k];
			const struct span ours[] = {
				{ f->entry, f->entry_length }, { f->island, f->island_length },
			}, theirs[] = {
				{ o->entry, o->entry_length }, { o->island, o->island_length },
			};
			bool same = o->entry == f->entry && o->entry_length == f->entry_length &&
				    o->island == f->island;

			for (size_t n = 0; n < 4 && !same; n++)
				if (overlap(&ours[n / 2], &theirs[n % 2]))
					return ulp_err(target->ctx, -ULP_E_FOREIGN_HOOK,
						       "%s (pid %d): patch %s (%.12s) changes bytes at 0x%lx too, in another way; revert it first",
						       target->name, target->pid, found->name,
						       found->id_hex,
						       (unsigned long)ours[n / 2].start);
		}
	}
	return 0;
}

static int plan_function(struct ulp_target *target, struct ulp_plan *plan,
			 const struct ulp_patch *patch, const struct ulp_image *image, size_t t,
			 uint32_t index)
{
	const struct ulp_container_function *raw = &patch->raw_functions[index];
	const char *name = patch->functions[index].old_name;
	const struct ulp_object *object = image->objects[t];
	struct ulp_record_function f = { 0 };
	const uint8_t *expected = patch->bytes + raw->expected.offset;
	const uint8_t *mask = raw->mask.length ? patch->bytes + raw->mask.offset : NULL;
	const uint8_t *entry_now, *island_now;
	struct ulp_owner top;
	int err;

	ulp_image_entry(image, raw, object, &f);
	entry_now = expected + (raw->entry - raw->old_value);
	island_now = patch->bytes + raw->island_expected.offset;
	err = check_overlap(target, &f);
	if (!err)
		err = verify_bytes(target, name, f.old_start, expected, mask,
				   raw->expected.length, f.entry);
	if (!err && f.island)
		err = verify_bytes(target, name, f.island, island_now, NULL, f.island_length, 0);
	/* Thread by thread the rest is done by universe.c. */
	if (err || plan->by_thread)
		return err;
	for (uint32_t i = 0; i < raw->nr_ranges && !err; i++) {
		const struct ulp_container_range *r = &patch->raw_ranges[raw->first_range + i];

		err = ulp_plan_range(plan, r->start + object->bias, r->end + object->bias, "%s",
				     name);
	}
	if (err)
		return err;
	top = ulp_records_top(target->records, f.entry, NULL, NULL);
	if (top.found) {
		entry_now = top.function->entry_jump;
		island_now = top.function->island_jump;
		err = ulp_plan_range(plan, top.found->record->text_start,
				     top.found->record->text_end, "%s of patch %s", name,
				     top.found->name);
	}
	if (!err && f.island)
		err = ulp_plan_write(plan, f.island, island_now, f.island_jump, f.island_length,
				     "island of %s", name);
	if (!err && memcmp(entry_now, f.entry_jump, f.entry_length) != 0)
		err = ulp_plan_write(plan, f.entry, entry_now, f.entry_jump, f.entry_length,
				     "%s", name);
	return err;
}

/* What an unloaded object left behind must not come to life under a new patch. */
static int plan_lost(struct ulp_target *target, struct ulp_plan *plan, const struct apply *apply)
{
	int err = 0;

	for (size_t i = 0; i < target->records->nr && !err; i++) {
		const struct ulp_found *found = &target->records->found[i];
		bool reused = false;

		for (size_t k = 0; k < apply->nr_images; k++)
			reused |= apply->images[k].reuse == found;
		if (found->lost && !reused)
			err = ulp_plan_state(plan, found->record, ULP_RECORD_REVERTED,
					     found->record->sequence);
	}
	return err;
}

static void apply_reset(struct apply *apply)
{
	for (size_t i = 0; i < apply->nr_images; i++)
		ulp_image_free(&apply->images[i]);
	free(apply->images);
	apply->images = NULL;
	apply->nr_images = 0;
}

/* A thread that is about to go from a stub to the old code is in it already. */
static int plan_stubs(struct ulp_plan *plan, const struct ulp_image *image)
{
	const struct ulp_record_leave *stubs;

	if (!image->reuse || !image->reuse->table)
		return 0;
	stubs = &image->reuse->leaves[image->reuse->nr_leaves - 1];
	return ulp_plan_range(plan, stubs->start, stubs->end, "patch %s", image->reuse->name);
}

static int plan_begin(struct ulp_target *target, struct ulp_plan *plan, const struct apply *apply,
		      uint64_t sequence)
{
	const struct ulp_image *image = &apply->images[0];
	struct ulp_found found;
	int err;

	if (apply->nr_images > 1)
		return ulp_err(target->ctx, -ULP_E_CONSISTENCY,
			       "%s (pid %d): threads cannot switch one by one: %s is loaded %zu times; use --consistency=atomic",
			       target->name, target->pid, object_name(image->objects[0]),
			       apply->nr_images);
	if (image->reuse)
		return ulp_universe_begin(target, plan, image->reuse, ULP_RECORD_SWITCHING,
					  sequence, true);
	err = ulp_found_init(&found, image->record);
	if (err)
		return err;
	err = ulp_universe_begin(target, plan, &found, ULP_RECORD_SWITCHING, sequence, false);
	free(found.name);
	return err;
}

static int apply_plan(struct ulp_target *target, struct ulp_plan *plan, void *arg)
{
	struct apply *apply = arg;
	struct ulp_patch *patch = apply->patch;
	const struct ulp_found *moving;
	uint64_t sequence = 1;
	int err;

	apply_reset(apply);
	memcpy(plan->result->id, patch->id_hex, sizeof(plan->result->id));
	ulp_plan_subject(plan, ULP_ACTION_APPLY, patch->name, patch->id);
	for (size_t i = 0; i < patch->nr_functions; i++)
		ulp_plan_function(plan, patch->functions[i].old_name,
				  strlen(patch->functions[i].old_name));
	err = ulp_universe_exclusive(target, patch->id, &moving);
	if (!err && moving && moving->record->state == ULP_RECORD_SWITCHING)
		return -EALREADY;
	if (!err && moving)
		return ulp_universe_begin(target, plan, moving, ULP_RECORD_SWITCHING,
					  moving->record->sequence, true);
	plan->scan_memory |= plan->patch_may_scan && patch->scan_memory;
	if (!err)
		err = find_objects(target, apply);
	if (!err)
		err = ulp_preload_check(target, plan);
	if (!err)
		err = check_dependencies(target, patch);
	if (!err && plan->by_thread)
		err = ulp_universe_check(target, plan);
	if (err)
		return err;
	for (size_t i = 0; i < target->records->nr; i++)
		if (target->records->found[i].record->sequence >= sequence)
			sequence = target->records->found[i].record->sequence + 1;
	for (size_t i = 0; i < apply->nr_images && !err; i++) {
		struct ulp_image *image = &apply->images[i];

		err = ulp_image_prepare(target, patch, image);
		for (size_t t = 0; t < patch->nr_targets && !err; t++) {
			const struct ulp_container_target *raw = &patch->raw_targets[t];

			for (uint32_t k = 0; k < raw->nr_functions && !err; k++)
				err = plan_function(target, plan, patch, image, t,
						    raw->first_function + k);
		}
		if (!err && !plan->by_thread)
			err = plan_stubs(plan, image);
		if (!err && !plan->by_thread)
			err = ulp_plan_state(plan, image->record, ULP_RECORD_ACTIVE,
					     sequence + i);
	}
	if (!err && plan->by_thread)
		err = plan_begin(target, plan, apply, sequence);
	if (!err)
		err = ulp_resident_plan(target, plan, patch, apply->images, apply->nr_images,
					&apply->resident);
	if (!err)
		err = ulp_preload_plan(target, plan, apply->images, apply->nr_images);
	if (!err)
		err = plan_lost(target, plan, apply);
	for (size_t i = 0; i < apply->nr_images && plan->check_stack && !err; i++)
		for (size_t t = 0; t < patch->nr_targets && !err; t++)
			err = ulp_plan_object(plan, apply->images[i].objects[t]);
	plan->commit_maps = true;
	return err;
}

static int apply_map(struct ulp_target *target, int session, void *arg)
{
	struct apply *apply = arg;
	int err = 0;

	for (size_t i = 0; i < apply->nr_images && !err; i++)
		if (!apply->images[i].reuse)
			err = ulp_image_map(target, apply->patch, &apply->images[i], session);
	if (!err)
		err = ulp_resident_map(target, &apply->resident, session);
	return err;
}

static const struct ulp_change_ops apply_ops = {
	.plan = apply_plan,
	.map = apply_map,
};

int ulp_apply(struct ulp_target *target, struct ulp_patch *patch,
	      const struct ulp_options *options, struct ulp_result *result)
{
	struct apply apply = { .patch = patch };
	int err;

	err = ulp_change_by_thread(target, &apply_ops, &apply, options, result);
	apply_reset(&apply);
	return err;
}
