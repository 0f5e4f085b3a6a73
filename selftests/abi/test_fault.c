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

/* A plan with something of everything: two writes, stale words, a subject. */
static int change(int session, uint32_t backend, uint32_t from, uint32_t to,
		  struct ulp_transact *args)
{
	static char stack[256];
	struct ulp_subject subject = {
		.size = sizeof(subject), .action = ULP_ACTION_APPLY, .name = "fault",
		.nr_functions = 1, .functions_size = 2, .functions = (uintptr_t)"f",
	};
	/* not in the victim, which has a copy of our stack, by their ends either */
	struct ulp_range range = { (uintptr_t)raw_spin + 1, (uintptr_t)raw_spin + 2 };
	struct ulp_stale stale = { };
	struct ulp_write writes[2];
	int i;

	for (i = 0; i < 2; i++)
		writes[i] = (struct ulp_write) {
			.addr = RAW_ANSWER_AT(i ? raw_answer2 : raw_answer), .len = 4,
			.expected = (uintptr_t)&from, .bytes = (uintptr_t)&to,
		};
	*args = raw_transact_args();
	args->backend = backend;
	args->flags = ULP_TRANSACT_NO_STAMPS;
	args->ranges = (uintptr_t)&range;
	args->nr_ranges = 1;
	args->writes = (uintptr_t)writes;
	args->nr_writes = 2;
	args->stale = (uintptr_t)&stale;
	args->nr_stale = 1;
	args->stack = (uintptr_t)stack;
	args->stack_size = sizeof(stack);
	args->subject = (uintptr_t)&subject;
	return raw_transact(session, args);
}

/*
 * Each point at each of its passings, until there are no more.  What is only
 * missing for a moment (err 0) is fetched, and that is no attempt.
 */
TEST_F_TIMEOUT(fault, each_passing, 100)
{
	static const struct { uint32_t point; int err; uint32_t reason, least; } points[] = {
		{ ULP_FAULT_ALLOC, -ENOMEM, ULP_REASON_NONE, 8 },
		{ ULP_FAULT_COPY_PLAN, -EFAULT, ULP_REASON_NONE, 8 },
		{ ULP_FAULT_PIN, -EFAULT, ULP_REASON_NONE, 2 },
		{ ULP_FAULT_FREEZE_LIMIT, -ETIME, ULP_REASON_FREEZE_LIMIT, 1 },
		{ ULP_FAULT_CHECK, -EADDRINUSE, ULP_REASON_IP, 5 },
		{ ULP_FAULT_BYTES, -ESTALE, ULP_REASON_BYTES, 2 },
		{ ULP_FAULT_STACK, 0, ULP_REASON_NONE, 5 },
		{ ULP_FAULT_PAGE, 0, ULP_REASON_NONE, 2 },
	};
	struct ulp_transact args;
	uint64_t pending;
	uint32_t value, k;
	unsigned int i;

	START(victim, 5);
	for (i = 0; i < sizeof(points) / sizeof(*points); i++) {
		if (points[i].point == ULP_FAULT_FREEZE_LIMIT &&
		    variant->backend == ULP_BACKEND_STOP_MACHINE)
			continue;	/* nothing is gated */
		for (k = 0;; k++) {
			int ret;

			ASSERT_EQ(0, raw_fault(self->session, points[i].point, k));
			ret = change(self->session, variant->backend, 1, 2, &args);
			ASSERT_EQ(0, raw_debug(self->session, ULP_DEBUG_FAULT, 0, 0, &pending));
			EXPECT_EQ(pending ? 0 : points[i].err, ret) {
				TH_LOG("point %u, passing %u, reason %u", points[i].point, k,
				       args.out_reason);
			}
			EXPECT_EQ(ret ? points[i].reason : ULP_REASON_NONE, args.out_reason);
			if (!ret)
				ret = change(self->session, variant->backend, 2, 1, &args);
			ASSERT_EQ(pending ? 0 : points[i].err, ret);
			if (pending)
				break;
			ASSERT_EQ(0, raw_read_mem(self->pid, RAW_ANSWER_AT(raw_answer2), &value,
						  4));
			EXPECT_EQ(1, value);
			EXPECT_UNHARMED();
		}
		EXPECT_LE(points[i].least, k) {
			TH_LOG("point %u is passed %u times", points[i].point, k);
		}
	}
}

TEST_F(fault, result_before_it_happened)
{
	struct ulp_transact args;

	START(victim, 5);
	/* the answer of this call passes it */
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_COPY_RESULT, 1));
	EXPECT_EQ(-EFAULT, set_answer(self->session, variant->backend, 1, 3, 100, &args));
	EXPECT_EQ(0, args.out_max_freeze_ns);
	EXPECT_UNHARMED();
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
