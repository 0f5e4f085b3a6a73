// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Has a library of a file system that does not answer: who reads it waits for ever.
 *
 *	map	maps it, and says the process that makes the file system, which it does not
 *		survive; 0 where there is no FUSE
 *	load	loads a library that is like others
 */
#include <dlfcn.h>
#include "../fuzz/fuse.h"
#include "victim.h"

static pid_t server;

static void map(const char *arg)
{
	int fd;

	(void)arg;
	server = fuzz_fuse_start(NULL);
	fd = server ? open(FUZZ_FUSE_FILE, O_RDONLY | O_CLOEXEC) : -1;
	if (server && mmap(NULL, FUZZ_FUSE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) ==
		      MAP_FAILED)
		die("mmap");
	reply("%d", server);
}

static void load(const char *arg)
{
	void *handle = dlopen("libloaded.so", RTLD_NOW);

	(void)arg;
	if (!handle || dlclose(handle))
		reply("%s", dlerror());
	else
		reply("loaded");
}

int main(void)
{
	static const struct victim_command table[] = {
		{ "map", map },
		{ "load", load },
		{ NULL, NULL },
	};
	int status = victim_talk(table);

	/* those who wait are told that it is gone */
	if (server)
		fuzz_fuse_end(server);
	return status;
}
