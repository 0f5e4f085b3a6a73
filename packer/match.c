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

#include "unit.h"

#define INSN_MAX	16	/* and the longest relaxed sequence */
#define NOWHERE		UINT64_MAX

/* A branch inside of the piece: checked when all places are known. */
struct inner {
	uint64_t from, to;		/* in the piece */
	uint64_t target;		/* in the target */
};

struct walk {
	const struct slots *slots;
	const struct piece *piece;
	struct match *match;
	uint64_t *places;		/* of each offset of the piece in the target */
	struct inner *inner;
	size_t nr_inner;
	const struct reference *reference, *references_end;
};

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

static bool differ(struct walk *walk, uint64_t where, const char *why)
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

static const char *target_name(const struct reference *reference)
{
	return reference->symbol ? reference->symbol->name : reference->piece->name;
}

static bool bind(struct walk *walk, uint64_t addr)
{
	struct bound *bound = &walk->match->bound[walk->reference - walk->piece->references];

	bound->known = true;
	bound->addr = addr;
	return true;
}

static bool bind_import(struct walk *walk, const struct slot *slot)
{
	const struct reference *reference = walk->reference;
	struct bound *bound = &walk->match->bound[reference - walk->piece->references];

	const char *version = reference->symbol ? name_version(reference->symbol->name) : NULL;

	if (!reference->symbol || reference->symbol->bind == STB_LOCAL ||
	    !same_without_version(reference->symbol->name, slot->symbol) ||
	    (version && slot->version && strcmp(version, slot->version) != 0))
		return differ(walk, reference->offset,
			      xasprintf("it uses '%s', the target '%s'", target_name(reference),
					slot->symbol));
	bound->known = true;
	bound->imported = true;
	bound->version = slot->version;
	bound->addr = 0;
	return true;
}

/* The code or data at @addr is what the reference means, at place @to of it. */
static bool bind_address(struct walk *walk, uint64_t addr)
{
	const struct slot *slot = slot_of_stub(walk->slots, addr);

	if (slot && slot->symbol && !(walk->reference->piece && walk->reference->to))
		return bind_import(walk, slot);
	/*
	 * An indirect function of the target: the piece is its resolver, but a
	 * name means what the stub leads to.
	 */
	if (slot && !slot->symbol && walk->reference->piece)
		addr = slot->value;
	/* The middle of other code may be elsewhere in it: see nops and branches. */
	if (walk->reference->piece && walk->reference->piece->kind == PIECE_CODE &&
	    walk->reference->to)
		return true;
	return bind(walk, addr - (uint64_t)walk->reference->to);
}

/* Through a slot of the GOT. */
static bool bind_slot(struct walk *walk, uint64_t addr)
{
	const struct slot *slot = slot_at(walk->slots, addr);
	uint64_t value;

	if (slot && slot->symbol)
		return bind_import(walk, slot);
	if (!slots_pointer(walk->slots, addr, &value))
		return differ(walk, walk->reference->offset, "the target has no such slot");
	if (slot && slot->type == R_X86_64_IRELATIVE && !walk->reference->piece)
		return true;		/* the resolver is not what the name means */
	return bind(walk, value);
}

static bool bind_tls(struct walk *walk, uint64_t offset)
{
	return bind(walk, offset - (uint64_t)walk->reference->to);
}

static bool no_tls_slot(struct walk *walk)
{
	return differ(walk, walk->reference->offset,
		      "the target's slot is not for a thread-local variable");
}

/* Initial exec: the slot has the distance to the thread pointer. */
static bool bind_distance_slot(struct walk *walk, uint64_t addr)
{
	const struct slot *slot = slot_at(walk->slots, addr);
	uint64_t value;

	if (slot && slot->type == R_X86_64_TPOFF64)
		return slot->symbol ? bind_import(walk, slot) : bind(walk, slot->value);
	if (!slot && slots_pointer(walk->slots, addr, &value))	/* linked statically */
		return bind(walk, value + walk->slots->tls_size);
	return no_tls_slot(walk);
}

static bool bind_tls_slot(struct walk *walk, uint64_t addr)
{
	const struct slot *slot = slot_at(walk->slots, addr);
	uint64_t value;

	switch (walk->reference->type) {
	case R_X86_64_GOTTPOFF:
		return bind_distance_slot(walk, addr);
	case R_X86_64_GOTPC32_TLSDESC:
		if (slot && slot->type == R_X86_64_TLSDESC)
			return slot->symbol ? bind_import(walk, slot) : bind(walk, slot->value);
		break;
	default:
		if (!slot || slot->type != R_X86_64_DTPMOD64)
			break;
		if (slot->symbol)
			return bind_import(walk, slot);
		if (walk->reference->type == R_X86_64_TLSLD)
			return true;
		if (slots_pointer(walk->slots, addr + 8, &value))
			return bind(walk, value);
	}
	return no_tls_slot(walk);
}

static int64_t read_field(const uint8_t *field, unsigned int size)
{
	int32_t value32;
	int64_t value;

	if (size == 4) {
		memcpy(&value32, field, sizeof(value32));
		return value32;
	}
	memcpy(&value, field, sizeof(value));
	return value;
}

/* Reads back the field at @field of the target's instruction that ends at @end. */
static bool read_back(struct walk *walk, const uint8_t *field, uint64_t addr, uint64_t end)
{
	const struct reference *reference = walk->reference;
	unsigned int size = reference_size(reference->type);
	uint64_t value;

	if (!size)
		return reference->type == R_X86_64_TLSDESC_CALL ||
		       differ(walk, reference->offset, xasprintf("relocation %s is not supported",
								 reference_name(reference->type)));
	value = (uint64_t)read_field(field, size);
	switch (reference->type) {
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return bind_address(walk, end + value);
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
		return bind_slot(walk, end + value);
	case R_X86_64_32:
		return bind_address(walk, (uint32_t)value);
	case R_X86_64_32S:
		return bind_address(walk, value);
	case R_X86_64_64: {
		const struct slot *slot = slot_at(walk->slots, addr);

		if (slot && slot->symbol)
			return bind_import(walk, slot);
		return bind_address(walk, slot ? slot->value : value);
	}
	case R_X86_64_TPOFF32:
		return bind_tls(walk, value + walk->slots->tls_size);
	case R_X86_64_DTPOFF32:
	case R_X86_64_DTPOFF64:
		/* relaxed in programs: the distance to the thread pointer behind the block */
		if ((int64_t)value < 0)
			value += walk->slots->tls_size;
		return bind_tls(walk, value);
	case R_X86_64_GOTTPOFF:
	case R_X86_64_TLSGD:
	case R_X86_64_TLSLD:
	case R_X86_64_GOTPC32_TLSDESC:
		return bind_tls_slot(walk, end + value);
	default:
		return differ(walk, reference->offset, xasprintf("relocation %s is not supported",
								 reference_name(reference->type)));
	}
}

/*
 * An access through the GOT that the linker made direct: same length, another
 * opcode.  Returns whether it is one; @good is whether it fits.
 */
static bool relaxed(struct walk *walk, const uint8_t *ours, const uint8_t *theirs, uint64_t addr,
		    unsigned int length, bool *good)
{
	const struct reference *reference = walk->reference;
	uint64_t start = (uint64_t)(ours - walk->piece->bytes);
	unsigned int field = reference->offset - start;
	uint64_t value;

	*good = true;
	if (length < 6 || field + 4 != length)
		return false;
	value = (uint64_t)read_field(theirs + length - 4, 4);
	if (reference->type == R_X86_64_GOTTPOFF) {
		/* mov, add: an immediate, or lea of the register itself */
		if (theirs[length - 6] != 0xc7 && theirs[length - 6] != 0x81 &&
		    theirs[length - 6] != 0x8d)
			return false;
		*good = bind(walk, value + walk->slots->tls_size);
		return true;
	}
	if (reference->type == R_X86_64_GOTPC32_TLSDESC) {
		/* mov from a slot, or of a number; the call is a nop then */
		if (theirs[length - 6] == 0x8b)
			*good = bind_distance_slot(walk, addr + length + value);
		else if (theirs[length - 6] == 0xc7)
			*good = bind(walk, value + walk->slots->tls_size);
		else
			return false;
		return true;
	}
	if (reference->type != R_X86_64_GOTPCRELX && reference->type != R_X86_64_REX_GOTPCRELX &&
	    reference->type != R_X86_64_GOTPCREL)
		return false;
	if (ours[0] == 0xff && ours[1] == 0x15 && theirs[0] == 0x67 && theirs[1] == 0xe8)
		*good = bind_address(walk, addr + length + value);
	else if (ours[0] == 0xff && ours[1] == 0x25 && theirs[0] == 0xe9 && theirs[5] == 0x90)
		*good = bind_address(walk, addr + 5 + (uint64_t)read_field(theirs + 1, 4));
	else if (ours[field - 2] == 0x8b && theirs[field - 2] == 0x8d &&
		 ours[field - 1] == theirs[field - 1])
		*good = bind_address(walk, addr + length + value);
	else if (theirs[field - 2] == 0xc7 || theirs[field - 2] == 0x81 ||
		 theirs[field - 2] == 0xf7)
		*good = bind_address(walk, value);
	else
		return false;
	return true;
}

/*
 * General and local dynamic accesses of a library's code in a program, as long as they
 * were there with the call of __tls_get_addr(); 0: it is none.
 */
static unsigned int relaxed_tls(struct walk *walk, const uint8_t *theirs, uint64_t addr,
				size_t left, bool *good)
{
	static const uint8_t thread_pointer[] = { 0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0 };
	const struct reference *reference = walk->reference;
	unsigned int prefixes = 0;
	uint64_t value;

	*good = true;
	if (reference->type == R_X86_64_TLSGD && left >= 16 &&
	    !memcmp(theirs, thread_pointer, sizeof(thread_pointer)) && theirs[9] == 0x48) {
		value = (uint64_t)read_field(theirs + 12, 4);
		if (theirs[10] == 0x8d && theirs[11] == 0x80)
			*good = bind(walk, value + walk->slots->tls_size);
		else if (theirs[10] == 0x03 && theirs[11] == 0x05)
			*good = bind_distance_slot(walk, addr + 16 + value);
		else
			return 0;
		return 16;
	}
	while (prefixes < left && theirs[prefixes] == 0x66)
		prefixes++;
	if (reference->type == R_X86_64_TLSLD && (prefixes == 3 || prefixes == 4) &&
	    left >= prefixes + sizeof(thread_pointer) &&
	    !memcmp(theirs + prefixes, thread_pointer, sizeof(thread_pointer)))
		return prefixes + sizeof(thread_pointer);
	return 0;
}

/* The call of a descriptor that there is none of. */
static bool relaxed_call(const struct walk *walk, const uint8_t *theirs, size_t left)
{
	return walk->reference->type == R_X86_64_TLSDESC_CALL && left >= 2 && theirs[0] == 0x66 &&
	       theirs[1] == 0x90;
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
	return differ(walk, at, xasprintf("at +0x%" PRIx64 " \"%s\", but the target has \"%s\" at 0x%"
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
		return bind_address(walk, target);
	if (to < walk->piece->size)
		append(walk->inner, walk->nr_inner) = (struct inner){ at, to, target };
	return true;
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
		return differ(walk, *at, "the object's code cannot be decoded");
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
			a.length += b.length;
		} else if (left >= a.length && relaxed(walk, ours, theirs, *addr, a.length,
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

			if (!read_back(walk, theirs + field, *addr + field, *addr + b.length))
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
		return differ(walk, where, xasprintf("'%s' is not in the target", constant->name));
	for (size_t r = 0; r <= constant->nr_references; r++) {
		const struct reference *reference = &constant->references[r];
		uint64_t end = r < constant->nr_references ? reference->offset : constant->size;

		if (constant->bytes && end > at &&
		    memcmp(constant->bytes + at, theirs + at, end - at) != 0)
			return differ(walk, where,
				      xasprintf("the target has another content of '%s'",
						constant->name));
		if (r == constant->nr_references)
			break;
		at = end + reference_size(reference->type);
		if (reference->piece != walk->piece)
			continue;
		if (reference->type == R_X86_64_PC32) {
			start = table_start(walk->piece, constant, end);
			target = (uint64_t)read_field(theirs + end, 4) + addr + start;
			value = (uint64_t)reference->addend - (end - start);
		} else if (slots_pointer(walk->slots, addr + end, &target)) {
			value = (uint64_t)reference->addend;
		} else {
			continue;
		}
		if (!is_place(walk, value, target))
			return differ(walk, where, "the target has another jump table");
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
				return differ(walk, reference->offset,
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
		return differ(walk, walk->piece->size,
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
			good = differ(walk, walk->inner[i].from, "the target jumps elsewhere");
	return good && match_end(walk) && match_constants(walk);
}

bool match_at(const struct slots *slots, const struct piece *piece, uint64_t addr,
	      struct match *match)
{
	struct walk walk = { .slots = slots, .piece = piece, .match = match };
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
