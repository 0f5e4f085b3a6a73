// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the target has for a reference of the original code: fields that relocations
 * filled are read back, through GOT, PLT and the slots of thread-local variables.
 */
#include <string.h>

#include "match.h"

static const char *target_name(const struct reference *reference)
{
	if (reference->symbol)
		return reference->symbol->name;
	return reference->piece ? reference->piece->name : "(no name)";
}

bool match_bind(struct walk *walk, uint64_t addr)
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
		return match_differs(walk, reference->offset,
			      xasprintf("it uses '%s', the target '%s'", target_name(reference),
					slot->symbol));
	bound->known = true;
	bound->imported = true;
	bound->version = slot->version;
	bound->addr = 0;
	return true;
}

bool match_bind_address(struct walk *walk, uint64_t addr)
{
	const struct reference *reference = walk->reference;
	const struct slot *slot = slot_of_stub(walk->slots, addr);
	bool inside = reference->piece && reference->piece->kind == PIECE_CODE && reference->to;

	if (slot && slot->symbol && !(reference->piece && reference->to))
		return bind_import(walk, slot);
	/* a thunk that others may define, too */
	if (inside && slot && slot->symbol && reference->symbol &&
	    same_without_version(reference->symbol->name, slot->symbol))
		return true;
	/*
	 * An indirect function of the target: the piece is its resolver, but a
	 * name means what the stub leads to.
	 */
	if (slot && !slot->symbol && reference->piece)
		addr = slot->value;
	/* The middle of other code may be elsewhere in it: see nops and branches. */
	if (inside)
		return match_is_inside(walk, reference->piece, (uint64_t)reference->to, addr) ||
		       match_differs(walk, reference->offset,
				     xasprintf("the target goes on elsewhere in '%s'",
					       reference->piece->name));
	return match_bind(walk, addr - (uint64_t)reference->to);
}

/* Through a slot of the GOT. */
static bool bind_slot(struct walk *walk, uint64_t addr)
{
	const struct slot *slot = slot_at(walk->slots, addr);
	uint64_t value;

	if (slot && slot->symbol)
		return bind_import(walk, slot);
	if (!slots_pointer(walk->slots, addr, &value))
		return match_differs(walk, walk->reference->offset, "the target has no such slot");
	if (slot && slot->type == R_X86_64_IRELATIVE && !walk->reference->piece)
		return true;		/* the resolver is not what the name means */
	return match_bind(walk, value);
}

static bool bind_tls(struct walk *walk, uint64_t offset)
{
	return match_bind(walk, offset - (uint64_t)walk->reference->to);
}

static bool no_tls_slot(struct walk *walk)
{
	return match_differs(walk, walk->reference->offset,
		      "the target's slot is not for a thread-local variable");
}

bool match_bind_distance_slot(struct walk *walk, uint64_t addr)
{
	const struct slot *slot = slot_at(walk->slots, addr);
	uint64_t value;

	if (slot && slot->type == R_X86_64_TPOFF64)
		return slot->symbol ? bind_import(walk, slot) : match_bind(walk, slot->value);
	if (!slot && slots_pointer(walk->slots, addr, &value))	/* linked statically */
		return match_bind(walk, value + walk->slots->tls_size);
	return no_tls_slot(walk);
}

static bool bind_tls_slot(struct walk *walk, uint64_t addr)
{
	const struct slot *slot = slot_at(walk->slots, addr);
	uint64_t value;

	switch (walk->reference->type) {
	case R_X86_64_GOTTPOFF:
		return match_bind_distance_slot(walk, addr);
	case R_X86_64_GOTPC32_TLSDESC:
		if (slot && slot->type == R_X86_64_TLSDESC)
			return slot->symbol ? bind_import(walk, slot) :
					      match_bind(walk, slot->value);
		break;
	default:
		if (!slot || slot->type != R_X86_64_DTPMOD64)
			break;
		if (slot->symbol)
			return bind_import(walk, slot);
		if (walk->reference->type == R_X86_64_TLSLD)
			return true;
		if (slots_pointer(walk->slots, addr + 8, &value))
			return match_bind(walk, value);
	}
	return no_tls_slot(walk);
}

int64_t match_field(const uint8_t *field, unsigned int size)
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

bool match_read_back(struct walk *walk, const uint8_t *field, uint64_t addr, uint64_t end)
{
	const struct reference *reference = walk->reference;
	unsigned int size = reference_size(reference->type);
	uint64_t value;

	if (!size)
		return reference->type == R_X86_64_TLSDESC_CALL ||
		       match_differs(walk, reference->offset,
				     xasprintf("relocation %s is not supported",
					       reference_name(reference->type)));
	value = (uint64_t)match_field(field, size);
	switch (reference->type) {
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return match_bind_address(walk, end + value);
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
		return bind_slot(walk, end + value);
	case R_X86_64_32:
		return match_bind_address(walk, (uint32_t)value);
	case R_X86_64_32S:
		return match_bind_address(walk, value);
	case R_X86_64_64: {
		const struct slot *slot = slot_at(walk->slots, addr);

		if (slot && slot->symbol)
			return bind_import(walk, slot);
		return match_bind_address(walk, slot ? slot->value : value);
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
		return match_differs(walk, reference->offset, xasprintf("relocation %s is not supported",
								 reference_name(reference->type)));
	}
}
