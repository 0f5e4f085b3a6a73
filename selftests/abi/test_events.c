// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events: what the module tells who listens, and whom it lets listen.
 *
 * module: release
 * timeout: 120
 */
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <libulp.h>
#include <ulp_netlink.h>
#include "kselftest_harness.h"
#include "ulp_raw.h"

/* Numbers that are never given another meaning. */
_Static_assert(ULP_EVENT_APPLIED == 1 && ULP_EVENT_BUSY == 4, "enum ulp_event");
_Static_assert(ULP_A_PID == 2 && ULP_A_PATCH_NAME == 6 && ULP_A_FUNCTION == 8, "enum ulp_attr");
_Static_assert(ULP_A_FREEZE_NS == 11 && ULP_A_ERRNO == 15 && ULP_A_VALUE == 20, "enum ulp_attr");

static const char functions[] = "raw_answer\0another";

FIXTURE(events) {
	struct raw_shared *shared;
	struct ulp_context *ctx;
	struct ulp_monitor *monitor;
	struct ulp_subject subject;
	pid_t pid;
	int session;
};

static void in_call(struct raw_shared *shared)
{
	shared->ready = 1;
	raw_spin(&shared->value);
}

FIXTURE_SETUP(events)
{
	self->shared = raw_shared_new();
	ASSERT_NE(NULL, self->shared);
	self->pid = raw_victim(in_call, self->shared);
	ASSERT_TRUE(RAW_WAIT(self->shared->value > 0));
	self->session = raw_session(self->pid);
	ASSERT_LE(0, self->session);
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	ASSERT_EQ(0, ulp_monitor_open(self->ctx, &self->monitor)) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
	self->subject = (struct ulp_subject){
		.size = sizeof(self->subject), .action = ULP_ACTION_APPLY,
		.functions = (uintptr_t)functions, .functions_size = sizeof(functions),
		.nr_functions = 3, .id = { 0xab, 0xcd }, .name = "fix",
	};
}

FIXTURE_TEARDOWN(events)
{
	ulp_monitor_close(self->monitor);
	ulp_context_free(self->ctx);
	close(self->session);
	raw_kill(self->pid);
}

/* The next event, waited for; NULL if there is none. */
static const struct ulp_event_info *next_event(struct ulp_monitor *monitor)
{
	struct pollfd fd = { .fd = ulp_monitor_fd(monitor), .events = POLLIN };
	const struct ulp_event_info *info;
	int got;

	do {
		got = ulp_monitor_next(monitor, &info);
	} while (!got && poll(&fd, 1, RAW_LIMIT_NS / 1000000) == 1);
	return got == 1 ? info : NULL;
}

#define TRANSACT(from, to) ({							\
	args.subject = (uintptr_t)&self->subject;				\
	raw_set_answer(self->session, raw_answer, from, to, &args);		\
})

TEST_F(events, applied_and_reverted)
{
	struct ulp_transact args = raw_transact_args();
	const struct ulp_event_info *info;

	ASSERT_EQ(0, TRANSACT(1, 2));
	info = next_event(self->monitor);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(ULP_EVENT_APPLIED, info->event);
	EXPECT_STREQ("applied", info->word);
	EXPECT_EQ(ULP_ACTION_APPLY, info->action);
	EXPECT_EQ(self->pid, info->pid);
	EXPECT_STREQ("test_events", info->name);
	EXPECT_STREQ("fix", info->patch);
	EXPECT_EQ(0, strncmp("abcd0000", info->id, 8));
	EXPECT_EQ(64, strlen(info->id));
	EXPECT_EQ(3, info->nr_functions);
	ASSERT_EQ(2, info->nr_names);
	EXPECT_STREQ("raw_answer", info->functions[0]);
	EXPECT_STREQ("another", info->functions[1]);
	EXPECT_EQ(getpid(), info->by_pid);
	EXPECT_EQ(geteuid(), info->by_uid);
	EXPECT_EQ(args.out_max_freeze_ns, info->max_freeze_ns);
	EXPECT_EQ(1, info->attempts);
	EXPECT_EQ(1, info->threads);
	EXPECT_EQ(args.out_backend, info->backend);
	EXPECT_EQ(0, info->code);
	EXPECT_EQ(0, info->blocker_tid);

	self->subject.action = ULP_ACTION_REVERT;
	self->subject.functions_size = 0;
	ASSERT_EQ(0, TRANSACT(2, 1));
	info = next_event(self->monitor);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(ULP_EVENT_REVERTED, info->event);
	EXPECT_EQ(3, info->nr_functions);
	EXPECT_EQ(0, info->nr_names);
}

TEST_F(events, busy)
{
	struct ulp_range range = { (uintptr_t)raw_spin, (uintptr_t)raw_spin_end };
	struct ulp_transact args = raw_transact_args();
	const struct ulp_event_info *info;

	args.subject = (uintptr_t)&self->subject;
	args.ranges = (uintptr_t)&range;
	args.nr_ranges = 1;
	args.attempts = 2;
	ASSERT_EQ(-EADDRINUSE, raw_transact(self->session, &args));
	info = next_event(self->monitor);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(ULP_EVENT_BUSY, info->event);
	EXPECT_EQ(-EADDRINUSE, info->code);
	EXPECT_EQ(ULP_REASON_IP, info->reason);
	EXPECT_EQ(self->pid, info->blocker_tid);
	EXPECT_EQ(args.out_ip, info->blocker_ip);
	EXPECT_EQ(2, info->attempts);
}

TEST_F(events, refused)
{
	struct ulp_transact args = raw_transact_args();
	const struct ulp_event_info *info;

	ASSERT_EQ(-ESTALE, TRANSACT(7, 2));
	info = next_event(self->monitor);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(ULP_EVENT_REFUSED, info->event);
	EXPECT_EQ(-ESTALE, info->code);
	EXPECT_EQ(ULP_REASON_BYTES, info->reason);
	EXPECT_EQ(0, info->blocker_tid);
	EXPECT_EQ(self->pid, info->pid);
}

/* What follows each of these is the first event. */
TEST_F(events, none)
{
	struct ulp_transact args = raw_transact_args();
	const struct ulp_event_info *info;

	args.flags = ULP_TRANSACT_DRY_RUN;
	ASSERT_EQ(0, TRANSACT(1, 2));
	args.flags = 0;
	args.subject = 0;
	ASSERT_EQ(0, raw_set_answer(self->session, raw_answer, 1, 2, &args));
	/* a caller that was built before there were events */
	args.subject = 1;
	args.size = offsetof(struct ulp_transact, subject);
	ASSERT_EQ(0, raw_set_answer(self->session, raw_answer, 2, 1, &args));
	args = raw_transact_args();
	EXPECT_EQ(0, ulp_monitor_next(self->monitor, &info));
	self->subject.nr_functions = 77;
	ASSERT_EQ(0, TRANSACT(1, 2));
	info = next_event(self->monitor);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(77, info->nr_functions);
}

TEST_F(events, bad_subjects)
{
	struct {
		struct ulp_subject subject;
		uint64_t tail;
	} longer = { .subject = self->subject };
	struct ulp_transact args = raw_transact_args();
	const struct ulp_subject good = self->subject;
	const struct ulp_event_info *info;

#define REFUSED(err, change) do {						\
	self->subject = good;							\
	change;									\
	EXPECT_EQ(-(err), TRANSACT(1, 2));					\
} while (0)
	REFUSED(EINVAL, self->subject.size = sizeof(good) - 1);
	REFUSED(EINVAL, self->subject.size = 0);
	REFUSED(E2BIG, self->subject.size = RAW_PAGE + 1);
	REFUSED(EINVAL, self->subject.action = 0);
	REFUSED(EINVAL, self->subject.action = ULP_ACTION_REVERT + 1);
	REFUSED(EINVAL, memset(self->subject.name, 'x', sizeof(good.name)));
	REFUSED(EINVAL, self->subject.functions_size = 3);
	REFUSED(E2BIG, self->subject.functions_size = ULP_SUBJECT_FUNCTIONS + 1);
	REFUSED(E2BIG, self->subject.functions_size = ~0U);
	REFUSED(EFAULT, self->subject.functions = 8);
	REFUSED(EFAULT, self->subject.functions = ~0ULL);
	args.subject = 8;
	EXPECT_EQ(-EFAULT, raw_set_answer(self->session, raw_answer, 1, 2, &args));
	args.subject = (uintptr_t)&longer;
	longer.subject.size = sizeof(longer);
	longer.tail = 1;
	EXPECT_EQ(-E2BIG, raw_set_answer(self->session, raw_answer, 1, 2, &args));
	/* nothing was changed, and nobody was told */
	EXPECT_EQ(0, ulp_monitor_next(self->monitor, &info));
	longer.tail = 0;
	EXPECT_EQ(0, raw_set_answer(self->session, raw_answer, 1, 2, &args));
	EXPECT_NE(NULL, next_event(self->monitor));
}

/* As many names as there can be, all of them as short as can be. */
TEST_F(events, many_names)
{
	static char names[ULP_SUBJECT_FUNCTIONS];
	struct ulp_transact args = raw_transact_args();
	const struct ulp_event_info *info;

	for (size_t i = 0; i < sizeof(names); i += 2)
		names[i] = 'f';
	self->subject.functions = (uintptr_t)names;
	self->subject.functions_size = sizeof(names);
	ASSERT_EQ(0, TRANSACT(1, 2));
	info = next_event(self->monitor);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(sizeof(names) / 2, info->nr_names);
	memset(names, 0, sizeof(names));
	ASSERT_EQ(0, TRANSACT(2, 1));
	info = next_event(self->monitor);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(sizeof(names), info->nr_names);
	EXPECT_STREQ("", info->functions[sizeof(names) - 1]);
}

/* Events tell addresses of other processes. */
TEST_F(events, not_for_everybody)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct ulp_monitor *monitor;

		if (setresuid(65534, 65534, 65534))
			_exit(1);
		_exit(ulp_monitor_open(self->ctx, &monitor) == -ULP_E_PERMISSION ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Who does not read loses events, is told so, and hears the next ones. */
TEST_F_TIMEOUT(events, slow_reader, 300)
{
	struct ulp_transact args = raw_transact_args();
	const struct ulp_event_info *info;
	int got = 0, little = 1;	/* the kernel's least, a few events */

	ASSERT_EQ(0, setsockopt(ulp_monitor_fd(self->monitor), SOL_SOCKET, SO_RCVBUF, &little,
				sizeof(little)));
	args.ranges = 0;
	args.subject = (uintptr_t)&self->subject;
	for (int i = 0; i < 50; i++)
		ASSERT_EQ(0, raw_transact(self->session, &args));
	while ((got = ulp_monitor_next(self->monitor, &info)) == 1)
		;
	ASSERT_EQ(-ENOBUFS, got);
	while ((got = ulp_monitor_next(self->monitor, &info)) == 1)
		;
	ASSERT_EQ(0, got);
	ASSERT_EQ(0, raw_transact(self->session, &args));
	EXPECT_NE(NULL, next_event(self->monitor));
}

TEST_HARNESS_MAIN
