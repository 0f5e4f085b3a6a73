/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the check share: a victim and a session for each backend,
 * with and without stamps.
 */
#ifndef CHECK_H
#define CHECK_H

#include "kselftest_harness.h"
#include "raw_threads.h"

FIXTURE(check) {
	struct raw_shared *shared;
	pid_t pid;
	int session;
};

FIXTURE_VARIANT(check) {
	uint32_t backend;
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(check, gate) {
	.backend = ULP_BACKEND_GATE,
};

FIXTURE_VARIANT_ADD(check, gate_no_stamps) {
	.backend = ULP_BACKEND_GATE, .flags = ULP_TRANSACT_NO_STAMPS,
};

FIXTURE_VARIANT_ADD(check, stop_machine) {
	.backend = ULP_BACKEND_STOP_MACHINE,
};

FIXTURE_VARIANT_ADD(check, stop_machine_no_stamps) {
	.backend = ULP_BACKEND_STOP_MACHINE, .flags = ULP_TRANSACT_NO_STAMPS,
};

FIXTURE_SETUP(check)
{
	struct ulp_query query;

	self->pid = 0;
	self->session = -1;
	ASSERT_EQ(0, raw_query(&query));
	if (variant->backend == ULP_BACKEND_GATE && !(query.out_features & ULP_FEATURE_GATE))
		SKIP(return, "no gate on this kernel");
	self->shared = raw_shared_new();
}

FIXTURE_TEARDOWN(check)
{
	close(self->session);
	raw_kill(self->pid);
}

#define CHECK(args, start, end) raw_check(self->session, args, variant->backend,	\
					  variant->flags, (uintptr_t)(start), (uintptr_t)(end))

/* Whether [start, end) is free of threads; no writes. */
static int raw_check(int session, struct ulp_transact *args, uint32_t backend, uint32_t flags,
		     uintptr_t start, uintptr_t end)
{
	struct ulp_range range = { start, end };

	args->backend = backend;
	args->flags = flags;
	args->ranges = (uintptr_t)&range;
	args->nr_ranges = 1;
	return raw_transact(session, args);
}

static bool is_asleep(pid_t pid, pid_t tid)
{
	return raw_sleep(pid, tid);
}

/* For raw_call(): tells its tid and sleeps. */
static __attribute__((unused)) long reads_for_ever(void *arg)
{
	struct raw_shared *shared = arg;
	int fds[2];
	char c;

	if (pipe(fds))
		return -1;
	shared->tid = raw_gettid();
	shared->ready = 1;
	return read(fds[0], &c, 1);
}

#endif /* CHECK_H */
