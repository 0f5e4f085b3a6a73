// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the target's symbol table, and that of the build's output, say about names.
 */
#include <string.h>

#include "meaning.h"

static bool is_named(const struct symbol *symbol, const char *name, bool tls)
{
	return symbol->defined && (symbol->type == STT_TLS) == tls && !strcmp(symbol->name, name);
}

static void found_one(struct named *named, const struct symbol *symbol)
{
	if (named->symbol && named->symbol->value != symbol->value)
		named->several = true;
	if (!named->symbol || symbol->exported)
		named->symbol = symbol;
}

struct named names_global(const struct part *part, const char *name, bool tls)
{
	const struct object *object = part->target;
	struct named named = { 0 };

	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (!is_named(symbol, name, tls))
			continue;
		if (!symbol->file)
			found_one(&named, symbol);
		else if (!object->sources_end)
			named.doubt = symbol;
	}
	if (named.symbol)
		named.doubt = NULL;
	if (named.several)
		named.symbol = NULL;
	return named;
}

/* Found code or data of the unit is among the static symbols of that source. */
static bool is_source_of(const struct object *object, size_t source, const struct unit *unit)
{
	for (size_t i = 0; i < unit->nr_pieces; i++) {
		const struct piece *piece = unit->pieces[i];

		if (!piece->found || !piece->symbol || !piece_is_local(piece))
			continue;
		for (size_t k = 0; k < object->nr_symbols; k++) {
			const struct symbol *symbol = &object->symbols[k];

			if (symbol->source == source && symbol->defined &&
			    symbol->value == piece->addr && !strcmp(symbol->name, piece->name))
				return true;
		}
	}
	return false;
}

struct named names_static(const struct part *part, const struct piece *piece)
{
	const struct object *object = part->target;
	struct named named = { 0 };

	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (!is_named(symbol, piece->name, piece->kind == PIECE_TLS) || !symbol->file ||
		    !piece->unit->file || strcmp(symbol->file, piece->unit->file) != 0)
			continue;
		if (is_source_of(object, symbol->source, piece->unit))
			found_one(&named, symbol);
		else
			named.doubt = symbol;
	}
	if (named.several)
		named.symbol = NULL;
	return named;
}

bool names_exported(const struct object *object, const char *name)
{
	for (size_t i = 0; i < object->nr_symbols; i++)
		if (object->symbols[i].exported && !strcmp(object->symbols[i].name, name))
			return true;
	return false;
}

bool names_interposable(const struct part *part, const struct unit_symbol *symbol)
{
	return symbol && symbol->bind != STB_LOCAL && symbol->visibility == STV_DEFAULT &&
	       !part->target->executable && !(part->target->dynamic_flags & DF_SYMBOLIC) &&
	       names_exported(part->target, symbol->name);
}

bool names_stub(const struct part *part, uint64_t resolver, uint64_t *stub)
{
	const struct object *object = part->target;

	for (size_t i = 0; i < object->nr_sections; i++) {
		const struct section *section = &object->sections[i];
		const uint64_t end = section->addr + section->size;

		if (strncmp(section->name, ".plt", 4) != 0)
			continue;
		for (uint64_t at = section->addr; at + 8 <= end; at += 8) {
			const struct slot *slot = slot_of_stub(part->slots, at);

			if (slot && slot->type == R_X86_64_IRELATIVE && slot->value == resolver) {
				*stub = at;
				return true;
			}
		}
	}
	return false;
}

bool names_kept(const struct part *part, const char *name)
{
	bool kept = false;

	for (size_t i = 0; part->output && i < part->output->nr_symbols; i++) {
		const struct symbol *symbol = &part->output->symbols[i];

		if (!symbol->defined || strcmp(symbol->name, name) != 0 ||
		    (symbol->file && part->output->sources_end))
			continue;
		if (symbol->exported)
			return false;
		kept = true;
	}
	return kept;
}
