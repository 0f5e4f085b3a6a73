// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The places of the target that may have the code of an original piece: by name, else
 * wherever a function begins.
 */
#include <stdlib.h>
#include <string.h>

#include "locate.h"

/* Bytes at the start that have to be equal wherever it is. */
static size_t fixed_prefix(const struct piece *piece)
{
	struct insn insn;

	if (!insn_decode(piece->bytes, piece->size, &insn) || insn.nop || insn.branch ||
	    (piece->nr_references && piece->references[0].offset < insn.length))
		return 0;
	return insn.length;
}

void places_try(struct locator *locator, struct search *search, uint64_t addr)
{
	struct piece *piece = search->piece;
	size_t prefix = fixed_prefix(piece);
	const uint8_t *bytes;
	struct match match;

	if (search->nr >= CANDIDATES_MAX)
		return;
	for (size_t i = 0; i < search->nr; i++)
		if (search->matches[i].addr == addr)
			return;
	bytes = object_at(locator->target, addr, prefix ? prefix : 1);
	if (!bytes || !extent_has(locator->target->text, addr))
		return;
	if (prefix && !search->named && memcmp(bytes, piece->bytes, prefix) != 0)
		return;
	if (match_at(locator->slots, piece, addr, &match)) {
		append(search->matches, search->nr) = match;
	} else if (!piece->missed || match.where > search->best) {
		search->best = match.where;
		piece->missed = match.why;
	}
}

static bool is_code_symbol(const struct symbol *symbol)
{
	return symbol->defined && (symbol->type == STT_FUNC || symbol->type == STT_NOTYPE ||
				   symbol->type == STT_GNU_IFUNC);
}

static bool same_plain(const char *name, const char *plain)
{
	char *without;
	bool same;

	if (!strchr(name, '.'))
		return !strcmp(name, plain);
	without = plain_name(name);
	same = !strcmp(without, plain);
	free(without);
	return same;
}

/* By "name@version" of its own, which the target has as one of its versions. */
static void try_versions(struct locator *locator, struct search *search)
{
	const struct object *target = locator->target;
	const struct unit *unit = search->piece->unit;

	for (size_t k = 1; k < unit->nr_symbols; k++) {
		const struct unit_symbol *ours = &unit->symbols[k];
		const char *version = name_version(ours->name);

		if (ours->piece != search->piece || ours->value != search->piece->start || !version)
			continue;
		for (size_t i = 0; i < target->nr_symbols; i++) {
			const struct symbol *symbol = &target->symbols[i];

			if (!is_code_symbol(symbol) || !symbol->version ||
			    strcmp(symbol->version, version) != 0 ||
			    !same_without_version(ours->name, symbol->name))
				continue;
			search->named = true;
			places_try(locator, search, symbol->value);
		}
	}
}

/* A static function is among the symbols of its source, if the target names that. */
static bool is_of_source(const struct object *target, const struct symbol *symbol,
			 const struct piece *piece)
{
	const char *file = piece->unit->file;

	if (!symbol->file || !file || !piece_is_local(piece) || !strcmp(symbol->file, file))
		return true;
	for (size_t i = 1; i < target->nr_sources; i++)
		if (!strcmp(target->sources[i], file))
			return false;
	return true;
}

static void try_names(struct locator *locator, struct search *search)
{
	const struct object *target = locator->target;
	const struct piece *piece = search->piece;

	for (int plain = 0; plain < 2 && !search->named; plain++)
		for (size_t i = 0; i < target->nr_symbols; i++) {
			const struct symbol *symbol = &target->symbols[i];

			if (!is_code_symbol(symbol))
				continue;
			if (plain ? !same_plain(symbol->name, piece->plain) :
				    strcmp(symbol->name, piece->name) != 0)
				continue;
			if (!is_of_source(target, symbol, piece))
				continue;
			search->named = true;
			places_try(locator, search, symbol->value);
		}
}

/* Where no frame says that a function begins: hand-written code. */
static void try_undescribed(struct locator *locator, struct search *search)
{
	const struct object *target = locator->target;

	for (size_t i = 0; i < target->nr_sections; i++) {
		const struct section *section = &target->sections[i];

		if (!(section->flags & SHF_EXECINSTR) || !strncmp(section->name, ".plt", 4))
			continue;
		for (uint64_t addr = (section->addr + 15) & ~15ULL;
		     addr < section->addr + section->size; addr += 16)
			if (!frame_at(target, addr))
				places_try(locator, search, addr);
	}
}

void places_find(struct locator *locator, struct search *search)
{
	const struct object *target = locator->target;

	try_names(locator, search);
	if (!search->named)
		try_versions(locator, search);
	if (search->named)
		return;
	if (target->has_symtab) {
		search->piece->missed = "the target has no function of this name";
		return;
	}
	for (size_t i = 0; i < target->nr_frames; i++)
		places_try(locator, search, target->frames[i].code.start);
	if (!search->nr)
		try_undescribed(locator, search);
	if (!search->nr && !search->piece->missed)
		search->piece->missed = "no code of the target begins like it";
}
