// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the target's symbol table, and that of the build's output, say about names.
 */
#include <string.h>

#include "meaning.h"

static bool is_thread_symbol(const struct symbol *symbol)
{
	return symbol->type == STT_TLS;
}

const struct symbol *names_symbol(const struct part *part, const char *name, bool tls,
				  const char *file, bool *several)
{
	const struct object *object = part->target;
	const struct symbol *found = NULL;

	*several = false;
	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (!symbol->defined || is_thread_symbol(symbol) != tls ||
		    strcmp(symbol->name, name) != 0 ||
		    (file && symbol->file && strcmp(symbol->file, file) != 0))
			continue;
		if (found && found->value != symbol->value)
			*several = true;
		if (!found || symbol->exported)
			found = symbol;
	}
	return *several ? NULL : found;
}

static const struct symbol *exported_symbol(const struct part *part, const char *name)
{
	const struct object *object = part->target;

	for (size_t i = 0; i < object->nr_symbols; i++)
		if (object->symbols[i].exported && !strcmp(object->symbols[i].name, name))
			return &object->symbols[i];
	return NULL;
}

bool names_interposable(const struct part *part, const struct unit_symbol *symbol)
{
	return symbol && symbol->bind != STB_LOCAL && symbol->visibility == STV_DEFAULT &&
	       !part->target->executable && !(part->target->dynamic_flags & DF_SYMBOLIC) &&
	       exported_symbol(part, symbol->name);
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

		if (!symbol->defined || symbol->file || strcmp(symbol->name, name) != 0)
			continue;
		if (symbol->exported)
			return false;
		kept = true;
	}
	return kept;
}
