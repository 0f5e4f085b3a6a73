// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Types, functions and variables as the debug information of an object has them.
 */
#include <dwarf.h>
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

static const char *attribute_text(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attribute;

	return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

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
	type_number(die, DW_AT_byte_size, &type->size);
	type_members(die, type);
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
	if (!type_operation(die, DW_AT_location, &operation))
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

/* Functions may each have one of the same name. */
static bool same_place(const struct entity *one, const struct entity *other)
{
	return !strcmp(one->name, other->name) && !strcmp(one->scope, other->scope);
}

static void add_variable(const struct scope *scope, Dwarf_Die *die)
{
	struct types *types = scope->types;
	struct entity variable = { .name = symbol_name(die), .die = *die,
				   .scope = scope->in_function ? scope->prefix : "" };
	Dwarf_Die type;

	if (!variable.name || !is_static(die, scope->in_function) || !type_of(die, &type))
		return;
	variable.type = type_text(&type);
	for (size_t i = 0; i < types->nr_variables && scope->in_function; i++)
		variable.nth += same_place(&types->variables[i], &variable);
	append(types->variables, types->nr_variables) = variable;
}

const struct entity *types_same_variable(const struct types *types,
					 const struct entity *variable)
{
	for (size_t i = 0; i < types->nr_variables; i++)
		if (same_place(&types->variables[i], variable) &&
		    types->variables[i].nth == variable->nth)
			return &types->variables[i];
	return NULL;
}

/* The compiler's own declaration of what it knows, and C's without arguments, tell nothing. */
static bool tells_arguments(Dwarf_Die *die)
{
	Dwarf_Die child;
	int line = 0;

	if (dwarf_decl_line(die, &line) || !line)
		return false;
	return dwarf_hasattr(die, DW_AT_prototyped) || dwarf_child(die, &child) ||
	       dwarf_tag(&child) != DW_TAG_unspecified_parameters;
}

static void add_function(const struct scope *scope, Dwarf_Die *die)
{
	struct types *types = scope->types;
	const char *name = symbol_name(die);
	Dwarf_Die origin = *die, type;
	Dwarf_Attribute attribute;

	if (!name)
		return;
	if (dwarf_hasattr(die, DW_AT_declaration)) {
		if (!tells_arguments(die))
			return;
		append(types->declared, types->nr_declared) =
			(struct entity){ .name = name, .type = type_text(die), .die = *die };
		return;
	}
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
			if (type_named_by(&child, &type) && name)
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

/* One unit with all its types is what is read: not units for types, nor another file. */
static const char *hides_types(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t names, units = 0;
	GElf_Shdr shdr;

	if (!elf || elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name = gelf_getshdr(scn, &shdr) ?
			elf_strptr(elf, names, shdr.sh_name) : NULL;

		if (!name)
			continue;
		units += !strcmp(name, ".debug_info");
		if (!strcmp(name, ".debug_types") || units > 1)
			return "-fdebug-types-section";
	}
	return NULL;
}

static bool is_split(Dwarf_Die *unit)
{
	return dwarf_tag(unit) == DW_TAG_skeleton_unit || dwarf_hasattr(unit, DW_AT_dwo_name) ||
	       dwarf_hasattr(unit, DW_AT_GNU_dwo_name);
}

/* Lines and functions only: -g1 */
static bool has_types(Dwarf_Die *unit)
{
	Dwarf_Die child, type;

	if (!dwarf_child(unit, &child))
		do {
			if (dwarf_tag(&child) != DW_TAG_subprogram || type_of(&child, &type))
				return true;
		} while (!dwarf_siblingof(&child, &child));
	return false;
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
	bool typed = false;
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
	types->hidden = module ? hides_types(dwfl_module_getelf(module, &bias)) : NULL;
	while (types->dwarf && !dwarf_nextcu(types->dwarf, offset, &next, &header, NULL, NULL,
					     NULL)) {
		if (dwarf_offdie(types->dwarf, offset + header, &die)) {
			if (is_split(&die))
				types->hidden = "-gsplit-dwarf";
			typed |= has_types(&die);
			walk(&scope, &die);
		}
		offset = next;
	}
	return types->hidden || typed;
}

void types_free(struct types *types)
{
	dwfl_end(types->dwfl);
	free(types->types);
	free(types->functions);
	free(types->declared);
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
