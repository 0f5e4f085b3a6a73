// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who else in the target uses a constant that the patch has in a new version:
 * units that are not among the pairs would go on with the old one.
 */
#include <inttypes.h>
#include <string.h>

#include "decode.h"
#include "unit.h"

/* Whether the code at @addr is replaced by the patch. */
static bool is_replaced(const struct pairs *pairs, uint64_t addr)
{
	for (size_t i = 0; i < pairs->nr; i++)
		for (size_t k = 0; k < pairs->pairs[i].orig.nr_pieces; k++) {
			const struct piece *piece = pairs->pairs[i].orig.pieces[k];

			if (piece->kind == PIECE_CODE && piece->found && addr >= piece->addr &&
			    addr < piece->end)
				return is_split_off(piece->name) ||
				       (piece->twin && piece->twin->changed);
		}
	return false;
}

/* Whether an instruction has an address in @extent, relative or absolute. */
static bool refers_to(const struct object *target, const ZydisDecodedInstruction *insn,
		      uint64_t next, struct extent extent)
{
	if (insn->raw.disp.size == 32 && !insn->raw.modrm.mod && insn->raw.modrm.rm == 5)
		return extent_has(extent, next + (uint64_t)insn->raw.disp.value);
	if (target->header.e_type != ET_EXEC)
		return false;
	if (insn->raw.disp.size == 32 && extent_has(extent, (uint64_t)insn->raw.disp.value))
		return true;
	return insn->raw.imm[0].size >= 32 && !insn->raw.imm[0].is_relative &&
	       extent_has(extent, insn->raw.imm[0].value.u);
}

/* The address of code that is not replaced and uses @extent, else 0. */
static uint64_t other_code(const struct patch *patch, struct extent extent)
{
	const struct object *target = patch->target;

	for (size_t i = 0; i < target->nr_frames; i++) {
		struct extent code = target->frames[i].code;
		const uint8_t *bytes = object_at(target, code.start, code.end - code.start);
		ZydisDecodedInstruction insn;

		for (uint64_t at = code.start; bytes && at < code.end; at += insn.length) {
			if (!decode(bytes + (at - code.start), code.end - at, &insn))
				break;
			if (refers_to(target, &insn, at + insn.length, extent) &&
			    !is_replaced(patch->pairs, at))
				return at;
		}
	}
	return 0;
}

/* A pointer in the target's data, else 0; what the pairs know was looked at before. */
static uint64_t other_data(const struct patch *patch, struct extent extent)
{
	for (size_t i = 0; i < patch->slots->nr; i++) {
		const struct slot *slot = &patch->slots->slots[i];
		const struct section *section = object_section(patch->target, slot->addr);

		if (extent_has(extent, slot->value) && section &&
		    strncmp(section->name, ".got", 4) != 0)
			return slot->addr;
	}
	return 0;
}

static bool check_constant(const struct patch *patch, const struct piece *piece)
{
	const struct piece *orig = piece->twin;
	struct extent extent = { orig->addr, orig->addr + orig->size };
	const char *why = NULL;
	uint64_t where;

	if (!orig->found)
		why = "where the old one is in the target is not known";
	else if ((where = other_code(patch, extent)))
		why = xasprintf("the code at 0x%" PRIx64 " uses it as well", where);
	else if ((where = other_data(patch, extent)))
		why = xasprintf("the data at 0x%" PRIx64 " points to it", where);
	else if (!patch->target->executable && piece->symbol->visibility == STV_DEFAULT)
		for (size_t i = 0; i < patch->target->nr_symbols && !why; i++)
			if (patch->target->symbols[i].exported &&
			    patch->target->symbols[i].value == orig->addr)
				why = "it is exported, others may use it";
	if (!why)
		return true;
	error("%s: the content of '%s' changed, and %s", piece->unit->name, piece->name, why);
	message(MESSAGE_NOTE, "give the objects of all that use it");
	return false;
}

bool check_users(const struct patch *patch)
{
	bool good = true;

	for (size_t i = 0; i < patch->nr_pieces; i++) {
		const struct piece *piece = patch->pieces[i];

		if (piece->kind == PIECE_CONST && piece->changed && piece->twin &&
		    !piece_is_local(piece))
			good &= check_constant(patch, piece);
	}
	return good;
}
