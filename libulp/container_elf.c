// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The ELF object that a container is: its segments, its two sections of ours.
 *
 * Read by hand rather than through libelf: only four structures of it matter
 * here, all of it is hostile, and what is not exactly as expected is refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"

#define PAGE	4096ULL
#define MAX_PHDRS	256

/* Not a damaged patch but another kind of file: a wildcard passes over it. */
#define not_a_patch(patch, format, ...) \
	ulp_err((patch)->ctx, -ULP_E_NOT_PATCH, "%s: " format, (patch)->path, ##__VA_ARGS__)

static int check_header(struct ulp_patch *patch, const Elf64_Ehdr *header)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return not_a_patch(patch, "not an ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_ident[EI_VERSION] != EV_CURRENT || header->e_machine != EM_X86_64)
		return not_a_patch(patch, "not an ELF file for x86-64");
	if (header->e_type != ET_DYN)
		return not_a_patch(patch, "not a shared object (ELF type %u)", header->e_type);
	if (header->e_phentsize != sizeof(Elf64_Phdr) || !header->e_phnum ||
	    header->e_phnum > MAX_PHDRS ||
	    !ulp_within(header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr),
			patch->size))
		return ulp_patch_bad(patch, "damaged: program headers are outside the file");
	if (header->e_shentsize != sizeof(Elf64_Shdr) || !header->e_shnum ||
	    header->e_shnum >= SHN_LORESERVE || header->e_shstrndx >= header->e_shnum ||
	    !ulp_within(header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr),
			patch->size))
		return ulp_patch_bad(patch, "damaged: section headers are outside the file");
	return 0;
}

static void section_header(const struct ulp_patch *patch, const Elf64_Ehdr *header, unsigned int i,
			   Elf64_Shdr *out)
{
	memcpy(out, patch->data + header->e_shoff + i * sizeof(*out), sizeof(*out));
}

static int find_sections(struct ulp_patch *patch, const Elf64_Ehdr *header, struct ulp_part *ulp,
			 struct ulp_part *revert)
{
	static const struct {
		const char *name;
		size_t length;	/* with the NUL */
	} ours[] = {
		{ ULP_SECTION, sizeof(ULP_SECTION) },
		{ ULP_SECTION_REVERT, sizeof(ULP_SECTION_REVERT) },
	};
	struct ulp_part *parts[] = { ulp, revert };
	bool found[] = { false, false };
	Elf64_Shdr names, section;

	section_header(patch, header, header->e_shstrndx, &names);
	if (names.sh_type != SHT_STRTAB || !ulp_within(names.sh_offset, names.sh_size, patch->size))
		return ulp_patch_bad(patch, "damaged: section names are outside the file");
	for (unsigned int i = 1; i < header->e_shnum; i++) {
		section_header(patch, header, i, &section);
		if (section.sh_type == SHT_NOBITS || section.sh_name >= names.sh_size)
			continue;
		for (unsigned int j = 0; j < 2; j++) {
			if (ours[j].length > names.sh_size - section.sh_name ||
			    memcmp(patch->data + names.sh_offset + section.sh_name, ours[j].name,
				   ours[j].length) != 0)
				continue;
			if (found[j])
				return ulp_patch_bad(patch, "damaged: two sections %s",
						     ours[j].name);
			if (!ulp_within(section.sh_offset, section.sh_size, patch->size))
				return ulp_patch_bad(patch, "damaged: section %s is cut off",
						     ours[j].name);
			found[j] = true;
			parts[j]->offset = section.sh_offset;
			parts[j]->size = section.sh_size;
		}
	}
	if (!found[0] && !found[1])
		return not_a_patch(patch,
				   "no live patch: it has no section %s; make one with ulp-packer",
				   ULP_SECTION);
	for (unsigned int j = 0; j < 2; j++)
		if (!found[j])
			return ulp_patch_bad(patch, "damaged: it has no section %s", ours[j].name);
	return 0;
}

/* Code that lands, or cleans up, when an exception passes has tables for it. */
static bool has_except_table(const struct ulp_patch *patch, const Elf64_Ehdr *header)
{
	static const char name[] = ".gcc_except_table";
	Elf64_Shdr names, section;

	section_header(patch, header, header->e_shstrndx, &names);
	for (unsigned int i = 1; i < header->e_shnum; i++) {
		section_header(patch, header, i, &section);
		/* .gcc_except_table.FUNCTION as well */
		if (section.sh_size && section.sh_name < names.sh_size &&
		    sizeof(name) <= names.sh_size - section.sh_name &&
		    !memcmp(patch->data + names.sh_offset + section.sh_name, name,
			    sizeof(name) - 1))
			return true;
	}
	return false;
}

/* One PT_LOAD; they are ascending, and no page belongs to two of them. */
static int add_segment(struct ulp_patch *patch, const Elf64_Phdr *load)
{
	struct ulp_patch_segment *segment = &patch->segments[patch->nr_segments];
	uint64_t end;

	if (load->p_filesz > load->p_memsz ||
	    !ulp_within(load->p_offset, load->p_filesz, patch->size))
		return ulp_patch_bad(patch, "damaged: a segment is outside the file");
	if (!ulp_within(load->p_vaddr, load->p_memsz, ULP_IMAGE_MAX))
		return ulp_patch_bad(patch, "its segments need more than %llu MiB",
				     ULP_IMAGE_MAX >> 20);
	if ((load->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
		return ulp_patch_bad(patch, "a segment is writable and executable");
	if (load->p_align & (load->p_align - 1) ||
	    (load->p_vaddr ^ load->p_offset) & (PAGE - 1))
		return ulp_patch_bad(patch, "damaged: alignment of a segment");
	if (load->p_vaddr / PAGE * PAGE < patch->image_size)
		return ulp_patch_bad(patch, "its segments overlap or are not in ascending order");
	end = load->p_vaddr + load->p_memsz;
	patch->image_size = (end + PAGE - 1) / PAGE * PAGE;
	segment->vaddr = load->p_vaddr;
	segment->filesz = load->p_filesz;
	segment->memsz = load->p_memsz;
	segment->offset = load->p_offset;
	segment->align = load->p_align;
	segment->flags = load->p_flags & (PF_R | PF_W | PF_X);
	patch->nr_segments++;
	return 0;
}

/* Where the program headers are in memory, if a segment has them. */
static void find_program_headers(struct ulp_patch *patch, const Elf64_Ehdr *header)
{
	uint64_t size = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);

	for (size_t i = 0; i < patch->nr_segments; i++) {
		const struct ulp_patch_segment *segment = &patch->segments[i];

		if (segment->flags & PF_W ||
		    !ulp_between(header->e_phoff, size, segment->offset,
				 segment->offset + segment->filesz))
			continue;
		patch->phdrs = segment->vaddr + (header->e_phoff - segment->offset);
		patch->nr_phdrs = header->e_phnum;
		return;
	}
}

static int read_segments(struct ulp_patch *patch, const Elf64_Ehdr *header)
{
	const struct ulp_patch_segment *segment;
	Elf64_Phdr phdr, dynamic = { 0 }, relro = { 0 }, unwind = { 0 };
	int err;

	patch->segments = calloc(header->e_phnum, sizeof(*patch->segments));
	if (!patch->segments)
		return ulp_err(patch->ctx, -ENOMEM, "%s: out of memory", patch->path);
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		memcpy(&phdr, patch->data + header->e_phoff + i * sizeof(phdr), sizeof(phdr));
		switch (phdr.p_type) {
		case PT_LOAD:
			if (!phdr.p_memsz)
				break;
			err = add_segment(patch, &phdr);
			if (err)
				return err;
			break;
		case PT_DYNAMIC:
			dynamic = phdr;
			break;
		case PT_GNU_RELRO:
			relro = phdr;
			break;
		case PT_GNU_EH_FRAME:
			unwind = phdr;
			break;
		case PT_TLS:
			if (phdr.p_memsz)
				return ulp_patch_bad(patch,
						     "it defines thread-local variables of its own");
			break;
		}
	}
	if (dynamic.p_memsz) {
		if (!ulp_patch_at(patch, dynamic.p_vaddr, dynamic.p_memsz))
			return ulp_patch_bad(patch, "damaged: PT_DYNAMIC is in no segment");
		patch->dynamic = dynamic.p_vaddr;
		patch->dynamic_size = dynamic.p_memsz;
	}
	if (unwind.p_memsz) {
		if (!ulp_patch_at(patch, unwind.p_vaddr, unwind.p_memsz))
			return ulp_patch_bad(patch, "damaged: PT_GNU_EH_FRAME is in no segment");
		patch->unwind = unwind.p_vaddr;
	}
	find_program_headers(patch, header);
	if (relro.p_memsz) {
		segment = ulp_patch_segment(patch, relro.p_vaddr, 1);
		/* The linker may round the end up to the page behind the data. */
		if (!segment || !(segment->flags & PF_W) ||
		    !ulp_between(relro.p_vaddr, relro.p_memsz, segment->vaddr,
				 (segment->vaddr + segment->memsz + PAGE - 1) / PAGE * PAGE))
			return ulp_patch_bad(patch,
					     "damaged: PT_GNU_RELRO is in no writable segment");
		patch->relro_start = relro.p_vaddr;
		patch->relro_end = relro.p_vaddr + relro.p_memsz;
	}
	return 0;
}

int ulp_patch_read_elf(struct ulp_patch *patch, struct ulp_part *ulp, struct ulp_part *revert)
{
	Elf64_Ehdr header;
	int err;

	if (patch->size < sizeof(header))
		return not_a_patch(patch, "not an ELF file: only %zu bytes", patch->size);
	memcpy(&header, patch->data, sizeof(header));
	err = check_header(patch, &header);
	if (err)
		return err;
	err = find_sections(patch, &header, ulp, revert);
	if (err)
		return err;
	patch->handles_exceptions = has_except_table(patch, &header);
	return read_segments(patch, &header);
}

const struct ulp_patch_segment *ulp_patch_segment(const struct ulp_patch *patch,
						  uint64_t vaddr, uint64_t length)
{
	for (size_t i = 0; i < patch->nr_segments; i++) {
		const struct ulp_patch_segment *segment = &patch->segments[i];

		if (ulp_between(vaddr, length, segment->vaddr, segment->vaddr + segment->memsz))
			return segment;
	}
	return NULL;
}

const void *ulp_patch_at(const struct ulp_patch *patch, uint64_t vaddr, uint64_t length)
{
	const struct ulp_patch_segment *segment = ulp_patch_segment(patch, vaddr, length);

	if (!segment || !ulp_within(vaddr - segment->vaddr, length, segment->filesz))
		return NULL;
	return patch->data + segment->offset + (vaddr - segment->vaddr);
}
