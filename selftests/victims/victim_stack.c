// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Threads that are inside functions of libvictim in many ways.
 *
 *	shared		a process that shares the memory goes in (CLONE_VM)
 *	unshare		lets it out
 *	load		a thread loads libloaded.so
 *	loaded		waits for it: "first=N now=N", see victim_load.c
 *	through		load it from inside victim_call(); the same answer
 * and those of inside.h and hammer.h.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <sys/wait.h>
#include "hammer.h"
#include "inside.h"

static sigjmp_buf escape;

static void way_wait(void)
{
	returned = victim_wait(gate[0]);
}

static void way_deep(void)
{
	returned = victim_deep(200, gate[0]);
}

static void way_caller(void)
{
	returned = victim_caller(gate[0]);
}

static void way_spin(void)
{
	returned = victim_spin(spin_stop);
}

static void way_handler(void)
{
	handle(on_wait, 0);
	way_spin();
}

static void way_altstack(void)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	use_altstack();
	handle(on_wait, SA_ONSTACK);
	way_spin();
	sigaltstack(&none, NULL);
}

/* Interrupted inside the vDSO, which the function called. */
static void way_vdso(void)
{
	handle_vdso();
	returned = victim_clock(spin_stop) != 0;
}

/* Jumps out of the function: afterwards it is in no frame, only in old words. */
static void on_escape(int sig)
{
	(void)sig;
	siglongjmp(escape, 1);
}

static void way_longjmp(void)
{
	char c;

	handle(on_escape, 0);
	if (!sigsetjmp(escape, 1))
		victim_spin(spin_stop);
	in_handler = 1;
	returned = read(gate[0], &c, 1);
}

/* In the parts that the compiler split off. */
static void way_cold(void)
{
	returned = victim_cold(gate[0]);
}

static void way_cold_spin(void)
{
	returned = victim_cold_spin(spin_stop);
}

/* In no function of the library at all. */
static void way_elsewhere(void)
{
	char c;

	returned = read(gate[0], &c, 1);
}

static const struct way ways[] = {
	{ "wait", way_wait, false, false },
	{ "deep", way_deep, false, false },
	{ "caller", way_caller, false, false },
	{ "spin", way_spin, false, true },
	{ "handler", way_handler, true, true },
	{ "altstack", way_altstack, true, true },
	{ "vdso", way_vdso, true, true },
	{ "longjmp", way_longjmp, true, false },
	{ "cold", way_cold, false, false },
	{ "cold_spin", way_cold_spin, false, true },
	{ "elsewhere", way_elsewhere, false, false },
	{ NULL, NULL, false, false },
};

static volatile pid_t sharer;

/* Its own process, our memory: only raw work in it, its libc state is ours. */
static int sharer_main(void *arg)
{
	(void)arg;
	returned = victim_wait(gate[0]);
	return 7;
}

static void shared(const char *arg)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	char path[64], state = '?';

	(void)arg;
	sharer = clone(sharer_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	if (sharer < 0)
		die("clone");
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)sharer);
	while (state != 'S') {
		FILE *file = fopen(path, "r");

		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			die("%s", path);
		fclose(file);
	}
	reply("%d", (int)sharer);
}

static void unshare_end(const char *arg)
{
	int status = -1;

	(void)arg;
	if (write(gate[1], "x", 1) != 1)
		die("write");
	while (waitpid(sharer, &status, 0) < 0 && errno == EINTR)
		;
	reply("%ld %d", returned, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

static pthread_t loader;
static int first = -1, now = -1;

static void load_it(void)
{
	void *handle = dlopen("libloaded.so", RTLD_NOW);
	int *said = handle ? dlsym(handle, "loaded_first") : NULL;
	int (*says)(void) = handle ? (int (*)(void))dlsym(handle, "loaded_answer") : NULL;

	if (!said || !says)
		die("%s", dlerror());
	first = *said;
	now = says();
}

static void *loader_main(void *arg)
{
	load_it();
	return arg;
}

static void load(const char *arg)
{
	(void)arg;
	if (pthread_create(&loader, NULL, loader_main, NULL))
		die("pthread_create");
	reply("loading");
}

static void loaded(const char *arg)
{
	(void)arg;
	pthread_join(loader, NULL);
	reply("first=%d now=%d", first, now);
}

static void through(const char *arg)
{
	(void)arg;
	victim_call(load_it);
	reply("first=%d now=%d", first, now);
}

int main(void)
{
	static const struct victim_command commands[] = {
		HAMMER_COMMANDS,
		INSIDE_COMMANDS,
		{ "shared", shared },
		{ "unshare", unshare_end },
		{ "answer", answer },
		{ "load", load },
		{ "loaded", loaded },
		{ "through", through },
		{ NULL, NULL },
	};

	inside_start(ways);
	return victim_talk(commands);
}
