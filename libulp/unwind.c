// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Exact unwinding of one thread.
 *
 * The result is used to say that a word is *not* a return address, so that one
 * guess anywhere makes it worthless: each step needs a table that covers the
 * address, registers that are known, a frame above the last one and a call in
 * front of each return address; and the walk ends at a frame whose table says
 * that it has no caller.  All else is "not complete", with the reason.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "unwind.h"

#define FRAMES_MAX		65536
#define SIGNALS_MAX		64	/* signal frames of one thread */
#define CALL_MAX		8	/* longest call instruction */
#define USER_CS			0x33	/* 64-bit code */

#define PLACE(name)	(offsetof(struct ulp_regs, name) / 8)

const uint8_t ulp_regs_place[16] = {
	PLACE(ax), PLACE(dx), PLACE(cx), PLACE(bx), PLACE(si), PLACE(di), PLACE(bp), PLACE(sp),
	PLACE(r8), PLACE(r9), PLACE(r10), PLACE(r11), PLACE(r12), PLACE(r13), PLACE(r14),
	PLACE(r15),
};

/* Whether a function leaves a register as it was, whatever its table omits. */
static const bool preserved[ULP_DW_REGISTERS] = {
	[ULP_DW_RBX] = true, [ULP_DW_RBP] = true, [ULP_DW_R12] = true, [ULP_DW_R13] = true,
	[ULP_DW_R14] = true, [ULP_DW_R15] = true,
};

int ulp_thread_word(const struct ulp_target *target, const struct ulp_thread_copy *thread,
		    uint64_t addr, uint64_t *word)
{
	uint64_t offset = addr - thread->regs.sp;

	if (addr >= thread->regs.sp && thread->size >= sizeof(*word) &&
	    offset <= thread->size - sizeof(*word)) {
		memcpy(word, thread->stack + offset, sizeof(*word));
		return 0;
	}
	return ulp_memory_read(target, addr, word, sizeof(*word));
}

static bool give_up(struct ulp_walk *walk, const char *what, uint64_t at)
{
	snprintf(walk->out->why, sizeof(walk->out->why), "%s 0x%llx", what,
		 (unsigned long long)at);
	return false;
}

/* ---- one step ---- */

static bool find_cfa(const struct ulp_walk *walk, uint64_t *cfa)
{
	const struct ulp_cfi_rule *rule = &walk->row.cfa;

	if (rule->how == ULP_CFI_VAL_EXPRESSION)
		return ulp_expression(walk, rule, NULL, cfa);
	if (rule->how != ULP_CFI_OFFSET || !walk->regs[rule->reg].known)
		return false;
	*cfa = walk->regs[rule->reg].value + (uint64_t)rule->offset;
	return true;
}

static bool load(const struct ulp_walk *walk, uint64_t addr, struct ulp_value *out)
{
	*out = (struct ulp_value){ .slot = addr, .reg = -1 };
	out->known = !ulp_thread_word(walk->target, walk->thread, addr, &out->value);
	return out->known;
}

/* A register of the caller; false if its rule cannot be followed. */
static bool caller_register(const struct ulp_walk *walk, unsigned int reg, uint64_t cfa,
			    struct ulp_value *out)
{
	const struct ulp_cfi_rule *rule = &walk->row.regs[reg];
	uint64_t addr;

	*out = (struct ulp_value){ .reg = -1 };
	switch (rule->how) {
	case ULP_CFI_UNSPECIFIED:
		if (reg == ULP_DW_RSP)
			*out = (struct ulp_value){ .value = cfa, .reg = -1, .known = true };
		else if (preserved[reg])
			*out = walk->regs[reg];
		return true;
	case ULP_CFI_UNDEFINED:
		return true;
	case ULP_CFI_SAME:
		*out = walk->regs[reg];
		return true;
	case ULP_CFI_REGISTER:
		*out = walk->regs[rule->offset];
		return true;
	case ULP_CFI_OFFSET:
		return load(walk, cfa + (uint64_t)rule->offset, out);
	case ULP_CFI_VAL_OFFSET:
		*out = (struct ulp_value){
			.value = cfa + (uint64_t)rule->offset, .reg = -1, .known = true,
		};
		return true;
	case ULP_CFI_EXPRESSION:
		return ulp_expression(walk, rule, &cfa, &addr) && load(walk, addr, out);
	case ULP_CFI_VAL_EXPRESSION:
		out->known = ulp_expression(walk, rule, &cfa, &out->value);
		return out->known;
	}
	return false;
}

/* Whether the bytes that end at @end are a call, of @length bytes. */
static bool is_call(const uint8_t *end, size_t length)
{
	const uint8_t *at = end - length;
	unsigned int mod, rm, size = 2;

	if (length == 5 && at[0] == 0xe8)
		return true;
	/* prefixes: notrack or a segment, REX, operand size of padded calls */
	while (length > 2 && (at[0] == 0x3e || at[0] == 0x64 || at[0] == 0x65 ||
			      at[0] == 0x66 || at[0] == 0x67 || at[0] == 0xf2 ||
			      (at[0] & 0xf0) == 0x40)) {
		at++;
		length--;
		if (length == 5 && at[0] == 0xe8)
			return true;
	}
	if (length < 2 || at[0] != 0xff || ((at[1] >> 3) & 7) != 2)
		return false;
	mod = at[1] >> 6;
	rm = at[1] & 7;
	if (mod == 3)
		return length == size;
	if (rm == 4) {
		if (length < 3)
			return false;
		size++;
		if (mod == 0 && (at[2] & 7) == 5)
			size += 4;
	}
	if (mod == 1)
		size++;
	else if (mod == 2 || (mod == 0 && rm == 5))
		size += 4;
	return length == size;
}

/* Whether a call may have left the return address @ip. */
static bool is_behind_call(const struct ulp_walk *walk, uint64_t ip)
{
	uint8_t code[CALL_MAX];
	size_t have = sizeof(code);

	/* The first function of a mapping may begin less than that before. */
	while (have >= 2 && ulp_memory_read(walk->target, ip - have, code, have))
		have--;
	for (size_t length = 2; length <= have; length++)
		if (is_call(code + have, length))
			return true;
	return false;
}

/* The handler of a signal returns to the frame that the kernel made. */
static bool is_signal_frame(const struct ulp_walk *walk, uint64_t ip)
{
	struct ulp_cfi_row row;

	return !ulp_cfi_find(walk->cfi, ip - 1, &row) && row.signal;
}

static int add_frame(struct ulp_unwind *out, const struct ulp_frame *frame)
{
	size_t nr = out->nr;
	struct ulp_frame *bigger;

	/* From 16 on it is full whenever the count is a power of two. */
	if (!nr || (nr >= 16 && !(nr & (nr - 1)))) {
		bigger = reallocarray(out->frames, nr ? 2 * nr : 16, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		out->frames = bigger;
	}
	out->frames[out->nr++] = *frame;
	return 0;
}

/*
 * How far the signal frame at @sp reaches: up to the stack pointer it saved,
 * unless that is of another stack, which shows in the ucontext.
 */
static uint64_t signal_frame_end(const struct ulp_walk *walk, uint64_t sp, uint64_t interrupted)
{
	uint64_t base = 0, size = 0;

	if (interrupted > sp &&
	    !ulp_thread_word(walk->target, walk->thread,
			     sp + offsetof(ucontext_t, uc_stack.ss_sp), &base) &&
	    !ulp_thread_word(walk->target, walk->thread,
			     sp + offsetof(ucontext_t, uc_stack.ss_size), &size) &&
	    (sp - base < size) == (interrupted - base < size))
		return interrupted;
	return sp + sizeof(ucontext_t);
}

/* From @frame, whose row is in @walk, to its caller. */
static bool step(struct ulp_walk *walk, struct ulp_frame *frame, struct ulp_frame *caller)
{
	struct ulp_value regs[ULP_DW_REGISTERS], *back = &regs[ULP_DW_RA];
	bool signal = walk->row.signal;
	uint64_t cfa, sp = frame->sp;

	if (!find_cfa(walk, &cfa))
		return give_up(walk, "the frame cannot be computed at", frame->ip);
	for (unsigned int i = 0; i < ULP_DW_REGISTERS; i++)
		if (!caller_register(walk, i, cfa, &regs[i]))
			return give_up(walk, "a register cannot be restored at", frame->ip);
	if (!back->known || !regs[ULP_DW_RSP].known)
		return give_up(walk, "the return address is not known at", frame->ip);

	if (signal) {
		/* What it interrupted may have another stack. */
		if (++walk->signals > SIGNALS_MAX)
			return give_up(walk, "too many signal frames at", frame->ip);
		cfa = regs[ULP_DW_RSP].value;
		frame->end = signal_frame_end(walk, sp, cfa);
	} else {
		/* vfork() keeps its return address in a register: no frame at all. */
		bool none = cfa == sp && !back->slot && walk->out->nr == 1;

		if ((cfa <= sp && !none) || regs[ULP_DW_RSP].value != cfa || cfa % 8)
			return give_up(walk, "the stack does not grow at", frame->ip);
		if (back->slot ? back->slot < sp || back->slot >= cfa || back->slot % 8 :
		    back->reg < 0)
			return give_up(walk, "the return address is outside of the frame at",
				       frame->ip);
		if (!is_behind_call(walk, back->value) && !is_signal_frame(walk, back->value))
			return give_up(walk, "no call is in front of", back->value);
		frame->end = cfa;
	}
	*caller = (struct ulp_frame){
		.ip = back->value, .sp = cfa, .end = cfa, .slot = back->slot, .reg = back->reg,
		.exact = signal,
	};
	memcpy(walk->regs, regs, sizeof(regs));
	return true;
}

static void start(struct ulp_walk *walk, const struct ulp_regs *regs, struct ulp_frame *frame)
{
	const uint64_t *places = (const uint64_t *)regs;

	for (unsigned int i = 0; i < ULP_DW_RA; i++)
		walk->regs[i] = (struct ulp_value){
			.value = places[ulp_regs_place[i]], .reg = ulp_regs_place[i],
			.known = true,
		};
	walk->regs[ULP_DW_RA] = (struct ulp_value){ .value = regs->ip, .reg = -1, .known = true };
	*frame = (struct ulp_frame){
		.ip = regs->ip, .sp = regs->sp, .end = regs->sp, .reg = -1, .exact = true,
	};
}

int ulp_unwind(const struct ulp_target *target, struct ulp_cfi *cfi,
	       const struct ulp_thread_copy *thread, struct ulp_unwind *out)
{
	struct ulp_walk walk = { .target = target, .cfi = cfi, .thread = thread, .out = out };
	struct ulp_frame frame, caller;
	int err;

	memset(out, 0, sizeof(*out));
	start(&walk, &thread->regs, &frame);
	for (;;) {
		err = add_frame(out, &frame);
		if (err)
			return err;
		if (thread->regs.cs != USER_CS) {
			give_up(&walk, "it runs 32-bit code at", frame.ip);
			return 0;
		}
		err = ulp_cfi_find(cfi, frame.exact ? frame.ip : frame.ip - 1, &walk.row);
		if (err == -ENOMEM)
			return err;
		if (err || out->nr == FRAMES_MAX) {
			give_up(&walk, err == -ENOENT ? "no unwind information covers" :
				err ? "damaged unwind information at" : "too many frames at",
				frame.ip);
			return 0;
		}
		if (walk.row.regs[ULP_DW_RA].how == ULP_CFI_UNDEFINED) {
			out->complete = true;
			return 0;
		}
		if (!step(&walk, &out->frames[out->nr - 1], &caller))
			return 0;
		frame = caller;
	}
}

void ulp_unwind_free(struct ulp_unwind *unwind)
{
	free(unwind->frames);
	memset(unwind, 0, sizeof(*unwind));
}
