// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of functions for messages: from the dynamic symbols in memory, else from
 * the symbol table of the file if that is the same build.
 */
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbol.h"

static bool covers(const Elf64_Sym *sym, uint64_t value)
{
	unsigned int type = ELF64_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC) && sym->st_shndx != SHN_UNDEF &&
	       value >= sym->st_value && value - sym->st_value < sym->st_size;
}

static bool from_memory(const struct ulp_target *target, struct ulp_object *object,
			uint64_t value, char *out, size_t size)
{
	const struct ulp_symbols *symbols;

	if (ulp_symbols_read(target, object))
		return false;
	symbols = object->symbols;
	for (size_t i = 1; i < symbols->nr; i++) {
		if (covers(&symbols->syms[i], value) && *ulp_symbol_name(symbols, i)) {
			snprintf(out, size, "%s", ulp_symbol_name(symbols, i));
			return true;
		}
	}
	return false;
}

static bool is_same_build(Elf *elf, const struct ulp_object *object)
{
	const void *build_id;
	ssize_t size = dwelf_elf_gnu_build_id(elf, &build_id);

	return size > 0 && (size_t)size == object->build_id_size &&
	       !memcmp(build_id, object->build_id, object->build_id_size);
}

static bool from_section(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, uint64_t value,
			 char *out, size_t size)
{
	Elf_Data *data = elf_getdata(section, NULL);
	const char *name;
	GElf_Sym sym;

	for (int i = 1; data && gelf_getsym(data, i, &sym); i++) {
		if (!covers(&sym, value))
			continue;
		name = elf_strptr(elf, header->sh_link, sym.st_name);
		if (name && *name) {
			snprintf(out, size, "%s", name);
			return true;
		}
	}
	return false;
}

static bool from_elf(Elf *elf, const struct ulp_object *object, uint64_t value, char *out,
		     size_t size)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	if (!elf || !is_same_build(elf, object))
		return false;
	while ((section = elf_nextscn(elf, section))) {
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB &&
		    from_section(elf, section, &header, value, out, size))
			return true;
	}
	return false;
}

static bool from_file(const char *path, const struct ulp_object *object, uint64_t value, char *out,
		      size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool found;
	Elf *elf;

	if (fd < 0)
		return false;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	found = from_elf(elf, object, value, out, size);
	elf_end(elf);
	close(fd);
	return found;
}

void ulp_target_symbolize(struct ulp_target *target, uint64_t addr, char *out, size_t size)
{
	struct ulp_object *object = NULL;
	char path[PATH_MAX + 64];

	if (!size)
		return;
	out[0] = '\0';
	for (size_t i = 0; i < target->nr_objects && !object; i++) {
		if (ulp_object_holds(&target->objects[i], addr, 1))
			object = &target->objects[i];
	}
	if (!object || from_memory(target, object, addr - object->bias, out, size) ||
	    !object->build_id_size)
		return;
	for (size_t i = 0; i < target->nr_mappings; i++) {
		const struct ulp_mapping *map = &target->mappings[i];

		if (map->start != object->start)
			continue;
		/* Exact and in any mount namespace, but needs privilege. */
		snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
			 target->tid ? target->tid : target->pid, map->start, map->end);
		if (from_file(path, object, addr - object->bias, out, size))
			return;
	}
	snprintf(path, sizeof(path), "/proc/%d/root%s", target->pid, object->path);
	if (!from_file(path, object, addr - object->bias, out, size))
		from_file(object->path, object, addr - object->bias, out, size);
}
