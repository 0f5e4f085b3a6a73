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

static const struct symbol *exported(const struct object *object, const char *name)
{
	for (size_t i = 0; i < object->nr_symbols; i++)
		if (object->symbols[i].exported && !strcmp(object->symbols[i].name, name))
			return &object->symbols[i];
	return NULL;
}

bool names_exported(const struct object *object, const char *name)
{
	return exported(object, name);
}

/* It has an option for functions that are not weak, the others for all. */
static bool is_made_by_lld(const struct object *object)
{
	const struct section *comment = object_section_named(object, ".comment");

	return comment && comment->type == SHT_PROGBITS &&
	       memmem(object->file + comment->offset, comment->size, "LLD", 3);
}

/* What the linker treats alike. */
static unsigned int kind_of(const struct object *object, unsigned char type, unsigned char bind)
{
	return (type == STT_FUNC || type == STT_GNU_IFUNC ? KIND_FUNCTION : 0) |
	       (bind == STB_WEAK && is_made_by_lld(object) ? KIND_WEAK : 0);
}

static void read_slots(struct part *part)
{
	for (size_t i = 0; i < part->slots->nr; i++) {
		const struct slot *slot = &part->slots->slots[i];

		if (slot->symbol && slot->own)
			part->by_name[kind_of(part->target, GELF_ST_TYPE(slot->info),
					      GELF_ST_BIND(slot->info))] = true;
	}
}

/* What code of the original units is bound to. */
static void read_bound(struct part *part, const struct unit *orig)
{
	for (size_t i = 1; i < orig->nr_symbols; i++) {
		const struct unit_symbol *ours = &orig->symbols[i];
		const struct symbol *symbol;

		if (!ours->bound || ours->imported || ours->bind == STB_LOCAL ||
		    ours->visibility != STV_DEFAULT)
			continue;
		symbol = exported(part->target, ours->name);
		if (symbol)
			part->directly[kind_of(part->target, symbol->type, symbol->bind)] = true;
	}
}

void names_read_bindings(struct part *part, bool symbolic)
{
	part->directly[KIND_FUNCTION] = symbolic;
	read_slots(part);
	for (size_t i = 0; i < part->pairs->nr; i++)
		read_bound(part, &part->pairs->pairs[i].orig);
}

/* The target has a slot that is filled by this name. */
static bool has_slot(const struct part *part, const char *name)
{
	for (size_t i = 0; i < part->slots->nr; i++) {
		const char *symbol = part->slots->slots[i].symbol;

		if (symbol && !strcmp(symbol, name))
			return true;
	}
	return false;
}

bool names_interposable(const struct part *part, const struct unit_symbol *ours)
{
	const struct object *object = part->target;
	const struct symbol *symbol;
	unsigned int kind;

	if (!ours || ours->bind == STB_LOCAL || ours->visibility != STV_DEFAULT ||
	    object->executable)
		return false;
	symbol = exported(object, ours->name);
	if (!symbol)
		return false;
	/* a process has one of it */
	if (symbol->bind == STB_GNU_UNIQUE || has_slot(part, symbol->name))
		return true;
	kind = kind_of(object, symbol->type, symbol->bind);
	if (object->dynamic_flags & DF_SYMBOLIC)
		return false;
	return part->by_name[kind] || !part->directly[kind];
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
