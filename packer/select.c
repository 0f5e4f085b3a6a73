// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What goes into the patch.
 *
 * Changed functions go in, what is new and used by them, and constants that have
 * no identity.  All else stays the target's: its variables keep their values,
 * and a function is always reached by its entry in the target, changed or not,
 * so that its address stays the same and patches can be stacked.
 */
#include <string.h>

#include "meaning.h"

void select_piece(struct part *part, struct piece *piece, const char *why)
{
	if (piece->why)
		return;
	piece->why = why;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	append(part->pieces, part->nr_pieces) = piece;
}

/* Why a function that has to be replaced is not found, and what to do. */
static bool refuse_missing(const struct part *part, const struct piece *piece,
			   const struct piece *split_off)
{
	const struct piece *twin = piece->twin;
	const struct section *comment = object_section_named(part->target, ".comment");
	const char *compiler = NULL;

	error("%s: '%s' changed, but its original code is not in %s", unit_name(piece), piece->name,
	      part->target->path);
	if (split_off)
		message(MESSAGE_NOTE, "its part '%s': %s", split_off->name,
			split_off->missed ? split_off->missed : "nothing there is like it");
	else
		message(MESSAGE_NOTE, "%s",
			twin->missed ? twin->missed : "nothing there is like it");
	if (comment && comment->size && comment->type == SHT_PROGBITS &&
	    memchr(part->target->file + comment->offset, 0, comment->size))
		compiler = (const char *)part->target->file + comment->offset;
	if (compiler && twin->unit->compiler && strcmp(compiler, twin->unit->compiler) != 0)
		message(MESSAGE_NOTE, "the target was compiled by \"%s\", the object by \"%s\"",
			compiler, twin->unit->compiler);
	else
		message(MESSAGE_NOTE,
			"the object has to be compiled from the same source with the same compiler and flags");
	return false;
}

/* A part that was split off of @piece, and is other code in the target; NULL: none */
static const struct piece *missing_part(const struct piece *piece)
{
	for (size_t i = 0; i < piece->nr_references; i++) {
		const struct piece *to = piece->references[i].piece;

		if (to && to->kind == PIECE_CODE && is_split_off(to->name) && !to->found)
			return to;
	}
	return NULL;
}

static bool select_changed(struct part *part, struct piece *piece)
{
	const struct piece *missing;

	if (piece->kind != PIECE_CODE || !piece->changed || !piece->twin ||
	    is_split_off(piece->name))
		return true;
	missing = missing_part(piece->twin);
	if (!piece->twin->found || missing)
		return refuse_missing(part, piece, missing);
	select_piece(part, piece, piece->changed);
	return true;
}

/* The CIE that an FDE names by its distance; NULL for a CIE. */
static struct piece *cie_of(const struct piece *frame)
{
	const struct unit_section *section = &frame->unit->sections[frame->section];
	uint32_t distance;

	memcpy(&distance, frame->bytes + 4, sizeof(distance));
	for (size_t i = 0; distance && i < section->nr_pieces; i++)
		if (section->pieces[i]->start == frame->start + 4 - distance)
			return section->pieces[i];
	return NULL;
}

/* Unwind tables go with their code. */
static void select_frames(struct part *part)
{
	for (size_t i = 0; i < part->pairs->nr; i++) {
		struct unit *unit = &part->pairs->pairs[i].patched;

		for (size_t k = 0; k < unit->nr_pieces; k++) {
			struct piece *frame = unit->pieces[k], *cie;

			if (frame->kind != PIECE_FRAME || !frame->nr_references ||
			    !frame->references[0].piece || !frame->references[0].piece->why)
				continue;
			cie = cie_of(frame);
			if (!cie)
				continue;
			frame->parent = cie;
			select_piece(part, cie, "unwind table");
			select_piece(part, frame, "unwind table");
		}
	}
}

static bool close_over(struct part *part, size_t *done)
{
	struct meaning meaning;
	bool good = true;

	for (; *done < part->nr_pieces && good; ++*done)
		for (size_t r = 0; r < part->pieces[*done]->nr_references; r++)
			good &= resolve_meaning(part, part->pieces[*done],
						&part->pieces[*done]->references[r], &meaning);
	return good;
}

/* What they refer to, and what that refers to, in whichever part. */
static bool close_all(struct patch *patch, size_t *done)
{
	bool good = true, more = true;

	while (good && more) {
		more = false;
		for (size_t i = 0; i < patch->nr; i++) {
			good &= close_over(&patch->parts[i], &done[i]);
			for (size_t k = 0; k < patch->nr; k++)
				more |= done[k] < patch->parts[k].nr_pieces;
		}
	}
	return good;
}

bool select_pieces(struct patch *patch)
{
	size_t *done = xcalloc(patch->nr, sizeof(*done));
	bool good = true;

	for (size_t p = 0; p < patch->nr; p++) {
		struct part *part = &patch->parts[p];

		for (size_t i = 0; i < part->pairs->nr; i++) {
			struct unit *unit = &part->pairs->pairs[i].patched;

			if (part->pairs->pairs[i].absent)
				continue;
			for (size_t k = 0; k < unit->nr_pieces; k++)
				good &= select_changed(part, unit->pieces[k]);
		}
	}
	good = good && close_all(patch, done);
	for (size_t p = 0; p < patch->nr && good; p++)
		select_frames(&patch->parts[p]);
	return good && close_all(patch, done);
}
