// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The ELF objects in a target, read from its memory.
 *
 * The files may be deleted, replaced, or in another mount namespace: what the
 * process executes is in its memory, build-id included.  A mapping is the start
 * of an object only if its program headers agree with the mappings around it:
 * files that are merely read through a mapping are none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

#define PHDRS_MAX	512
#define NOTES_MAX	65536	/* of one object, all together */
#define DYNAMIC_MAX	65536
#define SONAME_MAX	4096
#define STRINGS_MAX	(64 << 20)

bool ulp_object_holds(const struct ulp_object *object, uint64_t addr, uint64_t size)
{
	return addr >= object->start && addr < object->end && size <= object->end - addr;
}

static bool same_backing(const struct ulp_mapping *a, const struct ulp_mapping *b)
{
	if (!a->inode)
		return !b->inode && !strcmp(a->path, b->path);
	return a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor;
}

/* Where [offset, offset + size) of the file of mapping @first is in memory, or 0. */
static uint64_t offset_address(const struct ulp_target *target, size_t first, uint64_t offset,
			       uint64_t size)
{
	const struct ulp_mapping *head = &target->mappings[first];

	for (size_t i = first; i < target->nr_mappings && i < first + 64; i++) {
		const struct ulp_mapping *map = &target->mappings[i];

		if (same_backing(head, map) && offset >= map->offset &&
		    offset - map->offset < map->end - map->start &&
		    size <= map->end - map->start - (offset - map->offset))
			return map->start + (offset - map->offset);
	}
	return 0;
}

/* Program headers of the object that begins at mapping @first, to be freed. */
static Elf64_Phdr *read_phdrs(const struct ulp_target *target, size_t first, Elf64_Ehdr *header)
{
	uint64_t addr, size;
	Elf64_Phdr *phdrs;

	if (ulp_memory_read(target, target->mappings[first].start, header, sizeof(*header)))
		return NULL;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64 ||
	    (header->e_type != ET_EXEC && header->e_type != ET_DYN) ||
	    header->e_phentsize != sizeof(Elf64_Phdr) || !header->e_phnum ||
	    header->e_phnum > PHDRS_MAX)
		return NULL;
	size = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);
	addr = offset_address(target, first, header->e_phoff, size);
	if (!addr)
		return NULL;
	phdrs = malloc(size);
	if (phdrs && ulp_memory_read(target, addr, phdrs, size)) {
		free(phdrs);
		return NULL;
	}
	return phdrs;
}

static bool is_mapped_segment(const Elf64_Phdr *phdr)
{
	return phdr->p_type == PT_LOAD && phdr->p_memsz;
}

/*
 * Whether the segment is where its header says, by the mapping of its first
 * byte.  Anonymous memory in its place is right too: programs move their text to
 * huge pages.
 */
static bool segment_fits(const struct ulp_target *target, const struct ulp_mapping *head,
			 const Elf64_Phdr *phdr, uint64_t bias)
{
	uint64_t addr = ULP_PAGE_DOWN(bias + phdr->p_vaddr);
	const struct ulp_mapping *map = ulp_target_mapping(target, addr);

	if (!map || ((phdr->p_flags & PF_X) && !map->exec))
		return false;
	if (!phdr->p_filesz)
		return true;
	if (same_backing(head, map))
		return map->offset + (addr - map->start) == ULP_PAGE_DOWN(phdr->p_offset);
	return !map->inode && !map->shared;
}

/* Fills the extent and bias; false if this is no loaded object. */
static bool place(const struct ulp_target *target, size_t first, const Elf64_Ehdr *header,
		  const Elf64_Phdr *phdrs, struct ulp_object *object)
{
	const struct ulp_mapping *head = &target->mappings[first];
	bool code = false, data = false, begun = false;

	for (size_t i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *phdr = &phdrs[i];
		uint64_t end;

		if (!is_mapped_segment(phdr))
			continue;
		if (!begun) {
			/* Segments ascend: the first one holds the ELF header. */
			if (ULP_PAGE_DOWN(phdr->p_offset))
				return false;
			object->bias = head->start - ULP_PAGE_DOWN(phdr->p_vaddr);
			object->start = head->start;
			object->end = head->start;
			if (header->e_type == ET_EXEC && object->bias)
				return false;
			begun = true;
		}
		if (phdr->p_vaddr > ULP_ADDRESS_MAX || phdr->p_memsz > ULP_ADDRESS_MAX ||
		    phdr->p_filesz > phdr->p_memsz)
			return false;
		end = ULP_PAGE_UP(object->bias + phdr->p_vaddr + phdr->p_memsz);
		if (object->bias + phdr->p_vaddr < object->start || end > ULP_ADDRESS_MAX ||
		    end <= object->start || !segment_fits(target, head, phdr, object->bias))
			return false;
		if (end > object->end)
			object->end = end;
		if (phdr->p_flags & PF_X)
			code = true;
		if ((phdr->p_flags & PF_W) &&
		    ulp_target_mapping(target, object->bias + phdr->p_vaddr) != head)
			data = true;
	}
	/* Libraries of data alone exist; a mapping for reading has no such data. */
	return begun && (code || data);
}

static bool note_is_build_id(const Elf64_Nhdr *note, const uint8_t *name)
{
	return note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
	       !memcmp(name, "GNU", 4) && note->n_descsz &&
	       note->n_descsz <= ULP_BUILD_ID_MAX;
}

/* The note that says where the block of the preload library is (uapi/ulp_preload.h). */
static bool note_is_preload(const Elf64_Nhdr *note, const uint8_t *name)
{
	return note->n_type == ULP_PRELOAD_NOTE_TYPE &&
	       note->n_namesz == sizeof(ULP_PRELOAD_NOTE_OWNER) &&
	       !memcmp(name, ULP_PRELOAD_NOTE_OWNER, sizeof(ULP_PRELOAD_NOTE_OWNER)) &&
	       note->n_descsz >= sizeof(struct ulp_preload_note);
}

static void read_notes(const struct ulp_target *target, const Elf64_Phdr *phdr,
		       struct ulp_object *object, uint64_t *left)
{
	uint64_t addr = object->bias + phdr->p_vaddr, size = phdr->p_filesz;
	uint64_t align = phdr->p_align == 8 ? 8 : 4, pos = 0;
	uint8_t *notes;

	if (size > *left || !ulp_object_holds(object, addr, size))
		return;
	*left -= size;
	notes = malloc(size ? size : 1);
	if (!notes)
		return;
	if (ulp_memory_read(target, addr, notes, size))
		size = 0;
	while (size - pos >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t name, desc, next;

		memcpy(&note, notes + pos, sizeof(note));
		name = pos + sizeof(note);
		desc = (name + note.n_namesz + align - 1) & ~(align - 1);
		next = (desc + note.n_descsz + align - 1) & ~(align - 1);
		if (desc > size || note.n_descsz > size - desc)
			break;
		if (!object->build_id_size && note_is_build_id(&note, notes + name)) {
			object->build_id_size = note.n_descsz;
			memcpy(object->build_id, notes + desc, note.n_descsz);
			ulp_hex(object->build_id, object->build_id_size, object->build_id_hex);
		} else if (note_is_preload(&note, notes + name)) {
			struct ulp_preload_note preload;

			memcpy(&preload, notes + desc, sizeof(preload));
			object->preload = addr + desc + (uint64_t)preload.distance;
		}
		if (next > size)
			break;
		pos = next;
	}
	free(notes);
}

int ulp_dynamic_read(const struct ulp_target *target, const struct ulp_object *object,
		     Elf64_Dyn **out, size_t *nr)
{
	size_t room = object->dynamic_size / sizeof(Elf64_Dyn);
	Elf64_Dyn *dynamic;

	*out = NULL;
	*nr = 0;
	if (!object->dynamic || !room)
		return 0;
	dynamic = malloc(room * sizeof(*dynamic));
	if (!dynamic)
		return -ENOMEM;
	if (ulp_memory_read(target, object->dynamic, dynamic, room * sizeof(*dynamic))) {
		free(dynamic);
		return -EFAULT;
	}
	while (*nr < room && dynamic[*nr].d_tag != DT_NULL)
		++*nr;
	*out = dynamic;
	return 0;
}

uint64_t ulp_dynamic_value(const Elf64_Dyn *dynamic, size_t nr, int64_t tag)
{
	for (size_t i = 0; i < nr; i++) {
		if (dynamic[i].d_tag == tag)
			return dynamic[i].d_un.d_val;
	}
	return 0;
}

uint64_t ulp_dynamic_address(const struct ulp_object *object, const Elf64_Dyn *dynamic,
			     size_t nr, int64_t tag)
{
	uint64_t value = ulp_dynamic_value(dynamic, nr, tag);

	if (!value)
		return 0;
	/* glibc relocates the section in place; musl and the vDSO do not. */
	if (ulp_object_holds(object, value, 1))
		return value;
	if (ulp_object_holds(object, object->bias + value, 1))
		return object->bias + value;
	return 0;
}

static char *read_soname(const struct ulp_target *target, const struct ulp_object *object)
{
	uint64_t strings, size, name;
	char *soname = NULL;
	Elf64_Dyn *dynamic;
	size_t nr;

	if (ulp_dynamic_read(target, object, &dynamic, &nr))
		return NULL;
	strings = ulp_dynamic_address(object, dynamic, nr, DT_STRTAB);
	size = ulp_dynamic_value(dynamic, nr, DT_STRSZ);
	name = ulp_dynamic_value(dynamic, nr, DT_SONAME);
	if (strings && name && name < size && ulp_object_holds(object, strings, size))
		soname = ulp_memory_string(target, strings + name,
					   size - name < SONAME_MAX ? size - name : SONAME_MAX);
	free(dynamic);
	return soname;
}

bool ulp_object_may_name(const struct ulp_target *target, const struct ulp_object *object,
			 const char *const *names, size_t nr_names)
{
	uint64_t at, size;
	Elf64_Dyn *dynamic;
	bool found = false;
	char *strings;
	size_t nr;

	if (ulp_dynamic_read(target, object, &dynamic, &nr))
		return true;
	at = ulp_dynamic_address(object, dynamic, nr, DT_STRTAB);
	size = ulp_dynamic_value(dynamic, nr, DT_STRSZ);
	free(dynamic);
	if (!size)
		return false;
	if (size > STRINGS_MAX || !ulp_object_holds(object, at, size))
		return true;
	strings = malloc(size);
	if (!strings || ulp_memory_read(target, at, strings, size))
		found = true;
	for (size_t i = 0; i < nr_names && !found; i++)
		found = memmem(strings, size, names[i], strlen(names[i]) + 1);
	free(strings);
	return found;
}

static void object_free(struct ulp_object *object)
{
	free(object->path);
	free(object->soname);
	ulp_symbols_free(object->symbols);
}

/* 1 with @object filled, 0 no object begins at this mapping, -ENOMEM. */
static int object_read(const struct ulp_target *target, size_t first, struct ulp_object *object)
{
	const struct ulp_mapping *head = &target->mappings[first];
	uint64_t notes_left = NOTES_MAX;
	Elf64_Ehdr header;
	Elf64_Phdr *phdrs;

	memset(object, 0, sizeof(*object));
	phdrs = read_phdrs(target, first, &header);
	if (!phdrs)
		return 0;
	if (!place(target, first, &header, phdrs, object)) {
		free(phdrs);
		return 0;
	}
	object->type = header.e_type;
	object->deleted = head->deleted;
	object->link_order = -1;
	object->path = strdup(head->path);
	for (size_t i = 0; i < header.e_phnum; i++) {
		const Elf64_Phdr *phdr = &phdrs[i];
		uint64_t addr = object->bias + phdr->p_vaddr;

		if (phdr->p_type == PT_NOTE) {
			read_notes(target, phdr, object, &notes_left);
		} else if (phdr->p_type == PT_DYNAMIC && phdr->p_memsz <= DYNAMIC_MAX &&
			   ulp_object_holds(object, addr, phdr->p_memsz)) {
			object->dynamic = addr;
			object->dynamic_size = phdr->p_memsz;
		} else if (phdr->p_type == PT_GNU_EH_FRAME &&
			   ulp_object_holds(object, addr, phdr->p_memsz)) {
			object->frames = addr;
		} else if (phdr->p_type == PT_TLS && phdr->p_memsz < ULP_ADDRESS_MAX) {
			object->tls_vaddr = phdr->p_vaddr;
			object->tls_size = phdr->p_memsz;
			object->tls_align = phdr->p_align ? phdr->p_align : 1;
		}
	}
	free(phdrs);
	object->soname = read_soname(target, object);
	if (!object->soname)
		object->soname = strdup("");
	object->program = ulp_object_holds(object, ulp_target_auxv(target, AT_PHDR), 1);
	if (!object->path || !object->soname) {
		object_free(object);
		return -ENOMEM;
	}
	return 1;
}

/* Code that no object accounts for is not an error, but worth a word. */
static void log_unknown(const struct ulp_target *target)
{
	uint64_t end = 0;	/* of the objects that start before the mapping */
	size_t next = 0;

	for (size_t i = 0; i < target->nr_mappings; i++) {
		const struct ulp_mapping *map = &target->mappings[i];

		for (; next < target->nr_objects && target->objects[next].start <= map->start;
		     next++)
			if (target->objects[next].end > end)
				end = target->objects[next].end;
		if (map->exec && map->inode && !ulp_is_image(map) && map->start >= end)
			ulp_log(target->ctx, ULP_LOG_DEBUG,
				"process %d: the code of %s at 0x%llx is of no ELF object known by its header",
				target->pid, map->path, (unsigned long long)map->start);
	}
}

static int fill_info(struct ulp_target *target)
{
	target->object_info = calloc(target->nr_objects + 1, sizeof(*target->object_info));
	if (!target->object_info)
		return -ENOMEM;
	for (size_t i = 0; i < target->nr_objects; i++) {
		target->object_info[i].path = target->objects[i].path;
		target->object_info[i].build_id = target->objects[i].build_id_hex;
		target->object_info[i].start = target->objects[i].start;
		target->object_info[i].deleted = target->objects[i].deleted;
	}
	return 0;
}

int ulp_objects_read(struct ulp_target *target)
{
	size_t room = 0;
	int ret;

	for (size_t i = 0; i < target->nr_mappings; i++) {
		const struct ulp_mapping *map = &target->mappings[i];

		if (map->offset || (!map->inode && strcmp(map->path, ULP_VDSO) != 0))
			continue;
		if (target->nr_objects == room) {
			struct ulp_object *grown;

			room = room ? 2 * room : 32;
			grown = reallocarray(target->objects, room, sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			target->objects = grown;
		}
		ret = object_read(target, i, &target->objects[target->nr_objects]);
		if (ret < 0)
			return ret;
		target->nr_objects += (size_t)ret;
	}
	log_unknown(target);
	return fill_info(target);
}

void ulp_objects_free(struct ulp_target *target)
{
	for (size_t i = 0; i < target->nr_objects; i++)
		object_free(&target->objects[i]);
	free(target->objects);
	free(target->object_info);
	target->objects = NULL;
	target->object_info = NULL;
	target->nr_objects = 0;
}

int ulp_target_objects(struct ulp_target *target, const struct ulp_object_info **out)
{
	int err = ulp_target_refresh(target);

	if (err)
		return err;
	*out = target->object_info;
	return (int)target->nr_objects;
}

struct ulp_object *ulp_target_object(struct ulp_target *target, const uint8_t *build_id,
				     size_t size)
{
	struct ulp_object *found = NULL;

	for (size_t i = 0; i < target->nr_objects; i++) {
		struct ulp_object *object = &target->objects[i];

		if (!size || object->build_id_size != size ||
		    memcmp(object->build_id, build_id, size) != 0)
			continue;
		if (found)
			ulp_log(target->ctx, ULP_LOG_WARN,
				"process %d (%s) has %s loaded more than once (dlmopen?): only the copy at 0x%llx is meant",
				target->pid, target->name, object->path,
				(unsigned long long)found->start);
		/* The program's own list first: others are dlmopen()'s. */
		if (!found || (found->link_order < 0 && object->link_order >= 0))
			found = object;
	}
	return found;
}

static bool has_name(const struct ulp_object *object, const char *name)
{
	const char *base = strrchr(object->path, '/');

	return !strcmp(object->soname, name) || !strcmp(base ? base + 1 : object->path, name);
}

struct ulp_object *ulp_target_object_named(struct ulp_target *target, const char *name)
{
	for (size_t i = 0; i < target->nr_objects; i++) {
		if (has_name(&target->objects[i], name))
			return &target->objects[i];
	}
	return NULL;
}
