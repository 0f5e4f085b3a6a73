// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Units that do not change, but have what changed ones use anew: compiled as well, for
 * their code tells where that is in a target of which nothing else does.
 */
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

enum role { USED, DEFINED, NR_ROLES };

/* The names that an object shares with others. */
struct names {
	const char **names[NR_ROLES];
	size_t nr[NR_ROLES];
};

static void read_symbols(Elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr, struct names *names)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Sym sym;

	for (int i = 1; data && gelf_getsym(data, i, &sym); i++) {
		const char *name = elf_strptr(elf, shdr->sh_link, sym.st_name);
		enum role role = sym.st_shndx == SHN_UNDEF ? USED : DEFINED;

		if (name && *name && GELF_ST_BIND(sym.st_info) != STB_LOCAL)
			append(names->names[role], names->nr[role]) = xstrdup(name);
	}
}

/* False if there is no such object. */
static bool read_names(const char *path, struct names *names)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	Elf *elf;
	bool good;

	memset(names, 0, sizeof(*names));
	elf_version(EV_CURRENT);
	elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	good = elf && elf_kind(elf) == ELF_K_ELF;
	while (good && (scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_SYMTAB)
			read_symbols(elf, scn, &shdr, names);
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	return good;
}

static bool has(const struct names *names, enum role role, const char *name)
{
	for (size_t i = 0; i < names->nr[role]; i++)
		if (!strcmp(names->names[role][i], name))
			return true;
	return false;
}

/* What the changed units use, and did not know before. */
static void read_new(const struct units *units, struct names *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < units->nr; i++) {
		const struct unit *unit = &units->units[i];
		struct names before, after;

		if (!unit->changed || !read_names(unit->versions[TREE_FIXED].made, &after))
			continue;
		read_names(unit->versions[TREE_ORIGINAL].made, &before);
		for (size_t k = 0; k < after.nr[USED]; k++) {
			const char *name = after.names[USED][k];

			if (!has(&before, USED, name) && !has(&before, DEFINED, name) &&
			    !has(out, USED, name))
				append(out->names[USED], out->nr[USED]) = name;
		}
	}
}

/* An object that the build did not keep may have it. */
static bool defines_any(const struct scratch *scratch, const struct unit *unit,
			const struct names *wanted)
{
	struct names names;

	if (!unit->object ||
	    !read_names(scratch_path(scratch, TREE_ORIGINAL, unit->object), &names))
		return wanted->nr[USED];
	for (size_t i = 0; i < wanted->nr[USED]; i++)
		if (has(&names, DEFINED, wanted->names[USED][i]))
			return true;
	return false;
}

bool units_compile_used(const struct scratch *scratch, struct units *units,
			unsigned int parallel)
{
	struct names wanted;

	read_new(units, &wanted);
	for (size_t i = 0; i < units->nr; i++) {
		struct unit *unit = &units->units[i];
		const struct version *original = &unit->versions[TREE_ORIGINAL];

		/* of a failed probe, or not the code that runs */
		if (unit->changed || !original->preprocessed || original->call->lto)
			continue;
		unit->used = defines_any(scratch, unit, &wanted);
	}
	if (!units_compile(scratch, TREE_ORIGINAL, units, parallel))
		return false;
	for (size_t i = 0; i < units->nr; i++)
		if (units->units[i].used)
			units->units[i].versions[TREE_FIXED].made =
				units->units[i].versions[TREE_ORIGINAL].made;
	return true;
}
