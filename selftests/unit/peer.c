// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The process that the unit tests look at.  It answers questions about itself,
 * one line each, and does what it is told:
 *
 *	ask NAME		address that ld.so bound for libasker
 *	dlsym NAME		in what was loaded last, or else anywhere
 *	load|global|space PATH	dlopen() locally, globally, dlmopen()
 *	objects			"BIAS NAME" of each object, then "."
 *	call|thread ADDRESS	result of a function, called here or in a new thread
 *	tls ADDRESS		what __tls_get_addr() says to the two words there
 *	map ADDRESS SIZE	takes that many bytes and maps them, executable
 *	reserve ADDRESS SIZE	maps without access
 *	poke ADDRESS VALUE	8 bytes
 *	data|code PATH		maps a file for reading, or executable too
 *	leave			ends the first thread; another goes on answering
 *	exec PATH		becomes another program
 *	storm			starts itself again and again
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PEER_STATIC
#include "peer_names.h"

__thread int program_tls = 5;
uint64_t asker_address(const char *name);
long asker_calls(void);
void *asker_program_tls(void);
void *asker_plain_tls(void);
int *plain_hidden_address(void);

int interposed(void)
{
	return 2;
}

/* Addresses of the program's own: copies of data, PLT entries of functions. */
static uint64_t use_libraries(void)
{
	static int (*volatile keep)(void);

	keep = canonical;
	return (uint64_t)(uintptr_t)environ + (uint64_t)(uintptr_t)stdout +
	       (uint64_t)(uintptr_t)optarg + (uint64_t)(uintptr_t)keep +
	       (uint64_t)(uintptr_t)plain_hidden_address();
}

static void *loaded;

static uint64_t load(const char *path, int flags, bool apart)
{
	loaded = apart ? dlmopen(LM_ID_NEWLM, path, flags) : dlopen(path, flags);
	return !!loaded;
}

static uint64_t find(const char *name)
{
	void *found = loaded ? dlsym(loaded, name) : NULL;

	return (uint64_t)(uintptr_t)(found ? found : dlsym(RTLD_DEFAULT, name));
}

void *__tls_get_addr(void *words);

static uint64_t tls_address(uint64_t words)
{
	return (uint64_t)(uintptr_t)__tls_get_addr((void *)words);
}
#else
static uint64_t load(const char *path, int flags, bool apart)
{
	return 0;
}

static uint64_t find(const char *name)
{
	return 0;
}

static uint64_t tls_address(uint64_t words)
{
	return 0;
}

static uint64_t asker_address(const char *name)
{
	return 0;
}

static uint64_t use_libraries(void)
{
	return 0;
}
#endif

static void answer(uint64_t value)
{
	printf("%" PRIx64 "\n", value);
}

static int show_object(struct dl_phdr_info *info, size_t size, void *data)
{
	printf("%" PRIx64 " %s\n", (uint64_t)info->dlpi_addr, info->dlpi_name);
	return 0;
}

static void *call(void *function)
{
	return (void *)((long (*)(void))function)();
}

static uint64_t call_in_thread(uint64_t address)
{
	pthread_t thread;
	void *result = NULL;

	if (!pthread_create(&thread, NULL, call, (void *)address))
		pthread_join(thread, &result);
	return (uint64_t)(uintptr_t)result;
}

static uint64_t map_bytes(uint64_t address, size_t size)
{
	uint8_t *bytes = mmap((void *)address, size, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	for (size_t i = 0; i < size; i++) {
		int byte = getchar();

		if (bytes != MAP_FAILED)
			bytes[i] = (uint8_t)byte;
	}
	return bytes == MAP_FAILED ? 0 : 1;
}

static uint64_t reserve(uint64_t address, size_t size)
{
	return mmap((void *)address, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
		    0) != MAP_FAILED;
}

static uint64_t poke(uint64_t address, uint64_t value)
{
	uint64_t page = address & ~4095ULL;

	/* No other thread reads these tables. */
	if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) &&
	    mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC))
		return 0;
	memcpy((void *)address, &value, sizeof(value));
	return 1;
}

static uint64_t map_file(const char *path, int prot)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 0;
	return mmap(NULL, (size_t)st.st_size, prot, MAP_PRIVATE, fd, 0) != MAP_FAILED;
}

static void *serve(void *data)
{
	char line[4352], word[4352];
	uint64_t address, value;

	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "ask %s", word) == 1) {
			answer(asker_address(word));
		} else if (sscanf(line, "dlsym %s", word) == 1) {
			answer(find(word));
		} else if (sscanf(line, "load %s", word) == 1) {
			answer(load(word, RTLD_LAZY | RTLD_LOCAL, false));
		} else if (sscanf(line, "global %s", word) == 1) {
			answer(load(word, RTLD_LAZY | RTLD_GLOBAL, false));
		} else if (sscanf(line, "space %s", word) == 1) {
			answer(load(word, RTLD_LAZY, true));
		} else if (!strcmp(line, "objects\n")) {
			dl_iterate_phdr(show_object, NULL);
			puts(".");
		} else if (sscanf(line, "call %" SCNx64, &address) == 1) {
			answer((uintptr_t)call((void *)address));
		} else if (sscanf(line, "thread %" SCNx64, &address) == 1) {
			answer(call_in_thread(address));
		} else if (sscanf(line, "tls %" SCNx64, &address) == 1) {
			answer(tls_address(address));
		} else if (sscanf(line, "map %" SCNx64 " %" SCNx64, &address, &value) == 2) {
			answer(map_bytes(address, value));
		} else if (sscanf(line, "reserve %" SCNx64 " %" SCNx64, &address, &value) == 2) {
			answer(reserve(address, value));
		} else if (sscanf(line, "poke %" SCNx64 " %" SCNx64, &address, &value) == 2) {
			answer(poke(address, value));
		} else if (sscanf(line, "data %s", word) == 1) {
			answer(map_file(word, PROT_READ));
		} else if (sscanf(line, "code %s", word) == 1) {
			answer(map_file(word, PROT_READ | PROT_EXEC));
		} else if (!strcmp(line, "leave\n")) {
			pthread_t thread;

			if (!pthread_create(&thread, NULL, serve, NULL))
				syscall(SYS_exit, 0);
		} else if (sscanf(line, "exec %s", word) == 1) {
			execl(word, word, NULL);
		} else if (!strcmp(line, "storm\n")) {
			execl("/proc/self/exe", "peer", "storm", NULL);
		} else {
			puts("what?");
		}
		fflush(stdout);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		execl("/proc/self/exe", "peer", "storm", NULL);
	answer(use_libraries());
	fflush(stdout);
	serve(NULL);
}
