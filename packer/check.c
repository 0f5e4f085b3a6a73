// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a target or a patch may not be, found before anybody tries to apply it.
 */
#include <inttypes.h>
#include <string.h>

#include "packer.h"

bool check_target(const struct object *target)
{
	if (target->header.e_type != ET_DYN && target->header.e_type != ET_EXEC) {
		error("%s: the target is neither an executable nor a shared library", target->path);
		return false;
	}
	if (!target->build_id_size) {
		error("%s: the target has no build-id, by which processes are known to have it",
		      target->path);
		message(MESSAGE_NOTE, "link it with -Wl,--build-id");
		return false;
	}
	if (target->text.start >= target->text.end) {
		error("%s: the target has no code", target->path);
		return false;
	}
	return true;
}

static const char *relocation_name(uint32_t type)
{
	switch (type) {
	case R_X86_64_COPY:
		return "R_X86_64_COPY, a copy of a variable";
	case R_X86_64_IRELATIVE:
		return "R_X86_64_IRELATIVE, a function of the patch chosen at run time";
	case R_X86_64_32:
	case R_X86_64_32S:
	case R_X86_64_PC32:
		return "of 32 bits; compile the patch with -fPIC";
	default:
		return NULL;
	}
}

static bool relocation_allowed(uint32_t type)
{
	switch (type) {
	case R_X86_64_NONE:
	case R_X86_64_RELATIVE:
	case R_X86_64_64:
	case R_X86_64_GLOB_DAT:
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_DTPMOD64:
	case R_X86_64_DTPOFF64:
	case R_X86_64_TPOFF64:
	case R_X86_64_TLSDESC:
		return true;
	default:
		return false;
	}
}

static bool check_relocation(const struct object *patch, const GElf_Rela *rela,
			     Elf_Data *symbols, size_t strings)
{
	uint32_t type = GELF_R_TYPE(rela->r_info);
	const char *about = relocation_name(type);
	GElf_Sym sym;

	if (!relocation_allowed(type)) {
		if (about)
			error("%s: relocation at 0x%lx is %s", patch->path, rela->r_offset, about);
		else
			error("%s: relocation at 0x%lx has type %u, which is not supported",
			      patch->path, rela->r_offset, type);
		return false;
	}
	if (symbols && GELF_R_SYM(rela->r_info) &&
	    gelf_getsym(symbols, GELF_R_SYM(rela->r_info), &sym) &&
	    sym.st_shndx != SHN_UNDEF && GELF_ST_TYPE(sym.st_info) == STT_GNU_IFUNC) {
		const char *name = elf_strptr(patch->elf, strings, sym.st_name);

		error("%s: its function '%s' is chosen at run time (IFUNC): not in a patch",
		      patch->path, name ? name : "?");
		return false;
	}
	return true;
}

static bool check_relocations(const struct object *patch)
{
	GElf_Shdr shdr, table = { 0 };
	Elf_Scn *scn = NULL;
	bool good = true;
	GElf_Rela rela;

	if (patch->dynamic_flags & DF_TEXTREL) {
		error("%s: it has relocations in its code; compile it with -fPIC", patch->path);
		return false;
	}
	while ((scn = elf_nextscn(patch->elf, scn))) {
		Elf_Data *data, *symbols = NULL;
		Elf_Scn *linked;

		if (!gelf_getshdr(scn, &shdr) || !(shdr.sh_flags & SHF_ALLOC))
			continue;
		if (shdr.sh_type == SHT_RELR || shdr.sh_type == SHT_REL) {
			error("%s: packed relocations; link it with -Wl,-z,nopack-relative-relocs",
			      patch->path);
			return false;
		}
		if (shdr.sh_type != SHT_RELA)
			continue;
		data = elf_getdata(scn, NULL);
		linked = elf_getscn(patch->elf, shdr.sh_link);
		if (linked && gelf_getshdr(linked, &table) && table.sh_type == SHT_DYNSYM)
			symbols = elf_getdata(linked, NULL);
		for (int i = 0; data && gelf_getrela(data, i, &rela); i++)
			good &= check_relocation(patch, &rela, symbols, table.sh_link);
	}
	return good;
}

static bool check_segments(const struct object *patch)
{
	bool good = true;

	for (size_t i = 0; i < patch->nr_segments; i++) {
		const GElf_Phdr *segment = &patch->segments[i];

		if (segment->p_type == PT_TLS && segment->p_memsz) {
			error("%s: thread-local variables: threads have no room",
			      patch->path);
			message(MESSAGE_NOTE,
				"those of the target are reached by #%%variable:slot");
			good = false;
		}
		if (segment->p_type == PT_GNU_STACK && segment->p_flags & PF_X) {
			error("%s: it asks for an executable stack", patch->path);
			message(MESSAGE_NOTE,
				"nested functions do, or assembly without .note.GNU-stack");
			good = false;
		}
		if (segment->p_type == PT_LOAD && segment->p_flags & PF_W &&
		    segment->p_flags & PF_X) {
			error("%s: it has memory that is writable and executable", patch->path);
			good = false;
		}
	}
	return good;
}

/* The name of what a slot of .init_array leads to, "" if it has none. */
static const char *pointer_name(const struct object *patch, uint64_t slot)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Rela rela;

	while ((scn = elf_nextscn(patch->elf, scn))) {
		Elf_Data *data;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_RELA ||
		    !(shdr.sh_flags & SHF_ALLOC))
			continue;
		data = elf_getdata(scn, NULL);
		for (int i = 0; data && gelf_getrela(data, i, &rela); i++) {
			if (rela.r_offset != slot || GELF_R_TYPE(rela.r_info) != R_X86_64_RELATIVE)
				continue;
			for (size_t n = 0; n < patch->nr_symbols; n++)
				if (patch->symbols[n].defined &&
				    patch->symbols[n].type == STT_FUNC &&
				    patch->symbols[n].value == (uint64_t)rela.r_addend)
					return patch->symbols[n].name;
		}
	}
	return "";
}

/* Nobody runs them: only the compiler's own, which do nothing here, may be there. */
static bool check_constructors(const struct object *patch)
{
	bool good = true;

	for (size_t i = 0; i < patch->nr_sections; i++) {
		const struct section *section = &patch->sections[i];

		if (section->type != SHT_INIT_ARRAY && section->type != SHT_FINI_ARRAY &&
		    section->type != SHT_PREINIT_ARRAY)
			continue;
		for (uint64_t at = 0; at + 8 <= section->size; at += 8) {
			const char *name = pointer_name(patch, section->addr + at);

			if (!strcmp(name, "frame_dummy") || !strcmp(name, "__do_global_dtors_aux"))
				continue;
			if (*name)
				error("%s: '%s' is a constructor or destructor: nobody runs it",
				      patch->path, name);
			else
				error("%s: stripped: cannot tell if %s has constructors",
				      patch->path, section->name);
			good = false;
		}
	}
	return good;
}

/* An unwinder that is linked into the target asks nobody who could be told. */
static bool is_static(const struct object *target)
{
	for (size_t i = 0; i < target->nr_segments; i++)
		if (target->segments[i].p_type == PT_INTERP)
			return false;
	return target->executable;
}

static bool check_exceptions(const struct object *patch, const struct object *target, bool allow)
{
	const struct section *section = object_section_named(patch, ".gcc_except_table");

	if (!section || !section->size || allow || !is_static(target))
		return true;
	error("%s: its code handles exceptions, but %s is linked statically: its unwinder cannot be told of that code",
	      patch->path, target->name);
	message(MESSAGE_NOTE, "if no exception ever passes there: --allow-exceptions");
	return false;
}

static void note_needed(const struct object *patch, const struct object *target)
{
	for (size_t i = 0; i < patch->nr_needed; i++) {
		bool there = !strcmp(patch->needed[i], target->name);

		for (size_t n = 0; n < target->nr_needed && !there; n++)
			there = !strcmp(patch->needed[i], target->needed[n]);
		if (!there)
			message(MESSAGE_NOTE,
				"%s: it needs %s, which %s does not: what it takes from there must be in the process already",
				patch->path, patch->needed[i], target->name);
	}
}

bool check_patch(const struct object *patch, const struct object *target, bool allow_exceptions)
{
	bool good = true;

	if (patch->header.e_type != ET_DYN) {
		error("%s: not a shared object; link the patch with -shared", patch->path);
		return false;
	}
	good &= check_segments(patch);
	good &= check_relocations(patch);
	good &= check_constructors(patch);
	good &= check_exceptions(patch, target, allow_exceptions);
	if (good)
		note_needed(patch, target);
	return good;
}
