// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Numbers as .eh_frame and .gcc_except_table write them (DW_EH_PE_*).
 */
#include <dwarf.h>
#include <string.h>

#include "packer.h"

bool read_uleb(struct cursor *cursor, uint64_t *value)
{
	unsigned int shift = 0;
	uint8_t byte;

	*value = 0;
	do {
		if (cursor->pos == cursor->end || shift > 63)
			return false;
		byte = *cursor->pos++;
		cursor->addr++;
		*value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return true;
}

static bool read_fixed(struct cursor *cursor, size_t size, bool is_signed, uint64_t *value)
{
	unsigned int unused = 64 - 8 * size;
	uint64_t raw = 0;

	if ((size_t)(cursor->end - cursor->pos) < size)
		return false;
	memcpy(&raw, cursor->pos, size);
	*value = is_signed ? (uint64_t)((int64_t)(raw << unused) >> unused) : raw;
	cursor->pos += size;
	cursor->addr += size;
	return true;
}

bool read_encoded(struct cursor *cursor, uint8_t encoding, uint64_t *value)
{
	uint64_t base = 0;
	bool good;

	switch (encoding & 0x70) {
	case DW_EH_PE_absptr:
		break;
	case DW_EH_PE_pcrel:
		base = cursor->addr;
		break;
	default:
		return false;
	}
	if (encoding & DW_EH_PE_indirect)
		return false;
	switch (encoding & 0x0f) {
	case DW_EH_PE_uleb128:
		good = read_uleb(cursor, value);
		break;
	case DW_EH_PE_udata2:
	case DW_EH_PE_sdata2:
		good = read_fixed(cursor, 2, encoding & DW_EH_PE_signed, value);
		break;
	case DW_EH_PE_udata4:
	case DW_EH_PE_sdata4:
		good = read_fixed(cursor, 4, encoding & DW_EH_PE_signed, value);
		break;
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		good = read_fixed(cursor, 8, false, value);
		break;
	default:
		return false;
	}
	/* Zero means none, however it is written. */
	if (good && *value)
		*value += base;
	return good;
}
