/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exact unwinding of one thread, from a copy of its registers and stack.
 */
#ifndef LIBULP_UNWIND_H
#define LIBULP_UNWIND_H

#include "cfi.h"

/**
 * struct ulp_frame - one frame, the innermost first
 * @ip: where it executes, or will go on
 * @sp: its lowest address; up to @end is its part of a stack
 * @end: behind it
 * @slot: where @ip is kept, 0 if in a register
 * @reg: that register, by its place in struct ulp_regs, if there is no @slot;
 *	-1 for the innermost frame
 * @exact: @ip was interrupted, not returned to: it is not behind a call
 */
struct ulp_frame {
	uint64_t ip, sp, end, slot;
	int reg;
	bool exact;
};

/**
 * struct ulp_unwind - a thread's frames
 * @nr: of @frames
 * @frames: to be freed with ulp_unwind_free()
 * @complete: the last one is known to be outermost: these are all
 * @why: otherwise, what was in the way
 */
struct ulp_unwind {
	size_t nr;
	struct ulp_frame *frames;
	bool complete;
	char why[128];
};

/**
 * struct ulp_thread_copy - what the module gave of a thread
 * @regs: its registers
 * @stack: bytes from regs.sp upwards; what is beyond is read from the target
 * @size: of @stack
 */
struct ulp_thread_copy {
	struct ulp_regs regs;
	const uint8_t *stack;
	size_t size;
};

/* A word of the stack; 0 or -EFAULT. */
int ulp_thread_word(const struct ulp_target *target, const struct ulp_thread_copy *thread,
		    uint64_t addr, uint64_t *word);
/* 0, also if it is not complete, or -ENOMEM. */
int ulp_unwind(const struct ulp_target *target, struct ulp_cfi *cfi,
	       const struct ulp_thread_copy *thread, struct ulp_unwind *out);
void ulp_unwind_free(struct ulp_unwind *unwind);

/* ---- between unwind.c and expression.c ---- */

/* A register of a frame: known or not, and where it is kept. */
struct ulp_value {
	uint64_t value;
	uint64_t slot;			/* address, 0 none */
	int reg;			/* place in struct ulp_regs, -1 none */
	bool known;
};

struct ulp_walk {
	const struct ulp_target *target;
	struct ulp_cfi *cfi;
	const struct ulp_thread_copy *thread;
	struct ulp_unwind *out;
	struct ulp_value regs[ULP_DW_REGISTERS];
	struct ulp_cfi_row row;
	unsigned int signals;
};

/*
 * Value of an expression; @cfa is the first operand of all but the CFA's own,
 * which has NULL.  False if it makes no sense.
 */
bool ulp_expression(const struct ulp_walk *walk, const struct ulp_cfi_rule *rule,
		    const uint64_t *cfa, uint64_t *out);

/* A register's place in struct ulp_regs, by its DWARF number below 16. */
extern const uint8_t ulp_regs_place[16];

#endif /* LIBULP_UNWIND_H */
