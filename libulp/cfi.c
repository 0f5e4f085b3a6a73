// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Call frame information of a target: .eh_frame, found by PT_GNU_EH_FRAME and
 * its search table, all read from the target's memory.
 *
 * The tables are a hostile process's: every length is checked, nothing is
 * allocated by what they say, and what is not understood is an error.  libdw,
 * which unit/test_cfi.c compares the results with, aborts on some of them and
 * takes gigabytes for others.
 */
#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cfi_program.h"
#include "object.h"

#define TABLE_MAX	(8 * 1024 * 1024)	/* entries of a search table */
#define PHDRS_MAX	64		/* of an image */

/* An entry of the search table: offsets from the header it is in. */
struct search_entry {
	int32_t pc, fde;
};

/**
 * struct module - one object or image
 * @start: lowest address
 * @end: behind its highest
 * @header: address of .eh_frame_hdr, 0 if there is none
 * @read: @table was read, or found to be unusable
 * @nr: of @table
 * @table: ascending, if it is what it should be
 */
struct module {
	uint64_t start, end, header;
	bool read;
	size_t nr;
	struct search_entry *table;
};

struct ulp_cfi {
	const struct ulp_target *target;
	size_t nr;
	struct module *modules;
	struct ulp_cfi_entry cie, fde;
};

/* ---- where the tables are ---- */

static void add_module(struct ulp_cfi *cfi, uint64_t start, uint64_t end, uint64_t header)
{
	cfi->modules[cfi->nr++] = (struct module){ .start = start, .end = end, .header = header };
}

/* An image is a container's segments: its ELF header is at container address 0. */
static uint64_t image_frames(const struct ulp_target *target, const struct ulp_record *record)
{
	uint64_t at = record->bias, found = 0;
	Elf64_Phdr phdrs[PHDRS_MAX];
	Elf64_Ehdr header;

	if (at < record->image_start || at >= record->image_end ||
	    ulp_memory_read(target, at, &header, sizeof(header)) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > PHDRS_MAX ||
	    header.e_phoff > record->image_end - at ||
	    ulp_memory_read(target, at + header.e_phoff, phdrs,
			    header.e_phnum * sizeof(Elf64_Phdr)))
		return 0;
	for (size_t i = 0; i < header.e_phnum; i++)
		if (phdrs[i].p_type == PT_GNU_EH_FRAME)
			found = at + phdrs[i].p_vaddr;
	return found >= record->image_start && found < record->image_end ? found : 0;
}

struct ulp_cfi *ulp_cfi_new(const struct ulp_target *target)
{
	const struct ulp_record_list *records = target->records;
	size_t images = records ? records->nr : 0;
	struct ulp_cfi *cfi = calloc(1, sizeof(*cfi));

	if (!cfi)
		return NULL;
	cfi->target = target;
	cfi->modules = calloc(target->nr_objects + images + 1, sizeof(*cfi->modules));
	if (!cfi->modules) {
		free(cfi);
		return NULL;
	}
	for (size_t i = 0; i < target->nr_objects; i++)
		add_module(cfi, target->objects[i].start, target->objects[i].end,
			   target->objects[i].frames);
	for (size_t i = 0; i < images; i++) {
		const struct ulp_record *record = records->found[i].record;

		add_module(cfi, record->image_start, record->image_end,
			   image_frames(target, record));
	}
	return cfi;
}

void ulp_cfi_free(struct ulp_cfi *cfi)
{
	if (!cfi)
		return;
	for (size_t i = 0; i < cfi->nr; i++)
		free(cfi->modules[i].table);
	free(cfi->modules);
	free(cfi);
}

/* The search table, in the one form that linkers make. */
static int read_table(struct ulp_cfi *cfi, struct module *module)
{
	uint8_t head[4 + 8 + 4];
	struct ulp_bytes bytes = { .at = head + 4, .end = head + sizeof(head) };
	uint64_t nr, at;
	int err;

	if (module->read || !module->header)
		return module->table ? 0 : -ENOENT;
	module->read = true;
	if (ulp_memory_read(cfi->target, module->header, head, sizeof(head)) || head[0] != 1 ||
	    head[2] != DW_EH_PE_udata4 || head[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4))
		return -ENOENT;
	ulp_bytes_encoded(&bytes, head[1], 0, 0);
	nr = ulp_bytes_fixed(&bytes, 4);
	at = module->header + (uint64_t)(bytes.at - head);
	if (bytes.bad || !nr || nr > TABLE_MAX || at >= module->end ||
	    nr > (module->end - at) / sizeof(*module->table))
		return -ENOENT;
	module->table = malloc(nr * sizeof(*module->table));
	if (!module->table)
		return -ENOMEM;
	err = ulp_memory_read(cfi->target, at, module->table, nr * sizeof(*module->table));
	if (err) {
		free(module->table);
		module->table = NULL;
		return -ENOENT;
	}
	module->nr = nr;
	return 0;
}

/* Address of the FDE that may cover @pc, 0 none. */
static uint64_t search(const struct module *module, uint64_t pc)
{
	int64_t offset = (int64_t)(pc - module->header);
	size_t low = 0, high = module->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (module->table[middle].pc <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? module->header + (uint64_t)(int64_t)module->table[low - 1].fde : 0;
}

/* ---- CIE and FDE ---- */

static int read_entry(struct ulp_cfi *cfi, const struct module *module, uint64_t addr,
		      struct ulp_cfi_entry *entry)
{
	uint32_t length;

	if (addr < module->start || addr > module->end - sizeof(length) ||
	    ulp_memory_read(cfi->target, addr, &length, sizeof(length)))
		return -EINVAL;
	entry->addr = addr + sizeof(length);
	/* The 64-bit form begins with ~0. */
	if (length < sizeof(length) || length > sizeof(entry->bytes) ||
	    length > module->end - entry->addr ||
	    ulp_memory_read(cfi->target, entry->addr, entry->bytes, length))
		return -EINVAL;
	entry->size = length;
	return 0;
}

static struct ulp_bytes entry_bytes(const struct ulp_cfi_entry *entry)
{
	return (struct ulp_bytes){ .at = entry->bytes, .end = entry->bytes + entry->size };
}

/* "zPLRSB", in any order behind the z; its data is at @bytes. */
static bool augmentation(const char *letters, const struct ulp_cfi_entry *cie,
			 struct ulp_bytes *bytes, struct ulp_cfi_common *common)
{
	struct ulp_bytes data;
	uint64_t size;

	if (!*letters)
		return true;
	if (*letters++ != 'z')
		return false;
	common->sized = true;
	size = ulp_bytes_uleb(bytes);
	if (bytes->bad || size > (uint64_t)(bytes->end - bytes->at))
		return false;
	data = (struct ulp_bytes){ .at = bytes->at, .end = bytes->at + size };
	bytes->at += size;
	for (; *letters; letters++) {
		uint8_t encoding;

		switch (*letters) {
		case 'R':
			common->encoding = (uint8_t)ulp_bytes_fixed(&data, 1);
			break;
		case 'L':
			ulp_bytes_fixed(&data, 1);
			break;
		case 'P':
			encoding = (uint8_t)ulp_bytes_fixed(&data, 1);
			ulp_bytes_encoded(&data, encoding & ~DW_EH_PE_indirect,
					  ulp_cfi_addr(cie, &data), 0);
			break;
		case 'S':
			common->signal = true;
			break;
		default:
			return false;
		}
	}
	return !data.bad;
}

static bool read_cie(const struct ulp_cfi_entry *cie, struct ulp_cfi_common *common)
{
	struct ulp_bytes bytes = entry_bytes(cie);
	uint64_t version, reg;
	const char *letters;

	memset(common, 0, sizeof(*common));
	if (ulp_bytes_fixed(&bytes, 4))
		return false;
	version = ulp_bytes_fixed(&bytes, 1);
	letters = (const char *)bytes.at;
	while (ulp_bytes_fixed(&bytes, 1))
		;
	common->code_factor = ulp_bytes_uleb(&bytes);
	common->data_factor = (uint64_t)ulp_bytes_sleb(&bytes);
	reg = version == 1 ? ulp_bytes_fixed(&bytes, 1) : ulp_bytes_uleb(&bytes);
	if (bytes.bad || (version != 1 && version != 3) || reg != ULP_DW_RA ||
	    !augmentation(letters, cie, &bytes, common))
		return false;
	common->program = bytes;
	return true;
}

static int find_row(struct ulp_cfi *cfi, struct module *module, uint64_t pc,
		    struct ulp_cfi_row *row)
{
	struct ulp_bytes bytes;
	struct ulp_cfi_common common;
	uint64_t offset, at, size;

	at = search(module, pc);
	if (!at)
		return -ENOENT;
	if (read_entry(cfi, module, at, &cfi->fde))
		return -EINVAL;
	bytes = entry_bytes(&cfi->fde);
	offset = ulp_bytes_fixed(&bytes, 4);
	if (!offset || read_entry(cfi, module, cfi->fde.addr - offset, &cfi->cie) ||
	    !read_cie(&cfi->cie, &common))
		return -EINVAL;

	row->start = ulp_bytes_encoded(&bytes, common.encoding, ulp_cfi_addr(&cfi->fde, &bytes),
				       module->header);
	size = ulp_bytes_encoded(&bytes, common.encoding & 0x0f, 0, 0);
	if (bytes.bad)
		return -EINVAL;
	if (pc < row->start || pc - row->start >= size)
		return -ENOENT;
	if (common.sized) {
		size = ulp_bytes_uleb(&bytes);
		if (bytes.bad || size > (uint64_t)(bytes.end - bytes.at))
			return -EINVAL;
		bytes.at += size;
	}

	row->signal = common.signal;
	return ulp_cfi_run(&common, &cfi->cie, &cfi->fde, bytes, pc, row) ? 0 : -EINVAL;
}

int ulp_cfi_find(struct ulp_cfi *cfi, uint64_t pc, struct ulp_cfi_row *row)
{
	int err;

	memset(row, 0, sizeof(*row));
	for (size_t i = 0; i < cfi->nr; i++) {
		struct module *module = &cfi->modules[i];

		if (pc < module->start || pc >= module->end)
			continue;
		err = read_table(cfi, module);
		return err ? err : find_row(cfi, module, pc, row);
	}
	return -ENOENT;
}
