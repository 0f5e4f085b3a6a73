// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The check of stacks that are not simply there: in several mappings, with
 * absent pages that somebody else has to provide, or that were swapped out;
 * stacks of 32-bit code.
 *
 * module: debug
 * timeout: 120
 */
#include <linux/userfaultfd.h>
#include "check.h"

/* void raw_sleep_on(uint64_t sp): sleeps for ever with that sp */
extern void raw_sleep_on(uint64_t sp);
/* void raw_32(counter, sp, code): counts in 32-bit code with that sp; all below 4G */
extern void raw_32(uint64_t counter, uint64_t sp, uint64_t code);

__asm__(".pushsection .text\n"
	".globl raw_sleep_on, raw_32\n"
	".type raw_sleep_on,@function\n"
	"raw_sleep_on: mov %rdi, %rsp\n"
	"1: mov $34, %eax\n  syscall\n  jmp 1b\n"
	".type raw_32,@function\n"
	"raw_32: mov $0x2b, %eax\n  mov %eax, %ds\n  mov %eax, %es\n"
	"  mov %rdi, %rcx\n  mov %rsi, %rsp\n"
	"  mov %edx, -8(%rsp)\n  movl $0x23, -4(%rsp)\n"
	"  ljmpl *-8(%rsp)\n"	/* not lret: emulated, it reads as the kernel (SMAP) */
	".popsection\n");

#define STACK_PAGES	8

static void *new_stack(int flags)
{
	void *p = mmap(NULL, STACK_PAGES * RAW_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* ---- where a stack ends ---- */

/* How the last page of a stack becomes a mapping of its own, or no stack any more. */
enum split {
	SPLIT_LOCKED, SPLIT_DONTFORK, SPLIT_READONLY, SPLIT_FILE, SPLIT_OTHER_FILE, SPLIT_TWICE,
	ENDS_GUARDED, ENDS_OWN_DATA
};

static void *sleeps_on_stack(void *arg)
{
	struct raw_shared *shared = arg;

	shared->tid = raw_gettid();
	shared->ready = 1;
	raw_sleep_on(shared->value);
	return NULL;
}

static int new_memfd(void)
{
	int fd = memfd_create("stack", MFD_CLOEXEC);

	return ftruncate(fd, STACK_PAGES * RAW_PAGE) ? -1 : fd;
}

static bool split(char *stack, enum split how)
{
	char *last = stack + (STACK_PAGES - 1) * RAW_PAGE;
	const int rw = PROT_READ | PROT_WRITE;

	switch (how) {
	case SPLIT_DONTFORK:
		return !madvise(stack, 2 * RAW_PAGE, MADV_DONTFORK);
	case SPLIT_READONLY:
		return !mprotect(last, RAW_PAGE, PROT_READ);
	case SPLIT_TWICE:
		return !mlock(last, RAW_PAGE) && !mprotect(last - RAW_PAGE, RAW_PAGE, PROT_READ);
	case ENDS_GUARDED:
		return !mprotect(last - RAW_PAGE, RAW_PAGE, PROT_NONE);
	case SPLIT_OTHER_FILE:
		return mmap(last, RAW_PAGE, rw, MAP_PRIVATE | MAP_FIXED, new_memfd(), 0) == last;
	default:
		return !mlock(last, RAW_PAGE);
	}
}

/* A return address into raw_call() in the last page; shared->command is the kind. */
static void has_split_stack(struct raw_shared *shared)
{
	enum split how = shared->command;
	char *stack = how != SPLIT_FILE ? new_stack(0) :
		      mmap(NULL, STACK_PAGES * RAW_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   new_memfd(), 0);
	uint64_t word = (uintptr_t)raw_call + 1;
	pthread_attr_t attr;
	pthread_t thread;

	if (how == SPLIT_OTHER_FILE && !split(stack, how))
		_exit(1);
	*(uint64_t *)(stack + STACK_PAGES * RAW_PAGE - 64) = word;
	if (how != SPLIT_OTHER_FILE && !split(stack, how))
		_exit(1);
	pthread_attr_init(&attr);
	/* its own data are at the end of what it is given */
	if (how == ENDS_OWN_DATA &&
	    pthread_attr_setstack(&attr, stack, (STACK_PAGES - 1) * RAW_PAGE))
		_exit(1);
	shared->value = (uintptr_t)stack + RAW_PAGE / 2;
	if (pthread_create(&thread, &attr, sleeps_on_stack, shared))
		_exit(1);
	pause();
}

#define START_SPLIT(how) do {							\
	self->shared->command = how;						\
	START(has_split_stack, 1);						\
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->shared->tid)));		\
} while (0)

/*
 * A thread whose own data are elsewhere: nothing shows where its stack ends but
 * what lies behind it.
 */
#define TEST_SPLIT(name, how)							\
TEST_F(check, name)								\
{										\
	struct ulp_transact args = raw_transact_args();				\
										\
	START_SPLIT(how);							\
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));		\
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);				\
	EXPECT_EQ(self->shared->tid, args.out_tid);				\
	EXPECT_EQ((self->shared->value & -RAW_PAGE) + STACK_PAGES * RAW_PAGE - 64,	\
		  args.out_slot);						\
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));			\
}

TEST_SPLIT(split_locked, SPLIT_LOCKED)
TEST_SPLIT(split_dontfork, SPLIT_DONTFORK)
TEST_SPLIT(split_readonly, SPLIT_READONLY)
TEST_SPLIT(split_file, SPLIT_FILE)
TEST_SPLIT(split_other_file, SPLIT_OTHER_FILE)
TEST_SPLIT(split_twice, SPLIT_TWICE)

/* What is behind the end is not looked at. */
#define TEST_ENDS(name, how)							\
TEST_F(check, name)								\
{										\
	struct ulp_transact args = raw_transact_args();				\
										\
	START_SPLIT(how);							\
	EXPECT_EQ(0, CHECK(&args, raw_call, raw_call_end)) {			\
		TH_LOG("reason %u", args.out_reason);				\
	}									\
}

TEST_ENDS(ends_at_guard, ENDS_GUARDED)
TEST_ENDS(ends_behind_own_data, ENDS_OWN_DATA)

/* ---- userfaultfd: whoever has to provide the page may be the target ---- */

/* The pages above the first are missing until command is 1. */
static void has_missing_pages(struct raw_shared *shared)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_zeropage zero = { };
	char *stack = new_stack(0);
	pthread_t thread;

	reg.range.start = (uintptr_t)stack;
	reg.range.len = STACK_PAGES * RAW_PAGE;
	zero.range.start = reg.range.start + RAW_PAGE;
	zero.range.len = reg.range.len - RAW_PAGE;
	shared->value = (uintptr_t)stack + RAW_PAGE / 2;
	stack[0] = 1;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    pthread_create(&thread, NULL, sleeps_on_stack, shared))
		_exit(1);
	while (shared->command != 1)
		usleep(500);
	if (ioctl(fd, UFFDIO_ZEROPAGE, &zero))
		_exit(1);
	shared->command = 2;
	pause();
}

/* It is waited for, but not for ever, and not with the target frozen. */
TEST_F(check, userfaultfd)
{
	struct ulp_transact args = raw_transact_args();

	START(has_missing_pages, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->shared->tid)));
	args.attempts = 2;
	EXPECT_EQ(-EAGAIN, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(ULP_REASON_FAULT, args.out_reason);
	EXPECT_EQ(self->shared->tid, args.out_tid);
	EXPECT_EQ((self->shared->value & -RAW_PAGE) + RAW_PAGE, args.out_slot);
	EXPECT_EQ(2, args.out_attempts);
	self->shared->command = 1;
	ASSERT_TRUE(RAW_WAIT(self->shared->command == 2));
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end)) {
		TH_LOG("reason %u", args.out_reason);
	}
	EXPECT_EQ(1, args.out_attempts);
}

/* ---- swap ---- */

static bool swap_is_on(void)
{
	return !system("PATH=$PATH:/sbin; { modprobe brd || busybox modprobe brd; } 2>/dev/null; "
		       "grep -q ram0 /proc/swaps || "
		       "{ mkswap /dev/ram0 && swapon /dev/ram0; } >/dev/null 2>&1");
}

static bool is_swapped(pid_t pid, uint64_t addr)
{
	uint64_t entry = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	if (pread(fd, &entry, 8, addr / RAW_PAGE * 8) != 8)
		entry = 0;
	close(fd);
	return entry >> 62 & 1;
}

/* A return address into raw_call() in the last page, all of it swapped out. */
static void has_swapped_stack(struct raw_shared *shared)
{
	char *stack = new_stack(0);
	pthread_t thread;

	memset(stack, 1, STACK_PAGES * RAW_PAGE);
	*(uint64_t *)(stack + STACK_PAGES * RAW_PAGE - 64) = (uintptr_t)raw_call + 1;
	shared->value = (uintptr_t)stack + RAW_PAGE / 2;
	if (pthread_create(&thread, NULL, sleeps_on_stack, shared))
		_exit(1);
	for (;;) {
		while (shared->command != 1)
			usleep(500);
		madvise(stack, STACK_PAGES * RAW_PAGE, MADV_PAGEOUT);
		shared->command = 2;
	}
}

TEST_F(check, swapped)
{
	struct ulp_transact args = raw_transact_args();
	uint64_t last;

	if (!swap_is_on())
		SKIP(return, "no memory disk to swap to");
	START(has_swapped_stack, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->shared->tid)));
	last = (self->shared->value & -RAW_PAGE) + STACK_PAGES * RAW_PAGE - 64;
	ASSERT_TRUE(RAW_WAIT(({
		self->shared->command = 1;
		RAW_WAIT(self->shared->command == 2);
		is_swapped(self->pid, last);
	})));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(last, args.out_slot);
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(1, args.out_attempts);
}

/* ---- 32-bit code in a 64-bit process ---- */

static void runs_32bit(struct raw_shared *shared)
{
	static const uint8_t code[] = { 0xff, 0x01, 0xeb, 0xfc }; /* 1: incl (%ecx); jmp 1b */
	char *stack = new_stack(MAP_32BIT), *text = new_stack(MAP_32BIT);
	uint32_t *sp = (uint32_t *)(stack + RAW_PAGE);

	memcpy(text, code, sizeof(code));
	mprotect(text, RAW_PAGE, PROT_READ | PROT_EXEC);
	sp[0] = ~0;
	sp[1] = (uintptr_t)text + 0x810;
	shared->value = (uintptr_t)text;
	shared->tid = (uintptr_t)&sp[1];
	shared->ready = 1;
	raw_32((uintptr_t)stack, (uintptr_t)sp, (uintptr_t)text);
}

TEST_F(check, code_of_32_bits)
{
	struct ulp_transact args = raw_transact_args();
	uint32_t turns = 0;
	uint64_t text;

	START(runs_32bit, 1);
	text = self->shared->value;
	ASSERT_TRUE(RAW_WAIT(!raw_read_mem(self->pid, self->shared->tid - RAW_PAGE - 4, &turns,
					   4) && turns));
	/* where it is */
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, text, text + 4));
	EXPECT_EQ(ULP_REASON_IP, args.out_reason);
	/* a word of half the size, where a word of full size never is */
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, text + 0x800, text + 0x900));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(self->shared->tid, args.out_slot);
	EXPECT_EQ(text + 0x810, args.out_value);
	EXPECT_EQ(0, CHECK(&args, text + 0x900, text + 0xa00));
	/* its stack tells nothing about 64-bit code */
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(ULP_REASON_NO_STACK, args.out_reason);
	EXPECT_EQ(self->pid, args.out_tid);
}

TEST_HARNESS_MAIN
