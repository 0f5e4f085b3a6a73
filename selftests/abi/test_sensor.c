// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sensor: whom it holds, what ends a hold, and what it refuses.
 *
 * module: release
 * timeout: 200
 */
#include <poll.h>
#include <stddef.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include "kselftest_harness.h"
#include "ulp_raw.h"
#include <ulp_sensor.h>

_Static_assert(sizeof(struct ulp_sensor_open) == 16, "ulp_sensor_open");
_Static_assert(sizeof(struct ulp_sensor_arm) == 24, "ulp_sensor_arm");
_Static_assert(sizeof(struct ulp_sensor_done) == 16, "ulp_sensor_done");
_Static_assert(sizeof(struct ulp_load) == 24, "ulp_load");
_Static_assert(ULP_SENSOR_OPEN == 0x4010e702, "ULP_SENSOR_OPEN");
_Static_assert(ULP_SENSOR_ARM == 0x4018e760, "ULP_SENSOR_ARM");
_Static_assert(ULP_SENSOR_DONE == 0x4010e762, "ULP_SENSOR_DONE");

#define LONG_NS		(600 * 1000000000ULL)	/* longer than anything here may take */

static int sensor_open(uint64_t timeout_ns)
{
	struct ulp_sensor_open args = { .size = sizeof(args), .timeout_ns = timeout_ns };
	int ret, fd = raw_device();

	if (fd < 0)
		return fd;
	ret = raw_ioctl(fd, ULP_SENSOR_OPEN, &args);
	close(fd);
	return ret;
}

static int sensor_arm(int sensor, int fd, uint64_t offset)
{
	struct ulp_sensor_arm args = { .size = sizeof(args), .fd = fd, .offset = offset };

	return raw_ioctl(sensor, ULP_SENSOR_ARM, &args);
}

static int sensor_done(int sensor, uint64_t ticket)
{
	struct ulp_sensor_done args = { .size = sizeof(args), .ticket = ticket };

	return raw_ioctl(sensor, ULP_SENSOR_DONE, &args);
}

/* The next of process @pid (0: any), within the limit; others are let go. */
static bool sensor_next(int sensor, pid_t pid, struct ulp_load *load)
{
	struct pollfd fd = { .fd = sensor, .events = POLLIN };

	while (poll(&fd, 1, RAW_LIMIT_NS / 1000000) == 1) {
		if (read(sensor, load, sizeof(*load)) != sizeof(*load))
			return false;
		if (!pid || load->pid == (uint32_t)pid)
			return true;
		if (load->place != ULP_PLACE_MISSED)
			sensor_done(sensor, load->ticket);
	}
	return false;
}

static pid_t start_program_of(uid_t user)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (user && setuid(user))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl("/bin/true", "true", NULL);
	_exit(127);
}

static pid_t start_program(void)
{
	return start_program_of(0);
}

static bool has_ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

/* This program's file, and where @fn is in it. */
static int own_file(const void *fn, uint64_t *offset)
{
	uint64_t start, end, at;
	char line[512], flags[8];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %7s %lx", &start, &end, flags, &at) == 4 &&
		    start <= (uintptr_t)fn && (uintptr_t)fn < end)
			*offset = (uintptr_t)fn - start + at;
	if (maps)
		fclose(maps);
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static void call_answer(struct raw_shared *shared)
{
	shared->ready = 1;
	RAW_WAIT(shared->command);
	shared->value = raw_answer();
	shared->ready = 2;
	pause();
}

/* A program that has just been started, held at its first instruction. */
FIXTURE(held) {
	int sensor;
	pid_t pid;
	struct ulp_load load;
};

FIXTURE_SETUP(held)
{
	self->sensor = sensor_open(LONG_NS);
	ASSERT_LE(0, self->sensor);
	self->pid = start_program();
	ASSERT_TRUE(sensor_next(self->sensor, self->pid, &self->load));
}

FIXTURE_TEARDOWN(held)
{
}

TEST_F(held, exec)
{
	int status;

	EXPECT_EQ(sizeof(self->load), self->load.size);
	EXPECT_EQ(ULP_PLACE_EXEC, self->load.place);
	EXPECT_EQ(self->pid, self->load.tid);
	EXPECT_FALSE(has_ended(self->pid, &status));
	EXPECT_EQ(0, sensor_done(self->sensor, self->load.ticket));
	EXPECT_TRUE(RAW_WAIT(has_ended(self->pid, &status)));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-ENOENT, sensor_done(self->sensor, self->load.ticket));
	close(self->sensor);
	/* and without it */
	self->pid = start_program();
	EXPECT_TRUE(RAW_WAIT(has_ended(self->pid, &status)));
	EXPECT_EQ(0, status);
}

TEST_F(held, killed)
{
	int status;

	kill(self->pid, SIGKILL);
	EXPECT_TRUE(RAW_WAIT(has_ended(self->pid, &status)));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(-ENOENT, sensor_done(self->sensor, self->load.ticket));
	close(self->sensor);
}

/* Others than fatal signals wait, and are not lost. */
TEST_F(held, stopped)
{
	int status;

	kill(self->pid, SIGSTOP);
	EXPECT_EQ(0, sensor_done(self->sensor, self->load.ticket));
	EXPECT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	EXPECT_TRUE(WIFSTOPPED(status));
	kill(self->pid, SIGCONT);
	EXPECT_TRUE(RAW_WAIT(has_ended(self->pid, &status)));
	EXPECT_EQ(0, status);
	close(self->sensor);
}

TEST_F(held, closed)
{
	int status;

	close(self->sensor);
	EXPECT_TRUE(RAW_WAIT(has_ended(self->pid, &status)));
	EXPECT_EQ(0, status);
}

/* Nobody answers: the first one is held for its time, the others not at all. */
TEST(overdue)
{
	int status, sensor = sensor_open(1000000);
	struct ulp_load load;
	pid_t pid;
	int i;

	ASSERT_LE(0, sensor);
	for (i = 0; i < 5; i++) {
		pid = start_program();
		EXPECT_TRUE(RAW_WAIT(has_ended(pid, &status)));
		EXPECT_EQ(0, status);
	}
	ASSERT_TRUE(sensor_next(sensor, 0, &load));
	EXPECT_EQ(ULP_PLACE_MISSED, load.place);
	EXPECT_LE(5, load.ticket);
	close(sensor);
	/* one that answers again is asked again */
	sensor = sensor_open(1000000);
	ASSERT_LE(0, sensor);
	pid = start_program();
	EXPECT_TRUE(RAW_WAIT(has_ended(pid, &status)));
	close(sensor);
	sensor = sensor_open(LONG_NS);
	ASSERT_LE(0, sensor);
	pid = start_program();
	EXPECT_TRUE(sensor_next(sensor, pid, &load));
	EXPECT_EQ(ULP_PLACE_EXEC, load.place);
	close(sensor);
	EXPECT_TRUE(RAW_WAIT(has_ended(pid, &status)));
}

/* Deaf after the first, and no longer once it is asked for anybody. */
TEST(reads_again)
{
	int i, status, sensor = sensor_open(1000000000);
	struct ulp_load load;
	bool held = false;
	pid_t pid;

	ASSERT_LE(0, sensor);
	pid = start_program();
	EXPECT_TRUE(RAW_WAIT(has_ended(pid, &status)));
	ASSERT_TRUE(sensor_next(sensor, 0, &load));
	EXPECT_EQ(ULP_PLACE_MISSED, load.place);
	pid = start_program();
	/* a second may go by before we are run, but not each time */
	for (i = 0; i < 10 && sensor_next(sensor, 0, &load); i++) {
		held = load.place == ULP_PLACE_EXEC;
		if (held)
			break;
		EXPECT_TRUE(RAW_WAIT(has_ended(pid, &status)));
		pid = start_program();
	}
	EXPECT_TRUE(held);
	close(sensor);
	EXPECT_TRUE(RAW_WAIT(has_ended(pid, &status)));
}

TEST(armed)
{
	struct raw_shared *shared = raw_shared_new();
	int fd, sensor, session, status;
	struct ulp_transact args = raw_transact_args();
	struct ulp_load load;
	uint64_t offset = 0;
	pid_t pid;

	ASSERT_NE(NULL, shared);
	sensor = sensor_open(LONG_NS);
	ASSERT_LE(0, sensor);
	fd = own_file(raw_answer, &offset);
	ASSERT_LE(0, fd);
	ASSERT_NE(0, offset);
	pid = raw_victim(call_answer, shared);
	ASSERT_TRUE(RAW_WAIT(shared->ready));
	ASSERT_EQ(0, sensor_arm(sensor, fd, offset));
	EXPECT_EQ(-EEXIST, sensor_arm(sensor, fd, offset));
	/* the process that has the sensor is not held */
	EXPECT_EQ(1, raw_answer());
	shared->command = 1;
	ASSERT_TRUE(sensor_next(sensor, pid, &load));
	EXPECT_EQ(ULP_PLACE_LINK, load.place);
	EXPECT_EQ(1, shared->ready);
	/* it can be patched where it is held; the other page has no breakpoint */
	session = raw_session(pid);
	ASSERT_LE(0, session);
	args.attempts = 20;
	EXPECT_EQ(0, raw_set_answer(session, raw_answer2, 1, 2, &args));
	close(session);
	EXPECT_EQ(0, sensor_done(sensor, load.ticket));
	EXPECT_TRUE(RAW_WAIT(shared->ready == 2));
	EXPECT_EQ(1, shared->value);
	raw_kill(pid);
	/* a program of an armed file is held there, not at its start */
	pid = start_program();
	ASSERT_TRUE(sensor_next(sensor, pid, &load));
	EXPECT_EQ(ULP_PLACE_EXEC, load.place);
	EXPECT_EQ(0, sensor_done(sensor, load.ticket));
	EXPECT_TRUE(RAW_WAIT(has_ended(pid, &status)));
	/* with the sensor it is gone */
	close(sensor);
	shared->ready = 0;
	shared->command = 1;
	pid = raw_victim(call_answer, shared);
	EXPECT_TRUE(RAW_WAIT(shared->ready == 2));
	raw_kill(pid);
	close(fd);
}

TEST(refused)
{
	struct ulp_sensor_open open_args = { .size = sizeof(open_args), .flags = 1 };
	struct ulp_sensor_arm arm = { .size = sizeof(arm), .flags = 1 };
	struct ulp_sensor_done done = { .size = sizeof(done), .flags = 1 };
	struct ulp_query query = { .size = sizeof(query) };
	int fd, sensor, device = raw_device();
	uint64_t offset = 0;
	char byte;

	ASSERT_LE(0, device);
	EXPECT_EQ(-EINVAL, raw_ioctl(device, ULP_SENSOR_OPEN, &open_args));
	EXPECT_EQ(-EINVAL, sensor_open(LONG_NS + 1));
	EXPECT_EQ(-ENOTTY, raw_ioctl(device, ULP_SENSOR_DONE, &done));
	sensor = sensor_open(0);
	ASSERT_LE(0, sensor);
	EXPECT_EQ(-EBUSY, sensor_open(0));
	EXPECT_EQ(-EINVAL, raw_ioctl(sensor, ULP_SENSOR_ARM, &arm));
	EXPECT_EQ(-EINVAL, raw_ioctl(sensor, ULP_SENSOR_DONE, &done));
	EXPECT_EQ(-ENOTTY, raw_ioctl(sensor, ULP_QUERY, &query));
	EXPECT_EQ(-EBADF, sensor_arm(sensor, -1, 0));
	EXPECT_EQ(-EINVAL, sensor_arm(sensor, device, 0));
	fd = open("/", O_RDONLY);
	EXPECT_EQ(-EINVAL, sensor_arm(sensor, fd, 0));
	close(fd);
	fd = open("/tmp", O_TMPFILE | O_WRONLY, 0600);
	if (fd >= 0)
		EXPECT_EQ(-EBADF, sensor_arm(sensor, fd, 0));
	close(fd);
	fd = own_file(raw_answer, &offset);
	EXPECT_EQ(-EINVAL, sensor_arm(sensor, fd, 1ULL << 40));
	EXPECT_EQ(-EINVAL, sensor_arm(sensor, fd, ~0ULL));
	close(fd);
	EXPECT_EQ(-1, read(sensor, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	close(sensor);
	close(device);
}

/* Without the right, also not with a descriptor that somebody passed on. */
TEST(privilege)
{
	struct __user_cap_header_struct {
		uint32_t version;
		int pid;
	} header = { 0x20080522, 0 };
	uint32_t none[6] = { 0 };
	struct ulp_sensor_open args = { .size = sizeof(args) };
	int status, sensor = sensor_open(0), device = raw_device();
	struct ulp_load load;
	pid_t pid;

	ASSERT_LE(0, sensor);
	ASSERT_LE(0, device);
	pid = fork();
	if (!pid) {
		if (syscall(SYS_capset, &header, none))
			_exit(1);
		if (raw_ioctl(device, ULP_SENSOR_OPEN, &args) != -EPERM)
			_exit(2);
		if (sensor_done(sensor, 0) != -EPERM)
			_exit(3);
		if (read(sensor, &load, sizeof(load)) >= 0 || errno != EPERM)
			_exit(4);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(sensor);
	close(device);
}

/* Whether it sleeps in a function of the module. */
static bool is_held(pid_t pid)
{
	char path[64], name[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	file = fopen(path, "r");
	if (file && !fgets(name, sizeof(name), file))
		*name = '\0';
	if (file)
		fclose(file);
	return !strncmp(name, "ulp_", 4);
}

/* One user's many programs do not make another's wait for them. */
TEST(users)
{
	int status, i, sensor = sensor_open(LONG_NS);
	struct ulp_load load;
	struct pollfd fd = { .fd = sensor, .events = POLLIN };
	pid_t pids[6];

	ASSERT_LE(0, sensor);
	for (i = 0; i < 6; i++) {
		pids[i] = start_program_of(i < 4 ? 1000 : i < 5 ? 1001 : 0);
		ASSERT_TRUE(RAW_WAIT(is_held(pids[i])));
	}
	ASSERT_EQ(1, poll(&fd, 1, 0));
	for (i = 0; i < 6; i++) {
		static const int order[] = { 0, 4, 5, 1, 2, 3 };

		ASSERT_EQ(sizeof(load), read(sensor, &load, sizeof(load)));
		EXPECT_EQ(pids[order[i]], load.pid);
	}
	close(sensor);
	for (i = 0; i < 6; i++) {
		EXPECT_TRUE(RAW_WAIT(has_ended(pids[i], &status)));
		EXPECT_EQ(0, status);
	}
}

/* A copy of this program's file, that nobody has mapped. */
static int copy_of(int from)
{
	int fd = memfd_create("copy", MFD_CLOEXEC);
	struct stat st;
	off_t at = 0;

	if (fd < 0 || fstat(from, &st) || sendfile(fd, from, &at, st.st_size) != st.st_size)
		return -1;
	return fd;
}

/* Armed files that nobody has mapped any more make room; others stay. */
TEST(room)
{
	int fd, kept, first, i, err = 0, sensor = sensor_open(LONG_NS);
	uint64_t offset = 0;
	void *map;

	ASSERT_LE(0, sensor);
	fd = own_file(raw_answer, &offset);
	ASSERT_LE(0, fd);
	first = copy_of(fd);
	kept = copy_of(fd);
	ASSERT_LE(0, first);
	ASSERT_LE(0, kept);
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, kept, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, sensor_arm(sensor, first, offset));
	ASSERT_EQ(0, sensor_arm(sensor, kept, offset));
	for (i = 0; i < 1023 && !err; i++) {
		int copy = copy_of(fd);

		ASSERT_LE(0, copy);
		err = sensor_arm(sensor, copy, offset);
		close(copy);
	}
	EXPECT_EQ(0, err);
	EXPECT_EQ(-EEXIST, sensor_arm(sensor, kept, offset));
	EXPECT_EQ(0, sensor_arm(sensor, first, offset));
	munmap(map, 4096);
	close(kept);
	close(first);
	close(fd);
	close(sensor);
}

/* Many at once, each is told once. */
TEST(many)
{
	int status, i, k, sensor = sensor_open(LONG_NS);
	struct ulp_load loads[4];
	pid_t pids[40];
	int told = 0;

	ASSERT_LE(0, sensor);
	for (i = 0; i < 40; i++)
		pids[i] = start_program();
	while (told < 40) {
		ssize_t n = read(sensor, loads, sizeof(loads));

		ASSERT_LT(0, n);
		ASSERT_EQ(0, n % sizeof(*loads));
		for (k = 0; k < n / (ssize_t)sizeof(*loads); k++) {
			ASSERT_EQ(ULP_PLACE_EXEC, loads[k].place);
			for (i = 0; i < 40; i++)
				told += (uint32_t)pids[i] == loads[k].pid;
			EXPECT_EQ(0, sensor_done(sensor, loads[k].ticket));
		}
	}
	for (i = 0; i < 40; i++) {
		EXPECT_TRUE(RAW_WAIT(has_ended(pids[i], &status)));
		EXPECT_EQ(0, status);
	}
	close(sensor);
}

TEST_HARNESS_MAIN
