// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * DWARF expressions of unwind tables.  They are a hostile process's: no stack
 * overflow, no loop without end, no register that is not known.
 */
#include <dwarf.h>

#include "unwind.h"

#define OPERANDS_MAX		64	/* stack of an expression */
#define OPERATIONS_MAX		1000	/* of one expression: it may jump */

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

static void push_register(const struct ulp_walk *walk, struct operands *o, uint64_t reg,
			  int64_t offset)
{
	if (reg < ULP_DW_REGISTERS && walk->regs[reg].known)
		push(o, walk->regs[reg].value + (uint64_t)offset);
	else
		o->bad = true;
}

static void dereference(const struct ulp_walk *walk, struct operands *o, size_t size)
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
	case DW_OP_and:
		return push(o, a & b);
	case DW_OP_or:
		return push(o, a | b);
	case DW_OP_xor:
		return push(o, a ^ b);
	case DW_OP_plus:
		return push(o, a + b);
	case DW_OP_minus:
		return push(o, a - b);
	case DW_OP_mul:
		return push(o, a * b);
	case DW_OP_shl:
		return push(o, b < 64 ? a << b : 0);
	case DW_OP_shr:
		return push(o, b < 64 ? a >> b : 0);
	case DW_OP_shra:
		b = b < 64 ? b : 63;
		return push(o, a >> b | (sa < 0 ? ~(~(uint64_t)0 >> b) : 0));
	case DW_OP_eq:
		return push(o, a == b);
	case DW_OP_ne:
		return push(o, a != b);
	case DW_OP_lt:
		return push(o, sa < sb);
	case DW_OP_le:
		return push(o, sa <= sb);
	case DW_OP_gt:
		return push(o, sa > sb);
	case DW_OP_ge:
		return push(o, sa >= sb);
	default:
		o->bad = true;
	}
}

static void operation(const struct ulp_walk *walk, struct operands *o, uint8_t op,
		      struct ulp_bytes *b)
{
	uint64_t value;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		return push(o, op - DW_OP_lit0);
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		return push_register(walk, o, op - DW_OP_breg0, ulp_bytes_sleb(b));
	switch (op) {
	case DW_OP_nop:
		return;
	case DW_OP_const1u:
		return push(o, ulp_bytes_fixed(b, 1));
	case DW_OP_const2u:
		return push(o, ulp_bytes_fixed(b, 2));
	case DW_OP_const4u:
		return push(o, ulp_bytes_fixed(b, 4));
	case DW_OP_const8u:
	case DW_OP_const8s:
		return push(o, ulp_bytes_fixed(b, 8));
	case DW_OP_const1s:
		return push(o, (uint64_t)ulp_bytes_signed(b, 1));
	case DW_OP_const2s:
		return push(o, (uint64_t)ulp_bytes_signed(b, 2));
	case DW_OP_const4s:
		return push(o, (uint64_t)ulp_bytes_signed(b, 4));
	case DW_OP_constu:
		return push(o, ulp_bytes_uleb(b));
	case DW_OP_consts:
		return push(o, (uint64_t)ulp_bytes_sleb(b));
	case DW_OP_bregx:
		value = ulp_bytes_uleb(b);
		return push_register(walk, o, value, ulp_bytes_sleb(b));
	case DW_OP_dup:
		return push_copy(o, 0);
	case DW_OP_over:
		return push_copy(o, 1);
	case DW_OP_pick:
		return push_copy(o, ulp_bytes_fixed(b, 1));
	case DW_OP_drop:
		pop(o);
		return;
	case DW_OP_deref:
		return dereference(walk, o, sizeof(value));
	case DW_OP_deref_size:
		return dereference(walk, o, ulp_bytes_fixed(b, 1));
	case DW_OP_neg:
		return push(o, -pop(o));
	case DW_OP_not:
		return push(o, ~pop(o));
	case DW_OP_plus_uconst:
		value = pop(o);
		return push(o, value + ulp_bytes_uleb(b));
	default:
		return binary(o, op);
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

bool ulp_expression(const struct ulp_walk *walk, const struct ulp_cfi_rule *rule,
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
