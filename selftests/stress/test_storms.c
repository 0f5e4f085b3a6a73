// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Transactions on targets that never hold still: threads, vforks, forks, execs
 * and signals without end, several sessions at once.
 *
 * module: debug
 * timeout: 300
 */
#include <sched.h>
#include <sys/time.h>
#include "kselftest_harness.h"
#include "../abi/raw_threads.h"

#define SECONDS		8

static void threads(struct raw_shared *shared)
{
	raw_crowd(shared, raw_creates, 4);
}

static int born_process(void *arg)
{
	raw_look(arg);
	return 0;
}

static void *vforks(void *arg)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	raw_is_there();
	for (;;) {
		pid_t pid = clone(born_process, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD,
				  arg);

		waitpid(pid, NULL, __WALL);
	}
	return NULL;
}

static void vfork_storm(struct raw_shared *shared)
{
	raw_crowd(shared, vforks, 2);
}

static void fork_storm(struct raw_shared *shared)
{
	the_shared = shared;
	shared->ready = 1;
	for (;;) {
		pid_t pid = fork();

		raw_look(&shared->count[0]);
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void spawn_storm(struct raw_shared *shared)
{
	char * const argv[] = { "true", NULL };

	the_shared = shared;
	shared->ready = 1;
	for (;;) {
		pid_t pid = vfork();

		if (!pid) {
			execv("/bin/true", argv);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
		raw_look(&shared->count[0]);
	}
}

static void on_signal(int sig)
{
	raw_look(&the_shared->count[1]);
}

static void signal_storm(struct raw_shared *shared)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
	stack_t stack = { .ss_size = 65536 };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	the_shared = shared;
	stack.ss_sp = malloc(stack.ss_size);
	sigaltstack(&stack, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	shared->ready = 1;
	for (;;)
		raw_look(&shared->count[0]);
}

static void *maps(void *arg)
{
	volatile uint64_t *turns = arg;

	raw_is_there();
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		memset(p, 1, 1 << 16);
		mprotect(p, RAW_PAGE, PROT_NONE);
		munmap(p, 1 << 20);
		raw_look(turns);
	}
	return NULL;
}

static void map_storm(struct raw_shared *shared)
{
	raw_crowd(shared, maps, 2);
}

FIXTURE(storm) {
	struct raw_shared *shared;
	pid_t pid;
	int session;
};

FIXTURE_VARIANT(storm) {
	uint32_t backend;
	void (*victim)(struct raw_shared *shared);
	unsigned int ready;
};

#define VARIANT(name, how, fn, nr)						\
	FIXTURE_VARIANT_ADD(storm, name) {					\
		.backend = ULP_BACKEND_ ## how, .victim = (fn), .ready = (nr),	\
	}

VARIANT(threads_gate, GATE, threads, 4);
VARIANT(threads_stop_machine, STOP_MACHINE, threads, 4);
VARIANT(vfork_gate, GATE, vfork_storm, 2);
VARIANT(vfork_stop_machine, STOP_MACHINE, vfork_storm, 2);
VARIANT(fork_gate, GATE, fork_storm, 1);
VARIANT(fork_stop_machine, STOP_MACHINE, fork_storm, 1);
VARIANT(spawn_gate, GATE, spawn_storm, 1);
VARIANT(spawn_stop_machine, STOP_MACHINE, spawn_storm, 1);
VARIANT(signals_gate, GATE, signal_storm, 1);
VARIANT(signals_stop_machine, STOP_MACHINE, signal_storm, 1);
VARIANT(maps_gate, GATE, map_storm, 2);
VARIANT(maps_stop_machine, STOP_MACHINE, map_storm, 2);

FIXTURE_SETUP(storm)
{
	struct ulp_query query;

	self->pid = 0;
	self->session = -1;
	ASSERT_EQ(0, raw_query(&query));
	if (variant->backend == ULP_BACKEND_GATE && !(query.out_features & ULP_FEATURE_GATE))
		SKIP(return, "no gate on this kernel");
	self->shared = raw_shared_new();
	self->pid = raw_victim(variant->victim, self->shared);
	ASSERT_TRUE(RAW_WAIT(self->shared->ready == variant->ready));
	self->session = raw_session(self->pid);
	ASSERT_LE(0, self->session);
}

FIXTURE_TEARDOWN(storm)
{
	if (self->session >= 0 && raw_is_debug())
		EXPECT_TRUE(RAW_WAIT(raw_gates(self->session) == 0));
	close(self->session);
	raw_kill(self->pid);
}

TEST_F_TIMEOUT(storm, transactions, 90)
{
	uint64_t end = raw_now() + SECONDS * 1000000000ULL, turns, most = 0;
	unsigned int done = 0, refused = 0;
	struct ulp_transact args;
	uint32_t from = 1, value;
	int ret;

	while (raw_now() < end || !done) {
		args = raw_transact_args();
		args.backend = variant->backend;
		args.attempts = 20;
		args.retry_ns = 200000;
		ret = raw_set_answer(self->session, raw_answer, from, 3 - from, &args);
		ASSERT_TRUE(ret == 0 || ret == -EADDRINUSE || ret == -EAGAIN || ret == -ETIME) {
			TH_LOG("result %d, reason %u", ret, args.out_reason);
		}
		if (ret) {
			refused++;
			continue;
		}
		done++;
		from = 3 - from;
		if (args.out_max_freeze_ns > most)
			most = args.out_max_freeze_ns;
		ASSERT_EQ(0, raw_read_mem(self->pid, RAW_ANSWER_AT(raw_answer), &value, 4));
		ASSERT_EQ(from, value);
	}
	turns = self->shared->count[0];
	EXPECT_TRUE(RAW_WAIT(self->shared->count[0] > turns));
	EXPECT_EQ(0, self->shared->wrong);
	EXPECT_LT(0, done);
	TH_LOG("%u done, %u refused, longest hold %lu us", done, refused,
	       (unsigned long)most / 1000);
}

/* ---- many targets, many callers, one module ---- */

FIXTURE(crowd) {
	struct raw_shared *shared[4];
	pid_t victims[4];
	pid_t callers[4];
};

FIXTURE_SETUP(crowd)
{
	int i;

	for (i = 0; i < 4; i++) {
		self->shared[i] = raw_shared_new();
		self->victims[i] = raw_victim(threads, self->shared[i]);
		self->callers[i] = 0;
	}
	for (i = 0; i < 4; i++)
		ASSERT_TRUE(RAW_WAIT(self->shared[i]->ready == 4));
}

FIXTURE_TEARDOWN(crowd)
{
	int i;

	for (i = 0; i < 4; i++) {
		raw_kill(self->callers[i]);
		raw_kill(self->victims[i]);
	}
}

/* Each caller works on one target; two targets have two callers. */
static void call(struct raw_shared *shared, pid_t pid, bool other)
{
	int session = raw_session(pid);
	uint32_t from = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct ulp_transact args = raw_transact_args();
		int ret;

		args.attempts = 10;
		args.retry_ns = 100000;
		ret = raw_set_answer(session, raw_answer, from, 3 - from, &args);
		if (!ret || ret == -ESTALE)
			from = 3 - from;
		if (!ret)
			__atomic_add_fetch(&shared->count[100 + other], 1, __ATOMIC_SEQ_CST);
		if (ret == -EALREADY)
			__atomic_add_fetch(&shared->count[102], 1, __ATOMIC_SEQ_CST);
	}
}

TEST_F_TIMEOUT(crowd, sessions_at_once, 90)
{
	int i;

	for (i = 0; i < 4; i++) {
		self->callers[i] = fork();
		if (!self->callers[i])
			call(self->shared[i / 2], self->victims[i / 2], i % 2);
	}
	sleep(SECONDS);
	for (i = 0; i < 2; i++) {
		struct raw_shared *shared = self->shared[i];

		EXPECT_TRUE(RAW_WAIT(shared->count[100] && shared->count[101]));
		EXPECT_EQ(0, shared->wrong);
		TH_LOG("target %d: %lu and %lu done, %lu times the other was at it", i,
		       (unsigned long)shared->count[100], (unsigned long)shared->count[101],
		       (unsigned long)shared->count[102]);
	}
}

TEST_HARNESS_MAIN
