// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Live patching by ptrace, with the same care as the module's and as fast as it
 * can be done that way:
 *
 * All threads are told to stop before the first is waited for.  Each stack is
 * read from its stack pointer to its end by one system call per 64 KiB, and
 * every word is compared with all ranges by a binary search.  All bytes are
 * compared before the first is written, those of one page by one system call.
 * What can be done before the stop is done before it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"
#include "by_ptrace.h"

#define MAX_THREADS	4096
#define MAX_TID		(4 << 20)	/* the kernel's PID_MAX_LIMIT */
#define PAGE		4096ULL
#define CHUNK		(64 * 1024)

struct thread {
	pid_t tid;
	bool stopped;
	int signal;	/* that the stop held up: delivered at the detach */
};

struct area {
	uint64_t start, end;
};

struct work {
	pid_t pid;
	int mem;
	struct ulp_range *ranges;	/* ascending */
	struct ulp_write *writes;	/* ascending */
	size_t nr_ranges, nr_writes;
	struct area *areas;		/* ascending; the memory map */
	size_t nr_areas, room;
};

/* One transaction at a time. */
static struct thread threads[MAX_THREADS];
static size_t nr_threads;
static bool known[MAX_TID];	/* by thread id: in threads[] */

/* ---- memory map: where a stack ends ---- */

static void read_areas(struct work *work)
{
	unsigned long long start, end;
	char path[64], line[512];
	FILE *maps;

	work->nr_areas = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", work->pid);
	maps = fopen(path, "re");
	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx", &start, &end) != 2)
			continue;
		if (work->nr_areas == work->room) {
			work->room = work->room ? 2 * work->room : 1024;
			work->areas = realloc(work->areas, work->room * sizeof(*work->areas));
			if (!work->areas)
				abort();
		}
		work->areas[work->nr_areas++] = (struct area){ start, end };
	}
	fclose(maps);
}

static uint64_t stack_end(struct work *work, uint64_t sp)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		size_t low = 0, high = work->nr_areas;

		while (low < high) {
			size_t middle = (low + high) / 2;

			if (work->areas[middle].end <= sp)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < work->nr_areas && work->areas[low].start <= sp)
			return work->areas[low].end;
		read_areas(work);
	}
	return 0;
}

/* ---- stop and continue ---- */

/* Seizes the threads that are not seized yet; they run on. */
static size_t seize_all(pid_t pid)
{
	size_t before = nr_threads;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0 || tid >= MAX_TID || known[tid] || nr_threads == MAX_THREADS)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
			continue;
		threads[nr_threads++] = (struct thread){ .tid = tid };
		known[tid] = true;
	}
	closedir(dir);
	return nr_threads - before;
}

static void wait_stop(struct thread *thread)
{
	int status;

	while (waitpid(thread->tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return;
	thread->stopped = WIFSTOPPED(status);
	if (thread->stopped && status >> 16 != PTRACE_EVENT_STOP)
		thread->signal = WSTOPSIG(status);
}

/* Returns when the first thread was told to stop. */
static uint64_t stop_all(pid_t pid)
{
	size_t stopped = 0;
	uint64_t begin;

	while (seize_all(pid))
		;
	begin = bench_now();
	do {
		for (size_t i = stopped; i < nr_threads; i++)
			ptrace(PTRACE_INTERRUPT, threads[i].tid, NULL, NULL);
		for (; stopped < nr_threads; stopped++)
			wait_stop(&threads[stopped]);
	} while (seize_all(pid));
	return begin;
}

static void detach_all(void)
{
	for (size_t i = 0; i < nr_threads; i++) {
		if (threads[i].stopped)
			ptrace(PTRACE_DETACH, threads[i].tid, NULL,
			       (void *)(uintptr_t)threads[i].signal);
		known[threads[i].tid] = false;
	}
	nr_threads = 0;
}

/* ---- check ---- */

/* A return address may equal the end of a range, and never its start. */
static const struct ulp_range *range_of(const struct work *work, uint64_t word)
{
	size_t low = 0, high = work->nr_ranges;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (work->ranges[middle].end < word)
			low = middle + 1;
		else
			high = middle;
	}
	return low < work->nr_ranges && word > work->ranges[low].start ? &work->ranges[low] : NULL;
}

/* Returns 0 if the thread is in no range, or -errno and who it is. */
static int check_thread(struct work *work, pid_t tid, struct ulp_transact *transact)
{
	static uint64_t words[CHUNK / sizeof(uint64_t)];
	struct user_regs_struct regs;
	uint64_t at, end;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs))
		return errno == ESRCH ? 0 : -errno;
	transact->out_tid = tid;
	transact->out_ip = regs.rip;
	transact->out_sp = regs.rsp;
	transact->out_slot = 0;
	transact->out_value = regs.rip;
	transact->out_reason = ULP_REASON_IP;
	if (range_of(work, regs.rip + 1))
		return -EADDRINUSE;
	at = regs.rsp & ~7ULL;
	end = stack_end(work, at);
	transact->out_reason = ULP_REASON_NO_STACK;
	if (!end)
		return -EADDRINUSE;
	while (at < end) {
		struct iovec local = { words, end - at < CHUNK ? end - at : CHUNK };
		struct iovec remote = { (void *)(uintptr_t)at, local.iov_len };
		ssize_t n = process_vm_readv(work->pid, &local, 1, &remote, 1, 0);

		if (n < (ssize_t)sizeof(*words))
			return -EADDRINUSE;
		for (size_t i = 0; i < (size_t)n / sizeof(*words); i++) {
			if (!range_of(work, words[i]))
				continue;
			transact->out_reason = ULP_REASON_STACK;
			transact->out_slot = at + i * sizeof(*words);
			transact->out_value = words[i];
			return -EADDRINUSE;
		}
		at += (uint64_t)n & ~7ULL;
	}
	return 0;
}

static int check_all(struct work *work, struct ulp_transact *transact)
{
	int err = 0;

	transact->out_threads = nr_threads;
	for (size_t i = 0; i < nr_threads && !err; i++)
		if (threads[i].stopped)
			err = check_thread(work, threads[i].tid, transact);
	if (!err) {
		transact->out_tid = 0;
		transact->out_reason = ULP_REASON_NONE;
	}
	return err;
}

/* ---- write ---- */

/* Compares or writes everything; what is on one page by one system call. */
static int each_page(const struct work *work, bool write, struct ulp_transact *transact)
{
	for (size_t i = 0; i < work->nr_writes;) {
		uint64_t start = work->writes[i].addr, page = start & -PAGE;
		uint8_t bytes[PAGE];
		size_t last = i, size;

		while (last + 1 < work->nr_writes && (work->writes[last + 1].addr & -PAGE) == page)
			last++;
		size = work->writes[last].addr + work->writes[last].len - start;
		if (size > sizeof(bytes) || pread(work->mem, bytes, size, start) != (ssize_t)size)
			return -EFAULT;
		for (; i <= last; i++) {
			const struct ulp_write *one = &work->writes[i];
			uint8_t *at = bytes + (one->addr - start);

			if (write) {
				memcpy(at, (void *)(uintptr_t)one->bytes, one->len);
			} else if (memcmp(at, (void *)(uintptr_t)one->expected, one->len)) {
				transact->out_reason = ULP_REASON_BYTES;
				transact->out_write = i;
				return -ESTALE;
			}
		}
		if (write && pwrite(work->mem, bytes, size, start) != (ssize_t)size)
			return -EFAULT;
	}
	return 0;
}

/* ---- the sequence ---- */

static int attempt(struct work *work, struct ulp_transact *transact)
{
	uint64_t begin;
	int err;

	read_areas(work);
	begin = stop_all(work->pid);
	err = nr_threads ? check_all(work, transact) : -ESRCH;
	if (!err)
		err = each_page(work, false, transact);
	if (!err && !(transact->flags & ULP_TRANSACT_DRY_RUN))
		err = each_page(work, true, transact);
	detach_all();
	transact->out_freeze_ns = bench_now() - begin;
	if (transact->out_freeze_ns > transact->out_max_freeze_ns)
		transact->out_max_freeze_ns = transact->out_freeze_ns;
	transact->out_attempts++;
	return err;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct ulp_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int compare_writes(const void *a, const void *b)
{
	const struct ulp_write *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

static void *sorted(uint64_t array, size_t count, size_t size,
		    int (*compare)(const void *, const void *))
{
	void *copy = malloc(count * size + 1);

	if (!copy)
		abort();
	memcpy(copy, (void *)(uintptr_t)array, count * size);
	qsort(copy, count, size, compare);
	return copy;
}

int by_ptrace_transact(pid_t pid, int mem, struct ulp_transact *transact)
{
	struct work work = {
		.pid = pid,
		.mem = mem,
		.nr_ranges = transact->nr_ranges,
		.nr_writes = transact->nr_writes,
	};
	int err;

	work.ranges = sorted(transact->ranges, work.nr_ranges, sizeof(*work.ranges),
			     compare_ranges);
	work.writes = sorted(transact->writes, work.nr_writes, sizeof(*work.writes),
			     compare_writes);
	transact->out_attempts = 0;
	transact->out_max_freeze_ns = 0;
	do {
		if (transact->out_attempts)
			usleep(transact->retry_ns / 1000);
		err = attempt(&work, transact);
	} while (err == -EADDRINUSE && transact->out_attempts < transact->attempts);
	free(work.ranges);
	free(work.writes);
	free(work.areas);
	return err;
}

/* ---- system calls of the target ---- */

/* A "syscall" instruction of the target: its vDSO has one. */
static uint64_t find_syscall(pid_t pid, int mem)
{
	static uint8_t code[64 * 1024];
	unsigned long long start, end;
	char path[64], line[512];
	uint64_t found = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps)) {
		uint8_t *at;
		ssize_t n;

		if (!strstr(line, "[vdso]") || sscanf(line, "%llx-%llx", &start, &end) != 2)
			continue;
		n = pread(mem, code, end - start < sizeof(code) ? end - start : sizeof(code),
			  (off_t)start);
		at = n > 0 ? memmem(code, (size_t)n, "\x0f\x05", 2) : NULL;
		if (at)
			found = start + (uint64_t)(at - code);
	}
	if (maps)
		fclose(maps);
	return found;
}

/* The thread is stopped, and is so again afterwards.  Returns what the call does. */
static long remote_call(pid_t tid, const struct user_regs_struct *base, const uint64_t *arguments)
{
	struct user_regs_struct regs = *base;
	int status;

	regs.rax = arguments[0];
	regs.rdi = arguments[1];
	regs.rsi = arguments[2];
	regs.rdx = arguments[3];
	regs.r10 = arguments[4];
	regs.r8 = arguments[5];
	regs.r9 = arguments[6];
	regs.orig_rax = -1; /* the interrupted system call is not restarted now */
	if (ptrace(PTRACE_SETREGS, tid, NULL, &regs) ||
	    ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) ||
	    waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_GETREGS, tid, NULL, &regs))
		return -ESRCH;
	return (long)regs.rax;
}

static int remote_map(pid_t pid, int mem, const struct user_regs_struct *base, int fd,
		      uint64_t offset, uint64_t addr, uint64_t length, int protection)
{
	int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (fd < 0 ? MAP_ANONYMOUS : 0);
	uint64_t below = (base->rsp - 1024) & ~15ULL; /* not in use: below the red zone */
	uint64_t open_it[] = { SYS_open, below, O_RDONLY, 0, 0, 0, 0 };
	uint64_t map_it[] = { SYS_mmap, addr, length, protection, flags, -1, offset };
	uint64_t close_it[] = { SYS_close, 0, 0, 0, 0, 0, 0 };
	char path[64];
	long result;

	if (fd >= 0) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
		if (pwrite(mem, path, sizeof(path), (off_t)below) != sizeof(path))
			return -EFAULT;
		result = remote_call(pid, base, open_it);
		if (result < 0)
			return (int)result;
		map_it[5] = result;
		close_it[1] = result;
	}
	result = remote_call(pid, base, map_it);
	if (fd >= 0)
		remote_call(pid, base, close_it);
	return result < 0 && result > -4096 ? (int)result : 0;
}

int by_ptrace_map(pid_t pid, int mem, int fd, uint64_t offset, uint64_t addr, uint64_t length,
		  int protection)
{
	uint64_t instruction = find_syscall(pid, mem);
	struct user_regs_struct saved, regs;
	struct thread thread = { .tid = pid };
	int result = -ESRCH;

	if (!instruction || ptrace(PTRACE_SEIZE, pid, NULL, NULL))
		return -EIO;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	wait_stop(&thread);
	if (!thread.stopped)
		return -ESRCH;
	if (!ptrace(PTRACE_GETREGS, pid, NULL, &saved)) {
		regs = saved;
		regs.rip = instruction;
		result = remote_map(pid, mem, &regs, fd, offset, addr, length, protection);
		ptrace(PTRACE_SETREGS, pid, NULL, &saved);
	}
	ptrace(PTRACE_DETACH, pid, NULL, (void *)(uintptr_t)thread.signal);
	return result;
}
