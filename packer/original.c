// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The way into the old function while its entry has the jump: the instructions
 * that the jump displaces, written so that they can run elsewhere.
 *
 * Distances become fields that are filled when it is known where that is; short
 * branches become long ones.  What cannot be moved is said, and the function can
 * then be patched for all threads at once only.
 */
#include <inttypes.h>
#include <string.h>

#include "decode.h"
#include "packer.h"

struct mover {
	const struct object *object;
	struct function *function;
	uint64_t addr;			/* of the next instruction to be moved */
	bool ends;
};

static void put_code(struct function *function, const uint8_t *bytes, size_t size)
{
	struct ulp_span *code = &function->original.code;

	memcpy(function->original_code + code->length, bytes, size);
	code->length += size;
}

/* The 32 bits @offset bytes behind the code so far; the instruction has @size bytes. */
static void put_field(struct function *function, uint32_t offset, uint32_t size, uint64_t value)
{
	struct ulp_container_original *original = &function->original;
	uint32_t base = original->code.length;

	original->fields[original->nr_fields++] = (struct ulp_container_field){
		.offset = base + offset, .next = base + size, .value = value,
	};
}

static bool is_conditional(const ZydisDecodedInstruction *insn)
{
	return (insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && insn->opcode >= 0x70 &&
		insn->opcode <= 0x7f) ||
	       (insn->opcode_map == ZYDIS_OPCODE_MAP_0F && insn->opcode >= 0x80 &&
		insn->opcode <= 0x8f);
}

static const char *move_branch(struct mover *mover, const ZydisDecodedInstruction *insn)
{
	uint64_t to = mover->addr + insn->length + (uint64_t)insn->raw.imm[0].value.s;
	const uint8_t jump[5] = { 0xe9 };
	const uint8_t conditional[6] = { 0x0f, 0x80 | (insn->opcode & 0x0f) };

	if (insn->mnemonic == ZYDIS_MNEMONIC_JMP) {
		put_field(mover->function, 1, sizeof(jump), to);
		put_code(mover->function, jump, sizeof(jump));
		return NULL;
	}
	if (!is_conditional(insn))
		return "one of its first instructions cannot be written for another place";
	put_field(mover->function, 2, sizeof(conditional), to);
	put_code(mover->function, conditional, sizeof(conditional));
	return NULL;
}

/*
 * A call becomes a jump with a return address that is in the old function, as it
 * would be: frames of copied code would have no unwind tables.
 */
static const char *move_call(struct mover *mover, const ZydisDecodedInstruction *insn,
			     const uint8_t *bytes)
{
	struct ulp_container_original *original = &mover->function->original;
	const uint8_t push[13] = { 0x68, [5] = 0xc7, 0x44, 0x24, 0x04 };
	uint64_t next = mover->addr + insn->length;
	uint32_t base = original->code.length, at = insn->raw.modrm.offset;
	uint8_t jump[ZYDIS_MAX_INSTRUCTION_LENGTH];
	bool direct = insn->raw.imm[0].size && insn->raw.imm[0].is_relative;

	if (next < mover->function->entry + entry_size(mover->function))
		return "it begins with a call and goes on too soon";
	if (original->nr_fields + 3 > ULP_ORIGINAL_FIELDS)
		return "too much would have to be moved";
	/* What is at the stack pointer moves with the push. */
	if (!direct && (insn->raw.modrm.reg != 2 ||
			(insn->raw.modrm.mod != 3 && insn->raw.modrm.rm == 4)))
		return "it begins with a call of a kind that cannot be moved";
	original->fields[original->nr_fields++] =
		(struct ulp_container_field){ base + 1, ULP_FIELD_LOW, next };
	original->fields[original->nr_fields++] =
		(struct ulp_container_field){ base + 9, ULP_FIELD_HIGH, next };
	put_code(mover->function, push, sizeof(push));
	mover->ends = true;
	if (direct) {
		const uint8_t near[5] = { 0xe9 };

		put_field(mover->function, 1, sizeof(near),
			  next + (uint64_t)insn->raw.imm[0].value.s);
		put_code(mover->function, near, sizeof(near));
		return NULL;
	}
	memcpy(jump, bytes, insn->length);
	jump[at] = (jump[at] & ~0x38) | 4 << 3;		/* call is 2, jmp is 4 */
	if (!insn->raw.modrm.mod && insn->raw.modrm.rm == 5)
		put_field(mover->function, insn->raw.disp.offset, insn->length,
			  next + (uint64_t)insn->raw.disp.value);
	put_code(mover->function, jump, insn->length);
	return NULL;
}

static const char *move_one(struct mover *mover, const ZydisDecodedInstruction *insn,
			    const uint8_t *bytes)
{
	const struct ulp_container_original *original = &mover->function->original;
	bool relative = insn->attributes & ZYDIS_ATTRIB_HAS_MODRM && !insn->raw.modrm.mod &&
			insn->raw.modrm.rm == 5;

	if (original->nr_fields == ULP_ORIGINAL_FIELDS ||
	    original->code.length + 2 * ZYDIS_MAX_INSTRUCTION_LENGTH > ULP_ORIGINAL_CODE)
		return "too much would have to be moved";
	if (insn->meta.category == ZYDIS_CATEGORY_CALL)
		return move_call(mover, insn, bytes);
	if (insn->raw.imm[0].size && insn->raw.imm[0].is_relative)
		return move_branch(mover, insn);
	if (relative)
		put_field(mover->function, insn->raw.disp.offset, insn->length,
			  mover->addr + insn->length + (uint64_t)insn->raw.disp.value);
	put_code(mover->function, bytes, insn->length);
	return NULL;
}

/* Whether something that is moved leads to the middle of what is moved. */
static bool leads_inside(const struct function *function)
{
	const struct ulp_container_original *original = &function->original;

	for (uint32_t i = 0; i < original->nr_fields; i++)
		if (original->fields[i].value > function->entry &&
		    original->fields[i].value < function->entry + original->displaced)
			return true;
	return false;
}

static const char *move(struct mover *mover)
{
	struct function *function = mover->function;
	uint64_t end = function->old_value + function->old_size;
	ZydisDecodedInstruction insn;
	const uint8_t *bytes;
	const char *why;

	for (mover->addr = function->entry;
	     !mover->ends && mover->addr < function->entry + entry_size(function);
	     mover->addr += insn.length) {
		if (mover->addr >= end)
			return "it has no end";
		bytes = object_at(mover->object, mover->addr, end - mover->addr);
		if (!bytes || !decode(bytes, end - mover->addr, &insn))
			return "one of its first instructions is not known";
		why = move_one(mover, &insn, bytes);
		if (why)
			return why;
		mover->ends |= insn.meta.category == ZYDIS_CATEGORY_RET ||
			      insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
			      insn.mnemonic == ZYDIS_MNEMONIC_UD2;
	}
	function->original.displaced = mover->addr - function->entry;
	function->original.flags = mover->ends ? ULP_ORIGINAL_ENDS : 0;
	return leads_inside(function) ? "its first instructions are a loop" : NULL;
}

void find_original(const struct object *target, struct function *function)
{
	struct mover mover = { .object = target, .function = function };

	memset(&function->original, 0, sizeof(function->original));
	function->no_original = move(&mover);
	if (function->no_original)
		memset(&function->original, 0, sizeof(function->original));
}
