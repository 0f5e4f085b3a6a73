// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who else in the target uses what the patch has in a new version: units that are not
 * among the pairs go on with the old constant, and call a function as it was.
 */
#include <inttypes.h>
#include <string.h>

#include "decode.h"
#include "meaning.h"

/* Code that goes on to run. */
enum others { OTHERS_NOT_REPLACED, OTHERS_NOT_COMPILED };

/* The code at @addr is replaced by the patch, or was at least compiled anew for it. */
static bool is_ours(const struct pairs *pairs, uint64_t addr, enum others others)
{
	for (size_t i = 0; i < pairs->nr; i++)
		for (size_t k = 0; k < pairs->pairs[i].orig.nr_pieces; k++) {
			const struct piece *piece = pairs->pairs[i].orig.pieces[k];

			if (piece->kind != PIECE_CODE || !piece->found || addr < piece->addr ||
			    addr >= piece->end)
				continue;
			if (others == OTHERS_NOT_COMPILED)
				return !pairs->pairs[i].same;
			return is_split_off(piece->name) ||
			       (piece->twin && piece->twin->changed);
		}
	return false;
}

/* Whether an instruction has an address in @extent, relative or absolute. */
static bool refers_to(const struct object *target, const ZydisDecodedInstruction *insn,
		      uint64_t next, struct extent extent)
{
	if (insn->raw.imm[0].size && insn->raw.imm[0].is_relative)
		return extent_has(extent, next + (uint64_t)insn->raw.imm[0].value.s);
	if (insn->raw.disp.size == 32 && !insn->raw.modrm.mod && insn->raw.modrm.rm == 5)
		return extent_has(extent, next + (uint64_t)insn->raw.disp.value);
	if (target->header.e_type != ET_EXEC)
		return false;
	if (insn->raw.disp.size == 32 && extent_has(extent, (uint64_t)insn->raw.disp.value))
		return true;
	return insn->raw.imm[0].size >= 32 && !insn->raw.imm[0].is_relative &&
	       extent_has(extent, insn->raw.imm[0].value.u);
}

/* Where in @code the first other code is that uses @extent, else 0. */
static uint64_t other_code_in(const struct part *part, struct extent code, struct extent extent,
			      enum others others)
{
	const uint8_t *bytes = code.start < code.end ?
		object_at(part->target, code.start, code.end - code.start) : NULL;
	ZydisDecodedInstruction insn;

	for (uint64_t at = code.start; bytes && at < code.end; at += insn.length) {
		/* data among code: whatever is behind it may use it as well */
		if (!decode(bytes + (at - code.start), code.end - at, &insn)) {
			insn.length = 1;
			continue;
		}
		if (refers_to(part->target, &insn, at + insn.length, extent) &&
		    !is_ours(part->pairs, at, others))
			return at;
	}
	return 0;
}

/* The address of other code that uses @extent, else 0. */
static uint64_t other_code(const struct part *part, struct extent extent, enum others others)
{
	const struct object *target = part->target;
	uint64_t where = 0;

	for (size_t i = 0; i < target->nr_sections && !where; i++) {
		const struct section *section = &target->sections[i];
		uint64_t end = section->addr + section->size, at = section->addr;

		if (!(section->flags & SHF_ALLOC) || !(section->flags & SHF_EXECINSTR))
			continue;
		/* with frames it is known where instructions begin, and there is code without */
		for (size_t k = 0; k < target->nr_frames && !where; k++) {
			struct extent code = target->frames[k].code;

			if (code.start < at || code.end > end)
				continue;
			where = other_code_in(part, (struct extent){ at, code.start }, extent,
					      others);
			if (!where)
				where = other_code_in(part, code, extent, others);
			at = code.end;
		}
		if (!where)
			where = other_code_in(part, (struct extent){ at, end }, extent, others);
	}
	return where;
}

/* Whether the pairs that may change have a variable or table at @addr. */
static bool is_known_data(const struct pairs *pairs, uint64_t addr)
{
	for (size_t i = 0; i < pairs->nr; i++)
		for (size_t k = 0; k < pairs->pairs[i].orig.nr_pieces; k++) {
			const struct piece *piece = pairs->pairs[i].orig.pieces[k];

			if (!pairs->pairs[i].same && piece->kind != PIECE_CODE && piece->found &&
			    addr >= piece->addr && addr - piece->addr < piece->size)
				return true;
		}
	return false;
}

static bool is_got(const struct section *section)
{
	return section && !strncmp(section->name, ".got", 4);
}

/* A program at a fixed address has pointers that nothing tells of. */
static uint64_t fixed_pointer(const struct part *part, struct extent extent)
{
	const struct object *target = part->target;
	uint64_t value;

	for (size_t i = 0; i < target->nr_sections && target->header.e_type == ET_EXEC; i++) {
		const struct section *section = &target->sections[i];

		if (!(section->flags & SHF_ALLOC) || section->flags & SHF_EXECINSTR ||
		    section->type != SHT_PROGBITS || is_got(section) ||
		    !strncmp(section->name, ".eh_frame", 9))
			continue;
		for (uint64_t at = (section->addr + 7) & ~7ULL;
		     at + 8 <= section->addr + section->size; at += 8) {
			const uint8_t *bytes = object_at(target, at, 8);

			if (!bytes)
				break;
			memcpy(&value, bytes, sizeof(value));
			if (extent_has(extent, value) && !is_known_data(part->pairs, at))
				return at;
		}
	}
	return 0;
}

/* A pointer in the target's data, else 0; what the pairs know was looked at before. */
static uint64_t other_data(const struct part *part, struct extent extent)
{
	for (size_t i = 0; i < part->slots->nr; i++) {
		const struct slot *slot = &part->slots->slots[i];
		const struct section *section = object_section(part->target, slot->addr);

		if (extent_has(extent, slot->value) && section && !is_got(section) &&
		    !is_known_data(part->pairs, slot->addr))
			return slot->addr;
	}
	return fixed_pointer(part, extent);
}

/* The address of other code that loads the address of @extent from a slot, else 0. */
static uint64_t other_load(const struct part *part, struct extent extent, enum others others)
{
	uint64_t where = 0;

	for (size_t i = 0; i < part->slots->nr && !where; i++) {
		const struct slot *slot = &part->slots->slots[i];

		if (extent_has(extent, slot->value) &&
		    is_got(object_section(part->target, slot->addr)))
			where = other_code(part, (struct extent){ slot->addr, slot->addr + 8 },
					   others);
	}
	return where;
}

/* Who uses @extent of the target, other than what was compiled anew; NULL: nobody. */
static const char *other_user(const struct part *part, struct extent extent,
			      enum others others)
{
	uint64_t where = other_code(part, extent, others);
	const struct symbol *symbol;

	if (!where)
		where = other_load(part, extent, others);
	if (where) {
		symbol = object_function_at(part->target, where);
		return symbol ? xasprintf("the code at 0x%" PRIx64 ", in '%s', uses it as well",
					  where, symbol->name) :
				xasprintf("the code at 0x%" PRIx64 " uses it as well", where);
	}
	where = other_data(part, extent);
	return where ? xasprintf("the data at 0x%" PRIx64 " points to it", where) : NULL;
}

static bool is_exported(const struct object *target, uint64_t addr)
{
	for (size_t i = 0; i < target->nr_symbols; i++)
		if (target->symbols[i].exported && target->symbols[i].value == addr)
			return true;
	return false;
}

static bool check_constant(const struct part *part, const struct piece *piece)
{
	const struct piece *orig = piece->twin;
	struct extent extent = { orig->addr, orig->addr + orig->size };
	const char *why, *todo = "give the objects of all that use it";

	/* A library's own code finds it by its name, which tells no address. */
	if (!part->target->executable && piece->symbol->visibility == STV_DEFAULT &&
	    (names_exported(part->target, piece->name) ||
	     (orig->found && is_exported(part->target, orig->addr)))) {
		why = "it is exported, others may use it";
		todo = "keep it as it is, and give the changed code one of another name";
	} else if (!orig->found) {
		why = "where the old one is in the target is not known";
	} else {
		why = other_user(part, extent, OTHERS_NOT_REPLACED);
	}
	if (!why)
		return true;
	error("%s: the content of '%s' changed, and %s", piece->unit->name, piece->name, why);
	message(MESSAGE_NOTE, "%s", todo);
	return false;
}

const char *function_user_outside(const struct part *part, const struct piece *piece)
{
	uint64_t addr = piece->twin->addr;

	if (!piece->twin->found)
		return NULL;
	if (is_exported(part->target, addr)) {
		if (!part->target->executable)
			return "it is exported, others may call it";
		message(MESSAGE_WARNING,
			"%s: '%s' has other arguments or another result, and the program exports it: no library or module may call it",
			piece->unit->name, piece->name);
	}
	return other_user(part, (struct extent){ addr, addr + 1 }, OTHERS_NOT_COMPILED);
}

static bool uses(const struct pairs *pairs, const struct piece *user, const struct piece *piece)
{
	for (size_t i = 0; i < user->nr_references; i++) {
		const struct reference *reference = &user->references[i];

		if (reference->piece == piece ||
		    (!reference->piece && reference->symbol && !piece_is_local(piece) &&
		     global_piece(pairs, true, reference->symbol->name) == piece))
			return true;
	}
	return false;
}

const char *function_user(const struct part *part, const struct piece *piece)
{
	const struct pairs *pairs = part->pairs;

	for (size_t i = 0; i < pairs->nr; i++)
		for (size_t k = 0; k < pairs->pairs[i].patched.nr_pieces; k++) {
			const struct piece *user = pairs->pairs[i].patched.pieces[k];

			if (!user->twin || user->changed || user->kind == PIECE_FRAME ||
			    !uses(pairs, user, piece))
				continue;
			return xasprintf("'%s', which does not change, %s it", user->name,
					 user->kind == PIECE_CODE ? "uses" : "points to");
		}
	return function_user_outside(part, piece);
}

bool check_users(const struct part *part)
{
	bool good = true;

	for (size_t i = 0; i < part->nr_pieces; i++) {
		const struct piece *piece = part->pieces[i];

		if (piece->kind == PIECE_CONST && piece->changed && piece->twin &&
		    !piece_is_local(piece))
			good &= check_constant(part, piece);
	}
	return good;
}

/* Whether all code of its own source that uses @piece is found in the target. */
static bool users_are_found(const struct piece *piece)
{
	for (size_t i = 0; i < piece->unit->nr_pieces; i++) {
		const struct piece *user = piece->unit->pieces[i];

		if (user->kind != PIECE_CODE || user->found)
			continue;
		for (size_t k = 0; k < user->nr_references; k++)
			if (user->references[k].piece == piece)
				return false;
	}
	return true;
}

/* By no name can another source use it. */
static bool is_static(const struct piece *piece)
{
	const struct unit *unit = piece->unit;

	for (size_t i = 1; i < unit->nr_symbols; i++)
		if (unit->symbols[i].piece == piece && unit->symbols[i].bind != STB_LOCAL)
			return false;
	return true;
}

bool check_static(const struct part *part, const struct code *code, const struct piece *orig)
{
	struct extent entry = { orig->addr, orig->addr + 1 };
	const struct branch *branch;
	size_t index = 0;

	if (!is_static(orig) || !users_are_found(orig))
		return true;
	while ((branch = code_branch_into(code, entry, &index))) {
		if (is_ours(part->pairs, branch->source, OTHERS_NOT_COMPILED))
			continue;
		error("%s: '%s' changed, and the code at 0x%" PRIx64
		      " of %s uses it, though it is static and that is not of its source: the linker folded it with another function (--icf)",
		      orig->unit->name, orig->name, branch->source, part->target->path);
		message(MESSAGE_NOTE, "what is at that place cannot be one function for some and another one for others");
		return false;
	}
	return true;
}
