// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A relocatable object: its sections and symbols.  pieces.c takes it apart, references.c
 * adds what the pieces refer to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

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

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
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
	return unit_split(unit) && unit_read_references(unit, elf);
}
