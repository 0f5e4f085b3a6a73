// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The extents of functions as .eh_frame has them: known even for stripped files.
 */
#include <elfutils/libdw.h>
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"

/* How the CIE says that numbers in its FDEs are written. */
struct encodings {
	uint8_t addresses, lsda;
	bool sized;			/* the FDEs have augmentation data, too */
};

static struct encodings encodings_of(const Dwarf_CIE *cie)
{
	struct encodings out = { DW_EH_PE_absptr, DW_EH_PE_omit, false };
	const char *augmentation = cie->augmentation;
	struct cursor data = { cie->augmentation_data,
			       cie->augmentation_data + cie->augmentation_data_size, 0 };
	uint8_t encoding;
	uint64_t ignored;

	if (!augmentation || *augmentation++ != 'z')
		return out;
	out.sized = true;
	for (; *augmentation; augmentation++) {
		if (!strchr("RLP", *augmentation))
			continue;	/* a flag without data */
		if (data.pos == data.end)
			break;
		encoding = *data.pos++;
		if (*augmentation == 'R')
			out.addresses = encoding;
		else if (*augmentation == 'L')
			out.lsda = encoding;
		else if (!read_encoded(&data, encoding & 0x0f, &ignored))
			break;		/* the personality's address */
	}
	return out;
}

static int compare_frames(const void *a, const void *b)
{
	const struct frame *left = a, *right = b;

	if (left->code.start != right->code.start)
		return left->code.start < right->code.start ? -1 : 1;
	return left->code.end < right->code.end ? -1 : left->code.end > right->code.end;
}

static void add_frame(struct object *object, const Elf_Data *data, uint64_t base,
		      const Dwarf_FDE *fde, const Dwarf_CIE *cie)
{
	struct encodings encodings = encodings_of(cie);
	struct cursor cursor = { fde->start, fde->end,
				 base + (fde->start - (const uint8_t *)data->d_buf) };
	struct frame frame = { { 0, 0 }, 0 };
	uint64_t length;

	if (!read_encoded(&cursor, encodings.addresses, &frame.code.start) ||
	    !read_encoded(&cursor, encodings.addresses & 0x0f, &length) || !length ||
	    !object_at(object, frame.code.start, length))
		return;
	frame.code.end = frame.code.start + length;
	if (encodings.sized && read_uleb(&cursor, &length) && length)
		read_encoded(&cursor, encodings.lsda, &frame.lsda);
	append(object->frames, object->nr_frames) = frame;
}

static void read_section(struct object *object, Elf_Scn *scn, uint64_t base)
{
	const unsigned char *ident = object->header.e_ident;
	Elf_Data *data = elf_rawdata(scn, NULL);
	Dwarf_Off offset = 0, next, unused;
	Dwarf_CFI_Entry entry, cie;

	while (data && !dwarf_next_cfi(ident, data, true, offset, &next, &entry)) {
		offset = next;
		if (dwarf_cfi_cie_p(&entry))
			continue;
		if (!dwarf_next_cfi(ident, data, true, entry.fde.CIE_pointer, &unused, &cie) &&
		    dwarf_cfi_cie_p(&cie))
			add_frame(object, data, base, &entry.fde, &cie.cie);
	}
}

void frames_read(struct object *object)
{
	size_t names;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	if (elf_getshdrstrndx(object->elf, &names))
		return;
	while ((scn = elf_nextscn(object->elf, scn))) {
		const char *name;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(object->elf, names, shdr.sh_name);
		if (name && !strcmp(name, ".eh_frame"))
			read_section(object, scn, shdr.sh_addr);
	}
	if (object->nr_frames)
		qsort(object->frames, object->nr_frames, sizeof(*object->frames), compare_frames);
}

const struct frame *frame_at(const struct object *object, uint64_t addr)
{
	size_t low = 0, high = object->nr_frames;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (object->frames[middle].code.end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < object->nr_frames && extent_has(object->frames[low].code, addr))
		return &object->frames[low];
	return NULL;
}
