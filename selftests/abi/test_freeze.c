// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The freeze as a single step: nobody runs, nobody notices.
 *
 * module: debug
 * timeout: 240
 */
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include "kselftest_harness.h"
#include "raw_threads.h"

#define WATCH_US	100000	/* how long a frozen victim is looked at */
#define FREEZES		20

FIXTURE(freeze) {
	struct raw_shared *shared;
	pid_t pid;
	int session;
};

FIXTURE_SETUP(freeze)
{
	struct ulp_query query;

	self->pid = 0;
	self->session = -1;
	ASSERT_EQ(0, raw_query(&query));
	if (!(query.out_features & ULP_FEATURE_DEBUG))
		SKIP(return, "needs the debug build of the module");
	if (!(query.out_features & ULP_FEATURE_GATE))
		SKIP(return, "no gate on this kernel");
	self->shared = raw_shared_new();
}

FIXTURE_TEARDOWN(freeze)
{
	uint64_t gates = 0;

	if (self->session >= 0) {
		raw_debug(self->session, ULP_DEBUG_THAW, 0, 0, NULL);
		/* a gate that has just been opened may still be on its way out */
		EXPECT_TRUE(RAW_WAIT((gates = raw_gates(self->session)) == 0)) {
			TH_LOG("%lu gates left", (unsigned long)gates);
		}
	}
	close(self->session);
	raw_kill(self->pid);
}

#define FREEZE()	raw_debug(self->session, ULP_DEBUG_FREEZE, 0, 0, NULL)
#define THAW()		raw_debug(self->session, ULP_DEBUG_THAW, 0, 0, NULL)

static uint64_t sum(struct raw_shared *shared)
{
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < sizeof(shared->count) / sizeof(*shared->count); i++)
		total += shared->count[i];
	return total;
}

/* Whether nothing is counted for a while. */
static bool stands_still(struct raw_shared *shared)
{
	uint64_t before = sum(shared);

	usleep(WATCH_US);
	return sum(shared) == before;
}

static bool moves(struct raw_shared *shared)
{
	uint64_t before = sum(shared);

	return RAW_WAIT(sum(shared) != before);
}

/* ---- threads that run ---- */

static void *spinner(void *arg)
{
	raw_is_there();
	raw_spin(arg);
	return NULL;
}

static void spinners(struct raw_shared *shared)
{
	raw_crowd(shared, spinner, 6);
}

TEST_F(freeze, spinners)
{
	int i;

	START(spinners, 6);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, FREEZE());
		EXPECT_TRUE(stands_still(self->shared));
		ASSERT_EQ(0, THAW());
		EXPECT_TRUE(moves(self->shared));
	}
}

static void *calls_kernel(void *arg)
{
	volatile uint64_t *counter = arg;

	raw_is_there();
	for (;;) {
		syscall(SYS_getppid);
		sched_yield();
		++*counter;
	}
	return NULL;
}

static void callers(struct raw_shared *shared)
{
	raw_crowd(shared, calls_kernel, 4);
}

TEST_F(freeze, system_calls)
{
	int i;

	START(callers, 4);
	for (i = 0; i < FREEZES; i++) {
		ASSERT_EQ(0, FREEZE());
		EXPECT_TRUE(stands_still(self->shared));
		ASSERT_EQ(0, THAW());
		EXPECT_TRUE(moves(self->shared));
	}
}

/* ---- threads that are born in it ---- */

static void creators(struct raw_shared *shared)
{
	raw_crowd(shared, raw_creates, 4);
}

TEST_F_TIMEOUT(freeze, newborn_threads, 100)
{
	unsigned int broken = 0;
	int i;

	START(creators, 4);
	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, FREEZE());
		uint64_t before = sum(self->shared);

		usleep(20000);
		broken += sum(self->shared) != before;
		ASSERT_EQ(0, THAW());
	}
	EXPECT_EQ(0, broken);
	EXPECT_TRUE(moves(self->shared));
}

static int born_process(void *arg)
{
	raw_look(arg);
	return 0;
}

static void vforks(struct raw_shared *shared)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	the_shared = shared;
	shared->ready = 1;
	for (;;) {
		pid_t pid = clone(born_process, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD,
				  (void *)&shared->count[0]);

		waitpid(pid, NULL, 0);
	}
}

TEST_F(freeze, newborn_processes)
{
	unsigned int broken = 0;
	int i;

	START(vforks, 1);
	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, FREEZE());
		uint64_t before = sum(self->shared);

		usleep(20000);
		broken += sum(self->shared) != before;
		ASSERT_EQ(0, THAW());
	}
	EXPECT_EQ(0, broken);
	EXPECT_TRUE(moves(self->shared));
}

/* ---- threads that sleep ---- */

enum { NANOSLEEP, EPOLL, POLL, READ, FUTEX, SIGWAIT, PAUSE, NR_SLEEPS };

static int pipe_fds[2];

static void *sleeper(void *arg)
{
	struct timespec hour = { .tv_sec = 3600 };
	struct pollfd poll_fd = { .fd = pipe_fds[0], .events = POLLIN };
	struct epoll_event event = { .events = EPOLLIN };
	int word = 0, epoll = epoll_create1(0);
	sigset_t set;
	char c;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_fds[0], &event);
	raw_is_there();
	switch ((long)arg) {
	case NANOSLEEP:
		nanosleep(&hour, NULL);
		break;
	case EPOLL:
		epoll_wait(epoll, &event, 1, -1);
		break;
	case POLL:
		poll(&poll_fd, 1, -1);
		break;
	case READ:
		if (read(pipe_fds[0], &c, 1) < 0)
			the_shared->wrong++;
		break;
	case FUTEX:
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
		break;
	case SIGWAIT:
		sigtimedwait(&set, NULL, &hour);
		break;
	default:
		pause();
	}
	__atomic_add_fetch(&the_shared->early, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void sleepers(struct raw_shared *shared)
{
	pthread_t thread;
	long i;

	the_shared = shared;
	if (pipe(pipe_fds))
		_exit(1);
	for (i = 0; i < NR_SLEEPS; i++)
		if (pthread_create(&thread, NULL, sleeper, (void *)i))
			_exit(1);
	sleeper((void *)PAUSE);
}

/* No system call ends, and no gate waits for one that never will. */
TEST_F(freeze, sleepers)
{
	int i;

	START(sleepers, NR_SLEEPS + 1);
	ASSERT_TRUE(RAW_WAIT(raw_asleep(self->pid) == NR_SLEEPS + 1));
	for (i = 0; i < FREEZES; i++) {
		ASSERT_EQ(0, FREEZE());
		EXPECT_EQ(NR_SLEEPS + 1, raw_gates(self->session));
		EXPECT_EQ(NR_SLEEPS + 1, raw_asleep(self->pid));
		ASSERT_EQ(0, THAW());
		EXPECT_EQ(0, raw_gates(self->session));
	}
	EXPECT_EQ(NR_SLEEPS + 1, raw_asleep(self->pid));
	EXPECT_EQ(0, self->shared->early);
	EXPECT_EQ(0, self->shared->wrong);
}

/* ---- what others do to it meanwhile ---- */

TEST_F(freeze, killed)
{
	int status;

	START(spinners, 6);
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	EXPECT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	self->pid = 0;
	EXPECT_EQ(0, THAW());
	EXPECT_EQ(-ESRCH, FREEZE());
}

TEST_F(freeze, stopped_in_it)
{
	int status;

	START(spinners, 6);
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	EXPECT_TRUE(stands_still(self->shared));
	EXPECT_EQ(0, waitpid(self->pid, &status, WUNTRACED | WNOHANG));
	ASSERT_EQ(0, THAW());
	EXPECT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	EXPECT_TRUE(WIFSTOPPED(status));
	EXPECT_TRUE(stands_still(self->shared));
	ASSERT_EQ(0, kill(self->pid, SIGCONT));
	EXPECT_TRUE(moves(self->shared));
}

TEST_F(freeze, stopped_before)
{
	struct ulp_transact args = raw_transact_args();
	int status;

	START(spinners, 6);
	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, kill(self->pid, SIGCONT));
	EXPECT_TRUE(stands_still(self->shared));
	ASSERT_EQ(0, THAW());
	EXPECT_TRUE(moves(self->shared));
	/* and it is written to while it is stopped */
	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	EXPECT_EQ(0, raw_set_answer(self->session, raw_answer, 1, 2, &args)) {
		TH_LOG("reason %u", args.out_reason);
	}
	EXPECT_TRUE(stands_still(self->shared));
}

/* A tracer sees no stop that it did not ask for. */
TEST_F(freeze, traced)
{
	struct ulp_transact args = raw_transact_args();
	int status;

	START(spinners, 6);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->pid, NULL, NULL));
	ASSERT_EQ(0, FREEZE());
	EXPECT_TRUE(stands_still(self->shared));
	ASSERT_EQ(0, THAW());
	EXPECT_TRUE(moves(self->shared));
	EXPECT_EQ(0, waitpid(self->pid, &status, WNOHANG));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->pid, NULL, NULL));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_EQ(0, raw_set_answer(self->session, raw_answer, 1, 2, &args)) {
		TH_LOG("reason %u", args.out_reason);
	}
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->pid, NULL, NULL));
	EXPECT_TRUE(moves(self->shared));
}

static volatile sig_atomic_t signals;

static void count_signal(int sig)
{
	signals++;
}

static void takes_signals(struct raw_shared *shared)
{
	signal(SIGUSR1, count_signal);
	shared->ready = 1;
	for (;;) {
		++shared->count[0];
		shared->value = signals;
	}
}

/* A signal waits as long as it takes, and is not lost. */
TEST_F(freeze, signal_in_it)
{
	START(takes_signals, 1);
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, kill(self->pid, SIGUSR1));
	EXPECT_TRUE(stands_still(self->shared));
	EXPECT_EQ(0, self->shared->value);
	ASSERT_EQ(0, THAW());
	EXPECT_TRUE(RAW_WAIT(self->shared->value == 1));
	EXPECT_TRUE(moves(self->shared));
	EXPECT_EQ(1, self->shared->value);
}

/* ---- how it ends ---- */

TEST_F(freeze, close_thaws)
{
	int session;

	START(spinners, 6);
	session = raw_session(self->pid);
	ASSERT_EQ(0, raw_debug(session, ULP_DEBUG_FREEZE, 0, 0, NULL));
	EXPECT_TRUE(stands_still(self->shared));
	close(session);
	EXPECT_TRUE(moves(self->shared));
}

TEST_F(freeze, death_of_the_holder_thaws)
{
	pid_t holder;

	START(spinners, 6);
	holder = fork();
	if (!holder) {
		int session = raw_session(self->pid);

		if (session < 0 || raw_debug(session, ULP_DEBUG_FREEZE, 0, 0, NULL))
			_exit(1);
		self->shared->command = 1;
		pause();
	}
	ASSERT_TRUE(RAW_WAIT(self->shared->command));
	EXPECT_TRUE(stands_still(self->shared));
	raw_kill(holder);
	EXPECT_TRUE(moves(self->shared));
}

TEST_F(freeze, timer_thaws)
{
	START(spinners, 6);
	ASSERT_EQ(0, raw_debug(self->session, ULP_DEBUG_FREEZE, 0, 200000000, NULL));
	EXPECT_TRUE(moves(self->shared));
	EXPECT_TRUE(RAW_WAIT(raw_gates(self->session) == 0));
}

TEST_HARNESS_MAIN
