// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Instructions, one by one.
 */
#include <inttypes.h>
#include <string.h>

#include "decode.h"
#include "unit.h"

static const ZydisDecoder *decoder(void)
{
	static ZydisDecoder once;
	static bool ready;

	if (!ready) {
		ZydisDecoderInit(&once, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
		ready = true;
	}
	return &once;
}

bool decode(const uint8_t *bytes, size_t size, ZydisDecodedInstruction *insn)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder(), NULL, bytes, size, insn));
}

bool insn_decode(const uint8_t *bytes, size_t size, struct insn *out)
{
	ZydisDecodedInstruction insn;

	memset(out, 0, sizeof(*out));
	if (!decode(bytes, size, &insn))
		return false;
	out->length = insn.length;
	out->nop = insn.mnemonic == ZYDIS_MNEMONIC_NOP || (insn.length == 2 && bytes[0] == 0x66 &&
							   bytes[1] == 0x90);
	if (insn.raw.imm[0].size && insn.raw.imm[0].is_relative) {
		out->branch = true;
		out->call = insn.meta.category == ZYDIS_CATEGORY_CALL;
		out->mnemonic = insn.mnemonic;
		out->distance = insn.raw.imm[0].value.s;
		out->field = insn.raw.imm[0].offset;
		out->field_size = insn.raw.imm[0].size / 8;
	}
	return true;
}

const char *insn_text(const uint8_t *bytes, size_t size, uint64_t addr)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisFormatter formatter;
	char text[128];

	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), bytes, size, &insn, operands)) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn, operands,
							  insn.operand_count_visible, text,
							  sizeof(text), addr, NULL)))
		return "no instruction";
	return xstrdup(text);
}

bool insn_ends(const uint8_t *bytes, size_t size, uint32_t base, uint32_t *ends)
{
	ZydisDecodedInstruction insn;

	for (size_t pos = 0; pos < size; pos += insn.length) {
		if (!decode(bytes + pos, size - pos, &insn))
			return false;
		for (size_t i = 0; i < insn.length; i++)
			ends[pos + i] = base + pos + insn.length;
	}
	return true;
}
