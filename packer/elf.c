// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An ELF file: its segments, sections, names.  symbols.c has its symbols.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"

const uint8_t *object_at(const struct object *object, uint64_t addr, uint64_t size)
{
	const GElf_Phdr *segment = object_segment(object, addr, size);
	uint64_t offset;

	if (!segment || segment->p_filesz < size || addr - segment->p_vaddr >
	    segment->p_filesz - size)
		return NULL;
	offset = segment->p_offset + (addr - segment->p_vaddr);
	if (offset > object->file_size || size > object->file_size - offset)
		return NULL;
	return object->file + offset;
}

const GElf_Phdr *object_segment(const struct object *object, uint64_t addr, uint64_t size)
{
	for (size_t i = 0; i < object->nr_segments; i++) {
		const GElf_Phdr *segment = &object->segments[i];

		if (segment->p_type == PT_LOAD && addr >= segment->p_vaddr &&
		    segment->p_memsz >= size && addr - segment->p_vaddr <= segment->p_memsz - size)
			return segment;
	}
	return NULL;
}

const struct section *object_section(const struct object *object, uint64_t addr)
{
	for (size_t i = 0; i < object->nr_sections; i++) {
		const struct section *section = &object->sections[i];

		if (section->flags & SHF_ALLOC && !(section->flags & SHF_TLS) &&
		    addr >= section->addr && addr - section->addr < section->size)
			return section;
	}
	return NULL;
}

const struct section *object_section_named(const struct object *object, const char *name)
{
	for (size_t i = 0; i < object->nr_sections; i++)
		if (!strcmp(object->sections[i].name, name))
			return &object->sections[i];
	return NULL;
}

static bool open_elf(const char *path, enum message kind, struct object *object)
{
	const GElf_Ehdr *header = &object->header;

	memset(object, 0, sizeof(*object));
	object->path = path;
	object->name = base_name(path);
	elf_version(EV_CURRENT);
	object->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (object->fd < 0) {
		message(kind, "%s: %s", path, strerror(errno));
		return false;
	}
	object->elf = elf_begin(object->fd, ELF_C_READ_MMAP, NULL);
	if (!object->elf || elf_kind(object->elf) != ELF_K_ELF ||
	    !gelf_getehdr(object->elf, &object->header)) {
		message(kind, "%s: not an ELF file", path);
		return false;
	}
	if (header->e_ident[EI_CLASS] != ELFCLASS64) {
		message(kind, "%s: a 32-bit file; only x86-64 is supported", path);
		return false;
	}
	if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64) {
		message(kind, "%s: not for x86-64 (ELF machine %u)", path, header->e_machine);
		return false;
	}
	object->file = (const uint8_t *)elf_rawfile(object->elf, &object->file_size);
	if (!object->file) {
		message(kind, "%s: %s", path, elf_errmsg(-1));
		return false;
	}
	return true;
}

static bool read_sections(enum message kind, struct object *object)
{
	Elf_Scn *scn = NULL;
	size_t names;
	GElf_Shdr shdr;

	if (elf_getshdrstrndx(object->elf, &names))
		names = 0;
	while ((scn = elf_nextscn(object->elf, scn))) {
		struct section *section;
		const char *name;

		if (!gelf_getshdr(scn, &shdr)) {
			message(kind, "%s: damaged section headers: %s", object->path,
				elf_errmsg(-1));
			return false;
		}
		if (shdr.sh_type != SHT_NOBITS && shdr.sh_type != SHT_NULL &&
		    (shdr.sh_offset > object->file_size ||
		     shdr.sh_size > object->file_size - shdr.sh_offset)) {
			message(kind, "%s: damaged section headers: a section is outside the file",
				object->path);
			return false;
		}
		name = elf_strptr(object->elf, names, shdr.sh_name);
		section = &append(object->sections, object->nr_sections);
		section->name = name ? name : "";
		section->addr = shdr.sh_addr;
		section->size = shdr.sh_size;
		section->flags = shdr.sh_flags;
		section->offset = shdr.sh_offset;
		section->type = shdr.sh_type;
	}
	if (!object->nr_sections) {
		message(kind, "%s: it has no section headers, which are needed to tell code from data",
			object->path);
		return false;
	}
	return true;
}

static bool read_segments(struct object *object)
{
	size_t nr;

	if (elf_getphdrnum(object->elf, &nr)) {
		error("%s: damaged program headers: %s", object->path, elf_errmsg(-1));
		return false;
	}
	object->segments = xcalloc(nr, sizeof(*object->segments));
	object->nr_segments = nr;
	object->text.start = UINT64_MAX;
	for (size_t i = 0; i < nr; i++) {
		GElf_Phdr *segment = &object->segments[i];

		if (!gelf_getphdr(object->elf, i, segment)) {
			error("%s: damaged program headers: %s", object->path, elf_errmsg(-1));
			return false;
		}
		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		if (segment->p_vaddr < object->text.start)
			object->text.start = segment->p_vaddr;
		if (segment->p_vaddr + segment->p_memsz > object->text.end)
			object->text.end = segment->p_vaddr + segment->p_memsz;
	}
	return true;
}

/* The build-id note, in any note segment or, for debug files, section. */
static void read_build_id(struct object *object)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(object->elf, scn)) && !object->build_id_size) {
		size_t offset = 0, next, name, desc;
		GElf_Nhdr note;
		Elf_Data *data;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_NOTE)
			continue;
		data = elf_getdata(scn, NULL);
		while (data && (next = gelf_getnote(data, offset, &note, &name, &desc))) {
			offset = next;
			if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
			    memcmp((char *)data->d_buf + name, "GNU", 4) != 0 ||
			    note.n_descsz > sizeof(object->build_id))
				continue;
			memcpy(object->build_id, (char *)data->d_buf + desc, note.n_descsz);
			object->build_id_size = note.n_descsz;
			break;
		}
	}
}

static void read_dynamic(struct object *object)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Dyn dyn;

	while ((scn = elf_nextscn(object->elf, scn))) {
		Elf_Data *data;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_DYNAMIC)
			continue;
		data = elf_getdata(scn, NULL);
		for (int i = 0; data && gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
			const char *text = NULL;

			if (dyn.d_tag == DT_SONAME || dyn.d_tag == DT_NEEDED)
				text = elf_strptr(object->elf, shdr.sh_link, dyn.d_un.d_val);
			if (dyn.d_tag == DT_SONAME && text && *text)
				object->name = text;
			if (dyn.d_tag == DT_NEEDED && text)
				append(object->needed, object->nr_needed) = text;
			if (dyn.d_tag == DT_FLAGS)
				object->dynamic_flags |= dyn.d_un.d_val;
			if (dyn.d_tag == DT_TEXTREL)
				object->dynamic_flags |= DF_TEXTREL;
			if (dyn.d_tag == DT_SYMBOLIC)
				object->dynamic_flags |= DF_SYMBOLIC;
			if (dyn.d_tag == DT_FLAGS_1 && dyn.d_un.d_val & DF_1_PIE)
				object->executable = true;
		}
	}
}

bool object_read(const char *path, enum message kind, struct object *object)
{
	if (!open_elf(path, kind, object) || !read_sections(kind, object))
		return false;
	read_build_id(object);
	return true;
}

void object_close(struct object *object)
{
	elf_end(object->elf);
	if (object->fd >= 0)
		close(object->fd);
	object->elf = NULL;
	object->fd = -1;
}

bool object_open(const char *path, struct object *object)
{
	if (!object_read(path, MESSAGE_ERROR, object) || !read_segments(object))
		return false;
	object->executable = object->header.e_type == ET_EXEC;
	read_dynamic(object);
	if (!symbols_read(object, object->elf))
		return false;
	frames_read(object);
	return true;
}
