// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * All code of an object, decoded once: where it branches to, what is padding,
 * and which addresses of code are kept in data.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "packer.h"

static bool is_padding(const ZydisDecodedInstruction *insn, const uint8_t *bytes)
{
	return insn->mnemonic == ZYDIS_MNEMONIC_NOP || insn->mnemonic == ZYDIS_MNEMONIC_INT3 ||
	       (insn->length == 2 && bytes[0] == 0x66 && bytes[1] == 0x90);
}

/* Nothing runs on behind it.  A call may return, whatever it is said to do. */
static bool is_end(const ZydisDecodedInstruction *insn)
{
	return insn->meta.category == ZYDIS_CATEGORY_RET ||
	       insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
	       insn->mnemonic == ZYDIS_MNEMONIC_UD2 || insn->mnemonic == ZYDIS_MNEMONIC_HLT;
}

unsigned int code_instruction(const struct object *object, uint64_t addr, bool *padding)
{
	ZydisDecodedInstruction insn;
	const uint8_t *bytes = NULL;
	size_t size;

	for (size = ZYDIS_MAX_INSTRUCTION_LENGTH; size && !bytes; size--)
		bytes = object_at(object, addr, size);
	if (!bytes || !decode(bytes, size + 1, &insn))
		return 0;
	*padding = is_padding(&insn, bytes);
	return insn.length;
}

static int compare_addresses(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static int compare_branches(const void *a, const void *b)
{
	const struct branch *left = a, *right = b;

	if (left->target != right->target)
		return left->target < right->target ? -1 : 1;
	return left->source < right->source ? -1 : left->source > right->source;
}

/* Where an instruction must start: what symbols and frames say. */
static uint64_t *find_starts(const struct object *object, size_t *nr)
{
	uint64_t *starts = NULL;

	*nr = 0;
	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (symbol->defined && symbol->type != STT_TLS &&
		    extent_has(object->text, symbol->value))
			append(starts, *nr) = symbol->value;
	}
	for (size_t i = 0; i < object->nr_frames; i++)
		append(starts, *nr) = object->frames[i].code.start;
	if (*nr)
		qsort(starts, *nr, sizeof(*starts), compare_addresses);
	return starts;
}

static void add_pointer(struct code *code, uint64_t addr)
{
	if (extent_has(code->object->text, addr))
		append(code->pointers, code->nr_pointers) = addr;
}

/* gcc's list of patchable entries: nobody jumps through it. */
static bool is_entry_list(const struct section *section)
{
	return section && !strcmp(section->name, "__patchable_function_entries");
}

/* What an instruction refers to: a branch, or an address of code that it takes. */
static void add_instruction(struct code *code, uint64_t addr, const ZydisDecodedInstruction *insn)
{
	uint64_t next = addr + insn->length;

	if (insn->raw.imm[0].size && insn->raw.imm[0].is_relative)
		append(code->branches, code->nr_branches) = (struct branch){
			next + (uint64_t)insn->raw.imm[0].value.s, addr,
			insn->meta.category == ZYDIS_CATEGORY_CALL
		};
	else if (insn->raw.imm[0].size == 32 && code->object->header.e_type == ET_EXEC)
		add_pointer(code, (uint32_t)insn->raw.imm[0].value.u);
	if (insn->mnemonic == ZYDIS_MNEMONIC_LEA && !insn->raw.modrm.mod && insn->raw.modrm.rm == 5)
		add_pointer(code, next + (uint64_t)insn->raw.disp.value);
}

/*
 * Linear, but set right at every known start: tables in between that are
 * not code cannot hide what follows.
 */
static void decode_section(struct code *code, const struct section *section,
			   const uint64_t *starts, size_t nr_starts)
{
	const uint8_t *bytes = object_at(code->object, section->addr, section->size);
	struct extent padding = { 0, 0 };
	ZydisDecodedInstruction insn;
	uint64_t pos = 0, next;
	bool reached = true;
	size_t start = 0;

	if (!bytes)
		return;
	for (; pos < section->size; pos = next) {
		uint64_t addr = section->addr + pos;

		while (start < nr_starts && starts[start] < addr)
			start++;
		if (start < nr_starts && starts[start] == addr) {
			reached = true;
			start++;
		}
		next = pos + 1;
		if (!decode(bytes + pos, section->size - pos, &insn)) {
			reached = true;
			continue;
		}
		if (start < nr_starts && starts[start] < addr + insn.length)
			next = starts[start] - section->addr;
		else
			next = pos + insn.length;
		if (!reached && is_padding(&insn, bytes + pos)) {
			if (padding.end != addr)
				padding = (struct extent){ addr, addr };
			else
				code->nr_paddings--;
			padding.end = section->addr + next;
			append(code->paddings, code->nr_paddings) = padding;
			continue;
		}
		add_instruction(code, addr, &insn);
		reached = !is_end(&insn);
	}
}

static void read_relocations(struct code *code, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	Elf_Data *symbols, *data = elf_getdata(scn, NULL);
	GElf_Rela rela;
	GElf_Sym sym;

	symbols = elf_getdata(elf_getscn(code->object->elf, shdr->sh_link), NULL);
	for (int i = 0; data && gelf_getrela(data, i, &rela); i++) {
		uint64_t value = rela.r_addend;

		if (is_entry_list(object_section(code->object, rela.r_offset)))
			continue;
		if (GELF_R_SYM(rela.r_info) && symbols &&
		    gelf_getsym(symbols, GELF_R_SYM(rela.r_info), &sym))
			value += sym.st_value;
		add_pointer(code, value);
	}
}

static void add_word(struct code *code, uint64_t addr)
{
	const uint8_t *bytes = object_at(code->object, addr, sizeof(uint64_t));
	uint64_t word;

	if (bytes) {
		memcpy(&word, bytes, sizeof(word));
		add_pointer(code, word);
	}
}

/* Packed relative relocations: an address, then bitmaps of the 63 words behind. */
static void read_relr(struct code *code, const struct section *section)
{
	const uint8_t *bytes = object_at(code->object, section->addr, section->size);
	uint64_t entry, where = 0;

	for (uint64_t i = 0; bytes && i + 8 <= section->size; i += 8) {
		memcpy(&entry, bytes + i, sizeof(entry));
		if (!(entry & 1)) {
			add_word(code, entry);
			where = entry + 8;
			continue;
		}
		for (int bit = 0; bit < 63; bit++)
			if (entry >> (bit + 1) & 1)
				add_word(code, where + 8 * bit);
		where += 63 * 8;
	}
}

/* Data that may hold addresses of code. */
static void find_pointers(struct code *code)
{
	const struct object *object = code->object;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(object->elf, scn)))
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA &&
		    shdr.sh_flags & SHF_ALLOC)
			read_relocations(code, scn, &shdr);
	for (size_t i = 0; i < object->nr_sections; i++) {
		const struct section *section = &object->sections[i];

		if (section->type == SHT_RELR)
			read_relr(code, section);
		/* Without relocations: whatever looks like one. */
		if (object->header.e_type != ET_EXEC || section->type == SHT_NOBITS ||
		    !(section->flags & SHF_ALLOC) || section->flags & SHF_EXECINSTR ||
		    is_entry_list(section))
			continue;
		for (uint64_t at = (section->addr + 7) & ~7ULL;
		     at - section->addr + 8 <= section->size; at += 8)
			add_word(code, at);
	}
	add_pointer(code, object->header.e_entry);
}

void code_read(const struct object *object, struct code *code)
{
	uint64_t *starts;
	size_t nr_starts;

	memset(code, 0, sizeof(*code));
	code->object = object;
	starts = find_starts(object, &nr_starts);
	for (size_t i = 0; i < object->nr_sections; i++) {
		const struct section *section = &object->sections[i];

		if (section->flags & SHF_EXECINSTR && section->type == SHT_PROGBITS)
			decode_section(code, section, starts, nr_starts);
	}
	free(starts);
	find_pointers(code);
	if (code->nr_branches)
		qsort(code->branches, code->nr_branches, sizeof(*code->branches),
		      compare_branches);
	if (code->nr_pointers)
		qsort(code->pointers, code->nr_pointers, sizeof(*code->pointers),
		      compare_addresses);
}

const struct branch *code_branch_into(const struct code *code, struct extent extent,
				      size_t *index)
{
	size_t low = *index, high = code->nr_branches;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (code->branches[middle].target < extent.start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low >= code->nr_branches || code->branches[low].target >= extent.end)
		return NULL;
	*index = low + 1;
	return &code->branches[low];
}

const char *code_entered(const struct code *code, struct extent extent)
{
	const struct object *object = code->object;
	const struct branch *branch;
	size_t index = 0;

	branch = code_branch_into(code, extent, &index);
	if (branch)
		return xasprintf("the code at 0x%lx %s 0x%lx", branch->source,
				 branch->call ? "calls" : "jumps to", branch->target);
	for (size_t i = 0; i < object->nr_symbols; i++)
		if (object->symbols[i].defined && object->symbols[i].type != STT_TLS &&
		    extent_has(extent, object->symbols[i].value))
			return xasprintf("'%s' begins at 0x%lx", object->symbols[i].name,
					 object->symbols[i].value);
	for (size_t i = 0; i < object->nr_frames; i++)
		if (extent_has(extent, object->frames[i].code.start))
			return xasprintf("another function begins at 0x%lx",
					 object->frames[i].code.start);
	for (size_t i = 0; i < code->nr_pointers; i++)
		if (extent_has(extent, code->pointers[i]))
			return xasprintf("the object keeps the address 0x%lx",
					 code->pointers[i]);
	return NULL;
}

/* Offsets from the table's own address: as gcc and clang make them for PIC. */
static uint64_t table_entry_into(const struct object *object, uint64_t table,
				 const struct extent *ranges, size_t nr_ranges,
				 struct extent extent)
{
	const uint8_t *bytes;
	int32_t offset;

	for (uint64_t at = table; (bytes = object_at(object, at, sizeof(offset))); at += 4) {
		uint64_t target;
		size_t i;

		memcpy(&offset, bytes, sizeof(offset));
		target = table + (uint64_t)(int64_t)offset;
		if (extent_has(extent, target))
			return at;
		for (i = 0; i < nr_ranges && !extent_has(ranges[i], target); i++)
			;
		if (i == nr_ranges)
			break;
	}
	return 0;
}

uint64_t code_table_into(const struct object *object, const struct extent *ranges,
			 size_t nr_ranges, struct extent extent)
{
	ZydisDecodedInstruction insn;

	for (size_t i = 0; i < nr_ranges; i++) {
		uint64_t size = ranges[i].end - ranges[i].start, pos, table, found;
		const uint8_t *bytes = object_at(object, ranges[i].start, size);

		for (pos = 0; bytes && pos < size; pos += insn.length) {
			if (!decode(bytes + pos, size - pos, &insn)) {
				insn.length = 1;
				continue;
			}
			if (insn.mnemonic != ZYDIS_MNEMONIC_LEA || insn.raw.modrm.mod ||
			    insn.raw.modrm.rm != 5)
				continue;
			table = ranges[i].start + pos + insn.length + (uint64_t)insn.raw.disp.value;
			found = table_entry_into(object, table, ranges, nr_ranges, extent);
			if (found)
				return found;
		}
	}
	return 0;
}
