// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The programs of call frame information: from the instructions of a CIE and an FDE
 * to the rules at one address.
 */
#include <dwarf.h>
#include <string.h>

#include "cfi_program.h"

#define STATES_MAX	16		/* remembered at a time */

struct machine {
	const struct ulp_cfi_common *common;
	const struct ulp_cfi_entry *entry;	/* whose program it is */
	struct ulp_cfi_row *row;
	const struct ulp_cfi_row *initial;	/* NULL in the CIE's program */
	uint64_t loc, pc;
	size_t nr_states;
	struct ulp_cfi_row states[STATES_MAX];
};

static bool set_rule(struct machine *m, uint64_t reg, enum ulp_cfi_how how, uint64_t offset)
{
	/* Vector registers have rules too, which say nothing about frames. */
	if (reg < ULP_DW_REGISTERS)
		m->row->regs[reg] = (struct ulp_cfi_rule){ .how = how, .offset = (int64_t)offset };
	return true;
}

static bool set_expression(struct ulp_bytes *bytes, struct ulp_cfi_rule *rule,
			   enum ulp_cfi_how how)
{
	uint64_t length = ulp_bytes_uleb(bytes);

	if (bytes->bad || length > (uint64_t)(bytes->end - bytes->at))
		return false;
	if (rule)
		*rule = (struct ulp_cfi_rule){
			.how = how, .expression = bytes->at, .length = length,
		};
	bytes->at += length;
	return true;
}

static bool set_cfa(struct machine *m, uint64_t reg, uint64_t offset)
{
	if (reg >= ULP_DW_RA)
		return false;
	m->row->cfa = (struct ulp_cfi_rule){
		.how = ULP_CFI_OFFSET, .reg = (uint32_t)reg, .offset = (int64_t)offset,
	};
	return true;
}

/* Operations that change one part of the CFA's rule want to find one. */
static bool change_cfa(struct machine *m, uint64_t reg, uint64_t offset)
{
	return m->row->cfa.how == ULP_CFI_OFFSET && set_cfa(m, reg, offset);
}

static bool restore(struct machine *m, uint64_t reg)
{
	if (!m->initial)
		return false;
	if (reg < ULP_DW_REGISTERS)
		m->row->regs[reg] = m->initial->regs[reg];
	return true;
}

static bool restore_state(struct machine *m)
{
	bool signal = m->row->signal;
	uint64_t start = m->row->start;

	if (!m->nr_states)
		return false;
	*m->row = m->states[--m->nr_states];
	m->row->signal = signal;
	m->row->start = start;
	return true;
}

static struct ulp_cfi_rule *rule_of(struct machine *m, uint64_t reg)
{
	return reg < ULP_DW_REGISTERS ? &m->row->regs[reg] : NULL;
}

static bool step_extended(struct machine *m, uint8_t op, struct ulp_bytes *b)
{
	const uint64_t factor = m->common->data_factor;
	uint64_t reg, value;

	switch (op) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_set_loc:
		value = ulp_cfi_addr(m->entry, b);
		m->loc = ulp_bytes_encoded(b, m->common->encoding, value, 0);
		return m->initial;
	case DW_CFA_advance_loc1:
		m->loc += ulp_bytes_fixed(b, 1) * m->common->code_factor;
		return m->initial;
	case DW_CFA_advance_loc2:
		m->loc += ulp_bytes_fixed(b, 2) * m->common->code_factor;
		return m->initial;
	case DW_CFA_advance_loc4:
		m->loc += ulp_bytes_fixed(b, 4) * m->common->code_factor;
		return m->initial;
	case DW_CFA_offset_extended:
		reg = ulp_bytes_uleb(b);
		return set_rule(m, reg, ULP_CFI_OFFSET, ulp_bytes_uleb(b) * factor);
	case DW_CFA_offset_extended_sf:
		reg = ulp_bytes_uleb(b);
		return set_rule(m, reg, ULP_CFI_OFFSET, (uint64_t)ulp_bytes_sleb(b) * factor);
	case DW_CFA_GNU_negative_offset_extended:
		reg = ulp_bytes_uleb(b);
		return set_rule(m, reg, ULP_CFI_OFFSET, -(ulp_bytes_uleb(b) * factor));
	case DW_CFA_val_offset:
		reg = ulp_bytes_uleb(b);
		return set_rule(m, reg, ULP_CFI_VAL_OFFSET, ulp_bytes_uleb(b) * factor);
	case DW_CFA_val_offset_sf:
		reg = ulp_bytes_uleb(b);
		return set_rule(m, reg, ULP_CFI_VAL_OFFSET, (uint64_t)ulp_bytes_sleb(b) * factor);
	case DW_CFA_restore_extended:
		return restore(m, ulp_bytes_uleb(b));
	case DW_CFA_undefined:
		return set_rule(m, ulp_bytes_uleb(b), ULP_CFI_UNDEFINED, 0);
	case DW_CFA_same_value:
		return set_rule(m, ulp_bytes_uleb(b), ULP_CFI_SAME, 0);
	case DW_CFA_register:
		reg = ulp_bytes_uleb(b);
		value = ulp_bytes_uleb(b);
		return value < ULP_DW_RA && set_rule(m, reg, ULP_CFI_REGISTER, value);
	case DW_CFA_remember_state:
		if (m->nr_states == STATES_MAX)
			return false;
		m->states[m->nr_states++] = *m->row;
		return true;
	case DW_CFA_restore_state:
		return restore_state(m);
	case DW_CFA_def_cfa:
		reg = ulp_bytes_uleb(b);
		return set_cfa(m, reg, ulp_bytes_uleb(b));
	case DW_CFA_def_cfa_sf:
		reg = ulp_bytes_uleb(b);
		return set_cfa(m, reg, (uint64_t)ulp_bytes_sleb(b) * factor);
	case DW_CFA_def_cfa_register:
		return change_cfa(m, ulp_bytes_uleb(b), (uint64_t)m->row->cfa.offset);
	case DW_CFA_def_cfa_offset:
		return change_cfa(m, m->row->cfa.reg, ulp_bytes_uleb(b));
	case DW_CFA_def_cfa_offset_sf:
		return change_cfa(m, m->row->cfa.reg, (uint64_t)ulp_bytes_sleb(b) * factor);
	case DW_CFA_def_cfa_expression:
		return set_expression(b, &m->row->cfa, ULP_CFI_VAL_EXPRESSION);
	case DW_CFA_expression:
		reg = ulp_bytes_uleb(b);
		return set_expression(b, rule_of(m, reg), ULP_CFI_EXPRESSION);
	case DW_CFA_val_expression:
		reg = ulp_bytes_uleb(b);
		return set_expression(b, rule_of(m, reg), ULP_CFI_VAL_EXPRESSION);
	case DW_CFA_GNU_args_size:
		ulp_bytes_uleb(b);
		return true;
	default:
		return false;
	}
}

/* Up to the row of m->pc. */
static bool run(struct machine *m, struct ulp_bytes program)
{
	const uint64_t factor = m->common->data_factor;

	while (program.at < program.end) {
		uint64_t loc = m->loc;
		uint8_t op = *program.at++, low = op & 0x3f;
		bool good;

		switch (op & 0xc0) {
		case DW_CFA_advance_loc:
			m->loc += low * m->common->code_factor;
			good = m->initial;
			break;
		case DW_CFA_offset:
			good = set_rule(m, low, ULP_CFI_OFFSET,
					ulp_bytes_uleb(&program) * factor);
			break;
		case DW_CFA_restore:
			good = restore(m, low);
			break;
		default:
			good = step_extended(m, op, &program);
			break;
		}
		if (!good || program.bad || m->loc < loc)
			return false;
		/* What moves the location does nothing else. */
		if (m->loc > m->pc)
			return true;
	}
	return true;
}

bool ulp_cfi_run(const struct ulp_cfi_common *common, const struct ulp_cfi_entry *cie,
		 const struct ulp_cfi_entry *fde, struct ulp_bytes program, uint64_t pc,
		 struct ulp_cfi_row *row)
{
	struct machine m = { .common = common, .entry = cie, .row = row, .pc = pc };
	struct ulp_cfi_row initial;

	if (!run(&m, common->program))
		return false;
	initial = *row;
	m.initial = &initial;
	m.entry = fde;
	m.loc = row->start;
	return run(&m, program);
}
