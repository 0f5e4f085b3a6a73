/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw calls to /dev/ulp for the tests of the interface, and victims to be made
 * by fork: a child has its functions where the test itself has them.
 */
#ifndef ULP_RAW_H
#define ULP_RAW_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <ulp_debug.h>
#include <ulp_universe.h>
#include "patience.h"

#define RAW_PAGE	4096UL
#define RAW_LIMIT_NS	(limit_times() * 60 * 1000000000ULL)	/* nothing takes this long */

/* ---- functions to be patched; each has its end marked ---- */

/* unsigned int raw_answer(void): 1, or what the writes below make of it */
extern unsigned int raw_answer(void);
extern unsigned int raw_answer2(void);
extern char raw_answer_end[], raw_answer2_end[];
/* long raw_call(long (*fn)(void *), void *arg): calls it; is on the stack */
extern long raw_call(long (*fn)(void *arg), void *arg);
extern char raw_call_end[];
/* void raw_spin(volatile uint64_t *counter): counts for ever, inside itself */
extern void raw_spin(volatile uint64_t *counter);
extern char raw_spin_end[];

__asm__(".pushsection .text.raw,\"ax\",@progbits\n"
	".balign 4096\n"
	".globl raw_answer, raw_answer_end\n"
	".type raw_answer,@function\n"
	"raw_answer: mov $1, %eax\n ret\n"
	"raw_answer_end:\n"
	".balign 64\n"
	".globl raw_call, raw_call_end\n"
	".type raw_call,@function\n"
	"raw_call: sub $8, %rsp\n mov %rdi, %rax\n mov %rsi, %rdi\n call *%rax\n"
	"add $8, %rsp\n ret\n"
	"raw_call_end:\n"
	".balign 64\n"
	".globl raw_spin, raw_spin_end\n"
	".type raw_spin,@function\n"
	"raw_spin: incq (%rdi)\n jmp raw_spin\n"
	"raw_spin_end:\n"
	".balign 4096\n"
	".globl raw_answer2, raw_answer2_end\n"
	".type raw_answer2,@function\n"
	"raw_answer2: mov $1, %eax\n ret\n"
	"raw_answer2_end:\n"
	".balign 4096\n"
	".popsection\n");

/* Where the number is in raw_answer(). */
#define RAW_ANSWER_AT(fn)	((uint64_t)(uintptr_t)(fn) + 1)

/* ---- calls ---- */

static inline uint64_t raw_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Waits for an event, within a limit. */
#define RAW_WAIT(condition) ({						\
	uint64_t _end = raw_now() + RAW_LIMIT_NS;			\
	bool _done;							\
									\
	while (!(_done = (condition)) && raw_now() < _end)		\
		usleep(500);						\
	_done;								\
})

/* The result of an ioctl, an error as -errno. */
static inline int raw_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static inline int raw_device(void)
{
	int fd = open("/dev/ulp", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int raw_query(struct ulp_query *query)
{
	int ret, fd = raw_device();

	if (fd < 0)
		return fd;
	memset(query, 0, sizeof(*query));
	query->size = sizeof(*query);
	ret = raw_ioctl(fd, ULP_QUERY, query);
	close(fd);
	return ret;
}

static inline bool raw_is_debug(void)
{
	struct ulp_query query;

	return !raw_query(&query) && (query.out_features & ULP_FEATURE_DEBUG);
}

static inline int raw_open_mem(pid_t pid, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static inline int raw_session_of(int mem_fd)
{
	struct ulp_session_open args = { .size = sizeof(args), .mem_fd = mem_fd };
	int ret, fd = raw_device();

	if (fd < 0)
		return fd;
	ret = raw_ioctl(fd, ULP_SESSION_OPEN, &args);
	close(fd);
	return ret;
}

static inline int raw_session(pid_t pid)
{
	int ret, mem = raw_open_mem(pid, O_RDWR);

	if (mem < 0)
		return mem;
	ret = raw_session_of(mem);
	close(mem);
	return ret;
}

static inline struct ulp_transact raw_transact_args(void)
{
	return (struct ulp_transact){
		.size = sizeof(struct ulp_transact), .attempts = 1,
		.max_freeze_ns = 2000000000ULL,	/* an emulated machine is slow */
	};
}

static inline int raw_transact(int session, struct ulp_transact *args)
{
	return raw_ioctl(session, ULP_TRANSACT, args);
}

static inline int raw_map(int session, int fd, uint64_t addr, uint64_t length, uint32_t flags)
{
	struct ulp_map args = {
		.size = sizeof(args), .flags = flags, .fd = fd, .addr = addr, .length = length,
	};

	return raw_ioctl(session, ULP_MAP, &args);
}

static inline int raw_debug(int session, uint32_t op, uint32_t point, uint64_t arg, uint64_t *out)
{
	struct ulp_debug args = { .size = sizeof(args), .op = op, .point = point, .arg = arg };
	int ret = raw_ioctl(session, ULP_DEBUG, &args);

	if (out)
		*out = args.out_value;
	return ret;
}

static inline int raw_fault(int session, uint32_t point, uint64_t arg)
{
	return raw_debug(session, ULP_DEBUG_FAULT, point, arg, NULL);
}

static inline uint64_t raw_gates(int session)
{
	uint64_t value = ~0ULL;

	raw_debug(session, ULP_DEBUG_GATES, 0, 0, &value);
	return value;
}

/* How many of the whole module wait at a fault point (ULP_DEBUG_PAUSE). */
static inline uint64_t raw_paused(int session)
{
	uint64_t value = 0;

	raw_debug(session, ULP_DEBUG_PAUSED, 0, 0, &value);
	return value;
}

/* Makes raw_answer() or raw_answer2() give @to instead of @from. */
static inline int raw_set_answer(int session, unsigned int (*fn)(void), uint32_t from, uint32_t to,
				 struct ulp_transact *args)
{
	struct ulp_range range = { (uintptr_t)fn, (uintptr_t)fn + 6 };
	struct ulp_write write = {
		.addr = RAW_ANSWER_AT(fn), .len = sizeof(to),
		.expected = (uintptr_t)&from, .bytes = (uintptr_t)&to,
	};

	args->ranges = (uintptr_t)&range;
	args->nr_ranges = 1;
	args->writes = (uintptr_t)&write;
	args->nr_writes = 1;
	return raw_transact(session, args);
}

/* ---- victims ---- */

/* What a victim and its test share. */
struct raw_shared {
	volatile uint32_t ready;	/* threads that got going */
	volatile uint32_t command;	/* up to the victim */
	volatile uint32_t wrong;	/* answers that were neither old nor new */
	volatile uint32_t early;	/* system calls that ended without cause */
	volatile uint32_t tid;
	volatile uint64_t value;
	volatile uint64_t count[512];	/* turns of each thread */
	volatile uint32_t seen[16];	/* answers, by their value */
};

static inline struct raw_shared *raw_shared_new(void)
{
	void *p = mmap(NULL, (sizeof(struct raw_shared) + RAW_PAGE - 1) & -RAW_PAGE,
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Runs @fn in a child, which dies with its parent. */
static inline pid_t raw_victim(void (*fn)(struct raw_shared *shared), struct raw_shared *shared)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fn(shared);
	_exit(0);
}

static inline void raw_kill(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/* How many mappings a process has. */
static inline unsigned int raw_nr_maps(pid_t pid)
{
	unsigned int nr = 0;
	char path[64];
	FILE *file;
	int c;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "r");
	while (file && (c = fgetc(file)) != EOF)
		nr += c == '\n';
	if (file)
		fclose(file);
	return nr;
}

/* References to the module; our own descriptors have theirs. */
static inline long raw_references(void)
{
	FILE *file = fopen("/sys/module/ulp/refcnt", "r");
	long value = -1;

	if (!file)
		return value;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static inline int raw_unmap(int session, uint64_t addr, uint64_t length, struct ulp_unmap *args)
{
	memset(args, 0, sizeof(*args));
	args->size = sizeof(*args);
	args->addr = addr;
	args->length = length;
	args->max_freeze_ns = 2000000000;
	return raw_ioctl(session, ULP_UNMAP, args);
}

/* The letter of a thread's state, 0 if it is gone. */
static inline char raw_state(pid_t pid, pid_t tid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(file);
	return state;
}

/*
 * S or D of a thread that sleeps so and has left its CPU, else 0.  The state is there
 * before that; the kernel waits for it to answer what is in "syscall".
 */
static inline char raw_sleep(pid_t pid, pid_t tid)
{
	char path[64], state = raw_state(pid, tid), running;
	FILE *file;

	if (state != 'S' && state != 'D')
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%c", &running) != 1)
		running = 'r';
	fclose(file);
	return running == 'r' ? 0 : state;	/* "running" */
}

/* How many threads of a process sleep (S).  Their numbers may have gaps. */
static inline unsigned int raw_asleep(pid_t pid)
{
	struct dirent *entry;
	unsigned int nr = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		nr += raw_sleep(pid, atoi(entry->d_name)) == 'S';
	if (dir)
		closedir(dir);
	return nr;
}

static inline pid_t raw_gettid(void)
{
	return syscall(SYS_gettid);
}

static inline int raw_read_mem(pid_t pid, uint64_t addr, void *to, size_t size)
{
	int fd = raw_open_mem(pid, O_RDONLY);
	ssize_t ret;

	if (fd < 0)
		return fd;
	ret = pread(fd, to, size, addr);
	close(fd);
	return ret == (ssize_t)size ? 0 : -EIO;
}

#endif /* ULP_RAW_H */
