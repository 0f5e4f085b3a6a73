// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * References to what is inside of a piece of the target, or behind it: ends that two
 * functions share, labels, thunks.
 */
#include <string.h>

#include "meaning.h"

/* Where place @at of the original code is in the target, which may have other nops. */
static bool place_inside(struct part *part, const struct piece *user, const struct piece *piece,
			 uint64_t at, uint64_t *place)
{
	const struct piece *twin = piece->twin;

	*place = twin && twin->found ? match_place(part->slots, twin, twin->addr, at) : 0;
	if (*place)
		return true;
	error("%s: '%s' leads into the middle of '%s', and where that is in %s is not known",
	      unit_name(user), user->name, piece->name, part->target->path);
	return false;
}

static bool refuse_inside(const struct piece *user, const struct piece *piece)
{
	error("%s: '%s' leads into the middle of '%s', which the patch has anew", unit_name(user),
	      user->name, piece->name);
	message(MESSAGE_NOTE, "make what both use a function of its own");
	return false;
}

bool inside_code(struct part *part, const struct piece *user, const struct reference *reference,
		 const struct piece *piece, struct meaning *meaning)
{
	uint64_t place;

	if (piece->changed)
		return refuse_inside(user, piece);
	if (!place_inside(part, user, piece, (uint64_t)reference->to, &place))
		return false;
	meaning->kind = MEANS_TARGET;
	meaning->value = place - (uint64_t)reference->to;
	return true;
}

bool inside_named(struct part *part, const struct piece *user, const char *name,
		  const struct piece *piece, struct meaning *meaning)
{
	const struct unit_symbol *symbol = unit_symbol_named(piece->unit, name), *before;

	if (symbol->value == piece->start || meaning->kind == MEANS_IMPORT)
		return true;
	before = piece->twin ? unit_symbol_named(piece->twin->unit, name) : NULL;
	if (meaning->kind != MEANS_TARGET || !before || before->piece != piece->twin ||
	    (piece->changed && !piece_thunk(piece, (int64_t)(symbol->value - piece->start))))
		return refuse_inside(user, piece);
	if (piece->kind == PIECE_CODE)
		return place_inside(part, user, piece, before->value - piece->twin->start,
				    &meaning->value);
	meaning->value += before->value - piece->twin->start;
	return true;
}

bool inside_thunk(const struct reference *reference, const struct piece *piece,
		  struct meaning *meaning)
{
	const struct unit_symbol *thunk = piece_thunk(piece, reference->to), *old;

	if (!thunk || !piece->twin)
		return false;
	old = unit_symbol_named(piece->twin->unit, thunk->name);
	if (!old || !old->bound)
		return false;
	meaning->kind = MEANS_TARGET;
	meaning->value = old->addr - (thunk->value - piece->start);
	return true;
}
