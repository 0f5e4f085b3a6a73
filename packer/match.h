/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the comparison share: match.c goes through the instructions,
 * relaxed.c knows what the linker makes of some, bound.c what their fields mean.
 */
#ifndef PACKER_MATCH_H
#define PACKER_MATCH_H

#include "unit.h"

#define INSN_MAX	16	/* and the longest relaxed sequence */

/* A branch inside of the piece: checked when all places are known. */
struct inner {
	uint64_t from, to;		/* in the piece */
	uint64_t target;		/* in the target */
};

struct walk {
	const struct slots *slots;
	const struct piece *piece;
	struct match *match;
	uint64_t *places;		/* of each offset of the piece in the target */
	struct inner *inner;
	size_t nr_inner;
	const struct reference *reference, *references_end;
	bool others;			/* look at other code that leads here and there */
};

/* False if @addr is not place @to of @code, other code that was found. */
bool match_is_inside(struct walk *walk, const struct piece *code, uint64_t to, uint64_t addr);
bool match_differs(struct walk *walk, uint64_t where, const char *why);

/* bound.c: what the target has for the reference that the walk is at */
bool match_bind(struct walk *walk, uint64_t addr);
/* The code or data at @addr is what the reference means, at place @to of it. */
bool match_bind_address(struct walk *walk, uint64_t addr);
/* Initial exec: the slot has the distance to the thread pointer. */
bool match_bind_distance_slot(struct walk *walk, uint64_t addr);
int64_t match_field(const uint8_t *field, unsigned int size);
/* Reads back the field at @field of the target's instruction that ends at @end. */
bool match_read_back(struct walk *walk, const uint8_t *field, uint64_t addr, uint64_t end);

/* relaxed.c */
/*
 * An access through the GOT that the linker made direct: same length, another
 * opcode.  Returns whether it is one; @good is whether it fits.
 */
bool relaxed_access(struct walk *walk, const uint8_t *ours, const uint8_t *theirs, uint64_t addr,
		    unsigned int length, bool *good);
/*
 * General and local dynamic accesses of a library's code in a program, as long as they
 * were there with the call of __tls_get_addr(); 0: it is none.
 */
unsigned int relaxed_tls(struct walk *walk, const uint8_t *theirs, uint64_t addr,
			 size_t left, bool *good);
/* The call of a descriptor that there is none of. */
bool relaxed_call(const struct walk *walk, const uint8_t *theirs, size_t left);

#endif /* PACKER_MATCH_H */
