// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The world does not wait: at each step of each operation the caller gets a
 * signal or is killed, the target is killed or executes something else.  The
 * operation waits at the step (ULP_DEBUG_PAUSE) until that has happened.
 *
 * module: debug
 * timeout: 600
 */
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "raw_threads.h"

#define FREE_ADDR	0x200000000000UL
#define TABLE_SIZE	(ULP_UNIVERSE_WORDS * sizeof(uint64_t))
#define THREADS		3		/* of the victim */
#define GOES_ON		100		/* passings that nothing has */
#define LEASE_TIME	"/proc/sys/fs/lease-break-time"

/* What happens at a step. */
enum event { SIGNAL, KILL_CALLER, KILL_TARGET, EXEC, EVENTS };

static const char * const events[] = {
	"signal to the caller", "death of the caller", "death of the target", "exec of the target",
};

/* What is done, each by a process of its own. */
enum op { TRANSACT, MAP, UNMAP, MEMBERS, CLOSE };

static const char * const ops[] = { "transact", "map", "unmap", "members", "close" };

/**
 * struct step - where, and how it ends
 * @op: operation
 * @point: enum ulp_fault
 * @first: which passing of it is the first of this line
 * @nr: how many passings are of this line; 0: as many as there are
 * @window: the target is held there
 * @done: it is done though the caller dies; a signal never stops it
 * @gone: its result when the target goes
 */
static const struct step {
	enum op op;
	uint32_t point, first, nr;
	bool window, done;
	int gone;
} steps[] = {
	/* the plan is read */
	{ TRANSACT, ULP_FAULT_COPY_RESULT, 0, 1, false, false, -ESRCH },
	{ TRANSACT, ULP_FAULT_COPY_PLAN, 0, 0, false, false, -ESRCH },
	{ TRANSACT, ULP_FAULT_ALLOC, 0, 6, false, false, -ESRCH },
	/* pages are pinned, tasks enrolled, stacks seen */
	{ TRANSACT, ULP_FAULT_PIN, 0, 0, false, false, -ESRCH },
	{ TRANSACT, ULP_FAULT_ALLOC, 6, 0, false, true, -ESRCH },
	{ TRANSACT, ULP_FAULT_PRESCANNED, 0, 1, false, true, -ESRCH },
	/* who dies in the window has died behind it, unless nobody was seen there */
	{ TRANSACT, ULP_FAULT_FREEZE_LIMIT, 0, 0, true, true, -ESRCH },
	{ TRANSACT, ULP_FAULT_CHECK, 0, 0, true, true, 0 },
	{ TRANSACT, ULP_FAULT_STACK, 0, 0, true, true, 0 },
	{ TRANSACT, ULP_FAULT_PAGE, 0, 0, true, true, 0 },
	{ TRANSACT, ULP_FAULT_BYTES, 0, 0, true, true, 0 },
	{ TRANSACT, ULP_FAULT_WRITTEN, 0, 0, true, true, 0 },
	{ TRANSACT, ULP_FAULT_THAWED, 0, 0, false, true, 0 },
	{ TRANSACT, ULP_FAULT_COPY_RESULT, 1, 1, false, true, 0 },

	{ MAP, ULP_FAULT_ALLOC, 0, 0, false, true, -ESRCH },
	{ MAP, ULP_FAULT_MAP, 0, 0, false, true, 0 },

	/* in their window who has slept is not looked at: the check has no certain passing */
	{ UNMAP, ULP_FAULT_COPY_RESULT, 0, 1, false, true, -ESRCH },
	{ UNMAP, ULP_FAULT_ALLOC, 0, 0, false, true, -ESRCH },
	{ UNMAP, ULP_FAULT_PRESCANNED, 0, 0, false, true, -ESRCH },
	{ UNMAP, ULP_FAULT_FREEZE_LIMIT, 0, 0, true, true, -ESRCH },
	{ UNMAP, ULP_FAULT_THAWED, 0, 0, false, true, 0 },
	{ UNMAP, ULP_FAULT_UNMAP, 0, 0, false, true, 0 },
	{ UNMAP, ULP_FAULT_COPY_RESULT, 1, 1, false, true, 0 },

	/* the memory of a target without threads may stay a while: it is gone all the same */
	{ MEMBERS, ULP_FAULT_COPY_RESULT, 0, 1, false, true, -ESRCH },
	{ MEMBERS, ULP_FAULT_PIN, 0, 0, false, true, -ESRCH },
	{ MEMBERS, ULP_FAULT_ALLOC, 0, 0, false, true, -ESRCH },
	{ MEMBERS, ULP_FAULT_COPY_RESULT, 1, 1, false, true, 0 },

	/* nobody is told, and nothing is left */
	{ CLOSE, ULP_FAULT_ALLOC, 0, 0, false, true, 0 },
	{ CLOSE, ULP_FAULT_PRESCANNED, 0, 0, false, true, 0 },
	{ CLOSE, ULP_FAULT_FREEZE_LIMIT, 0, 0, true, true, 0 },
	{ CLOSE, ULP_FAULT_THAWED, 0, 0, false, true, 0 },
	{ CLOSE, ULP_FAULT_UNMAP, 0, 0, false, true, 0 },
};

FIXTURE(step) {
	struct raw_shared *shared;	/* the victim's */
	struct raw_shared *said;	/* the caller's */
	pid_t pid, caller;
	int control;			/* session on ourselves, to let the others go */
	int lease;			/* on what the victim executes, see victim() */
	char program[64];
	long references;
	unsigned int maps;
	struct ulp_query query;
};

FIXTURE_VARIANT(step) {
	uint32_t backend;
};

FIXTURE_VARIANT_ADD(step, gate) {
	.backend = ULP_BACKEND_GATE,
};

FIXTURE_VARIANT_ADD(step, stop_machine) {
	.backend = ULP_BACKEND_STOP_MACHINE,
};

/* What is executed, in a file system that knows leases; long enough to break one. */
static int make_program(const char *path)
{
	char command[200];
	int fd;

	snprintf(command, sizeof(command), "cp /bin/sleep %s && chmod 755 %s && echo 36000 >"
		 LEASE_TIME, path, path);
	fd = system(command) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	signal(SIGIO, SIG_IGN);
	return fd;
}

FIXTURE_SETUP(step)
{
	self->pid = 0;
	self->caller = 0;
	self->control = -1;
	self->lease = -1;
	self->program[0] = 0;
	ASSERT_EQ(0, raw_query(&self->query));
	if (!(self->query.out_features & ULP_FEATURE_DEBUG))
		SKIP(return, "needs the debug build of the module");
	if (variant->backend == ULP_BACKEND_GATE &&
	    !(self->query.out_features & ULP_FEATURE_GATE))
		SKIP(return, "no gate on this kernel");
	self->shared = raw_shared_new();
	self->said = raw_shared_new();
	self->control = raw_session(getpid());
	ASSERT_LE(0, self->control);
	snprintf(self->program, sizeof(self->program), "/dev/shm/ulp-step.%d", getpid());
	self->lease = make_program(self->program);
	ASSERT_LE(0, self->lease);
	self->references = raw_references();
}

FIXTURE_TEARDOWN(step)
{
	raw_debug(self->control, ULP_DEBUG_GO, 0, 0, NULL);
	raw_kill(self->caller);
	raw_kill(self->pid);
	close(self->lease);
	close(self->control);
	unlink(self->program);
}

/* ---- the target ---- */

static const char *executes;	/* what the victim to come does, or NULL */

static void *sleeps(void *arg)
{
	raw_is_there();
	pause();
	the_shared->early++;
	return NULL;
}

/*
 * It is in the middle of an exec all the time: opening the file waits for the
 * holder of the lease on it to give that up.
 */
static void *execs(void *arg)
{
	execl(executes, "sleep", "36000", NULL);
	the_shared->early++;
	return NULL;
}

static void victim(struct raw_shared *shared)
{
	pthread_t thread;

	the_shared = shared;
	if (pthread_create(&thread, NULL, raw_hammers, (void *)&shared->count[0]) ||
	    pthread_create(&thread, NULL, sleeps, NULL) ||
	    (executes && pthread_create(&thread, NULL, execs, NULL)))
		_exit(1);
	sleeps(NULL);
}

/*
 * Whether the process is the program that it was to execute.  It has that one's name
 * only when its old memory is gone, which "exe" does not say.
 */
static bool has_executed(pid_t pid, const char *program)
{
	char path[64], comm[17] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%16s", comm) != 1)
		comm[0] = 0;
	fclose(file);
	return comm[0] && !strncmp(strrchr(program, '/') + 1, comm, 15);
}

/* ---- the caller ---- */

static struct raw_shared *the_said;

static void on_signal(int sig)
{
	the_said->command++;
}

static int do_op(enum op op, int session, uint32_t backend, uint32_t from)
{
	struct ulp_transact args = raw_transact_args();
	struct ulp_members members = { .size = sizeof(members), .table = FREE_ADDR };
	struct ulp_unmap unmap;

	switch (op) {
	case TRANSACT:
		args.max_freeze_ns = 10000000000ULL;
		args.flags = ULP_TRANSACT_COMMIT_MAPS;
		return raw_change(session, backend, from, 3 - from, &args);
	case MAP:
		return raw_map(session, -1, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC);
	case UNMAP:
		return raw_unmap(session, FREE_ADDR, RAW_PAGE, &unmap);
	case MEMBERS:
		return raw_ioctl(session, ULP_MEMBERS, &members);
	default:
		return close(session) ? -errno : 0;
	}
}

/* What the caller does; its result, or 1 if it did not come so far. */
static int call(pid_t pid, const struct step *step, uint32_t passing, uint32_t backend,
		struct raw_shared *said)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct ulp_transact args = raw_transact_args();
	bool table = step->op == MEMBERS;
	int ret, session = raw_session(pid);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	the_said = said;
	sigaction(SIGUSR1, &action, NULL);
	args.flags = ULP_TRANSACT_COMMIT_MAPS;
	if (session < 0 ||
	    (step->op != MAP && raw_map(session, -1, FREE_ADDR, table ? TABLE_SIZE : RAW_PAGE,
					table ? ULP_MAP_WRITE : ULP_MAP_EXEC)) ||
	    ((step->op == UNMAP || table) && raw_transact(session, &args)) ||
	    raw_debug(session, ULP_DEBUG_PAUSE, step->point, passing, NULL))
		return 1;
	ret = do_op(step->op, session, backend, 1);
	/* that we end closes the session, which is another operation */
	if (step->op != CLOSE)
		raw_fault(session, 0, 0);
	return ret;
}

/* ---- one round ---- */

/*
 * The processes are there, and the caller is at the step; false: it never comes
 * there.  The answer to the arming passes COPY_RESULT, too.
 */
#define REACH(step, passing, event) ({						\
	uint32_t _passing = (passing) + ((step)->point == ULP_FAULT_COPY_RESULT); \
	int _status = 0;							\
										\
	memset(self->shared, 0, sizeof(*self->shared));				\
	memset(self->said, 0, sizeof(*self->said));				\
	executes = (event) == EXEC ? self->program : NULL;			\
	if (executes) {								\
		ASSERT_TRUE(RAW_WAIT(!fcntl(self->lease, F_SETLEASE, F_WRLCK))); \
	}									\
	self->pid = raw_victim(victim, self->shared);				\
	ASSERT_TRUE(RAW_WAIT(self->shared->ready == THREADS));			\
	if (executes) {								\
		ASSERT_TRUE(RAW_WAIT(fcntl(self->lease, F_GETLEASE) == F_RDLCK)); \
	}									\
	self->maps = raw_nr_maps(self->pid);					\
	self->caller = fork();							\
	if (!self->caller) {							\
		int _ret = call(self->pid, step, _passing, variant->backend, self->said); \
										\
		_exit(_ret > 0 ? 1 : -_ret);					\
	}									\
	ASSERT_TRUE(RAW_WAIT(raw_paused(self->control) ||			\
			     waitpid(self->caller, &_status, WNOHANG) == self->caller)); \
	raw_paused(self->control);						\
})

/* The target is what it should be, and can be patched. */
#define EXPECT_WHOLE(want, nr_maps) do {					\
	uint64_t _turns = self->shared->count[0];				\
	struct ulp_transact _args = raw_transact_args();			\
	uint32_t _one = 0, _other = 0;						\
	int _session = raw_session(self->pid);					\
										\
	EXPECT_EQ(0, raw_read_mem(self->pid, RAW_ANSWER_AT(raw_answer), &_one, 4)); \
	EXPECT_EQ(0, raw_read_mem(self->pid, RAW_ANSWER_AT(raw_answer2), &_other, 4)); \
	EXPECT_EQ(want, _one);							\
	EXPECT_EQ(want, _other);						\
	EXPECT_EQ(nr_maps, raw_nr_maps(self->pid));				\
	EXPECT_TRUE(RAW_WAIT(self->shared->count[0] > _turns));			\
	EXPECT_EQ(0, raw_change(_session, variant->backend, want, 3 - (want), &_args)); \
	_turns = self->shared->seen[3 - (want)];				\
	EXPECT_TRUE(RAW_WAIT(self->shared->seen[3 - (want)] > _turns));		\
	EXPECT_EQ(0, self->shared->wrong);					\
	EXPECT_EQ(0, self->shared->early);					\
	close(_session);							\
} while (0)

static void happen(enum event event, pid_t caller, pid_t pid, int lease)
{
	switch (event) {
	case SIGNAL:
		kill(caller, SIGUSR1);
		break;
	case KILL_CALLER:
		kill(caller, SIGKILL);
		break;
	case KILL_TARGET:
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		break;
	default:
		fcntl(lease, F_SETLEASE, F_UNLCK);
	}
}

/* How many mappings more than before the target has, if all is well. */
static int more_maps(enum op op, bool done)
{
	switch (op) {
	case TRANSACT:
		return done;
	case UNMAP:
		return !done;
	case MEMBERS:
		return 1;	/* the table */
	default:
		return 0;	/* the caller has ended, and had not committed it */
	}
}

TEST_F_TIMEOUT(step, whatever_happens, 300)
{
	unsigned int rounds = 0, i, event;

	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const struct step *step = &steps[i];
		uint32_t k, end = step->nr ? step->first + step->nr : GOES_ON;

		if (step->window && variant->backend == ULP_BACKEND_STOP_MACHINE)
			continue;	/* nothing can happen there */
		if (step->op != TRANSACT && variant->backend != self->query.out_default_backend)
			continue;	/* they have no choice of it */
		for (event = 0; event < EVENTS; event++) {
			for (k = step->first; k < end; k++) {
				bool gone = event == KILL_TARGET || event == EXEC;
				bool done = event == KILL_CALLER ? step->done : !gone;
				int status;

				if (!REACH(step, k, event))
					break;
				happen(event, self->caller, self->pid, self->lease);
				if (event == EXEC) {
					EXPECT_TRUE(RAW_WAIT(has_executed(self->pid,
									  self->program)));
				}
				EXPECT_EQ(0, raw_debug(self->control, ULP_DEBUG_GO, 0, 0, NULL));
				ASSERT_EQ(self->caller, waitpid(self->caller, &status, 0));
				self->caller = 0;
				if (event == KILL_CALLER) {
					EXPECT_TRUE(WIFSIGNALED(status));
				} else {
					EXPECT_TRUE(WIFEXITED(status));
					EXPECT_EQ(gone ? -step->gone : 0, WEXITSTATUS(status));
				}
				EXPECT_EQ(event == SIGNAL, self->said->command);
				if (event == EXEC) {
					EXPECT_TRUE(has_executed(self->pid, self->program));
				} else if (event != KILL_TARGET) {
					EXPECT_WHOLE(step->op == TRANSACT && done ? 2 : 1,
						     self->maps + more_maps(step->op, done));
				}
				raw_kill(self->pid);
				self->pid = 0;
				EXPECT_TRUE(RAW_WAIT(!raw_gates(self->control)));
				EXPECT_TRUE(RAW_WAIT(raw_references() == self->references));
				if (!_metadata->passed) {
					TH_LOG("%s at point %u, passing %u: %s", ops[step->op],
					       step->point, k, events[event]);
					ASSERT_TRUE(_metadata->passed);
				}
				rounds++;
			}
			/* each line happens, and all its passings */
			if (k != end || !step->nr) {
				raw_kill(self->caller);
				raw_kill(self->pid);
				self->caller = 0;
				self->pid = 0;
				fcntl(self->lease, F_SETLEASE, F_UNLCK);
			}
			EXPECT_LT(step->first, k);
			if (step->nr) {
				EXPECT_EQ(end, k);
			} else {
				EXPECT_GT(GOES_ON, k);
			}
			if (!_metadata->passed)
				TH_LOG("%s has no point %u, passing %u", ops[step->op],
				       step->point, k);
		}
		TH_LOG("%s at point %u: all well, %u rounds so far", ops[step->op], step->point,
		       rounds);
	}
}

/* In the middle of one session's window, another one is refused; elsewhere not. */
TEST_F_TIMEOUT(step, others, 60)
{
	static const struct step window = { TRANSACT, ULP_FAULT_WRITTEN, 0, 1, true, true, 0 };
	static const struct step thawed = { TRANSACT, ULP_FAULT_THAWED, 0, 1, false, true, 0 };
	bool held = variant->backend == ULP_BACKEND_GATE;
	struct ulp_transact args = raw_transact_args();
	struct raw_shared *shared = raw_shared_new();
	struct ulp_unmap unmap;
	int session, other, status;
	uint64_t turns;
	pid_t pid;

	ASSERT_TRUE(REACH(held ? &window : &thawed, 0, SIGNAL));
	turns = self->shared->count[0];
	session = raw_session(self->pid);
	ASSERT_LE(0, session);
	EXPECT_EQ(-EALREADY, raw_change(session, variant->backend, 2, 1, &args));
	EXPECT_EQ(-EALREADY, raw_map(session, -1, FREE_ADDR, RAW_PAGE, 0));
	EXPECT_EQ(-EALREADY, raw_unmap(session, FREE_ADDR, RAW_PAGE, &unmap));
	if (self->query.out_features & ULP_FEATURE_GATE) {
		EXPECT_EQ(-EALREADY, raw_debug(session, ULP_DEBUG_FREEZE, 0, 0, NULL));
	}
	/* nobody was let go by that */
	if (held) {
		EXPECT_EQ(turns, self->shared->count[0]);
	}

	pid = raw_victim(victim, shared);
	ASSERT_TRUE(RAW_WAIT(shared->ready == THREADS));
	other = raw_session(pid);
	args = raw_transact_args();
	EXPECT_EQ(0, raw_change(other, variant->backend, 1, 2, &args));
	EXPECT_TRUE(RAW_WAIT(shared->seen[2]));
	close(other);
	raw_kill(pid);

	EXPECT_EQ(0, raw_debug(self->control, ULP_DEBUG_GO, 0, 0, NULL));
	EXPECT_EQ(self->caller, waitpid(self->caller, &status, 0));
	self->caller = 0;
	EXPECT_EQ(0, status);
	args = raw_transact_args();
	EXPECT_EQ(0, raw_change(session, variant->backend, 2, 1, &args));
	close(session);
	EXPECT_WHOLE(1, self->maps + 1);
}

TEST_HARNESS_MAIN
