// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sections of a relocatable object, taken apart into pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static enum piece_kind section_kind(const struct unit_section *section)
{
	if (!(section->flags & SHF_ALLOC) || section->type == SHT_NOTE ||
	    !strcmp(section->name, "__patchable_function_entries"))
		return PIECE_OTHER;
	if (!strcmp(section->name, ".eh_frame"))
		return PIECE_FRAME;
	if (section->flags & SHF_EXECINSTR)
		return PIECE_CODE;
	if (section->flags & SHF_TLS)
		return PIECE_TLS;
	if (section->flags & SHF_MERGE && section->entsize)
		return PIECE_LITERAL;
	if (section->flags & SHF_WRITE && strncmp(section->name, ".data.rel.ro", 12) != 0)
		return PIECE_DATA;
	return PIECE_CONST;
}

static struct piece *add_piece(struct unit *unit, size_t index, enum piece_kind kind,
			       uint64_t start, uint64_t size)
{
	struct unit_section *section = &unit->sections[index];
	struct piece *piece = xcalloc(1, sizeof(*piece));

	piece->unit = unit;
	piece->kind = kind;
	piece->name = section->name;
	piece->section = index;
	piece->start = start;
	piece->size = size;
	piece->align = section->align;
	/* A piece is not aligned better than its place allows. */
	while (piece->align > 1 && start & (piece->align - 1))
		piece->align >>= 1;
	piece->bytes = section->bytes ? section->bytes + start : NULL;
	piece->writable = section->flags & SHF_WRITE;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	append(section->pieces, section->nr_pieces) = piece;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	append(unit->pieces, unit->nr_pieces) = piece;
	return piece;
}

static bool is_named(const struct unit_symbol *symbol)
{
	switch (symbol->type) {
	case STT_NOTYPE:
	case STT_OBJECT:
	case STT_FUNC:
	case STT_TLS:
	case STT_GNU_IFUNC:
		return *symbol->name && !symbol->absolute;
	default:
		return false;
	}
}

static int compare_symbols(const void *a, const void *b)
{
	const struct unit_symbol *left = *(struct unit_symbol *const *)a;
	const struct unit_symbol *right = *(struct unit_symbol *const *)b;

	if (left->value != right->value)
		return left->value < right->value ? -1 : 1;
	if (left->size != right->size)
		return left->size > right->size ? -1 : 1;
	if ((left->bind == STB_LOCAL) != (right->bind == STB_LOCAL))
		return left->bind == STB_LOCAL ? 1 : -1;
	return left < right ? -1 : left > right;
}

/* What no symbol covers: nops between functions are nothing, data may be something. */
static void add_gap(struct unit *unit, size_t index, enum piece_kind kind, uint64_t start,
		    uint64_t end)
{
	const struct unit_section *section = &unit->sections[index];
	bool something = !section->nr_pieces && start == 0 && end == section->size;

	if (start >= end || kind == PIECE_CODE)
		return;
	for (uint64_t i = start; i < end && section->bytes && !something; i++)
		something = section->bytes[i];
	if (something)
		add_piece(unit, index, kind == PIECE_CONST ? PIECE_ANONYMOUS : kind, start,
			  end - start);
}

/*
 * By which C++ enters a virtual function with another object pointer.  The assembler
 * has put its jump to the function, in whose section it is, in place: it belongs to it.
 */
static bool is_thunk(const struct unit_symbol *symbol)
{
	return !strncmp(symbol->name, "_ZTh", 4) || !strncmp(symbol->name, "_ZTv", 4) ||
	       !strncmp(symbol->name, "_ZTc", 4);
}

struct unit_symbol *piece_thunk(const struct piece *piece, int64_t at)
{
	struct unit *unit = piece->unit;

	for (size_t i = 1; i < unit->nr_symbols && at; i++)
		if (unit->symbols[i].piece == piece && is_thunk(&unit->symbols[i]) &&
		    unit->symbols[i].value == piece->start + (uint64_t)at)
			return &unit->symbols[i];
	return NULL;
}

/* Where the thunks of a function end, else @end. */
static uint64_t behind_thunks(const struct unit_section *section, struct unit_symbol **symbols,
			      size_t nr, uint64_t end)
{
	size_t i = 0;

	while (i < nr && is_thunk(symbols[i]))
		i++;
	if (!i)
		return end;
	return i < nr && symbols[i]->value < section->size ? symbols[i]->value : section->size;
}

static void split_at_symbols(struct unit *unit, size_t index, enum piece_kind kind,
			     struct unit_symbol **symbols, size_t nr)
{
	const struct unit_section *section = &unit->sections[index];
	uint64_t end = 0, size;
	size_t functions = 0;

	for (size_t i = 0; i < nr; i++) {
		struct unit_symbol *symbol = symbols[i];
		struct piece *piece;

		if (symbol->value > section->size || symbol->value < end ||
		    (symbol->value == section->size && section->size))
			continue;	/* inside of the one before, or the end */
		add_gap(unit, index, kind, end, symbol->value);
		size = symbol->size;
		if (!size || size > section->size - symbol->value) {
			size_t next = i + 1;

			while (next < nr && symbols[next]->value == symbol->value)
				next++;
			size = (next < nr && symbols[next]->value < section->size ?
				symbols[next]->value : section->size) - symbol->value;
		}
		if (kind == PIECE_CODE && !is_thunk(symbol)) {
			size_t next = i + 1;

			while (next < nr && symbols[next]->value == symbol->value)
				next++;
			size = behind_thunks(section, symbols + next, nr - next,
					     symbol->value + size) - symbol->value;
		}
		piece = add_piece(unit, index, kind, symbol->value, size);
		piece->symbol = symbol;
		piece->name = symbol->name;
		end = symbol->value + size;
		functions++;
		/* Empty variables: others may begin at the same place. */
		while (!size && i + 1 < nr && symbols[i + 1]->value == symbol->value)
			i++;
	}
	add_gap(unit, index, kind, end, section->size);
	if (kind == PIECE_CODE && functions > 1)
		for (size_t i = 0; i < section->nr_pieces; i++)
			section->pieces[i]->joined = true;
}

/* Strings end with a zero character, all else has one size. */
static void split_literals(struct unit *unit, size_t index)
{
	const struct unit_section *section = &unit->sections[index];
	static const uint8_t zero[8];
	uint64_t start = 0, end;

	while (start < section->size) {
		end = start + section->entsize;
		if (section->flags & SHF_STRINGS && section->entsize <= sizeof(zero) &&
		    section->bytes)
			while (end < section->size &&
			       memcmp(section->bytes + end - section->entsize, zero,
				      section->entsize) != 0)
				end += section->entsize;
		if (end > section->size)
			end = section->size;
		add_piece(unit, index, PIECE_LITERAL, start, end - start);
		start = end;
	}
}

static bool split_frames(struct unit *unit, size_t index)
{
	const struct unit_section *section = &unit->sections[index];
	uint32_t length;

	for (uint64_t at = 0; at + 4 <= section->size; at += 4 + (uint64_t)length) {
		memcpy(&length, section->bytes + at, sizeof(length));
		if (length > section->size - at - 4 || (length && length < 4)) {
			error("%s: damaged: .eh_frame", unit->path);
			return false;
		}
		if (length)
			add_piece(unit, index, PIECE_FRAME, at, 4 + (uint64_t)length);
	}
	return true;
}

static bool split_section(struct unit *unit, size_t index)
{
	const struct unit_section *section = &unit->sections[index];
	enum piece_kind kind = section_kind(section);
	struct unit_symbol **symbols = NULL;
	size_t nr = 0;

	switch (kind) {
	case PIECE_OTHER:
		return true;
	case PIECE_FRAME:
		return split_frames(unit, index);
	case PIECE_LITERAL:
		split_literals(unit, index);
		return true;
	default:
		for (size_t i = 1; i < unit->nr_symbols; i++)
			if (unit->symbols[i].section == index && is_named(&unit->symbols[i]))
				/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
				append(symbols, nr) = &unit->symbols[i];
		if (nr)
			qsort(symbols, nr, sizeof(struct unit_symbol *), compare_symbols);
		split_at_symbols(unit, index, kind, symbols, nr);
		free(symbols);
		return true;
	}
}

/* -fcommon: variables that have no section yet */
static void add_common(struct unit *unit)
{
	for (size_t i = 1; i < unit->nr_symbols; i++) {
		struct unit_symbol *symbol = &unit->symbols[i];
		struct piece *piece;

		if (symbol->section != SHN_COMMON || symbol->absolute)
			continue;
		piece = add_piece(unit, 0, symbol->type == STT_TLS ? PIECE_TLS : PIECE_DATA, 0,
				  symbol->size);
		piece->symbol = symbol;
		piece->name = symbol->name;
		piece->align = symbol->value ? symbol->value : 1;
		piece->writable = true;
		symbol->piece = piece;
		symbol->value = 0;
	}
}

struct piece *piece_at(const struct unit_section *section, int64_t at)
{
	size_t low = 0, high = section->nr_pieces;

	if (!high)
		return NULL;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if ((int64_t)section->pieces[middle]->start <= at)
			low = middle;
		else
			high = middle;
	}
	return section->pieces[low];
}

static void place_symbols(struct unit *unit)
{
	for (size_t i = 1; i < unit->nr_symbols; i++) {
		struct unit_symbol *symbol = &unit->symbols[i];

		if (symbol->section != SHN_UNDEF && symbol->section < unit->nr_sections &&
		    !symbol->absolute && symbol->type != STT_SECTION && symbol->type != STT_FILE)
			symbol->piece = piece_at(&unit->sections[symbol->section],
						 (int64_t)symbol->value);
	}
}

bool unit_split(struct unit *unit)
{
	for (size_t i = 1; i < unit->nr_sections; i++)
		if (!split_section(unit, i))
			return false;
	place_symbols(unit);
	add_common(unit);
	return true;
}
