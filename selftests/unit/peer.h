/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests: a peer process (peer.c) and what libulp sees of it.
 */
#ifndef PEER_H
#define PEER_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "symbol.h"

struct peer {
	pid_t pid;
	FILE *to, *from;
};

/* A file in the directory of the test program: valid until the next call but three. */
static inline const char *beside(const char *name)
{
	static char paths[4][PATH_MAX + 256];
	static unsigned int next;
	char *path = paths[next++ % 4], *slash;
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		strcpy(slash + 1, name);
	return path;
}

/* A copy of this process as it is now, which waits to be killed. */
static inline pid_t peer_copy(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* Hexadecimal answer to a line; 0 also if the peer is gone. */
__attribute__((format(printf, 2, 3)))
static inline uint64_t peer_ask(struct peer *peer, const char *format, ...)
{
	char line[128] = "";
	va_list args;

	va_start(args, format);
	vfprintf(peer->to, format, args);
	va_end(args);
	fputc('\n', peer->to);
	fflush(peer->to);
	return fgets(line, sizeof(line), peer->from) ? strtoull(line, NULL, 16) : 0;
}

/* Starts @program (a path, or a name beside the test); true once it answers. */
static inline bool peer_start(struct peer *peer, const char *program, const char *preload)
{
	char line[128], path[PATH_MAX + 256];
	int to[2], from[2];

	snprintf(path, sizeof(path), "%s", strchr(program, '/') ? program : beside(program));
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return false;
	peer->pid = fork();
	if (!peer->pid) {
		char directory[PATH_MAX + 256];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(directory, sizeof(directory), "%s", beside(""));
		setenv("LD_LIBRARY_PATH", directory, 1);
		unsetenv("LD_BIND_NOW");
		if (preload)
			setenv("LD_PRELOAD", beside(preload), 1);
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl(path, path, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	peer->to = fdopen(to[1], "w");
	peer->from = fdopen(from[0], "r");
	return peer->pid > 0 && fgets(line, sizeof(line), peer->from);
}

static inline void peer_end(struct peer *peer)
{
	if (peer->pid <= 0)
		return;
	kill(peer->pid, SIGKILL);
	waitpid(peer->pid, NULL, 0);
	fclose(peer->to);
	fclose(peer->from);
	peer->pid = 0;
}

/* ---- a patch without its container: the ELF part filled from a shared object ---- */

struct plain_patch {
	struct ulp_patch patch;
	struct ulp_patch_target target;
	struct ulp_patch_reference references[4];
};

static inline bool plain_patch_open(struct plain_patch *plain, struct ulp_context *ctx,
				    const char *name)
{
	struct ulp_patch *patch = &plain->patch;
	FILE *file = fopen(beside(name), "rb");
	Elf64_Ehdr header;
	struct stat st;

	memset(plain, 0, sizeof(*plain));
	if (!file || fstat(fileno(file), &st))
		return false;
	patch->ctx = ctx;
	patch->size = (size_t)st.st_size;
	patch->data = malloc(patch->size);
	patch->name = strdup(name);
	if (fread(patch->data, 1, patch->size, file) != patch->size)
		return false;
	fclose(file);
	patch->nr_targets = 1;
	patch->targets = &plain->target;
	plain->target.name = "object";
	plain->target.references = plain->references;
	memcpy(&header, patch->data, sizeof(header));
	patch->segments = calloc(header.e_phnum, sizeof(*patch->segments));
	for (size_t i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr phdr;

		memcpy(&phdr, patch->data + header.e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_DYNAMIC) {
			patch->dynamic = phdr.p_vaddr;
			patch->dynamic_size = phdr.p_memsz;
		}
		if (phdr.p_type != PT_LOAD)
			continue;
		patch->segments[patch->nr_segments++] = (struct ulp_patch_segment){
			.vaddr = phdr.p_vaddr, .filesz = phdr.p_filesz, .memsz = phdr.p_memsz,
			.offset = phdr.p_offset, .align = phdr.p_align, .flags = phdr.p_flags,
		};
		patch->image_size = ULP_PAGE_UP(phdr.p_vaddr + phdr.p_memsz);
	}
	return true;
}

static inline void plain_patch_close(struct plain_patch *plain)
{
	free(plain->patch.data);
	free(plain->patch.name);
	free(plain->patch.segments);
}

/* st_value of a symbol of the patch, by its section headers. */
static inline uint64_t plain_patch_symbol(const struct plain_patch *plain, const char *name)
{
	const uint8_t *data = plain->patch.data;
	const Elf64_Ehdr *header = (const void *)data;
	const Elf64_Shdr *sections = (const void *)(data + header->e_shoff);

	for (size_t i = 0; i < header->e_shnum; i++) {
		const Elf64_Sym *syms = (const void *)(data + sections[i].sh_offset);
		const char *strings = (const char *)data +
			sections[sections[i].sh_link % header->e_shnum].sh_offset;

		if (sections[i].sh_type != SHT_DYNSYM)
			continue;
		for (size_t k = 0; k < sections[i].sh_size / sizeof(*syms); k++) {
			if (!strcmp(strings + syms[k].st_name, name))
				return syms[k].st_value;
		}
	}
	return 0;
}

/* The image as apply makes it; to be freed.  Where it is to go is in @bias. */
static inline uint8_t *plain_patch_relocate(struct plain_patch *plain, struct ulp_target *target,
					    struct ulp_object *object, uint64_t *bias, int *ret)
{
	struct ulp_patch *patch = &plain->patch;
	uint8_t *image = calloc(1, patch->image_size);

	for (size_t i = 0; i < patch->nr_segments; i++)
		memcpy(image + patch->segments[i].vaddr, patch->data + patch->segments[i].offset,
		       patch->segments[i].filesz);
	*ret = ulp_target_hole(target, object->start, object->end, patch->image_size, bias);
	if (!*ret)
		*ret = ulp_image_relocate(target, patch, &object, *bias, image);
	return image;
}

/* Maps an image into the peer, where it can be called. */
static inline bool peer_map(struct peer *peer, uint64_t bias, const uint8_t *image, size_t size)
{
	char line[64] = "";

	fprintf(peer->to, "map %" PRIx64 " %zx\n", bias, size);
	fwrite(image, 1, size, peer->to);
	fflush(peer->to);
	return fgets(line, sizeof(line), peer->from) && line[0] == '1';
}

#endif /* PEER_H */
