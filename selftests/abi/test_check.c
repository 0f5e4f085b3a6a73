// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The check of a thread: inside a range or not, wherever that shows.
 *
 * module: debug
 * timeout: 300
 */
#include <sys/time.h>
#include <ucontext.h>
#include "check.h"

/* ---- inside, by the instruction pointer ---- */

static void spins(struct raw_shared *shared)
{
	shared->ready = 1;
	raw_spin(&shared->count[0]);
}

TEST_F(check, ip)
{
	struct ulp_transact args = raw_transact_args();
	struct ulp_regs regs;
	uint64_t turns;

	START(spins, 1);
	ASSERT_TRUE(RAW_WAIT(self->shared->count[0]));
	args.regs = (uintptr_t)&regs;
	args.attempts = 3;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_spin, raw_spin_end));
	EXPECT_EQ(ULP_REASON_IP, args.out_reason);
	EXPECT_EQ(self->pid, args.out_tid);
	EXPECT_EQ(0, args.out_range);
	EXPECT_EQ(3, args.out_attempts);
	EXPECT_EQ(1, args.out_threads);
	EXPECT_LE((uintptr_t)raw_spin, args.out_ip);
	EXPECT_GT((uintptr_t)raw_spin_end, args.out_ip);
	EXPECT_EQ(args.out_ip, regs.ip);
	EXPECT_EQ(args.out_sp, regs.sp);
	EXPECT_EQ((uintptr_t)&self->shared->count[0], regs.di);
	EXPECT_EQ(variant->backend, args.out_backend);
	/* preempted on its way out of the gate it is refused without another freeze */
	EXPECT_LT(0, args.out_max_freeze_ns);
	EXPECT_LE(args.out_freeze_ns, args.out_max_freeze_ns);
	EXPECT_LE(args.out_max_freeze_ns, args.out_total_ns);
	turns = self->shared->count[0];
	EXPECT_TRUE(RAW_WAIT(self->shared->count[0] > turns));

	/* it is nowhere else; right before and right behind do not count */
	args = raw_transact_args();
	EXPECT_EQ(0, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(0, CHECK(&args, (uintptr_t)raw_spin - 16, raw_spin));
	EXPECT_EQ(0, CHECK(&args, raw_spin_end, raw_spin_end + 16));
}

/* ---- inside, by a return address ---- */

static void calls_and_sleeps(struct raw_shared *shared)
{
	raw_call(reads_for_ever, shared);
}

static long spins_in_call(void *arg)
{
	struct raw_shared *shared = arg;

	shared->tid = raw_gettid();
	shared->ready = 1;
	raw_spin(&shared->count[0]);
	return 0;
}

static void calls_and_spins(struct raw_shared *shared)
{
	raw_call(spins_in_call, shared);
}

TEST_F(check, sleeping_on_stack)
{
	struct ulp_transact args = raw_transact_args();
	uint8_t stack[8192];
	uint64_t word;

	START(calls_and_sleeps, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	args.stack = (uintptr_t)stack;
	args.stack_size = sizeof(stack);
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(self->pid, args.out_tid);
	EXPECT_LT((uintptr_t)raw_call, args.out_value);
	EXPECT_GE((uintptr_t)raw_call_end, args.out_value);
	EXPECT_LE(args.out_sp, args.out_slot);
	/* the copy of its stack has the word where it says */
	ASSERT_LE(args.out_slot - args.out_sp + 8, args.out_stack_size);
	memcpy(&word, stack + (args.out_slot - args.out_sp), 8);
	EXPECT_EQ(args.out_value, word);
	ASSERT_EQ(0, raw_read_mem(self->pid, args.out_slot, &word, 8));
	EXPECT_EQ(args.out_value, word);
}

TEST_F(check, spinning_on_stack)
{
	struct ulp_transact args = raw_transact_args();
	uint8_t stack[256];
	uint64_t word;

	START(calls_and_spins, 1);
	ASSERT_TRUE(RAW_WAIT(self->shared->count[0]));
	args.stack = (uintptr_t)stack;
	args.stack_size = sizeof(stack);
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(sizeof(stack), args.out_stack_size);
	ASSERT_LE(args.out_slot - args.out_sp + 8, args.out_stack_size);
	memcpy(&word, stack + (args.out_slot - args.out_sp), 8);
	EXPECT_EQ(args.out_value, word);
}

/* A return address may be the end of a range, and never its start. */
TEST_F(check, bounds)
{
	struct ulp_transact args = raw_transact_args();
	uint64_t back;

	START(calls_and_sleeps, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	ASSERT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	back = args.out_value;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, back - 1, back));
	EXPECT_EQ(0, CHECK(&args, back, back + 1));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, back - 1, back + 1));
	EXPECT_EQ(0, CHECK(&args, back - 2, back - 1));
}

/* The range is named, whatever the order of the plan. */
TEST_F(check, many_ranges)
{
	static struct ulp_range ranges[1000];
	struct ulp_transact args = raw_transact_args();
	unsigned int i;

	START(calls_and_sleeps, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	for (i = 0; i < 1000; i++)
		ranges[i] = (struct ulp_range) { 0x10000 + 64 * (1000 - i),
						 0x10000 + 64 * (1000 - i) + 64 };
	args.backend = variant->backend;
	args.flags = variant->flags;
	args.ranges = (uintptr_t)ranges;
	args.nr_ranges = 1000;
	EXPECT_EQ(0, raw_transact(self->session, &args));
	ranges[617] = (struct ulp_range) { (uintptr_t)raw_call, (uintptr_t)raw_call_end };
	EXPECT_EQ(-EADDRINUSE, raw_transact(self->session, &args));
	EXPECT_EQ(617, args.out_range);
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
}

/* ---- words that are proven to be no return addresses ---- */

static long keeps_a_word(void *arg)
{
	struct raw_shared *shared = arg;
	volatile uint64_t word = (uintptr_t)raw_answer + 3;

	shared->value = (uintptr_t)&word;
	reads_for_ever(shared);
	return word;
}

static void has_stale_word(struct raw_shared *shared)
{
	keeps_a_word(shared);
}

TEST_F(check, stale)
{
	struct ulp_transact args = raw_transact_args();
	struct ulp_stale stale[3], good;

	START(has_stale_word, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	memset(stale, 0xff, sizeof(stale));
	args.stale = (uintptr_t)stale;
	args.nr_stale = 3;
	ASSERT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(self->shared->value, args.out_slot);
	EXPECT_EQ((uintptr_t)raw_answer + 3, args.out_value);
	good = (struct ulp_stale) {
		.tid = args.out_tid, .ip = args.out_ip, .sp = args.out_sp,
		.slot = args.out_slot, .value = args.out_value, .stamp = args.out_stamp,
	};
	stale[1] = good;
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(1, args.out_stale);
	/* all six must agree */
	stale[1].stamp = 0;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	stale[1] = good;
	/* not the next one: who is seen asleep may have a switch before it still */
	stale[1].stamp += 1000;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	stale[1] = good;
	stale[1].stamp |= ULP_STAMP_HELD;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	stale[1] = good;
	stale[1].tid++;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	stale[1] = good;
	stale[1].ip++;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	stale[1] = good;
	stale[1].sp += 8;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	stale[1] = good;
	stale[1].slot += 8;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	stale[1] = good;
	stale[1].value++;
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
}

/* ---- other stacks ---- */

static struct raw_shared *handler_shared;

static void handler(int sig)
{
	if (handler_shared->command == 2)
		raw_spin(&handler_shared->count[0]);
	reads_for_ever(handler_shared);
}

static void take_signal_on(struct raw_shared *shared, int flags)
{
	stack_t stack = { .ss_size = 64 * 1024, .ss_flags = flags };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

	handler_shared = shared;
	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sigaltstack(&stack, NULL))
		_exit(1);
	sigaction(SIGUSR1, &action, NULL);
}

static long raises(void *arg)
{
	raise(SIGUSR1);
	return 0;
}

static void sleeps_on_altstack(struct raw_shared *shared)
{
	take_signal_on(shared, 0);
	raw_call(raises, shared);
}

static void sleeps_on_altstack_disarmed(struct raw_shared *shared)
{
	take_signal_on(shared, 1 << 31);	/* SS_AUTODISARM */
	raw_call(raises, shared);
}

static void spins_on_altstack(struct raw_shared *shared)
{
	take_signal_on(shared, 0);
	shared->command = 2;
	shared->ready = 1;
	raw_call(raises, shared);
}

TEST_F(check, sigaltstack)
{
	struct ulp_transact args = raw_transact_args();

	START(sleeps_on_altstack, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
}

TEST_F(check, sigaltstack_disarmed)
{
	struct ulp_transact args = raw_transact_args();

	START(sleeps_on_altstack_disarmed, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
}

TEST_F(check, sigaltstack_spinning)
{
	struct ulp_transact args = raw_transact_args();

	START(spins_on_altstack, 1);
	ASSERT_TRUE(RAW_WAIT(self->shared->count[0]));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
}

static void interrupted(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	handler_shared->count[1] = uc->uc_mcontext.gregs[REG_RIP];
	reads_for_ever(handler_shared);
}

static void is_interrupted(struct raw_shared *shared)
{
	struct sigaction action = { .sa_sigaction = interrupted, .sa_flags = SA_SIGINFO };
	struct itimerval soon = { .it_value.tv_usec = 1000 };

	handler_shared = shared;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	raw_spin(&shared->count[0]);
}

/* No return address: a signal can interrupt at the first byte of a range. */
TEST_F(check, interrupted_at_start)
{
	struct ulp_transact args = raw_transact_args();
	uint64_t ip;

	START(is_interrupted, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	ip = self->shared->count[1];
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, ip, ip + 1));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(ip, args.out_value);
	EXPECT_EQ(0, CHECK(&args, ip - 2, ip - 1));
	EXPECT_EQ(0, CHECK(&args, ip + 1, ip + 2));
}

/* ---- no stack at all ---- */

/* void raw_no_stack(volatile uint64_t *counter, uint64_t sp): counts with that sp */
extern void raw_no_stack(volatile uint64_t *counter, uint64_t sp);

__asm__(".pushsection .text\n"
	".globl raw_no_stack\n"
	".type raw_no_stack,@function\n"
	"raw_no_stack: mov %rsi, %rsp\n"
	"1: incq (%rdi)\n jmp 1b\n"
	".popsection\n");

static void has_no_stack(struct raw_shared *shared)
{
	shared->ready = 1;
	raw_no_stack(&shared->count[0], 0x1000);
}

static void has_odd_stack(struct raw_shared *shared)
{
	shared->ready = 1;
	raw_no_stack(&shared->count[0], (uintptr_t)__builtin_frame_address(0) - 1001);
}

static void has_stack_without_access(struct raw_shared *shared)
{
	void *p = mmap(NULL, RAW_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	shared->ready = 1;
	raw_no_stack(&shared->count[0], (uintptr_t)p + 8);
}

TEST_F(check, no_stack)
{
	struct ulp_transact args = raw_transact_args();

	START(has_no_stack, 1);
	ASSERT_TRUE(RAW_WAIT(self->shared->count[0]));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(ULP_REASON_NO_STACK, args.out_reason);
	EXPECT_EQ(self->pid, args.out_tid);
	EXPECT_EQ(0x1000, args.out_sp);
}

TEST_F(check, odd_stack)
{
	struct ulp_transact args = raw_transact_args();

	START(has_odd_stack, 1);
	ASSERT_TRUE(RAW_WAIT(self->shared->count[0]));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(ULP_REASON_NO_STACK, args.out_reason);
}

TEST_F(check, stack_without_access)
{
	struct ulp_transact args = raw_transact_args();

	START(has_stack_without_access, 1);
	ASSERT_TRUE(RAW_WAIT(self->shared->count[0]));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(ULP_REASON_NO_STACK, args.out_reason);
}

/* A stack of 512 MB, of which little was ever touched. */
static void *calls_on_big_stack(void *arg)
{
	raw_call(reads_for_ever, arg);
	return NULL;
}

static void has_big_stack(struct raw_shared *shared)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 512UL << 20);
	if (pthread_create(&thread, &attr, calls_on_big_stack, shared))
		_exit(1);
	pause();
}

TEST_F(check, big_stack)
{
	struct ulp_transact args = raw_transact_args();

	START(has_big_stack, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->shared->tid)));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(self->shared->tid, args.out_tid);
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(2, args.out_threads);
}

/* A stack in a mapping of a file, whose pages come and go. */
static void has_file_stack(struct raw_shared *shared)
{
	int fd = memfd_create("stack", 0);
	pthread_attr_t attr;
	pthread_t thread;
	void *stack;

	if (ftruncate(fd, 1 << 20))
		_exit(1);
	stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, 1 << 20);
	if (pthread_create(&thread, &attr, calls_on_big_stack, shared))
		_exit(1);
	while (shared->command != 1)
		usleep(500);
	/* out of the page tables, still in the file */
	madvise(stack, 1 << 20, MADV_DONTNEED);
	shared->command = 2;
	pause();
}

TEST_F(check, file_stack)
{
	struct ulp_transact args = raw_transact_args();

	START(has_file_stack, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->shared->tid)));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	self->shared->command = 1;
	ASSERT_TRUE(RAW_WAIT(self->shared->command == 2));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(self->shared->tid, args.out_tid);
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
}

/* mlock of its lower part splits the mapping of a stack in two. */
static void *splits_its_stack(void *arg)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0) & -RAW_PAGE;
	volatile char deep[3 * RAW_PAGE];

	deep[0] = 1;
	mlock((void *)(here - 16 * RAW_PAGE), 16 * RAW_PAGE);
	reads_for_ever(arg);
	return (void *)(uintptr_t)deep[0];
}

static long splits(void *arg)
{
	return (long)splits_its_stack(arg);
}

static void *calls_split(void *arg)
{
	raw_call(splits, arg);
	return NULL;
}

static void has_split_stack(struct raw_shared *shared)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, calls_split, shared))
		_exit(1);
	pause();
}

TEST_F(check, split_stack)
{
	struct ulp_transact args = raw_transact_args();

	START(has_split_stack, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->shared->tid)));
	EXPECT_EQ(-EADDRINUSE, CHECK(&args, raw_call, raw_call_end));
	EXPECT_EQ(ULP_REASON_STACK, args.out_reason);
	EXPECT_EQ(self->shared->tid, args.out_tid);
}

/* ---- memory that is on no thread's stack ---- */

static void keeps_in_memory(struct raw_shared *shared)
{
	uint64_t *page = mmap(NULL, 64 * RAW_PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	page[3 * RAW_PAGE / 8 + 5] = (uintptr_t)raw_answer + 3;
	shared->value = (uintptr_t)&page[3 * RAW_PAGE / 8 + 5];
	reads_for_ever(shared);
}

TEST_F(check, memory)
{
	const uint32_t flags = variant->flags | ULP_TRANSACT_SCAN_MEMORY;
	struct ulp_transact args = raw_transact_args();

	START(keeps_in_memory, 1);
	ASSERT_TRUE(RAW_WAIT(is_asleep(self->pid, self->pid)));
	EXPECT_EQ(0, CHECK(&args, raw_answer, raw_answer_end));
	EXPECT_EQ(-EADDRINUSE, raw_check(self->session, &args, variant->backend, flags,
					 (uintptr_t)raw_answer, (uintptr_t)raw_answer_end));
	EXPECT_EQ(ULP_REASON_MEMORY, args.out_reason);
	EXPECT_EQ(self->shared->value, args.out_slot);
	EXPECT_EQ((uintptr_t)raw_answer + 3, args.out_value);
	EXPECT_EQ(0, args.out_tid);
	EXPECT_EQ(0, raw_check(self->session, &args, variant->backend, flags,
			       (uintptr_t)raw_answer2, (uintptr_t)raw_answer2_end));
	/* all of it is read in the window */
	args.max_freeze_ns = 1;
	EXPECT_EQ(-ETIME, raw_check(self->session, &args, variant->backend, flags,
				    (uintptr_t)raw_answer2, (uintptr_t)raw_answer2_end));
}

/* In a private mapping of a file: at first it is the file's, then it was written to. */
static void has_it_from_a_file(struct raw_shared *shared)
{
	uint64_t word = (uintptr_t)raw_answer + 3;
	int fd = memfd_create("data", 0);
	volatile uint64_t *page;

	if (pwrite(fd, &word, sizeof(word), 8) != sizeof(word) || ftruncate(fd, 2 * RAW_PAGE))
		_exit(1);
	word = 0;
	page = mmap(NULL, 2 * RAW_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	shared->value = (uintptr_t)&page[1];
	shared->count[0] = page[1];
	shared->ready = 1;
	while (shared->command != 1)
		usleep(500);
	page[0] = 1;
	shared->command = 2;
	for (;;)
		pause();
}

TEST_F(check, memory_of_file)
{
	const uint32_t flags = variant->flags | ULP_TRANSACT_SCAN_MEMORY;
	struct ulp_transact args = raw_transact_args();

	START(has_it_from_a_file, 1);
	ASSERT_EQ((uintptr_t)raw_answer + 3, self->shared->count[0]);
	EXPECT_EQ(0, raw_check(self->session, &args, variant->backend, flags,
			       (uintptr_t)raw_answer, (uintptr_t)raw_answer_end)) {
		TH_LOG("reason %u, slot %lx", args.out_reason, (unsigned long)args.out_slot);
	}
	self->shared->command = 1;
	ASSERT_TRUE(RAW_WAIT(self->shared->command == 2));
	EXPECT_EQ(-EADDRINUSE, raw_check(self->session, &args, variant->backend, flags,
					 (uintptr_t)raw_answer, (uintptr_t)raw_answer_end));
	EXPECT_EQ(ULP_REASON_MEMORY, args.out_reason);
	EXPECT_EQ(self->shared->value, args.out_slot);
}

TEST_HARNESS_MAIN
