// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The table of threads that have not switched: who gets into it, who is struck
 * off, and what is refused; with either backend.
 *
 * module: debug
 */
#include "kselftest_harness.h"
#include "ulp_raw.h"

#define TABLE	0x200000000000UL
#define BYTES	(ULP_UNIVERSE_WORDS * sizeof(uint64_t))

FIXTURE(universe) {
	struct raw_shared *shared;
	pid_t pid;
	int session;
	struct ulp_range range;
	struct ulp_universe universe;
	struct ulp_transact args;
};

FIXTURE_VARIANT(universe) {
	uint32_t backend;
};

FIXTURE_VARIANT_ADD(universe, gate) {
	.backend = ULP_BACKEND_GATE,
};

FIXTURE_VARIANT_ADD(universe, stop_machine) {
	.backend = ULP_BACKEND_STOP_MACHINE,
};

/* For raw_call(): sleeps until it is told to leave. */
static long stays(void *arg)
{
	struct raw_shared *shared = arg;

	shared->tid = raw_gettid();
	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (!shared->command)
		usleep(500);
	return 0;
}

/* No word that was on the stack stays there. */
static __attribute__((noinline)) void wipe(void)
{
	volatile char below[2048];

	for (unsigned int i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

static void *comes_and_goes(void *arg)
{
	struct raw_shared *shared = arg;

	raw_call(stays, shared);
	wipe();
	shared->value = 1;
	for (;;)
		pause();
	return NULL;
}

/* One thread inside, two that are not: the first one sleeps, the other one runs. */
static void *runs(void *arg)
{
	struct raw_shared *shared = arg;

	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	raw_spin(&shared->count[0]);
	return NULL;
}

static void victim(struct raw_shared *shared)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, comes_and_goes, shared) ||
	    pthread_create(&thread, NULL, runs, shared))
		_exit(1);
	for (;;)
		pause();
}

FIXTURE_SETUP(universe)
{
	struct ulp_query query;

	self->pid = 0;
	self->session = -1;
	ASSERT_EQ(0, raw_query(&query));
	if (variant->backend == ULP_BACKEND_GATE && !(query.out_features & ULP_FEATURE_GATE))
		return;
	self->shared = raw_shared_new();
	self->pid = raw_victim(victim, self->shared);
	ASSERT_TRUE(RAW_WAIT(self->shared->ready == 2));
	self->session = raw_session(self->pid);
	ASSERT_LE(0, self->session);
	ASSERT_EQ(0, raw_map(self->session, -1, TABLE, BYTES, ULP_MAP_WRITE));
	self->range = (struct ulp_range){ (uintptr_t)raw_call, (uintptr_t)raw_call_end };
	self->universe = (struct ulp_universe){
		.size = sizeof(self->universe), .op = ULP_UNIVERSE_BEGIN, .table = TABLE,
		.ranges = (uintptr_t)&self->range, .nr_ranges = 1,
	};
	self->args = raw_transact_args();
	self->args.backend = variant->backend;
	self->args.attempts = 10;
	self->args.universe = (uintptr_t)&self->universe;
}

FIXTURE_TEARDOWN(universe)
{
	close(self->session);
	raw_kill(self->pid);
}

/* How many threads the table in the target's memory has. */
static int members(pid_t pid)
{
	static uint64_t words[ULP_UNIVERSE_WORDS];
	unsigned int i;
	int nr = 0;

	if (raw_read_mem(pid, TABLE, words, sizeof(words)))
		return -1;
	for (i = 0; i < ULP_UNIVERSE_WORDS; i++)
		nr += words[i] > ULP_UNIVERSE_STRUCK;
	return nr;
}

static int roll(int session, struct ulp_members *args, struct ulp_member *threads, uint32_t nr)
{
	*args = (struct ulp_members){
		.size = sizeof(*args), .table = TABLE, .threads = (uintptr_t)threads,
		.nr_threads = nr,
	};
	return raw_ioctl(session, ULP_MEMBERS, args);
}

/* The table is mapped and filled by one transaction. */
#define BEGIN() do {								\
	self->args.flags = ULP_TRANSACT_COMMIT_MAPS;				\
	ASSERT_EQ(0, raw_transact(self->session, &self->args)) {		\
		TH_LOG("reason %u", self->args.out_reason);			\
	}									\
	ASSERT_EQ(variant->backend, self->args.out_backend);			\
	ASSERT_EQ(3, self->args.out_threads);					\
	ASSERT_EQ(1, self->args.out_members);					\
	self->args.flags = 0;							\
} while (0)

/* From now on @args advances @thread. */
#define ADVANCE(thread) do {							\
	self->universe.op = ULP_UNIVERSE_ADVANCE;				\
	self->universe.tid = (thread);						\
	self->universe.ranges = 0;						\
	self->universe.nr_ranges = 0;						\
	self->args.ranges = (uintptr_t)&self->range;				\
	self->args.nr_ranges = 1;						\
} while (0)

TEST_F(universe, who_is_inside)
{
	struct ulp_member threads[8];
	struct ulp_members args;
	int i, seen = 0;

	if (self->session < 0)
		SKIP(return, "no gate on this kernel");
	BEGIN();
	EXPECT_EQ(1, members(self->pid));
	ASSERT_EQ(0, roll(self->session, &args, threads, 8));
	EXPECT_EQ(3, args.out_threads);
	EXPECT_EQ(1, args.out_members);
	for (i = 0; i < 3; i++) {
		seen += threads[i].tid == self->shared->tid;
		EXPECT_EQ(threads[i].tid == self->shared->tid, threads[i].member);
	}
	EXPECT_EQ(1, seen);
}

TEST_F(universe, advance)
{
	struct ulp_members args;
	uint64_t turns;

	if (self->session < 0)
		SKIP(return, "no gate on this kernel");
	BEGIN();
	ADVANCE(self->shared->tid);
	EXPECT_EQ(-EADDRINUSE, raw_transact(self->session, &self->args));
	EXPECT_EQ(self->shared->tid, self->args.out_tid);
	EXPECT_EQ(1, members(self->pid));
	self->shared->command = 1;
	ASSERT_TRUE(RAW_WAIT(self->shared->value));
	EXPECT_EQ(0, raw_transact(self->session, &self->args)) {
		TH_LOG("reason %u", self->args.out_reason);
	}
	EXPECT_EQ(1, self->args.out_threads);
	EXPECT_EQ(0, members(self->pid));
	ASSERT_EQ(0, roll(self->session, &args, NULL, 0));
	EXPECT_EQ(3, args.out_threads);
	EXPECT_EQ(0, args.out_members);
	/* nor is it wrong to do it again, or with one that never was in the table */
	EXPECT_EQ(0, raw_transact(self->session, &self->args));
	ADVANCE(self->pid);
	EXPECT_EQ(0, raw_transact(self->session, &self->args));
	turns = self->shared->count[0];
	EXPECT_TRUE(RAW_WAIT(self->shared->count[0] > turns));
	/* the test's own process is none of the target's */
	ADVANCE(getpid());
	EXPECT_EQ(-ENOENT, raw_transact(self->session, &self->args));
}

/* Who has not switched when all turns round is where it shall be. */
TEST_F(universe, turn)
{
	if (self->session < 0)
		SKIP(return, "no gate on this kernel");
	BEGIN();
	self->universe.op = ULP_UNIVERSE_TURN;
	EXPECT_EQ(0, raw_transact(self->session, &self->args));
	EXPECT_EQ(0, self->args.out_members);
	EXPECT_EQ(0, members(self->pid));
	/* and the other way round it is inside */
	EXPECT_EQ(0, raw_transact(self->session, &self->args));
	EXPECT_EQ(1, self->args.out_members);
	EXPECT_EQ(1, members(self->pid));
}

static int set_answer(FIXTURE_DATA(universe) * self, uint32_t from, uint32_t to)
{
	struct ulp_write write = {
		.addr = RAW_ANSWER_AT(raw_answer), .len = sizeof(to),
		.expected = (uintptr_t)&from, .bytes = (uintptr_t)&to,
	};
	int ret;

	self->args.writes = (uintptr_t)&write;
	self->args.nr_writes = 1;
	ret = raw_transact(self->session, &self->args);
	self->args.nr_writes = 0;
	return ret;
}

/* With the writes, or not at all. */
TEST_F(universe, all_or_nothing)
{
	if (self->session < 0)
		SKIP(return, "no gate on this kernel");
	self->args.flags = ULP_TRANSACT_COMMIT_MAPS;
	EXPECT_EQ(-ESTALE, set_answer(self, 7, 2));
	EXPECT_EQ(0, members(self->pid));
	self->args.flags |= ULP_TRANSACT_DRY_RUN;
	EXPECT_EQ(0, set_answer(self, 1, 2));
	EXPECT_EQ(0, members(self->pid));
	self->args.flags = ULP_TRANSACT_COMMIT_MAPS;
	EXPECT_EQ(0, set_answer(self, 1, 2));
	EXPECT_EQ(1, members(self->pid));
	EXPECT_EQ(-ESTALE, set_answer(self, 1, 2));
}

/* Who advances writes nothing: others run.  What it compares is a condition. */
TEST_F(universe, advance_writes)
{
	if (self->session < 0)
		SKIP(return, "no gate on this kernel");
	BEGIN();
	ADVANCE(self->pid);
	EXPECT_EQ(-EINVAL, set_answer(self, 1, 2));
	EXPECT_EQ(0, set_answer(self, 1, 1));
	EXPECT_EQ(-ESTALE, set_answer(self, 2, 2));
}

TEST_F(universe, arguments)
{
	const struct ulp_universe good = self->universe;
	struct ulp_range wider = { self->range.start, self->range.end + 64 };
	struct ulp_members args;

	if (self->session < 0)
		SKIP(return, "no gate on this kernel");
	/* what is in the way must be part of what is left */
	self->args.ranges = (uintptr_t)&wider;
	self->args.nr_ranges = 1;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &self->args));
	self->args.nr_ranges = 0;
	self->args.flags = ULP_TRANSACT_SCAN_MEMORY;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &self->args));
	self->args.flags = 0;
#define REFUSED(error, field, value) do {					\
	self->universe = good;							\
	self->universe.field = (value);						\
	EXPECT_EQ(-(error), raw_transact(self->session, &self->args));		\
} while (0)
	REFUSED(EINVAL, size, sizeof(good) - 1);
	REFUSED(E2BIG, size, 4097);
	REFUSED(EINVAL, op, 0);
	REFUSED(EINVAL, op, 4);
	REFUSED(EINVAL, op, ULP_UNIVERSE_ADVANCE);
	REFUSED(EINVAL, tid, 1);
	REFUSED(EINVAL, nr_ranges, 0);
	REFUSED(E2BIG, nr_ranges, 1U << 31);
	REFUSED(EFAULT, ranges, 8);
	REFUSED(EINVAL, table, TABLE + 8);
	REFUSED(EINVAL, table, -BYTES);
	REFUSED(EFAULT, table, TABLE + RAW_PAGE);
	self->args.universe = 8;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, &self->args));
	EXPECT_EQ(0, members(self->pid));

	EXPECT_EQ(0, roll(self->session, &args, NULL, 0));
	args.flags = 1;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MEMBERS, &args));
	args.flags = 0;
	args.table = TABLE + 8;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MEMBERS, &args));
	args.table = TABLE + RAW_PAGE;
	EXPECT_EQ(-EFAULT, raw_ioctl(self->session, ULP_MEMBERS, &args));
	EXPECT_EQ(-E2BIG, roll(self->session, &args, NULL, ULP_MEMBERS_MAX + 1));
	EXPECT_EQ(-EFAULT, roll(self->session, &args, (void *)8, 8));
}

TEST_HARNESS_MAIN
