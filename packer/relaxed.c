// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Accesses through the GOT, and those of thread-local variables, of which the linker
 * made shorter ways ("relaxed").
 */
#include <string.h>

#include "match.h"

/*
 * How linkers write an instruction "OP field(%rip), REGISTER" anew, in the same length:
 * with another opcode, and the register in the field that this one has it in.
 */
struct rewrite {
	uint8_t from, to;			/* opcodes */
	enum { IN_REG, IN_RM, IN_BOTH } place;	/* IN_RM: "OP $value, REGISTER" */
};

static const struct rewrite rewrites_of_load[] = {
	{ 0x8b, 0x8d, IN_REG },			/* mov: lea */
	{ 0x8b, 0xc7, IN_RM },			/* mov */
	{ 0x85, 0xf7, IN_RM },			/* test */
	{ 0x03, 0x81, IN_RM }, { 0x0b, 0x81, IN_RM }, { 0x13, 0x81, IN_RM },
	{ 0x1b, 0x81, IN_RM }, { 0x23, 0x81, IN_RM }, { 0x2b, 0x81, IN_RM },
	{ 0x33, 0x81, IN_RM }, { 0x3b, 0x81, IN_RM },
	{ 0 }
};

static const struct rewrite rewrites_of_distance[] = {
	{ 0x8b, 0xc7, IN_RM },			/* mov */
	{ 0x03, 0x81, IN_RM },			/* add to the stack pointer or its like */
	{ 0x03, 0x8d, IN_BOTH },		/* add: lea of itself */
	{ 0 }
};

static const struct rewrite rewrites_of_descriptor[] = {
	{ 0x8d, 0x8b, IN_REG },			/* lea: mov from a slot */
	{ 0x8d, 0xc7, IN_RM },			/* lea: mov */
	{ 0 }
};

#define REX_W	0x08
#define REX_R	0x04
#define REX_B	0x01

/* Writes @ours anew and compares; all but the last four bytes, which are the field. */
static bool is_rewrite(const struct rewrite *rewrite, const uint8_t *ours, const uint8_t *theirs,
		       unsigned int length)
{
	unsigned int opcode = length - 6, modrm = length - 5, reg = ours[modrm] >> 3 & 7;
	uint8_t wanted[INSN_MAX], *rex = NULL;

	if (ours[opcode] != rewrite->from || theirs[opcode] != rewrite->to)
		return false;
	memcpy(wanted, ours, length);
	wanted[opcode] = rewrite->to;
	if (opcode && (ours[opcode - 1] & 0xf0) == 0x40)
		rex = &wanted[opcode - 1];
	if (rewrite->place != IN_REG) {
		wanted[modrm] = rewrite->place == IN_BOTH ? 0x80 | reg << 3 | reg : 0xc0 | reg;
		/* the operation is part of the opcode then */
		if (rewrite->to == 0x81)
			wanted[modrm] |= rewrite->from & 0x38;
		if (rex && *rex & REX_R)
			*rex |= REX_B;
		if (rex && rewrite->place == IN_RM)
			*rex &= ~REX_R;
		/* addresses need no sign */
		if (rex && rewrite->to == 0xc7 && !(theirs[opcode - 1] & REX_W))
			*rex &= ~REX_W;
	}
	return !memcmp(wanted, theirs, length - 4);
}

static const struct rewrite *find_rewrite(const struct rewrite *rewrites, const uint8_t *ours,
					  const uint8_t *theirs, unsigned int length)
{
	for (; rewrites->from; rewrites++)
		if (is_rewrite(rewrites, ours, theirs, length))
			return rewrites;
	return NULL;
}

/* call *slot, jmp *slot: direct ones, and a nop or a prefix that does nothing. */
static bool relaxed_branch(const uint8_t *ours, const uint8_t *theirs, unsigned int length,
			   uint64_t addr, uint64_t *to)
{
	unsigned int field;

	if (length != 6 || ours[0] != 0xff)
		return false;
	if (ours[1] == 0x15 && theirs[0] == 0x67 && theirs[1] == 0xe8)
		field = 2;
	else if (ours[1] == 0x25 && theirs[0] == 0xe9 && theirs[5] == 0x90)
		field = 1;
	else
		return false;
	*to = addr + field + 4 + (uint64_t)match_field(theirs + field, 4);
	return true;
}

bool relaxed_access(struct walk *walk, const uint8_t *ours, const uint8_t *theirs, uint64_t addr,
		    unsigned int length, bool *good)
{
	const struct reference *reference = walk->reference;
	uint64_t start = (uint64_t)(ours - walk->piece->bytes), value;
	const struct rewrite *rewrite;

	*good = true;
	if (length < 6 || length > INSN_MAX || reference->offset - start + 4 != length)
		return false;
	value = (uint64_t)match_field(theirs + length - 4, 4);
	switch (reference->type) {
	case R_X86_64_GOTTPOFF:
		if (!find_rewrite(rewrites_of_distance, ours, theirs, length))
			return false;
		*good = match_bind(walk, value + walk->slots->tls_size);
		return true;
	case R_X86_64_GOTPC32_TLSDESC:
		/* the call is a nop then */
		rewrite = find_rewrite(rewrites_of_descriptor, ours, theirs, length);
		if (!rewrite)
			return false;
		*good = rewrite->place == IN_RM ?
			match_bind(walk, value + walk->slots->tls_size) :
			match_bind_distance_slot(walk, addr + length + value);
		return true;
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
		if (relaxed_branch(ours, theirs, length, addr, &value)) {
			*good = match_bind_address(walk, value);
			return true;
		}
		rewrite = find_rewrite(rewrites_of_load, ours, theirs, length);
		if (!rewrite)
			return false;
		*good = match_bind_address(walk, rewrite->place == IN_RM ? value :
					   addr + length + value);
		return true;
	default:
		return false;
	}
}

unsigned int relaxed_tls(struct walk *walk, const uint8_t *theirs, uint64_t addr,
			 size_t left, bool *good)
{
	static const uint8_t thread_pointer[] = { 0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0 };
	const struct reference *reference = walk->reference;
	unsigned int prefixes = 0;
	uint64_t value;

	*good = true;
	if (reference->type == R_X86_64_TLSGD && left >= 16 &&
	    !memcmp(theirs, thread_pointer, sizeof(thread_pointer)) && theirs[9] == 0x48) {
		value = (uint64_t)match_field(theirs + 12, 4);
		if (theirs[10] == 0x8d && theirs[11] == 0x80)
			*good = match_bind(walk, value + walk->slots->tls_size);
		else if (theirs[10] == 0x03 && theirs[11] == 0x05)
			*good = match_bind_distance_slot(walk, addr + 16 + value);
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

bool relaxed_call(const struct walk *walk, const uint8_t *theirs, size_t left)
{
	return walk->reference->type == R_X86_64_TLSDESC_CALL && left >= 2 && theirs[0] == 0x66 &&
	       theirs[1] == 0x90;
}
