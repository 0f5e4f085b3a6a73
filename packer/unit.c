// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A relocatable object, taken apart into pieces.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

const char *name_version(const char *name)
{
	const char *at = *name ? strchr(name + 1, '@') : NULL;

	return at ? at + (at[1] == '@' ? 2 : 1) : NULL;
}

bool same_without_version(const char *name, const char *plain)
{
	size_t length = strlen(plain);

	return !strncmp(name, plain, length) && (!name[length] || name[length] == '@');
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

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static enum piece_kind section_kind(const struct unit_section *section)
{
	if (!(section->flags & SHF_ALLOC) || section->type == SHT_NOTE ||
	    !strcmp(section->name, "__patchable_function_entries"))
		return PIECE_OTHER;
	if (!strcmp(section->name, ".eh_frame"))
		return PIECE_FRAME;
	if (section->flags & SHF_EXECINSTR)
		return PIECE_CODE;
	if (section->flags & SHF_TLS)
		return PIECE_TLS;
	if (section->flags & SHF_MERGE && section->entsize)
		return PIECE_LITERAL;
	if (section->flags & SHF_WRITE && !starts_with(section->name, ".data.rel.ro"))
		return PIECE_DATA;
	return PIECE_CONST;
}

static bool open_unit(struct unit *unit, Elf **elf)
{
	GElf_Ehdr header;
	int fd = open(unit->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		error("%s: %s", unit->path, strerror(errno));
		return false;
	}
	elf_version(EV_CURRENT);
	*elf = elf_begin(fd, ELF_C_READ, NULL);
	if (*elf)
		elf_cntl(*elf, ELF_C_FDREAD);
	close(fd);
	if (!*elf || elf_kind(*elf) != ELF_K_ELF || !gelf_getehdr(*elf, &header)) {
		error("%s: not an ELF file", unit->path);
		return false;
	}
	if (header.e_type != ET_REL || header.e_machine != EM_X86_64 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64) {
		error("%s: not a relocatable object (.o) for x86-64", unit->path);
		return false;
	}
	return true;
}

static bool read_sections(struct unit *unit, Elf *elf)
{
	bool lto = false, code = false;
	size_t names;

	if (elf_getshdrnum(elf, &unit->nr_sections) || elf_getshdrstrndx(elf, &names)) {
		error("%s: damaged: %s", unit->path, elf_errmsg(-1));
		return false;
	}
	unit->sections = xcalloc(unit->nr_sections, sizeof(*unit->sections));
	for (size_t i = 0; i < unit->nr_sections; i++) {
		struct unit_section *section = &unit->sections[i];
		Elf_Scn *scn = elf_getscn(elf, i);
		const char *name;
		Elf_Data *data;
		GElf_Shdr shdr;

		section->name = "";
		if (!i)
			continue;
		if (!scn || !gelf_getshdr(scn, &shdr)) {
			error("%s: damaged section headers: %s", unit->path, elf_errmsg(-1));
			return false;
		}
		name = elf_strptr(elf, names, shdr.sh_name);
		section->name = name ? name : "";
		section->size = shdr.sh_size;
		section->flags = shdr.sh_flags;
		section->align = shdr.sh_addralign ? shdr.sh_addralign : 1;
		section->entsize = shdr.sh_entsize;
		section->type = shdr.sh_type;
		if (section->flags & SHF_COMPRESSED && section->flags & SHF_ALLOC) {
			error("%s: damaged: section %s is compressed", unit->path, section->name);
			return false;
		}
		if (shdr.sh_type != SHT_NOBITS) {
			data = elf_getdata(scn, NULL);
			if (data && data->d_size == shdr.sh_size)
				section->bytes = data->d_buf;
			else if (shdr.sh_size)
				section->type = SHT_NULL;
		}
		if (section->type == SHT_NULL && section->flags & SHF_ALLOC) {
			error("%s: damaged: section %s is cut off", unit->path, section->name);
			return false;
		}
		lto |= starts_with(section->name, ".gnu.lto_");
		code |= section->flags & SHF_EXECINSTR && section->size;
		if (!strcmp(section->name, ".comment") && section->bytes &&
		    memchr(section->bytes + 1, 0, section->size - 1))
			unit->compiler = (const char *)section->bytes + !section->bytes[0];
	}
	if (lto && !code) {
		error("%s: it has no machine code, the compiler makes it when it links (-flto)",
		      unit->path);
		message(MESSAGE_NOTE, "compile both versions with -fno-lto; what was inlined across files will be refused");
		return false;
	}
	return true;
}

/* What checks or counts each access has tables beside the code, made when it starts. */
static bool check_instrumented(const struct unit *unit)
{
	static const char *const marks[][2] = {
		{ "__asan_init", "-fsanitize=address" },
		{ "__hwasan_init", "-fsanitize=hwaddress" },
		{ "__tsan_init", "-fsanitize=thread" },
		{ "__msan_init", "-fsanitize=memory" },
		{ "__gcov_init", "--coverage or -fprofile-generate" },
		{ "__llvm_profile_runtime", "-fprofile-instr-generate" },
	};

	for (size_t i = 1; i < unit->nr_symbols; i++)
		for (size_t k = 0; k < sizeof(marks) / sizeof(marks[0]); k++)
			if (!strcmp(unit->symbols[i].name, marks[k][0])) {
				error("%s: it is compiled with %s: what that adds is set up when a program starts",
				      unit->path, marks[k][1]);
				message(MESSAGE_NOTE, "patches are for programs that are built without it");
				return false;
			}
	return true;
}

static bool read_symbols(struct unit *unit, Elf *elf)
{
	Elf_Data *data = NULL, *indices = NULL;
	GElf_Shdr shdr, table = { 0 };
	Elf_Scn *scn = NULL;
	Elf32_Word index;
	GElf_Sym sym;

	while ((scn = elf_nextscn(elf, scn))) {
		if (!gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_SYMTAB) {
			data = elf_getdata(scn, NULL);
			table = shdr;
		}
		if (shdr.sh_type == SHT_SYMTAB_SHNDX)
			indices = elf_getdata(scn, NULL);
	}
	if (!data) {
		error("%s: it has no symbol table", unit->path);
		return false;
	}
	unit->nr_symbols = data->d_size / sizeof(Elf64_Sym);
	unit->symbols = xcalloc(unit->nr_symbols, sizeof(*unit->symbols));
	for (size_t i = 0; i < unit->nr_symbols; i++) {
		struct unit_symbol *symbol = &unit->symbols[i];
		const char *name;

		if (!gelf_getsymshndx(data, indices, i, &sym, &index))
			goto damaged;
		name = elf_strptr(elf, table.sh_link, sym.st_name);
		if (!name)
			goto damaged;
		symbol->name = name;
		symbol->type = GELF_ST_TYPE(sym.st_info);
		symbol->bind = GELF_ST_BIND(sym.st_info);
		symbol->visibility = GELF_ST_VISIBILITY(sym.st_other);
		symbol->section = sym.st_shndx == SHN_XINDEX ? index : sym.st_shndx;
		symbol->value = sym.st_value;
		symbol->size = sym.st_size;
		if (sym.st_shndx == SHN_ABS)
			symbol->absolute = true;
		else if (sym.st_shndx != SHN_COMMON && symbol->section >= unit->nr_sections)
			goto damaged;
		if (symbol->type == STT_FILE && *name && !unit->file)
			unit->file = name;
	}
	return true;

damaged:
	error("%s: damaged symbol table", unit->path);
	return false;
}

static struct piece *add_piece(struct unit *unit, size_t index, enum piece_kind kind,
			       uint64_t start, uint64_t size)
{
	struct unit_section *section = &unit->sections[index];
	struct piece *piece = xcalloc(1, sizeof(*piece));

	piece->unit = unit;
	piece->kind = kind;
	piece->name = section->name;
	piece->section = index;
	piece->start = start;
	piece->size = size;
	piece->align = section->align;
	/* A piece is not aligned better than its place allows. */
	while (piece->align > 1 && start & (piece->align - 1))
		piece->align >>= 1;
	piece->bytes = section->bytes ? section->bytes + start : NULL;
	piece->writable = section->flags & SHF_WRITE;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	append(section->pieces, section->nr_pieces) = piece;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	append(unit->pieces, unit->nr_pieces) = piece;
	return piece;
}

static bool is_named(const struct unit_symbol *symbol)
{
	switch (symbol->type) {
	case STT_NOTYPE:
	case STT_OBJECT:
	case STT_FUNC:
	case STT_TLS:
	case STT_GNU_IFUNC:
		return *symbol->name && !symbol->absolute;
	default:
		return false;
	}
}

static int compare_symbols(const void *a, const void *b)
{
	const struct unit_symbol *left = *(struct unit_symbol *const *)a;
	const struct unit_symbol *right = *(struct unit_symbol *const *)b;

	if (left->value != right->value)
		return left->value < right->value ? -1 : 1;
	if (left->size != right->size)
		return left->size > right->size ? -1 : 1;
	if ((left->bind == STB_LOCAL) != (right->bind == STB_LOCAL))
		return left->bind == STB_LOCAL ? 1 : -1;
	return left < right ? -1 : left > right;
}

/* What no symbol covers: nops between functions are nothing, data may be something. */
static void add_gap(struct unit *unit, size_t index, enum piece_kind kind, uint64_t start,
		    uint64_t end)
{
	const struct unit_section *section = &unit->sections[index];
	bool something = !section->nr_pieces && start == 0 && end == section->size;

	if (start >= end || kind == PIECE_CODE)
		return;
	for (uint64_t i = start; i < end && section->bytes && !something; i++)
		something = section->bytes[i];
	if (something)
		add_piece(unit, index, kind == PIECE_CONST ? PIECE_ANONYMOUS : kind, start,
			  end - start);
}

/*
 * By which C++ enters a virtual function with another object pointer.  The assembler
 * has put its jump to the function, in whose section it is, in place: it belongs to it.
 */
static bool is_thunk(const struct unit_symbol *symbol)
{
	return !strncmp(symbol->name, "_ZTh", 4) || !strncmp(symbol->name, "_ZTv", 4) ||
	       !strncmp(symbol->name, "_ZTc", 4);
}

struct unit_symbol *piece_thunk(const struct piece *piece, int64_t at)
{
	struct unit *unit = piece->unit;

	for (size_t i = 1; i < unit->nr_symbols && at; i++)
		if (unit->symbols[i].piece == piece && is_thunk(&unit->symbols[i]) &&
		    unit->symbols[i].value == piece->start + (uint64_t)at)
			return &unit->symbols[i];
	return NULL;
}

/* Where the thunks of a function end, else @end. */
static uint64_t behind_thunks(const struct unit_section *section, struct unit_symbol **symbols,
			      size_t nr, uint64_t end)
{
	size_t i = 0;

	while (i < nr && is_thunk(symbols[i]))
		i++;
	if (!i)
		return end;
	return i < nr && symbols[i]->value < section->size ? symbols[i]->value : section->size;
}

static void split_at_symbols(struct unit *unit, size_t index, enum piece_kind kind,
			     struct unit_symbol **symbols, size_t nr)
{
	const struct unit_section *section = &unit->sections[index];
	uint64_t end = 0, size;
	size_t functions = 0;

	for (size_t i = 0; i < nr; i++) {
		struct unit_symbol *symbol = symbols[i];
		struct piece *piece;

		if (symbol->value > section->size || symbol->value < end ||
		    (symbol->value == section->size && section->size))
			continue;	/* inside of the one before, or the end */
		add_gap(unit, index, kind, end, symbol->value);
		size = symbol->size;
		if (!size || size > section->size - symbol->value) {
			size_t next = i + 1;

			while (next < nr && symbols[next]->value == symbol->value)
				next++;
			size = (next < nr && symbols[next]->value < section->size ?
				symbols[next]->value : section->size) - symbol->value;
		}
		if (kind == PIECE_CODE && !is_thunk(symbol)) {
			size_t next = i + 1;

			while (next < nr && symbols[next]->value == symbol->value)
				next++;
			size = behind_thunks(section, symbols + next, nr - next,
					     symbol->value + size) - symbol->value;
		}
		piece = add_piece(unit, index, kind, symbol->value, size);
		piece->symbol = symbol;
		piece->name = symbol->name;
		end = symbol->value + size;
		functions++;
		/* Empty variables: others may begin at the same place. */
		while (!size && i + 1 < nr && symbols[i + 1]->value == symbol->value)
			i++;
	}
	add_gap(unit, index, kind, end, section->size);
	if (kind == PIECE_CODE && functions > 1)
		for (size_t i = 0; i < section->nr_pieces; i++)
			section->pieces[i]->joined = true;
}

/* Strings end with a zero character, all else has one size. */
static void split_literals(struct unit *unit, size_t index)
{
	const struct unit_section *section = &unit->sections[index];
	static const uint8_t zero[8];
	uint64_t start = 0, end;

	while (start < section->size) {
		end = start + section->entsize;
		if (section->flags & SHF_STRINGS && section->entsize <= sizeof(zero) &&
		    section->bytes)
			while (end < section->size &&
			       memcmp(section->bytes + end - section->entsize, zero,
				      section->entsize) != 0)
				end += section->entsize;
		if (end > section->size)
			end = section->size;
		add_piece(unit, index, PIECE_LITERAL, start, end - start);
		start = end;
	}
}

static bool split_frames(struct unit *unit, size_t index)
{
	const struct unit_section *section = &unit->sections[index];
	uint32_t length;

	for (uint64_t at = 0; at + 4 <= section->size; at += 4 + (uint64_t)length) {
		memcpy(&length, section->bytes + at, sizeof(length));
		if (length > section->size - at - 4 || (length && length < 4)) {
			error("%s: damaged: .eh_frame", unit->path);
			return false;
		}
		if (length)
			add_piece(unit, index, PIECE_FRAME, at, 4 + (uint64_t)length);
	}
	return true;
}

static bool split_section(struct unit *unit, size_t index)
{
	const struct unit_section *section = &unit->sections[index];
	enum piece_kind kind = section_kind(section);
	struct unit_symbol **symbols = NULL;
	size_t nr = 0;

	switch (kind) {
	case PIECE_OTHER:
		return true;
	case PIECE_FRAME:
		return split_frames(unit, index);
	case PIECE_LITERAL:
		split_literals(unit, index);
		return true;
	default:
		for (size_t i = 1; i < unit->nr_symbols; i++)
			if (unit->symbols[i].section == index && is_named(&unit->symbols[i]))
				/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
				append(symbols, nr) = &unit->symbols[i];
		if (nr)
			qsort(symbols, nr, sizeof(struct unit_symbol *), compare_symbols);
		split_at_symbols(unit, index, kind, symbols, nr);
		free(symbols);
		return true;
	}
}

/* -fcommon: variables that have no section yet */
static void add_common(struct unit *unit)
{
	for (size_t i = 1; i < unit->nr_symbols; i++) {
		struct unit_symbol *symbol = &unit->symbols[i];
		struct piece *piece;

		if (symbol->section != SHN_COMMON || symbol->absolute)
			continue;
		piece = add_piece(unit, 0, symbol->type == STT_TLS ? PIECE_TLS : PIECE_DATA, 0,
				  symbol->size);
		piece->symbol = symbol;
		piece->name = symbol->name;
		piece->align = symbol->value ? symbol->value : 1;
		piece->writable = true;
		symbol->piece = piece;
		symbol->value = 0;
	}
}

/* The piece with byte @at of a section, or else the last one before it. */
static struct piece *piece_at(const struct unit_section *section, int64_t at)
{
	size_t low = 0, high = section->nr_pieces;

	if (!high)
		return NULL;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if ((int64_t)section->pieces[middle]->start <= at)
			low = middle;
		else
			high = middle;
	}
	return section->pieces[low];
}

static void place_symbols(struct unit *unit)
{
	for (size_t i = 1; i < unit->nr_symbols; i++) {
		struct unit_symbol *symbol = &unit->symbols[i];

		if (symbol->section != SHN_UNDEF && symbol->section < unit->nr_sections &&
		    !symbol->absolute && symbol->type != STT_SECTION && symbol->type != STT_FILE)
			symbol->piece = piece_at(&unit->sections[symbol->section],
						 (int64_t)symbol->value);
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

static bool read_references(struct unit *unit, Elf *elf)
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

struct unit_symbol *unit_symbol_named(const struct unit *unit, const char *name)
{
	for (size_t i = 1; i < unit->nr_symbols; i++)
		if (!strcmp(unit->symbols[i].name, name) && unit->symbols[i].type != STT_FILE &&
		    unit->symbols[i].type != STT_SECTION)
			return &unit->symbols[i];
	return NULL;
}

bool unit_read(const char *path, const char *name, struct unit *unit)
{
	Elf *elf;

	memset(unit, 0, sizeof(*unit));
	unit->path = path;
	unit->name = name;
	if (!path)
		return true;
	if (!open_unit(unit, &elf) || !read_sections(unit, elf) || !read_symbols(unit, elf) ||
	    !check_instrumented(unit))
		return false;
	for (size_t i = 1; i < unit->nr_sections; i++)
		if (!split_section(unit, i))
			return false;
	place_symbols(unit);
	add_common(unit);
	return read_references(unit, elf);
}
