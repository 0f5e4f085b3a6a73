// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The fields of the patch's pieces: what is known when it is linked is written,
 * what ld.so would do becomes dynamic relocations, what leads to the target's own
 * places becomes fixups of the container.
 *
 * What another object defines is reached through slots and stubs of the patch: it
 * may be far away.  The target's own is near, and reached as its own code does.
 */
#include <inttypes.h>
#include <string.h>

#include "unit.h"

struct spot {
	struct fields *fields;
	struct part *part;
	const struct piece *piece;
	const struct reference *reference;
	struct meaning meaning;
	uint64_t place;
};

static bool unsupported(const struct spot *spot, const char *why)
{
	error("%s: '%s' refers to '%s' by %s at +0x%" PRIx64 ", %s", spot->piece->unit->name,
	      spot->piece->name, spot->meaning.name, reference_name(spot->reference->type),
	      spot->reference->offset, why);
	return false;
}

static void write_field(const struct fields *fields, uint64_t place, uint64_t value,
			unsigned int size)
{
	if (fields->image)
		memcpy(fields->image + place, &value, size);
}

static bool write32(const struct spot *spot, uint64_t value)
{
	if ((int64_t)value != (int32_t)value && spot->fields->image)
		return unsupported(spot, "which is too far away");
	write_field(spot->fields, spot->place, value, 4);
	return true;
}

static size_t import_number(struct fields *fields, const struct meaning *meaning)
{
	size_t i = 0, unused;

	while (i < fields->nr_imports && strcmp(fields->imports[i], meaning->name) != 0)
		i++;
	if (i == fields->nr_imports) {
		unused = i;
		append(fields->weak, unused) = meaning->weak;
		append(fields->imports, fields->nr_imports) = meaning->name;
	}
	/* One that must be there makes it so for all. */
	fields->weak[i] &= meaning->weak;
	return i + 1;
}

static void add_rela(struct fields *fields, uint64_t place, uint32_t type, size_t symbol,
		     int64_t addend)
{
	append(fields->relas, fields->nr_relas) =
		(Elf64_Rela) { place, ELF64_R_INFO((uint64_t)symbol, type), addend };
}

/* An address of the target, or (MEANS_OWN) of the patch. */
static void add_fixup(struct fields *fields, uint64_t place, uint32_t type, uint64_t value,
		      int64_t addend, const struct meaning *meaning)
{
	bool own = meaning->kind == MEANS_OWN;

	append(fields->fixups, fields->nr_fixups) = (struct fixup){
		.place = place, .value = value, .addend = addend, .type = type, .own = own,
		.target = own ? 0 : meaning->part->number, .name = meaning->name,
	};
}

/* ld.so's own tables have no place for which target it is, or another version. */
static bool is_plain_import(const struct meaning *meaning)
{
	return meaning->part->patch->nr == 1 && !meaning->version;
}

/* What a name means, into memory that may be written. */
static void add_import(struct fields *fields, uint64_t place, uint32_t type, int64_t addend,
		       const struct meaning *meaning)
{
	if (is_plain_import(meaning)) {
		add_rela(fields, place, type, import_number(fields, meaning), addend);
		return;
	}
	append(fields->fixups, fields->nr_fixups) = (struct fixup){
		.place = place, .addend = addend, .import = true, .weak = meaning->weak,
		.type = type == R_X86_64_GLOB_DAT || type == R_X86_64_JUMP_SLOT ? R_X86_64_64 :
										  type,
		.target = meaning->part->number,
		.name = meaning->version ? xasprintf("%s@%s", meaning->name, meaning->version) :
					   meaning->name,
	};
}

static unsigned int slot_size(uint32_t type)
{
	switch (type) {
	case R_X86_64_DTPMOD64:
	case R_X86_64_DTPOFF64:
	case R_X86_64_TLSDESC:
		return 16;
	default:
		return 8;
	}
}

/* Adds what fills a slot of the GOT. */
static void fill_slot(struct fields *fields, const struct need *need)
{
	const struct meaning *meaning = &need->meaning;
	uint64_t tls_size = meaning->part->slots->tls_size;
	bool import = meaning->kind == MEANS_IMPORT;

	if (import && need->type != R_X86_64_DTPMOD64 && need->type != R_X86_64_DTPOFF64) {
		add_import(fields, need->slot, need->type, 0, meaning);
		return;
	}
	switch (need->type) {
	case R_X86_64_GLOB_DAT:
	case R_X86_64_JUMP_SLOT:
		if (meaning->kind == MEANS_OWN)
			add_rela(fields, need->slot, R_X86_64_RELATIVE, 0,
				 (int64_t)meaning->piece->value + need->to);
		else if (meaning->kind == MEANS_TARGET)
			add_fixup(fields, need->slot, R_X86_64_64, meaning->value, need->to,
				  meaning);
		else
			write_field(fields, need->slot, meaning->value, 8);
		return;
	case R_X86_64_TPOFF64:
		if (meaning->part->target->executable)
			write_field(fields, need->slot, meaning->value + (uint64_t)need->to -
				    tls_size, 8);
		else
			add_fixup(fields, need->slot, need->type, meaning->value, need->to,
				  meaning);
		return;
	case R_X86_64_TLSDESC:
		add_fixup(fields, need->slot, need->type, meaning->value, need->to, meaning);
		return;
	default:	/* module and offset; DTPOFF64 stands for the module alone */
		if (import) {
			add_import(fields, need->slot, R_X86_64_DTPMOD64, 0, meaning);
			add_import(fields, need->slot + 8, R_X86_64_DTPOFF64, 0, meaning);
			return;
		}
		add_fixup(fields, need->slot, R_X86_64_DTPMOD64, 0, 0, meaning);
		if (need->type == R_X86_64_DTPMOD64)
			write_field(fields, need->slot + 8, meaning->value + (uint64_t)need->to, 8);
	}
}

static bool same_meaning(const struct meaning *a, const struct meaning *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case MEANS_OWN:
		return a->piece == b->piece;
	case MEANS_IMPORT:
		return a->part == b->part && !strcmp(a->name, b->name) &&
		       !a->version == !b->version &&
		       (!a->version || !strcmp(a->version, b->version));
	case MEANS_TARGET:
		return a->part == b->part && a->value == b->value;
	default:
		return a->value == b->value;
	}
}

static struct need *need(struct fields *fields, uint32_t type, const struct meaning *meaning,
			 int64_t to)
{
	struct need *new;

	for (size_t i = 0; i < fields->nr_needs; i++)
		if (fields->needs[i].type == type && fields->needs[i].to == to &&
		    (type == R_X86_64_DTPOFF64 ? fields->needs[i].meaning.part == meaning->part :
		     same_meaning(&fields->needs[i].meaning, meaning)))
			return &fields->needs[i];
	new = &append(fields->needs, fields->nr_needs);
	new->type = type;
	new->meaning = *meaning;
	new->to = to;
	fields->got_size += slot_size(type);
	fields->nr_stubs += type == R_X86_64_JUMP_SLOT;
	return new;
}

/* The field is the distance to a slot of the patch. */
static bool through_slot(struct spot *spot, uint32_t type)
{
	const struct reference *reference = spot->reference;
	bool import = spot->meaning.kind == MEANS_IMPORT;
	/* The addend of such a field is about the instruction, not the symbol. */
	int64_t to = import ? 0 : reference->to;
	const struct need *slot = need(spot->fields, type, &spot->meaning, to);

	return write32(spot, slot->slot + (uint64_t)(reference->addend - reference->to) -
		       spot->place);
}

static bool is_branch(const struct spot *spot)
{
	const uint8_t *bytes = spot->piece->bytes;
	uint64_t at = spot->reference->offset;

	if (spot->piece->kind != PIECE_CODE)
		return false;
	return (at >= 1 && (bytes[at - 1] == 0xe8 || bytes[at - 1] == 0xe9)) ||
	       (at >= 2 && bytes[at - 2] == 0x0f && (bytes[at - 1] & 0xf0) == 0x80);
}

/* The address that a program at a fixed place has for a function of a library. */
static bool canonical_entry(const struct meaning *meaning, uint64_t *value)
{
	const struct object *target = meaning->part->target;

	for (size_t i = 0; i < target->nr_symbols && target->executable; i++)
		if (!target->symbols[i].defined && target->symbols[i].value &&
		    !strcmp(target->symbols[i].name, meaning->name)) {
			*value = target->symbols[i].value;
			return true;
		}
	return false;
}

static bool relative_field(struct spot *spot)
{
	const struct reference *reference = spot->reference;
	const struct meaning *meaning = &spot->meaning;

	switch (meaning->kind) {
	case MEANS_OWN:
		return write32(spot, meaning->piece->value + (uint64_t)reference->addend -
			       spot->place);
	case MEANS_TARGET:
		add_fixup(spot->fields, spot->place, R_X86_64_PC32, meaning->value,
			  reference->addend, meaning);
		return true;
	case MEANS_IMPORT:
		if (is_branch(spot))
			return write32(spot, need(spot->fields, R_X86_64_JUMP_SLOT, meaning,
						   0)->stub + (uint64_t)reference->addend -
				       spot->place);
		break;
	case MEANS_NUMBER:
		/* a weak function that nobody defines is at 0, and not called */
		if (is_branch(spot))
			return write32(spot, need(spot->fields, R_X86_64_JUMP_SLOT, meaning,
						   0)->stub + (uint64_t)reference->addend -
				       spot->place);
		break;
	}
	return unsupported(spot, meaning->kind == MEANS_NUMBER ? "an absolute number" :
			   "which the target does not use yet in this way: compile both versions with -fPIC, or -mno-direct-extern-access");
}

static bool absolute_field(struct spot *spot)
{
	const struct reference *reference = spot->reference;
	struct meaning *meaning = &spot->meaning;
	uint32_t type = reference->type;
	unsigned int size = reference_size(type);

	if (meaning->kind == MEANS_IMPORT && type != R_X86_64_64 &&
	    canonical_entry(meaning, &meaning->value))
		meaning->kind = MEANS_TARGET;
	switch (meaning->kind) {
	case MEANS_OWN:
		if (type == R_X86_64_64 && spot->piece->writable)
			add_rela(spot->fields, spot->place, R_X86_64_RELATIVE, 0,
				 (int64_t)meaning->piece->value + reference->addend);
		else
			add_fixup(spot->fields, spot->place, type, meaning->piece->value,
				  reference->addend, meaning);
		return true;
	case MEANS_TARGET:
		add_fixup(spot->fields, spot->place, type, meaning->value, reference->addend,
			  meaning);
		return true;
	case MEANS_NUMBER:
		write_field(spot->fields, spot->place, meaning->value +
			    (uint64_t)reference->addend, size);
		return true;
	case MEANS_IMPORT:
		if (type == R_X86_64_64 && spot->piece->writable) {
			add_import(spot->fields, spot->place, type, reference->addend, meaning);
			return true;
		}
		if (meaning->weak && type != R_X86_64_64) {
			/* As the linker did it: nobody defines it. */
			write_field(spot->fields, spot->place, (uint64_t)reference->addend, size);
			return true;
		}
	}
	return unsupported(spot, "whose address is not known when the program is linked: compile both versions with -fPIC");
}

/* Offset in the block of a thread, or from its thread pointer. */
static bool offset_field(struct spot *spot, uint64_t from)
{
	if (spot->meaning.kind != MEANS_TARGET)
		return unsupported(spot, "a thread-local variable of another object");
	write_field(spot->fields, spot->place, spot->meaning.value +
		    (uint64_t)spot->reference->addend - from,
		    reference_size(spot->reference->type));
	return true;
}

static bool fill_field(struct spot *spot)
{
	const struct part *part = spot->part;

	switch (spot->reference->type) {
	case R_X86_64_NONE:
	case R_X86_64_TLSDESC_CALL:
		return true;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return relative_field(spot);
	case R_X86_64_64:
	case R_X86_64_32:
	case R_X86_64_32S:
		return absolute_field(spot);
	case R_X86_64_PC64:
		if (spot->meaning.kind != MEANS_OWN)
			break;
		write_field(spot->fields, spot->place, spot->meaning.piece->value +
			    (uint64_t)spot->reference->addend - spot->place, 8);
		return true;
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
		return through_slot(spot, R_X86_64_GLOB_DAT);
	case R_X86_64_GOTTPOFF:
		return through_slot(spot, R_X86_64_TPOFF64);
	case R_X86_64_TLSGD:
		return through_slot(spot, R_X86_64_DTPMOD64);
	case R_X86_64_TLSLD:
		return through_slot(spot, R_X86_64_DTPOFF64);
	case R_X86_64_GOTPC32_TLSDESC:
		return through_slot(spot, R_X86_64_TLSDESC);
	case R_X86_64_DTPOFF32:
	case R_X86_64_DTPOFF64:
		return offset_field(spot, 0);
	case R_X86_64_TPOFF32:
		if (!part->target->executable)
			return unsupported(spot, "which only programs can have, not libraries");
		return offset_field(spot, part->slots->tls_size);
	default:
		break;
	}
	return unsupported(spot, "which is not supported");
}

static bool fill_piece(struct fields *fields, struct part *part, const struct piece *piece)
{
	struct spot spot = { .fields = fields, .part = part, .piece = piece };
	bool good = true;

	if (fields->image && piece->bytes)
		memcpy(fields->image + piece->value, piece->bytes, piece->size);
	for (size_t i = 0; i < piece->nr_references; i++) {
		spot.reference = &piece->references[i];
		spot.place = piece->value + spot.reference->offset;
		good &= resolve_meaning(part, piece, spot.reference, &spot.meaning) &&
			fill_field(&spot);
	}
	if (piece->kind == PIECE_FRAME && piece->parent)
		write_field(fields, piece->value + 4, piece->value + 4 - piece->parent->value, 4);
	return good;
}

static void fill_stub(const struct fields *fields, const struct need *need)
{
	static const uint8_t code[STUB_SIZE] = { 0xff, 0x25, 0, 0, 0, 0, 0x0f, 0x0b, 0x0f, 0x0b,
						 0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b };

	if (!fields->image || !need->stub)
		return;
	memcpy(fields->image + need->stub, code, sizeof(code));
	write_field(fields, need->stub + 2, need->slot - (need->stub + 6), 4);
}

bool fields_fill(struct fields *fields)
{
	const struct patch *patch = fields->patch;
	bool good = true;

	fields->nr_relas = 0;
	fields->nr_fixups = 0;
	for (size_t p = 0; p < patch->nr; p++)
		for (size_t i = 0; i < patch->parts[p].nr_pieces; i++)
			good &= fill_piece(fields, &patch->parts[p], patch->parts[p].pieces[i]);
	for (size_t i = 0; i < fields->nr_needs; i++) {
		fill_slot(fields, &fields->needs[i]);
		fill_stub(fields, &fields->needs[i]);
	}
	return good;
}
