/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types as the debug information of an object has them.  types.c reads all, type_text.c
 * says what one is, reach.c where it leads, layout.c compares those of the two objects of a pair.
 */
#ifndef PACKER_TYPES_H
#define PACKER_TYPES_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct member {
	const char *name;
	int64_t at;			/* bits from the start; value of an enumerator */
	const char *type;
};

/* A structure, union, class or enumeration that has a name. */
struct type {
	const char *name;		/* with its scope */
	const char *plain;		/* without */
	Dwarf_Off offset;
	bool enumeration;
	uint64_t size;
	struct member *members;		/* those of members without a name as well */
	size_t nr_members;
};

/* A function, with a body or without, or a variable that is there all the time. */
struct entity {
	const char *name;		/* as its symbol */
	const char *scope;		/* of a variable: its function, or "" */
	unsigned int nth;		/* of those of its name in that function */
	const char *type;
	Dwarf_Die die;
	bool body;
};

struct types {
	Dwfl *dwfl;
	Dwarf *dwarf;
	const char *hidden;		/* the flag by which types are in other places */
	struct type *types;
	size_t nr_types;
	struct entity *functions, *variables;
	size_t nr_functions, nr_variables;
	struct entity *declared;	/* functions that others have */
	size_t nr_declared;
};

/* False if the object has no debug information of types. */
bool types_read(const char *path, struct types *types);
void types_free(struct types *types);
const struct type *types_find(const struct types *types, const char *name);
/* The one that @variable, of another version of the unit, is there, or NULL. */
const struct entity *types_same_variable(const struct types *types,
					 const struct entity *variable);
/* Calls @visit for all that @die, a function, has in its frame, inlined functions' too. */
typedef void type_visit(Dwarf_Die *variable, void *data);
void types_in_function(Dwarf_Die *die, type_visit *visit, void *data);

/* type_text.c */
/* A type for people, and for comparing: names of structures stand for them. */
const char *type_text(Dwarf_Die *die);
/* Adds what a structure or the like has. */
void type_members(Dwarf_Die *die, struct type *type);
/* The type that @die, a variable or the like, is of; false: none, or void. */
bool type_of(Dwarf_Die *die, Dwarf_Die *type);
bool type_is_aggregate(Dwarf_Die *die);
/* A structure that only @die, its typedef, has a name for. */
bool type_named_by(Dwarf_Die *die, Dwarf_Die *type);
bool type_number(Dwarf_Die *die, unsigned int name, uint64_t *value);
/* The first operation of a location. */
bool type_operation(Dwarf_Die *die, unsigned int name, Dwarf_Op *operation);

/* reach.c */
/* From types of a unit to one of its structures, by members and pointers. */
struct reach {
	const struct type *type;
	bool by_pointers;
	struct mark *marks;		/* a hash table; to be freed */
	size_t nr, size;
	unsigned int search;
};

/* Does a variable of type @die, or what it points to, have the structure in it? */
bool reaches(struct reach *reach, Dwarf_Die *die);

#endif /* PACKER_TYPES_H */
