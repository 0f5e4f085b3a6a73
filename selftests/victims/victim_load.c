// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Loads libloaded.so on demand, also many times and from several threads.
 *
 *	load	"first=N now=N": what its function said in its constructor, and says
 *	linked	the same of one that was there from the start (LD_PRELOAD)
 *	thread	load, in another thread
 *	unload	the last one
 */
#include <dlfcn.h>
#include <pthread.h>
#include "victim.h"

static void *handle;

static void say(void *from)
{
	int *first = dlsym(from, "loaded_first");
	int (*now)(void) = (int (*)(void))dlsym(from, "loaded_answer");

	if (first && now)
		reply("first=%d now=%d", *first, now());
	else
		reply("%s", dlerror());
}

static void load(const char *arg)
{
	(void)arg;
	handle = dlopen("libloaded.so", RTLD_NOW);
	if (!handle)
		reply("%s", dlerror());
	else
		say(handle);
}

static void linked(const char *arg)
{
	(void)arg;
	say(RTLD_DEFAULT);
}

static void *load_main(void *arg)
{
	load(arg);
	return NULL;
}

static void load_thread(const char *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, load_main, (void *)arg))
		die("pthread_create");
	pthread_join(thread, NULL);
}

static void unload(const char *arg)
{
	(void)arg;
	reply("%d", dlclose(handle));
}

int main(void)
{
	static const struct victim_command table[] = {
		{ "load", load },
		{ "linked", linked },
		{ "thread", load_thread },
		{ "unload", unload },
		{ NULL, NULL },
	};

	return victim_talk(table);
}
