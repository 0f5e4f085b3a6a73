/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that goes into a function in one of several ways, which the victim
 * lists, and stays there until it is let out:
 *
 *	enter WAY	a thread goes in; answers its tid once it is there
 *	leave		lets it out: what it put into "returned"
 */
#ifndef INSIDE_H
#define INSIDE_H

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "libvictim.h"
#include "victim.h"

struct way {
	const char *name;	/* NULL ends the list */
	void (*run)(void);
	bool signalled;		/* interrupt it until it is in the handler */
	bool spinning;
};

static const struct way *inside_ways, *this_way;
static pthread_t thread;
static volatile pid_t inside;
static volatile int *spin_stop;	/* of a page of its own, see is_there() */
static volatile int in_handler;
static volatile long returned;
static int gate[2], handler_gate[2];
static volatile uintptr_t vdso;

/* ---- handlers to be interrupted by ---- */

static void on_wait(int sig)
{
	char c;

	(void)sig;
	/* enter() may have sent a second one before it saw this */
	if (in_handler)
		return;
	in_handler = 1;
	if (read(handler_gate[0], &c, 1) != 1)
		abort();
}

/* Waits only where it interrupts the vDSO. */
static void on_vdso(int sig, siginfo_t *info, void *context)
{
	uintptr_t ip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)info;
	if (ip >= vdso && ip < vdso + 0x2000 && !in_handler)
		on_wait(sig);
}

static void handle(void (*handler)(int sig), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGUSR2, &action, NULL);
}

static void handle_vdso(void)
{
	struct sigaction action = { .sa_sigaction = on_vdso, .sa_flags = SA_SIGINFO };

	vdso = getauxval(AT_SYSINFO_EHDR);
	sigaction(SIGUSR2, &action, NULL);
}

static void use_altstack(void)
{
	stack_t stack = { .ss_size = 1 << 16 };

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		die("sigaltstack");
}

/* ---- the commands ---- */

static void *inside_main(void *arg)
{
	(void)arg;
	inside = tid_self();
	this_way->run();
	return NULL;
}

/*
 * Whether the thread is where its way leads: it has read spin_stop, so that the page
 * of that is there, or it sleeps.  What is done to it earlier finds it on its way.
 */
static bool is_there(void)
{
	unsigned char resident = 0;

	if (mincore((void *)spin_stop, 4096, &resident))
		die("mincore");
	return (resident & 1) || (!this_way->spinning && task_state(inside) == 'S');
}

static void inside_enter(const char *arg)
{
	struct timespec moment = { .tv_nsec = 1000000 };

	for (this_way = inside_ways; this_way->name; this_way++) {
		if (!strcmp(this_way->name, arg))
			break;
	}
	if (!this_way->name) {
		reply("no such way");
		return;
	}
	inside = 0;
	in_handler = 0;
	returned = 0;
	/* 0 again, and no page */
	if (madvise((void *)spin_stop, 4096, MADV_REMOVE))
		die("madvise");
	if (pthread_create(&thread, NULL, inside_main, NULL))
		die("pthread_create");
	while (!inside || !is_there())
		sched_yield();
	while (this_way->signalled && !in_handler) {
		syscall(SYS_tgkill, getpid(), inside, SIGUSR2);
		nanosleep(&moment, NULL);
	}
	/* spinning ones stay runnable, all others go to sleep in read() */
	while ((!this_way->spinning || this_way->signalled) && task_state(inside) != 'S')
		sched_yield();
	reply("%d", (int)inside);
}

static void inside_leave(const char *arg)
{
	(void)arg;
	*spin_stop = 1;
	if (this_way->signalled && this_way->spinning && write(handler_gate[1], "x", 1) != 1)
		die("write");
	if (!this_way->spinning && write(gate[1], "x", 1) != 1)
		die("write");
	pthread_join(thread, NULL);
	reply("%ld", returned);
}

#define INSIDE_COMMANDS \
	{ "enter", inside_enter }, \
	{ "leave", inside_leave }

static void inside_start(const struct way *ways)
{
	inside_ways = ways;
	/* enter may send it before there is a handler */
	signal(SIGUSR2, SIG_IGN);
	if (pipe2(gate, O_CLOEXEC) || pipe2(handler_gate, O_CLOEXEC))
		die("pipe");
	spin_stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (spin_stop == MAP_FAILED)
		die("mmap");
}

#endif /* INSIDE_H */
