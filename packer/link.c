// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The patch as a shared object: laid out, its fields filled, written as ELF.
 *
 * Addresses are offsets in the file.  Three segments: what is only read, code,
 * and what relocations or the code itself write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#define PAGE	4096ULL

enum segment_part {
	PART_NONE, PART_DYNSYM, PART_DYNSTR, PART_RELA, PART_RODATA, PART_EXCEPT, PART_FRAME,
	PART_FRAME_HDR, PART_PLT, PART_TEXT, PART_RELRO, PART_GOT, PART_DYNAMIC, PART_DATA,
	PART_BSS, PART_SYMTAB, PART_STRTAB, PART_NAMES, NR_PARTS
};

static const struct {
	const char *name;
	uint32_t type, flags, link;
	uint64_t align, entsize;
} parts[NR_PARTS] = {
	[PART_DYNSYM]	 = { ".dynsym", SHT_DYNSYM, SHF_ALLOC, PART_DYNSTR, 8, 24 },
	[PART_DYNSTR]	 = { ".dynstr", SHT_STRTAB, SHF_ALLOC, 0, 1, 0 },
	[PART_RELA]	 = { ".rela.dyn", SHT_RELA, SHF_ALLOC, PART_DYNSYM, 8, 24 },
	[PART_RODATA]	 = { ".rodata", SHT_PROGBITS, SHF_ALLOC, 0, 16, 0 },
	[PART_EXCEPT]	 = { ".gcc_except_table", SHT_PROGBITS, SHF_ALLOC, 0, 4, 0 },
	[PART_FRAME]	 = { ".eh_frame", SHT_PROGBITS, SHF_ALLOC, 0, 8, 0 },
	[PART_FRAME_HDR] = { ".eh_frame_hdr", SHT_PROGBITS, SHF_ALLOC, 0, 4, 0 },
	[PART_PLT]	 = { ".plt", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0, 16, 16 },
	[PART_TEXT]	 = { ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0, 16, 0 },
	[PART_RELRO]	 = { ".data.rel.ro", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 0, 16, 0 },
	[PART_GOT]	 = { ".got", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 0, 16, 8 },
	[PART_DYNAMIC]	 = { ".dynamic", SHT_DYNAMIC, SHF_ALLOC | SHF_WRITE, PART_DYNSTR, 8, 16 },
	[PART_DATA]	 = { ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 0, 16, 0 },
	[PART_BSS]	 = { ".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 0, 16, 0 },
	[PART_SYMTAB]	 = { ".symtab", SHT_SYMTAB, 0, PART_STRTAB, 8, 24 },
	[PART_STRTAB]	 = { ".strtab", SHT_STRTAB, 0, 0, 1, 0 },
	[PART_NAMES]	 = { ".shstrtab", SHT_STRTAB, 0, 0, 1, 0 },
};

struct layout {
	struct patch *patch;
	struct fields fields;
	struct { uint64_t start, size, align; } parts[NR_PARTS];
	char *names[NR_PARTS];		/* contents of the string tables */
	uint32_t name_of[NR_PARTS];	/* of each section */
	Elf64_Sym *symbols;		/* .symtab */
	size_t nr_symbols, nr_frames;
};

static bool needs_relocation(const struct piece *piece)
{
	for (size_t i = 0; i < piece->nr_references; i++)
		if (piece->references[i].type == R_X86_64_64)
			return true;
	return false;
}

static enum segment_part part_of(const struct piece *piece)
{
	const char *section = piece->unit->sections[piece->section].name;

	switch (piece->kind) {
	case PIECE_CODE:
		return PART_TEXT;
	case PIECE_FRAME:
		return PART_FRAME;
	case PIECE_DATA:
		if (!strncmp(piece->name, "DW.ref.", 7))
			return PART_RELRO;
		return piece->bytes ? PART_DATA : PART_BSS;
	default:
		if (!strncmp(section, ".gcc_except_table", 17) && !needs_relocation(piece))
			return PART_EXCEPT;
		return needs_relocation(piece) ? PART_RELRO : PART_RODATA;
	}
}

/* As in ELF, 0 and 1 mean anywhere. */
static uint64_t align_up(uint64_t value, uint64_t align)
{
	return align > 1 ? (value + align - 1) / align * align : value;
}

/* A string table; returns where @text went. */
static uint32_t add_string(struct layout *layout, enum segment_part part, const char *text)
{
	size_t size = strlen(text) + 1, at = layout->parts[part].size;
	char *more;

	if (!at)
		at = 1;
	more = xcalloc(1, at + size);
	if (layout->parts[part].size)
		memcpy(more, layout->names[part], layout->parts[part].size);
	memcpy(more + at, text, size);
	free(layout->names[part]);
	layout->names[part] = more;
	layout->parts[part].size = at + size;
	return at;
}

/* Offsets in their parts, for the time being. */
static void arrange_pieces(struct layout *layout)
{
	struct piece *piece;

	for_each_patch_piece(layout->patch, piece) {
		enum segment_part part = part_of(piece);
		uint64_t align = part == PART_FRAME ? 1 : piece->align;

		/* As the compiler aligns functions. */
		if (part == PART_TEXT && align < 16)
			align = 16;
		if (align > layout->parts[part].align)
			layout->parts[part].align = align;
		piece->writable = part == PART_RELRO || part == PART_DATA;
		piece->value = align_up(layout->parts[part].size, align);
		layout->parts[part].size = piece->value + piece->size;
		layout->nr_frames += part == PART_FRAME && piece->parent;
	}
	if (layout->parts[PART_FRAME].size)
		layout->parts[PART_FRAME].size += 4;	/* the end */
}

#define NR_SEGMENTS	7
#define NR_DYNAMIC	8

static void size_parts(struct layout *layout)
{
	const struct fields *fields = &layout->fields;

	layout->parts[PART_DYNSYM].size = (fields->nr_imports + 1) * sizeof(Elf64_Sym);
	add_string(layout, PART_DYNSTR, "");
	layout->parts[PART_RELA].size = fields->nr_relas * sizeof(Elf64_Rela);
	if (layout->nr_frames)
		layout->parts[PART_FRAME_HDR].size = 12 + 8 * layout->nr_frames;
	layout->parts[PART_PLT].size = fields->nr_stubs * STUB_SIZE;
	layout->parts[PART_GOT].size = fields->got_size;
	layout->parts[PART_DYNAMIC].size = NR_DYNAMIC * sizeof(Elf64_Dyn);
}

/* Addresses of all parts that are loaded; returns the end. */
static uint64_t arrange_parts(struct layout *layout)
{
	uint64_t at = sizeof(Elf64_Ehdr) + NR_SEGMENTS * sizeof(Elf64_Phdr);

	for (int i = PART_DYNSYM; i <= PART_BSS; i++) {
		uint64_t align = layout->parts[i].align;

		if (align < parts[i].align)
			align = parts[i].align;
		if (i == PART_PLT || i == PART_RELRO)
			at = align_up(at, PAGE);
		if (i == PART_DATA && layout->parts[PART_DATA].size + layout->parts[PART_BSS].size)
			at = align_up(at, PAGE);
		at = align_up(at, align);
		layout->parts[i].start = at;
		layout->parts[i].align = align;
		at += layout->parts[i].size;
	}
	return at;
}

static void place_all(struct layout *layout)
{
	struct fields *fields = &layout->fields;
	uint64_t slot = layout->parts[PART_GOT].start, stub = layout->parts[PART_PLT].start;
	struct piece *piece;

	for_each_patch_piece(layout->patch, piece)
		piece->value += layout->parts[part_of(piece)].start;
	for (size_t i = 0; i < fields->nr_needs; i++) {
		struct need *need = &fields->needs[i];

		need->slot = slot;
		slot += need->type == R_X86_64_DTPMOD64 || need->type == R_X86_64_DTPOFF64 ||
			need->type == R_X86_64_TLSDESC ? 16 : 8;
		if (need->type != R_X86_64_JUMP_SLOT)
			continue;
		need->stub = stub;
		stub += STUB_SIZE;
	}
}

static int compare_entries(const void *a, const void *b)
{
	const int32_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* The search table of the unwind tables. */
static void write_frame_hdr(struct layout *layout, uint8_t *image)
{
	uint64_t start = layout->parts[PART_FRAME_HDR].start;
	static const uint8_t encodings[] = { 1, 0x1b, 0x03, 0x3b };
	int32_t (*table)[2] = xcalloc(layout->nr_frames, sizeof(*table));
	uint32_t header[2] = { layout->parts[PART_FRAME].start - (start + 4), 0 };
	const struct piece *frame;

	for_each_patch_piece(layout->patch, frame) {
		const struct reference *code = frame->references;

		if (frame->kind != PIECE_FRAME || !frame->parent)
			continue;
		table[header[1]][0] = (int32_t)(code->piece->value + (uint64_t)code->addend -
						start);
		table[header[1]++][1] = (int32_t)(frame->value - start);
	}
	if (layout->nr_frames) {
		qsort(table, layout->nr_frames, sizeof(*table), compare_entries);
		memcpy(image + start, encodings, sizeof(encodings));
		memcpy(image + start + 4, header, sizeof(header));
		memcpy(image + start + 12, table, layout->nr_frames * sizeof(*table));
	}
	free(table);
}

static void write_dynamic(struct layout *layout, uint8_t *image)
{
	const struct fields *fields = &layout->fields;
	const Elf64_Dyn dynamic[NR_DYNAMIC] = {
		{ DT_SYMTAB, { layout->parts[PART_DYNSYM].start } },
		{ DT_SYMENT, { sizeof(Elf64_Sym) } },
		{ DT_STRTAB, { layout->parts[PART_DYNSTR].start } },
		{ DT_STRSZ, { layout->parts[PART_DYNSTR].size } },
		{ DT_RELA, { layout->parts[PART_RELA].start } },
		{ DT_RELASZ, { layout->parts[PART_RELA].size } },
		{ DT_RELAENT, { sizeof(Elf64_Rela) } },
		{ DT_NULL, { 0 } },
	};

	memcpy(image + layout->parts[PART_DYNAMIC].start, dynamic, sizeof(dynamic));
	if (fields->nr_relas)
		memcpy(image + layout->parts[PART_RELA].start, fields->relas,
		       fields->nr_relas * sizeof(Elf64_Rela));
}

static void write_imports(struct layout *layout, uint8_t *image, const uint32_t *names)
{
	const struct fields *fields = &layout->fields;

	for (size_t i = 0; i < fields->nr_imports; i++) {
		Elf64_Sym sym = {
			.st_name = names[i],
			.st_info = ELF64_ST_INFO(fields->weak[i] ? STB_WEAK : STB_GLOBAL,
						 STT_NOTYPE),
		};

		memcpy(image + layout->parts[PART_DYNSYM].start + (i + 1) * sizeof(sym), &sym,
		       sizeof(sym));
	}
}

/* For debuggers and people. */
static void add_symbols(struct layout *layout)
{
	const struct piece *piece;

	append(layout->symbols, layout->nr_symbols) = (Elf64_Sym){ 0 };
	for_each_patch_piece(layout->patch, piece) {
		if (!piece->symbol)
			continue;
		append(layout->symbols, layout->nr_symbols) = (Elf64_Sym){
			.st_name = add_string(layout, PART_STRTAB, piece->name),
			.st_info = ELF64_ST_INFO(STB_LOCAL, piece->kind == PIECE_CODE ? STT_FUNC :
						 STT_OBJECT),
			.st_shndx = part_of(piece),
			.st_value = piece->value,
			.st_size = piece->size,
		};
	}
	layout->parts[PART_SYMTAB].size = layout->nr_symbols * sizeof(Elf64_Sym);
}

static Elf64_Phdr segment(const struct layout *layout, uint32_t type, uint32_t flags,
			  enum segment_part first, enum segment_part last)
{
	uint64_t start = first == PART_NONE ? 0 : layout->parts[first].start;
	uint64_t end = layout->parts[last].start + layout->parts[last].size;
	/* What is zero has no place in the file. */
	uint64_t bss = layout->parts[PART_BSS].start;

	return (Elf64_Phdr){
		.p_type = type, .p_flags = flags, .p_offset = start, .p_vaddr = start,
		.p_paddr = start, .p_memsz = end - start,
		.p_filesz = last == PART_BSS ? bss - start : end - start,
		.p_align = type == PT_LOAD ? PAGE : 8,
	};
}

static void write_headers(struct layout *layout, uint8_t *image, uint64_t sections)
{
	Elf64_Phdr segments[NR_SEGMENTS] = {
		segment(layout, PT_LOAD, PF_R, PART_NONE, PART_FRAME_HDR),
		segment(layout, PT_LOAD, PF_R | PF_X, PART_PLT, PART_TEXT),
		segment(layout, PT_LOAD, PF_R | PF_W, PART_RELRO, PART_BSS),
		segment(layout, PT_DYNAMIC, PF_R | PF_W, PART_DYNAMIC, PART_DYNAMIC),
		segment(layout, PT_GNU_RELRO, PF_R, PART_RELRO, PART_DYNAMIC),
		segment(layout, PT_GNU_EH_FRAME, PF_R, PART_FRAME_HDR, PART_FRAME_HDR),
		{ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16 },
	};
	Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_phoff = sizeof(header), .e_shoff = sections,
		.e_ehsize = sizeof(header), .e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = NR_SEGMENTS, .e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = NR_PARTS, .e_shstrndx = PART_NAMES,
	};

	segments[4].p_memsz = align_up(segments[4].p_memsz, PAGE);
	if (!layout->nr_frames)
		segments[5].p_type = PT_NULL;
	memcpy(image, &header, sizeof(header));
	memcpy(image + sizeof(header), segments, sizeof(segments));
}

static void write_sections(struct layout *layout, uint8_t *image, uint64_t at)
{
	for (int i = PART_DYNSYM; i < NR_PARTS; i++) {
		Elf64_Shdr shdr = {
			.sh_name = layout->name_of[i],
			.sh_type = parts[i].type,
			.sh_flags = parts[i].flags,
			.sh_addr = parts[i].flags & SHF_ALLOC ? layout->parts[i].start : 0,
			.sh_offset = layout->parts[i].start,
			.sh_size = layout->parts[i].size,
			.sh_link = parts[i].link,
			.sh_info = i == PART_SYMTAB ? layout->nr_symbols : i == PART_DYNSYM,
			.sh_addralign = layout->parts[i].align ? layout->parts[i].align :
								 parts[i].align,
			.sh_entsize = parts[i].entsize,
		};

		memcpy(image + at + i * sizeof(shdr), &shdr, sizeof(shdr));
	}
}

static bool write_file(const uint8_t *image, uint64_t size, int *fd)
{
	uint64_t done = 0;

	*fd = memfd_create("ulp-packer", MFD_CLOEXEC);
	while (*fd >= 0 && done < size) {
		ssize_t n = write(*fd, image + done, size - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? n : 0;
	}
	if (*fd >= 0 && done == size)
		return true;
	error("cannot write the patch: %s", strerror(errno));
	return false;
}

bool link_patch(struct patch *patch, int *fd, struct fixup **fixups, size_t *nr_fixups)
{
	struct layout layout = { .patch = patch, .fields = { .patch = patch } };
	struct fields *fields = &layout.fields;
	uint64_t end, at;
	uint32_t *names;

	arrange_pieces(&layout);
	if (!fields_fill(fields))
		return false;
	size_parts(&layout);
	names = xcalloc(fields->nr_imports, sizeof(*names));
	for (size_t i = 0; i < fields->nr_imports; i++)
		names[i] = add_string(&layout, PART_DYNSTR, fields->imports[i]);
	end = arrange_parts(&layout);
	if (end >= INT32_MAX) {
		error("the patch is larger than 2 GiB");
		return false;
	}
	place_all(&layout);
	add_symbols(&layout);
	for (int i = PART_DYNSYM; i < NR_PARTS; i++)
		layout.name_of[i] = add_string(&layout, PART_NAMES, parts[i].name);
	at = layout.parts[PART_BSS].start;
	for (int i = PART_SYMTAB; i < NR_PARTS; i++) {
		at = align_up(at, parts[i].align);
		layout.parts[i].start = at;
		at += layout.parts[i].size;
	}
	at = align_up(at, 8);
	/* What is behind the data in the file, or else in memory. */
	fields->image = xcalloc(1, at + NR_PARTS * sizeof(Elf64_Shdr) +
				layout.parts[PART_BSS].size);
	if (!fields_fill(fields))
		return false;
	write_frame_hdr(&layout, fields->image);
	write_dynamic(&layout, fields->image);
	write_imports(&layout, fields->image, names);
	memcpy(fields->image + layout.parts[PART_SYMTAB].start, layout.symbols,
	       layout.parts[PART_SYMTAB].size);
	memcpy(fields->image + layout.parts[PART_DYNSTR].start, layout.names[PART_DYNSTR],
	       layout.parts[PART_DYNSTR].size);
	for (int i = PART_STRTAB; i < NR_PARTS; i++)
		if (layout.parts[i].size)
			memcpy(fields->image + layout.parts[i].start, layout.names[i],
			       layout.parts[i].size);
	write_headers(&layout, fields->image, at);
	write_sections(&layout, fields->image, at);
	*fixups = fields->fixups;
	*nr_fixups = fields->nr_fixups;
	return write_file(fields->image, at + NR_PARTS * sizeof(Elf64_Shdr), fd);
}
