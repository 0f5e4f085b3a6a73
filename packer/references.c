// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the pieces of a relocatable object refer to: its relocations.
 */
#include <stdlib.h>

#include "unit.h"

static const struct {
	const char *name;
	unsigned int size;
} types[] = {
	[R_X86_64_64] = { "R_X86_64_64", 8 },
	[R_X86_64_PC32] = { "R_X86_64_PC32", 4 },
	[R_X86_64_PLT32] = { "R_X86_64_PLT32", 4 },
	[R_X86_64_GOTPCREL] = { "R_X86_64_GOTPCREL", 4 },
	[R_X86_64_32] = { "R_X86_64_32", 4 },
	[R_X86_64_32S] = { "R_X86_64_32S", 4 },
	[R_X86_64_TLSGD] = { "R_X86_64_TLSGD", 4 },
	[R_X86_64_TLSLD] = { "R_X86_64_TLSLD", 4 },
	[R_X86_64_DTPOFF32] = { "R_X86_64_DTPOFF32", 4 },
	[R_X86_64_DTPOFF64] = { "R_X86_64_DTPOFF64", 8 },
	[R_X86_64_GOTTPOFF] = { "R_X86_64_GOTTPOFF", 4 },
	[R_X86_64_TPOFF32] = { "R_X86_64_TPOFF32", 4 },
	[R_X86_64_TPOFF64] = { "R_X86_64_TPOFF64", 8 },
	[R_X86_64_PC64] = { "R_X86_64_PC64", 8 },
	[R_X86_64_GOTOFF64] = { "R_X86_64_GOTOFF64", 8 },
	[R_X86_64_GOTPC32] = { "R_X86_64_GOTPC32", 4 },
	[R_X86_64_GOTPC64] = { "R_X86_64_GOTPC64", 8 },
	[R_X86_64_PLTOFF64] = { "R_X86_64_PLTOFF64", 8 },
	[R_X86_64_GOTPC32_TLSDESC] = { "R_X86_64_GOTPC32_TLSDESC", 4 },
	[R_X86_64_TLSDESC_CALL] = { "R_X86_64_TLSDESC_CALL", 0 },
	[R_X86_64_GOTPCRELX] = { "R_X86_64_GOTPCRELX", 4 },
	[R_X86_64_REX_GOTPCRELX] = { "R_X86_64_REX_GOTPCRELX", 4 },
};

#define NR_TYPES	(sizeof(types) / sizeof(types[0]))

unsigned int reference_size(uint32_t type)
{
	return type < NR_TYPES ? types[type].size : 0;
}

const char *reference_name(uint32_t type)
{
	if (type < NR_TYPES && types[type].name)
		return types[type].name;
	return xasprintf("of type %u", type);
}

/* Counted from the end of the instruction. */
static bool is_relative(uint32_t type)
{
	switch (type) {
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
	case R_X86_64_GOTTPOFF:
	case R_X86_64_TLSGD:
	case R_X86_64_TLSLD:
	case R_X86_64_GOTPC32_TLSDESC:
		return true;
	default:
		return false;
	}
}

static bool add_reference(struct unit *unit, const GElf_Rela *rela,
			  const struct unit_section *section, uint32_t *const *ends)
{
	struct piece *piece = piece_at(section, (int64_t)rela->r_offset);
	size_t index = GELF_R_SYM(rela->r_info);
	struct unit_symbol *symbol;
	struct reference *reference;
	int64_t from, to;

	if (!piece || rela->r_offset - piece->start >= piece->size)
		return true;	/* nops between functions */
	if (index >= unit->nr_symbols) {
		error("%s: damaged relocations of %s", unit->path, section->name);
		return false;
	}
	symbol = &unit->symbols[index];
	reference = &append(piece->references, piece->nr_references);
	reference->offset = rela->r_offset - piece->start;
	reference->type = GELF_R_TYPE(rela->r_info);
	from = (int64_t)symbol->value + rela->r_addend;
	to = from;
	if (is_relative(reference->type) && *ends)
		to += (*ends)[rela->r_offset] - (int64_t)rela->r_offset;
	if (symbol->piece)
		reference->piece = symbol->piece;
	else if (symbol->section != SHN_UNDEF && symbol->section < unit->nr_sections)
		reference->piece = piece_at(&unit->sections[symbol->section], to);
	if (reference->piece) {
		from -= (int64_t)reference->piece->start;
		to -= (int64_t)reference->piece->start;
	}
	if (symbol->type != STT_SECTION)
		reference->symbol = symbol;
	reference->addend = from;
	reference->to = to;
	return true;
}

static int compare_references(const void *a, const void *b)
{
	const struct reference *left = a, *right = b;

	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* For each byte of a code section the end of its instruction. */
static uint32_t *section_ends(const struct unit_section *section)
{
	uint32_t *ends = xcalloc(section->size, sizeof(*ends));

	for (size_t i = 0; i < section->size; i++)
		ends[i] = i + 4;	/* where no code is known */
	for (size_t i = 0; i < section->nr_pieces; i++) {
		const struct piece *piece = section->pieces[i];

		insn_ends(piece->bytes, piece->size, piece->start, ends + piece->start);
	}
	return ends;
}

bool unit_read_references(struct unit *unit, Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Rela rela;

	while ((scn = elf_nextscn(elf, scn))) {
		struct unit_section *section;
		uint32_t *ends = NULL;
		Elf_Data *data;
		bool good = true;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_RELA ||
		    !shdr.sh_info || shdr.sh_info >= unit->nr_sections)
			continue;
		section = &unit->sections[shdr.sh_info];
		if (!section->nr_pieces)
			continue;
		if (section->flags & SHF_EXECINSTR && section->bytes)
			ends = section_ends(section);
		data = elf_getdata(scn, NULL);
		for (int i = 0; data && good && gelf_getrela(data, i, &rela); i++) {
			good = rela.r_offset < section->size;
			if (!good)
				error("%s: damaged relocations of %s", unit->path, section->name);
			good = good && add_reference(unit, &rela, section, &ends);
		}
		free(ends);
		if (!good)
			return false;
		for (size_t i = 0; i < section->nr_pieces; i++)
			if (section->pieces[i]->nr_references)
				qsort(section->pieces[i]->references,
				      section->pieces[i]->nr_references,
				      sizeof(struct reference), compare_references);
	}
	return true;
}
