// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The form of the ioctls: sizes, tails, flags, descriptors, credentials.
 *
 * module: release
 * timeout: 120
 */
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "ulp_raw.h"

/* The interface can only be extended at the end of its structs. */
_Static_assert(sizeof(struct ulp_query) == 80, "ulp_query");
_Static_assert(sizeof(struct ulp_session_open) == 16, "ulp_session_open");
_Static_assert(sizeof(struct ulp_map) == 40, "ulp_map");
_Static_assert(sizeof(struct ulp_unmap) == 48, "ulp_unmap");
_Static_assert(sizeof(struct ulp_release) == 16, "ulp_release");
_Static_assert(sizeof(struct ulp_transact) == 232, "ulp_transact");
_Static_assert(sizeof(struct ulp_universe) == 32, "ulp_universe");
_Static_assert(sizeof(struct ulp_members) == 40, "ulp_members");
_Static_assert(sizeof(struct ulp_member) == 8, "ulp_member");
_Static_assert(sizeof(struct ulp_subject) == 128, "ulp_subject");
_Static_assert(sizeof(struct ulp_debug) == 32, "ulp_debug");
_Static_assert(sizeof(struct ulp_range) == 16, "ulp_range");
_Static_assert(sizeof(struct ulp_write) == 32, "ulp_write");
_Static_assert(sizeof(struct ulp_stale) == 40, "ulp_stale");
_Static_assert(sizeof(struct ulp_regs) == 23 * 8, "ulp_regs");
_Static_assert(offsetof(struct ulp_query, out_features) == 16, "ulp_query");
_Static_assert(offsetof(struct ulp_query, out_version) == 48, "ulp_query");
_Static_assert(offsetof(struct ulp_transact, nr_ranges) == 56, "ulp_transact");
_Static_assert(offsetof(struct ulp_transact, out_freeze_ns) == 88, "ulp_transact");
_Static_assert(offsetof(struct ulp_transact, out_ip) == 160, "ulp_transact");
_Static_assert(offsetof(struct ulp_transact, subject) == 192, "ulp_transact");
_Static_assert(offsetof(struct ulp_transact, hold_ns) == 200, "ulp_transact");
_Static_assert(offsetof(struct ulp_transact, out_members) == 220, "ulp_transact");
_Static_assert(ULP_QUERY == 0xc050e700, "ULP_QUERY");
_Static_assert(ULP_SESSION_OPEN == 0x4010e701, "ULP_SESSION_OPEN");
_Static_assert(ULP_MAP == 0x4028e720, "ULP_MAP");
_Static_assert(ULP_UNMAP == 0xc030e721, "ULP_UNMAP");
_Static_assert(ULP_TRANSACT == 0xc0e8e722, "ULP_TRANSACT");
_Static_assert(ULP_RELEASE == 0xc010e723, "ULP_RELEASE");
_Static_assert(ULP_MEMBERS == 0xc028e724, "ULP_MEMBERS");

static void idle(struct raw_shared *shared)
{
	shared->ready = 1;
	pause();
}

FIXTURE(interface) {
	struct raw_shared *shared;
	pid_t pid;
	int device;
	int mem;
	int session;
};

FIXTURE_SETUP(interface)
{
	self->shared = raw_shared_new();
	ASSERT_NE(NULL, self->shared);
	self->pid = raw_victim(idle, self->shared);
	ASSERT_TRUE(RAW_WAIT(self->shared->ready));
	self->device = raw_device();
	ASSERT_LE(0, self->device) {
		TH_LOG("/dev/ulp: %s", strerror(-self->device));
	}
	self->mem = raw_open_mem(self->pid, O_RDWR);
	ASSERT_LE(0, self->mem);
	self->session = raw_session_of(self->mem);
	ASSERT_LE(0, self->session);
}

FIXTURE_TEARDOWN(interface)
{
	close(self->session);
	close(self->mem);
	close(self->device);
	raw_kill(self->pid);
}

TEST_F(interface, query)
{
	struct ulp_query query = { .size = sizeof(query) };
	struct stat st;

	ASSERT_EQ(0, raw_ioctl(self->device, ULP_QUERY, &query));
	EXPECT_EQ(ULP_ABI, query.out_abi);
	EXPECT_TRUE(query.out_features & ULP_FEATURE_STOP_MACHINE);
	EXPECT_TRUE(query.out_features & ULP_FEATURE_FORK_PROBE);
	EXPECT_EQ(query.out_features & ULP_FEATURE_GATE ? ULP_BACKEND_GATE :
		  ULP_BACKEND_STOP_MACHINE, query.out_default_backend);
	EXPECT_LE(100, query.out_max_ranges);
	EXPECT_LE(100, query.out_max_writes);
	EXPECT_LE(4096, query.out_max_write_bytes);
	EXPECT_LT(0, query.out_max_stale);
	EXPECT_LE(4096, query.out_max_stack);
	EXPECT_LT(0, query.out_max_maps);
	EXPECT_LT(0, strnlen((char *)query.out_version, sizeof(query.out_version)));
	EXPECT_GT(sizeof(query.out_version),
		  strnlen((char *)query.out_version, sizeof(query.out_version)));
	ASSERT_EQ(0, stat("/dev/ulp", &st));
	EXPECT_EQ(0600, st.st_mode & 0777);
}

TEST_F(interface, sizes)
{
	struct {
		struct ulp_query query;
		uint8_t tail[32];
	} longer = { .query.size = sizeof(longer) };
	struct ulp_query *query = &longer.query;
	char *page;

	/* longer is fine as long as it asks for nothing unknown */
	EXPECT_EQ(0, raw_ioctl(self->device, ULP_QUERY, &longer));
	longer.tail[31] = 1;
	EXPECT_EQ(-E2BIG, raw_ioctl(self->device, ULP_QUERY, &longer));
	query->size = sizeof(*query) - 1;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->device, ULP_QUERY, query));
	query->size = 4;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->device, ULP_QUERY, query));
	query->size = 0;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->device, ULP_QUERY, query));
	query->size = RAW_PAGE + 1;
	EXPECT_EQ(-E2BIG, raw_ioctl(self->device, ULP_QUERY, query));
	query->size = ~0U;
	EXPECT_EQ(-E2BIG, raw_ioctl(self->device, ULP_QUERY, query));

	/* the size is what counts, not the one in the command's number */
	query->size = sizeof(*query);
	EXPECT_EQ(0, raw_ioctl(self->device, _IOC(_IOC_READ, ULP_IOC_TYPE, ULP_IOC_NR_QUERY, 8),
			       query));

	/* a struct at the end of what is mapped, and one behind it */
	page = mmap(NULL, 2 * RAW_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)page);
	ASSERT_EQ(0, munmap(page + RAW_PAGE, RAW_PAGE));
	query = (void *)(page + RAW_PAGE - sizeof(*query));
	query->size = sizeof(*query);
	EXPECT_EQ(0, raw_ioctl(self->device, ULP_QUERY, query));
	query = (void *)(page + RAW_PAGE - 8);
	query->size = sizeof(*query);
	EXPECT_EQ(-EFAULT, raw_ioctl(self->device, ULP_QUERY, query));
	EXPECT_EQ(-EFAULT, raw_ioctl(self->device, ULP_QUERY, page + RAW_PAGE));
	EXPECT_EQ(-EFAULT, raw_ioctl(self->device, ULP_QUERY, NULL));

	/* an answer that cannot be stored */
	query = (void *)page;
	memset(query, 0, sizeof(*query));
	query->size = sizeof(*query);
	ASSERT_EQ(0, mprotect(page, RAW_PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, raw_ioctl(self->device, ULP_QUERY, query));
}

TEST_F(interface, unknown_commands)
{
	struct ulp_transact args = raw_transact_args();
	struct ulp_query query = { .size = sizeof(query) };

	EXPECT_EQ(-ENOTTY, raw_ioctl(self->device, _IOWR(ULP_IOC_TYPE, 0x1f, args), &args));
	EXPECT_EQ(-ENOTTY, raw_ioctl(self->device, _IOWR('k', ULP_IOC_NR_QUERY, query), &query));
	EXPECT_EQ(-ENOTTY, raw_ioctl(self->device, ULP_TRANSACT, &args));
	EXPECT_EQ(-ENOTTY, raw_ioctl(self->device, TIOCGWINSZ, &args));
	EXPECT_EQ(-ENOTTY, raw_ioctl(self->session, ULP_QUERY, &query));
	EXPECT_EQ(-ENOTTY, raw_ioctl(self->session, _IOWR(ULP_IOC_TYPE, 0x7f, args), &args));
	if (!raw_is_debug())
		EXPECT_EQ(-ENOTTY, raw_debug(self->session, ULP_DEBUG_GATES, 0, 0, NULL));
}

TEST_F(interface, reserved)
{
	struct ulp_query query = { .size = sizeof(query), .flags = 1 };
	struct ulp_session_open open = { .size = sizeof(open), .mem_fd = self->mem };
	struct ulp_map map = { .size = sizeof(map), .fd = -1, .length = RAW_PAGE,
			       .addr = 0x200000000000 };
	struct ulp_universe universe = { .size = sizeof(universe), .op = ULP_UNIVERSE_BEGIN };
	struct ulp_members members = { .size = sizeof(members), .table = 0x10000 };
	struct ulp_unmap unmap = { .size = sizeof(unmap), .flags = 1, .length = RAW_PAGE,
				   .addr = 0x200000000000 };
	struct ulp_transact args = raw_transact_args();

	EXPECT_EQ(-EINVAL, raw_ioctl(self->device, ULP_QUERY, &query));
	open.flags = 1;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->device, ULP_SESSION_OPEN, &open));
	open.flags = 0;
	open.__reserved = 1;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->device, ULP_SESSION_OPEN, &open));
	map.__reserved = 1;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &map));
	map.__reserved = 0;
	map.flags = 4;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MAP, &map));
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_UNMAP, &unmap));
	args.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	args = raw_transact_args();
	universe.table = 1;
	args.universe = (uintptr_t)&universe;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	universe.table = 0x7ffffffff000;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	universe.table = 0x10000;
	universe.op = 4;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	universe.op = ULP_UNIVERSE_ADVANCE;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	universe.op = ULP_UNIVERSE_BEGIN;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	universe.size--;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	args = raw_transact_args();
	members.flags = 1;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MEMBERS, &members));
	members.flags = 0;
	members.table = 8;
	EXPECT_EQ(-EINVAL, raw_ioctl(self->session, ULP_MEMBERS, &members));
	members.table = 0x10000;
	members.nr_threads = ULP_MEMBERS_MAX + 1;
	EXPECT_EQ(-E2BIG, raw_ioctl(self->session, ULP_MEMBERS, &members));
	members.nr_threads = 0;
	EXPECT_EQ(-EFAULT, raw_ioctl(self->session, ULP_MEMBERS, &members));
	args.backend = 3;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
	args = raw_transact_args();
	args.attempts = 0;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, &args));
}

TEST_F(interface, not_a_mem_file)
{
	static const char * const others[] = {
		"/proc/self/environ", "/dev/null", "/dev/ulp", "/proc/self/maps", "/",
	};
	struct ulp_session_open args = { .size = sizeof(args) };
	char path[64];
	unsigned int i;
	int fd, ret;

	for (i = 0; i < sizeof(others) / sizeof(*others); i++) {
		fd = open(others[i], O_RDONLY);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, raw_session_of(fd)) {
			TH_LOG("%s", others[i]);
		}
		close(fd);
	}
	EXPECT_EQ(-EBADF, raw_session_of(-1));
	EXPECT_EQ(-EBADF, raw_session_of(1000));
	EXPECT_EQ(-EINVAL, raw_session_of(self->session));

	fd = raw_open_mem(self->pid, O_RDONLY);
	EXPECT_EQ(-EBADF, raw_session_of(fd));
	close(fd);
	fd = raw_open_mem(self->pid, O_WRONLY);
	EXPECT_EQ(-EBADF, raw_session_of(fd));
	close(fd);
	snprintf(path, sizeof(path), "/proc/%d/mem", self->pid);
	fd = open(path, O_PATH);
	EXPECT_EQ(-EBADF, raw_session_of(fd));
	close(fd);

	/* a closed number, a kernel thread */
	args.mem_fd = raw_open_mem(self->pid, O_RDWR);
	close(args.mem_fd);
	EXPECT_EQ(-EBADF, raw_ioctl(self->device, ULP_SESSION_OPEN, &args));
	fd = raw_open_mem(2, O_RDWR);
	if (fd >= 0) {
		ret = raw_session_of(fd);
		EXPECT_EQ(-EINVAL, ret);
		close(fd);
	}
}

TEST_F(interface, dead_target)
{
	struct ulp_transact args = raw_transact_args();
	struct ulp_unmap unmap = { .size = sizeof(unmap), .length = RAW_PAGE,
				   .addr = 0x200000000000 };

	raw_kill(self->pid);
	self->pid = 0;
	EXPECT_EQ(-ESRCH, raw_session_of(self->mem));
	EXPECT_EQ(-ESRCH, raw_set_answer(self->session, raw_answer, 1, 2, &args));
	EXPECT_EQ(-ESRCH, raw_map(self->session, -1, 0x200000000000, RAW_PAGE, 0));
	EXPECT_EQ(-ESRCH, raw_ioctl(self->session, ULP_UNMAP, &unmap));
}

/* The result of @fn in a child that has become user 65534. */
static int as_nobody(int (*fn)(int device, int mem, int session), int device, int mem,
		     int session, bool keep_uid)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct __user_cap_header_struct {
			uint32_t version;
			int pid;
		} header = { 0x20080522, 0 };
		uint32_t none[6] = { 0 };

		if (!keep_uid && setresuid(65534, 65534, 65534))
			_exit(255);
		if (keep_uid && syscall(SYS_capset, &header, none))
			_exit(255);
		_exit(-fn(device, mem, session));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -255;
}

static int open_session(int device, int mem, int session)
{
	struct ulp_session_open args = { .size = sizeof(args), .mem_fd = mem };
	int ret = raw_ioctl(device, ULP_SESSION_OPEN, &args);

	return ret > 0 ? 0 : ret;
}

static int use_session(int device, int mem, int session)
{
	struct ulp_transact args = raw_transact_args();

	return raw_transact(session, &args);
}

/* On a process of its own, with a device that it was given. */
static int patch_own(int device, uint32_t backend)
{
	struct ulp_session_open open = { .size = sizeof(open) };
	struct ulp_transact args = raw_transact_args();
	struct raw_shared *shared = raw_shared_new();
	int session, ret;
	pid_t pid;

	prctl(PR_SET_DUMPABLE, 1);
	pid = raw_victim(idle, shared);
	if (!RAW_WAIT(shared->ready))
		return -ETIMEDOUT;
	open.mem_fd = raw_open_mem(pid, O_RDWR);
	session = raw_ioctl(device, ULP_SESSION_OPEN, &open);
	args.backend = backend;
	ret = session < 0 ? session : raw_transact(session, &args);
	raw_kill(pid);
	return ret;
}

static int patch_own_by_gate(int device, int mem, int session)
{
	return patch_own(device, ULP_BACKEND_GATE);
}

static int patch_own_by_stop_machine(int device, int mem, int session)
{
	return patch_own(device, ULP_BACKEND_STOP_MACHINE);
}

/* Who may write to a process may patch it, but not hold the whole machine. */
TEST_F(interface, unprivileged)
{
	struct ulp_query query;

	ASSERT_EQ(0, raw_query(&query));
	if (query.out_features & ULP_FEATURE_GATE)
		EXPECT_EQ(0, as_nobody(patch_own_by_gate, self->device, -1, -1, false));
	EXPECT_EQ(-EPERM, as_nobody(patch_own_by_stop_machine, self->device, -1, -1, false));
}

/* A descriptor that was passed on opens nothing. */
TEST_F(interface, credentials)
{
	EXPECT_EQ(0, use_session(self->device, self->mem, self->session));
	EXPECT_EQ(-EPERM, as_nobody(open_session, self->device, self->mem, self->session, false));
	EXPECT_EQ(-EPERM, as_nobody(use_session, self->device, self->mem, self->session, false));
	EXPECT_EQ(-EPERM, as_nobody(open_session, self->device, self->mem, self->session, true));
	EXPECT_EQ(-EPERM, as_nobody(use_session, self->device, self->mem, self->session, true));
}

TEST_F(interface, close_on_exec)
{
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->session, F_GETFD));
}

/* A descriptor names an address space: what its process executes is another. */
static void executes(struct raw_shared *shared)
{
	shared->ready = 1;
	while (!shared->command)
		usleep(500);
	execl("/bin/sleep", "sleep", "1000", NULL);
	_exit(127);
}

static bool is_sleep(pid_t pid)
{
	char path[64], comm[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY);
	if (read(fd, comm, sizeof(comm) - 1) < 0)
		comm[0] = 0;
	close(fd);
	return !strcmp(comm, "sleep\n");
}

TEST_F(interface, exec_gets_away)
{
	struct raw_shared *shared = raw_shared_new();
	pid_t pid = raw_victim(executes, shared);
	struct ulp_transact args = raw_transact_args();
	int session;

	ASSERT_TRUE(RAW_WAIT(shared->ready));
	session = raw_session(pid);
	ASSERT_LE(0, session);
	EXPECT_EQ(0, raw_set_answer(session, raw_answer, 1, 2, &args));
	shared->command = 1;
	ASSERT_TRUE(RAW_WAIT(is_sleep(pid)));
	EXPECT_EQ(-ESRCH, raw_set_answer(session, raw_answer, 2, 1, &args));
	close(session);
	raw_kill(pid);
}

/* One's own address space is a target like any other. */
TEST_F(interface, own_address_space)
{
	int session = raw_session(getpid());
	struct ulp_transact args = raw_transact_args();
	uint32_t from = 1, to = 2;
	struct ulp_write write = {
		.addr = RAW_ANSWER_AT(raw_answer), .len = sizeof(to),
		.expected = (uintptr_t)&from, .bytes = (uintptr_t)&to,
	};

	ASSERT_LE(0, session);
	EXPECT_EQ(1, raw_answer());
	args.writes = (uintptr_t)&write;
	args.nr_writes = 1;
	ASSERT_EQ(0, raw_transact(session, &args));
	EXPECT_EQ(2, raw_answer());
	EXPECT_EQ(1, args.out_threads);
	close(session);
}

TEST_F(interface, one_at_a_time)
{
	struct ulp_transact args = raw_transact_args();
	int other = raw_session_of(self->mem);

	if (!raw_is_debug()) {
		close(other);
		SKIP(return, "needs the debug build of the module");
	}
	ASSERT_LE(0, other);
	ASSERT_EQ(0, raw_debug(self->session, ULP_DEBUG_FREEZE, 0, 0, NULL));
	EXPECT_EQ(-EALREADY, raw_transact(other, &args));
	EXPECT_EQ(-EALREADY, raw_transact(self->session, &args));
	EXPECT_EQ(-EALREADY, raw_map(other, -1, 0x200000000000, RAW_PAGE, 0));
	EXPECT_EQ(-EALREADY, raw_debug(other, ULP_DEBUG_FREEZE, 0, 0, NULL));
	ASSERT_EQ(0, raw_debug(self->session, ULP_DEBUG_THAW, 0, 0, NULL));
	EXPECT_EQ(0, raw_transact(other, &args));
	close(other);
}

TEST_HARNESS_MAIN
