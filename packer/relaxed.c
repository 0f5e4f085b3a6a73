// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Accesses through the GOT, and those of thread-local variables, of which the linker
 * made shorter ways ("relaxed").
 */
#include <string.h>

#include "match.h"

bool relaxed_access(struct walk *walk, const uint8_t *ours, const uint8_t *theirs, uint64_t addr,
		    unsigned int length, bool *good)
{
	const struct reference *reference = walk->reference;
	uint64_t start = (uint64_t)(ours - walk->piece->bytes);
	unsigned int field = reference->offset - start;
	uint64_t value;

	*good = true;
	if (length < 6 || field + 4 != length)
		return false;
	value = (uint64_t)match_field(theirs + length - 4, 4);
	if (reference->type == R_X86_64_GOTTPOFF) {
		/* mov, add: an immediate, or lea of the register itself */
		if (theirs[length - 6] != 0xc7 && theirs[length - 6] != 0x81 &&
		    theirs[length - 6] != 0x8d)
			return false;
		*good = match_bind(walk, value + walk->slots->tls_size);
		return true;
	}
	if (reference->type == R_X86_64_GOTPC32_TLSDESC) {
		/* mov from a slot, or of a number; the call is a nop then */
		if (theirs[length - 6] == 0x8b)
			*good = match_bind_distance_slot(walk, addr + length + value);
		else if (theirs[length - 6] == 0xc7)
			*good = match_bind(walk, value + walk->slots->tls_size);
		else
			return false;
		return true;
	}
	if (reference->type != R_X86_64_GOTPCRELX && reference->type != R_X86_64_REX_GOTPCRELX &&
	    reference->type != R_X86_64_GOTPCREL)
		return false;
	if (ours[0] == 0xff && ours[1] == 0x15 && theirs[0] == 0x67 && theirs[1] == 0xe8)
		*good = match_bind_address(walk, addr + length + value);
	else if (ours[0] == 0xff && ours[1] == 0x25 && theirs[0] == 0xe9 && theirs[5] == 0x90)
		*good = match_bind_address(walk, addr + 5 + (uint64_t)match_field(theirs + 1, 4));
	else if (ours[field - 2] == 0x8b && theirs[field - 2] == 0x8d &&
		 ours[field - 1] == theirs[field - 1])
		*good = match_bind_address(walk, addr + length + value);
	else if (theirs[field - 2] == 0xc7 || theirs[field - 2] == 0x81 ||
		 theirs[field - 2] == 0xf7)
		*good = match_bind_address(walk, value);
	else
		return false;
	return true;
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
