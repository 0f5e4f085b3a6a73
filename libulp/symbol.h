/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols of the objects of a target, and what a name means to one of them.
 */
#ifndef LIBULP_SYMBOL_H
#define LIBULP_SYMBOL_H

#include <elf.h>

#include "object.h"

enum ulp_version_kind {
	ULP_VERSION_NONE	= 0,
	ULP_VERSION_DEFINED	= 1,	/* of this object */
	ULP_VERSION_NEEDED	= 2,	/* of another one */
	ULP_VERSION_BASE	= 3,	/* stands for "without version" */
};

struct ulp_version {
	enum ulp_version_kind kind;
	uint32_t name;
};

/* symbol.c: a copy of an object's dynamic symbol table and relocations. */
struct ulp_symbols {
	size_t nr;
	Elf64_Sym *syms;
	uint16_t *versym;		/* NULL: without versions */
	char *strings;			/* ends with a NUL of our own */
	size_t strings_size;
	size_t nr_versions;
	struct ulp_version *versions;	/* by index */
	size_t nr_relas;
	Elf64_Rela *relas;		/* DT_RELA without R_X86_64_RELATIVE */
	size_t nr_plt;
	Elf64_Rela *plt;		/* DT_JMPREL, in its order */
	bool symbolic;			/* DT_SYMBOLIC */
	bool own_functions;		/* calls none of its own functions by name */
	size_t nr_buckets;
	uint32_t *buckets, *chain;	/* by name: index + 1, 0 ends */
};

/* Fills object->symbols once; -ULP_E_SYMBOL if the tables are damaged. */
int ulp_symbols_read(const struct ulp_target *target, struct ulp_object *object);
const char *ulp_symbol_name(const struct ulp_symbols *symbols, size_t index);
/* Version name of a symbol, NULL if it has none. */
const char *ulp_symbol_version(const struct ulp_symbols *symbols, size_t index);
/* The next symbol of this name after @index - 1, or 0: start with 0. */
size_t ulp_symbol_next(const struct ulp_symbols *symbols, const char *name, size_t index);

/* scope.c: where ld.so looks for what an object refers to, in order. */
struct ulp_scope {
	struct ulp_object *object;	/* whose scope it is */
	unsigned int list;		/* of ld.so's lists */
	bool listed;			/* ld.so knows the object */
	size_t nr;
	struct ulp_object **objects;
};

int ulp_scope_build(const struct ulp_target *target, struct ulp_object *object,
		    struct ulp_scope *scope);
void ulp_scope_free(struct ulp_scope *scope);

/* lookup.c: which definition a name means in a scope. */
struct ulp_wanted {
	const char *name;
	const char *version;		/* NULL: none given */
	bool call;			/* only its code is wanted, not its address */
	bool weak;
};

struct ulp_definition {
	struct ulp_object *object;	/* NULL: not found */
	size_t index;			/* into its symbols */
};

/* 0 also if it is not found; -ULP_E_SYMBOL for damaged tables. */
int ulp_definition_find(const struct ulp_target *target, const struct ulp_scope *scope,
			const struct ulp_wanted *wanted, struct ulp_definition *definition);
/* The version by which the object itself refers to @name, else NULL. */
const char *ulp_reference_version(const struct ulp_object *object, const char *name);

/* bind.c: the address ld.so would bind a reference of the scope's object to. */
struct ulp_binding {
	bool found;
	uint64_t value;
	const char *why;		/* not found: the reason in words */
};

int ulp_symbol_bind(const struct ulp_target *target, const struct ulp_scope *scope,
		    const struct ulp_wanted *wanted, struct ulp_binding *binding);

/* The words of the slot that a relocation of the object has filled; false: unreadable. */
bool ulp_slot_read(const struct ulp_target *target, const struct ulp_object *object,
		   const Elf64_Rela *rela, uint64_t *out, size_t words);

/* tls.c: where the thread-local block of an object is. */

/* Each of them: 1 if it is known, 0 if not, -ULP_E_SYMBOL for damaged tables. */

/* Module id for __tls_get_addr(). */
int ulp_tls_module(const struct ulp_target *target, struct ulp_object *object, uint64_t *module);
/* Bytes from the start of its block up to the thread pointer. */
int ulp_tls_offset(const struct ulp_target *target, struct ulp_object *object, uint64_t *offset);
/* The two words of a descriptor for place @value of a block with a fixed place. */
int ulp_tls_static_descriptor(const struct ulp_target *target, struct ulp_object *object,
			      uint64_t value, uint64_t words[2]);
/* The two words of a descriptor for a variable, as the scope's object uses it. */
int ulp_tls_descriptor(const struct ulp_target *target, const struct ulp_scope *scope,
		       const struct ulp_definition *definition, int64_t addend,
		       uint64_t words[2]);

#endif /* LIBULP_SYMBOL_H */
