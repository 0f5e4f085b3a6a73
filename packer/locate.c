// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where the original's pieces are in the target.
 *
 * Each function is compared with all places that may have it.  One that fits in
 * one place only is found, and its fields tell where all is that it refers to:
 * which decides between the places of others, until nothing new is found.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locate.h"

/* Less of it, found by its looks only, proves nothing. */
#define COMPARED_MIN	12

/* Nobody defines it: what the linker made of calls of it, some address, means nothing. */
static bool is_absent(const struct unit_symbol *symbol)
{
	return symbol->bound && symbol->bind == STB_WEAK && !symbol->addr;
}

/* Whether what one place says agrees with what is known. */
static bool agrees(const struct search *search, const struct match *match)
{
	const struct piece *piece = search->piece;

	if (piece->hint && piece->hint != match->addr)
		return false;
	for (size_t i = 0; i < piece->nr_references; i++) {
		const struct reference *reference = &piece->references[i];
		const struct bound *bound = &match->bound[i];
		const struct piece *to = reference->piece;

		if (!bound->known || bound->imported)
			continue;
		if (to && to->kind == PIECE_LITERAL)
			continue;	/* equal ones are merged by the linker */
		if (to && ((to->found && to->addr != bound->addr) ||
			   (to->hint && to->hint != bound->addr)))
			return false;
		if (!to && reference->symbol->bound && reference->symbol->addr != bound->addr &&
		    reference->symbol->bind != STB_WEAK)
			return false;
	}
	return true;
}

static void commit_reference(struct locator *locator, const struct piece *user,
			     struct reference *reference, const struct bound *bound);

/* The pointers in a variable or table tell where more is. */
static void commit_pointers(struct locator *locator, struct piece *data)
{
	for (size_t i = 0; i < data->nr_references; i++) {
		struct reference *reference = &data->references[i];
		const struct slot *slot = slot_at(locator->slots, data->addr + reference->offset);
		struct bound bound = { .known = true };

		if (reference->type != R_X86_64_64)
			continue;
		if (slot && slot->symbol) {
			if (!reference->symbol ||
			    !same_without_version(reference->symbol->name, slot->symbol))
				continue;
			bound.imported = true;
			bound.version = slot->version;
		} else if (!slots_pointer(locator->slots, data->addr + reference->offset,
					  &bound.addr) || !bound.addr) {
			continue;
		}
		bound.addr -= (uint64_t)reference->to;
		commit_reference(locator, data, reference, &bound);
	}
}

/* Of a name: only assembly has some that are not at the start. */
static uint64_t place_in_piece(const struct piece *piece, const char *name)
{
	return unit_symbol_named(piece->unit, name)->value - piece->start;
}

static void commit_reference(struct locator *locator, const struct piece *user,
			     struct reference *reference, const struct bound *bound)
{
	struct piece *to = reference->piece;
	uint64_t inside = 0;

	if (!bound->known)
		return;
	if (to && piece_thunk(to, reference->to))
		return;		/* behind a function that may be elsewhere */
	if (reference->symbol) {
		if (bound->imported)
			reference->symbol->version = bound->version;
		else if (!is_absent(reference->symbol))
			reference->symbol->addr = bound->addr;
		reference->symbol->bound |= !bound->imported;
		reference->symbol->imported |= bound->imported;
	}
	if (bound->imported)
		return;
	if (!to && reference->symbol) {
		to = global_piece(locator->pairs, false, reference->symbol->name);
		inside = to ? place_in_piece(to, reference->symbol->name) : 0;
	}
	if (!to || to->found)
		return;
	if (to->kind == PIECE_CODE) {
		if (inside)
			return;	/* there may be more nops before it */
		/* Of an indirect function others know the stub, not the resolver. */
		if (reference->piece || !to->symbol || to->symbol->type != STT_GNU_IFUNC)
			to->hint = bound->addr;
		return;
	}
	to->found = true;
	to->addr = bound->addr - inside;
	to->proof = xasprintf("'%s' uses it", user->name);
	if (to->kind == PIECE_DATA || to->kind == PIECE_CONST)
		commit_pointers(locator, to);
}

/* The ways into a virtual function that are behind it. */
static void commit_thunks(const struct locator *locator, const struct piece *piece)
{
	struct unit *unit = piece->unit;

	for (size_t i = 1; i < unit->nr_symbols; i++) {
		struct unit_symbol *symbol = &unit->symbols[i];
		int64_t at = (int64_t)(symbol->value - piece->start);

		if (symbol->piece != piece || symbol != piece_thunk(piece, at))
			continue;
		symbol->addr = match_place(locator->slots, piece, piece->addr, (uint64_t)at);
		symbol->bound = symbol->addr;
	}
}

static void commit(struct locator *locator, struct search *search, const struct match *match)
{
	struct piece *piece = search->piece;

	piece->found = true;
	piece->addr = match->addr;
	piece->end = match->end;
	if (search->named)
		piece->proof = locator->symbols_are;
	else if (piece->hint)
		piece->proof = "matched, where other code refers to it";
	else
		piece->proof = "matched, in one place only";
	for (size_t i = 0; i < piece->nr_references; i++)
		commit_reference(locator, piece, &piece->references[i], &match->bound[i]);
	commit_thunks(locator, piece);
}

/* The one place left, or NULL. */
static struct match *only_place(struct search *search)
{
	struct piece *piece = search->piece;
	struct match *found = NULL;

	/* not all were kept: the one that agrees may not be the only one */
	if (search->nr == CANDIDATES_MAX && !piece->hint) {
		piece->missed = "it fits in too many places";
		return NULL;
	}
	for (size_t i = 0; i < search->nr; i++) {
		if (!agrees(search, &search->matches[i]))
			continue;
		if (found) {
			piece->missed = xasprintf("it fits at 0x%" PRIx64 " and 0x%" PRIx64
						  ", and nothing tells which is it",
						  found->addr, search->matches[i].addr);
			return NULL;
		}
		found = &search->matches[i];
	}
	if (!found && search->nr)
		piece->missed = piece->hint ?
			xasprintf("other code refers to it at 0x%" PRIx64
				  ", where the target has other code", piece->hint) :
			"what it refers to is elsewhere than other code says";
	if (found && !search->named && !piece->hint && found->compared < COMPARED_MIN) {
		piece->missed = "it is too small to be known by its looks";
		return NULL;
	}
	return found;
}

static void try_hint(struct locator *locator, struct search *search)
{
	struct piece *piece = search->piece;

	/* Found by another function: it may be where nothing told of a function. */
	if (piece->hint && !search->named)
		places_try(locator, search, piece->hint);
}

static void find_all(struct locator *locator)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < locator->nr; i++) {
			struct search *search = &locator->searches[i];
			struct match *match;

			if (search->piece->found)
				continue;
			try_hint(locator, search);
			match = only_place(search);
			if (!match)
				continue;
			commit(locator, search, match);
			more = true;
		}
	}
}

/* Into the middle of other code, by itself or through a table. */
static bool leads_into_others(const struct piece *piece, const struct piece *from)
{
	for (size_t i = 0; i < piece->nr_references; i++) {
		const struct reference *reference = &piece->references[i];
		const struct piece *to = reference->piece;

		if (!to || to == from)
			continue;
		if (to->kind == PIECE_CODE ? reference->to :
		    piece == from && (to->kind == PIECE_ANONYMOUS || to->kind == PIECE_CONST) &&
		    leads_into_others(to, from))
			return true;
	}
	return false;
}

/* Now that all is found: whether parts of a function go on at the same places in others. */
static void check_ways(struct locator *locator)
{
	for (size_t i = 0; i < locator->nr; i++) {
		struct piece *piece = locator->searches[i].piece;
		struct match match;

		if (!piece->found || !leads_into_others(piece, piece))
			continue;
		piece->found = match_at(locator->slots, piece, piece->addr, &match);
		if (!piece->found)
			piece->missed = match.why;
		free(match.bound);
	}
}

/* Two functions at one place, or one that found code contradicts. */
static bool check_all(const struct locator *locator)
{
	bool good = true;

	for (size_t i = 0; i < locator->nr; i++) {
		const struct piece *piece = locator->searches[i].piece;

		if (piece->found && piece->hint && piece->hint != piece->addr) {
			error("%s: '%s' is at 0x%" PRIx64 " of %s, but other code refers to it at 0x%"
			      PRIx64, piece->unit->name, piece->name, piece->addr,
			      locator->target->path, piece->hint);
			good = false;
		}
	}
	return good;
}

static void print_all(const struct locator *locator)
{
	size_t found = 0;

	for (size_t i = 0; i < locator->nr; i++) {
		const struct piece *piece = locator->searches[i].piece;

		found += piece->found;
		if (verbosity > 0 && !piece->found)
			printf("  %s: %s is not found: %s\n", piece->unit->name, piece->name,
			       piece->missed ? piece->missed : "nothing there is like it");
	}
	if (verbosity > 0)
		printf("  %zu of %zu functions of the original objects are found in %s\n", found,
		       locator->nr, locator->target->path);
}

static void mark_absent(struct locator *locator, struct pair *pair)
{
	bool any = false;

	for (size_t i = 0; i < pair->orig.nr_pieces && !any; i++)
		any = pair->orig.pieces[i]->kind == PIECE_CODE && pair->orig.pieces[i]->found;
	if (any || !pair->request->maybe || !pair->orig.path)
		return;
	pair->absent = true;
	message(MESSAGE_NOTE, "%s: nothing of it is in %s: left out", pair->orig.name,
		locator->target->path);
}

bool locate(struct pairs *pairs, const struct slots *slots, const char *symbols_are)
{
	struct locator locator = { .pairs = pairs, .target = slots->object, .slots = slots,
				   .symbols_are = symbols_are };

	for (size_t i = 0; i < pairs->nr; i++)
		for (size_t k = 0; k < pairs->pairs[i].orig.nr_pieces; k++) {
			struct piece *piece = pairs->pairs[i].orig.pieces[k];
			struct search *search;

			if (piece->kind != PIECE_CODE || !piece->size || !piece->bytes)
				continue;
			search = &append(locator.searches, locator.nr);
			search->piece = piece;
			places_find(&locator, search);
		}
	find_all(&locator);
	check_ways(&locator);
	print_all(&locator);
	if (!check_all(&locator))
		return false;
	for (size_t i = 0; i < pairs->nr; i++)
		mark_absent(&locator, &pairs->pairs[i]);
	return true;
}
