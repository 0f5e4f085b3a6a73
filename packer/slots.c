// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the dynamic linker fills in the target: GOT, PLT, pointers in data.
 */
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static int compare_slots(const void *a, const void *b)
{
	const struct slot *left = a, *right = b;

	return left->addr < right->addr ? -1 : left->addr > right->addr;
}

static bool read_word(const struct object *object, uint64_t addr, uint64_t *value)
{
	const uint8_t *bytes = object_at(object, addr, sizeof(*value));

	if (bytes)
		memcpy(value, bytes, sizeof(*value));
	return bytes;
}

/* The version that symbol number @index is imported in, or NULL. */
static const char *import_version(Elf *elf, size_t index)
{
	Elf_Data *numbers = NULL, *needed = NULL;
	size_t strings = 0, offset = 0;
	Elf_Scn *scn = NULL;
	GElf_Versym number;
	GElf_Verneed need;
	GElf_Vernaux name;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(elf, scn))) {
		if (!gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_GNU_versym)
			numbers = elf_getdata(scn, NULL);
		if (shdr.sh_type == SHT_GNU_verneed) {
			needed = elf_getdata(scn, NULL);
			strings = shdr.sh_link;
		}
	}
	if (!numbers || !needed || !gelf_getversym(numbers, index, &number))
		return NULL;
	while (gelf_getverneed(needed, offset, &need)) {
		size_t at = offset + need.vn_aux;

		for (size_t i = 0; i < need.vn_cnt && gelf_getvernaux(needed, at, &name); i++) {
			if (name.vna_other == (number & 0x7fff))
				return elf_strptr(elf, strings, name.vna_name);
			at += name.vna_next;
		}
		if (!need.vn_next)
			break;
		offset += need.vn_next;
	}
	return NULL;
}

static void read_table(struct slots *slots, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	Elf *elf = slots->object->elf;
	Elf_Scn *linked = elf_getscn(elf, shdr->sh_link);
	Elf_Data *symbols = linked ? elf_getdata(linked, NULL) : NULL;
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Shdr table = { 0 };
	GElf_Rela rela;
	GElf_Sym sym;

	if (linked)
		gelf_getshdr(linked, &table);
	for (int i = 0; data && gelf_getrela(data, i, &rela); i++) {
		struct slot *slot = &append(slots->slots, slots->nr);

		slot->addr = rela.r_offset;
		slot->type = GELF_R_TYPE(rela.r_info);
		slot->value = rela.r_addend;
		if (!GELF_R_SYM(rela.r_info) || !symbols ||
		    !gelf_getsym(symbols, GELF_R_SYM(rela.r_info), &sym))
			continue;
		slot->value += sym.st_value;
		if (GELF_ST_TYPE(sym.st_info) != STT_SECTION) {
			const char *name = elf_strptr(elf, table.sh_link, sym.st_name);

			slot->symbol = name && *name ? name : NULL;
			slot->own = sym.st_shndx != SHN_UNDEF;
			slot->info = sym.st_info;
			if (slot->symbol && sym.st_shndx == SHN_UNDEF)
				slot->version = import_version(elf, GELF_R_SYM(rela.r_info));
		}
	}
}

static void add_relative(struct slots *slots, uint64_t addr)
{
	uint64_t value;

	if (read_word(slots->object, addr, &value))
		append(slots->slots, slots->nr) =
			(struct slot){ .addr = addr, .type = R_X86_64_RELATIVE, .value = value };
}

static void read_relr(struct slots *slots, const struct section *section)
{
	uint64_t entry, where = 0;

	for (uint64_t i = 0; i + 8 <= section->size; i += 8) {
		if (!read_word(slots->object, section->addr + i, &entry))
			return;
		if (!(entry & 1)) {
			add_relative(slots, entry);
			where = entry + 8;
			continue;
		}
		for (int bit = 0; bit < 63; bit++)
			if (entry >> (bit + 1) & 1)
				add_relative(slots, where + 8 * bit);
		where += 63 * 8;
	}
}

void slots_read(const struct object *object, struct slots *slots)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	memset(slots, 0, sizeof(*slots));
	slots->object = object;
	while ((scn = elf_nextscn(object->elf, scn)))
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA &&
		    shdr.sh_flags & SHF_ALLOC)
			read_table(slots, scn, &shdr);
	for (size_t i = 0; i < object->nr_sections; i++)
		if (object->sections[i].type == SHT_RELR)
			read_relr(slots, &object->sections[i]);
	if (slots->nr)
		qsort(slots->slots, slots->nr, sizeof(*slots->slots), compare_slots);
	for (size_t i = 0; i < object->nr_segments; i++) {
		const GElf_Phdr *segment = &object->segments[i];
		uint64_t align = segment->p_align ? segment->p_align : 1;

		if (segment->p_type == PT_TLS && object->executable)
			slots->tls_size = (segment->p_memsz + align - 1) / align * align;
	}
}

const struct slot *slot_at(const struct slots *slots, uint64_t addr)
{
	struct slot wanted = { .addr = addr };

	if (!slots->nr)
		return NULL;
	return bsearch(&wanted, slots->slots, slots->nr, sizeof(wanted), compare_slots);
}

/* "[endbr64]; [bnd] jmp *slot(%rip)" */
const struct slot *slot_of_stub(const struct slots *slots, uint64_t addr)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	const struct section *section = object_section(slots->object, addr);
	const uint8_t *bytes;
	int32_t distance;

	if (!section || strncmp(section->name, ".plt", 4) != 0)
		return NULL;
	bytes = object_at(slots->object, addr, 4);
	if (bytes && !memcmp(bytes, endbr64, sizeof(endbr64)))
		addr += sizeof(endbr64);
	bytes = object_at(slots->object, addr, 1);
	if (bytes && *bytes == 0xf2)
		addr++;
	bytes = object_at(slots->object, addr, 6);
	if (!bytes || bytes[0] != 0xff || bytes[1] != 0x25)
		return NULL;
	memcpy(&distance, bytes + 2, sizeof(distance));
	return slot_at(slots, addr + 6 + (uint64_t)(int64_t)distance);
}

bool slots_versions(const struct slots *slots, const char *name)
{
	const char *first = NULL;

	for (size_t i = 0; i < slots->nr; i++) {
		const struct slot *slot = &slots->slots[i];

		if (!slot->symbol || !slot->version || strcmp(slot->symbol, name) != 0)
			continue;
		if (first && strcmp(first, slot->version) != 0)
			return true;
		first = slot->version;
	}
	return false;
}

bool slots_pointer(const struct slots *slots, uint64_t addr, uint64_t *value)
{
	const struct slot *slot = slot_at(slots, addr);

	if (!slot)
		return read_word(slots->object, addr, value);
	*value = slot->value;
	return !slot->symbol;
}
