// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A thread that is held after it was in the way: how that begins, what it is
 * good for, and that it always ends.
 *
 * module: debug
 * timeout: 300
 */
#include "kselftest_harness.h"
#include "ulp_raw.h"
#include <sys/ptrace.h>
#include <sys/user.h>

#define MS		1000000ULL
#define FOR_EVER	(10000 * MS)	/* longest hold there is */

FIXTURE(hold) {
	struct raw_shared *shared;
	pid_t pid;
	int session;
};

FIXTURE_SETUP(hold)
{
	struct ulp_query query;

	self->pid = 0;
	self->session = -1;
	ASSERT_EQ(0, raw_query(&query));
	ASSERT_TRUE(query.out_features & ULP_FEATURE_STALE);
	if (!(query.out_features & ULP_FEATURE_GATE))
		SKIP(return, "no gate on this kernel");
	self->shared = raw_shared_new();
}

FIXTURE_TEARDOWN(hold)
{
	bool debug = raw_is_debug();

	if (self->session >= 0) {
		struct ulp_release release = { .size = sizeof(release) };

		EXPECT_EQ(0, raw_ioctl(self->session, ULP_RELEASE, &release));
		if (debug)
			EXPECT_TRUE(RAW_WAIT(raw_gates(self->session) == 0));
	}
	close(self->session);
	raw_kill(self->pid);
}

/* ---- victims: threads that turn round above a word that looks like a return ---- */

static void turn_round(struct raw_shared *shared, unsigned int index)
{
	volatile uint64_t word = (uintptr_t)raw_answer + 3;

	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (word)
		shared->count[index]++;
}

static void turns(struct raw_shared *shared)
{
	turn_round(shared, 0);
}

static struct raw_shared *the_shared;

static void *turns_thread(void *arg)
{
	turn_round(the_shared, (uintptr_t)arg);
	return NULL;
}

static void turns_in_threads(struct raw_shared *shared)
{
	pthread_t thread;

	the_shared = shared;
	for (uintptr_t i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, turns_thread, (void *)i))
			_exit(1);
	while (shared->command != 1)
		usleep(500);
	execl("/bin/true", "true", NULL);
	_exit(1);
}

/* Sleeps in read() each time round; shared->value is a descriptor to wake it by. */
static void sleeps(struct raw_shared *shared)
{
	volatile uint64_t word = (uintptr_t)raw_answer + 3;
	int fds[2];
	char c;

	if (pipe(fds))
		_exit(1);
	shared->value = (uint64_t)fds[1];
	shared->ready = 1;
	while (word) {
		if (read(fds[0], &c, 1) != 1)
			_exit(1);
		shared->count[0]++;
	}
}

static bool wake(pid_t pid, struct raw_shared *shared)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, (unsigned int)shared->value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return false;
	close(fd);
	return true;
}

#define START(fn, threads) do {							\
	self->pid = raw_victim(fn, self->shared);				\
	ASSERT_TRUE(RAW_WAIT(self->shared->ready == (threads)));		\
	self->session = raw_session(self->pid);					\
	ASSERT_LE(0, self->session);						\
} while (0)

static int hold(int session, struct ulp_transact *args, uint64_t hold_ns,
		const struct ulp_stale *stale, uint32_t nr_stale)
{
	static struct ulp_range range;

	range = (struct ulp_range){ (uintptr_t)raw_answer, (uintptr_t)raw_answer_end };
	*args = raw_transact_args();
	args->flags = ULP_TRANSACT_HOLD;
	args->hold_ns = hold_ns;
	args->ranges = (uintptr_t)&range;
	args->nr_ranges = 1;
	args->stale = (uintptr_t)stale;
	args->nr_stale = nr_stale;
	return raw_transact(session, args);
}

static void release(int session)
{
	struct ulp_release args = { .size = sizeof(args) };

	raw_ioctl(session, ULP_RELEASE, &args);
}

static struct ulp_stale stale_of(const struct ulp_transact *args)
{
	return (struct ulp_stale){
		.tid = args->out_tid, .stamp = args->out_stamp, .ip = args->out_ip,
		.sp = args->out_sp, .slot = args->out_slot, .value = args->out_value,
	};
}

/* Whether the thread makes no turn any more; it gets time for it. */
static bool stands_still(volatile uint64_t *count)
{
	uint64_t before = *count;

	usleep(20000);
	return *count == before;
}

#define GOES_ON(count) ({							\
	uint64_t _before = (count);						\
										\
	RAW_WAIT((count) != _before);						\
})

#define HOLD(args, ns) do {							\
	ASSERT_EQ(-EADDRINUSE, hold(self->session, args, ns, NULL, 0));		\
	ASSERT_TRUE((args)->out_reason == ULP_REASON_STACK ||			\
		    (args)->out_reason == ULP_REASON_REGISTER);			\
	ASSERT_TRUE((args)->out_stamp & ULP_STAMP_HELD);			\
} while (0)

/* ---- what it is good for ---- */

/* Words of a running thread can be proven only if it does not run on. */
TEST_F(hold, running)
{
	struct ulp_stale stale[16];
	struct ulp_transact args;
	unsigned int nr = 0;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	/* a register may hold the word, too */
	do {
		ASSERT_GT(16, nr);
		stale[nr++] = stale_of(&args);
	} while (hold(self->session, &args, FOR_EVER, stale, nr));
	EXPECT_EQ(nr, args.out_stale);
	EXPECT_LT(0, args.out_hold_ns);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
	/* it has run: the same words are worth nothing now */
	EXPECT_EQ(-EADDRINUSE, hold(self->session, &args, FOR_EVER, stale, nr));
}

TEST_F(hold, three_threads)
{
	static struct ulp_stale stale[64];
	struct ulp_transact args;
	unsigned int nr = 0, tids = 0;
	uint32_t seen[64];

	START(turns_in_threads, 3);
	while (hold(self->session, &args, FOR_EVER, stale, nr)) {
		bool known = false;

		ASSERT_TRUE(args.out_stamp & ULP_STAMP_HELD);
		ASSERT_GT(64, nr);
		stale[nr++] = stale_of(&args);
		for (unsigned int i = 0; i < tids; i++)
			known |= seen[i] == args.out_tid;
		if (!known)
			seen[tids++] = args.out_tid;
	}
	EXPECT_EQ(3, tids);
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(GOES_ON(self->shared->count[i]));
}

/* It goes on sleeping; if it is woken it stays in the kernel until the end. */
TEST_F(hold, sleeping)
{
	struct ulp_transact args;
	struct ulp_stale stale;

	START(sleeps, 1);
	ASSERT_TRUE(RAW_WAIT(raw_sleep(self->pid, self->pid) == 'S'));
	HOLD(&args, FOR_EVER);
	stale = stale_of(&args);
	ASSERT_EQ(0, hold(self->session, &args, FOR_EVER, &stale, 1));
	EXPECT_EQ(1, args.out_stale);

	HOLD(&args, FOR_EVER);
	ASSERT_TRUE(wake(self->pid, self->shared));
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	stale = stale_of(&args);
	EXPECT_EQ(0, hold(self->session, &args, FOR_EVER, &stale, 1));
	EXPECT_TRUE(RAW_WAIT(self->shared->count[0] == 1));
}

/*
 * Without a hold a word is stale only as long as the thread has not run: it
 * comes back to the same place with the same registers, and then the same word
 * may be live.
 */
TEST_F(hold, sleeping_again)
{
	/* not on the stack: the victim has a copy of that */
	static const struct ulp_range range = {
		(uintptr_t)raw_answer, (uintptr_t)raw_answer_end
	};
	uint32_t backends[] = { ULP_BACKEND_GATE, ULP_BACKEND_STOP_MACHINE };
	struct ulp_transact args;
	struct ulp_stale stale;

	START(sleeps, 1);
	for (int i = 0; i < 2; i++) {
		ASSERT_TRUE(RAW_WAIT(raw_sleep(self->pid, self->pid) == 'S'));
		args = raw_transact_args();
		args.backend = backends[i];
		args.ranges = (uintptr_t)&range;
		args.nr_ranges = 1;
		ASSERT_EQ(-EADDRINUSE, raw_transact(self->session, &args));
		EXPECT_EQ(0, args.out_stamp & ULP_STAMP_HELD);
		ASSERT_NE(0, args.out_stamp);
		stale = stale_of(&args);
		args.stale = (uintptr_t)&stale;
		args.nr_stale = 1;
		EXPECT_EQ(0, raw_transact(self->session, &args));
		EXPECT_EQ(1, args.out_stale);
		ASSERT_TRUE(wake(self->pid, self->shared));
		ASSERT_TRUE(RAW_WAIT(self->shared->count[0] == i + 1));
		ASSERT_TRUE(RAW_WAIT(raw_sleep(self->pid, self->pid) == 'S'));
		ASSERT_EQ(-EADDRINUSE, raw_transact(self->session, &args));
		/* where it was: only the stamp tells */
		EXPECT_EQ(stale.ip, args.out_ip);
		EXPECT_EQ(stale.sp, args.out_sp);
		EXPECT_EQ(stale.slot, args.out_slot);
		EXPECT_EQ(stale.value, args.out_value);
		EXPECT_NE(stale.stamp, args.out_stamp);
	}
}

static void spins(struct raw_shared *shared)
{
	shared->ready = 1;
	raw_spin(&shared->count[0]);
}

/* Who is inside needs no looking into. */
TEST_F(hold, not_inside)
{
	struct ulp_range range = { (uintptr_t)raw_spin, (uintptr_t)raw_spin_end };
	struct ulp_transact args;

	START(spins, 1);
	args = raw_transact_args();
	args.flags = ULP_TRANSACT_HOLD;
	args.ranges = (uintptr_t)&range;
	args.nr_ranges = 1;
	EXPECT_EQ(-EADDRINUSE, raw_transact(self->session, &args));
	EXPECT_EQ(ULP_REASON_IP, args.out_reason);
	EXPECT_EQ(0, args.out_stamp & ULP_STAMP_HELD);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
}

/* ---- that it ends ---- */

TEST_F(hold, arguments)
{
	struct ulp_release release = { .size = sizeof(release), .flags = 1 };
	struct ulp_transact args;

	START(turns, 1);
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_RELEASE, &release));
	release.flags = 0;
	EXPECT_EQ(0, raw_ioctl(self->session, ULP_RELEASE, &release));
	EXPECT_EQ(0, release.out_hold_ns);
	release.size = 4;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_RELEASE, &release));
	args = raw_transact_args();
	args.hold_ns = 1;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
}

TEST_F(hold, release)
{
	struct ulp_release release = { .size = sizeof(release) };
	struct ulp_transact args;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	EXPECT_EQ(0, raw_ioctl(self->session, ULP_RELEASE, &release));
	EXPECT_LT(10 * MS, release.out_hold_ns);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
}

TEST_F(hold, next_transaction)
{
	struct ulp_transact args;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	args = raw_transact_args();
	EXPECT_EQ(0, raw_transact(self->session, &args));
	EXPECT_LT(0, args.out_hold_ns);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
}

TEST_F(hold, limit)
{
	struct ulp_transact args;
	struct ulp_stale stale;
	uint64_t count;

	START(turns, 1);
	count = raw_now();
	HOLD(&args, 50 * MS);
	stale = stale_of(&args);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
	EXPECT_LE(50 * MS, raw_now() - count);
	/* and what was said of it meanwhile is void */
	EXPECT_EQ(-EADDRINUSE, hold(self->session, &args, 50 * MS, &stale, 1));
}

TEST_F(hold, session_closed)
{
	struct ulp_transact args;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	close(self->session);
	self->session = -1;
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
}

TEST_F(hold, caller_killed)
{
	struct ulp_transact args;
	pid_t caller;

	START(turns, 1);
	caller = fork();
	if (!caller) {
		int session = raw_session(self->pid);

		if (hold(session, &args, FOR_EVER, NULL, 0) == -EADDRINUSE)
			self->shared->command = 7;
		for (;;)
			pause();
	}
	ASSERT_TRUE(RAW_WAIT(self->shared->command == 7));
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	raw_kill(caller);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
}

/* The owner of the session may be stopped for as long as it likes. */
TEST_F(hold, caller_stopped)
{
	struct ulp_transact args;
	pid_t caller;

	START(turns, 1);
	caller = fork();
	if (!caller) {
		int session = raw_session(self->pid);

		hold(session, &args, 100 * MS, NULL, 0);
		self->shared->command = 7;
		for (;;)
			pause();
	}
	ASSERT_TRUE(RAW_WAIT(self->shared->command == 7));
	kill(caller, SIGSTOP);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
	raw_kill(caller);
}

TEST_F(hold, held_killed)
{
	struct ulp_transact args;
	int status;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	kill(self->pid, SIGKILL);
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	self->pid = 0;
	EXPECT_EQ(-ESRCH, hold(self->session, &args, FOR_EVER, NULL, 0));
}

/* exec by another thread: it ends all others. */
TEST_F(hold, other_thread_execs)
{
	struct ulp_transact args;
	int status;

	START(turns_in_threads, 3);
	HOLD(&args, FOR_EVER);
	self->shared->command = 1;
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_EQ(0, status);
	self->pid = 0;
	EXPECT_EQ(-ESRCH, hold(self->session, &args, FOR_EVER, NULL, 0));
}

/* Another session may work on the same target: the held one is just asleep. */
TEST_F(hold, other_session)
{
	struct ulp_transact args;
	uint64_t count;
	int other;

	START(turns, 1);
	other = raw_session(self->pid);
	ASSERT_LE(0, other);
	HOLD(&args, FOR_EVER);
	count = self->shared->count[0];
	args = raw_transact_args();
	EXPECT_EQ(0, raw_transact(other, &args));
	EXPECT_EQ(-EADDRINUSE, hold(other, &args, FOR_EVER, NULL, 0));
	close(other);
	EXPECT_EQ(count, self->shared->count[0]);
}

/* While it is held the module stays. */
TEST_F(hold, unloading)
{
	struct ulp_transact args;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	EXPECT_EQ(-1, syscall(SYS_delete_module, "ulp", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	release(self->session);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
	/* nor does it go from under an open session */
	EXPECT_EQ(-1, syscall(SYS_delete_module, "ulp", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
}

/* ---- tracers: it is to them as a thread that runs, or that stopped for them ---- */

/* The thread has not stopped; it gets time for it. */
static bool no_stop(pid_t pid)
{
	usleep(20000);
	return !waitpid(pid, NULL, WNOHANG);
}

/* How it stops next: signal and event. */
static int next_stop(pid_t pid)
{
	int status = 0;

	return RAW_WAIT(waitpid(pid, &status, WNOHANG) == pid) && WIFSTOPPED(status) ?
		status >> 8 : -1;
}

#define STOPPED_BY_EVENT	(SIGTRAP | PTRACE_EVENT_STOP << 8)

static bool can_peek(pid_t pid, const void *addr, long *word)
{
	errno = 0;
	*word = ptrace(PTRACE_PEEKDATA, pid, addr, NULL);
	return !errno;
}

/* Its memory and registers can be read and written; one step, and it is let go. */
#define SERVES_ITS_TRACER(pid, shared) do {					\
	struct user_regs_struct _regs, _after;					\
	long _word;								\
										\
	ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, pid, &(shared)->value, 42L));	\
	ASSERT_TRUE(can_peek(pid, (void *)&(shared)->value, &_word));		\
	EXPECT_EQ(42, _word);							\
	EXPECT_EQ(42, (shared)->value);						\
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, pid, NULL, &_regs));		\
	_regs.r15 = 4242;							\
	ASSERT_EQ(0, ptrace(PTRACE_SETREGS, pid, NULL, &_regs));		\
	ASSERT_EQ(0, ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL));		\
	ASSERT_EQ(SIGTRAP, next_stop(pid));					\
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, pid, NULL, &_after));		\
	EXPECT_EQ(4242, _after.r15);						\
	EXPECT_NE(_regs.rip, _after.rip);					\
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));			\
	EXPECT_TRUE(GOES_ON((shared)->count[0]));				\
} while (0)

/* It comes to the tracer's stop when it is let go, and not before. */
TEST_F(hold, seized)
{
	struct ulp_transact args;
	long word;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->pid, NULL, NULL));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->pid, NULL, NULL));
	EXPECT_TRUE(no_stop(self->pid));
	EXPECT_FALSE(can_peek(self->pid, (void *)&self->shared->value, &word));
	EXPECT_EQ(ESRCH, errno);
	release(self->session);
	ASSERT_EQ(STOPPED_BY_EVENT, next_stop(self->pid));
	SERVES_ITS_TRACER(self->pid, self->shared);
}

TEST_F(hold, attached)
{
	struct ulp_transact args;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->pid, NULL, NULL));
	EXPECT_TRUE(no_stop(self->pid));
	release(self->session);
	ASSERT_EQ(SIGSTOP, next_stop(self->pid));
	SERVES_ITS_TRACER(self->pid, self->shared);
}

/* A tracer that ends leaves it where it is: held. */
TEST_F(hold, tracer_ends)
{
	struct ulp_transact args;
	pid_t tracer;

	START(turns, 1);
	HOLD(&args, FOR_EVER);
	tracer = fork();
	if (!tracer)
		_exit(ptrace(PTRACE_SEIZE, self->pid, NULL, NULL) ||
		      ptrace(PTRACE_INTERRUPT, self->pid, NULL, NULL));
	EXPECT_EQ(tracer, waitpid(tracer, NULL, 0));
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	release(self->session);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
}

/* One that has stopped for its tracer, which does to it what it likes meanwhile. */
TEST_F(hold, stopped_for_tracer)
{
	struct user_regs_struct regs, moved;
	struct ulp_stale stale[16];
	struct ulp_transact args;
	unsigned int nr = 0;

	START(turns, 1);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->pid, NULL, NULL));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->pid, NULL, NULL));
	ASSERT_EQ(STOPPED_BY_EVENT, next_stop(self->pid));
	ASSERT_TRUE(RAW_WAIT(raw_state(self->pid, self->pid) == 't'));
	HOLD(&args, FOR_EVER);
	do {
		ASSERT_GT(16, nr);
		stale[nr++] = stale_of(&args);
	} while (hold(self->session, &args, FOR_EVER, stale, nr));

	/* what is proven of it is proven of the place where it was */
	HOLD(&args, FOR_EVER);
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, NULL, &regs));
	moved = regs;
	moved.rip = (uintptr_t)raw_answer;
	ASSERT_EQ(0, ptrace(PTRACE_SETREGS, self->pid, NULL, &moved));
	EXPECT_EQ(-EADDRINUSE, hold(self->session, &args, FOR_EVER, stale, nr));
	EXPECT_EQ(ULP_REASON_IP, args.out_reason);
	EXPECT_EQ((uintptr_t)raw_answer, args.out_ip);
	ASSERT_EQ(0, ptrace(PTRACE_SETREGS, self->pid, NULL, &regs));

	/* a step waits for the gate */
	HOLD(&args, FOR_EVER);
	ASSERT_EQ(0, ptrace(PTRACE_SINGLESTEP, self->pid, NULL, NULL));
	EXPECT_TRUE(no_stop(self->pid));
	release(self->session);
	ASSERT_EQ(SIGTRAP, next_stop(self->pid));
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, NULL, &moved));
	EXPECT_NE(regs.rip, moved.rip);

	/* and so does going on */
	ASSERT_TRUE(RAW_WAIT(raw_state(self->pid, self->pid) == 't'));
	HOLD(&args, FOR_EVER);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->pid, NULL, NULL));
	EXPECT_TRUE(stands_still(&self->shared->count[0]));
	release(self->session);
	EXPECT_TRUE(GOES_ON(self->shared->count[0]));
}

TEST_HARNESS_MAIN
