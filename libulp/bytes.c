// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Numbers as unwind tables have them, from bytes that nobody checked.
 */
#include <dwarf.h>
#include <string.h>

#include "cfi.h"

uint64_t ulp_bytes_fixed(struct ulp_bytes *bytes, size_t size)
{
	uint64_t value = 0;

	if ((size_t)(bytes->end - bytes->at) < size) {
		bytes->bad = true;
		bytes->at = bytes->end;
		return 0;
	}
	memcpy(&value, bytes->at, size);
	bytes->at += size;
	return value;
}

int64_t ulp_bytes_signed(struct ulp_bytes *bytes, size_t size)
{
	unsigned int shift = 64 - 8 * (unsigned int)size;

	return (int64_t)(ulp_bytes_fixed(bytes, size) << shift) >> shift;
}

/* The bits of a LEB128 number; *sign is set if its last byte has the sign bit. */
static uint64_t leb(struct ulp_bytes *bytes, unsigned int *shift, bool *sign)
{
	uint64_t value = 0, byte;

	*shift = 0;
	do {
		byte = ulp_bytes_fixed(bytes, 1);
		if (*shift < 64)
			value |= (byte & 0x7f) << *shift;
		*shift += 7;
	} while ((byte & 0x80) && !bytes->bad);
	*sign = byte & 0x40;
	return value;
}

uint64_t ulp_bytes_uleb(struct ulp_bytes *bytes)
{
	unsigned int shift;
	bool sign;

	return leb(bytes, &shift, &sign);
}

int64_t ulp_bytes_sleb(struct ulp_bytes *bytes)
{
	unsigned int shift;
	bool sign;
	uint64_t value = leb(bytes, &shift, &sign);

	if (sign && shift < 64)
		value |= ~0ULL << shift;
	return (int64_t)value;
}

uint64_t ulp_bytes_encoded(struct ulp_bytes *bytes, uint8_t encoding, uint64_t pc, uint64_t data)
{
	uint64_t value;

	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		value = ulp_bytes_fixed(bytes, 8);
		break;
	case DW_EH_PE_udata4:
		value = ulp_bytes_fixed(bytes, 4);
		break;
	case DW_EH_PE_sdata4:
		value = (uint64_t)ulp_bytes_signed(bytes, 4);
		break;
	case DW_EH_PE_udata2:
		value = ulp_bytes_fixed(bytes, 2);
		break;
	case DW_EH_PE_sdata2:
		value = (uint64_t)ulp_bytes_signed(bytes, 2);
		break;
	case DW_EH_PE_uleb128:
		value = ulp_bytes_uleb(bytes);
		break;
	case DW_EH_PE_sleb128:
		value = (uint64_t)ulp_bytes_sleb(bytes);
		break;
	default:
		bytes->bad = true;
		return 0;
	}
	switch (encoding & 0xf0) {
	case DW_EH_PE_absptr:
		return value;
	case DW_EH_PE_pcrel:
		return value + pc;
	case DW_EH_PE_datarel:
		return value + data;
	default:
		bytes->bad = true;
		return 0;
	}
}
