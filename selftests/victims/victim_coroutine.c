// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A coroutine that is suspended, inside a function of libvictim or not.
 *
 *	enter inside|elsewhere	it runs until it is there
 *	leave			it goes on to its end: what victim_call() returned, or 0
 *	thread			one more sleeps, on a stack just above the coroutine's
 *	answer N
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "libvictim.h"
#include "victim.h"

#define STACK	(256 * 1024)

/* Contexts by names that are no symbols of the program. */
#ifdef OWN_CONTEXTS
#define swapcontext(from, to) \
	((int (*)(ucontext_t *, const ucontext_t *))dlsym(RTLD_DEFAULT, "swapcontext"))(from, to)
#define makecontext(context, ...) \
	((void (*)(ucontext_t *, void (*)(void), int, ...))				\
	 dlsym(RTLD_DEFAULT, "makecontext"))(context, __VA_ARGS__)
#endif

static ucontext_t scheduler, coroutine;
static char *stack;
static int way_inside;
static long returned;

static void suspend(void)
{
	if (swapcontext(&coroutine, &scheduler))
		die("swapcontext");
}

static void coroutine_main(void)
{
	if (way_inside)
		returned = victim_call(suspend);
	else
		suspend();
}

static void resume(void)
{
	if (swapcontext(&scheduler, &coroutine))
		die("swapcontext");
}

/* Deep enough to write over what the calls above left on the thread's own stack. */
static WHOLE void scrub(void)
{
	volatile char below[8192];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

static void enter(const char *arg)
{
	way_inside = !strcmp(arg, "inside");
	returned = 0;
	memset(stack, 0, STACK);
	if (getcontext(&coroutine))
		die("getcontext");
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = STACK;
	coroutine.uc_link = &scheduler;
	makecontext(&coroutine, coroutine_main, 0);
	resume();
	scrub();
	reply("suspended");
}

static void leave(const char *arg)
{
	(void)arg;
	resume();
	memset(stack, 0, STACK);
	scrub();
	reply("%ld", returned);
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* The two stacks are one mapping: no guard page is between them. */
static void start_thread(const char *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	(void)arg;
	pthread_attr_init(&attr);
	if (pthread_attr_setstack(&attr, stack + STACK, STACK) ||
	    pthread_create(&thread, &attr, sleeper, NULL))
		die("pthread_create");
	pthread_attr_destroy(&attr);
	reply("started");
}

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

int main(void)
{
	static const struct victim_command commands[] = {
		{ "enter", enter },
		{ "leave", leave },
		{ "thread", start_thread },
		{ "answer", answer },
		{ NULL, NULL },
	};

	stack = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		die("mmap");
	return victim_talk(commands);
}
