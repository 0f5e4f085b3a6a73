// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which compilers and flags a file says it was made by: .comment, which a stripped
 * one may have lost, and DW_AT_producer of the debug information.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

struct strings {
	const char **texts;
	size_t nr;
};

static bool has(const struct strings *strings, const char *text)
{
	for (size_t i = 0; i < strings->nr; i++)
		if (!strcmp(strings->texts[i], text))
			return true;
	return false;
}

static void add(struct strings *strings, const char *text)
{
	if (text && *text && !has(strings, text))
		append(strings->texts, strings->nr) = xstrdup(text);
}

static void read_comment(Elf *elf, struct strings *strings)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name = gelf_getshdr(scn, &shdr) ?
			elf_strptr(elf, names, shdr.sh_name) : NULL;
		Elf_Data *data;

		if (!name || strcmp(name, ".comment") != 0 || shdr.sh_type != SHT_PROGBITS)
			continue;
		data = elf_rawdata(scn, NULL);
		for (size_t i = 0; data && i < data->d_size;) {
			char *text = xstrndup((char *)data->d_buf + i, data->d_size - i);

			add(strings, text);
			i += strlen(text) + 1;
			free(text);
		}
	}
}

static void read_producers(Dwarf *dwarf, struct strings *strings)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Attribute attr;
	Dwarf_Die die;

	while (!dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &die, NULL)) {
		const char *text = dwarf_attr(&die, DW_AT_producer, &attr) ?
			dwarf_formstring(&attr) : NULL;

		/* the assembler names itself without version of a compiler */
		if (text && strncmp(text, "GNU AS", 6) != 0)
			add(strings, text);
	}
}

static void read_origin(const char *path, struct strings *comment, struct strings *producers)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;

	if (elf && comment)
		read_comment(elf, comment);
	if (dwarf)
		read_producers(dwarf, producers);
	dwarf_end(dwarf);
	elf_end(elf);
	if (fd >= 0)
		close(fd);
}

/* The first that only one of them has. */
static void compare(const char *path, const struct strings *target, const struct strings *ours)
{
	const char *theirs = NULL, *other = NULL;

	if (!target->nr || !ours->nr)
		return;
	for (size_t i = 0; i < target->nr && !theirs; i++)
		if (!has(ours, target->texts[i]))
			theirs = target->texts[i];
	for (size_t i = 0; i < ours->nr && !other; i++)
		if (!has(target, ours->texts[i]))
			other = ours->texts[i];
	if (theirs)
		message(MESSAGE_WARNING, "%s was made by '%s', this build is by '%s'", path, theirs,
			other ? other : ours->texts[0]);
}

void origin_compare(const struct target *target, const char *ours)
{
	struct strings comments[2] = { 0 }, producers[2] = { 0 };

	read_origin(target->path, &comments[0], &producers[0]);
	read_origin(target->debug, NULL, &producers[0]);
	read_origin(ours, &comments[1], &producers[1]);
	compare(target->path, &comments[0], &comments[1]);
	compare(target->path, &producers[0], &producers[1]);
}
