// SPDX-License-Identifier: LGPL-2.1-or-later
// timeout: 180
/*
 * The unwinder: its walks against what real threads say of themselves, and what it
 * must not believe.
 */
#include <execinfo.h>
#include <kselftest_harness.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <ucontext.h>

#include "peer.h"
#include "unwind.h"

#define STACK_COPY	1024
#define FRAMES		256

/* ---- threads ---- */

struct shared {
	volatile int ready;
	volatile int nr;
	void *volatile frames[FRAMES];
	volatile uint64_t word;		/* address of something on the stack */
	uint8_t altstack[65536];
};

static struct shared *shared;

/* Says what backtrace() sees, and waits for ever. */
static __attribute__((noinline)) void stay(void)
{
	shared->nr = backtrace((void **)shared->frames, FRAMES);
	shared->ready = 1;
	while (shared->ready)
		pause();
}

static __attribute__((noinline)) int deep(int n)
{
	volatile int local = n;

	if (n)
		return deep(n - 1) + local;
	stay();
	return local;
}

static void way_deep(void)
{
	deep(100);
}

static int by_qsort(const void *a, const void *b)
{
	stay();
	return 0;
}

/* Through functions of libc. */
static void way_qsort(void)
{
	int numbers[] = { 2, 1 };

	qsort(numbers, 2, sizeof(*numbers), by_qsort);
}

static void *thread_main(void *arg)
{
	deep(3);
	return arg;
}

static void way_handler_run(int sig)
{
	deep(sig == SIGUSR2 ? 5 : 6);
}

static void handle(int flags)
{
	struct sigaction action = { .sa_handler = way_handler_run, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

static void way_handler(void)
{
	handle(0);
}

static void way_altstack(void)
{
	stack_t stack = { .ss_sp = shared->altstack, .ss_size = sizeof(shared->altstack) };

	sigaltstack(&stack, NULL);
	handle(SA_ONSTACK);
}

static void nested(int sig)
{
	struct sigaction action = { .sa_handler = way_handler_run };

	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
}

/* A handler on its own stack, interrupted by another one. */
static void way_nested(void)
{
	stack_t stack = { .ss_sp = shared->altstack, .ss_size = sizeof(shared->altstack) };
	struct sigaction action = { .sa_handler = nested, .sa_flags = SA_ONSTACK };

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

/* The stack is aligned by hand: frames are found by rbp. */
static __attribute__((noinline)) void aligned(int n)
{
	volatile char room[n] __attribute__((aligned(64)));

	room[n - 1] = 1;
	stay();
	room[0] = room[n - 1];
}

static void way_aligned(void)
{
	aligned(1000);
}

/* A call that no table describes. */
extern void bare_call(void (*fn)(void));
/* A call by an address on the stack, of which no instruction is a call. */
extern void push_call(void (*fn)(void));

__asm__(".pushsection .text\n"
	".type bare_call,@function\n"
	"bare_call: sub $8, %rsp\n call *%rdi\n add $8, %rsp\n ret\n"
	".size bare_call, .-bare_call\n"
	".type push_call,@function\n"
	"push_call: .cfi_startproc\n"
	"sub $8, %rsp\n .cfi_adjust_cfa_offset 8\n"
	"lea 1f(%rip), %rax\n"
	"push %rax\n .cfi_adjust_cfa_offset 8\n jmp *%rdi\n"
	".cfi_adjust_cfa_offset -8\n"
	"nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n"
	"1: add $8, %rsp\n .cfi_adjust_cfa_offset -8\n ret\n"
	".cfi_endproc\n"
	".size push_call, .-push_call\n"
	".popsection\n");

static void way_bare(void)
{
	bare_call(stay);
}

static void way_push(void)
{
	push_call(stay);
}

static void way_vfork(void)
{
	shared->ready = 1;
	if (!vfork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

static ucontext_t contexts[2];

static void way_context_run(void)
{
	deep(2);
}

static void way_context(void)
{
	getcontext(&contexts[1]);
	contexts[1].uc_stack.ss_sp = shared->altstack;
	contexts[1].uc_stack.ss_size = sizeof(shared->altstack);
	contexts[1].uc_link = &contexts[0];
	makecontext(&contexts[1], way_context_run, 0);
	swapcontext(&contexts[0], &contexts[1]);
}

FIXTURE(unwind) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	struct ulp_cfi *cfi;
	struct ulp_unwind out;
	pid_t pid, tid;
};

FIXTURE_SETUP(unwind)
{
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
}

FIXTURE_TEARDOWN(unwind)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, __WALL);
	}
	ulp_unwind_free(&self->out);
	ulp_cfi_free(self->cfi);
	ulp_target_close(self->target);
	ulp_context_free(self->ctx);
}

static char task_letter(pid_t pid)
{
	char path[64], line[512] = "", *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file && fgets(line, sizeof(line), file)) {
		at = strrchr(line, ')');
		fclose(file);
		return at ? at[2] : '?';
	}
	if (file)
		fclose(file);
	return '?';
}

static bool begin(FIXTURE_DATA(unwind) * self, void (*way)(void))
{
	void *warm[2];
	char letter;

	/* backtrace() loads a library at its first call */
	backtrace(warm, 2);
	self->pid = fork();
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		way();
		_exit(0);
	}
	for (int i = 0; i < 60000; i++) {
		letter = task_letter(self->pid);
		if (shared->ready && (letter == 'S' || letter == 'D'))
			return !ulp_target_open(self->ctx, self->pid, &self->target) &&
			       (self->cfi = ulp_cfi_new(self->target));
		usleep(1000);
	}
	return false;
}

static bool read_regs(pid_t tid, struct ulp_regs *out)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_ATTACH, tid, 0, 0) || waitpid(tid, NULL, __WALL) != tid ||
	    ptrace(PTRACE_GETREGS, tid, 0, &regs))
		return false;
	/* both are in the order of the kernel's pt_regs */
	memcpy(out, &regs, sizeof(*out));
	return true;
}

static int walk(FIXTURE_DATA(unwind) * self)
{
	static uint8_t stack[STACK_COPY];
	struct ulp_thread_copy copy = { .stack = stack };
	int err;

	/* a vfork()ing parent takes no ptrace stop */
	if (!read_regs(self->pid, &copy.regs))
		return -ESRCH;
	while (copy.size < sizeof(stack) &&
	       !ulp_memory_read(self->target, copy.regs.sp + copy.size, stack + copy.size, 8))
		copy.size += 8;
	err = ulp_unwind(self->target, self->cfi, &copy, &self->out);
	ptrace(PTRACE_DETACH, self->pid, 0, 0);
	return err;
}

static size_t find_frame(const struct ulp_unwind *out, const void *ip)
{
	size_t at = 0;

	while (at < out->nr && out->frames[at].ip != (uint64_t)ip)
		at++;
	return at;
}

/* Whether the thread's own list is in ours, without a gap, up to the end. */
static bool agrees(const struct ulp_unwind *out)
{
	size_t at = out->nr;
	int first;

	/* stay() itself has gone on to pause(), and sanitizers have frames of their own */
	for (first = 1; first < 4 && at == out->nr; first++)
		at = find_frame(out, shared->frames[first]);
	for (int i = first; i < shared->nr; i++)
		if (++at >= out->nr || out->frames[at].ip != (uint64_t)shared->frames[i])
			return false;
	return shared->nr > first && at + 1 == out->nr;
}

#define WALK(way) do {								\
	ASSERT_TRUE(begin(self, way));						\
	ASSERT_EQ(0, walk(self));						\
	EXPECT_TRUE(self->out.complete) {					\
		TH_LOG("%zu frames, then %s", self->out.nr, self->out.why);	\
	}									\
} while (0)

static size_t exact_frames(const struct ulp_unwind *out)
{
	size_t nr = 0;

	for (size_t i = 0; i < out->nr; i++)
		nr += out->frames[i].exact;
	return nr;
}

TEST_F(unwind, deep)
{
	uint64_t word;

	WALK(way_deep);
	EXPECT_TRUE(agrees(&self->out));
	EXPECT_LT(102, self->out.nr);
	/* beyond what was copied, too; and each slot holds what it is said to */
	EXPECT_LT(self->out.frames[0].sp + STACK_COPY, self->out.frames[100].slot);
	for (size_t i = 1; i < self->out.nr; i++) {
		struct ulp_frame *frame = &self->out.frames[i];

		EXPECT_EQ(frame[-1].end, frame->sp);
		EXPECT_EQ(frame->sp - 8, frame->slot);
		ASSERT_EQ(0, ulp_memory_read(self->target, frame->slot, &word, 8));
		EXPECT_EQ(frame->ip, word);
	}
}

TEST_F(unwind, through_libc)
{
	WALK(way_qsort);
	EXPECT_TRUE(agrees(&self->out));
}

TEST_F(unwind, below_handler)
{
	WALK(way_handler);
	EXPECT_TRUE(agrees(&self->out));
	EXPECT_EQ(2, exact_frames(&self->out));
}

TEST_F(unwind, altstack)
{
	uint64_t low = (uintptr_t)shared->altstack, high = low + sizeof(shared->altstack);
	size_t on = 0, crossing = 0;

	WALK(way_altstack);
	EXPECT_TRUE(agrees(&self->out));
	EXPECT_EQ(2, exact_frames(&self->out));
	for (size_t i = 0; i < self->out.nr; i++) {
		struct ulp_frame *frame = &self->out.frames[i];

		on += frame->sp >= low && frame->sp < high;
		crossing += frame->sp < high && frame->end > high;
	}
	EXPECT_LT(5, on);
	EXPECT_GT(self->out.nr, on);
	EXPECT_EQ(0, crossing);
}

TEST_F(unwind, nested_handlers)
{
	WALK(way_nested);
	EXPECT_TRUE(agrees(&self->out));
	EXPECT_EQ(3, exact_frames(&self->out));
}

TEST_F(unwind, aligned_stack)
{
	WALK(way_aligned);
	EXPECT_TRUE(agrees(&self->out));
}

static void way_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_main, NULL);
	pthread_join(thread, NULL);
}

TEST_F(unwind, waiting_for_thread)
{
	WALK(way_thread);
	EXPECT_LT(3, self->out.nr);
}

/* The return address of vfork() is in a register until the child is gone. */
TEST_F(unwind, vfork)
{
	char line[256] = "", path[64];
	struct ulp_thread_copy copy = { .size = 0 };
	unsigned long long args[7], sp, ip;
	FILE *file;

#ifdef __SANITIZE_ADDRESS__
	SKIP(return, "the sanitizer's vfork() has no unwind table");
#endif
	ASSERT_TRUE(begin(self, way_vfork));
	snprintf(path, sizeof(path), "/proc/%d/syscall", self->pid);
	file = fopen(path, "re");
	ASSERT_NE(NULL, file);
	ASSERT_NE(NULL, fgets(line, sizeof(line), file));
	fclose(file);
	if (sscanf(line, "%llu %llx %llx %llx %llx %llx %llx %llx %llx", &args[0], &args[1],
		   &args[2], &args[3], &args[4], &args[5], &args[6], &sp, &ip) != 9)
		SKIP(return, "no /proc/PID/syscall: %s", line);
	copy.regs = (struct ulp_regs){ .cs = 0x33, .di = args[1], .sp = sp, .ip = ip };
	ASSERT_EQ(0, ulp_unwind(self->target, self->cfi, &copy, &self->out));
	ASSERT_LT(2, self->out.nr) {
		TH_LOG("%s", self->out.why);
	}
	EXPECT_EQ(0, self->out.frames[1].slot);
	EXPECT_EQ(offsetof(struct ulp_regs, di) / 8, self->out.frames[1].reg);
	EXPECT_EQ(args[1], self->out.frames[1].ip);
}

/* ---- what is not proven ---- */

#define WALK_FAILS(way, text) do {						\
	ASSERT_TRUE(begin(self, way));						\
	ASSERT_EQ(0, walk(self));						\
	EXPECT_FALSE(self->out.complete);					\
	EXPECT_NE(NULL, strstr(self->out.why, text)) {				\
		TH_LOG("%s", self->out.why);					\
	}									\
} while (0)

TEST_F(unwind, no_table)
{
	WALK_FAILS(way_bare, "no unwind information covers");
	EXPECT_LT(1, self->out.nr);
}

TEST_F(unwind, no_call)
{
	WALK_FAILS(way_push, "no call is in front of");
}

/*
 * makecontext() made the outermost frame, and what started the context is on
 * another stack: this is not the end of all frames of the thread.
 */
TEST_F(unwind, user_context)
{
	WALK_FAILS(way_context, "no call is in front of");
	EXPECT_LT(3, self->out.nr);
}

/* A hostile process's tables: any bytes, and neither a crash nor a hang. */
static void write_memory(pid_t pid, uint64_t addr, const void *bytes, size_t size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, bytes, size, (off_t)addr) != (ssize_t)size)
		abort();
	close(fd);
}

TEST_F_TIMEOUT(unwind, damaged_tables, 120)
{
	struct ulp_object *program = NULL;
	static uint8_t saved[65536], bytes[65536];
	unsigned int seed = 1, complete = 0, rows = 0;
	size_t size = sizeof(saved);
	struct ulp_thread_copy copy = { .size = 0 };
	struct ulp_cfi_row row;

	ASSERT_TRUE(begin(self, way_deep));
	for (size_t i = 0; i < self->target->nr_objects; i++)
		if (self->target->objects[i].program)
			program = &self->target->objects[i];
	ASSERT_NE(NULL, program);
	while (ulp_memory_read(self->target, program->frames, saved, size))
		size -= 4096;
	ASSERT_TRUE(read_regs(self->pid, &copy.regs));
	for (int round = 0; round < 1500; round++) {
		memcpy(bytes, saved, size);
		for (int i = 0; i < 1 + round % 200; i++)
			bytes[rand_r(&seed) % size] = (uint8_t)rand_r(&seed);
		write_memory(self->pid, program->frames, bytes, size);
		ulp_cfi_free(self->cfi);
		self->cfi = ulp_cfi_new(self->target);
		ASSERT_NE(NULL, self->cfi);
		ulp_unwind_free(&self->out);
		ASSERT_EQ(0, ulp_unwind(self->target, self->cfi, &copy, &self->out));
		complete += self->out.complete;
		/* and many rows, not only those of this thread */
		for (uint64_t pc = (uintptr_t)deep; pc < (uintptr_t)deep + 2048; pc += 64)
			rows += !ulp_cfi_find(self->cfi, pc, &row);
	}
	TH_LOG("%u of 1500 walks were complete, %u rows found", complete, rows);
	EXPECT_GT(1500, complete);

	/* nothing but zeros, and nothing but the same byte */
	for (int byte = 0; byte < 256; byte += 15) {
		memset(bytes, byte, size);
		write_memory(self->pid, program->frames, bytes, size);
		ulp_cfi_free(self->cfi);
		self->cfi = ulp_cfi_new(self->target);
		ulp_unwind_free(&self->out);
		ASSERT_EQ(0, ulp_unwind(self->target, self->cfi, &copy, &self->out));
		EXPECT_FALSE(self->out.complete);
	}
}

TEST_HARNESS_MAIN
