// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Threads that are inside functions of libvictim as long as they are told to.
 *
 *	new		one more thread, outside: answers its number and tid
 *	stay N		it goes in
 *	part N		it calls victim_part(), from where it is: what that says
 *	leave N		it comes out: what victim_stay() says
 *	fork N		it forks, where it is: the child's pid
 *	end N		it ends
 *	raw		a thread without thread pointer spins in victim_spin()
 *	unraw		lets it out
 *	address		of victim_part()
 *	step		a thread is interrupted behind the first instruction of
 *			victim_outer(): answers when its handler runs
 *	go		the handler returns: what victim_outer() says
 * and those of hammer.h.  Thread 9 is the child of the last fork.
 */
#include <asm/prctl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include "hammer.h"

#define MAX_THREADS	10
#define CHILD		9

/* Where a thread reads what it is to do, and where it answers. */
struct line {
	int in[2], out[2];
	pthread_t thread;
	volatile pid_t tid;
};

static struct line lines[MAX_THREADS];
static int nr_lines;
static __thread struct line *mine;

static void put(int fd, int value)
{
	if (write(fd, &value, sizeof(value)) != sizeof(value))
		_exit(98);
}

/* Only in the library's functions while it is told to: nothing of ours is patched. */
static void *thread_main(void *arg)
{
	char c;

	mine = arg;
	mine->tid = tid_self();
	while (read(mine->in[0], &c, 1) == 1 && c != 'q') {
		switch (c) {
		case 's':
			put(mine->out[1], victim_stay(mine->in[0], mine->out[1]));
			break;
		case 'f':
			put(mine->out[1], fork());
			break;
		default:
			put(mine->out[1], victim_trip());
		}
	}
	return NULL;
}

/* The child of a thread listens to the child's line by the thread's descriptors. */
static void in_child(void)
{
	if (!mine || dup2(lines[CHILD].in[0], mine->in[0]) < 0 ||
	    dup2(lines[CHILD].out[1], mine->out[1]) < 0)
		_exit(97);
}

static struct line *line(const char *arg)
{
	int n = atoi(arg);

	return &lines[n == CHILD || n < nr_lines ? n : 0];
}

static void tell(const struct line *l, char c)
{
	if (write(l->in[1], &c, 1) != 1)
		die("write");
}

static int hear(const struct line *l)
{
	int value;

	if (read(l->out[0], &value, sizeof(value)) != sizeof(value))
		die("read");
	return value;
}

static void new_thread(const char *arg)
{
	struct line *l = &lines[nr_lines];

	(void)arg;
	l->tid = 0;
	if (nr_lines == CHILD || pipe2(l->in, O_CLOEXEC) || pipe2(l->out, O_CLOEXEC) ||
	    pthread_create(&l->thread, NULL, thread_main, l))
		die("thread");
	while (!l->tid)
		sched_yield();
	reply("%d %d", nr_lines++, (int)l->tid);
}

/* It is inside when it has answered from there. */
static void stay(const char *arg)
{
	struct line *l = line(arg);

	tell(l, 's');
	tell(l, 'p');
	reply("%d", hear(l));
}

static void part(const char *arg)
{
	struct line *l = line(arg);

	tell(l, 'p');
	reply("%d", hear(l));
}

static void leave(const char *arg)
{
	struct line *l = line(arg);

	tell(l, 'x');
	reply("%d", hear(l));
}

static pid_t child;

static void do_fork(const char *arg)
{
	struct line *l = line(arg);
	int zero;

	tell(l, 'f');
	child = hear(l);
	reply("%d", (int)child);
	/* The child's own answer. */
	zero = hear(&lines[CHILD]);
	if (zero)
		die("child says %d", zero);
}

static void end(const char *arg)
{
	struct line *l = line(arg);

	tell(l, 'q');
	/* the next child has the same line: it must not hear what was said to this one */
	if (l == &lines[CHILD] ? waitpid(child, NULL, 0) != child :
				 pthread_join(l->thread, NULL))
		die("end");
	reply("ended");
}

static volatile int raw_stop, raw_runs;

/* Found before: ld.so has no place in a thread without thread pointer. */
static int (*volatile spin)(volatile int *stop) = victim_spin;

static int raw_main(void *arg)
{
	(void)arg;
	raw_runs = 1;
	spin(&raw_stop);
	raw_runs = 2;
	return 0;
}

static void raw(const char *arg)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	(void)arg;
	if (clone(raw_main, stack + sizeof(stack), CLONE_VM | CLONE_THREAD | CLONE_SIGHAND |
		  CLONE_FS | CLONE_FILES | CLONE_SETTLS, NULL, NULL, NULL, NULL) < 0)
		die("clone");
	while (!raw_runs)
		sched_yield();
	reply("spinning");
}

static void unraw(const char *arg)
{
	(void)arg;
	raw_stop = 1;
	while (raw_runs != 2)
		sched_yield();
	reply("ended");
}

static void address(const char *arg)
{
	(void)arg;
	reply("%#lx", (unsigned long)dlsym(RTLD_DEFAULT, "victim_part"));
}

#define TRAP_FLAG	0x100

static pthread_t stepper;
static int go_on[2], stepped[2];
static greg_t outer_entry;
static volatile int at_entry;
static long (*volatile outer)(void) = victim_outer;

/* After each instruction, until it is behind the first of victim_outer(). */
static void on_trap(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	char c;

	(void)sig;
	(void)info;
	if (regs[REG_RIP] == outer_entry) {
		at_entry = 1;
	} else if (at_entry) {
		put(stepped[1], 1);
		if (read(go_on[0], &c, 1) != 1)
			_exit(96);
		regs[REG_EFL] &= ~TRAP_FLAG;
	}
}

static void *stepper_main(void *arg)
{
	(void)arg;
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushf; orq %0, (%%rsp); popf;"
			 "lea 128(%%rsp), %%rsp" :: "i" (TRAP_FLAG) : "memory", "cc");
	return (void *)outer();
}

static void step(const char *arg)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	int one;

	(void)arg;
	outer_entry = (greg_t)dlsym(RTLD_DEFAULT, "victim_outer");
	at_entry = 0;
	if (pipe(go_on) || pipe(stepped) || sigaction(SIGTRAP, &action, NULL) ||
	    pthread_create(&stepper, NULL, stepper_main, NULL) ||
	    read(stepped[0], &one, sizeof(one)) != sizeof(one))
		die("step");
	reply("interrupted");
}

static void go(const char *arg)
{
	void *value;

	(void)arg;
	if (write(go_on[1], "g", 1) != 1 || pthread_join(stepper, &value))
		die("go");
	reply("%#lx", (unsigned long)value);
}

int main(void)
{
	static const struct victim_command commands[] = {
		HAMMER_COMMANDS,
		{ "new", new_thread },
		{ "stay", stay },
		{ "part", part },
		{ "leave", leave },
		{ "fork", do_fork },
		{ "end", end },
		{ "raw", raw },
		{ "unraw", unraw },
		{ "address", address },
		{ "step", step },
		{ "go", go },
		{ NULL, NULL },
	};

	if (pipe2(lines[CHILD].in, O_CLOEXEC) || pipe2(lines[CHILD].out, O_CLOEXEC) ||
	    pthread_atfork(NULL, NULL, in_child))
		die("pipe");
	return victim_talk(commands);
}
