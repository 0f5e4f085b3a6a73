// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The check of all tasks that share the memory, and of no more than needed.
 *
 * module: debug
 * timeout: 300
 */
#include <sched.h>
#include <stddef.h>
#include "check.h"

/* ---- processes that share the memory ---- */

static int process(void *arg)
{
	raw_call(reads_for_ever, arg);
	return 0;
}

static void clones_process(struct raw_shared *shared)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	if (clone(process, stack + 65536, CLONE_VM | SIGCHLD, shared) < 0)
		_exit(1);
	pause();
}

TEST_F(check, clone_vm)
{
	struct ulp_transact args = raw_transact_args();

	START(clones_process, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->shared->tid, self->shared->tid)));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(self->shared->tid, args.out_tid);
	EXPECT_NE(self->pid, args.out_tid);
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(2, args.out_threads);
	kill(self->shared->tid, SIGKILL);
}

/*
 * void raw_vfork(struct raw_shared *shared): as libc's, with the return address
 * in a register only: the child overwrites the word on the stack and sleeps.
 */
extern void raw_vfork(struct raw_shared *shared, void (*child)(struct raw_shared *));
extern char raw_vfork_end[];

__asm__(".pushsection .text\n"
	".balign 64\n"
	".globl raw_vfork, raw_vfork_end\n"
	".type raw_vfork,@function\n"
	"raw_vfork: sub $8, %rsp\n"
	"  mov %rdi, %r12\n  mov %rsi, %r13\n"
	"  call raw_vfork_call\n"
	"  add $8, %rsp\n  ret\n"
	"raw_vfork_end:\n"
	".balign 64\n"
	"raw_vfork_call: pop %rdi\n"
	"  mov $58, %eax\n  syscall\n"
	"  test %eax, %eax\n  jz 1f\n"
	"  push %rdi\n  ret\n"
	"1: sub $65536, %rsp\n  and $-16, %rsp\n"	/* its own part of the stack */
	"  mov %r12, %rdi\n  xor %eax, %eax\n  mov %rax, %rbx\n"
	"  call *%r13\n  ud2\n"
	".popsection\n");

static void vfork_child(struct raw_shared *shared)
{
	reads_for_ever(shared);
}

static void vforks(struct raw_shared *shared)
{
	raw_vfork(shared, vfork_child);
}

TEST_F(check, vfork)
{
	struct ulp_transact args = raw_transact_args();

	START(vforks, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->shared->tid, self->shared->tid)));
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_vfork, raw_vfork_end)) {
		TH_LOG("threads %u", args.out_threads);
	}
	EXPECT_EQ(ULP_REASON_REGISTER, args.out_reason);
	EXPECT_EQ(self->pid, args.out_tid);
	EXPECT_EQ(offsetof(struct ulp_regs, di), args.out_slot);
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(2, args.out_threads);
	kill(self->shared->tid, SIGKILL);
}

/* A leader that is gone, while its threads live. */
static void *waits(void *arg)
{
	struct raw_shared *shared = arg;

	raw_call(reads_for_ever, shared);
	return NULL;
}

static void leader_exits(struct raw_shared *shared)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, waits, shared))
		_exit(1);
	syscall(SYS_exit, 0);
}

TEST_F(check, zombie_leader)
{
	struct ulp_transact args = raw_transact_args();
	char path[64];
	int mem;

	self->pid = raw_victim(leader_exits, self->shared);
	ASSERT_TRUE(RAW_WAIT(self->shared->ready));
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->shared->tid)));
	ASSERT_TRUE(RAW_WAIT(({
		int fd = raw_open_mem(self->pid, O_RDWR);
		int ret = fd < 0 ? fd : raw_session_of(fd);

		close(fd);
		close(ret);
		ret < 0;
	})));
	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", self->pid, self->shared->tid);
	mem = open(path, O_RDWR);
	ASSERT_LE(0, mem);
	self->session = raw_session_of(mem);
	close(mem);
	ASSERT_LE(0, self->session);
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(self->shared->tid, args.out_tid);
	EXPECT_EQ(0, raw_set_answer(self->session, raw_answer, 1, 2, &args));
	EXPECT_EQ(1, args.out_threads);
}

/* ---- stamps ---- */

static void *sleeps(void *arg)
{
	struct raw_shared *shared = arg;

	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	pause();
	return NULL;
}

static void many_sleep(struct raw_shared *shared)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 20; i++)
		if (pthread_create(&thread, NULL, sleeps, shared))
			_exit(1);
	sleeps(shared);
}

static void very_many_sleep(struct raw_shared *shared)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 179; i++)
		if (pthread_create(&thread, NULL, sleeps, shared))
			_exit(1);
	many_sleep(shared);
}

/* The clock counts also where many small stacks are read. */
TEST_F(check, limit_in_the_check)
{
	struct ulp_transact args = raw_transact_args();

	if (variant->backend == ULP_BACKEND_GATE || !variant->flags)
		SKIP(return, "the freeze takes time of its own, or nothing is read");
	START(very_many_sleep, 200);
	args.max_freeze_ns = 1;
	EXPECT_EQ(-ETIME, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(ULP_REASON_FREEZE_LIMIT, args.out_reason);
	EXPECT_LT(0, args.out_threads);
	EXPECT_GT(100, args.out_threads);
	args.max_freeze_ns = 2000000000;
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(200, args.out_threads);
}

TEST_F(check, sleepers_are_not_read_twice)
{
	struct ulp_transact args = raw_transact_args();

	START(many_sleep, 21);
	ASSERT_TRUE(RAW_WAIT(raw_asleep(self->pid) == 21));
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(21, args.out_threads);
	EXPECT_EQ(21, args.out_asleep);
	EXPECT_EQ(0, args.out_parked);
	EXPECT_EQ(variant->flags & ULP_TRANSACT_NO_STAMPS ? 21 : 0, args.out_rescanned);
}

/*
 * One of many that sleeps inside is refused without a freeze: the others are
 * not held for it.
 */
static void one_of_many(struct raw_shared *shared)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 20; i++)
		if (pthread_create(&thread, NULL, sleeps, shared))
			_exit(1);
	while (shared->ready != 20)
		usleep(500);
	raw_call((long (*)(void *))(void *)sleeps, shared);
}

TEST_F(check, refusal_holds_nobody)
{
	struct ulp_transact args = raw_transact_args();

	START(one_of_many, 21);
	ASSERT_TRUE(RAW_WAIT(raw_asleep(self->pid) == 21));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(self->pid, args.out_tid);
	if (!(variant->flags & ULP_TRANSACT_NO_STAMPS))
		EXPECT_EQ(0, args.out_max_freeze_ns);
}

TEST_HARNESS_MAIN
