// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The symbols of an ELF file, from all its tables.
 */
#include <stdlib.h>
#include <string.h>

#include "packer.h"

struct versions {
	Elf_Data *index;	/* .gnu.version */
	Elf_Data *defined;	/* .gnu.version_d */
	size_t strings;		/* section of their names */
};

static void find_versions(Elf *elf, struct versions *versions)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(elf, scn))) {
		if (!gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_GNU_versym)
			versions->index = elf_getdata(scn, NULL);
		if (shdr.sh_type == SHT_GNU_verdef) {
			versions->defined = elf_getdata(scn, NULL);
			versions->strings = shdr.sh_link;
		}
	}
}

/* The version that defines symbol number @i, NULL if none. */
static const char *version_of(Elf *elf, const struct versions *versions, int i)
{
	GElf_Versym number;
	GElf_Verdaux name;
	GElf_Verdef def;
	size_t offset = 0;

	if (!versions->index || !versions->defined ||
	    !gelf_getversym(versions->index, i, &number))
		return NULL;
	number &= 0x7fff;
	if (number <= VER_NDX_GLOBAL)
		return NULL;
	while (gelf_getverdef(versions->defined, offset, &def)) {
		if (def.vd_ndx == number &&
		    gelf_getverdaux(versions->defined, offset + def.vd_aux, &name))
			return elf_strptr(elf, versions->strings, name.vda_name);
		if (!def.vd_next)
			break;
		offset += def.vd_next;
	}
	return NULL;
}

static size_t add_source(struct object *object, const char *name)
{
	if (!object->nr_sources)
		append(object->sources, object->nr_sources) = "";
	append(object->sources, object->nr_sources) = name;
	return object->nr_sources - 1;
}

/*
 * Linkers make local what visibility or a version script hides.  GNU ld lists that after
 * a source without name, others among the static symbols, with a visibility if it had one.
 */
static bool is_static(const GElf_Sym *sym)
{
	return GELF_ST_BIND(sym->st_info) == STB_LOCAL &&
	       GELF_ST_VISIBILITY(sym->st_other) == STV_DEFAULT;
}

static void add_symbol(struct object *object, const GElf_Sym *sym, const char *name,
		       const char *version, size_t source, bool dynamic)
{
	struct symbol *symbol = &append(object->symbols, object->nr_symbols);
	const char *at = name[0] ? strchr(name + 1, '@') : NULL;

	/* In .symtab the version is part of the name. */
	if (at) {
		version = xstrdup(at + (at[1] == '@' ? 2 : 1));
		name = xstrndup(name, at - name);
	}
	symbol->name = name;
	symbol->version = version;
	symbol->type = GELF_ST_TYPE(sym->st_info);
	symbol->bind = GELF_ST_BIND(sym->st_info);
	symbol->source = is_static(sym) ? source : 0;
	symbol->file = symbol->source ? object->sources[symbol->source] : NULL;
	symbol->table = object->nr_tables;
	symbol->value = sym->st_value;
	symbol->size = sym->st_size;
	symbol->defined = sym->st_shndx != SHN_UNDEF;
	symbol->exported = dynamic && symbol->defined && symbol->bind != STB_LOCAL &&
			   GELF_ST_VISIBILITY(sym->st_other) == STV_DEFAULT;
}

static bool read_table(struct object *object, Elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	struct versions versions = { 0 };
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t source = 0;
	GElf_Sym sym;

	if (!data) {
		error("%s: damaged symbol table: %s", object->path, elf_errmsg(-1));
		return false;
	}
	if (shdr->sh_type == SHT_DYNSYM)
		find_versions(elf, &versions);
	else
		object->has_symtab = true;
	for (int i = 1; gelf_getsym(data, i, &sym); i++) {
		const char *name = elf_strptr(elf, shdr->sh_link, sym.st_name);

		if (!name) {
			error("%s: damaged symbol table: name of symbol %d", object->path, i);
			return false;
		}
		switch (GELF_ST_TYPE(sym.st_info)) {
		case STT_FILE:
			object->sources_end |= !*name;
			source = *name ? add_source(object, name) : 0;
			break;
		case STT_SECTION:
			break;
		default:
			if (*name)
				add_symbol(object, &sym, name, version_of(elf, &versions, i),
					   source, shdr->sh_type == SHT_DYNSYM);
		}
	}
	return true;
}

bool symbols_read(struct object *object, Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(elf, scn))) {
		if (!gelf_getshdr(scn, &shdr) ||
		    (shdr.sh_type != SHT_DYNSYM && shdr.sh_type != SHT_SYMTAB))
			continue;
		if (!read_table(object, elf, scn, &shdr))
			return false;
		object->nr_tables++;
	}
	return true;
}

const struct symbol *object_function_at(const struct object *object, uint64_t addr)
{
	const struct symbol *best = NULL;

	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (!symbol->defined || addr < symbol->value ||
		    (symbol->type != STT_FUNC && symbol->type != STT_NOTYPE) ||
		    addr - symbol->value >= symbol->size)
			continue;
		if (!best || symbol->size < best->size)
			best = symbol;
	}
	return best;
}
