// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The reference that ulp is measured against: live patching by ptrace, with the
 * same care and as fast as it can be done that way.
 *
 *	ptrace_patch [-r] [-a ATTEMPTS] PID OLD:NEW...
 *
 * Makes functions OLD of PID's executable jump to functions NEW of the same
 * executable; -r takes it back.  All threads are stopped (PTRACE_SEIZE, then
 * PTRACE_INTERRUPT for all of them before the first is waited for), registers
 * and whole stacks are checked for words that point into the functions, all
 * bytes are compared before the first is written, all functions of a page are
 * written by one system call.  What can be done before the stop is done before.
 *
 * It has an easier job than ulp-tool, all to its advantage: the new code is in
 * the program already, so there is no patch file to read, nothing to map into
 * the process, nothing to relocate and no record to write.
 *
 * Prints "pause_ns=N": from the first PTRACE_INTERRUPT to the last
 * PTRACE_DETACH.  Exit status: 0 done, 1 failed, 3 a thread was inside.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define MAX_THREADS	4096
#define MAX_TID		(4 << 20)	/* the kernel's PID_MAX_LIMIT */
#define MAX_CHANGES	256
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

static pid_t pid;
static bool revert;
static struct bench_change changes[MAX_CHANGES];
static size_t nr_changes;
static struct thread threads[MAX_THREADS];
static size_t nr_threads;
static bool known[MAX_TID];	/* by thread id: in threads[] */
static struct area *areas;
static size_t nr_areas;
static int mem;

static uint64_t range_start(const struct bench_change *change)
{
	return revert ? change->new_start : change->old_start;
}

static uint64_t range_end(const struct bench_change *change)
{
	return revert ? change->new_end : change->old_end;
}

static int compare_ranges(const void *a, const void *b)
{
	uint64_t x = range_start(a), y = range_start(b);

	return (x > y) - (x < y);
}

static int compare_writes(const void *a, const void *b)
{
	const struct bench_change *x = a, *y = b;

	return (x->old_start > y->old_start) - (x->old_start < y->old_start);
}

/* ---- memory map: where a stack ends ---- */

static void read_areas(void)
{
	unsigned long long start, end;
	size_t room = nr_areas;
	char path[64], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		err(1, "%s", path);
	nr_areas = 0;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx", &start, &end) != 2)
			continue;
		if (nr_areas >= room) {
			room = room ? 2 * room : 1024;
			areas = realloc(areas, room * sizeof(*areas));
			if (!areas)
				err(1, "realloc");
		}
		areas[nr_areas++] = (struct area){ start, end };
	}
	fclose(maps);
}

static uint64_t stack_end(uint64_t sp)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		size_t low = 0, high = nr_areas;

		while (low < high) {
			size_t middle = (low + high) / 2;

			if (areas[middle].end <= sp)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < nr_areas && areas[low].start <= sp)
			return areas[low].end;
		read_areas();
	}
	return 0;
}

/* ---- stop and continue ---- */

/* Seizes the threads that are not seized yet; they run on. */
static size_t seize_all(void)
{
	size_t before = nr_threads;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		err(1, "%s", path);
	while ((entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0 || tid >= MAX_TID || known[tid])
			continue;
		if (nr_threads == MAX_THREADS)
			errx(1, "more than %d threads", MAX_THREADS);
		if (!ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
			threads[nr_threads++] = (struct thread){ .tid = tid };
			known[tid] = true;
		} else if (errno != ESRCH) {
			err(1, "PTRACE_SEIZE %d", tid);
		}
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
static uint64_t stop_all(void)
{
	size_t stopped = 0;
	uint64_t begin;

	while (seize_all())
		;
	begin = bench_now();
	do {
		for (size_t i = stopped; i < nr_threads; i++)
			ptrace(PTRACE_INTERRUPT, threads[i].tid, NULL, NULL);
		for (; stopped < nr_threads; stopped++)
			wait_stop(&threads[stopped]);
	} while (seize_all());
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

/* ---- check: changes[] is sorted by range ---- */

/* A return address may equal the end of a range, and never its start. */
static bool points_inside(uint64_t word)
{
	size_t low = 0, high = nr_changes;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (range_end(&changes[middle]) < word)
			low = middle + 1;
		else
			high = middle;
	}
	return low < nr_changes && word > range_start(&changes[low]);
}

static bool executes_inside(uint64_t ip)
{
	return points_inside(ip + 1);
}

static bool thread_inside(const struct thread *thread)
{
	static uint64_t words[CHUNK / sizeof(uint64_t)];
	struct user_regs_struct regs;
	uint64_t at, end;

	if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs))
		return errno != ESRCH;
	if (executes_inside(regs.rip))
		return true;
	at = regs.rsp & ~7ULL;
	end = stack_end(at);
	if (!end)
		return true;
	while (at < end) {
		struct iovec local = { words, end - at < CHUNK ? end - at : CHUNK };
		struct iovec remote = { (void *)(uintptr_t)at, local.iov_len };
		ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

		if (n < (ssize_t)sizeof(*words))
			return true;
		for (size_t i = 0; i < (size_t)n / sizeof(*words); i++)
			if (points_inside(words[i]))
				return true;
		at += (uint64_t)n & ~7ULL;
	}
	return false;
}

static bool anyone_inside(void)
{
	for (size_t i = 0; i < nr_threads; i++)
		if (threads[i].stopped && thread_inside(&threads[i]))
			return true;
	return false;
}

/* ---- write: changes[] is sorted by address of the jump ---- */

/*
 * Compares or writes all changes; those of one page by one system call.
 * Returns NULL or what went wrong.
 */
static const char *each_page(bool write)
{
	for (size_t i = 0; i < nr_changes;) {
		uint64_t start = changes[i].old_start, page = start & -PAGE;
		uint8_t bytes[PAGE + BENCH_JUMP];
		size_t last = i, size;

		while (last + 1 < nr_changes && (changes[last + 1].old_start & -PAGE) == page)
			last++;
		size = changes[last].old_start + BENCH_JUMP - start;
		if (pread(mem, bytes, size, (off_t)start) != (ssize_t)size)
			return "cannot read the code";
		for (; i <= last; i++) {
			const struct bench_change *change = &changes[i];
			uint8_t *entry = bytes + (change->old_start - start);
			const uint8_t *now = revert ? change->jump : change->saved;
			const uint8_t *then = revert ? change->saved : change->jump;

			if (!write && memcmp(entry, now, BENCH_JUMP))
				return revert ? "not applied" : "the code is not as in the file";
			if (write)
				memcpy(entry, then, BENCH_JUMP);
		}
		if (write && pwrite(mem, bytes, size, (off_t)start) != (ssize_t)size)
			return "cannot write the code";
	}
	return NULL;
}

/* ---- the sequence ---- */

static void look_up(char **pairs, size_t count)
{
	char *old_names[MAX_CHANGES], *new_names[MAX_CHANGES];
	const char *problem;

	if (count > MAX_CHANGES)
		errx(2, "more than %d functions", MAX_CHANGES);
	for (size_t i = 0; i < count; i++) {
		old_names[i] = strdup(pairs[i]);
		new_names[i] = old_names[i] ? strchr(old_names[i], ':') : NULL;
		if (!new_names[i])
			errx(2, "not OLD:NEW: %s", pairs[i]);
		*new_names[i]++ = 0;
	}
	problem = bench_symbols(pid, old_names, new_names, count, changes);
	if (problem)
		errx(1, "%s", problem);
	nr_changes = count;
}

/* Returns the exit status. */
static int attempt(uint64_t *pause_ns)
{
	const char *problem = NULL;
	uint64_t begin;
	bool busy;

	read_areas();
	qsort(changes, nr_changes, sizeof(*changes), compare_ranges);
	begin = stop_all();
	busy = anyone_inside();
	if (!busy) {
		qsort(changes, nr_changes, sizeof(*changes), compare_writes);
		problem = each_page(false);
		if (!problem)
			problem = each_page(true);
	}
	detach_all();
	*pause_ns = bench_now() - begin;
	if (problem)
		warnx("%s", problem);
	return problem ? 1 : busy ? 3 : 0;
}

int main(int argc, char **argv)
{
	int option, attempts = 20, made = 0, status;
	uint64_t pause_ns, longest_ns = 0;
	char path[64];

	while ((option = getopt(argc, argv, "ra:")) != -1) {
		if (option == 'r')
			revert = true;
		else if (option == 'a')
			attempts = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind < 2)
		errx(2, "usage: ptrace_patch [-r] [-a ATTEMPTS] PID OLD:NEW...");
	pid = atoi(argv[optind]);
	look_up(argv + optind + 1, (size_t)(argc - optind - 1));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	if (mem < 0)
		err(1, "%s", path);
	do {
		if (made)
			usleep(5000);
		status = attempt(&pause_ns);
		if (pause_ns > longest_ns)
			longest_ns = pause_ns;
	} while (++made < attempts && status == 3);
	printf("pause_ns=%llu longest_ns=%llu attempts=%d\n", (unsigned long long)pause_ns,
	       (unsigned long long)longest_ns, made);
	return status;
}
