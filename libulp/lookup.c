// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which definition a name and version mean, by ld.so's rules.
 */
#include <string.h>

#include "symbol.h"

#define HIDDEN	0x8000		/* of a versym: not the default version */

static bool is_usable(const Elf64_Sym *sym, const struct ulp_wanted *wanted)
{
	unsigned int type = ELF64_ST_TYPE(sym->st_info), bind = ELF64_ST_BIND(sym->st_info);

	if (bind != STB_GLOBAL && bind != STB_WEAK && bind != STB_GNU_UNIQUE)
		return false;
	if (type != STT_NOTYPE && type != STT_OBJECT && type != STT_FUNC &&
	    type != STT_COMMON && type != STT_TLS && type != STT_GNU_IFUNC)
		return false;
	if (!sym->st_value && sym->st_shndx != SHN_ABS && type != STT_TLS)
		return false;
	/*
	 * Undefined with a value: the program's PLT entry for a function of
	 * another object.  It is that function's address for all who compare
	 * addresses, but no place to go to for those who call.
	 */
	return sym->st_shndx != SHN_UNDEF || (!wanted->call && type != STT_TLS);
}

/* How well the symbol's version fits. */
enum fit { NO_FIT, MAY_FIT, FITS };

static enum fit version_fit(const struct ulp_symbols *symbols, size_t index, const char *wanted)
{
	const char *version = ulp_symbol_version(symbols, index);
	bool hidden;

	if (!symbols->versym)
		return FITS;
	hidden = symbols->versym[index] & HIDDEN;
	if (wanted) {
		if (version)
			return strcmp(version, wanted) ? NO_FIT : FITS;
		/* Without version: the only one, good for all. */
		return hidden ? NO_FIT : FITS;
	}
	if (!version)
		return hidden ? NO_FIT : FITS;
	/* No version asked for: the default one, and only if there is one. */
	return hidden ? NO_FIT : MAY_FIT;
}

/* Index of the symbol in one object, 0 if it has none. */
static size_t find_in(const struct ulp_symbols *symbols, const struct ulp_wanted *wanted)
{
	size_t found = 0;

	for (size_t i = ulp_symbol_next(symbols, wanted->name, 0); i;
	     i = ulp_symbol_next(symbols, wanted->name, i)) {
		const Elf64_Sym *sym = &symbols->syms[i];

		if (!is_usable(sym, wanted))
			continue;
		switch (version_fit(symbols, i, wanted->version)) {
		case FITS:
			return i;
		case MAY_FIT:
			if (!found)
				found = i;
			break;
		case NO_FIT:
			break;
		}
	}
	return found;
}

int ulp_definition_find(const struct ulp_target *target, const struct ulp_scope *scope,
			const struct ulp_wanted *wanted, struct ulp_definition *definition)
{
	struct ulp_symbols *own = scope->object->symbols;
	size_t index = find_in(own, wanted);
	int ret;

	definition->object = NULL;
	/* What an object protects, it does not look for elsewhere. */
	if (index && own->syms[index].st_shndx != SHN_UNDEF &&
	    ELF64_ST_VISIBILITY(own->syms[index].st_other) == STV_PROTECTED) {
		*definition = (struct ulp_definition){ scope->object, index };
		return 0;
	}
	for (size_t i = 0; i < scope->nr && !definition->object; i++) {
		struct ulp_object *object = scope->objects[i];

		ret = ulp_symbols_read(target, object);
		if (ret)
			return ret;
		*definition = (struct ulp_definition){ object, find_in(object->symbols, wanted) };
		if (!definition->index)
			definition->object = NULL;
	}
	/*
	 * If the object never asks for functions of its own by name, its code
	 * calls its own whatever the scope says, and so must the code that
	 * replaces some of it.
	 */
	if (index && definition->object && definition->object != scope->object &&
	    own->own_functions && own->syms[index].st_shndx != SHN_UNDEF &&
	    ELF64_ST_TYPE(own->syms[index].st_info) == STT_FUNC)
		*definition = (struct ulp_definition){ scope->object, index };
	return 0;
}

const char *ulp_reference_version(const struct ulp_object *object, const char *name)
{
	const struct ulp_symbols *symbols = object->symbols;

	for (size_t i = ulp_symbol_next(symbols, name, 0); i;
	     i = ulp_symbol_next(symbols, name, i)) {
		if (symbols->syms[i].st_shndx == SHN_UNDEF)
			return ulp_symbol_version(symbols, i);
	}
	return NULL;
}
