// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where a dynamic linker has mapped and relocated new objects, and has not run
 * any of their code yet: the function that calls constructors, _dl_init() of the
 * GNU C library, which both the start of a program and dlopen() come to.
 *
 * Neither its name nor a probe of it is in a stripped file.  But ld.so's entry
 * code, which is assembly and the same since 1997, ends with
 *
 *	call _dl_init
 *	lea  _dl_fini(%rip), %rdx
 *	mov  %r13, %rsp
 *	jmp  *%r12
 *
 * The file is whatever a process calls its dynamic linker: nothing of it is
 * believed.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "object.h"
#include "linker.h"

#define PHDRS_MAX	64
#define ENTRY_BYTES	256

static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

/* The loaded segments of a file. */
struct segments {
	size_t nr;
	Elf64_Phdr phdrs[PHDRS_MAX];
};

static bool read_at(int fd, void *out, size_t size, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

static bool read_segments(int fd, Elf64_Ehdr *header, struct segments *segments)
{
	if (!read_at(fd, header, sizeof(*header), 0) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64 || header->e_type != ET_DYN ||
	    header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > PHDRS_MAX)
		return false;
	segments->nr = header->e_phnum;
	return read_at(fd, segments->phdrs, segments->nr * sizeof(Elf64_Phdr), header->e_phoff);
}

/* Where @size bytes of code at @vaddr are in the file, 0 if they are not. */
static uint64_t code_offset(const struct segments *segments, uint64_t vaddr, uint64_t size)
{
	for (size_t i = 0; i < segments->nr; i++) {
		const Elf64_Phdr *phdr = &segments->phdrs[i];

		if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X) &&
		    vaddr >= phdr->p_vaddr && vaddr - phdr->p_vaddr < phdr->p_filesz &&
		    size <= phdr->p_filesz - (vaddr - phdr->p_vaddr))
			return phdr->p_offset + (vaddr - phdr->p_vaddr);
	}
	return 0;
}

/* Offset in @code of the call of _dl_init, or -1. */
static int find_call(const uint8_t code[ENTRY_BYTES])
{
	static const uint8_t lea[] = { 0x48, 0x8d, 0x15 };
	static const uint8_t end[] = { 0x4c, 0x89, 0xec, 0x41, 0xff, 0xe4 };

	for (int i = 0; i + 5 + 7 + (int)sizeof(end) <= ENTRY_BYTES; i++)
		if (code[i] == 0xe8 && !memcmp(code + i + 5, lea, sizeof(lea)) &&
		    !memcmp(code + i + 12, end, sizeof(end)))
			return i;
	return -1;
}

int ulp_linker_place(int fd, uint64_t *offset)
{
	uint8_t code[ENTRY_BYTES];
	struct segments segments;
	Elf64_Ehdr header;
	uint64_t at;
	int32_t distance;
	int call;

	if (!read_segments(fd, &header, &segments))
		return -ENOEXEC;
	at = code_offset(&segments, header.e_entry, sizeof(code));
	if (!at || !read_at(fd, code, sizeof(code), at))
		return -ENOEXEC;
	call = find_call(code);
	if (call < 0)
		return -ENOEXEC;
	memcpy(&distance, code + call + 1, sizeof(distance));
	at = code_offset(&segments, header.e_entry + (uint64_t)(call + 5 + (int64_t)distance),
			 sizeof(endbr64) + 1);
	if (!at || !read_at(fd, code, sizeof(endbr64) + 1, at))
		return -ENOEXEC;
	/* behind it, so that a patch may begin with it and the instruction is emulated */
	*offset = memcmp(code, endbr64, sizeof(endbr64)) ? at : at + sizeof(endbr64);
	return 0;
}
