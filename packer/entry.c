// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where the jump to the new function goes.
 *
 * Nothing is overwritten that anything but the function's first byte leads to,
 * and outside the function only padding that nothing runs into.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"

static const uint8_t endbr64[ENDBR_SIZE] = { 0xf3, 0x0f, 0x1e, 0xfa };

static struct extent old_extent(const struct function *function)
{
	return (struct extent){ function->old_value, function->old_value + function->old_size };
}

/* Bytes of nops at @addr, counted up to @wanted. */
static unsigned int count_nops(const struct object *object, uint64_t addr, unsigned int wanted)
{
	unsigned int count = 0, length;
	const uint8_t *byte;
	bool padding;

	while (count < wanted) {
		length = code_instruction(object, addr + count, &padding);
		byte = object_at(object, addr + count, 1);
		if (!length || !padding || *byte == 0xcc)
			break;
		count += length;
	}
	return count;
}

static bool is_described(const struct object *object, struct extent extent)
{
	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];
		struct extent other = { symbol->value, symbol->value + symbol->size };

		if (symbol->defined && symbol->type != STT_TLS && symbol->size &&
		    extents_overlap(extent, other))
			return true;
	}
	for (size_t i = 0; i < object->nr_frames; i++)
		if (extents_overlap(extent, object->frames[i].code))
			return true;
	return false;
}

/* Whether @extent is padding that may be overwritten. */
bool is_free(const struct plan *plan, struct extent extent)
{
	const struct code *code = &plan->code;
	bool padding = false;

	for (size_t i = 0; i < code->nr_paddings && !padding; i++)
		padding = code->paddings[i].start <= extent.start &&
			  code->paddings[i].end >= extent.end;
	if (!padding || is_described(plan->target, extent) || code_entered(code, extent))
		return false;
	for (size_t i = 0; i < plan->nr_used; i++)
		if (extents_overlap(plan->used[i], extent))
			return false;
	for (size_t i = 0; plan->keep_off && i < plan->nr_reserved; i++)
		if (extents_overlap(plan->reserved[i].padding, extent))
			return false;
	return true;
}

const char *entry_blocked(const struct plan *plan, const struct function *function,
			  unsigned int size)
{
	struct extent written = { function->entry, function->entry + size };
	struct extent behind = { old_extent(function).end, written.end };
	struct extent inner = { written.start + 1, written.end };
	const char *why;
	uint64_t table;

	if (behind.start < behind.end && !is_free(plan, behind))
		return xasprintf("it has %" PRIu64 " bytes, the jump %u, and no free padding",
				 behind.start - written.start, size);
	why = code_entered(&plan->code, inner);
	if (why)
		return xasprintf("the jump would cover a way in: %s", why);
	table = code_table_into(plan->target, function->ranges, function->nr_ranges, inner);
	if (table)
		return xasprintf("the jump would cover a way in: the jump table at 0x%" PRIx64
				 " leads there", table);
	return NULL;
}

static void use(struct plan *plan, struct extent extent)
{
	if (extent.start < extent.end)
		append(plan->used, plan->nr_used) = extent;
}

/* Padding of @size bytes within reach of a short jump that ends at @from. */
static bool find_island(const struct plan *plan, uint64_t from, uint64_t *island)
{
	const struct code *code = &plan->code;

	for (size_t i = 0; i < code->nr_paddings; i++) {
		const struct extent *padding = &code->paddings[i];

		for (uint64_t at = padding->start; at + JUMP_SIZE <= padding->end; at++) {
			int64_t distance = (int64_t)(at - from);

			if (distance < INT8_MIN || distance > INT8_MAX)
				continue;
			if (is_free(plan, (struct extent){ at, at + JUMP_SIZE })) {
				*island = at;
				return true;
			}
		}
	}
	return false;
}

static void set_entry(struct plan *plan, struct function *function, uint32_t kind, uint64_t island)
{
	uint64_t end;

	function->kind = kind;
	function->island = island;
	if (island)
		use(plan, (struct extent){ island, island + JUMP_SIZE });
	end = function->entry + entry_size(function);
	use(plan, (struct extent){ old_extent(function).end, end });
}

/*
 * -fpatchable-function-entry=N,M with N < 5: a short jump back into the M nops
 * before the function leaves the function itself whole.
 */
static bool use_patchable_entry(struct plan *plan, struct function *function)
{
	uint64_t island = function->old_value - JUMP_SIZE;
	unsigned int nops = count_nops(plan->target, function->entry, JUMP_SIZE);

	if (nops < SHORT_SIZE || nops >= JUMP_SIZE || function->old_value < JUMP_SIZE ||
	    entry_blocked(plan, function, SHORT_SIZE) ||
	    !is_free(plan, (struct extent){ island, function->old_value }))
		return false;
	set_entry(plan, function, ULP_ENTRY_SHORT, island);
	return true;
}

static void set_start(const struct plan *plan, struct function *function)
{
	const uint8_t *bytes = object_at(plan->target, function->old_value, sizeof(endbr64));

	function->entry = function->old_value;
	if (bytes && !memcmp(bytes, endbr64, sizeof(endbr64)))
		function->entry += sizeof(endbr64);
}

bool find_entry(struct plan *plan, struct function *function, const char **jump,
		const char **near)
{
	uint64_t island;

	set_start(plan, function);
	if (function->entry >= old_extent(function).end) {
		*jump = *near = "nothing of it is left";
		return false;
	}
	*jump = entry_blocked(plan, function, JUMP_SIZE);
	if (!*jump) {
		set_entry(plan, function, ULP_ENTRY_JUMP, 0);
		return true;
	}
	*near = entry_blocked(plan, function, SHORT_SIZE);
	if (!*near && !find_island(plan, function->entry + SHORT_SIZE, &island))
		*near = "no free padding of 5 bytes is within its reach";
	if (*near)
		return false;
	set_entry(plan, function, ULP_ENTRY_SHORT, island);
	return true;
}

/* What the function needs of padding is the same in each patch, if it can be had. */
static bool use_reserved(struct plan *plan, struct function *function)
{
	const struct reserved *reserved = find_reserved(plan, function);
	unsigned int size;

	if (!reserved)
		return false;
	size = reserved->kind == ULP_ENTRY_JUMP ? JUMP_SIZE : SHORT_SIZE;
	if (entry_blocked(plan, function, size) ||
	    (reserved->island && !is_free(plan, reserved->padding)))
		return false;
	set_entry(plan, function, reserved->kind, reserved->island);
	return true;
}

bool choose_entry(struct plan *plan, struct function *function)
{
	const struct field *field = &function->described->old_name;
	const char *jump, *near;
	bool found;

	set_start(plan, function);
	if (function->entry >= old_extent(function).end) {
		error_at(plan->desc, field, "'%s' cannot be patched: it has only %" PRIu64 " bytes",
			 function->old_name, function->old_size);
		return false;
	}
	if (use_patchable_entry(plan, function))
		return true;
	/* all within the function: no padding is needed */
	if (function->entry + JUMP_SIZE <= old_extent(function).end &&
	    !entry_blocked(plan, function, JUMP_SIZE)) {
		set_entry(plan, function, ULP_ENTRY_JUMP, 0);
		return true;
	}
	if (use_reserved(plan, function))
		return true;
	plan->keep_off = true;
	found = find_entry(plan, function, &jump, &near);
	plan->keep_off = false;
	if (found || find_entry(plan, function, &jump, &near))
		return true;
	error_at(plan->desc, field, "'%s' cannot be patched: %s", function->old_name, jump);
	message_at(MESSAGE_NOTE, plan->desc, field, "nor by a short jump: %s", near);
	return false;
}
