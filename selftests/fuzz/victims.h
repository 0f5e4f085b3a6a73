/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fuzzer's victims: processes that call what is patched all the time while
 * they do what makes patching hard.
 */
#ifndef FUZZ_VICTIMS_H
#define FUZZ_VICTIMS_H

#include <linux/futex.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include "stacks.h"

/**
 * enum fuzz_feature - what a victim does besides calling
 * @FUZZ_MEMORY: protects, drops, unmaps, moves the pages that are patched
 * @FUZZ_THREADS: creates threads
 * @FUZZ_VFORK: has children in its memory
 * @FUZZ_FORK: forks
 * @FUZZ_SIGNALS: gets signals, on a stack of their own
 * @FUZZ_UFFD: has a stack whose pages userfaultfd provides
 * @FUZZ_FUSE: has a stack in a file of a slow FUSE
 * @FUZZ_MEMFD: has a stack in a memfd with holes
 * @FUZZ_HUGETLB: has a stack of huge pages
 * @FUZZ_WILD: has a thread whose stack pointer points to nothing
 * @FUZZ_ZOMBIE: its first thread has ended
 * @FUZZ_EXEC: executes itself
 * @FUZZ_EXIT: ends
 */
enum fuzz_feature {
	FUZZ_MEMORY	= 1 << 0,
	FUZZ_THREADS	= 1 << 1,
	FUZZ_VFORK	= 1 << 2,
	FUZZ_FORK	= 1 << 3,
	FUZZ_SIGNALS	= 1 << 4,
	FUZZ_UFFD	= 1 << 5,
	FUZZ_FUSE	= 1 << 6,
	FUZZ_MEMFD	= 1 << 7,
	FUZZ_HUGETLB	= 1 << 8,
	FUZZ_WILD	= 1 << 9,
	FUZZ_ZOMBIE	= 1 << 10,
	FUZZ_EXEC	= 1 << 11,
	FUZZ_EXIT	= 1 << 12,
};

static int fuzz_code_fd;

/* ---- threads that call, and threads that sleep ---- */

static void *fuzz_hammer_main(void *arg)
{
	for (;;) {
		fuzz_look();
		/* seldom inside */
		for (volatile int i = 0; i < 3000; i++)
			;
	}
	return NULL;
}

static void *fuzz_sleeper_main(void *arg)
{
	struct timespec long_time = { 100000, 0 };
	uint32_t word = 0;
	char byte;
	int fds[2];

	switch ((uintptr_t)arg % 4) {
	case 0:
		pause();
		break;
	case 1:
		nanosleep(&long_time, NULL);
		break;
	case 2:
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
		break;
	default:
		if (pipe(fds) || read(fds[0], &byte, 1) != 1)
			break;
	}
	fuzz_count(&fuzz_shared->early);
	return NULL;
}

/* ---- threads that disturb ---- */

static void fuzz_torn_map(int prot)
{
	if (!fuzz_map_at(FUZZ_TORN, FUZZ_REGION, prot, MAP_PRIVATE, fuzz_code_fd))
		_exit(92);
}

/* What is there must be a number, if anything is there. */
static void fuzz_torn_look(void)
{
	uint32_t words[2];
	struct iovec to = { words, sizeof(words) };
	struct iovec from[] = {
		{ (void *)(FUZZ_TORN + FUZZ_AT + 1), sizeof(uint32_t) },
		{ (void *)(FUZZ_TORN + RAW_PAGE + FUZZ_AT + 1), sizeof(uint32_t) },
	};

	if (process_vm_readv(getpid(), &to, 1, from, 2, 0) == sizeof(words)) {
		fuzz_look_at(words[0]);
		fuzz_look_at(words[1]);
	}
}

/* Pages that are read only: they may be gone for a while. */
static void fuzz_tear(struct fuzz_random *random)
{
	uint64_t page = FUZZ_TORN + fuzz_below(random, 2) * RAW_PAGE;
	static const int advices[] = {
		MADV_DONTNEED, MADV_PAGEOUT, MADV_COLD, MADV_MERGEABLE, MADV_UNMERGEABLE,
		MADV_WILLNEED, MADV_NOHUGEPAGE,
	};

	switch (fuzz_below(random, 8)) {
	case 0:
		mprotect((void *)page, RAW_PAGE, PROT_NONE);
		usleep(fuzz_below(random, 500));
		mprotect((void *)page, RAW_PAGE, PROT_READ);
		break;
	case 1:
		munmap((void *)page, RAW_PAGE);
		usleep(fuzz_below(random, 500));
		fuzz_torn_map(PROT_READ);
		break;
	case 2:
		if (mremap((void *)FUZZ_TORN, FUZZ_REGION, FUZZ_REGION,
			   MREMAP_MAYMOVE | MREMAP_FIXED, FUZZ_AWAY) != (void *)FUZZ_AWAY)
			break;
		usleep(fuzz_below(random, 500));
		mremap((void *)FUZZ_AWAY, FUZZ_REGION, FUZZ_REGION,
		       MREMAP_MAYMOVE | MREMAP_FIXED, FUZZ_TORN);
		break;
	case 3:
		fuzz_map_at(page, RAW_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		fuzz_torn_look();
		fuzz_torn_map(PROT_READ);
		break;
	case 4:
		mlock((void *)page, RAW_PAGE);
		munlock((void *)page, RAW_PAGE);
		break;
	case 5:
		fuzz_torn_map(PROT_READ | PROT_EXEC);
		break;
	default:
		madvise((void *)page, RAW_PAGE, FUZZ_PICK(random, advices));
	}
	fuzz_torn_look();
}

/* Pages that are called meanwhile: they lose what was written, no more. */
static void fuzz_drop(struct fuzz_random *random)
{
	void *page = (void *)(FUZZ_CALLED + fuzz_below(random, 2) * RAW_PAGE);

	switch (fuzz_below(random, 4)) {
	case 0:
		madvise(page, RAW_PAGE, MADV_DONTNEED);
		break;
	case 1:
		mprotect(page, RAW_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
		mprotect(page, RAW_PAGE, PROT_READ | PROT_EXEC);
		break;
	case 2:
		if (!fuzz_map_at(FUZZ_CALLED, FUZZ_REGION, PROT_READ | PROT_EXEC, MAP_PRIVATE,
				 fuzz_code_fd))
			_exit(92);
		break;
	default:
		madvise(page, RAW_PAGE, MADV_PAGEOUT);
	}
}

static void fuzz_scratch(struct fuzz_random *random)
{
	void *page = (void *)(FUZZ_SCRATCH + fuzz_below(random, 4) * RAW_PAGE);

	if (fuzz_once_in(random, 3))
		munmap(page, RAW_PAGE);
	else
		fuzz_map_at((uintptr_t)page, RAW_PAGE,
			    fuzz_below(random, 2) ? PROT_READ | PROT_WRITE : PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* What is in the table is up to whoever looks into it: nobody here does. */
static void fuzz_table(struct fuzz_random *random)
{
	uint64_t nr = fuzz_below(random, FUZZ_TABLE_SIZE / RAW_PAGE);
	void *page = (void *)(FUZZ_TABLE + nr * RAW_PAGE);

	switch (fuzz_below(random, 16)) {
	case 0:
		madvise(page, RAW_PAGE, MADV_DONTNEED);
		break;
	case 1:
		munmap(page, RAW_PAGE);
		break;
	case 2:
		mprotect(page, RAW_PAGE, PROT_READ);
		break;
	default:
		fuzz_map_at((uintptr_t)page, RAW_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	}
}

static void *fuzz_memory_main(void *arg)
{
	struct fuzz_random random = fuzz_derive((uintptr_t)arg, 'm');

	for (;;) {
		fuzz_pause_if_calm();
		fuzz_tear(&random);
		fuzz_drop(&random);
		fuzz_scratch(&random);
		fuzz_table(&random);
		usleep(fuzz_below(&random, 1000));
	}
	return NULL;
}

static void *fuzz_born_main(void *arg)
{
	fuzz_look();
	return NULL;
}

static void *fuzz_threads_main(void *arg)
{
	pthread_t thread;

	for (;;) {
		fuzz_pause_if_calm();
		if (!pthread_create(&thread, NULL, fuzz_born_main, NULL))
			pthread_join(thread, NULL);
	}
	return NULL;
}

static int fuzz_child(void *arg)
{
	fuzz_look();
	return 0;
}

static void *fuzz_vfork_main(void *arg)
{
	char *stack = malloc(65536);

	for (;;) {
		pid_t pid;

		fuzz_pause_if_calm();
		pid = clone(fuzz_child, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
		waitpid(pid, NULL, __WALL);
	}
	return NULL;
}

/* Whether something is mapped that no session has committed: there everything is ours. */
static bool fuzz_has_inherited(void)
{
	uint64_t page = FUZZ_DROP, end = FUZZ_DROP + (FUZZ_SLOTS * 4 + 2) * RAW_PAGE;

	while (page < end && msync((void *)page, RAW_PAGE, MS_ASYNC))
		page += RAW_PAGE;
	return page < end;
}

static void *fuzz_fork_main(void *arg)
{
	for (;;) {
		pid_t pid;

		fuzz_pause_if_calm();
		pid = fork();
		if (!pid) {
			fuzz_look();
			if (fuzz_has_inherited())
				fuzz_count(&fuzz_shared->inherited);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		usleep(1000);
	}
	return NULL;
}

static void fuzz_on_signal(int sig)
{
	fuzz_look();
}

/* SIGALRM is for this thread, all others have it blocked. */
static void *fuzz_signals_main(void *arg)
{
	struct itimerval timer = { { 0, 2000 }, { 0, 2000 } }, none = { };
	stack_t stack = { .ss_size = 65536, .ss_sp = malloc(65536) };
	struct sigaction action = { .sa_handler = fuzz_on_signal, .sa_flags = SA_ONSTACK };
	sigset_t set;

	sigaltstack(&stack, NULL);
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (;;) {
		setitimer(ITIMER_REAL, &none, NULL);
		fuzz_pause_if_calm();
		setitimer(ITIMER_REAL, &timer, NULL);
		for (volatile int i = 0; i < 1000000; i++)
			;
	}
	return NULL;
}

/* ---- the victim ---- */

static void fuzz_victim_memory(void)
{
	fuzz_code_fd = fuzz_code_file();
	fuzz_torn_map(PROT_READ);
	if (!fuzz_map_at(FUZZ_CALLED, FUZZ_REGION, PROT_READ | PROT_EXEC, MAP_PRIVATE,
			 fuzz_code_fd) ||
	    !fuzz_map_at(FUZZ_SHARED, FUZZ_REGION, PROT_READ | PROT_EXEC, MAP_SHARED,
			 fuzz_code_fd) ||
	    !fuzz_map_at(FUZZ_TABLE, FUZZ_TABLE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1) ||
	    !fuzz_map_at(FUZZ_SCRATCH, FUZZ_SCRATCH_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1))
		_exit(92);
	if (fuzz_map_at(FUZZ_HUGE, FUZZ_HUGE_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1))
		madvise((void *)FUZZ_HUGE, FUZZ_HUGE_PAGE, MADV_DONTFORK);
}

static void fuzz_victim_threads(struct fuzz_random *random, uint32_t features)
{
	static const struct {
		uint32_t feature;
		void *(*main)(void *arg);
	} threads[] = {
		{ FUZZ_MEMORY, fuzz_memory_main },
		{ FUZZ_THREADS, fuzz_threads_main },
		{ FUZZ_VFORK, fuzz_vfork_main },
		{ FUZZ_FORK, fuzz_fork_main },
		{ FUZZ_SIGNALS, fuzz_signals_main },
	};
	static const struct {
		uint32_t feature;
		enum fuzz_stack_kind kind;
	} stacks[] = {
		{ FUZZ_UFFD, FUZZ_STACK_UFFD },
		{ FUZZ_FUSE, FUZZ_STACK_FUSE },
		{ FUZZ_MEMFD, FUZZ_STACK_MEMFD },
		{ FUZZ_HUGETLB, FUZZ_STACK_HUGE },
	};
	/* a helper process must not outlive the memory that it serves */
	bool outside = !(features & (FUZZ_EXEC | FUZZ_ZOMBIE)) && fuzz_below(random, 2);
	size_t i;

	for (i = 0; i < sizeof(threads) / sizeof(*threads); i++) {
		void *seed = (void *)(uintptr_t)fuzz_next(random);

		if (!(features & threads[i].feature))
			continue;
		fuzz_disturber();
		fuzz_start_thread(threads[i].main, seed);
	}
	for (i = 0; i < sizeof(stacks) / sizeof(*stacks); i++)
		if (features & stacks[i].feature)
			fuzz_stack_start(stacks[i].kind, random, outside);
	if (features & FUZZ_WILD)
		fuzz_wild_start(random);
	fuzz_start_thread(fuzz_hammer_main, NULL);
	for (i = fuzz_below(random, 3); i > 0; i--)
		fuzz_start_thread(fuzz_sleeper_main, (void *)(uintptr_t)fuzz_next(random));
}

static void fuzz_victim_exec(int fd, uint64_t seed, uint32_t features)
{
	char text[3][24];
	char * const argv[] = { "fuzz_ioctl", "--victim", text[0], text[1], text[2], NULL };

	snprintf(text[0], sizeof(text[0]), "%d", fd);
	snprintf(text[1], sizeof(text[1]), "%lu", (unsigned long)seed + 1);
	snprintf(text[2], sizeof(text[2]), "%u", features);
	execv("/proc/self/exe", argv);
	_exit(93);
}

/* Never returns; @fd: of the memory that is shared with the fuzzer. */
static void fuzz_victim(int fd, uint64_t seed, uint32_t features)
{
	struct fuzz_random random = fuzz_derive(seed, 'v');
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* the fuzzer has to get a processor too */
	setpriority(PRIO_PROCESS, 0, 10);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fuzz_shared = mmap(NULL, sizeof(*fuzz_shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fuzz_shared == MAP_FAILED)
		_exit(94);
	/* after an exec: not quiet before it has all its threads */
	fuzz_shared->ready = 0;
	fuzz_shared->disturbers = 0;
	fuzz_shared->quiet = 0;
	fuzz_victim_memory();
	if (features & FUZZ_EXEC)
		fuzz_disturber();
	fuzz_victim_threads(&random, features);
	fuzz_shared->ready = 1;

	if (features & FUZZ_ZOMBIE)
		syscall(SYS_exit, 0);
	while (!(features & (FUZZ_EXEC | FUZZ_EXIT)))
		pause();
	usleep(fuzz_below(&random, 400000));
	if (features & FUZZ_EXIT)
		_exit(0);
	fuzz_pause_if_calm();
	fuzz_count(&fuzz_shared->execs);
	fuzz_victim_exec(fd, seed, features);
}

#endif /* FUZZ_VICTIMS_H */
