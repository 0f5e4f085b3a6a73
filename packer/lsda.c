// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Landing pads: where the unwinder enters a function when an exception passes,
 * as section .gcc_except_table has it.
 */
#include <dwarf.h>

#include "packer.h"

/* The rest of the loaded file part of a segment from @addr on. */
static bool cursor_at(const struct object *object, uint64_t addr, struct cursor *cursor)
{
	const GElf_Phdr *segment = object_segment(object, addr, 1);
	uint64_t left;

	if (!segment || addr - segment->p_vaddr >= segment->p_filesz)
		return false;
	left = segment->p_filesz - (addr - segment->p_vaddr);
	cursor->pos = object_at(object, addr, left);
	cursor->end = cursor->pos + left;
	cursor->addr = addr;
	return cursor->pos;
}

/* Up to the call sites: the landing pads' base and the call sites' encoding. */
static bool read_header(struct cursor *cursor, uint64_t *base, uint8_t *encoding)
{
	uint64_t length;
	uint8_t byte;

	if (cursor->end - cursor->pos < 4)
		return false;
	byte = *cursor->pos++;
	cursor->addr++;
	if (byte != DW_EH_PE_omit && !read_encoded(cursor, byte, base))
		return false;
	if (cursor->pos == cursor->end)
		return false;
	byte = *cursor->pos++;			/* types of exceptions */
	cursor->addr++;
	if (byte != DW_EH_PE_omit && !read_uleb(cursor, &length))
		return false;
	if (cursor->pos == cursor->end)
		return false;
	*encoding = *cursor->pos++;
	cursor->addr++;
	if (!read_uleb(cursor, &length) || length > (uint64_t)(cursor->end - cursor->pos))
		return false;
	cursor->end = cursor->pos + length;
	return true;
}

size_t landing_pads(const struct object *object, const struct frame *frame, uint64_t **pads)
{
	uint64_t base = frame->code.start, start, length, pad, action;
	struct cursor cursor;
	uint8_t encoding;
	size_t nr = 0;

	*pads = NULL;
	if (!frame->lsda || !cursor_at(object, frame->lsda, &cursor) ||
	    !read_header(&cursor, &base, &encoding))
		return 0;
	while (cursor.pos < cursor.end && read_encoded(&cursor, encoding, &start) &&
	       read_encoded(&cursor, encoding, &length) &&
	       read_encoded(&cursor, encoding, &pad) && read_uleb(&cursor, &action))
		if (pad)
			append(*pads, nr) = base + pad;
	return nr;
}
