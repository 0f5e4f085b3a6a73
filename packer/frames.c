// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The extents of functions as .eh_frame has them: known even for stripped files.
 */
#include <elfutils/libdw.h>
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"

/* How the CIE says that addresses in its FDEs are written; absent: absolute. */
static uint8_t encoding_of(const Dwarf_CIE *cie)
{
	const uint8_t *data = cie->augmentation_data;
	const char *augmentation = cie->augmentation;
	size_t left = cie->augmentation_data_size;

	if (!augmentation || *augmentation++ != 'z')
		return DW_EH_PE_absptr;
	for (; *augmentation && left; augmentation++) {
		size_t skip = 1;

		if (*augmentation == 'R')
			return *data;
		if (*augmentation == 'P') {
			switch (*data & 7) {
			case DW_EH_PE_udata2:
				skip += 2;
				break;
			case DW_EH_PE_udata4:
				skip += 4;
				break;
			default:
				skip += 8;
			}
		} else if (*augmentation == 'S' || *augmentation == 'B') {
			skip = 0;	/* flags without data */
		}
		if (skip > left)
			break;
		data += skip;
		left -= skip;
	}
	return DW_EH_PE_absptr;
}

/* One value of an FDE; @at is its address, for relative ones. */
static bool read_value(const uint8_t **pos, const uint8_t *end, uint8_t encoding, uint64_t at,
		       uint64_t *value)
{
	size_t size = (encoding & 7) == DW_EH_PE_udata4 ? 4 :
		      (encoding & 7) == DW_EH_PE_udata2 ? 2 : 8;
	uint64_t raw = 0;

	if (encoding == DW_EH_PE_omit || (encoding & 7) == DW_EH_PE_uleb128 ||
	    (size_t)(end - *pos) < size)
		return false;
	memcpy(&raw, *pos, size);
	if (encoding & DW_EH_PE_signed && size < 8)
		raw = (uint64_t)((int64_t)(raw << (64 - 8 * size)) >> (64 - 8 * size));
	switch (encoding & 0x70) {
	case DW_EH_PE_absptr:
		break;
	case DW_EH_PE_pcrel:
		raw += at;
		break;
	default:
		return false;
	}
	*pos += size;
	*value = raw;
	return true;
}

static int compare_extents(const void *a, const void *b)
{
	const struct extent *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->end < right->end ? -1 : left->end > right->end;
}

static void add_frame(struct object *object, const Elf_Data *data, uint64_t base,
		      const Dwarf_FDE *fde, const Dwarf_CIE *cie)
{
	uint8_t encoding = encoding_of(cie);
	const uint8_t *pos = fde->start;
	uint64_t start, length;

	if (!read_value(&pos, fde->end, encoding,
			base + (uint64_t)(pos - (const uint8_t *)data->d_buf), &start) ||
	    !read_value(&pos, fde->end, encoding & 0x0f, 0, &length))
		return;
	if (length && object_at(object, start, length))
		append(object->frames, object->nr_frames) = (struct extent){ start,
									     start + length };
}

static void read_section(struct object *object, Elf_Scn *scn, uint64_t base)
{
	const unsigned char *ident = object->header.e_ident;
	Elf_Data *data = elf_rawdata(scn, NULL);
	Dwarf_CFI_Entry entry, cie;
	Dwarf_Off offset = 0, next, unused;

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
		qsort(object->frames, object->nr_frames, sizeof(*object->frames), compare_extents);
}

const struct extent *frame_at(const struct object *object, uint64_t addr)
{
	size_t low = 0, high = object->nr_frames;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (object->frames[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < object->nr_frames && extent_has(object->frames[low], addr))
		return &object->frames[low];
	return NULL;
}
