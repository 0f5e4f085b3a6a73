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

/* What ULP_UNMAP and closing a session use. */
static uint32_t default_backend(void)
{
	struct ulp_query query;

	return raw_query(&query) ? 0 : query.out_default_backend;
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

			args = raw_transact_args();
			ASSERT_EQ(0, raw_fault(self->session, points[i].point, k));
			ret = raw_change(self->session, variant->backend, 1, 2, &args);
			ASSERT_EQ(0, raw_debug(self->session, ULP_DEBUG_FAULT, 0, 0, &pending));
			EXPECT_EQ(pending ? 0 : points[i].err, ret) {
				TH_LOG("point %u, passing %u, reason %u", points[i].point, k,
				       args.out_reason);
			}
			EXPECT_EQ(ret ? points[i].reason : ULP_REASON_NONE, args.out_reason);
			args = raw_transact_args();
			if (!ret)
				ret = raw_change(self->session, variant->backend, 2, 1, &args);
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

#define FREE_ADDR	0x200000000000UL

/*
 * The same of taking a mapping back, by ULP_UNMAP or by closing the session.  One
 * failure is got over where an attempt may follow; closing has nobody to tell, so
 * that the mapping must be gone whatever failed.
 */
static const struct { uint32_t point; int err; } unmap_points[] = {
	{ ULP_FAULT_ALLOC, -ENOMEM },
	{ ULP_FAULT_UNMAP, -ENOMEM },
	{ ULP_FAULT_FREEZE_LIMIT, 0 },
	{ ULP_FAULT_CHECK, 0 },
	{ ULP_FAULT_STACK, 0 },
};

TEST_F_TIMEOUT(fault, unmap_each_passing, 60)
{
	struct ulp_transact args;
	struct ulp_unmap unmap;
	uint64_t pending;
	unsigned int i, maps, again;
	uint32_t k;

	if (variant->backend != default_backend())
		SKIP(return, "it has no choice of the backend");
	START(victim, 5);
	maps = raw_nr_maps(self->pid);
	for (i = 0; i < sizeof(unmap_points) / sizeof(*unmap_points); i++) {
		again = unmap_points[i].point == ULP_FAULT_CHECK ||
			unmap_points[i].point == ULP_FAULT_STACK ? 50 : 0;
		for (k = 0, pending = 0; !pending; k++) {
			int ret;

			ASSERT_EQ(0, raw_map(self->session, -1, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
			ASSERT_EQ(maps + 1, raw_nr_maps(self->pid));
			ASSERT_EQ(0, raw_fault(self->session, unmap_points[i].point, k));
			ret = raw_unmap(self->session, FREE_ADDR, RAW_PAGE, &unmap);
			ASSERT_EQ(0, raw_debug(self->session, ULP_DEBUG_FAULT, 0, 0, &pending));
			EXPECT_EQ(pending ? 0 : unmap_points[i].err, ret) {
				TH_LOG("point %u, passing %u, reason %u", unmap_points[i].point, k,
				       unmap.out_reason);
			}
			EXPECT_EQ(maps + !!ret, raw_nr_maps(self->pid));
			if (ret)
				EXPECT_EQ(0, raw_unmap(self->session, FREE_ADDR, RAW_PAGE, &unmap));
			ASSERT_EQ(maps, raw_nr_maps(self->pid));
			/* who has not run since the pre-scan is not looked at: maybe nobody is */
			if (pending && !k && again) {
				again--;
				pending = 0;
				k--;
			}
		}
		EXPECT_TRUE(k > 1 || unmap_points[i].point == ULP_FAULT_FREEZE_LIMIT) {
			TH_LOG("point %u is never passed", unmap_points[i].point);
		}
	}
	EXPECT_UNHARMED();
}

TEST_F_TIMEOUT(fault, close_each_passing, 60)
{
	static const uint32_t passings = 4;	/* no point has more, but for the check */
	struct ulp_transact args;
	unsigned int i, maps;
	long references;
	uint32_t k;

	if (variant->backend != default_backend())
		SKIP(return, "it has no choice of the backend");
	START(victim, 5);
	maps = raw_nr_maps(self->pid);
	references = raw_references();
	for (i = 0; i < sizeof(unmap_points) / sizeof(*unmap_points); i++) {
		for (k = 0; k < passings; k++) {
			int session = raw_session(self->pid);

			ASSERT_EQ(0, raw_map(session, -1, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
			ASSERT_EQ(0, raw_map(session, -1, FREE_ADDR + 2 * RAW_PAGE, RAW_PAGE, 0));
			ASSERT_EQ(0, raw_fault(session, unmap_points[i].point, k));
			ASSERT_EQ(0, close(session));
			ASSERT_EQ(maps, raw_nr_maps(self->pid)) {
				TH_LOG("point %u, passing %u", unmap_points[i].point, k);
			}
			ASSERT_TRUE(RAW_WAIT(raw_references() == references));
		}
	}
	EXPECT_UNHARMED();
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
	int err = 0;

	if (variant->backend == ULP_BACKEND_STOP_MACHINE)
		SKIP(return, "nothing is gated");
	START(victim, 5);
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_FREEZE_LIMIT, 0));
	/* it may be inside, which is seen before there is a freeze */
	ASSERT_TRUE(RAW_WAIT((err = set_answer(self->session, variant->backend, 1, 3, 1,
					       &args)) != -EADDRINUSE));
	EXPECT_EQ(-ETIME, err);
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
