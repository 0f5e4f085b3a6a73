/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must hold behind a round of the fuzzer: of a victim, and of the module.
 */
#ifndef FUZZ_HOLDS_H
#define FUZZ_HOLDS_H

#include <dirent.h>
#include "plans.h"
#include "victims.h"

struct victim {
	pid_t pid;
	uint32_t features;
	bool killed;
	int fd;
	struct fuzz_shared *shared;
};

static int kernel_log;

/*
 * A live thread of a process: the first one may have ended, and of the last ones
 * some are about to.
 */
static pid_t live_thread(pid_t pid)
{
	char path[64], line[16];
	struct dirent *entry;
	pid_t tid = 0;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && !tid && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/maps", pid, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, line, sizeof(line)) > 0)
			tid = atoi(entry->d_name);
		close(fd);
	}
	if (dir)
		closedir(dir);
	return tid;
}

/*
 * The kernel says which mapping it left, and for which reason.  What it left may have
 * lost its beginning since, to somebody's UNMAP: the rest of it begins further on.
 */
static bool was_announced(uint64_t addr)
{
	static uint64_t announced[256];
	static unsigned int nr;
	char line[1024], *text;
	unsigned long at;
	unsigned int reason, i;
	ssize_t length;

	/* EPIPE: lines were lost, the next call has what came behind them */
	while ((length = read(kernel_log, line, sizeof(line) - 1)) > 0 ||
	       (length < 0 && errno == EPIPE)) {
		line[length > 0 ? length : 0] = 0;
		text = strstr(line, "mapping at ");
		reason = ULP_REASON_NONE;
		if (!text || sscanf(text, "mapping at %lx stays: error %*d, reason %u", &at,
				    &reason) < 1)
			continue;
		announced[nr++ % 256] = at;
		if (reason < FUZZ_REASONS)
			fuzz_count(&fuzz_counts->stayed[reason]);
	}
	for (i = 0; i < 256 && i < nr; i++)
		if (addr - announced[i] < FUZZ_LENGTH)
			return true;
	return false;
}

/* Whether a mapping is left that nobody committed; the first one in @line. */
static bool has_uncommitted(pid_t pid, pid_t tid, char *line, int size)
{
	bool found = false;
	uint64_t start;
	FILE *file;

	snprintf(line, size, "/proc/%d/task/%d/maps", pid, tid);
	file = fopen(line, "re");
	while (file && !found && fgets(line, size, file)) {
		start = strtoull(line, NULL, 16);
		found = start >= FUZZ_DROP && start < FUZZ_DROP + (1ULL << 40) &&
			!was_announced(start);
	}
	if (file)
		fclose(file);
	return found;
}

/* A session that was closed under another one has its last turn when that is closed. */
static void check_maps(pid_t pid, pid_t tid)
{
	char line[512];

	if (!RAW_WAIT(!has_uncommitted(pid, tid, line, sizeof(line))))
		fuzz_wrong("a mapping is left that was not committed: %s", line);
}

static bool is_quiet(const struct fuzz_shared *shared)
{
	return shared->ready && shared->quiet == shared->disturbers;
}

/* Reads both halves of the pair of a victim that goes on. */
static bool read_pair(pid_t pid, int mem, uint32_t *a, uint32_t *b)
{
	ssize_t first, second;

	errno = 0;
	first = pread(mem, a, sizeof(*a), RAW_ANSWER_AT(fuzz_half_a));
	second = pread(mem, b, sizeof(*b), RAW_ANSWER_AT(fuzz_half_b));
	if (first == sizeof(*a) && second == sizeof(*b))
		return true;
	fuzz_wrong("memory of victim %d cannot be read: %zd and %zd bytes, %s", pid, first,
		   second, strerror(errno));
	return false;
}

/* A plan without tricks: it must work when nothing disturbs it. */
static void check_patchable(pid_t pid, pid_t tid, const struct fuzz_shared *shared)
{
	/* not on the stack: victims inherit it, and a word of it is one of theirs */
	static const struct ulp_range ranges[] = {
		{ (uintptr_t)fuzz_pair, (uintptr_t)fuzz_pair_end },
		{ (uintptr_t)fuzz_half_a, (uintptr_t)fuzz_half_a + FUZZ_FUNCTION_SIZE },
		{ (uintptr_t)fuzz_half_b, (uintptr_t)fuzz_half_b + FUZZ_FUNCTION_SIZE },
	};
	static uint32_t a, b, value;
	static const struct ulp_write writes[] = {
		{ .addr = (uintptr_t)fuzz_half_a + 1, .len = 4,
		  .expected = (uintptr_t)&a, .bytes = (uintptr_t)&value },
		{ .addr = (uintptr_t)fuzz_half_b + 1, .len = 4,
		  .expected = (uintptr_t)&b, .bytes = (uintptr_t)&value },
	};
	uint64_t end = raw_now() + RAW_LIMIT_NS, turns;
	int ret, fd, mem;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", pid, tid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	fd = mem < 0 ? -errno : raw_session_of(mem);
	if (fd < 0) {
		fuzz_wrong("victim %d, thread %d, cannot be opened any more: %s", pid, tid,
			   strerror(-fd));
		close(mem);
		return;
	}
	do {
		struct ulp_transact args = raw_transact_args();

		if (!read_pair(pid, mem, &a, &b))
			goto out;
		value = fuzz_value((a + 1) % FUZZ_VALUES);
		args.ranges = (uintptr_t)ranges;
		args.nr_ranges = 3;
		args.writes = (uintptr_t)writes;
		args.nr_writes = 2;
		args.attempts = 100;
		args.retry_ns = 2000000;
		ret = raw_transact(fd, &args);
		if (ret && raw_now() > end)
			fuzz_wrong("victim %d cannot be patched any more: %s, reason %u, thread %u, ip %#lx, sp %#lx, slot %#lx, value %#lx",
				   pid, strerror(-ret), args.out_reason, args.out_tid,
				   (unsigned long)args.out_ip, (unsigned long)args.out_sp,
				   (unsigned long)args.out_slot, (unsigned long)args.out_value);
	} while (ret && raw_now() < end);
	if (!read_pair(pid, mem, &a, &b))
		goto out;
	if (!ret && (a != value || b != value))
		fuzz_wrong("victim %d has %#x and %#x, not %#x", pid, a, b, value);
	turns = shared->turns;
	if (!RAW_WAIT(__atomic_load_n(&shared->turns, __ATOMIC_RELAXED) > turns + 1))
		fuzz_wrong("victim %d does not go on", pid);
	if (raw_is_debug() && !RAW_WAIT(raw_gates(fd) == 0))
		fuzz_wrong("%lu gates are left", (unsigned long)raw_gates(fd));
out:
	close(fd);
	close(mem);
}

static void check_victim(struct victim *victim)
{
	const struct fuzz_shared *shared = victim->shared;
	bool may_end = victim->killed || (victim->features & FUZZ_EXIT);
	int status = 0;
	pid_t tid;

	victim->shared->calm = 1;
	if (!may_end) {
		bool quiet = RAW_WAIT(is_quiet(shared) ||
				      waitpid(victim->pid, &status, WNOHANG | WNOWAIT) > 0);

		if (!quiet)
			fuzz_wrong("victim %d (features %#x) hangs: %u of %u are quiet",
				   victim->pid, victim->features, shared->quiet,
				   shared->disturbers);
		else if (waitpid(victim->pid, &status, WNOHANG) > 0)
			fuzz_wrong("victim %d (features %#x) ended with status %#x", victim->pid,
				   victim->features, status);
		if (quiet && !status) {
			tid = live_thread(victim->pid);
			if (!tid)
				fuzz_wrong("victim %d has no thread any more", victim->pid);
			check_maps(victim->pid, tid);
			check_patchable(victim->pid, tid, shared);
		}
	}
	if (shared->wrong || shared->mixed || shared->early)
		fuzz_wrong("victim %d (features %#x): %lu answers wrong, %lu mixed (%#lx), %lu system calls ended early",
			   victim->pid, victim->features, (unsigned long)shared->wrong,
			   (unsigned long)shared->mixed, (unsigned long)shared->value,
			   (unsigned long)shared->early);
	if (shared->inherited)
		fuzz_wrong("victim %d (features %#x): %lu children have what was not committed",
			   victim->pid, victim->features, (unsigned long)shared->inherited);
	fuzz_counts->execs += shared->execs;
}

static int module_references(void)
{
	FILE *file = fopen("/sys/module/ulp/refcnt", "re");
	int references = -1;

	if (file) {
		if (fscanf(file, "%d", &references) != 1)
			references = -1;
		fclose(file);
	}
	return references;
}

#endif /* FUZZ_HOLDS_H */
