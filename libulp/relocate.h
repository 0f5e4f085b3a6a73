/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files that relocate a patch's image share: relocate.c goes through the
 * tables of its dynamic section and its references, relocate_symbol.c finds out what
 * names mean.
 */
#ifndef LIBULP_RELOCATE_H
#define LIBULP_RELOCATE_H

#include "container.h"
#include "symbol.h"

struct ulp_relocation {
	struct ulp_target *target;
	const struct ulp_patch *patch;
	uint64_t bias;
	uint8_t *image;
	Elf64_Dyn *dynamic;
	size_t nr_dynamic;
	uint64_t symtab, versym;
	const char *strings;
	uint64_t strings_size;
	size_t nr_scopes;
	struct ulp_scope *scopes;	/* of each object the patch goes to */
};

/* ---- relocate.c ---- */

/* -ULP_E_RELOCATION: names the relocation, and goes on with @why. */
int ulp_rela_refuse(const struct ulp_relocation *r, const Elf64_Rela *rela, const char *why);
/* -ULP_E_CONTAINER: @what is outside the file. */
static inline int ulp_rela_bad(const struct ulp_relocation *r, const char *what)
{
	return ulp_err(r->target->ctx, -ULP_E_CONTAINER,
		       "patch %s is damaged: its %s is outside the file", r->patch->name, what);
}

/* A word of what @rela fills, if the patch may write there. */
int ulp_rela_put(const struct ulp_relocation *r, const Elf64_Rela *rela, size_t word,
		 uint64_t value);
/* An address inside the patch as the target will see it. */
int ulp_rela_own(const struct ulp_relocation *r, const Elf64_Rela *rela, uint64_t vaddr,
		 uint64_t *out);
/* Of the patch's dynamic section, 0: not there. */
uint64_t ulp_rela_dynamic(const struct ulp_relocation *r, int64_t tag);

/* ---- relocate_symbol.c ---- */

/* The address that the symbol of @rela has in the target. */
int ulp_rela_symbol(const struct ulp_relocation *r, const Elf64_Rela *rela, uint64_t *value);
/* All that is to be done for a relocation that is for a thread-local variable. */
int ulp_rela_tls(const struct ulp_relocation *r, const Elf64_Rela *rela);
/* Names that one of the objects binds for itself, or in a version of their own. */
int ulp_rela_imports(const struct ulp_relocation *r);

#endif /* LIBULP_RELOCATE_H */
