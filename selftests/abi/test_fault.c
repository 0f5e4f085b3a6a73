// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Each step that can fail does, once: afterwards the target is alive and
 * unchanged, no gate is left, and the next transaction works.
 *
 * module: debug
 * timeout: 240
 */
#include "kselftest_harness.h"
#include "raw_threads.h"

static void *sleeps(void *arg)
{
	raw_is_there();
	pause();
	the_shared->early++;
	return NULL;
}

static void victim(struct raw_shared *shared)
{
	pthread_t thread;
	int i;

	the_shared = shared;
	for (i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, raw_hammers, (void *)&shared->count[i]) ||
		    pthread_create(&thread, NULL, sleeps, NULL))
			_exit(1);
	sleeps(NULL);
}

static void creating_victim(struct raw_shared *shared)
{
	pthread_t thread;

	the_shared = shared;
	if (pthread_create(&thread, NULL, raw_creates, (void *)&shared->count[1]))
		_exit(1);
	raw_hammers((void *)&shared->count[0]);
}

FIXTURE(fault) {
	struct raw_shared *shared;
	pid_t pid;
	int session;
};

FIXTURE_VARIANT(fault) {
	uint32_t backend;
};

FIXTURE_VARIANT_ADD(fault, gate) {
	.backend = ULP_BACKEND_GATE,
};

FIXTURE_VARIANT_ADD(fault, stop_machine) {
	.backend = ULP_BACKEND_STOP_MACHINE,
};

FIXTURE_SETUP(fault)
{
	struct ulp_query query;

	self->pid = 0;
	self->session = -1;
	ASSERT_EQ(0, raw_query(&query));
	if (!(query.out_features & ULP_FEATURE_DEBUG))
		SKIP(return, "needs the debug build of the module");
	if (variant->backend == ULP_BACKEND_GATE && !(query.out_features & ULP_FEATURE_GATE))
		SKIP(return, "no gate on this kernel");
	self->shared = raw_shared_new();
}

FIXTURE_TEARDOWN(fault)
{
	close(self->session);
	raw_kill(self->pid);
}

/* From @from to @to, with a fault point armed; hot code wants many attempts. */
static int set_answer(int session, uint32_t backend, uint32_t from, uint32_t to,
		      uint32_t attempts, struct ulp_transact *args)
{
	*args = raw_transact_args();
	args->backend = backend;
	args->attempts = attempts;
	args->retry_ns = 300000;
	return raw_set_answer(session, raw_answer, from, to, args);
}

/* The target is what it was: alive, unchanged, free; and it can be patched. */
#define EXPECT_UNHARMED() do {							\
	uint64_t _turns = self->shared->count[0];				\
	uint32_t _value = 0, _seen;						\
										\
	EXPECT_EQ(0, raw_read_mem(self->pid, RAW_ANSWER_AT(raw_answer), &_value, 4)); \
	EXPECT_EQ(1, _value);							\
	EXPECT_TRUE(RAW_WAIT(self->shared->count[0] > _turns));			\
	EXPECT_TRUE(RAW_WAIT(raw_gates(self->session) == 0));			\
	EXPECT_EQ(0, self->shared->wrong);					\
	EXPECT_EQ(0, self->shared->early);					\
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 1, 2, 1000, &args)) { \
		TH_LOG("reason %u", args.out_reason);				\
	}									\
	_seen = self->shared->seen[2];						\
	EXPECT_TRUE(RAW_WAIT(self->shared->seen[2] > _seen));			\
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 2, 1, 1000, &args)); \
	EXPECT_EQ(0, self->shared->wrong);					\
	EXPECT_EQ(0, self->shared->early);					\
	EXPECT_TRUE(RAW_WAIT(raw_gates(self->session) == 0));			\
} while (0)

TEST_F(fault, before_the_freeze)
{
	static const struct { uint32_t point; int err; } points[] = {
		{ ULP_FAULT_PIN, -EFAULT },
		{ ULP_FAULT_COPY_PLAN, -EFAULT },
		{ ULP_FAULT_ALLOC, -ENOMEM },
		{ ULP_FAULT_COPY_RESULT, -EFAULT },
	};
	struct ulp_transact args;
	unsigned int i;

	START(victim, 5);
	for (i = 0; i < sizeof(points) / sizeof(*points); i++) {
		ASSERT_EQ(0, raw_fault(self->session, points[i].point, 0));
		if (points[i].point == ULP_FAULT_COPY_RESULT)	/* our own call passed it */
			ASSERT_EQ(0, raw_fault(self->session, points[i].point, 1));
		EXPECT_EQ(points[i].err, set_answer(self->session, variant->backend, 1, 3, 100,
						    &args)) {
			TH_LOG("point %u", points[i].point);
		}
		EXPECT_EQ(0, args.out_max_freeze_ns);
		EXPECT_UNHARMED();
	}
}

/* Each attempt is one passing: with one attempt it fails, with two it does not. */
TEST_F(fault, freeze_limit)
{
	struct ulp_transact args;

	if (variant->backend == ULP_BACKEND_STOP_MACHINE)
		SKIP(return, "nothing is gated");
	START(victim, 5);
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_FREEZE_LIMIT, 0));
	EXPECT_EQ(-ETIME, set_answer(self->session, variant->backend, 1, 3, 1, &args));
	EXPECT_EQ(ULP_REASON_FREEZE_LIMIT, args.out_reason);
	EXPECT_LT(0, args.out_freeze_ns);
	EXPECT_UNHARMED();
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_FREEZE_LIMIT, 0));
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 1, 2, 1000, &args));
	EXPECT_LE(2, args.out_attempts);
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 2, 1, 1000, &args));
}

TEST_F(fault, check)
{
	struct ulp_transact args;

	START(victim, 5);
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_CHECK, 0));
	EXPECT_EQ(-EADDRINUSE, set_answer(self->session, variant->backend, 1, 3, 1, &args));
	EXPECT_UNHARMED();
}

/* What was missing is fetched, which is no attempt of the caller's. */
TEST_F(fault, stack_page)
{
	struct ulp_transact args = raw_transact_args();
	struct ulp_range range;

	START(victim, 5);
	/* not before: the victim has a copy of our stack */
	range = (struct ulp_range) { (uintptr_t)raw_answer2, (uintptr_t)raw_answer2_end };
	args.backend = variant->backend;
	args.ranges = (uintptr_t)&range;
	args.nr_ranges = 1;
	args.flags = ULP_TRANSACT_NO_STAMPS;
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_STACK, 0));
	EXPECT_EQ(0, raw_transact(self->session, &args));
	EXPECT_EQ(1, args.out_attempts);
	EXPECT_UNHARMED();
}

TEST_F(fault, write_page)
{
	struct ulp_transact args;

	START(victim, 5);
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_PAGE, 0));
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 1, 2, 1000, &args));
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 2, 1, 1000, &args));
	EXPECT_UNHARMED();
}

/* The k-th of several writes does not fit, seen in the window only. */
TEST_F(fault, write_bytes)
{
	struct ulp_transact args;
	uint32_t one = 1, three = 3, value;
	struct ulp_write writes[2];
	unsigned int k;

	START(victim, 5);
	for (k = 0; k < 2; k++)
		writes[k] = (struct ulp_write) {
			.addr = RAW_ANSWER_AT(k ? raw_answer2 : raw_answer), .len = 4,
			.expected = (uintptr_t)&one, .bytes = (uintptr_t)&three,
		};
	for (k = 0; k < 2; k++) {
		args = raw_transact_args();
		args.backend = variant->backend;
		args.writes = (uintptr_t)writes;
		args.nr_writes = 2;
		ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_BYTES, k));
		EXPECT_EQ(-ESTALE, raw_transact(self->session, &args));
		EXPECT_EQ(ULP_REASON_BYTES, args.out_reason);
		EXPECT_EQ(k, args.out_write);
		EXPECT_LT(0, args.out_freeze_ns);
		EXPECT_EQ(0, raw_read_mem(self->pid, RAW_ANSWER_AT(raw_answer2), &value, 4));
		EXPECT_EQ(1, value);
		EXPECT_UNHARMED();
	}
}

TEST_F(fault, gate_pool)
{
	struct ulp_transact args = raw_transact_args();
	int i;

	START(creating_victim, 2);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_GATE_POOL, i % 3));
		EXPECT_EQ(0, set_answer(self->session, variant->backend, 1, 2, 1000, &args)) {
			TH_LOG("reason %u", args.out_reason);
		}
		EXPECT_EQ(0, set_answer(self->session, variant->backend, 2, 1, 1000, &args));
	}
	EXPECT_EQ(0, self->shared->wrong);
	EXPECT_TRUE(RAW_WAIT(raw_gates(self->session) == 0));
}

/* Done is done, even if the caller cannot be told the details. */
TEST_F(fault, result_after_it_happened)
{
	struct ulp_transact args;

	START(victim, 5);
	/* the answer of this call, the test of the next one, its answer */
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_COPY_RESULT, 2));
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 1, 2, 1000, &args));
	EXPECT_EQ(0, args.out_attempts);
	EXPECT_TRUE(RAW_WAIT(self->shared->seen[2]));
	EXPECT_EQ(0, set_answer(self->session, variant->backend, 2, 1, 1000, &args));
	EXPECT_UNHARMED();
}

TEST_HARNESS_MAIN
