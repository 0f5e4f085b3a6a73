// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of functions for messages, from the dynamic symbols in memory: the file
 * may be another one by now, and the start of a tool should not pay for readers
 * of files.
 */
#include <stdio.h>
#include <string.h>

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

void ulp_target_symbolize(struct ulp_target *target, uint64_t addr, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t i = 0; i < target->nr_objects; i++) {
		struct ulp_object *object = &target->objects[i];

		if (ulp_object_holds(object, addr, 1) &&
		    from_memory(target, object, addr - object->bias, out, size))
			return;
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool describe_image(const struct ulp_target *target, uint64_t addr, char *out,
			   size_t size)
{
	const struct ulp_record_list *records = target->records;

	for (size_t i = 0; records && i < records->nr; i++) {
		const struct ulp_found *found = &records->found[i];

		if (addr < found->record->image_start || addr >= found->record->image_end)
			continue;
		for (uint32_t k = 0; k < found->record->nr_functions; k++) {
			const struct ulp_record_function *f = &found->functions[k];

			if (addr < f->new_start || addr >= f->new_end)
				continue;
			snprintf(out, size, "%.*s (patch %s)", (int)f->name.length,
				 ulp_found_text(found, f->name), found->name);
			return true;
		}
		snprintf(out, size, "0x%llx (patch %s)",
			 (unsigned long long)(addr - found->record->bias), found->name);
		return true;
	}
	return false;
}

void ulp_target_describe(struct ulp_target *target, uint64_t addr, char *out, size_t size)
{
	char name[128];

	if (describe_image(target, addr, out, size))
		return;
	for (size_t i = 0; i < target->nr_objects; i++) {
		struct ulp_object *object = &target->objects[i];

		if (!ulp_object_holds(object, addr, 1))
			continue;
		if (!from_memory(target, object, addr - object->bias, name, sizeof(name)))
			snprintf(name, sizeof(name), "0x%llx",
				 (unsigned long long)(addr - object->bias));
		snprintf(out, size, "%s (%s)", name, base_name(object->path));
		return;
	}
	snprintf(out, size, "?");
}
