// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * All code that belongs to a function: itself and what the compiler split off.
 *
 * With symbols the parts have names (f.cold, f.part.0); without, a part is what
 * the function jumps into the middle of, or what only this function jumps to.
 * A range too many costs a wait, one too few would be unsafe: in doubt code
 * belongs.
 */
#include <ctype.h>
#include <string.h>

#include "packer.h"

/* Whether @name is @whole followed by .cold, .cold.N, .part.N, in any number. */
static bool is_part_name(const char *name, const char *whole)
{
	size_t length = strlen(whole);

	if (strncmp(name, whole, length) != 0 || !name[length])
		return false;
	for (name += length; *name;) {
		if (strncmp(name, ".cold", 5) != 0 && strncmp(name, ".part", 5) != 0)
			return false;
		name += 5;
		if (name[0] == '.' && isdigit((unsigned char)name[1]))
			for (name++; isdigit((unsigned char)*name); name++)
				;
		if (*name && *name != '.')
			return false;
	}
	return true;
}

static bool in_ranges(const struct function *function, uint64_t addr)
{
	for (size_t i = 0; i < function->nr_ranges; i++)
		if (extent_has(function->ranges[i], addr))
			return true;
	return false;
}

void add_range(struct function *function, struct extent range)
{
	for (size_t i = 0; i < function->nr_ranges; i++)
		if (function->ranges[i].start <= range.start &&
		    function->ranges[i].end >= range.end)
			return;
	append(function->ranges, function->nr_ranges) = range;
}

static struct extent symbol_extent(const struct symbol *symbol)
{
	return (struct extent){ symbol->value, symbol->value + symbol->size };
}

/* Code that neither a symbol nor a frame describes: up to the next that one does. */
static struct extent unknown_code(const struct object *object, const struct section *section,
				  uint64_t addr)
{
	struct extent extent = { addr, section->addr + section->size };

	for (size_t i = 0; i < object->nr_symbols; i++)
		if (object->symbols[i].defined && object->symbols[i].value > addr &&
		    object->symbols[i].value < extent.end)
			extent.end = object->symbols[i].value;
	for (size_t i = 0; i < object->nr_frames; i++)
		if (object->frames[i].code.start > addr &&
		    object->frames[i].code.start < extent.end)
			extent.end = object->frames[i].code.start;
	return extent;
}

/* Whether nothing but @function gets into @extent, and nothing calls it. */
static bool is_private(const struct plan *plan, const struct function *function,
		       struct extent extent)
{
	const struct code *code = &plan->code;
	const struct branch *branch;
	size_t index = 0;

	while ((branch = code_branch_into(code, extent, &index)))
		if ((branch->call && branch->target == extent.start) ||
		    (!in_ranges(function, branch->source) &&
		     !extent_has(extent, branch->source)))
			return false;
	for (size_t i = 0; i < code->nr_pointers; i++)
		if (extent_has(extent, code->pointers[i]))
			return false;
	return true;
}

/* The piece of code that @target is in; false if it is nobody's part. */
static bool piece_at(const struct plan *plan, uint64_t target, struct extent *piece, bool *named)
{
	const struct object *object = plan->target;
	const struct section *section = object_section(object, target);
	const struct symbol *symbol;
	const struct frame *frame;

	if (!section || !(section->flags & SHF_EXECINSTR) || !strncmp(section->name, ".plt", 4))
		return false;
	symbol = object_function_at(object, target);
	frame = frame_at(object, target);
	if (symbol)
		*piece = symbol_extent(symbol);
	else if (frame)
		*piece = frame->code;
	else
		*piece = unknown_code(object, section, target);
	*named = symbol;
	return true;
}

/* Jumps out of @range: to a part, or a call at the very end of the function. */
static void follow_jumps(const struct plan *plan, struct function *function, struct extent range)
{
	const struct code *code = &plan->code;
	struct extent piece;
	bool named;

	for (size_t i = 0; i < code->nr_branches; i++) {
		const struct branch *branch = &code->branches[i];

		if (branch->call || !extent_has(range, branch->source) ||
		    in_ranges(function, branch->target) ||
		    !piece_at(plan, branch->target, &piece, &named))
			continue;
		if (branch->target != piece.start ||
		    (!named && is_private(plan, function, piece)))
			add_range(function, piece);
	}
}

/* Where exceptions go on is a part, wherever it is. */
static void follow_exceptions(const struct plan *plan, struct function *function,
			      struct extent range)
{
	const struct object *object = plan->target;
	struct extent piece;
	uint64_t *pads;
	bool named;

	for (size_t i = 0; i < object->nr_frames; i++) {
		size_t nr;

		if (!extents_overlap(object->frames[i].code, range))
			continue;
		nr = landing_pads(object, &object->frames[i], &pads);
		for (size_t n = 0; n < nr; n++)
			if (!in_ranges(function, pads[n]) &&
			    piece_at(plan, pads[n], &piece, &named))
				add_range(function, piece);
	}
}

void find_fragments(const struct plan *plan, struct function *function)
{
	const struct object *object = plan->target;

	if (!function->nr_ranges)
		add_range(function, (struct extent){
			function->old_value, function->old_value + function->old_size
		});
	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (symbol->defined && symbol->size && symbol->type == STT_FUNC &&
		    is_part_name(symbol->name, function->old_name))
			add_range(function, symbol_extent(symbol));
	}
	/* Ranges found on the way are followed as well. */
	for (size_t done = 0; done < function->nr_ranges; done++) {
		follow_jumps(plan, function, function->ranges[done]);
		follow_exceptions(plan, function, function->ranges[done]);
	}
}
