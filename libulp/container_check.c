// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether what the tables of a container say makes sense: every index, every
 * address, every text.  After this nothing of them is checked again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"

/* End of user addresses: no address of a target is behind it. */
#define ADDRESS_MAX	(1ULL << 47)

#define JUMP_SIZE	5
#define SHORT_SIZE	2

/* What one function writes into its target, to find overlaps. */
struct place {
	uint64_t start, end;
	size_t function;
};

bool ulp_span_is_text(const struct ulp_strings *strings, struct ulp_span span)
{
	if (!span.length || !ulp_within(span.offset, span.length, strings->size))
		return false;
	for (uint32_t i = 0; i < span.length; i++) {
		unsigned char c = strings->data[span.offset + i];

		if (c < ' ' || c == 0x7f)
			return false;
	}
	return true;
}

static bool span_is_bytes(const struct ulp_patch *patch, struct ulp_span span)
{
	return ulp_within(span.offset, span.length, patch->nr_bytes);
}

static uint32_t entry_size(const struct ulp_container_function *function)
{
	return function->kind == ULP_ENTRY_JUMP ? JUMP_SIZE : SHORT_SIZE;
}

/* The entry and the island: where they are and what is expected there. */
static int check_entry(struct ulp_patch *patch, size_t index,
		       const struct ulp_container_function *function,
		       const struct ulp_container_target *target)
{
	int64_t distance;

	if (function->kind != ULP_ENTRY_JUMP && function->kind != ULP_ENTRY_SHORT)
		return ulp_patch_bad(patch, "damaged: function %zu: unknown kind of entry %u",
				     index, function->kind);
	if (!ulp_between(function->entry, 1, function->old_value,
			 function->old_value + function->old_size) ||
	    !ulp_between(function->entry, entry_size(function), target->text_start,
			 target->text_end))
		return ulp_patch_bad(patch, "damaged: function %zu: entry 0x%" PRIx64
				     " is not in the function", index, (uint64_t)function->entry);
	if (!span_is_bytes(patch, function->expected) ||
	    function->expected.length <
	    function->entry - function->old_value + entry_size(function) ||
	    !ulp_between(function->old_value, function->expected.length, target->text_start,
			 target->text_end))
		return ulp_patch_bad(patch,
				     "damaged: function %zu: expected bytes do not cover the entry",
				     index);
	if (!span_is_bytes(patch, function->mask) ||
	    (function->mask.length && function->mask.length != function->expected.length))
		return ulp_patch_bad(patch, "damaged: function %zu: mask of the expected bytes",
				     index);
	if (function->kind == ULP_ENTRY_JUMP) {
		if (function->island || function->island_expected.length)
			return ulp_patch_bad(patch,
					     "damaged: function %zu: an island, but no short jump",
					     index);
		return 0;
	}
	if (!ulp_between(function->island, JUMP_SIZE, target->text_start, target->text_end) ||
	    function->island_expected.length != JUMP_SIZE ||
	    !span_is_bytes(patch, function->island_expected))
		return ulp_patch_bad(patch, "damaged: function %zu: island 0x%" PRIx64, index,
				     (uint64_t)function->island);
	distance = (int64_t)(function->island - (function->entry + SHORT_SIZE));
	if (distance < INT8_MIN || distance > INT8_MAX)
		return ulp_patch_bad(patch,
				     "damaged: function %zu: the short jump cannot reach its island",
				     index);
	return 0;
}

static int check_ranges(struct ulp_patch *patch, size_t index,
			const struct ulp_container_function *function,
			const struct ulp_container_target *target)
{
	const struct ulp_container_range *range = &patch->raw_ranges[function->first_range];

	for (uint32_t i = 0; i < function->nr_ranges; i++, range++)
		if (range->start >= range->end || range->start < target->text_start ||
		    range->end > target->text_end)
			return ulp_patch_bad(patch, "damaged: function %zu: range %u is not code",
					     index, i);
	range = &patch->raw_ranges[function->first_range];
	if (range->start != function->old_value ||
	    range->end != function->old_value + function->old_size)
		return ulp_patch_bad(patch,
				     "damaged: function %zu: first range is not the function",
				     index);
	return 0;
}

static int check_function(struct ulp_patch *patch, const struct ulp_strings *strings,
			  size_t index, const struct ulp_container_target *target)
{
	const struct ulp_container_function *function = &patch->raw_functions[index];
	const struct ulp_patch_segment *segment;
	int err;

	if (!ulp_span_is_text(strings, function->old_name) ||
	    !ulp_span_is_text(strings, function->new_name))
		return ulp_patch_bad(patch, "damaged: name of function %zu", index);
	if (function->__reserved)
		return ulp_patch_bad(patch, "function %zu: a field of a later version is set",
				     index);
	if (!function->old_size || !ulp_between(function->old_value, function->old_size,
						target->text_start, target->text_end))
		return ulp_patch_bad(patch,
				     "damaged: function %zu: 0x%" PRIx64
				     " is outside the target's code", index,
				     (uint64_t)function->old_value);
	segment = ulp_patch_segment(patch, function->new_value, function->new_size);
	if (!function->new_size || !segment || !(segment->flags & PF_X) ||
	    !ulp_patch_at(patch, function->new_value, function->new_size))
		return ulp_patch_bad(patch,
				     "damaged: function %zu: 0x%" PRIx64
				     " is not code of the patch", index,
				     (uint64_t)function->new_value);
	err = check_entry(patch, index, function, target);
	if (err)
		return err;
	return check_ranges(patch, index, function, target);
}

static int check_reference(struct ulp_patch *patch, const struct ulp_strings *strings,
			   size_t index)
{
	const struct ulp_container_reference *reference = &patch->raw_references[index];
	const struct ulp_patch_segment *segment;
	bool tls = reference->flags & ULP_REFERENCE_TLS;

	if (!ulp_span_is_text(strings, reference->target_name) ||
	    !ulp_span_is_text(strings, reference->slot_name))
		return ulp_patch_bad(patch, "damaged: name of reference %zu", index);
	if (reference->__reserved ||
	    (reference->flags & ~(ULP_REFERENCE_TLS | ULP_REFERENCE_ORIGINAL)))
		return ulp_patch_bad(patch, "reference %zu: a field of a later version is set",
				     index);
	if (reference->target_value >= ADDRESS_MAX ||
	    reference->flags == (ULP_REFERENCE_TLS | ULP_REFERENCE_ORIGINAL))
		return ulp_patch_bad(patch, "damaged: reference %zu: address 0x%" PRIx64, index,
				     (uint64_t)reference->target_value);
	segment = ulp_patch_segment(patch, reference->slot_value, tls ? 16 : 8);
	if (!segment || !(segment->flags & PF_W))
		return ulp_patch_bad(patch,
				     "damaged: reference %zu: slot 0x%" PRIx64
				     " is not writable data of the patch", index,
				     (uint64_t)reference->slot_value);
	return 0;
}

static uint64_t relocation_size(const struct ulp_container_relocation *relocation)
{
	switch (relocation->type) {
	case R_X86_64_PC32:
	case R_X86_64_32:
	case R_X86_64_32S:
		return 4;
	case R_X86_64_64:
	case R_X86_64_TPOFF64:
	case R_X86_64_DTPMOD64:
		return 8;
	case R_X86_64_DTPOFF64:
		return relocation->flags & ULP_RELOCATION_IMPORT ? 8 : 0;
	case R_X86_64_TLSDESC:
		return 16;
	default:
		return 0;
	}
}

/* What is bound by its name is in data, and has no other value. */
static bool is_import(const struct ulp_patch *patch,
		      const struct ulp_container_relocation *relocation, uint64_t size)
{
	return size >= 8 && !relocation->value && !(relocation->flags & ULP_RELOCATION_OWN) &&
	       ulp_patch_segment(patch, relocation->place, size)->flags & PF_W;
}

static bool is_address(const struct ulp_container_relocation *relocation)
{
	return relocation->type != R_X86_64_TPOFF64 && relocation->type != R_X86_64_DTPMOD64 &&
	       relocation->type != R_X86_64_TLSDESC;
}

static int check_relocation(struct ulp_patch *patch, const struct ulp_strings *strings,
			    size_t index)
{
	const struct ulp_container_relocation *relocation = &patch->raw_relocations[index];
	bool own = relocation->flags & ULP_RELOCATION_OWN;
	uint64_t size = relocation_size(relocation);

	if (!ulp_span_is_text(strings, relocation->name))
		return ulp_patch_bad(patch, "damaged: name of relocation %zu", index);
	if (relocation->__reserved ||
	    relocation->flags & ~(ULP_RELOCATION_OWN | ULP_RELOCATION_IMPORT |
				  ULP_RELOCATION_WEAK))
		return ulp_patch_bad(patch, "relocation %zu: a field of a later version is set",
				     index);
	if (!size)
		return ulp_patch_bad(patch, "relocation %zu: type %u needs a newer version of ulp",
				     index, relocation->type);
	if (relocation->target >= patch->nr_targets || (own && relocation->target))
		return ulp_patch_bad(patch, "damaged: target of relocation %zu", index);
	if (own && !is_address(relocation))
		return ulp_patch_bad(patch,
				     "damaged: relocation %zu: the patch has no thread-local variables",
				     index);
	if (relocation->value >= (own ? patch->image_size : ADDRESS_MAX))
		return ulp_patch_bad(patch, "damaged: relocation %zu: address 0x%" PRIx64, index,
				     (uint64_t)relocation->value);
	if (!ulp_patch_at(patch, relocation->place, size))
		return ulp_patch_bad(patch,
				     "damaged: relocation %zu: place 0x%" PRIx64
				     " is not in the patch", index, (uint64_t)relocation->place);
	if (relocation->flags & ULP_RELOCATION_IMPORT ? !is_import(patch, relocation, size) :
	    relocation->flags & ULP_RELOCATION_WEAK)
		return ulp_patch_bad(patch, "damaged: relocation %zu cannot be bound by a name",
				     index);
	if (!(ulp_patch_segment(patch, relocation->place, size)->flags & PF_W))
		patch->private_text = true;
	return 0;
}

static int check_original(struct ulp_patch *patch, size_t index)
{
	const struct ulp_container_original *original = &patch->raw_originals[index];
	const struct ulp_container_function *function;
	uint32_t size = original->code.length;

	if (original->function >= patch->nr_functions ||
	    (index && original->function <= original[-1].function))
		return ulp_patch_bad(patch, "damaged: function of original %zu", index);
	if (original->flags & ~ULP_ORIGINAL_ENDS)
		return ulp_patch_bad(patch, "original %zu: a field of a later version is set",
				     index);
	function = &patch->raw_functions[original->function];
	if (!size || size > ULP_ORIGINAL_CODE || !span_is_bytes(patch, original->code) ||
	    !original->displaced ||
	    !ulp_between(function->entry, original->displaced, function->old_value,
			 function->old_value + function->expected.length))
		return ulp_patch_bad(patch, "damaged: code of original %zu", index);
	if (original->nr_fields > ULP_ORIGINAL_FIELDS)
		return ulp_patch_bad(patch, "damaged: fields of original %zu", index);
	for (uint32_t i = 0; i < original->nr_fields; i++) {
		const struct ulp_container_field *field = &original->fields[i];

		bool half = field->next == ULP_FIELD_LOW || field->next == ULP_FIELD_HIGH;

		if (!ulp_within(field->offset, 4, size) || field->value >= ADDRESS_MAX ||
		    (!half && (field->next > size || field->next < field->offset + 4)))
			return ulp_patch_bad(patch, "damaged: field %u of original %zu", i, index);
	}
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return 0;
}

/* Those that want an original, once all functions have been checked. */
static int check_wanted_originals(struct ulp_patch *patch)
{
	for (size_t t = 0; t < patch->nr_targets; t++) {
		const struct ulp_container_target *target = &patch->raw_targets[t];

		for (uint32_t i = 0; i < target->nr_references; i++) {
			uint32_t index = target->first_reference + i;
			const struct ulp_container_reference *reference =
				&patch->raw_references[index];

			if (reference->flags & ULP_REFERENCE_ORIGINAL &&
			    ulp_patch_original(patch, t, reference->target_value) < 0)
				return ulp_patch_bad(patch,
						     "damaged: reference %u: the patch has no such original",
						     index);
		}
	}
	return 0;
}

/* No byte of a target may be written twice. */
static int check_overlaps(struct ulp_patch *patch, const struct ulp_container_target *target)
{
	struct place *places = calloc(2 * (size_t)target->nr_functions + 1, sizeof(*places));
	size_t nr = 0;
	int err = 0;

	if (!places)
		return ulp_err(patch->ctx, -ENOMEM, "%s: out of memory", patch->path);
	for (size_t i = 0; i < target->nr_functions; i++) {
		size_t index = target->first_function + i;
		const struct ulp_container_function *function = &patch->raw_functions[index];

		places[nr++] = (struct place){ function->entry,
					       function->entry + entry_size(function), index };
		if (function->island)
			places[nr++] = (struct place){ function->island,
						       function->island + JUMP_SIZE, index };
	}
	qsort(places, nr, sizeof(*places), compare_places);
	for (size_t i = 1; i < nr && !err; i++)
		if (places[i].start < places[i - 1].end)
			err = ulp_patch_bad(patch,
					    "damaged: functions %zu and %zu write to the same bytes",
					    places[i - 1].function, places[i].function);
	free(places);
	return err;
}

/*
 * Functions, ranges and references are in the order of what they belong to,
 * each belongs to exactly one: the indices have to continue where the
 * one before stopped.
 */
static int check_grouping(struct ulp_patch *patch)
{
	uint64_t function = 0, reference = 0, range = 0;

	for (size_t i = 0; i < patch->nr_targets; i++) {
		const struct ulp_container_target *target = &patch->raw_targets[i];

		if (!target->nr_functions || target->first_function != function ||
		    target->first_reference != reference)
			return ulp_patch_bad(patch, "damaged: functions of target %zu", i);
		function += target->nr_functions;
		reference += target->nr_references;
	}
	if (function != patch->nr_functions || reference != patch->nr_references)
		return ulp_patch_bad(patch, "damaged: number of functions or references");
	for (size_t i = 0; i < patch->nr_functions; i++) {
		const struct ulp_container_function *entry = &patch->raw_functions[i];

		if (!entry->nr_ranges || entry->first_range != range)
			return ulp_patch_bad(patch, "damaged: ranges of function %zu", i);
		range += entry->nr_ranges;
	}
	if (range != patch->nr_ranges)
		return ulp_patch_bad(patch, "damaged: number of ranges");
	return 0;
}

static int check_target(struct ulp_patch *patch, const struct ulp_strings *strings, size_t index)
{
	const struct ulp_container_target *target = &patch->raw_targets[index];
	int err;

	if (!ulp_span_is_text(strings, target->name))
		return ulp_patch_bad(patch, "damaged: name of target %zu", index);
	if (target->flags || target->__reserved)
		return ulp_patch_bad(patch, "target %zu: a field of a later version is set", index);
	if (!target->build_id.length || target->build_id.length > ULP_BUILD_ID_MAX ||
	    !span_is_bytes(patch, target->build_id))
		return ulp_patch_bad(patch, "damaged: build-id of target %zu", index);
	for (size_t i = 0; i < index; i++)
		if (patch->raw_targets[i].build_id.length == target->build_id.length &&
		    !memcmp(patch->bytes + patch->raw_targets[i].build_id.offset,
			    patch->bytes + target->build_id.offset, target->build_id.length))
			return ulp_patch_bad(patch, "damaged: targets %zu and %zu are the same",
					     i, index);
	if (target->text_start >= target->text_end || target->text_end > ADDRESS_MAX)
		return ulp_patch_bad(patch, "damaged: code addresses of target %zu", index);
	for (size_t i = 0; i < target->nr_functions; i++) {
		err = check_function(patch, strings, target->first_function + i, target);
		if (err)
			return err;
	}
	for (size_t i = 0; i < target->nr_references; i++) {
		err = check_reference(patch, strings, target->first_reference + i);
		if (err)
			return err;
	}
	return check_overlaps(patch, target);
}

int ulp_patch_check(struct ulp_patch *patch, const struct ulp_strings *strings)
{
	int err = check_grouping(patch);

	for (size_t i = 0; i < patch->nr_targets && !err; i++)
		err = check_target(patch, strings, i);
	for (size_t i = 0; i < patch->nr_relocations && !err; i++)
		err = check_relocation(patch, strings, i);
	for (size_t i = 0; i < patch->nr_originals && !err; i++)
		err = check_original(patch, i);
	return err ? err : check_wanted_originals(patch);
}
