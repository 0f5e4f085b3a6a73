/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What select.c, meaning.c and names.c share.
 */
#ifndef PACKER_MEANING_H
#define PACKER_MEANING_H

#include "unit.h"

/* select.c: @piece goes into the patch */
void select_piece(struct part *part, struct piece *piece, const char *why);

static inline const char *unit_name(const struct piece *piece)
{
	return piece->unit->name;
}

/* names.c */
/* All defined symbols of this name are at one place; NULL if none, or several. */
const struct symbol *names_symbol(const struct part *part, const char *name, bool tls,
				  const char *file, bool *several);
/* Whether another object may define what @symbol means in the target's place. */
bool names_interposable(const struct part *part, const struct unit_symbol *symbol);
/* The stub by which the program's own code calls its indirect function. */
bool names_stub(const struct part *part, uint64_t resolver, uint64_t *stub);
/*
 * The build's own output, though it is not the target's twin, defines the name and does
 * not export it: so does the target.  Static symbols have their source's name; those
 * that a version script or visibility made local have none.
 */
bool names_kept(const struct part *part, const char *name);

#endif /* PACKER_MEANING_H */
