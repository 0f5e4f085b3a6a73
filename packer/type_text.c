// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One type of the debug information: as a text, and what it has.
 */
#include <dwarf.h>
#include <inttypes.h>
#include <stdlib.h>

#include "packer.h"
#include "types.h"

#define DEPTH_MAX	32

static const char *text_of(Dwarf_Die *die, unsigned int depth);

bool type_number(Dwarf_Die *die, unsigned int name, uint64_t *value)
{
	Dwarf_Attribute attribute;
	Dwarf_Sword number;

	if (!dwarf_attr_integrate(die, name, &attribute))
		return false;
	if (!dwarf_formsdata(&attribute, &number))
		*value = (uint64_t)number;
	else if (dwarf_formudata(&attribute, value))
		return false;
	return true;
}

bool type_operation(Dwarf_Die *die, unsigned int name, Dwarf_Op *operation)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *list;
	size_t nr;

	if (!dwarf_attr_integrate(die, name, &attribute) ||
	    dwarf_getlocation(&attribute, &list, &nr) || !nr)
		return false;
	*operation = list[0];
	return true;
}

bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute attribute;

	return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), type);
}

bool type_is_aggregate(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
		return true;
	default:
		return false;
	}
}

static bool is_qualifier(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		return true;
	default:
		return false;
	}
}

bool type_named_by(Dwarf_Die *die, Dwarf_Die *type)
{
	return dwarf_tag(die) == DW_TAG_typedef && type_of(die, type) && type_is_aggregate(type) &&
	       !dwarf_diename(type);
}

/* ---- as text ---- */

static const char *kind_of(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_union_type:
		return "union";
	case DW_TAG_class_type:
		return "class";
	case DW_TAG_enumeration_type:
		return "enum";
	default:
		return "struct";
	}
}

/* Numbers with and without a sign have the same places and bits. */
static const char *base_text(Dwarf_Die *die)
{
	uint64_t encoding = 0, size = 0;

	type_number(die, DW_AT_encoding, &encoding);
	type_number(die, DW_AT_byte_size, &size);
	switch (encoding) {
	case DW_ATE_signed:
	case DW_ATE_unsigned:
	case DW_ATE_signed_char:
	case DW_ATE_unsigned_char:
	case DW_ATE_UTF:
		return xasprintf("integer of %" PRIu64 " bytes", size);
	case DW_ATE_float:
		return xasprintf("float of %" PRIu64 " bytes", size);
	default:
		return xasprintf("%s of %" PRIu64 " bytes",
				 dwarf_diename(die) ? dwarf_diename(die) : "?", size);
	}
}

static const char *array_text(Dwarf_Die *die, unsigned int depth)
{
	const char *text = "";
	Dwarf_Die type, child;
	uint64_t count;

	if (!dwarf_child(die, &child))
		do {
			if (dwarf_tag(&child) != DW_TAG_subrange_type)
				continue;
			if (type_number(&child, DW_AT_count, &count))
				text = xasprintf("%s[%" PRIu64 "]", text, count);
			else if (type_number(&child, DW_AT_upper_bound, &count))
				text = xasprintf("%s[%" PRIu64 "]", text, count + 1);
			else
				text = xasprintf("%s[]", text);
		} while (!dwarf_siblingof(&child, &child));
	return xasprintf("%s%s", type_of(die, &type) ? text_of(&type, depth) : "?", text);
}

/* The result and arguments of a function, or of a type of functions. */
static const char *function_text(Dwarf_Die *die, unsigned int depth)
{
	const char *text = "", *comma = "";
	Dwarf_Die type, child;

	if (!dwarf_child(die, &child))
		do {
			if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
				text = xasprintf("%s%s...", text, comma);
			else if (dwarf_tag(&child) == DW_TAG_formal_parameter)
				text = xasprintf("%s%s%s", text, comma, type_of(&child, &type) ?
						 text_of(&type, depth) : "?");
			else
				continue;
			comma = ", ";
		} while (!dwarf_siblingof(&child, &child));
	return xasprintf("%s (%s)", type_of(die, &type) ? text_of(&type, depth) : "void", text);
}

static void add_members(Dwarf_Die *die, const char *prefix, int64_t base, struct type *type,
			unsigned int depth);

/* A structure without a name is what it has. */
static const char *content_text(Dwarf_Die *die, unsigned int depth)
{
	struct type type = { 0 };
	const char *text = "";

	add_members(die, "", 0, &type, depth);
	for (size_t i = 0; i < type.nr_members; i++)
		text = xasprintf("%s %s@%" PRId64 " %s;", text, type.members[i].name,
				 type.members[i].at, type.members[i].type);
	free(type.members);
	return xasprintf("%s {%s }", kind_of(die), text);
}

static const char *text_of(Dwarf_Die *die, unsigned int depth)
{
	Dwarf_Die type;

	if (depth > DEPTH_MAX)
		return "...";
	if (type_named_by(die, &type))
		return dwarf_diename(die);
	if (is_qualifier(die))
		return type_of(die, &type) ? text_of(&type, depth + 1) : "void";
	if (type_is_aggregate(die))
		return dwarf_diename(die) ? xasprintf("%s %s", kind_of(die), dwarf_diename(die)) :
					    content_text(die, depth + 1);
	switch (dwarf_tag(die)) {
	case DW_TAG_base_type:
		return base_text(die);
	case DW_TAG_pointer_type:
		return xasprintf("%s *", type_of(die, &type) ? text_of(&type, depth + 1) : "void");
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		return xasprintf("%s &", type_of(die, &type) ? text_of(&type, depth + 1) : "?");
	case DW_TAG_array_type:
		return array_text(die, depth + 1);
	case DW_TAG_subroutine_type:
	case DW_TAG_subprogram:
		return function_text(die, depth + 1);
	default:
		return dwarf_diename(die) ? dwarf_diename(die) : "?";
	}
}

const char *type_text(Dwarf_Die *die)
{
	return text_of(die, 0);
}

/* ---- what a structure has ---- */

/* Bits from the start of the structure. */
static int64_t place_of(Dwarf_Die *die)
{
	uint64_t bytes = 0, bits = 0, size = 0, width = 0;
	Dwarf_Op operation;

	if (type_number(die, DW_AT_data_bit_offset, &bits))
		return (int64_t)bits;
	if (!type_number(die, DW_AT_data_member_location, &bytes) &&
	    type_operation(die, DW_AT_data_member_location, &operation))
		bytes = operation.number;
	/* As before DWARF 4: counted from the most significant bit. */
	if (type_number(die, DW_AT_bit_offset, &bits) &&
	    type_number(die, DW_AT_byte_size, &size) &&
	    type_number(die, DW_AT_bit_size, &width))
		bits = 8 * size - bits - width;
	return (int64_t)(8 * bytes + bits);
}

static void add_member(struct type *type, const char *name, int64_t at, const char *text)
{
	append(type->members, type->nr_members) = (struct member){ name, at, text };
}

static void add_field(Dwarf_Die *die, const char *prefix, int64_t base, struct type *out,
		      unsigned int depth)
{
	const char *name = dwarf_diename(die);
	int64_t at = base + place_of(die);
	Dwarf_Die type;
	uint64_t width;

	/* static members are variables */
	if (dwarf_hasattr(die, DW_AT_declaration) || !type_of(die, &type))
		return;
	name = xasprintf("%s%s", prefix, name ? name : "");
	if (type_is_aggregate(&type) && !dwarf_diename(&type) && depth < DEPTH_MAX &&
	    dwarf_tag(&type) != DW_TAG_enumeration_type)
		add_members(&type, *name && dwarf_diename(die) ? xasprintf("%s.", name) : prefix,
			    at, out, depth + 1);
	else if (type_number(die, DW_AT_bit_size, &width))
		add_member(out, name, at, xasprintf("%" PRIu64 " bits of %s", width,
						    text_of(&type, depth + 1)));
	else
		add_member(out, name, at, text_of(&type, depth + 1));
}

/* Where a virtual function is in the table of the class. */
static void add_virtual(Dwarf_Die *die, struct type *out)
{
	const char *name = dwarf_diename(die);
	uint64_t virtuality;
	Dwarf_Op operation;

	if (!name || !type_number(die, DW_AT_virtuality, &virtuality) || !virtuality ||
	    !type_operation(die, DW_AT_vtable_elem_location, &operation))
		return;
	add_member(out, xasprintf("%s()", name), (int64_t)operation.number * 64,
		   xasprintf("virtual function %s", text_of(die, 1)));
}

static void add_members(Dwarf_Die *die, const char *prefix, int64_t base, struct type *type,
			unsigned int depth)
{
	Dwarf_Die child, parent;
	uint64_t value;

	if (dwarf_child(die, &child))
		return;
	do {
		switch (dwarf_tag(&child)) {
		case DW_TAG_member:
			add_field(&child, prefix, base, type, depth);
			break;
		case DW_TAG_inheritance:
			if (type_of(&child, &parent))
				add_member(type, xasprintf("base %s", text_of(&parent, depth + 1)),
					   base + place_of(&child), "");
			break;
		case DW_TAG_subprogram:
			add_virtual(&child, type);
			break;
		case DW_TAG_enumerator:
			if (dwarf_diename(&child) &&
			    type_number(&child, DW_AT_const_value, &value))
				add_member(type, dwarf_diename(&child), (int64_t)value, "");
			break;
		}
	} while (!dwarf_siblingof(&child, &child));
}

void type_members(Dwarf_Die *die, struct type *type)
{
	add_members(die, "", 0, type, 0);
}
