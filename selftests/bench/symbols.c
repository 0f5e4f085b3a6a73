// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where the functions of a running program are: its symbol table, and its load
 * address from /proc/PID/maps; and what is to be written there.
 */
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

/* Adds the load address of the file of @fd. */
static bool load_address(pid_t pid, int fd, Elf *elf, uint64_t *bias)
{
	char path[64], line[512];
	unsigned long long start, offset, inode;
	unsigned int major, minor;
	size_t nr_headers;
	struct stat st;
	bool found = false;
	GElf_Phdr phdr;
	FILE *maps;

	if (fstat(fd, &st) || elf_getphdrnum(elf, &nr_headers))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%*x %*s %llx %x:%x %llu", &start, &offset, &major, &minor,
			   &inode) != 5 || inode != st.st_ino)
			continue;
		for (size_t i = 0; i < nr_headers && !found; i++) {
			if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD ||
			    (phdr.p_offset & -4096ULL) != offset)
				continue;
			*bias = start - (phdr.p_vaddr & -4096ULL);
			found = true;
		}
	}
	fclose(maps);
	return found;
}

/* The bytes of the file that are at @vaddr when it is loaded. */
static bool file_bytes(int fd, Elf *elf, uint64_t vaddr, uint8_t *bytes, size_t size)
{
	size_t nr_headers;
	GElf_Phdr phdr;

	if (elf_getphdrnum(elf, &nr_headers))
		return false;
	for (size_t i = 0; i < nr_headers; i++) {
		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD ||
		    vaddr < phdr.p_vaddr || vaddr - phdr.p_vaddr >= phdr.p_filesz)
			continue;
		return pread(fd, bytes, size, (off_t)(vaddr - phdr.p_vaddr + phdr.p_offset)) ==
		       (ssize_t)size;
	}
	return false;
}

static void take_symbol(const char *name, const GElf_Sym *sym, char *const *old_names,
			char *const *new_names, size_t count, struct bench_change *changes)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(name, old_names[i])) {
			changes[i].old_start = sym->st_value;
			changes[i].old_end = sym->st_value + sym->st_size;
		}
		if (!strcmp(name, new_names[i])) {
			changes[i].new_start = sym->st_value;
			changes[i].new_end = sym->st_value + sym->st_size;
		}
	}
}

static bool read_symbols(Elf *elf, char *const *old_names, char *const *new_names, size_t count,
			 struct bench_change *changes)
{
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;
	GElf_Sym sym;

	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_SYMTAB)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getsym(data, i, &sym); i++) {
			const char *name = elf_strptr(elf, shdr.sh_link, sym.st_name);

			if (name && GELF_ST_TYPE(sym.st_info) == STT_FUNC && sym.st_value)
				take_symbol(name, &sym, old_names, new_names, count, changes);
		}
		return data;
	}
	return false;
}

static const char *look_up(pid_t pid, int fd, Elf *elf, char *const *old_names,
			   char *const *new_names, size_t count, struct bench_change *changes)
{
	uint64_t bias = 0;

	if (elf_kind(elf) != ELF_K_ELF || !load_address(pid, fd, elf, &bias))
		return "cannot find the executable in the process";
	memset(changes, 0, count * sizeof(*changes));
	if (!read_symbols(elf, old_names, new_names, count, changes))
		return "the executable has no symbols";
	for (size_t i = 0; i < count; i++) {
		struct bench_change *change = &changes[i];
		int32_t distance;

		if (!change->old_start || !change->new_start)
			return "no such function";
		if (change->old_end - change->old_start < BENCH_JUMP)
			return "function too short";
		if (!file_bytes(fd, elf, change->old_start, change->saved, BENCH_JUMP))
			return "cannot read the function's code";
		/* a program is never so large that this could overflow */
		distance = (int32_t)(change->new_start - change->old_start - BENCH_JUMP);
		change->jump[0] = 0xe9;
		memcpy(change->jump + 1, &distance, sizeof(distance));
		change->old_start += bias;
		change->old_end += bias;
		change->new_start += bias;
		change->new_end += bias;
	}
	return NULL;
}

const char *bench_symbols(pid_t pid, char *const *old_names, char *const *new_names, size_t count,
			  struct bench_change *changes)
{
	const char *problem = "cannot read the executable";
	char path[64];
	Elf *elf;
	int fd;

	elf_version(EV_CURRENT);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return problem;
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf)
		problem = look_up(pid, fd, elf, old_names, new_names, count, changes);
	elf_end(elf);
	close(fd);
	return problem;
}

void bench_plan(const struct bench_change *changes, size_t count, bool revert,
		struct ulp_range *ranges, struct ulp_write *writes)
{
	for (size_t i = 0; i < count; i++) {
		const struct bench_change *change = &changes[i];

		ranges[i] = (struct ulp_range){
			.start = revert ? change->new_start : change->old_start,
			.end = revert ? change->new_end : change->old_end,
		};
		writes[i] = (struct ulp_write){
			.addr = change->old_start,
			.len = BENCH_JUMP,
			.expected = (uintptr_t)(revert ? change->jump : change->saved),
			.bytes = (uintptr_t)(revert ? change->saved : change->jump),
		};
	}
}
