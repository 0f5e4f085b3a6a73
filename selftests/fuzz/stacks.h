/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of the fuzzer's victims whose stacks are hard to read: the upper half
 * of the mapping is absent again and again, and somebody provides its pages
 * when he likes.
 */
#ifndef FUZZ_STACKS_H
#define FUZZ_STACKS_H

#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include "fuse.h"
#include "probes.h"

#define FUZZ_STACK_SIZE		(32 * RAW_PAGE)
#define FUZZ_HUGE_PAGE		(2UL << 20)

enum fuzz_stack_kind {
	FUZZ_STACK_UFFD, FUZZ_STACK_FUSE, FUZZ_STACK_MEMFD, FUZZ_STACK_HUGE,
};

/**
 * struct fuzz_stack - such a stack
 * @kind: who provides its pages
 * @random: of its thread
 * @base: lowest address
 * @half: bytes of either half
 * @fd: file, or userfaultfd
 * @mute: the userfaultfd answers only when the victim is to be calm
 */
struct fuzz_stack {
	enum fuzz_stack_kind kind;
	struct fuzz_random random;
	char *base;
	size_t half;
	int fd;
	bool mute;
};

/* ---- disturbers stop when the victim is to be calm ---- */

static inline void fuzz_disturber(void)
{
	__atomic_add_fetch(&fuzz_shared->disturbers, 1, __ATOMIC_SEQ_CST);
}

static inline void fuzz_pause_if_calm(void)
{
	if (!fuzz_shared->calm)
		return;
	__atomic_add_fetch(&fuzz_shared->quiet, 1, __ATOMIC_SEQ_CST);
	while (fuzz_shared->calm)
		usleep(1000);
	__atomic_sub_fetch(&fuzz_shared->quiet, 1, __ATOMIC_SEQ_CST);
}

static inline void fuzz_start_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg))
		_exit(90);
}

/* ---- userfaultfd ---- */

static int fuzz_uffd_fill(const struct fuzz_stack *stack, uint64_t page)
{
	struct uffdio_zeropage zero = { .range = { page, RAW_PAGE } };

	return ioctl(stack->fd, UFFDIO_ZEROPAGE, &zero);
}

/* The module does not wait for a handler, nor does it wake one. */
static void fuzz_uffd_fill_all(const struct fuzz_stack *stack)
{
	for (size_t at = 0; at < 2 * stack->half; at += RAW_PAGE)
		fuzz_uffd_fill(stack, (uintptr_t)stack->base + at);
}

static void *fuzz_uffd_serve(void *arg)
{
	struct fuzz_stack *stack = arg;
	struct fuzz_random random = fuzz_derive(stack->random.state, 'u');
	struct pollfd poll_fd = { .fd = stack->fd, .events = POLLIN };
	struct uffdio_range page = { .len = RAW_PAGE };
	struct uffd_msg message;

	for (;;) {
		while (stack->mute && !fuzz_shared->calm)
			usleep(1000);
		if (fuzz_shared->calm)
			fuzz_uffd_fill_all(stack);
		if (poll(&poll_fd, 1, 20) <= 0 ||
		    read(stack->fd, &message, sizeof(message)) != sizeof(message))
			continue;
		usleep(fuzz_below(&random, 2000));
		page.start = message.arg.pagefault.address & -RAW_PAGE;
		if (fuzz_uffd_fill(stack, page.start) && errno == EEXIST)
			ioctl(stack->fd, UFFDIO_WAKE, &page);
	}
	return NULL;
}

static bool fuzz_uffd_register(struct fuzz_stack *stack, bool outside)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)stack->base, 2 * stack->half },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	stack->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stack->fd < 0 || ioctl(stack->fd, UFFDIO_API, &api) ||
	    ioctl(stack->fd, UFFDIO_REGISTER, &range))
		return false;
	if (!outside) {
		fuzz_start_thread(fuzz_uffd_serve, stack);
	} else if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fuzz_uffd_serve(stack);
	}
	return true;
}

/* ---- the threads ---- */

static void fuzz_stack_drop(struct fuzz_stack *stack)
{
	char *upper = stack->base + stack->half;

	if (stack->kind == FUZZ_STACK_MEMFD)
		fallocate(stack->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, stack->half,
			  stack->half);
	else
		madvise(upper, stack->half, MADV_DONTNEED);
	if (stack->kind == FUZZ_STACK_FUSE)
		posix_fadvise(stack->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void *fuzz_stack_main(void *arg)
{
	struct fuzz_stack *stack = arg;

	for (;;) {
		fuzz_pause_if_calm();
		fuzz_look();
		fuzz_stack_drop(stack);
		usleep(fuzz_below(&stack->random, 3000));
	}
	return NULL;
}

static bool fuzz_stack_map(struct fuzz_stack *stack)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, fd = -1;

	stack->half = FUZZ_STACK_SIZE / 2;
	switch (stack->kind) {
	case FUZZ_STACK_UFFD:
		break;
	case FUZZ_STACK_FUSE:
		flags = MAP_PRIVATE;
		fd = open(FUZZ_FUSE_FILE, O_RDONLY | O_CLOEXEC);
		break;
	case FUZZ_STACK_MEMFD:
		flags = MAP_SHARED;
		fd = memfd_create("fuzz-stack", MFD_CLOEXEC);
		if (ftruncate(fd, FUZZ_STACK_SIZE))
			return false;
		break;
	case FUZZ_STACK_HUGE:
		flags |= MAP_HUGETLB;
		stack->half = FUZZ_HUGE_PAGE;
		break;
	}
	if (!(flags & MAP_ANONYMOUS) && fd < 0)
		return false;
	stack->base = mmap(NULL, 2 * stack->half, PROT_READ | PROT_WRITE, flags, fd, 0);
	stack->fd = fd;
	if (stack->base == MAP_FAILED)
		return false;
	madvise(stack->base, 2 * stack->half, MADV_DONTFORK);
	memset(stack->base, 0, stack->half);
	return true;
}

/*
 * Starts a thread on a stack of that kind, where this machine has it.  @outside:
 * another process answers the userfaultfd, not a thread that may be frozen.
 */
static inline void fuzz_stack_start(enum fuzz_stack_kind kind, struct fuzz_random *random,
				    bool outside)
{
	struct fuzz_stack *stack = calloc(1, sizeof(*stack));
	pthread_attr_t attr;
	pthread_t thread;

	stack->kind = kind;
	stack->random = fuzz_derive(fuzz_next(random), kind);
	stack->mute = fuzz_once_in(random, 6);
	if (!fuzz_stack_map(stack))
		return;
	if (kind == FUZZ_STACK_UFFD && !fuzz_uffd_register(stack, outside))
		return;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack->base, stack->half);
	fuzz_disturber();
	if (pthread_create(&thread, &attr, fuzz_stack_main, stack))
		_exit(91);
}

/*
 * A stack pointer that points to nothing, as long as the victim is not calm:
 * void fuzz_spin(uint64_t sp, volatile uint32_t *until).
 */
extern void fuzz_spin(uint64_t sp, volatile uint32_t *until);

__asm__(".pushsection .text\n"
	"fuzz_spin: push %rbx\n mov %rsp, %rbx\n mov %rdi, %rsp\n"
	"1: pause\n cmpl $0, (%rsi)\n je 1b\n"
	"mov %rbx, %rsp\n pop %rbx\n ret\n"
	".popsection\n");

static void *fuzz_wild_main(void *arg)
{
	struct fuzz_random random = fuzz_derive((uintptr_t)arg, 'w');
	static const uint64_t wild[] = {
		0, 1, 8, RAW_PAGE, FUZZ_SCRATCH, FUZZ_SCRATCH + FUZZ_SCRATCH_SIZE,
		FUZZ_TORN + 16, FUZZ_SHARED + 64, FUZZ_CALLED + 3, 0x7fffffffeff8, 0x7ffffffff000,
		0x800000000000, 0xffff800000000000, 0xffffffffff600000, -8, -1,
	};

	for (;;) {
		fuzz_pause_if_calm();
		fuzz_spin(FUZZ_PICK(&random, wild), &fuzz_shared->calm);
	}
	return NULL;
}

static inline void fuzz_wild_start(struct fuzz_random *random)
{
	fuzz_disturber();
	fuzz_start_thread(fuzz_wild_main, (void *)(uintptr_t)fuzz_next(random));
}

#endif /* FUZZ_STACKS_H */
