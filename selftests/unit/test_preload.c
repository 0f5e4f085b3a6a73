// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The block of the preload library as libulp reads it, made by a process that lies: this
 * program has the note, and a block of its own in which each field can be anything.
 */
#include <kselftest_harness.h>
#include <sched.h>
#include <sys/mman.h>

#include "../../preload/rules.h"
#include "peer.h"

#define NR_MESSAGES	8
#define NR_IMAGES	4

struct area {
	struct ulp_preload head;
	struct ulp_preload_message messages[NR_MESSAGES];
	uint64_t images[NR_IMAGES];
	char behind[];
} __attribute__((aligned(4096)));	/* no other variable in its page */

#define AREA_SIZE	offsetof(struct area, behind)

__attribute__((used)) struct area preload_area = { .head.magic = 1 };

asm(".pushsection .note.ulp, \"a\", @note\n\t"
    ".balign 4\n\t"
    ".long 4, 8, 0x504c5501\n\t"
    ".asciz \"ulp\"\n"
    "1:\t.quad preload_area - 1b\n\t"
    ".popsection");

FIXTURE(preload) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	pid_t child;
};

static void fill(void)
{
	memset(&preload_area, 0, AREA_SIZE);
	preload_area.head = (struct ulp_preload){
		.magic = ULP_PRELOAD_MAGIC,
		.version = ULP_PRELOAD_VERSION,
		.size = AREA_SIZE,
		.state = ULP_PRELOAD_PATCHABLE,
		.messages = offsetof(struct area, messages),
		.room_messages = NR_MESSAGES,
		.message_size = sizeof(struct ulp_preload_message),
		.images = offsetof(struct area, images),
		.room_images = NR_IMAGES,
	};
}

FIXTURE_SETUP(preload)
{
	_Static_assert(ULP_PRELOAD_NOTE_TYPE == 0x504c5501, "as in the note");
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	fill();
}

static void end_child(FIXTURE_DATA(preload) * self)
{
	ulp_target_close(self->target);
	self->target = NULL;
	if (self->child <= 0)
		return;
	kill(self->child, SIGKILL);
	waitpid(self->child, NULL, 0);
	self->child = 0;
}

FIXTURE_TEARDOWN(preload)
{
	end_child(self);
	ulp_context_free(self->ctx);
}

/* A copy of this process as it is now, and what libulp sees of it. */
static int look(FIXTURE_DATA(preload) * self)
{
	end_child(self);
	self->child = peer_copy();
	return ulp_target_open(self->ctx, self->child, &self->target);
}

static int info(FIXTURE_DATA(preload) * self, struct ulp_preload_info *out)
{
	int err = look(self);

	out->sz = sizeof(*out);
	return err ? err : ulp_target_preload(self->target, out);
}

static void say(uint64_t number, uint32_t kind, const char *text)
{
	struct ulp_preload_message *message =
		&preload_area.messages[(number - 1) % NR_MESSAGES];

	message->number = number;
	message->time = 1000 * number;
	message->kind = kind;
	message->length = strlen(text);
	memcpy(message->text, text, strlen(text));
	if (number > preload_area.head.next)
		preload_area.head.next = number;
}

/* What the library of one release and the tools of another agree on. */
TEST(layout)
{
	EXPECT_EQ(8, sizeof(struct ulp_preload_note));
	EXPECT_EQ(256, sizeof(struct ulp_preload_message));
	EXPECT_EQ(24, offsetof(struct ulp_preload_message, text));
	EXPECT_EQ(56, sizeof(struct ulp_preload));
	EXPECT_EQ(16, offsetof(struct ulp_preload, state));
	EXPECT_EQ(24, offsetof(struct ulp_preload, messages));
	EXPECT_EQ(36, offsetof(struct ulp_preload, images));
	EXPECT_EQ(48, offsetof(struct ulp_preload, next));
}

TEST_F(preload, state)
{
	struct ulp_preload_info out;

	ASSERT_EQ(0, info(self, &out));
	EXPECT_EQ(1, out.version);
	EXPECT_TRUE(out.patchable);
	EXPECT_STREQ("", out.cause);
	preload_area.head.state = ULP_PRELOAD_OPTED_OUT;
	preload_area.head.cause = ULP_PRELOAD_CAUSE_GROUP;
	ASSERT_EQ(0, info(self, &out));
	EXPECT_FALSE(out.patchable);
	EXPECT_STREQ("group", out.cause);
	preload_area.head.cause = 4711;
	preload_area.head.state = 4711;
	ASSERT_EQ(0, info(self, &out));
	EXPECT_TRUE(out.patchable);
	EXPECT_STREQ("", out.cause);
}

/* A caller compiled when struct ulp_preload_info was shorter. */
TEST_F(preload, short_info)
{
	struct ulp_preload_info out;

	ASSERT_EQ(0, look(self));
	memset(&out, 0x55, sizeof(out));
	out.sz = offsetof(struct ulp_preload_info, cause);
	ASSERT_EQ(0, ulp_target_preload(self->target, &out));
	EXPECT_EQ(1, out.version);
	EXPECT_EQ(0x5555555555555555, (uintptr_t)out.cause);
}

#define NOT_THERE() do { \
	struct ulp_preload_info __out; \
	EXPECT_EQ(-ULP_E_NO_PRELOAD, info(self, &__out)); \
	fill(); \
} while (0)

TEST_F(preload, damaged)
{
	struct ulp_preload_info out;

	preload_area.head.magic = 0;
	NOT_THERE();
	preload_area.head.version = 2;
	NOT_THERE();
	preload_area.head.size = sizeof(struct ulp_preload) - 1;
	NOT_THERE();
	preload_area.head.size = ULP_PRELOAD_MAX + 1;
	NOT_THERE();
	/* ends behind the program */
	preload_area.head.size = ULP_PRELOAD_MAX;
	NOT_THERE();
	preload_area.head.messages = 8;
	NOT_THERE();
	preload_area.head.messages += 4;
	NOT_THERE();
	preload_area.head.messages = UINT32_MAX - 7;
	NOT_THERE();
	preload_area.head.room_messages = UINT32_MAX;
	NOT_THERE();
	preload_area.head.room_messages = NR_MESSAGES + 1;
	NOT_THERE();
	preload_area.head.message_size = sizeof(struct ulp_preload_message) - 8;
	NOT_THERE();
	preload_area.head.message_size = UINT32_MAX;
	preload_area.head.room_messages = 0;
	NOT_THERE();
	preload_area.head.images = AREA_SIZE;
	NOT_THERE();
	preload_area.head.room_images = UINT32_MAX;
	NOT_THERE();
	preload_area.head.nr_images = NR_IMAGES + 1;
	NOT_THERE();
	EXPECT_EQ(0, info(self, &out));
}

/* Only memory that is the process's own and writable is written to. */
TEST_F(preload, protected)
{
	const size_t size = sizeof(preload_area);
	struct ulp_preload_info out;
	void *copy;

	ASSERT_EQ(0, mprotect(&preload_area, size, PROT_READ));
	EXPECT_EQ(-ULP_E_NO_PRELOAD, info(self, &out));
	ASSERT_EQ(0, mprotect(&preload_area, size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, info(self, &out));
	copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, copy);
	memcpy(copy, &preload_area, sizeof(preload_area));
	ASSERT_EQ(&preload_area, mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
					&preload_area));
	EXPECT_EQ(-ULP_E_NO_PRELOAD, info(self, &out));
}

#define MESSAGES(wanted, wanted_lost) do { \
	ASSERT_EQ(0, look(self)); \
	ASSERT_EQ(wanted, ulp_target_messages(self->target, &messages, &lost)); \
	EXPECT_EQ(wanted_lost, lost); \
} while (0)

TEST_F(preload, messages)
{
	const struct ulp_message *messages;
	char longest[ULP_PRELOAD_TEXT + 1];
	uint64_t lost;

	MESSAGES(0, 0);
	memset(longest, 'x', ULP_PRELOAD_TEXT);
	longest[ULP_PRELOAD_TEXT] = '\0';
	say(1, ULP_PRELOAD_CLOSE, longest);
	say(2, 4711, "");
	MESSAGES(2, 0);
	EXPECT_STREQ("close", messages[0].kind);
	EXPECT_STREQ(longest, messages[0].text);
	EXPECT_EQ(1000, messages[0].time_ns);
	EXPECT_STREQ("unknown", messages[1].kind);
	EXPECT_STREQ("", messages[1].text);
	/* once around, and half */
	for (int i = 3; i <= NR_MESSAGES + 4; i++)
		say(i, ULP_PRELOAD_PROBLEM, "later");
	MESSAGES(NR_MESSAGES, 4);
	for (int i = 0; i < NR_MESSAGES; i++)
		EXPECT_EQ(5 + i, messages[i].number);
	EXPECT_STREQ("problem", messages[0].kind);
}

TEST_F(preload, messages_damaged)
{
	const struct ulp_message *messages;
	uint64_t lost;

	for (int i = 1; i <= 5; i++)
		say(i, ULP_PRELOAD_KEEP, "text");
	preload_area.messages[0].number = 0;		/* is being written */
	preload_area.messages[1].number = 3;		/* not its place */
	preload_area.messages[2].number = 3 + NR_MESSAGES;	/* not yet */
	preload_area.messages[3].length = ULP_PRELOAD_TEXT + 1;
	preload_area.messages[4].text[2] = '\0';
	MESSAGES(1, 4);
	EXPECT_EQ(5, messages[0].number);
	EXPECT_STREQ("te", messages[0].text);
	preload_area.head.next = UINT64_MAX;
	MESSAGES(2, UINT64_MAX - 2);
	preload_area.head.room_messages = 0;
	MESSAGES(0, UINT64_MAX);
}

/* Opens a child that executes: what an exec closes is closed before the environment is there. */
static int open_executed(FIXTURE_DATA(preload) * self)
{
	char path[64], byte;
	bool has = false;
	int i, fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)self->child);
	for (i = 0; !has && i < 10000; i++) {
		if (i)
			usleep(1000);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		has = fd >= 0 && read(fd, &byte, 1) == 1;
		close(fd);
	}
	return ulp_target_open(self->ctx, self->child, &self->target);
}

/* A program with this in its environment, and nothing of the library. */
static enum ulp_preload_cause early(FIXTURE_DATA(preload) * self, const char *variable)
{
	char *const argv[] = { "sleep", "1000", NULL };
	char *const environment[] = { "FIRST=1", (char *)variable, NULL };
	int ready[2];
	char byte;

	end_child(self);
	if (pipe2(ready, O_CLOEXEC))
		return -1;
	self->child = fork();
	if (!self->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execve("/bin/sleep", argv, environment);
		_exit(99);
	}
	/* closed by the exec */
	close(ready[1]);
	if (read(ready[0], &byte, 1))
		return -1;
	close(ready[0]);
	if (open_executed(self))
		return -1;
	return ulp_opt_out_early(self->target);
}

/* What a process will decide, by its environment, asked from outside. */
TEST_F(preload, early)
{
	char text[256];

	EXPECT_EQ(ULP_PRELOAD_CAUSE_NONE, early(self, "PATH=*"));
	EXPECT_EQ(ULP_PRELOAD_CAUSE_NONE, early(self, "LIBULP_DISABLE_ON_PATH="));
	EXPECT_EQ(ULP_PRELOAD_CAUSE_NONE, early(self, "LIBULP_DISABLE_ON_PATH=/x:sleep"));
	EXPECT_EQ(ULP_PRELOAD_CAUSE_PATH, early(self, "LIBULP_DISABLE_ON_PATH=/x:*/sl?ep:/y"));
	EXPECT_EQ(ULP_PRELOAD_CAUSE_PATH, early(self, "LIBPULP_DISABLE_ON_PATH=*/@(x|sleep)"));
	snprintf(text, sizeof(text), "LIBULP_DISABLE_ON_USERS=%u", getuid() + 1);
	EXPECT_EQ(ULP_PRELOAD_CAUSE_NONE, early(self, text));
	snprintf(text, sizeof(text), "LIBULP_DISABLE_ON_USERS=x:%u", getuid());
	EXPECT_EQ(ULP_PRELOAD_CAUSE_USER, early(self, text));
	snprintf(text, sizeof(text), "LIBPULP_DISABLE_ON_GROUPS=%u:x", getgid());
	EXPECT_EQ(ULP_PRELOAD_CAUSE_GROUP, early(self, text));
	if (!getuid())
		EXPECT_EQ(ULP_PRELOAD_CAUSE_USER, early(self, "LIBULP_DISABLE_ON_USERS=r[o]ot"));
}

/* The same of a program in a root of its own; -1 if that cannot be had. */
static enum ulp_preload_cause early_in(FIXTURE_DATA(preload) * self, const char *root,
				       const char *variable)
{
	char *const argv[] = { "peer", NULL };
	char *const environment[] = { (char *)variable, NULL };
	const char *program = beside("peer_static");
	int ready[2], input[2];
	char byte;

	end_child(self);
	if (pipe2(ready, O_CLOEXEC) || pipe2(input, O_CLOEXEC))
		return -1;
	self->child = fork();
	if (!self->child) {
		int fd = open(program, O_PATH | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(input[0], 0);
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 1);
		if ((geteuid() && unshare(CLONE_NEWUSER)) || chroot(root) || chdir("/") ||
		    write(ready[1], "", 1) != 1)
			_exit(99);
		fexecve(fd, argv, environment);
		_exit(99);
	}
	close(ready[1]);
	close(input[0]);
	/* a byte: it is in its root; then the end: it executes */
	if (read(ready[0], &byte, 1) != 1 || read(ready[0], &byte, 1))
		return -1;
	close(ready[0]);
	if (open_executed(self))
		return -1;
	return ulp_opt_out_early(self->target);
}

/* What a link in its root leads to is looked for in its root, not in ours. */
TEST_F(preload, early_in_a_root_of_its_own)
{
	char root[] = "/tmp/ulp-XXXXXX", path[64], outside[64];
	enum ulp_preload_cause cause;
	FILE *file;

	ASSERT_NE(NULL, mkdtemp(root));
	snprintf(path, sizeof(path), "%s/etc", root);
	ASSERT_EQ(0, mkdir(path, 0755));
	ASSERT_EQ(0, chmod(root, 0755));
	snprintf(outside, sizeof(outside), "%s/outside", root);
	snprintf(path, sizeof(path), "%s/etc/passwd", root);
	file = fopen(outside, "w");
	ASSERT_NE(NULL, file);
	fprintf(file, "inmate:x:%u:%u::/:/\n", getuid(), getgid());
	fclose(file);
	ASSERT_EQ(0, symlink("/outside", path));
	cause = early_in(self, root, "LIBULP_DISABLE_ON_USERS=inm?te");
	unlink(path);
	EXPECT_EQ(0, symlink(outside, path));
	if (cause != (enum ulp_preload_cause)-1) {
		EXPECT_EQ(ULP_PRELOAD_CAUSE_USER, cause);
		EXPECT_EQ(ULP_PRELOAD_CAUSE_NONE,
			  early_in(self, root, "LIBULP_DISABLE_ON_USERS=inm?te"));
	}
	unlink(path);
	unlink(outside);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(root);
	if (cause == (enum ulp_preload_cause)-1)
		SKIP(return, "no root of its own for a process here");
}

/* The files are whatever the process has in their place. */
TEST(users_of_strangers)
{
	char directory[] = "/tmp/ulp-XXXXXX", path[64], name[64];

	ASSERT_TRUE(mkdtemp(directory) != NULL);
	snprintf(path, sizeof(path), "%s/passwd", directory);
	ASSERT_EQ(0, mkfifo(path, 0600));
	alarm(20);
	rules_name(path, 0, name, sizeof(name));
	EXPECT_STREQ("", name);
	rules_name("/dev/zero", 0, name, sizeof(name));
	EXPECT_STREQ("", name);
	alarm(0);
	unlink(path);
	rmdir(directory);
}

TEST_HARNESS_MAIN
