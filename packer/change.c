// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What differs between the two objects of each pair, and what of it cannot be
 * given to a process that runs already.
 */
#include <inttypes.h>
#include <string.h>

#include "unit.h"

#define DEPTH_MAX	16

struct piece *global_piece(const struct pairs *pairs, bool patched, const char *name)
{
	for (size_t i = 0; i < pairs->nr; i++) {
		const struct unit *unit = patched ? &pairs->pairs[i].patched :
						    &pairs->pairs[i].orig;

		if (pairs->pairs[i].absent)
			continue;
		for (size_t k = 1; k < unit->nr_symbols; k++)
			if (unit->symbols[k].piece && unit->symbols[k].bind != STB_LOCAL &&
			    !strcmp(unit->symbols[k].name, name))
				return unit->symbols[k].piece;
	}
	return NULL;
}

static bool same_pieces(const struct piece *orig, const struct piece *patched, int depth);

static const char *global_name(const struct reference *reference)
{
	const struct unit_symbol *symbol = reference->symbol;

	return symbol && symbol->bind != STB_LOCAL ? symbol->name : NULL;
}

static bool same_target(const struct reference *orig, const struct reference *patched, int depth)
{
	if (orig->piece && patched->piece) {
		if (orig->piece->twin || patched->piece->twin)
			return orig->piece->twin == patched->piece;
		if (!is_compiler_made(orig->piece) || !is_compiler_made(patched->piece))
			return false;
		return same_pieces(orig->piece, patched->piece, depth);
	}
	if (orig->symbol && patched->symbol && orig->symbol->absolute)
		return patched->symbol->absolute &&
		       orig->symbol->value == patched->symbol->value;
	/* Undefined in one of them or both: a name that means the same to both. */
	return global_name(orig) && global_name(patched) &&
	       !strcmp(global_name(orig), global_name(patched));
}

/* Both lead to one thunk, wherever that is behind its function. */
static bool same_thunk(const struct reference *orig, const struct reference *patched)
{
	const struct unit_symbol *ours, *theirs;

	if (!orig->piece || !patched->piece)
		return false;
	ours = piece_thunk(orig->piece, orig->to);
	theirs = piece_thunk(patched->piece, patched->to);
	return ours && theirs && !strcmp(ours->name, theirs->name);
}

static bool same_references(const struct reference *orig, const struct reference *patched,
			    int depth)
{
	return orig->type == patched->type && orig->offset == patched->offset &&
	       (orig->addend == patched->addend || same_thunk(orig, patched)) &&
	       same_target(orig, patched, depth);
}

/* Fields are zero in relocatable objects: what they will be is in the references. */
static bool same_pieces(const struct piece *orig, const struct piece *patched, int depth)
{
	if (depth > DEPTH_MAX || orig->size != patched->size ||
	    orig->nr_references != patched->nr_references || !orig->bytes != !patched->bytes ||
	    (orig->bytes && memcmp(orig->bytes, patched->bytes, orig->size) != 0))
		return false;
	for (size_t i = 0; i < orig->nr_references; i++)
		if (!same_references(&orig->references[i], &patched->references[i], depth + 1))
			return false;
	return true;
}

bool same_reference(const struct reference *orig, const struct reference *patched)
{
	return same_references(orig, patched, 0);
}

bool same_content(const struct piece *orig, const struct piece *patched)
{
	return same_pieces(orig, patched, 0);
}

/* The first instruction that differs, for --explain. */
static const char *first_difference(const struct piece *orig, const struct piece *patched)
{
	uint64_t at = 0, end = orig->size < patched->size ? orig->size : patched->size;
	const char *before, *after;
	struct insn insn;
	size_t r = 0;

	for (; at < end; at += insn.length) {
		if (!insn_decode(orig->bytes + at, orig->size - at, &insn) ||
		    at + insn.length > end ||
		    memcmp(orig->bytes + at, patched->bytes + at, insn.length) != 0)
			break;
		while (r < orig->nr_references && orig->references[r].offset < at)
			r++;
		if (r < orig->nr_references && orig->references[r].offset < at + insn.length &&
		    (r >= patched->nr_references ||
		     !same_reference(&orig->references[r], &patched->references[r])))
			return xasprintf("what it refers to at +0x%" PRIx64 " differs", at);
	}
	if (at >= end)
		return xasprintf("%" PRIu64 " bytes instead of %" PRIu64, patched->size,
				 orig->size);
	before = insn_text(orig->bytes + at, orig->size - at, at);
	after = insn_text(patched->bytes + at, patched->size - at, at);
	return xasprintf("differs from +0x%" PRIx64 " on: \"%s\" was \"%s\"", at, after, before);
}

static bool is_constructor_list(const struct piece *piece)
{
	const char *name = piece->unit->sections[piece->section].name;

	return !strncmp(name, ".init_array", 11) || !strncmp(name, ".ctors", 6) ||
	       !strncmp(name, ".preinit_array", 14) || !strncmp(name, ".fini_array", 11) ||
	       !strncmp(name, ".dtors", 6);
}

static bool refuse_data(const struct piece *piece)
{
	const struct piece *twin = piece->twin;
	const char *what = piece->kind == PIECE_TLS ? "thread-local variable" : "variable";

	if (piece->size != twin->size)
		error("%s: the %s '%s' has %" PRIu64 " bytes instead of %" PRIu64
		      ": a running process has the old one", piece->unit->name, what, piece->name,
		      piece->size, twin->size);
	else
		error("%s: the initial value of the %s '%s' changed: a running process has the old one",
		      piece->unit->name, what, piece->name);
	message(MESSAGE_NOTE, "leave it as it was, and set it in code that the change may add");
	return false;
}

/* Tables of virtual functions, and what tells the classes of objects apart. */
static bool is_class_table(const struct piece *piece)
{
	return !strncmp(piece->name, "_ZTV", 4) || !strncmp(piece->name, "_ZTI", 4);
}

static bool refuse_class_table(const struct piece *piece)
{
	error("%s: the virtual functions or bases of a class changed ('%s'): objects that exist have the old ones",
	      piece->unit->name, piece->name);
	message(MESSAGE_NOTE, "change what its virtual functions do, not which there are");
	return false;
}

static bool compare_piece(struct piece *piece)
{
	struct piece *twin = piece->twin;

	switch (piece->kind) {
	case PIECE_CODE:
		if (!twin)
			piece->changed = "it is new";
		else if (!same_content(twin, piece))
			piece->changed = first_difference(twin, piece);
		break;
	case PIECE_CONST:
		if (!twin || same_content(twin, piece))
			break;
		if (is_class_table(piece))
			return refuse_class_table(piece);
		piece->changed = "its content changed";
		break;
	case PIECE_DATA:
	case PIECE_TLS:
		if (twin && !is_compiler_made(piece) && !same_content(twin, piece))
			return refuse_data(piece);
		break;
	default:
		break;
	}
	return true;
}

static bool check_joined(const struct piece *piece)
{
	const struct unit *unit = piece->unit;

	if (!piece->changed || piece->kind != PIECE_CODE ||
	    (!piece->joined && !(piece->twin && piece->twin->joined)))
		return true;
	error("%s: section %s has several functions, '%s' changed: cannot take them apart",
	      unit->path, unit->sections[piece->section].name, piece->name);
	message(MESSAGE_NOTE,
		"compile both versions with -ffunction-sections -fdata-sections; assembly: a section for each function");
	return false;
}

static bool check_resolver(const struct piece *piece)
{
	if (!piece->changed || !piece->symbol || piece->symbol->type != STT_GNU_IFUNC)
		return true;
	error("%s: '%s' is chosen at run time among variants (IFUNC), and what chooses changed: it ran already",
	      piece->unit->name, piece->name);
	return false;
}

static bool is_listed(const struct unit *unit, const struct piece *code)
{
	for (size_t i = 0; i < unit->nr_pieces; i++) {
		const struct piece *list = unit->pieces[i];

		if (!is_constructor_list(list))
			continue;
		for (size_t r = 0; r < list->nr_references; r++)
			if (list->references[r].piece == code)
				return true;
	}
	return false;
}

/* They ran when the process started, or run when it ends. */
static bool check_constructors(const struct piece *piece)
{
	if (piece->kind != PIECE_CODE || !is_listed(piece->unit, piece))
		return true;
	if (piece->twin && is_listed(piece->twin->unit, piece->twin) && !piece->changed)
		return true;
	error("%s: '%s' is a constructor or destructor of the program, and %s: nobody runs it",
	      piece->unit->name, piece->name,
	      piece->twin && is_listed(piece->twin->unit, piece->twin) ? "changed" : "it is new");
	return false;
}

static const struct piece *target_of(const struct pairs *pairs, const struct reference *reference)
{
	if (reference->piece)
		return reference->piece;
	if (!reference->symbol || reference->symbol->section != SHN_UNDEF)
		return NULL;
	return global_piece(pairs, true, reference->symbol->name);
}

/* A constant with new content that @piece uses, itself or through a table. */
static const struct piece *changed_constant(const struct pairs *pairs, const struct piece *piece,
					    int depth)
{
	for (size_t i = 0; i < piece->nr_references && depth < DEPTH_MAX; i++) {
		const struct piece *to = target_of(pairs, &piece->references[i]);

		if (!to || to == piece)
			continue;
		if (to->kind == PIECE_CONST && to->changed)
			return to;
		if (to->kind == PIECE_ANONYMOUS) {
			to = changed_constant(pairs, to, depth + 1);
			if (to)
				return to;
		}
	}
	return NULL;
}

bool leads_inside(const struct piece *user, const struct reference *reference)
{
	const struct piece *to = reference->piece;

	if (!to || to->kind != PIECE_CODE || user->kind == PIECE_CODE ||
	    user->kind == PIECE_FRAME || piece_thunk(to, reference->to))
		return false;
	if (user->kind == PIECE_ANONYMOUS)
		return reference->type == R_X86_64_PC32 || reference->addend;
	return reference->to;
}

/* A table of labels: it goes with its function. */
static bool spread_labels(struct piece *piece, bool *more)
{
	for (size_t i = 0; i < piece->nr_references && !piece->changed; i++) {
		const struct piece *code = piece->references[i].piece;

		if (!leads_inside(piece, &piece->references[i]) || !code->changed)
			continue;
		if (piece->kind != PIECE_CONST) {
			error("%s: the variable '%s' points into '%s', which changed: a running process has the old places",
			      piece->unit->name, piece->name, code->name);
			return false;
		}
		piece->changed = xasprintf("it leads into '%s', which changed", code->name);
		*more = true;
	}
	return true;
}

/* Who uses a constant with new content has to use the new one. */
static bool spread(struct pairs *pairs, struct piece *piece, bool *more)
{
	const struct piece *constant;

	if (piece->changed || !piece->twin || piece->kind == PIECE_FRAME)
		return true;
	if (piece->kind == PIECE_CONST || piece->kind == PIECE_DATA) {
		if (!spread_labels(piece, more))
			return false;
		if (piece->changed)
			return true;
	}
	constant = changed_constant(pairs, piece, 0);
	if (!constant)
		return true;
	if (piece->kind == PIECE_DATA || piece->kind == PIECE_TLS) {
		error("%s: the content of '%s' changed, and the variable '%s' of the running process points to the old one",
		      constant->unit->name, constant->name, piece->name);
		return false;
	}
	piece->changed = xasprintf("it uses '%s', whose content changed", constant->name);
	*more = true;
	return true;
}

/* A part that was split off changed: so did its function. */
static void mark_parent(struct piece *part, bool *more)
{
	const struct unit *unit = part->unit;

	if (part->kind != PIECE_CODE || !part->changed || !is_split_off(part->name))
		return;
	for (size_t i = 0; i < unit->nr_pieces; i++) {
		struct piece *piece = unit->pieces[i];

		if (piece->kind != PIECE_CODE || piece->changed)
			continue;
		for (size_t r = 0; r < piece->nr_references; r++)
			if (piece->references[r].piece == part && !piece->changed) {
				piece->changed = xasprintf("its part '%s': %s", part->name,
							   part->changed);
				*more = true;
			}
	}
}

struct piece_place {
	size_t pair, piece;
};

/* The patched pieces of all pairs, one after the other; NULL ends. */
static struct piece *next_piece(const struct pairs *pairs, struct piece_place *at)
{
	for (; at->pair < pairs->nr; at->pair++, at->piece = 0)
		if (at->piece < pairs->pairs[at->pair].patched.nr_pieces)
			return pairs->pairs[at->pair].patched.pieces[at->piece++];
	return NULL;
}

bool changes_find(struct pairs *pairs, bool *any)
{
	bool good = true, more = true;
	struct piece *piece;

	*any = false;
	for (struct piece_place at = { 0 }; (piece = next_piece(pairs, &at));)
		good &= compare_piece(piece);
	while (more && good) {
		more = false;
		for (struct piece_place at = { 0 }; (piece = next_piece(pairs, &at));) {
			good &= spread(pairs, piece, &more);
			mark_parent(piece, &more);
		}
	}
	for (struct piece_place at = { 0 }; (piece = next_piece(pairs, &at));) {
		good &= check_joined(piece);
		good &= check_resolver(piece);
		good &= check_constructors(piece);
		*any |= piece->kind == PIECE_CODE && piece->changed && piece->twin;
	}
	return good;
}
