// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mapping into a target: where, how, for how long.
 *
 * module: debug
 * timeout: 120
 */
#include "kselftest_harness.h"
#include "ulp_raw.h"

#define FREE_ADDR	0x200000000000UL

static void idle(struct raw_shared *shared)
{
	shared->ready = 1;
	pause();
}

/* Executes what was mapped at shared->value, again and again. */
static void enters(struct raw_shared *shared)
{
	long (*code)(long);

	shared->ready = 1;
	while (!shared->value)
		usleep(500);
	code = (void *)shared->value;
	shared->count[0] = code((uintptr_t)&shared->count[2]);
	shared->command = 1;
	raw_spin(&shared->count[1]);
}

FIXTURE(map) {
	struct raw_shared *shared;
	pid_t pid;
	int session;
	int memfd;
};

FIXTURE_SETUP(map)
{
	/* lea 1(%rdi), %rax; ret */
	static const uint8_t code[] = { 0x48, 0x8d, 0x47, 0x01, 0xc3 };

	self->shared = raw_shared_new();
	self->pid = raw_victim(idle, self->shared);
	ASSERT_TRUE(RAW_WAIT(self->shared->ready));
	self->session = raw_session(self->pid);
	ASSERT_LE(0, self->session);
	self->memfd = memfd_create("ulp-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, 4 * RAW_PAGE));
	ASSERT_EQ(sizeof(code), pwrite(self->memfd, code, sizeof(code), RAW_PAGE));
	ASSERT_EQ(0, fcntl(self->memfd, F_ADD_SEALS,
			   F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
}

FIXTURE_TEARDOWN(map)
{
	close(self->session);
	close(self->memfd);
	raw_kill(self->pid);
}

/* The permissions of the mapping at @addr, "" if there is none; name in @name. */
static const char *mapped(pid_t pid, uint64_t addr, char *name)
{
	static char permissions[8];
	unsigned long start, end;
	char line[512], path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "r");
	permissions[0] = 0;
	while (file && fgets(line, sizeof(line), file)) {
		path[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255[^\n]", &start, &end, permissions,
			   path) >= 3 && addr >= start && addr < end) {
			if (name)
				strcpy(name, path);
			break;
		}
		permissions[0] = 0;
	}
	if (file)
		fclose(file);
	return permissions;
}

static int commit(int session)
{
	struct ulp_transact args = raw_transact_args();

	args.flags = ULP_TRANSACT_COMMIT_MAPS;
	return raw_transact(session, &args);
}

TEST_F(map, permissions)
{
	char name[256];

	ASSERT_EQ(0, raw_map(self->session, self->memfd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
	EXPECT_STREQ("r-xp", mapped(self->pid, FREE_ADDR, name));
	EXPECT_STREQ("/memfd:ulp-test (deleted)", name);
	ASSERT_EQ(0, raw_map(self->session, self->memfd, FREE_ADDR + 2 * RAW_PAGE, RAW_PAGE,
			     ULP_MAP_WRITE));
	EXPECT_STREQ("rw-p", mapped(self->pid, FREE_ADDR + 2 * RAW_PAGE, name));
	ASSERT_EQ(0, raw_map(self->session, -1, FREE_ADDR + 4 * RAW_PAGE, RAW_PAGE, 0));
	EXPECT_STREQ("r--p", mapped(self->pid, FREE_ADDR + 4 * RAW_PAGE, name));
	EXPECT_STREQ("/ulp (deleted)", name);
	EXPECT_EQ(-EINVAL, raw_map(self->session, -1, FREE_ADDR + 8 * RAW_PAGE, RAW_PAGE,
				   ULP_MAP_EXEC | ULP_MAP_WRITE));
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR + 8 * RAW_PAGE, NULL));
}

TEST_F(map, where)
{
	int s = self->session;

	EXPECT_EQ(-EINVAL, raw_map(s, -1, FREE_ADDR, 0, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, FREE_ADDR, RAW_PAGE - 1, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, FREE_ADDR + 1, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, FREE_ADDR, -RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, 0, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, RAW_PAGE, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, 65536 - RAW_PAGE, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, 0x7ffffffff000, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, 0x7fffffffe000, 2 * RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, 0x800000000000, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, 0xffff800000000000, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, -RAW_PAGE, RAW_PAGE, 0));
	EXPECT_EQ(-EINVAL, raw_map(s, -1, FREE_ADDR, 1UL << 40, 0));
	/* what is there stays there */
	EXPECT_EQ(-EEXIST, raw_map(s, -1, (uintptr_t)raw_answer & -RAW_PAGE, RAW_PAGE, 0));
	ASSERT_EQ(0, raw_map(s, -1, FREE_ADDR, 2 * RAW_PAGE, 0));
	EXPECT_EQ(-EEXIST, raw_map(s, -1, FREE_ADDR + RAW_PAGE, 2 * RAW_PAGE, 0));
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR + 2 * RAW_PAGE, NULL));
}

TEST_F(map, what)
{
	struct ulp_map args = {
		.size = sizeof(args), .fd = -1, .offset = RAW_PAGE, .addr = FREE_ADDR,
		.length = RAW_PAGE,
	};
	int fds[2];

	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &args));
	args.fd = self->memfd;
	args.offset = 1;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &args));
	args.offset = 0;
	args.fd = -2;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &args));
	args.fd = 1000;
	EXPECT_EQ(-EBADF, raw_ioctl(self->session, ULP_MAP, &args));
	ASSERT_EQ(0, pipe(fds));
	args.fd = fds[0];
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &args));
	args.fd = open("/dev/zero", O_RDWR);
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &args));
	args.fd = open("/", O_RDONLY);
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &args));
	args.fd = self->session;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &args));
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR, NULL));
}

TEST_F(map, limit)
{
	struct ulp_query query;
	unsigned int i;

	ASSERT_EQ(0, raw_query(&query));
	for (i = 0; i < query.out_max_maps; i++)
		ASSERT_EQ(0, raw_map(self->session, -1, FREE_ADDR + 2 * i * RAW_PAGE, RAW_PAGE, 0));
	EXPECT_EQ(-E2BIG, raw_map(self->session, -1, FREE_ADDR + 2 * i * RAW_PAGE, RAW_PAGE, 0));
	ASSERT_EQ(0, commit(self->session));
	EXPECT_EQ(0, raw_map(self->session, -1, FREE_ADDR + 2 * i * RAW_PAGE, RAW_PAGE, 0));
}

TEST_F(map, uncommitted_goes)
{
	ASSERT_EQ(0, raw_map(self->session, self->memfd, FREE_ADDR, 2 * RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, raw_map(self->session, -1, FREE_ADDR + 2 * RAW_PAGE, RAW_PAGE,
			     ULP_MAP_WRITE));
	EXPECT_STREQ("r-xp", mapped(self->pid, FREE_ADDR, NULL));
	close(self->session);
	self->session = -1;
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR, NULL));
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR + 2 * RAW_PAGE, NULL));
}

/* Some of it is gone, by whomever: the rest goes all the same. */
TEST_F(map, pieces_go)
{
	struct ulp_unmap args;
	unsigned int i;

	ASSERT_EQ(0, raw_map(self->session, self->memfd, FREE_ADDR, 4 * RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, raw_map(self->session, -1, FREE_ADDR + 8 * RAW_PAGE, 4 * RAW_PAGE, 0));
	ASSERT_EQ(0, raw_unmap(self->session, FREE_ADDR, RAW_PAGE, &args));
	ASSERT_EQ(0, raw_unmap(self->session, FREE_ADDR + 2 * RAW_PAGE, RAW_PAGE, &args));
	ASSERT_EQ(0, raw_unmap(self->session, FREE_ADDR + 8 * RAW_PAGE, RAW_PAGE, &args));
	EXPECT_STREQ("r-xp", mapped(self->pid, FREE_ADDR + RAW_PAGE, NULL));
	close(self->session);
	self->session = -1;
	for (i = 0; i < 12; i++)
		EXPECT_STREQ("", mapped(self->pid, FREE_ADDR + i * RAW_PAGE, NULL));
}

/*
 * Another session is at the target for longer than anybody waits: the one that
 * is closed has its turn behind it.
 */
TEST_F(map, uncommitted_goes_behind_another)
{
	const uint64_t at = 0x200000000000;
	int other;

	if (!raw_is_debug())
		SKIP(return, "not the debug build");
	other = raw_session(self->pid);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, raw_map(self->session, self->memfd, at, RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, raw_map(self->session, -1, at + RAW_PAGE, RAW_PAGE, ULP_MAP_WRITE));
	/* without gates there is nothing to freeze by hand */
	if (raw_debug(other, ULP_DEBUG_FREEZE, 0, 0, NULL) == -EOPNOTSUPP)
		SKIP(return, "no gate on this kernel");
	close(self->session);
	self->session = -1;
	EXPECT_STREQ("r-xp", mapped(self->pid, at, NULL));
	EXPECT_EQ(0, raw_debug(other, ULP_DEBUG_THAW, 0, 0, NULL));
	EXPECT_TRUE(RAW_WAIT(!*mapped(self->pid, at, NULL)));
	EXPECT_TRUE(RAW_WAIT(!*mapped(self->pid, at + RAW_PAGE, NULL)));
	/* and lets others in */
	EXPECT_TRUE(RAW_WAIT(commit(other) == 0));
	close(other);
}

/* Sleeps above pages of its stack that are not there yet. */
static void *sleeps_above_nothing(void *arg)
{
	volatile char untouched[8 * RAW_PAGE];
	struct raw_shared *shared = arg;

	shared->value = (uintptr_t)untouched;
	shared->ready = 1;
	for (;;)
		pause();
	return NULL;
}

static void has_a_file_for_a_stack(struct raw_shared *shared)
{
	int fd = memfd_create("stack", MFD_CLOEXEC);
	pthread_attr_t attr;
	pthread_t thread;
	void *stack;

	if (ftruncate(fd, 32 * RAW_PAGE))
		_exit(1);
	stack = mmap(NULL, 32 * RAW_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	pthread_attr_init(&attr);
	if (stack == MAP_FAILED || pthread_attr_setstack(&attr, stack, 32 * RAW_PAGE) ||
	    pthread_create(&thread, &attr, sleeps_above_nothing, shared))
		_exit(1);
	for (;;)
		pause();
}

/*
 * Who closes the session is killed in the middle of that, and a page is yet to be
 * fetched: it is taken back all the same.
 */
TEST_F(map, uncommitted_goes_of_killed)
{
	struct raw_shared *shared = raw_shared_new();
	pid_t caller, pid;
	uint64_t nr;

	if (!raw_is_debug())
		SKIP(return, "not the debug build");
	pid = raw_victim(has_a_file_for_a_stack, shared);
	ASSERT_TRUE(RAW_WAIT(shared->ready));
	caller = fork();
	if (!caller) {
		int session = raw_session(pid);

		close(self->session);
		if (raw_map(session, self->memfd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC) ||
		    raw_debug(session, ULP_DEBUG_PAUSE, ULP_FAULT_ALLOC, 0, NULL))
			_exit(1);
		close(session);
		_exit(2);
	}
	ASSERT_TRUE(RAW_WAIT(raw_paused(self->session) == 1));
	EXPECT_STREQ("r-xp", mapped(pid, FREE_ADDR, NULL));
	kill(caller, SIGKILL);
	ASSERT_EQ(0, raw_debug(self->session, ULP_DEBUG_GO, 0, 0, &nr));
	EXPECT_EQ(1, nr);
	raw_kill(caller);
	EXPECT_TRUE(RAW_WAIT(!*mapped(pid, FREE_ADDR, NULL)));
	raw_kill(pid);
}

#define MAPPINGS	12

/* Sleeps above an address in each of the mappings that are there once told to. */
static void remembers(struct raw_shared *shared)
{
	volatile uint64_t words[MAPPINGS];
	unsigned int i;

	shared->ready = 1;
	while (!shared->value)
		usleep(500);
	for (i = 0; i < MAPPINGS; i++)
		words[i] = FREE_ADDR + 2 * i * RAW_PAGE + 1;
	shared->command = words[0] != 0;
	for (;;)
		pause();
}

/* For how long the session is closed that has @nr mappings with a thread in each. */
static uint64_t ns_to_close(unsigned int nr)
{
	struct raw_shared *shared = raw_shared_new();
	pid_t pid = raw_victim(remembers, shared);
	int session = raw_session(pid);
	uint64_t ns = 0;
	unsigned int i;

	shared->value = 1;
	if (!RAW_WAIT(shared->command))
		goto out;
	for (i = 0; i < nr; i++)
		if (raw_map(session, -1, FREE_ADDR + 2 * i * RAW_PAGE, RAW_PAGE, ULP_MAP_EXEC))
			goto out;
	ns = raw_now();
	close(session);
	ns = raw_now() - ns;
	for (i = 0; i < nr; i++)
		if (!*mapped(pid, FREE_ADDR + 2 * i * RAW_PAGE, NULL))
			ns = 0;
out:
	raw_kill(pid);
	return ns;
}

/* Who closes a session waits for the threads in its mappings: once, not for each. */
TEST_F(map, wait_is_for_all)
{
	uint64_t one = ns_to_close(1), all = ns_to_close(MAPPINGS);

	ASSERT_NE(0, one);
	ASSERT_NE(0, all);
	EXPECT_GT(MAPPINGS / 3 * one, all);
}

/* Its inode is not that of the mapping, where the root is an overlay. */
TEST_F(map, uncommitted_of_overlay_goes)
{
	char name[256];
	int fd = open("/proc/self/exe", O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, raw_map(self->session, fd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
	EXPECT_STREQ("r-xp", mapped(self->pid, FREE_ADDR, name));
	close(self->session);
	self->session = -1;
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR, NULL));
	close(fd);
}

TEST_F(map, committed_stays)
{
	struct ulp_transact args = raw_transact_args();

	ASSERT_EQ(0, raw_map(self->session, self->memfd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
	/* neither a refused transaction nor a dry run commits */
	args.flags = ULP_TRANSACT_COMMIT_MAPS;
	EXPECT_EQ(-ESTALE, raw_set_answer(self->session, raw_answer, 7, 2, &args));
	args = raw_transact_args();
	args.flags = ULP_TRANSACT_COMMIT_MAPS | ULP_TRANSACT_DRY_RUN;
	EXPECT_EQ(0, raw_set_answer(self->session, raw_answer, 1, 2, &args));
	close(self->session);
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR, NULL));

	self->session = raw_session(self->pid);
	ASSERT_EQ(0, raw_map(self->session, self->memfd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, commit(self->session));
	ASSERT_EQ(0, raw_map(self->session, -1, FREE_ADDR + RAW_PAGE, RAW_PAGE, 0));
	close(self->session);
	EXPECT_STREQ("r-xp", mapped(self->pid, FREE_ADDR, NULL));
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR + RAW_PAGE, NULL));
	self->session = raw_session(self->pid);
}

/* The target put something else there: it is not ours to take. */
static void replaces(struct raw_shared *shared)
{
	shared->ready = 1;
	while (!shared->command)
		usleep(500);
	shared->value = (uintptr_t)mmap((void *)FREE_ADDR, RAW_PAGE, PROT_READ,
					MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	shared->ready = 2;
	pause();
}

TEST_F(map, replaced_stays)
{
	struct raw_shared *shared = raw_shared_new();
	pid_t pid = raw_victim(replaces, shared);
	int session;

	ASSERT_TRUE(RAW_WAIT(shared->ready));
	session = raw_session(pid);
	ASSERT_EQ(0, raw_map(session, self->memfd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
	shared->command = 1;
	ASSERT_TRUE(RAW_WAIT(shared->ready == 2));
	ASSERT_EQ(FREE_ADDR, shared->value);
	close(session);
	EXPECT_STREQ("r--s", mapped(pid, FREE_ADDR, NULL));
	raw_kill(pid);
}

TEST_F(map, unmap)
{
	struct ulp_unmap args;

	ASSERT_EQ(0, raw_map(self->session, self->memfd, FREE_ADDR, 2 * RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, commit(self->session));
	EXPECT_EQ(-EINVAL, raw_unmap(self->session, FREE_ADDR, 0, &args));
	EXPECT_EQ(-EINVAL, raw_unmap(self->session, FREE_ADDR + 1, RAW_PAGE, &args));
	EXPECT_EQ(-EINVAL, raw_unmap(self->session, FREE_ADDR, 3 * RAW_PAGE, &args));
	EXPECT_EQ(-EINVAL, raw_unmap(self->session, 0, RAW_PAGE, &args));
	EXPECT_EQ(-EINVAL, raw_unmap(self->session, -RAW_PAGE, RAW_PAGE, &args));
	EXPECT_STREQ("r-xp", mapped(self->pid, FREE_ADDR, NULL));
	EXPECT_EQ(0, raw_unmap(self->session, FREE_ADDR, 2 * RAW_PAGE, &args)) {
		TH_LOG("reason %u", args.out_reason);
	}
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR, NULL));
	EXPECT_EQ(-EINVAL, raw_unmap(self->session, FREE_ADDR, 2 * RAW_PAGE, &args));
}

/* A mapping in which a thread executes, and one it can return into. */
TEST_F(map, unmap_refused)
{
	/* incq (%rdi); jmp . - 3 */
	static const uint8_t loop[] = { 0x48, 0xff, 0x07, 0xeb, 0xfb };
	struct raw_shared *shared = raw_shared_new();
	pid_t pid = raw_victim(enters, shared);
	struct ulp_unmap args;
	int session, fd;
	uint64_t turns;

	ASSERT_TRUE(RAW_WAIT(shared->ready));
	session = raw_session(pid);
	ASSERT_EQ(0, raw_map(session, self->memfd, FREE_ADDR, 2 * RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, commit(session));
	shared->value = FREE_ADDR + RAW_PAGE;
	ASSERT_TRUE(RAW_WAIT(shared->command));
	EXPECT_EQ((uintptr_t)&shared->count[2] + 1, shared->count[0]);
	/* it may keep the address of the function, but nothing behind it */
	EXPECT_EQ(0, raw_unmap(session, FREE_ADDR + RAW_PAGE, RAW_PAGE, &args)) {
		TH_LOG("reason %u", args.out_reason);
	}
	raw_kill(pid);
	close(session);

	memset(shared, 0, sizeof(*shared));
	pid = raw_victim(enters, shared);
	ASSERT_TRUE(RAW_WAIT(shared->ready));
	session = raw_session(pid);
	fd = memfd_create("ulp-loop", 0);
	ASSERT_EQ(sizeof(loop), pwrite(fd, loop, sizeof(loop), 0));
	ASSERT_EQ(0, ftruncate(fd, RAW_PAGE));
	ASSERT_EQ(0, raw_map(session, fd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, commit(session));
	shared->value = FREE_ADDR;
	ASSERT_TRUE(RAW_WAIT(shared->count[2]));
	EXPECT_EQ(-EADDRINUSE, raw_unmap(session, FREE_ADDR, RAW_PAGE, &args));
	EXPECT_EQ(ULP_REASON_IP, args.out_reason);
	EXPECT_EQ(pid, args.out_tid);
	EXPECT_STREQ("r-xp", mapped(pid, FREE_ADDR, NULL));
	turns = shared->count[2];
	EXPECT_TRUE(RAW_WAIT(shared->count[2] > turns));
	raw_kill(pid);
	close(session);
	close(fd);
}

/* Forks at each command. */
static void forks(struct raw_shared *shared)
{
	uint32_t done = 0;
	pid_t pid;

	shared->ready = 1;
	for (;;) {
		while (shared->command == done)
			usleep(500);
		done++;
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
		}
		shared->value = pid;
		shared->ready++;
	}
}

static pid_t child_of(struct raw_shared *shared)
{
	uint32_t before = shared->ready;

	shared->command++;
	return RAW_WAIT(shared->ready > before) ? shared->value : 0;
}

/* What nobody has committed is not in the memory of children. */
TEST_F(map, fork)
{
	struct raw_shared *shared = raw_shared_new();
	pid_t child, pid = raw_victim(forks, shared);
	int session;

	ASSERT_TRUE(RAW_WAIT(shared->ready));
	session = raw_session(pid);
	ASSERT_EQ(0, raw_map(session, self->memfd, FREE_ADDR, RAW_PAGE, ULP_MAP_EXEC));
	ASSERT_EQ(0, raw_map(session, -1, FREE_ADDR + RAW_PAGE, RAW_PAGE, ULP_MAP_WRITE));
	child = child_of(shared);
	ASSERT_LT(0, child);
	EXPECT_STREQ("", mapped(child, FREE_ADDR, NULL));
	EXPECT_STREQ("", mapped(child, FREE_ADDR + RAW_PAGE, NULL));
	kill(child, SIGKILL);
	ASSERT_EQ(0, commit(session));
	close(session);
	child = child_of(shared);
	ASSERT_LT(0, child);
	EXPECT_STREQ("r-xp", mapped(child, FREE_ADDR, NULL));
	EXPECT_STREQ("rw-p", mapped(child, FREE_ADDR + RAW_PAGE, NULL));
	kill(child, SIGKILL);
	raw_kill(pid);
}

#define CYCLES	60

static bool is_mapped(unsigned int cycle)
{
	return !msync((void *)(FREE_ADDR + 2 * cycle * RAW_PAGE), RAW_PAGE, MS_ASYNC);
}

/* The answer of a child says what was committed when it was made: that is there. */
static void *forks_for_ever(void *arg)
{
	struct raw_shared *shared = arg;
	unsigned int answer;
	int status = 0;
	pid_t pid;

	for (;;) {
		pid = fork();
		if (!pid) {
			answer = raw_answer();
			_exit((answer > 1 && !is_mapped(answer - 2)) ? 2 : is_mapped(answer - 1));
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			__atomic_add_fetch(WIFEXITED(status) && WEXITSTATUS(status) == 1 ?
					   &shared->early : &shared->wrong, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->count[0], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void storm_of_forks(struct raw_shared *shared)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, forks_for_ever, shared))
		_exit(1);
	shared->ready = 1;
	forks_for_ever(shared);
}

/* Wherever in the middle of it the target forks: the child is old or new as a whole. */
TEST_F(map, fork_storm)
{
	struct raw_shared *shared = raw_shared_new();
	pid_t pid = raw_victim(storm_of_forks, shared);
	unsigned int i;
	uint64_t turns;
	int session;

	ASSERT_TRUE(RAW_WAIT(shared->ready));
	session = raw_session(pid);
	for (i = 0; i < CYCLES; i++) {
		struct ulp_transact args = raw_transact_args();
		uint64_t end = raw_now() + RAW_LIMIT_NS;
		int ret;

		turns = shared->count[0];
		ASSERT_EQ(0, raw_map(session, i % 3 ? self->memfd : -1,
				     FREE_ADDR + 2 * i * RAW_PAGE, RAW_PAGE, 0));
		args.flags = ULP_TRANSACT_COMMIT_MAPS;
		args.backend = i % 2 ? ULP_BACKEND_STOP_MACHINE : ULP_BACKEND_AUTO;
		do {
			ret = raw_set_answer(session, raw_answer, i + 1, i + 2, &args);
		} while (ret == -EAGAIN && raw_now() < end);
		ASSERT_EQ(0, ret) {
			TH_LOG("cycle %u, reason %u", i, args.out_reason);
		}
		ASSERT_TRUE(RAW_WAIT(shared->count[0] > turns));
	}
	turns = shared->count[0];
	EXPECT_TRUE(RAW_WAIT(shared->count[0] > turns + 2));
	EXPECT_EQ(0, shared->early) {
		TH_LOG("%u of %lu children have what was not committed", shared->early,
		       (unsigned long)shared->count[0]);
	}
	EXPECT_EQ(0, shared->wrong) {
		TH_LOG("%u of %lu children miss what was committed", shared->wrong,
		       (unsigned long)shared->count[0]);
	}
	raw_kill(pid);
	close(session);
}

TEST_F(map, fault)
{
	if (!raw_is_debug())
		SKIP(return, "needs the debug build of the module");
	ASSERT_EQ(0, raw_fault(self->session, ULP_FAULT_MAP, 1));
	EXPECT_EQ(0, raw_map(self->session, -1, FREE_ADDR, RAW_PAGE, 0));
	EXPECT_EQ(-ENOMEM, raw_map(self->session, -1, FREE_ADDR + RAW_PAGE, RAW_PAGE, 0));
	EXPECT_STREQ("", mapped(self->pid, FREE_ADDR + RAW_PAGE, NULL));
	EXPECT_EQ(0, raw_map(self->session, -1, FREE_ADDR + RAW_PAGE, RAW_PAGE, 0));
}

TEST_HARNESS_MAIN
