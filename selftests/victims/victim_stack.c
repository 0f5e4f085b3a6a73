// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Threads that are inside functions of libvictim in many ways.
 *
 *	enter WAY	a thread goes in; answers its tid once it is inside
 *	leave		lets it out: what the function returned
 *	shared		a process that shares the memory goes in (CLONE_VM)
 *	unshare		lets it out
 * and those of hammer.h.
 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include "hammer.h"

static pthread_t thread;
static volatile pid_t inside;
static volatile int spin_stop, in_handler;
static volatile long returned;
static int gate[2], handler_gate[2];
static volatile uintptr_t vdso;
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
	returned = victim_spin(&spin_stop);
}

/* Below a handler that waits, on this stack or another one. */
static void on_wait(int sig)
{
	char c;

	(void)sig;
	/* enter() may have sent a second one before it saw this. */
	if (in_handler)
		return;
	in_handler = 1;
	if (read(handler_gate[0], &c, 1) != 1)
		abort();
}

static void below_handler(int flags)
{
	struct sigaction action = { .sa_handler = on_wait, .sa_flags = flags };

	sigaction(SIGUSR2, &action, NULL);
	way_spin();
}

static void way_handler(void)
{
	below_handler(0);
}

static void way_altstack(void)
{
	stack_t stack = { .ss_size = 1 << 16 };

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		die("sigaltstack");
	below_handler(SA_ONSTACK);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
}

/* Interrupted inside the vDSO, which the function called. */
static void on_vdso(int sig, siginfo_t *info, void *context)
{
	uintptr_t ip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)info;
	if (ip >= vdso && ip < vdso + 0x2000 && !in_handler)
		on_wait(sig);
}

static void way_vdso(void)
{
	struct sigaction action = { .sa_sigaction = on_vdso, .sa_flags = SA_SIGINFO };

	vdso = getauxval(AT_SYSINFO_EHDR);
	sigaction(SIGUSR2, &action, NULL);
	returned = victim_clock(&spin_stop) != 0;
}

/* Jumps out of the function: afterwards it is in no frame, only in old words. */
static void on_escape(int sig)
{
	(void)sig;
	siglongjmp(escape, 1);
}

static void way_longjmp(void)
{
	struct sigaction action = { .sa_handler = on_escape };
	char c;

	sigaction(SIGUSR2, &action, NULL);
	if (!sigsetjmp(escape, 1))
		victim_spin(&spin_stop);
	in_handler = 1;
	returned = read(gate[0], &c, 1);
}

/* In no function of the library at all. */
static void way_elsewhere(void)
{
	char c;

	returned = read(gate[0], &c, 1);
}

static const struct way {
	const char *name;
	void (*run)(void);
	bool signalled;		/* interrupt it until it is in the handler */
	bool spinning;
} ways[] = {
	{ "wait", way_wait, false, false },
	{ "deep", way_deep, false, false },
	{ "caller", way_caller, false, false },
	{ "spin", way_spin, false, true },
	{ "handler", way_handler, true, true },
	{ "altstack", way_altstack, true, true },
	{ "vdso", way_vdso, true, true },
	{ "longjmp", way_longjmp, true, false },
	{ "elsewhere", way_elsewhere, false, false },
};

static const struct way *this_way;

static void *thread_main(void *arg)
{
	(void)arg;
	inside = tid_self();
	this_way->run();
	return NULL;
}

static void enter(const char *arg)
{
	struct timespec moment = { .tv_nsec = 1000000 };

	this_way = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!strcmp(ways[i].name, arg))
			this_way = &ways[i];
	}
	if (!this_way) {
		reply("no such way");
		return;
	}
	inside = 0;
	spin_stop = in_handler = 0;
	returned = -2;
	if (pthread_create(&thread, NULL, thread_main, NULL))
		die("pthread_create");
	while (!inside)
		sched_yield();
	nanosleep(&moment, NULL);
	while (this_way->signalled && !in_handler) {
		syscall(SYS_tgkill, getpid(), inside, SIGUSR2);
		nanosleep(&moment, NULL);
	}
	/* spinning ones stay runnable, all others go to sleep in read() */
	while ((!this_way->spinning || this_way->signalled) && task_state(inside) != 'S')
		sched_yield();
	reply("%d", (int)inside);
}

static void leave(const char *arg)
{
	(void)arg;
	spin_stop = 1;
	if (this_way->signalled && this_way->spinning && write(handler_gate[1], "x", 1) != 1)
		die("write");
	if (!this_way->spinning && write(gate[1], "x", 1) != 1)
		die("write");
	pthread_join(thread, NULL);
	reply("%ld", returned);
}

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

int main(void)
{
	static const struct victim_command commands[] = {
		HAMMER_COMMANDS,
		{ "enter", enter },
		{ "leave", leave },
		{ "shared", shared },
		{ "unshare", unshare_end },
		{ "answer", answer },
		{ NULL, NULL },
	};

	if (pipe2(gate, O_CLOEXEC) || pipe2(handler_gate, O_CLOEXEC))
		die("pipe");
	return victim_talk(commands);
}
