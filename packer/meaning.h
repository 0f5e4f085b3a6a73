/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What select.c, meaning.c, inside.c and names.c share.
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
struct named {			/* in the target */
	const struct symbol *symbol;	/* NULL: none, or several */
	bool several;			/* at several places */
	const struct symbol *doubt;	/* may be what is meant, or another source's */
};

/* What the name means to all sources; what they keep to themselves is not meant. */
struct named names_global(const struct part *part, const char *name, bool tls);
/*
 * A static symbol.  Its source is known by others of it that were found, not by the
 * name: that is without directory.
 */
struct named names_static(const struct part *part, const struct piece *piece);
bool names_exported(const struct object *object, const char *name);
/*
 * Whether another object may define what the symbol means in the target's place: not where
 * the linker bound the library to itself (-Bsymbolic-functions), which is seen of others
 * of its kind.
 */
bool names_interposable(const struct part *part, const struct unit_symbol *ours);
/* The stub by which the program's own code calls its indirect function. */
bool names_stub(const struct part *part, uint64_t resolver, uint64_t *stub);
/*
 * The build's own output, though it is not the target's twin, defines the name and does
 * not export it: so does the target.  Static symbols do not count, where they can be told.
 */
bool names_kept(const struct part *part, const char *name);

/* inside.c */
/* Code that another function has as its own end: only assembly has that. */
bool inside_code(struct part *part, const struct piece *user, const struct reference *reference,
		 const struct piece *piece, struct meaning *meaning);
/* A thunk that is behind a function of the target; false: it is none. */
bool inside_thunk(const struct reference *reference, const struct piece *piece,
		  struct meaning *meaning);
/* The name may be of a place inside of a piece of another unit: a label, or a thunk. */
bool inside_named(struct part *part, const struct piece *user, const char *name,
		  const struct piece *piece, struct meaning *meaning);

#endif /* PACKER_MEANING_H */
