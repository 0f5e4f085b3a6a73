/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What locate.c, which decides, and places.c, which compares, share.
 */
#ifndef PACKER_LOCATE_H
#define PACKER_LOCATE_H

#include "unit.h"

#define CANDIDATES_MAX	4096

struct search {
	struct piece *piece;
	struct match *matches;		/* places that fit */
	size_t nr;
	bool named;			/* the target has a symbol of its name */
	uint64_t best;			/* how far the place got that piece->missed is about */
};

struct locator {
	struct pairs *pairs;
	const struct object *target;
	const struct slots *slots;
	const char *symbols_are;	/* proof of what the symbol table says */
	struct search *searches;
	size_t nr;
};

/* places.c: compares the piece with all places that may have it, or with one */
void places_find(struct locator *locator, struct search *search);
void places_try(struct locator *locator, struct search *search, uint64_t addr);

#endif /* PACKER_LOCATE_H */
