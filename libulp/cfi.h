/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Call frame information: where the caller's registers are, at one address.
 */
#ifndef LIBULP_CFI_H
#define LIBULP_CFI_H

#include "internal.h"

/* DWARF numbers of x86-64's registers: 0..15 general ones, 16 the return address. */
enum {
	ULP_DW_RAX, ULP_DW_RDX, ULP_DW_RCX, ULP_DW_RBX, ULP_DW_RSI, ULP_DW_RDI,
	ULP_DW_RBP, ULP_DW_RSP, ULP_DW_R8, ULP_DW_R9, ULP_DW_R10, ULP_DW_R11,
	ULP_DW_R12, ULP_DW_R13, ULP_DW_R14, ULP_DW_R15, ULP_DW_RA, ULP_DW_REGISTERS,
};

enum ulp_cfi_how {
	ULP_CFI_UNSPECIFIED,		/* what the calling convention says */
	ULP_CFI_UNDEFINED,
	ULP_CFI_SAME,
	ULP_CFI_OFFSET,			/* in memory at CFA + offset */
	ULP_CFI_VAL_OFFSET,		/* is CFA + offset */
	ULP_CFI_REGISTER,		/* in register offset */
	ULP_CFI_EXPRESSION,		/* in memory at the expression's value */
	ULP_CFI_VAL_EXPRESSION,		/* is the expression's value */
};

/**
 * struct ulp_cfi_rule - how to get a register of the caller
 * @how: enum ulp_cfi_how
 * @reg: register the CFA is relative to (rule of the CFA only)
 * @offset: see @how
 * @expression: DWARF operations, valid until the next look-up
 * @length: bytes of @expression
 */
struct ulp_cfi_rule {
	enum ulp_cfi_how how;
	uint32_t reg;
	int64_t offset;
	const uint8_t *expression;
	size_t length;
};

/**
 * struct ulp_cfi_row - the rules at one address
 * @signal: the frame is a signal handler's caller: its ip was not called from
 * @start: first address of the function, as its FDE has it
 * @cfa: canonical frame address: UNSPECIFIED none, OFFSET @reg + @offset, or
 *	VAL_EXPRESSION
 * @regs: of the caller
 */
struct ulp_cfi_row {
	bool signal;
	uint64_t start;
	struct ulp_cfi_rule cfa;
	struct ulp_cfi_rule regs[ULP_DW_REGISTERS];
};

/* The tables of a target, as they are in its memory; made when first needed. */
struct ulp_cfi;

struct ulp_cfi *ulp_cfi_new(const struct ulp_target *target);
void ulp_cfi_free(struct ulp_cfi *cfi);
/*
 * The rules at @pc.  Return: 0, -ENOENT if no table covers it, -EINVAL if that
 * is damaged or says what is not understood, -ENOMEM.
 */
int ulp_cfi_find(struct ulp_cfi *cfi, uint64_t pc, struct ulp_cfi_row *row);

/* ---- reading what is encoded, never behind @end; bytes.c ---- */

struct ulp_bytes {
	const uint8_t *at, *end;
	bool bad;			/* there was less than asked for */
};

uint64_t ulp_bytes_fixed(struct ulp_bytes *bytes, size_t size);
int64_t ulp_bytes_signed(struct ulp_bytes *bytes, size_t size);
uint64_t ulp_bytes_uleb(struct ulp_bytes *bytes);
int64_t ulp_bytes_sleb(struct ulp_bytes *bytes);
/*
 * A number in one of .eh_frame's encodings; @pc is the address it is at, @data
 * that of the header.
 */
uint64_t ulp_bytes_encoded(struct ulp_bytes *bytes, uint8_t encoding, uint64_t pc,
			   uint64_t data);

#endif /* LIBULP_CFI_H */
