// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which piece of the patched object is which one of the original.
 *
 * Names decide where they can.  Compilers number static variables and clones of
 * functions ("count.3", "f.constprop.0"), and number them anew each time: then it
 * is decided by who uses them.  A variable that cannot be told apart is no one's
 * twin, and refused when it is needed; a clone is a new function, and all that
 * calls it has changed.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

char *plain_name(const char *name)
{
	char *out = xstrdup(name), *to = out;

	while (*name) {
		size_t digits = 0;

		if (name[0] == '.' && to > out)
			while (isdigit((unsigned char)name[1 + digits]))
				digits++;
		if (digits && (!name[1 + digits] || name[1 + digits] == '.'))
			name += 1 + digits;
		else
			*to++ = *name++;
	}
	*to = '\0';
	return out;
}

bool is_split_off(const char *name)
{
	const char *at = strstr(name, ".cold");

	return at && (!at[5] || (at[5] == '.' && isdigit((unsigned char)at[6])));
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length >= wanted && !strcmp(text + length - wanted, end);
}

bool is_compiler_made(const struct piece *piece)
{
	const char *name = piece->name;
	char *plain;
	bool made;

	if (piece->kind == PIECE_ANONYMOUS || piece->kind == PIECE_LITERAL)
		return true;
	if (!piece->symbol)
		return false;
	if (!strncmp(name, "DW.ref.", 7))
		return true;
	if (piece->kind != PIECE_CONST)
		return false;
	plain = plain_name(name);
	made = ends_with(plain, "__func__") || ends_with(plain, "__FUNCTION__") ||
	       ends_with(plain, "__PRETTY_FUNCTION__") || !strcmp(plain, "CSWTCH");
	free(plain);
	return made;
}

static bool is_named(const struct piece *piece)
{
	return piece->symbol && !is_compiler_made(piece);
}

static void pair(struct piece *orig, struct piece *patched)
{
	orig->twin = patched;
	patched->twin = orig;
}

static bool may_pair(const struct piece *orig, const struct piece *patched)
{
	return is_named(orig) && is_named(patched) && !orig->twin && !patched->twin &&
	       orig->kind == patched->kind;
}

/* Same global name, or the only ones of this local name. */
static void pair_by_name(struct unit *orig, struct unit *patched, bool local)
{
	for (size_t i = 0; i < patched->nr_pieces; i++) {
		struct piece *piece = patched->pieces[i], *found = NULL;
		size_t nr = 0, others = 0;

		if (!is_named(piece) || piece->twin || piece_is_local(piece) != local)
			continue;
		for (size_t k = 0; k < orig->nr_pieces; k++) {
			struct piece *other = orig->pieces[k];

			if (!may_pair(other, piece) || piece_is_local(other) != local)
				continue;
			if (local ? !strcmp(other->plain, piece->plain) :
				    !strcmp(other->name, piece->name)) {
				found = other;
				nr++;
			}
		}
		for (size_t k = 0; local && k < patched->nr_pieces; k++)
			others += is_named(patched->pieces[k]) &&
				  piece_is_local(patched->pieces[k]) &&
				  patched->pieces[k]->kind == piece->kind &&
				  !strcmp(patched->pieces[k]->plain, piece->plain);
		if (nr == 1 && others <= 1)
			pair(found, piece);
	}
}

/* Code that did not change uses at each place what it used before. */
static void pair_by_place(struct unit *patched)
{
	for (size_t i = 0; i < patched->nr_pieces; i++) {
		const struct piece *piece = patched->pieces[i], *twin = piece->twin;

		if (piece->kind != PIECE_CODE || !twin || piece->size != twin->size ||
		    piece->nr_references != twin->nr_references ||
		    memcmp(piece->bytes, twin->bytes, piece->size) != 0)
			continue;
		for (size_t r = 0; r < piece->nr_references; r++) {
			struct piece *ours = piece->references[r].piece;
			struct piece *theirs = twin->references[r].piece;

			if (ours && theirs && may_pair(theirs, ours) && piece_is_local(ours) &&
			    piece_is_local(theirs) && ours->size == theirs->size &&
			    !strcmp(ours->plain, theirs->plain))
				pair(theirs, ours);
		}
	}
}

static bool uses(const struct piece *user, const struct piece *piece)
{
	for (size_t i = 0; i < user->nr_references; i++)
		if (user->references[i].piece == piece)
			return true;
	return false;
}

/* Whether the code that uses the one is the twins of what uses the other. */
static bool same_users(const struct piece *orig, const struct piece *patched)
{
	const struct unit *unit = patched->unit;
	size_t users = 0;

	for (size_t i = 0; i < unit->nr_pieces; i++) {
		const struct piece *user = unit->pieces[i];

		if (user->kind == PIECE_FRAME || !uses(user, patched))
			continue;
		users++;
		if (!user->twin || !uses(user->twin, orig))
			return false;
	}
	for (size_t i = 0; i < orig->unit->nr_pieces; i++) {
		const struct piece *user = orig->unit->pieces[i];

		if (user->kind != PIECE_FRAME && uses(user, orig) && !user->twin)
			return false;
		if (user->kind != PIECE_FRAME && uses(user, orig))
			users--;
	}
	return !users;
}

static void pair_by_users(struct unit *orig, struct unit *patched)
{
	for (size_t i = 0; i < patched->nr_pieces; i++) {
		struct piece *piece = patched->pieces[i], *found = NULL;
		size_t nr = 0, rivals = 0;

		if (!is_named(piece) || piece->twin || !piece_is_local(piece))
			continue;
		for (size_t k = 0; k < orig->nr_pieces; k++)
			if (may_pair(orig->pieces[k], piece) && piece_is_local(orig->pieces[k]) &&
			    !strcmp(orig->pieces[k]->plain, piece->plain) &&
			    same_users(orig->pieces[k], piece)) {
				found = orig->pieces[k];
				nr++;
			}
		for (size_t k = 0; found && k < patched->nr_pieces; k++)
			rivals += patched->pieces[k] != piece &&
				  may_pair(found, patched->pieces[k]) &&
				  !strcmp(patched->pieces[k]->plain, piece->plain) &&
				  same_users(found, patched->pieces[k]);
		if (nr == 1 && !rivals)
			pair(found, piece);
	}
}

/* What is left and has a name like one that is left over there. */
static void mark_ambiguous(struct unit *orig, struct unit *patched)
{
	for (size_t i = 0; i < patched->nr_pieces; i++) {
		struct piece *piece = patched->pieces[i];

		if (!is_named(piece) || piece->twin || !piece_is_local(piece) ||
		    piece->kind == PIECE_CODE)
			continue;
		for (size_t k = 0; k < orig->nr_pieces; k++)
			if (may_pair(orig->pieces[k], piece) &&
			    !strcmp(orig->pieces[k]->plain, piece->plain))
				piece->ambiguous = orig->pieces[k]->name;
	}
}

/* A static function that became global or the other way round. */
static void pair_across_scopes(struct unit *orig, struct unit *patched)
{
	for (size_t i = 0; i < patched->nr_pieces; i++)
		for (size_t k = 0; k < orig->nr_pieces && !patched->pieces[i]->twin; k++)
			if (may_pair(orig->pieces[k], patched->pieces[i]) &&
			    !strcmp(orig->pieces[k]->name, patched->pieces[i]->name))
				pair(orig->pieces[k], patched->pieces[i]);
}

static bool may_pair_nameless(const struct piece *orig, const struct piece *patched)
{
	return orig->kind == PIECE_DATA && !orig->symbol && !orig->twin &&
	       patched->kind == PIECE_DATA && !patched->symbol && !patched->twin &&
	       !strcmp(orig->name, patched->name);
}

/*
 * Writable memory without a name: the same content at the same place is the same.  Of
 * a compiler, which is what .comment says, it is what functions copy into arrays on
 * the stack, and new content is as good; of assembly it is variables.
 */
static void pair_nameless(struct unit *orig, struct unit *patched)
{
	for (size_t i = 0; i < patched->nr_pieces; i++) {
		struct piece *piece = patched->pieces[i];

		for (size_t k = 0; k < orig->nr_pieces; k++) {
			struct piece *other = orig->pieces[k];

			if (!may_pair_nameless(other, piece))
				continue;
			if (other->start == piece->start && same_content(other, piece))
				pair(other, piece);
			else if (!patched->compiler)
				piece->ambiguous = other->name;
		}
	}
}

/* Of one object read twice, all. */
static void pair_all(struct unit *orig, struct unit *patched)
{
	for (size_t i = 0; i < orig->nr_pieces; i++)
		pair(orig->pieces[i], patched->pieces[i]);
}

static void name_plainly(struct unit *unit)
{
	for (size_t i = 0; i < unit->nr_pieces; i++)
		unit->pieces[i]->plain = plain_name(unit->pieces[i]->name);
}

void twins_pair(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->nr; i++) {
		name_plainly(&pairs->pairs[i].orig);
		name_plainly(&pairs->pairs[i].patched);
	}
	for (size_t i = 0; i < pairs->nr; i++) {
		struct unit *orig = &pairs->pairs[i].orig, *patched = &pairs->pairs[i].patched;

		if (pairs->pairs[i].same) {
			pair_all(orig, patched);
			continue;
		}
		pair_by_name(orig, patched, false);
		pair_by_name(orig, patched, true);
		pair_by_place(patched);
		pair_by_users(orig, patched);
		mark_ambiguous(orig, patched);
		pair_across_scopes(orig, patched);
		pair_nameless(orig, patched);
	}
	/* What moved to another file. */
	for (size_t i = 0; i < pairs->nr; i++)
		for (size_t k = 0; k < pairs->nr; k++)
			if (i != k)
				pair_by_name(&pairs->pairs[i].orig, &pairs->pairs[k].patched,
					     false);
}
