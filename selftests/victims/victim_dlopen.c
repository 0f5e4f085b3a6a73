// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opens, calls and closes libraries on demand.  Several are open at once: each has the
 * letter by which it was opened.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include "victim.h"

static void *handles[26];

static void **handle_of(const char *arg)
{
	static void *none;

	return *arg >= 'a' && *arg <= 'z' ? &handles[*arg - 'a'] : &none;
}

static void opened(void **handle)
{
	struct link_map *map;

	if (!*handle)
		reply("%s", dlerror());
	else if (dlinfo(*handle, RTLD_DI_LINKMAP, &map))
		reply("%s", dlerror());
	else
		reply("%s", map->l_name);
}

/* open X PATH */
static void open_library(const char *arg)
{
	void **handle = handle_of(arg);

	*handle = dlopen(arg + 2, RTLD_NOW);
	opened(handle);
}

/* mopen X PATH: in a namespace of its own */
static void open_apart(const char *arg)
{
	void **handle = handle_of(arg);

	*handle = dlmopen(LM_ID_NEWLM, arg + 2, RTLD_NOW);
	opened(handle);
}

/* close X: what dlclose() returns, and errno behind it */
static void close_library(const char *arg)
{
	int ret;

	errno = 77;
	ret = dlclose(*handle_of(arg));
	reply("%d errno=%d", ret, errno);
	*handle_of(arg) = NULL;
}

/* answer X N */
static void answer(const char *arg)
{
	int (*function)(int) = (int (*)(int))dlsym(*handle_of(arg), "victim_answer");

	reply("%d", function ? function(atoi(arg + 2)) : -1);
}

/* loaded NAME: how many objects of this process have that in their path */
static int count(struct dl_phdr_info *info, size_t size, void *data)
{
	const char *name = *(const char **)data;

	(void)size;
	if (strstr(info->dlpi_name, name))
		((const char **)data)[1]++;
	return 0;
}

static void loaded(const char *arg)
{
	const char *state[2] = { arg, NULL };

	dl_iterate_phdr(count, state);
	reply("%d", (int)(uintptr_t)state[1]);
}

/* churn PATH, calm: threads that open, call and close it all the time */
static pthread_t threads[3];
static atomic_bool churning;
static char churned[200];

static void *churn_main(void *arg)
{
	while (churning) {
		void *handle = dlopen(churned, RTLD_NOW);
		int (*function)(int) = handle ?
			(int (*)(int))dlsym(handle, "victim_answer") : NULL;
		int value = function ? function(0) : -1;

		if ((value != 42 && value != 1000) || dlclose(handle))
			die("churn: %d", value);
	}
	return arg;
}

static void churn(const char *arg)
{
	snprintf(churned, sizeof(churned), "%s", arg);
	churning = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		if (pthread_create(&threads[i], NULL, churn_main, NULL))
			die("pthread_create");
	reply("started");
}

static void calm(const char *arg)
{
	churning = false;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	reply("stopped");
}

/* enter X, leave: a thread is in victim_wait() until it is told; what that says */
static pthread_t waiting;
static int wait_on[2];

static void *wait_main(void *function)
{
	return (void *)(intptr_t)((int (*)(int))function)(wait_on[0]);
}

static void enter(const char *arg)
{
	void *function = dlsym(*handle_of(arg), "victim_wait");

	if (!function || pipe(wait_on) ||
	    pthread_create(&waiting, NULL, wait_main, function))
		die("enter");
	reply("started");
}

static void leave(const char *arg)
{
	void *value;

	(void)arg;
	if (write(wait_on[1], "x", 1) != 1 || pthread_join(waiting, &value))
		die("leave");
	reply("%d", (int)(intptr_t)value);
}

int main(void)
{
	static const struct victim_command commands[] = {
		{ "open", open_library },
		{ "mopen", open_apart },
		{ "enter", enter },
		{ "leave", leave },
		{ "close", close_library },
		{ "answer", answer },
		{ "loaded", loaded },
		{ "churn", churn },
		{ "calm", calm },
		{ NULL, NULL },
	};

	return victim_talk(commands);
}
