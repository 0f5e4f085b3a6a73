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
#include <dwarf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "unwind.h"

#define FRAMES_MAX		65536
#define SIGNALS_MAX		64	/* signal frames of one thread */
#define OPERANDS_MAX		64	/* stack of an expression */
#define OPERATIONS_MAX		1000	/* of one expression: it may jump */
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

/* A register of a frame: known or not, and where it is kept. */
struct value {
	uint64_t value;
	uint64_t slot;			/* address, 0 none */
	int reg;			/* place in struct ulp_regs, -1 none */
	bool known;
};

struct walk {
	const struct ulp_target *target;
	struct ulp_cfi *cfi;
	const struct ulp_thread_copy *thread;
	struct ulp_unwind *out;
	struct value regs[ULP_DW_REGISTERS];
	struct ulp_cfi_row row;
	unsigned int signals;
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

static bool give_up(struct walk *walk, const char *what, uint64_t at)
{
	snprintf(walk->out->why, sizeof(walk->out->why), "%s 0x%llx", what,
		 (unsigned long long)at);
	return false;
}

/* ---- expressions ---- */

struct operands {
	size_t nr;
	uint64_t values[OPERANDS_MAX];
	bool bad;
};

static void push(struct operands *o, uint64_t value)
{
	if (o->nr == OPERANDS_MAX)
		o->bad = true;
	else
		o->values[o->nr++] = value;
}

static uint64_t pop(struct operands *o)
{
	if (o->nr)
		return o->values[--o->nr];
	o->bad = true;
	return 0;
}

/* The value @depth below the top. */
static void push_copy(struct operands *o, uint64_t depth)
{
	if (depth < o->nr)
		push(o, o->values[o->nr - 1 - depth]);
	else
		o->bad = true;
}

static void push_register(const struct walk *walk, struct operands *o, uint64_t reg,
			  int64_t offset)
{
	if (reg < ULP_DW_REGISTERS && walk->regs[reg].known)
		push(o, walk->regs[reg].value + (uint64_t)offset);
	else
		o->bad = true;
}

static void dereference(const struct walk *walk, struct operands *o, size_t size)
{
	uint64_t word = 0, addr = pop(o);

	if (size == sizeof(word) ?
	    ulp_thread_word(walk->target, walk->thread, addr, &word) :
	    size == 0 || size > sizeof(word) ||
	    ulp_memory_read(walk->target, addr, &word, size))
		o->bad = true;
	push(o, word);
}

static void binary(struct operands *o, uint8_t op)
{
	uint64_t b = pop(o), a = pop(o);
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case DW_OP_and: return push(o, a & b);
	case DW_OP_or: return push(o, a | b);
	case DW_OP_xor: return push(o, a ^ b);
	case DW_OP_plus: return push(o, a + b);
	case DW_OP_minus: return push(o, a - b);
	case DW_OP_mul: return push(o, a * b);
	case DW_OP_shl: return push(o, b < 64 ? a << b : 0);
	case DW_OP_shr: return push(o, b < 64 ? a >> b : 0);
	case DW_OP_shra: return push(o, (uint64_t)(sa >> (b < 64 ? b : 63)));
	case DW_OP_eq: return push(o, a == b);
	case DW_OP_ne: return push(o, a != b);
	case DW_OP_lt: return push(o, sa < sb);
	case DW_OP_le: return push(o, sa <= sb);
	case DW_OP_gt: return push(o, sa > sb);
	case DW_OP_ge: return push(o, sa >= sb);
	default: o->bad = true;
	}
}

static void operation(const struct walk *walk, struct operands *o, uint8_t op,
		      struct ulp_bytes *b)
{
	uint64_t value;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		return push(o, op - DW_OP_lit0);
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		return push_register(walk, o, op - DW_OP_breg0, ulp_bytes_sleb(b));
	switch (op) {
	case DW_OP_nop: return;
	case DW_OP_const1u: return push(o, ulp_bytes_fixed(b, 1));
	case DW_OP_const2u: return push(o, ulp_bytes_fixed(b, 2));
	case DW_OP_const4u: return push(o, ulp_bytes_fixed(b, 4));
	case DW_OP_const8u:
	case DW_OP_const8s: return push(o, ulp_bytes_fixed(b, 8));
	case DW_OP_const1s: return push(o, (uint64_t)ulp_bytes_signed(b, 1));
	case DW_OP_const2s: return push(o, (uint64_t)ulp_bytes_signed(b, 2));
	case DW_OP_const4s: return push(o, (uint64_t)ulp_bytes_signed(b, 4));
	case DW_OP_constu: return push(o, ulp_bytes_uleb(b));
	case DW_OP_consts: return push(o, (uint64_t)ulp_bytes_sleb(b));
	case DW_OP_bregx:
		value = ulp_bytes_uleb(b);
		return push_register(walk, o, value, ulp_bytes_sleb(b));
	case DW_OP_dup: return push_copy(o, 0);
	case DW_OP_over: return push_copy(o, 1);
	case DW_OP_pick: return push_copy(o, ulp_bytes_fixed(b, 1));
	case DW_OP_drop:
		pop(o);
		return;
	case DW_OP_deref: return dereference(walk, o, sizeof(value));
	case DW_OP_deref_size: return dereference(walk, o, ulp_bytes_fixed(b, 1));
	case DW_OP_neg: return push(o, -pop(o));
	case DW_OP_not: return push(o, ~pop(o));
	case DW_OP_plus_uconst:
		value = pop(o);
		return push(o, value + ulp_bytes_uleb(b));
	default: return binary(o, op);
	}
}

static void jump(struct ulp_bytes *b, const struct ulp_cfi_rule *rule, int64_t distance)
{
	int64_t at = b->at - rule->expression + distance;

	if (at < 0 || (uint64_t)at > rule->length)
		b->bad = true;
	else
		b->at = rule->expression + at;
}

/* The CFA is the first operand of all but the CFA's own. */
static bool evaluate(const struct walk *walk, const struct ulp_cfi_rule *rule,
		     const uint64_t *cfa, uint64_t *out)
{
	struct ulp_bytes b = { .at = rule->expression, .end = rule->expression + rule->length };
	struct operands o = { .nr = 0 };

	if (cfa)
		push(&o, *cfa);
	for (size_t i = 0; b.at < b.end && !b.bad && !o.bad; i++) {
		uint8_t op = *b.at++;
		int64_t distance;

		if (i == OPERATIONS_MAX)
			return false;
		if (op != DW_OP_skip && op != DW_OP_bra) {
			operation(walk, &o, op, &b);
			continue;
		}
		distance = ulp_bytes_signed(&b, 2);
		if (op == DW_OP_skip || pop(&o))
			jump(&b, rule, distance);
	}
	*out = pop(&o);
	return !b.bad && !o.bad;
}

/* ---- one step ---- */

static bool find_cfa(const struct walk *walk, uint64_t *cfa)
{
	const struct ulp_cfi_rule *rule = &walk->row.cfa;

	if (rule->how == ULP_CFI_VAL_EXPRESSION)
		return evaluate(walk, rule, NULL, cfa);
	if (rule->how != ULP_CFI_OFFSET || !walk->regs[rule->reg].known)
		return false;
	*cfa = walk->regs[rule->reg].value + (uint64_t)rule->offset;
	return true;
}

static bool load(const struct walk *walk, uint64_t addr, struct value *out)
{
	*out = (struct value){ .slot = addr, .reg = -1 };
	out->known = !ulp_thread_word(walk->target, walk->thread, addr, &out->value);
	return out->known;
}

/* A register of the caller; false if its rule cannot be followed. */
static bool caller_register(const struct walk *walk, unsigned int reg, uint64_t cfa,
			    struct value *out)
{
	const struct ulp_cfi_rule *rule = &walk->row.regs[reg];
	uint64_t addr;

	*out = (struct value){ .reg = -1 };
	switch (rule->how) {
	case ULP_CFI_UNSPECIFIED:
		if (reg == ULP_DW_RSP)
			*out = (struct value){ .value = cfa, .reg = -1, .known = true };
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
		*out = (struct value){
			.value = cfa + (uint64_t)rule->offset, .reg = -1, .known = true,
		};
		return true;
	case ULP_CFI_EXPRESSION:
		return evaluate(walk, rule, &cfa, &addr) && load(walk, addr, out);
	case ULP_CFI_VAL_EXPRESSION:
		out->known = evaluate(walk, rule, &cfa, &out->value);
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
static bool is_behind_call(const struct walk *walk, uint64_t ip)
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
static bool is_signal_frame(const struct walk *walk, uint64_t ip)
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
static uint64_t signal_frame_end(const struct walk *walk, uint64_t sp, uint64_t interrupted)
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
static bool step(struct walk *walk, struct ulp_frame *frame, struct ulp_frame *caller)
{
	struct value regs[ULP_DW_REGISTERS], *back = &regs[ULP_DW_RA];
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

static void start(struct walk *walk, const struct ulp_regs *regs, struct ulp_frame *frame)
{
	const uint64_t *places = (const uint64_t *)regs;

	for (unsigned int i = 0; i < ULP_DW_RA; i++)
		walk->regs[i] = (struct value){
			.value = places[ulp_regs_place[i]], .reg = ulp_regs_place[i],
			.known = true,
		};
	walk->regs[ULP_DW_RA] = (struct value){ .value = regs->ip, .reg = -1, .known = true };
	*frame = (struct ulp_frame){
		.ip = regs->ip, .sp = regs->sp, .end = regs->sp, .reg = -1, .exact = true,
	};
}

int ulp_unwind(const struct ulp_target *target, struct ulp_cfi *cfi,
	       const struct ulp_thread_copy *thread, struct ulp_unwind *out)
{
	struct walk walk = { .target = target, .cfi = cfi, .thread = thread, .out = out };
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
