// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Types, functions and variables as the debug information of an object has them.
 */
#include <dwarf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"
#include "types.h"

#define DEPTH_MAX	32

/* What one search of a unit's entries has to know. */
struct scope {
	struct types *types;
	const char *prefix;		/* of names */
	unsigned int depth;
	bool in_function;
};

static const char *text_of(Dwarf_Die *die, unsigned int depth);

static const char *attribute_text(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attribute;

	return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

static bool attribute_number(Dwarf_Die *die, unsigned int name, uint64_t *value)
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

/* The first operation of a location. */
static bool attribute_operation(Dwarf_Die *die, unsigned int name, Dwarf_Op *operation)
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

static bool is_aggregate(Dwarf_Die *die)
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

/* A structure that only its typedef has a name for. */
static bool names_structure(Dwarf_Die *die, Dwarf_Die *type)
{
	return dwarf_tag(die) == DW_TAG_typedef && type_of(die, type) && is_aggregate(type) &&
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

	attribute_number(die, DW_AT_encoding, &encoding);
	attribute_number(die, DW_AT_byte_size, &size);
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
			if (attribute_number(&child, DW_AT_count, &count))
				text = xasprintf("%s[%" PRIu64 "]", text, count);
			else if (attribute_number(&child, DW_AT_upper_bound, &count))
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
	if (names_structure(die, &type))
		return dwarf_diename(die);
	if (is_qualifier(die))
		return type_of(die, &type) ? text_of(&type, depth + 1) : "void";
	if (is_aggregate(die))
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

	if (attribute_number(die, DW_AT_data_bit_offset, &bits))
		return (int64_t)bits;
	if (!attribute_number(die, DW_AT_data_member_location, &bytes) &&
	    attribute_operation(die, DW_AT_data_member_location, &operation))
		bytes = operation.number;
	/* As before DWARF 4: counted from the most significant bit. */
	if (attribute_number(die, DW_AT_bit_offset, &bits) &&
	    attribute_number(die, DW_AT_byte_size, &size) &&
	    attribute_number(die, DW_AT_bit_size, &width))
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
	if (is_aggregate(&type) && !dwarf_diename(&type) && depth < DEPTH_MAX &&
	    dwarf_tag(&type) != DW_TAG_enumeration_type)
		add_members(&type, *name && dwarf_diename(die) ? xasprintf("%s.", name) : prefix,
			    at, out, depth + 1);
	else if (attribute_number(die, DW_AT_bit_size, &width))
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

	if (!name || !attribute_number(die, DW_AT_virtuality, &virtuality) || !virtuality ||
	    !attribute_operation(die, DW_AT_vtable_elem_location, &operation))
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
			    attribute_number(&child, DW_AT_const_value, &value))
				add_member(type, dwarf_diename(&child), (int64_t)value, "");
			break;
		}
	} while (!dwarf_siblingof(&child, &child));
}

/* ---- all of an object ---- */

static void add_type(const struct scope *scope, Dwarf_Die *die, const char *plain)
{
	struct types *types = scope->types;
	const char *name = xasprintf("%s%s", scope->prefix, plain);
	struct type *type;
	unsigned int same = 1;

	if (dwarf_hasattr(die, DW_AT_declaration))
		return;
	/* local ones of several blocks */
	for (size_t i = 0; i < types->nr_types && scope->in_function; i++) {
		const char *other = types->types[i].name;
		size_t length = strlen(name);

		same += !strncmp(other, name, length) &&
			(!other[length] || other[length] == '#');
	}
	if (same > 1)
		name = xasprintf("%s#%u", name, same);
	type = &append(types->types, types->nr_types);
	type->name = name;
	type->plain = plain;
	type->offset = dwarf_dieoffset(die);
	type->enumeration = dwarf_tag(die) == DW_TAG_enumeration_type;
	attribute_number(die, DW_AT_byte_size, &type->size);
	add_members(die, "", 0, type, 0);
}

static const char *symbol_name(Dwarf_Die *die)
{
	const char *name = attribute_text(die, DW_AT_linkage_name);

	return name ? name : attribute_text(die, DW_AT_name);
}

/* Not in a frame or register, but at an address. */
static bool is_static(Dwarf_Die *die, bool in_function)
{
	Dwarf_Op operation;

	if (!in_function || dwarf_hasattr(die, DW_AT_external))
		return true;
	if (!attribute_operation(die, DW_AT_location, &operation))
		return false;
	switch (operation.atom) {
	case DW_OP_addr:
	case DW_OP_addrx:
	case DW_OP_const4u:		/* of a thread's block */
	case DW_OP_const8u:
	case DW_OP_constx:
		return true;
	default:
		return false;
	}
}

static void add_variable(const struct scope *scope, Dwarf_Die *die)
{
	struct types *types = scope->types;
	const char *name = symbol_name(die);
	Dwarf_Die type;

	if (!name || !is_static(die, scope->in_function) || !type_of(die, &type))
		return;
	append(types->variables, types->nr_variables) =
		(struct entity){ .name = name, .type = type_text(&type), .die = *die };
}

static void add_function(const struct scope *scope, Dwarf_Die *die)
{
	struct types *types = scope->types;
	const char *name = symbol_name(die);
	Dwarf_Die origin = *die, type;
	Dwarf_Attribute attribute;

	if (!name || dwarf_hasattr(die, DW_AT_declaration))
		return;
	/* arguments that a copy does not need are missing in it */
	if (dwarf_formref_die(dwarf_attr(die, DW_AT_abstract_origin, &attribute), &type))
		origin = type;
	append(types->functions, types->nr_functions) = (struct entity){
		.name = name, .type = type_text(&origin), .die = *die,
		.body = dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges),
	};
}

static void walk(const struct scope *scope, Dwarf_Die *die)
{
	struct scope inner = *scope;
	Dwarf_Die child, type;

	if (scope->depth > DEPTH_MAX || dwarf_child(die, &child))
		return;
	inner.depth++;
	do {
		const char *name = dwarf_diename(&child);

		inner.prefix = scope->prefix;
		inner.in_function = scope->in_function;
		switch (dwarf_tag(&child)) {
		case DW_TAG_typedef:
			if (names_structure(&child, &type) && name)
				add_type(scope, &type, name);
			break;
		case DW_TAG_enumeration_type:
			if (name)
				add_type(scope, &child, name);
			break;
		case DW_TAG_structure_type:
		case DW_TAG_class_type:
		case DW_TAG_union_type:
			if (name) {
				add_type(scope, &child, name);
				inner.prefix = xasprintf("%s%s::", scope->prefix, name);
			}
			walk(&inner, &child);
			break;
		case DW_TAG_namespace:
			if (name)
				inner.prefix = xasprintf("%s%s::", scope->prefix, name);
			walk(&inner, &child);
			break;
		case DW_TAG_subprogram:
			add_function(scope, &child);
			inner.in_function = true;
			if (name)
				inner.prefix = xasprintf("%s%s()::", scope->prefix, name);
			walk(&inner, &child);
			break;
		case DW_TAG_lexical_block:
			walk(&inner, &child);
			break;
		case DW_TAG_variable:
			add_variable(scope, &child);
			break;
		}
	} while (!dwarf_siblingof(&child, &child));
}

static int no_debug_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
			 const char *file, const char *link, GElf_Word crc, char **path)
{
	(void)module, (void)data, (void)name, (void)base;
	(void)file, (void)link, (void)crc, (void)path;
	return -1;
}

bool types_read(const char *path, struct types *types)
{
	static const Dwfl_Callbacks callbacks = {
		.find_debuginfo = no_debug_file,
		.section_address = dwfl_offline_section_address,
	};
	struct scope scope = { .types = types, .prefix = "" };
	Dwfl_Module *module;
	Dwarf_Off next, offset = 0;
	Dwarf_Addr bias;
	size_t header;
	Dwarf_Die die;

	memset(types, 0, sizeof(*types));
	types->dwfl = dwfl_begin(&callbacks);
	if (!types->dwfl)
		return false;
	/* relocated, unlike by libdw alone */
	module = dwfl_report_offline(types->dwfl, "", path, -1);
	dwfl_report_end(types->dwfl, NULL, NULL);
	types->dwarf = module ? dwfl_module_getdwarf(module, &bias) : NULL;
	while (types->dwarf && !dwarf_nextcu(types->dwarf, offset, &next, &header, NULL, NULL,
					     NULL)) {
		if (dwarf_offdie(types->dwarf, offset + header, &die))
			walk(&scope, &die);
		offset = next;
	}
	return types->dwarf;
}

void types_free(struct types *types)
{
	dwfl_end(types->dwfl);
	free(types->types);
	free(types->functions);
	free(types->variables);
	memset(types, 0, sizeof(*types));
}

const struct type *types_find(const struct types *types, const char *name)
{
	for (size_t i = 0; i < types->nr_types; i++)
		if (!strcmp(types->types[i].name, name))
			return &types->types[i];
	return NULL;
}

static void visit_frame(Dwarf_Die *die, type_visit *visit, void *data, unsigned int depth)
{
	Dwarf_Attribute attribute;
	Dwarf_Die child, origin;

	if (depth > DEPTH_MAX)
		return;
	/* what this copy of the function needs no place for */
	if (dwarf_formref_die(dwarf_attr(die, DW_AT_abstract_origin, &attribute), &origin))
		visit_frame(&origin, visit, data, depth + 1);
	if (dwarf_child(die, &child))
		return;
	do {
		switch (dwarf_tag(&child)) {
		case DW_TAG_formal_parameter:
		case DW_TAG_variable:
			visit(&child, data);
			break;
		case DW_TAG_lexical_block:
		case DW_TAG_inlined_subroutine:
			visit_frame(&child, visit, data, depth + 1);
			break;
		}
	} while (!dwarf_siblingof(&child, &child));
}

void types_in_function(Dwarf_Die *die, type_visit *visit, void *data)
{
	visit_frame(die, visit, data, 0);
}
