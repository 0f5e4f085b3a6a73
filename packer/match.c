// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Original code compared with the target's, instruction by instruction: equal but
 * for what linker and assembler decide.  Those are fields that relocations fill,
 * which are read back, nops, short or long branches, and accesses through the
 * GOT that the linker made direct ("relaxed").
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"

#define NOWHERE		UINT64_MAX

static const uint8_t *bytes_at(const struct walk *walk, uint64_t addr, size_t *size)
{
	const GElf_Phdr *segment = object_segment(walk->slots->object, addr, 1);
	uint64_t left;

	if (!segment || addr - segment->p_vaddr >= segment->p_filesz)
		return NULL;
	left = segment->p_filesz - (addr - segment->p_vaddr);
	*size = left < INSN_MAX ? left : INSN_MAX;
	return object_at(walk->slots->object, addr, *size);
}

bool match_differs(struct walk *walk, uint64_t where, const char *why)
{
	walk->match->where = where;
	walk->match->why = why;
	return false;
}

static uint64_t behind_nops(const struct walk *walk, uint64_t addr)
{
	struct insn insn;
	const uint8_t *bytes;
	size_t size;

	while ((bytes = bytes_at(walk, addr, &size)) && insn_decode(bytes, size, &insn) && insn.nop)
		addr += insn.length;
	return addr;
}

/* The references of the instruction [@at, @at + @length) */
static size_t references_in(const struct walk *walk, uint64_t at, unsigned int length)
{
	size_t nr = 0;

	while (walk->reference + nr < walk->references_end &&
	       walk->reference[nr].offset < at + length)
		nr++;
	return nr;
}

static bool same_but_fields(struct walk *walk, uint64_t at, const uint8_t *theirs,
			    unsigned int length, size_t nr)
{
	const uint8_t *ours = walk->piece->bytes + at;

	for (unsigned int i = 0; i < length; i++) {
		bool field = false;

		for (size_t r = 0; r < nr && !field; r++) {
			uint64_t start = walk->reference[r].offset - at;

			field = i >= start &&
				i < start + reference_size(walk->reference[r].type);
		}
		if (!field && ours[i] != theirs[i])
			return false;
		walk->match->compared += !field;
	}
	return true;
}

static bool other_code(struct walk *walk, uint64_t at, uint64_t addr, const uint8_t *theirs,
		       size_t left)
{
	return match_differs(walk, at, xasprintf("at +0x%" PRIx64 " \"%s\", but the target has \"%s\" at 0x%"
					  PRIx64, at,
					  insn_text(walk->piece->bytes + at,
						    walk->piece->size - at, at),
					  theirs ? insn_text(theirs, left, addr) : "nothing",
					  addr));
}

static bool match_branch(struct walk *walk, uint64_t at, const struct insn *ours,
			 const struct insn *theirs, uint64_t addr, size_t nr)
{
	uint64_t to = at + ours->length + (uint64_t)ours->distance;
	uint64_t target = addr + theirs->length + (uint64_t)theirs->distance;

	walk->match->compared++;
	if (nr)
		return match_bind_address(walk, target);
	if (to < walk->piece->size)
		append(walk->inner, walk->nr_inner) = (struct inner){ at, to, target };
	return true;
}

/* The second of two references that one sequence has is that call. */
static bool is_call_of(const struct walk *walk, size_t nr, const char *name)
{
	return nr == 2 && walk->reference[1].symbol &&
	       !strcmp(walk->reference[1].symbol->name, name);
}

/* One instruction of both; @at and @addr move on. */
static bool match_one(struct walk *walk, uint64_t *at, uint64_t *addr)
{
	const uint8_t *ours = walk->piece->bytes + *at, *theirs;
	unsigned int taken;
	struct insn a, b;
	size_t nr, left;
	bool good;

	if (!insn_decode(ours, walk->piece->size - *at, &a))
		return match_differs(walk, *at, "the object's code cannot be decoded");
	walk->places[*at] = *addr;
	nr = references_in(walk, *at, a.length);
	if (a.nop && !nr) {
		*at += a.length;
		return true;
	}
	theirs = bytes_at(walk, *addr, &left);
	if (!theirs || !insn_decode(theirs, left, &b))
		return other_code(walk, *at, *addr, NULL, 0);
	if (nr && relaxed_call(walk, theirs, left)) {
		walk->reference += nr;
		*at += a.length;
		*addr += 2;
		return true;
	}
	if (b.nop) {
		*addr += b.length;
		return true;
	}
	if (a.branch && b.branch && a.mnemonic == b.mnemonic && nr <= 1) {
		if (!match_branch(walk, *at, &a, &b, *addr, nr))
			return false;
		taken = b.length;
	} else if (nr && !(a.length == b.length &&
			   same_but_fields(walk, *at, theirs, a.length, nr))) {
		taken = relaxed_tls(walk, theirs, *addr, left, &good);
		if (taken && !good)
			return false;
		if (taken) {
			/* The call of __tls_get_addr() is part of it. */
			if (!insn_decode(ours + a.length, walk->piece->size - *at - a.length, &b))
				return other_code(walk, *at, *addr, theirs, left);
			nr = references_in(walk, *at, a.length + b.length);
			if (!is_call_of(walk, nr, "__tls_get_addr"))
				return other_code(walk, *at, *addr, theirs, left);
			a.length += b.length;
		} else if (left >= a.length && relaxed_access(walk, ours, theirs, *addr, a.length,
						       &good)) {
			if (!good)
				return false;
			taken = a.length;
		} else {
			return other_code(walk, *at, *addr, theirs, left);
		}
	} else if (nr) {
		for (size_t r = 0; r < nr; r++) {
			uint64_t field = walk->reference->offset - *at;

			if (!match_read_back(walk, theirs + field, *addr + field, *addr + b.length))
				return false;
			walk->reference++;
		}
		nr = 0;
		taken = b.length;
	} else {
		if (a.length != b.length || !same_but_fields(walk, *at, theirs, a.length, 0))
			return other_code(walk, *at, *addr, theirs, left);
		taken = b.length;
	}
	walk->reference += nr;
	*at += a.length;
	*addr += taken;
	return true;
}

/* Whether @target is where @to of the piece is in the target. */
static bool is_place(const struct walk *walk, uint64_t to, uint64_t target)
{
	return to < walk->piece->size && walk->places[to] != NOWHERE &&
	       behind_nops(walk, walk->places[to]) == behind_nops(walk, target);
}

/* Where the table starts that has @offset of @table: the last place code refers to. */
static uint64_t table_start(const struct piece *piece, const struct piece *table, uint64_t offset)
{
	uint64_t start = 0;

	for (size_t i = 0; i < piece->nr_references; i++) {
		const struct reference *reference = &piece->references[i];

		if (reference->piece == table && (uint64_t)reference->to <= offset &&
		    (uint64_t)reference->to > start)
			start = reference->to;
	}
	return start;
}

/* A constant of the object at @addr of the target. */
static bool match_constant(struct walk *walk, const struct piece *constant, uint64_t addr,
			   uint64_t where)
{
	const uint8_t *theirs = object_at(walk->slots->object, addr, constant->size);
	uint64_t at = 0, start, target, value;

	if (!theirs)
		return match_differs(walk, where,
				     xasprintf("'%s' is not in the target", constant->name));
	for (size_t r = 0; r <= constant->nr_references; r++) {
		const struct reference *reference = &constant->references[r];
		uint64_t end = r < constant->nr_references ? reference->offset : constant->size;

		if (constant->bytes && end > at &&
		    memcmp(constant->bytes + at, theirs + at, end - at) != 0)
			return match_differs(walk, where,
				      xasprintf("the target has another content of '%s'",
						constant->name));
		if (r == constant->nr_references)
			break;
		at = end + reference_size(reference->type);
		if (!reference->piece || reference->piece->kind != PIECE_CODE)
			continue;
		if (reference->type == R_X86_64_PC32) {
			start = table_start(walk->piece, constant, end);
			target = (uint64_t)match_field(theirs + end, 4) + addr + start;
			value = (uint64_t)reference->addend - (end - start);
		} else if (slots_pointer(walk->slots, addr + end, &target)) {
			value = (uint64_t)reference->addend;
		} else {
			continue;
		}
		if (reference->piece == walk->piece ? !is_place(walk, value, target) :
		    value && !match_is_inside(walk, reference->piece, value, target))
			return match_differs(walk, where, "the target has another jump table");
	}
	return true;
}

static bool match_constants(struct walk *walk)
{
	const struct piece *piece = walk->piece;

	for (size_t i = 0; i < piece->nr_references; i++) {
		const struct reference *reference = &piece->references[i];
		const struct bound *bound = &walk->match->bound[i];

		if (!reference->piece || !bound->known || bound->imported)
			continue;
		switch (reference->piece->kind) {
		case PIECE_LITERAL:
		case PIECE_ANONYMOUS:
		case PIECE_CONST:
			if (!match_constant(walk, reference->piece, bound->addr,
					    reference->offset))
				return false;
			break;
		case PIECE_CODE:
			if (reference->piece == piece && bound->addr != walk->match->addr)
				return match_differs(walk, reference->offset,
					      "the target refers to another function");
			break;
		default:
			break;
		}
	}
	return true;
}

/* The target's function may not go on behind the end of ours. */
static bool match_end(struct walk *walk)
{
	const struct object *object = walk->slots->object;
	const struct frame *frame = frame_at(object, walk->match->addr);

	if (frame && frame->code.start == walk->match->addr &&
	    walk->match->end < frame->code.end &&
	    behind_nops(walk, walk->match->end) < frame->code.end)
		return match_differs(walk, walk->piece->size,
			      xasprintf("the target's function is longer: it goes on at 0x%" PRIx64,
					walk->match->end));
	return true;
}

static bool match_all(struct walk *walk)
{
	const struct piece *piece = walk->piece;
	struct match *match = walk->match;
	uint64_t at = 0;
	bool good = true;

	walk->reference = piece->references;
	walk->references_end = piece->references + piece->nr_references;
	match->bound = xcalloc(piece->nr_references, sizeof(*match->bound));
	match->end = match->addr;
	walk->places = xcalloc(piece->size, sizeof(*walk->places));
	memset(walk->places, 0xff, piece->size * sizeof(*walk->places));
	while (good && at < piece->size)
		good = match_one(walk, &at, &match->end);
	for (size_t i = 0; good && i < walk->nr_inner; i++)
		if (!is_place(walk, walk->inner[i].to, walk->inner[i].target))
			good = match_differs(walk, walk->inner[i].from, "the target jumps elsewhere");
	return good && match_end(walk) && match_constants(walk);
}

bool match_is_inside(struct walk *walk, const struct piece *code, uint64_t to, uint64_t addr)
{
	return !walk->others || !code->found ||
	       match_place(walk->slots, code, code->addr, to) == behind_nops(walk, addr);
}

bool match_at(const struct slots *slots, const struct piece *piece, uint64_t addr,
	      struct match *match)
{
	struct walk walk = { .slots = slots, .piece = piece, .match = match, .others = true };
	bool good;

	*match = (struct match){ .addr = addr };
	good = match_all(&walk);
	free(walk.places);
	free(walk.inner);
	if (!good) {
		free(match->bound);
		match->bound = NULL;
	}
	return good;
}

uint64_t match_place(const struct slots *slots, const struct piece *piece, uint64_t addr,
		     uint64_t at)
{
	struct match match = { .addr = addr };
	struct walk walk = { .slots = slots, .piece = piece, .match = &match };
	uint64_t place = 0;

	if (match_all(&walk) && at < piece->size && walk.places[at] != NOWHERE)
		place = behind_nops(&walk, walk.places[at]);
	free(walk.places);
	free(walk.inner);
	free(match.bound);
	return place;
}
