// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Death at every moment: of the target in a transaction, of the caller in a
 * loop, of both; and the module's counters afterwards.
 *
 * module: debug
 * timeout: 240
 */
#include "kselftest_harness.h"
#include "../abi/raw_threads.h"

#define SECONDS		12

static void victim(struct raw_shared *shared)
{
	pthread_t thread;

	the_shared = shared;
	if (pthread_create(&thread, NULL, raw_hammers, (void *)&shared->count[1]) ||
	    pthread_create(&thread, NULL, raw_creates, (void *)&shared->count[2]))
		_exit(1);
	raw_hammers((void *)&shared->count[0]);
}

FIXTURE(kill) {
	struct raw_shared *shared;
	unsigned int seed;
};

FIXTURE_VARIANT(kill) {
	uint32_t backend;
};

FIXTURE_VARIANT_ADD(kill, gate) {
	.backend = ULP_BACKEND_GATE,
};

FIXTURE_VARIANT_ADD(kill, stop_machine) {
	.backend = ULP_BACKEND_STOP_MACHINE,
};

FIXTURE_SETUP(kill)
{
	struct ulp_query query;

	ASSERT_EQ(0, raw_query(&query));
	if (variant->backend == ULP_BACKEND_GATE && !(query.out_features & ULP_FEATURE_GATE))
		SKIP(return, "no gate on this kernel");
	self->shared = raw_shared_new();
	self->seed = getpid();
	TH_LOG("seed %u", self->seed);
}

FIXTURE_TEARDOWN(kill)
{
}

static int toggle(int session, uint32_t backend, uint32_t from)
{
	struct ulp_transact args = raw_transact_args();

	args.backend = backend;
	args.attempts = 20;
	args.retry_ns = 100000;
	return raw_set_answer(session, raw_answer, from, 3 - from, &args);
}

/* The target is killed while a transaction may be under way. */
TEST_F_TIMEOUT(kill, target, 60)
{
	uint64_t end = raw_now() + SECONDS * 1000000000ULL;
	unsigned int rounds = 0, done = 0, gone = 0;
	struct raw_shared *shared = self->shared;

	while (raw_now() < end || rounds < 2) {
		pid_t pid, killer;
		uint32_t from = 1;
		int session, ret;

		memset(shared, 0, sizeof(*shared));
		pid = raw_victim(victim, shared);
		ASSERT_TRUE(RAW_WAIT(shared->ready == 3));
		session = raw_session(pid);
		ASSERT_LE(0, session);
		killer = fork();
		if (!killer) {
			/* every other one lives until it was written to */
			if (rounds % 2)
				RAW_WAIT(shared->command);
			usleep(rand_r(&self->seed) % 20000);
			kill(pid, SIGKILL);
			_exit(0);
		}
		rand_r(&self->seed);
		do {
			ret = toggle(session, variant->backend, from);
			ASSERT_TRUE(ret == 0 || ret == -ESRCH || ret == -EADDRINUSE ||
				    ret == -EFAULT || ret == -EAGAIN || ret == -ETIME) {
				TH_LOG("result %d", ret);
			}
			if (!ret) {
				from = 3 - from;
				done++;
				shared->command = 1;
			}
		} while (ret != -ESRCH && ret != -EFAULT);
		gone += ret == -ESRCH;
		waitpid(killer, NULL, 0);
		waitpid(pid, NULL, 0);
		close(session);
		EXPECT_EQ(0, shared->wrong);
		rounds++;
	}
	TH_LOG("%u rounds, %u transactions, %u found it gone", rounds, done, gone);
	EXPECT_LT(0, done);
}

/* The caller is killed at any instant: wholly old or wholly new, and alive. */
TEST_F_TIMEOUT(kill, caller, 60)
{
	uint64_t end = raw_now() + SECONDS * 1000000000ULL;
	struct raw_shared *shared = self->shared;
	unsigned int rounds = 0, turned = 0;
	uint32_t value, before = 1;
	struct raw_shared *signal;
	uint64_t turns;
	int session;
	pid_t pid;

	signal = raw_shared_new();
	pid = raw_victim(victim, shared);
	ASSERT_TRUE(RAW_WAIT(shared->ready == 3));
	while (raw_now() < end) {
		pid_t caller;

		signal->ready = 0;
		caller = fork();
		if (!caller) {
			uint32_t from = before;
			int fd = raw_session(pid);

			raw_map(fd, -1, 0x200000000000, RAW_PAGE, ULP_MAP_EXEC);
			signal->ready = 1;
			for (;;)
				if (!toggle(fd, variant->backend, from))
					from = 3 - from;
		}
		ASSERT_TRUE(RAW_WAIT(signal->ready));
		usleep(rand_r(&self->seed) % 10000);
		raw_kill(caller);
		ASSERT_EQ(0, raw_read_mem(pid, RAW_ANSWER_AT(raw_answer), &value, 4));
		ASSERT_TRUE(value == 1 || value == 2) {
			TH_LOG("value %u", value);
		}
		turned += value != before;
		before = value;
		turns = shared->count[0];
		ASSERT_TRUE(RAW_WAIT(shared->count[0] > turns));
		rounds++;
	}
	EXPECT_EQ(0, shared->wrong);
	/* what the callers had mapped and not committed is gone */
	session = raw_session(pid);
	ASSERT_LE(0, session);
	EXPECT_EQ(0, raw_map(session, -1, 0x200000000000, RAW_PAGE, 0));
	EXPECT_EQ(0, toggle(session, variant->backend, before) == -EBADF);
	if (raw_is_debug())
		EXPECT_TRUE(RAW_WAIT(raw_gates(session) == 0));
	close(session);
	raw_kill(pid);
	TH_LOG("%u callers killed, %u left it the other way", rounds, turned);
	EXPECT_LT(0, rounds);
}

TEST_HARNESS_MAIN
