/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fuzzer's callers: processes whose threads share a table of descriptors,
 * and call, close, replace and inherit them at the same time.
 */
#ifndef FUZZ_CALLERS_H
#define FUZZ_CALLERS_H

#include <sched.h>
#include "arena.h"
#include "probes.h"

#define FUZZ_TARGETS		4	/* the last is the caller itself */
#define FUZZ_SESSIONS		6
#define FUZZ_CALLER_THREADS	3

/**
 * struct fuzz_caller - one process
 * @seed: of its round and number
 * @nr_threads: of it
 * @commits: its mappings may stay; else no transaction of it commits
 * @faults: it arms fault points
 * @debug: the module has ULP_DEBUG
 * @nr_targets: victims
 * @targets: their processes
 * @mem: descriptors of their memory, and of its own
 * @device: /dev/ulp
 * @sessions: shared by its threads
 * @session_target: whose
 * @files: what is mapped, and what cannot be mapped
 * @nr_files: of them
 * @arenas: of its threads
 * @stop: time is up
 */
struct fuzz_caller {
	uint64_t seed;
	unsigned int nr_threads;
	bool commits, faults, debug;
	unsigned int nr_targets;
	pid_t targets[FUZZ_TARGETS];
	int mem[FUZZ_TARGETS];
	int device;
	volatile int sessions[FUZZ_SESSIONS];
	volatile unsigned int session_target[FUZZ_SESSIONS];
	int files[16];
	unsigned int nr_files;
	struct fuzz_arena arenas[FUZZ_CALLER_THREADS];
	volatile uint32_t *stop;
};

/**
 * struct fuzz_thread - one thread of it
 * @caller: its process
 * @random: its numbers
 * @arena: its arguments
 * @stale: what was reported in its way
 * @nr_stale: of them
 * @mapped: what it mapped last
 * @mapped_length: bytes of it
 * @mapped_slot: through which session
 */
struct fuzz_thread {
	struct fuzz_caller *caller;
	struct fuzz_random random;
	struct fuzz_arena *arena;
	struct ulp_stale stale[8];
	unsigned int nr_stale;
	uint64_t mapped, mapped_length;
	unsigned int mapped_slot;
};

/* ---- what an ioctl may answer ---- */

static bool fuzz_errno_is_known(enum fuzz_op op, int error)
{
	switch (error) {
	case 0: case EBADF: case ENOTTY: case EINVAL: case EFAULT: case E2BIG: case ENOMEM:
		return true;
	case EPERM: case ESRCH: case EMFILE: case ENFILE:
		return op != FUZZ_OP_QUERY;
	case EALREADY: case EOPNOTSUPP: case EINTR:
		return op > FUZZ_OP_OPEN || op == FUZZ_OP_RAW;
	case EEXIST: case EACCES: case ENODEV: case ETXTBSY:
		return op == FUZZ_OP_MAP || op == FUZZ_OP_RAW;
	case EAGAIN:
		return op == FUZZ_OP_UNMAP || op == FUZZ_OP_TRANSACT || op == FUZZ_OP_MEMBERS;
	case EADDRINUSE: case ETIME:
		return op == FUZZ_OP_UNMAP || op == FUZZ_OP_TRANSACT;
	case ESTALE: case ENOSPC: case ENXIO: case ENOENT:
		return op == FUZZ_OP_TRANSACT;
	default:
		return false;
	}
}

static const char * const fuzz_op_names[] = {
	"any", "QUERY", "SESSION_OPEN", "MAP", "UNMAP", "TRANSACT", "RELEASE",
	"MEMBERS", "DEBUG"
};

static int fuzz_ioctl(enum fuzz_op op, int fd, unsigned long cmd, uint64_t arg)
{
	int ret = ioctl(fd, cmd, arg), error = ret < 0 ? errno : 0;

	if (error >= FUZZ_ERRNOS || !fuzz_errno_is_known(op, error))
		fuzz_wrong("%s answers %s", fuzz_op_names[op], strerror(error));
	if (error < FUZZ_ERRNOS)
		fuzz_count(&fuzz_counts->errors[op][error]);
	return ret < 0 ? -error : ret;
}

/* An errno tells a kind of reason. */
static bool fuzz_reason_fits(int error, uint32_t reason)
{
	switch (error) {
	case 0:
		return reason == ULP_REASON_NONE;
	case EADDRINUSE:
		return reason == ULP_REASON_IP || reason == ULP_REASON_STACK ||
		       reason == ULP_REASON_SIGRETURN || reason == ULP_REASON_NO_STACK ||
		       reason == ULP_REASON_REGISTER || reason == ULP_REASON_MEMORY;
	case ETIME:
		return reason == ULP_REASON_FREEZE_LIMIT;
	case ESTALE:
		/* or another session was there before */
		return reason == ULP_REASON_BYTES || reason == ULP_REASON_NONE;
	case ENOSPC:
		return reason == ULP_REASON_TABLE;
	case ENXIO:
		return reason == ULP_REASON_NO_POINTER;
	case EAGAIN:
		return reason == ULP_REASON_PAGE || reason == ULP_REASON_NEW_THREADS ||
		       reason == ULP_REASON_FAULT || reason == ULP_REASON_LOCK;
	default:
		return true;
	}
}

static void fuzz_reason(enum fuzz_op op, int ret, uint32_t reason)
{
	if (reason >= FUZZ_REASONS || !fuzz_reason_fits(-ret, reason))
		fuzz_wrong("%s answers %s with reason %u", fuzz_op_names[op], strerror(-ret),
			   reason);
	else
		fuzz_count(&fuzz_counts->reasons[reason]);
}

/* ---- descriptors ---- */

static unsigned int fuzz_any_slot(struct fuzz_thread *t)
{
	return fuzz_below(&t->random, FUZZ_SESSIONS);
}

/* The session of @slot, most of the time. */
static int fuzz_session(struct fuzz_thread *t, unsigned int slot)
{
	return t->caller->sessions[fuzz_once_in(&t->random, 50) ? fuzz_any_slot(t) : slot];
}

static void fuzz_close(struct fuzz_thread *t, unsigned int slot)
{
	int fd = __atomic_exchange_n(&t->caller->sessions[slot], -1, __ATOMIC_SEQ_CST);

	if (fd >= 0 && !close(fd))
		fuzz_count(&fuzz_counts->closed);
}

static int fuzz_any_mem(struct fuzz_thread *t, unsigned int *target)
{
	struct fuzz_caller *c = t->caller;
	static const char * const odd[] = {
		"/proc/2/mem", "/proc/1/mem", "/proc/self/environ", "/proc/self/maps", "/dev/null",
		"/dev/ulp", "/proc/self/mem", "/dev/zero", "/",
	};
	char path[64];

	*target = fuzz_below(&t->random, c->nr_targets + 1);
	if (*target == c->nr_targets)
		*target = FUZZ_TARGETS - 1;
	switch (fuzz_below(&t->random, 20)) {
	case 0:
		return open(FUZZ_PICK(&t->random, odd), O_RDONLY | O_CLOEXEC);
	case 1:
		*target = FUZZ_TARGETS - 1;
		return open("/proc/thread-self/mem", O_RDWR | O_CLOEXEC);
	case 2:
		return 0x40000000 + fuzz_below(&t->random, 1 << 20);
	case 3:
		return raw_open_mem(c->targets[*target], fuzz_below(&t->random, 2) ? O_RDONLY :
										    O_WRONLY);
	case 4:
		snprintf(path, sizeof(path), "/proc/%d/mem", c->targets[*target]);
		return open(path, O_PATH | O_CLOEXEC);
	case 5:
		return syscall(SYS_pidfd_open, c->targets[*target], 0);
	case 6:
		return -1;
	case 7:
	case 8:
		/* it executes programs: the memory of now */
		return raw_open_mem(c->targets[*target], O_RDWR);
	default:
		return dup(c->mem[*target]);
	}
}

static void fuzz_op_open(struct fuzz_thread *t)
{
	struct ulp_session_open args = { .size = sizeof(args) };
	struct fuzz_caller *c = t->caller;
	unsigned int target, slot = fuzz_any_slot(t), bad = fuzz_below(&t->random, 40), i;
	size_t at;
	int ret;

	/* rather where there is none */
	for (i = 0; i < FUZZ_SESSIONS && c->sessions[slot] >= 0; i++)
		slot = (slot + 1) % FUZZ_SESSIONS;
	args.mem_fd = fuzz_any_mem(t, &target);
	if (bad == 0)
		args.flags = 1U << fuzz_below(&t->random, 32);
	if (bad == 1)
		args.__reserved = fuzz_next(&t->random) | 1;
	if (bad == 2)
		args.size = fuzz_below(&t->random, sizeof(args));
	fuzz_arena_begin(t->arena);
	at = fuzz_arena_args(t->arena, &args, sizeof(args));
	ret = fuzz_ioctl(FUZZ_OP_OPEN, c->device, ULP_SESSION_OPEN,
			 (uintptr_t)t->arena->view + at);
	if (args.mem_fd >= 0)
		close(args.mem_fd);
	if (ret < 0)
		return;
	if (bad < 3 && t->arena->steady)
		fuzz_wrong("SESSION_OPEN succeeds with bad argument %u", bad);
	c->session_target[slot] = target;
	ret = __atomic_exchange_n(&c->sessions[slot], ret, __ATOMIC_SEQ_CST);
	if (ret >= 0 && !close(ret))
		fuzz_count(&fuzz_counts->closed);
}

/* Whatever holds the sessions now, also another process, must not matter. */
static void fuzz_op_fork(struct fuzz_thread *t)
{
	unsigned int wait = fuzz_below(&t->random, 3000), what = fuzz_below(&t->random, 4);
	struct ulp_transact args = raw_transact_args();
	unsigned int slot = fuzz_any_slot(t);
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (pid) {
		fuzz_count(&fuzz_counts->forks);
		if (what == 3)
			kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (what == 1)
		close(t->caller->sessions[slot]);
	if (what == 2)
		raw_transact(t->caller->sessions[slot], &args);
	usleep(wait);
	_exit(0);
}

/* ---- what can be mapped ---- */

static void fuzz_caller_files(struct fuzz_caller *c)
{
	static const char * const paths[] = {
		"/proc/self/mem", "/dev/zero", "/", "/proc/self/exe", "/tmp/fuzz-fuse/stack",
		"/sys/kernel/btf/vmlinux", "/proc/self/maps",
	};
	unsigned int i;
	int fds[2];

	for (i = 0; i < 4; i++) {
		int fd = memfd_create("fuzz-map", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		if (ftruncate(fd, i == 3 ? 100 : 16 * RAW_PAGE))
			_exit(80);
		if (i < 2)
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
		c->files[c->nr_files++] = fd;
	}
	c->files[c->nr_files++] = memfd_create("fuzz-huge", MFD_CLOEXEC | MFD_HUGETLB);
	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		c->files[c->nr_files++] = open(paths[i], O_RDONLY | O_CLOEXEC);
	if (!pipe2(fds, O_CLOEXEC))
		c->files[c->nr_files++] = fds[0];
	c->files[c->nr_files++] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	c->files[c->nr_files++] = c->device;
}

static uint64_t fuzz_any_address(struct fuzz_thread *t)
{
	static const uint64_t odd[] = {
		0, RAW_PAGE, 65536, FUZZ_CALLED, FUZZ_TORN, FUZZ_SCRATCH,
		0x7fffffffe000, 0x7ffffffff000, 0x800000000000, 0xffff800000000000, -RAW_PAGE,
		(uint64_t)-1, FUZZ_DROP + 1, FUZZ_KEEP + 8,
	};
	uint64_t area = t->caller->commits ? FUZZ_KEEP : FUZZ_DROP;

	if (fuzz_once_in(&t->random, 16))
		return FUZZ_PICK(&t->random, odd);
	return area + fuzz_below(&t->random, FUZZ_SLOTS) * 4 * RAW_PAGE;
}

static uint64_t fuzz_any_length(struct fuzz_thread *t)
{
	static const uint64_t odd[] = {
		0, 1, RAW_PAGE - 1, 257UL << 20, 1ULL << 40, -RAW_PAGE, (uint64_t)-1, 1ULL << 63,
	};

	if (fuzz_once_in(&t->random, 20))
		return FUZZ_PICK(&t->random, odd);
	return (1 + fuzz_below(&t->random, FUZZ_LENGTH / RAW_PAGE)) * RAW_PAGE;
}

static void fuzz_op_map(struct fuzz_thread *t)
{
	struct ulp_map args = {
		.size = sizeof(args), .fd = -1, .flags = fuzz_below(&t->random, 3),
		.addr = fuzz_any_address(t), .length = fuzz_any_length(t),
	};
	unsigned int slot = fuzz_any_slot(t), bad = fuzz_below(&t->random, 60);
	int ret, fd = fuzz_session(t, slot);

	if (fuzz_below(&t->random, 2)) {
		args.fd = t->caller->files[fuzz_below(&t->random, t->caller->nr_files)];
		args.offset = fuzz_below(&t->random, 4) * RAW_PAGE;
	}
	if (bad == 0)
		args.flags |= 4U << fuzz_below(&t->random, 30);
	if (bad == 1)
		args.flags = ULP_MAP_EXEC | ULP_MAP_WRITE;
	if (bad == 2)
		args.__reserved = 1;
	if (bad == 3)
		args.size = fuzz_below(&t->random, sizeof(args));
	if (bad == 4)
		args.offset = fuzz_below(&t->random, RAW_PAGE - 1) + 1;
	fuzz_arena_begin(t->arena);
	ret = fuzz_ioctl(FUZZ_OP_MAP, fd, ULP_MAP, (uintptr_t)t->arena->view +
			 fuzz_arena_args(t->arena, &args, sizeof(args)));
	if (!ret) {
		t->mapped = args.addr;
		t->mapped_length = args.length;
		t->mapped_slot = slot;
	}
	if (!ret && bad < 5 && t->arena->steady)
		fuzz_wrong("MAP succeeds with bad argument %u", bad);
	/* the memory that races may have made another argument of it, and no other address */
	if (!ret && t->arena->steady &&
	    (args.addr % RAW_PAGE || args.length % RAW_PAGE || !args.length ||
	     args.addr < 65536 || args.addr + args.length > 0x7ffffffff000))
		fuzz_wrong("MAP of %#lx bytes at %#lx", (unsigned long)args.length,
			   (unsigned long)args.addr);
}

static void fuzz_op_unmap(struct fuzz_thread *t)
{
	struct ulp_unmap args = {
		.size = sizeof(args), .addr = fuzz_any_address(t), .length = fuzz_any_length(t),
		.max_freeze_ns = fuzz_below(&t->random, 2) ? 0 : fuzz_next(&t->random),
	};
	unsigned int slot = fuzz_any_slot(t), bad = fuzz_below(&t->random, 60);
	const struct ulp_unmap *out;
	size_t at;
	int ret;

	if (t->mapped && fuzz_below(&t->random, 2)) {
		slot = t->mapped_slot;
		args.addr = t->mapped;
		args.length = t->mapped_length;
	}
	/* only what the fuzzer has mapped is free to go */
	if (args.addr < FUZZ_KEEP || args.addr >= 0x7fffffffe000)
		args.length = 0;
	if (bad == 0)
		args.flags = 1U << fuzz_below(&t->random, 32);
	if (bad == 1)
		args.size = fuzz_below(&t->random, sizeof(args));
	fuzz_arena_begin(t->arena);
	at = fuzz_arena_args(t->arena, &args, sizeof(args));
	ret = fuzz_ioctl(FUZZ_OP_UNMAP, fuzz_session(t, slot), ULP_UNMAP,
			 (uintptr_t)t->arena->view + at);
	if (!ret && (bad < 2 || !args.length) && t->arena->steady)
		fuzz_wrong("UNMAP succeeds with bad argument %u", bad);
	if (!t->arena->steady || t->caller->faults || bad < 2)
		return;
	out = (const void *)(t->arena->alias + at);
	fuzz_reason(FUZZ_OP_UNMAP, ret, out->out_reason);
	fuzz_longest(out->out_freeze_ns);
}

#endif /* FUZZ_CALLERS_H */
