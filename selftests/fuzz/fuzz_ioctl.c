// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sequences of ioctls that are random, but the same for the same seed, on
 * targets that do the worst, and what must hold after each round: the targets
 * are alive unless they were killed on purpose, answer wholly old or wholly
 * new, can be patched; nothing is left of the sessions.
 *
 *	SEED	of the first round (1)
 *	TIME	seconds (15)
 *	ROUNDS	at most (no limit)
 *
 * module: debug
 * timeout: 300
 */
#include "kselftest.h"
#include "holds.h"
#include "plans.h"

#define MAX_VICTIMS	3
#define MAX_CALLERS	3
#define GRACE_NS	2000000000ULL	/* for callers to come back by themselves */
#define MORE_NS		60000000000ULL	/* for each ioctl to have succeeded once */

static struct victim victims[MAX_VICTIMS];
static unsigned int nr_victims;
static pid_t callers[MAX_CALLERS];
static unsigned int nr_callers;
static volatile uint32_t *stop, *going;
static uint64_t round_seed;

/* ---- callers ---- */

static void op_debug(struct fuzz_thread *t)
{
	struct ulp_debug args = { .size = sizeof(args), .op = 1 + fuzz_below(&t->random, 4) };
	unsigned int slot = fuzz_any_slot(t);
	int fd = fuzz_session(t, slot);
	bool endless = false;

	if (args.op == ULP_DEBUG_FREEZE) {
		endless = fuzz_once_in(&t->random, 10);
		args.arg = endless ? 0 : 1 + fuzz_below(&t->random, 20000000);
	}
	if (args.op == ULP_DEBUG_FAULT && t->caller->faults) {
		args.point = fuzz_below(&t->random, ULP_FAULT_UNMAP + 2);
		args.arg = fuzz_below(&t->random, 6);
	}
	if (fuzz_once_in(&t->random, 30))
		args.op = fuzz_next(&t->random);
	if (fuzz_once_in(&t->random, 30))
		args.__reserved = 1;
	if (endless)
		fd = t->caller->sessions[slot];
	fuzz_arena_begin(t->arena);
	fuzz_ioctl(FUZZ_OP_DEBUG, fd, ULP_DEBUG, (uintptr_t)t->arena->view +
		   fuzz_arena_args(t->arena, &args, sizeof(args)));
	if (endless)
		fuzz_close(t, slot);
}

/* Any number with any bytes; nothing that could be a plan of somebody's. */
static void op_raw(struct fuzz_thread *t)
{
	static const unsigned long known[] = {
		ULP_QUERY, ULP_SESSION_OPEN, ULP_MAP, ULP_TRANSACT, ULP_RELEASE, ULP_MEMBERS,
		ULP_DEBUG,
	};
	unsigned long cmd = FUZZ_PICK(&t->random, known);
	int fd = fuzz_below(&t->random, 4) ? fuzz_session(t, fuzz_any_slot(t)) : t->caller->device;
	uint64_t words[64];
	unsigned int i;

	for (i = 0; i < 64; i++)
		words[i] = fuzz_next(&t->random);
	if (fuzz_below(&t->random, 2))
		words[0] = words[0] << 32 | (16 + 8 * fuzz_below(&t->random, 40));
	switch (fuzz_below(&t->random, 4)) {
	case 0:
		cmd ^= 1UL << fuzz_below(&t->random, 32);
		break;
	case 1:
		cmd = _IOC(fuzz_below(&t->random, 4), ULP_IOC_TYPE, fuzz_below(&t->random, 256),
			   fuzz_below(&t->random, 512));
		break;
	case 2:
		cmd = fuzz_next(&t->random);
		break;
	default:
		break;
	}
	fuzz_arena_begin(t->arena);
	fuzz_ioctl(FUZZ_OP_RAW, fd, cmd, fuzz_arena_put(t->arena, words, sizeof(words), false));
}

static void op_query(struct fuzz_thread *t)
{
	union {
		struct ulp_query query;
		char bytes[sizeof(struct ulp_query) + 64];
	} args = { .query.size = sizeof(args.query) };
	unsigned int bad = fuzz_below(&t->random, 8);
	int ret;

	if (bad == 0)
		args.query.size = fuzz_below(&t->random, sizeof(args.query));
	if (bad == 1)
		args.query.flags = 1U << fuzz_below(&t->random, 32);
	if (bad == 2 || bad == 3)
		args.query.size = sizeof(args);
	if (bad == 2)
		args.bytes[sizeof(args) - 1 - fuzz_below(&t->random, 64)] = 1;
	fuzz_arena_begin(t->arena);
	ret = fuzz_ioctl(FUZZ_OP_QUERY, t->caller->device, ULP_QUERY, (uintptr_t)t->arena->view +
			 fuzz_arena_args(t->arena, &args, sizeof(args)));
	if (t->arena->steady && (bad < 3) != (ret < 0))
		fuzz_wrong("QUERY answers %s to argument %u", strerror(-ret), bad);
}

/* Whatever it is that the session holds; other threads use it. */
static void op_release(struct fuzz_thread *t)
{
	struct ulp_release args = { .size = sizeof(args) };
	unsigned int bad = fuzz_below(&t->random, 20);
	int ret;

	if (bad == 0)
		args.flags = 1U << fuzz_below(&t->random, 32);
	if (bad == 1)
		args.size = fuzz_below(&t->random, sizeof(args));
	fuzz_arena_begin(t->arena);
	ret = fuzz_ioctl(FUZZ_OP_RELEASE, fuzz_session(t, fuzz_any_slot(t)), ULP_RELEASE,
			 (uintptr_t)t->arena->view +
			 fuzz_arena_args(t->arena, &args, sizeof(args)));
	if (!ret && bad < 2 && t->arena->steady)
		fuzz_wrong("RELEASE succeeds with bad argument %u", bad);
}

static void operate(struct fuzz_thread *t)
{
	switch (fuzz_below(&t->random, 32)) {
	case 0:
		op_query(t);
		break;
	case 1:
		op_raw(t);
		break;
	case 2:
		fuzz_close(t, fuzz_any_slot(t));
		break;
	case 3:
		fuzz_op_fork(t);
		break;
	case 4 ... 7:
		fuzz_op_open(t);
		break;
	case 8 ... 12:
		fuzz_op_map(t);
		break;
	case 13 ... 16:
		fuzz_op_unmap(t);
		break;
	case 17:
		op_release(t);
		break;
	case 18:
		fuzz_op_members(t);
		break;
	case 19:
		if (t->caller->debug)
			op_debug(t);
		break;
	default:
		fuzz_op_transact(t);
	}
}

static void *caller_thread(void *arg)
{
	struct fuzz_thread *t = arg;

	while (!*t->caller->stop)
		operate(t);
	return NULL;
}

static void *racing_thread(void *arg)
{
	struct fuzz_caller *c = arg;
	struct fuzz_random random = fuzz_derive(c->seed, 'a');

	while (!*c->stop) {
		fuzz_arena_race(&c->arenas[fuzz_below(&random, c->nr_threads)], &random);
		usleep(fuzz_below(&random, 300));
	}
	return NULL;
}

static void caller(unsigned int number, bool debug)
{
	static struct fuzz_caller c;
	static struct fuzz_thread threads[FUZZ_CALLER_THREADS];
	struct fuzz_random random;
	pthread_t thread[FUZZ_CALLER_THREADS + 1];
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	c.seed = fuzz_mix(round_seed + 1000 + number);
	random = fuzz_derive(c.seed, 'c');
	c.stop = stop;
	c.debug = debug;
	c.commits = number % 2;
	c.faults = debug && fuzz_below(&random, 2);
	c.nr_threads = 1 + fuzz_below(&random, FUZZ_CALLER_THREADS);
	c.device = raw_device();
	for (i = 0; i < nr_victims; i++) {
		c.targets[i] = victims[i].pid;
		c.mem[i] = raw_open_mem(victims[i].pid, O_RDWR);
	}
	c.nr_targets = nr_victims;
	c.targets[FUZZ_TARGETS - 1] = getpid();
	c.mem[FUZZ_TARGETS - 1] = raw_open_mem(getpid(), O_RDWR);
	fuzz_caller_files(&c);
	for (i = 0; i < FUZZ_SESSIONS; i++) {
		c.session_target[i] = i % nr_victims;
		c.sessions[i] = raw_session_of(c.mem[i % nr_victims]);
	}
	for (i = 0; i < c.nr_threads; i++) {
		threads[i] = (struct fuzz_thread){ .caller = &c, .arena = &c.arenas[i],
						   .random = fuzz_derive(c.seed, i) };
		if (!fuzz_arena_make(&c.arenas[i], &threads[i].random))
			_exit(81);
	}
	__atomic_add_fetch(going, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < c.nr_threads; i++)
		pthread_create(&thread[i], NULL, caller_thread, &threads[i]);
	pthread_create(&thread[i], NULL, racing_thread, &c);
	for (i = 0; i <= c.nr_threads; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

/* ---- a round ---- */

static uint32_t any_features(struct fuzz_random *random)
{
	static const uint32_t often[] = {
		FUZZ_MEMORY, FUZZ_MEMORY, FUZZ_THREADS, FUZZ_VFORK, FUZZ_FORK, FUZZ_SIGNALS,
		FUZZ_UFFD, FUZZ_FUSE, FUZZ_MEMFD, FUZZ_HUGETLB,
	};
	static const uint32_t seldom[] = { FUZZ_WILD, FUZZ_ZOMBIE, FUZZ_EXEC, FUZZ_EXIT };
	unsigned int n = fuzz_below(random, 4);
	uint32_t features = 0;

	while (n--)
		features |= FUZZ_PICK(random, often);
	if (fuzz_once_in(random, 3))
		features |= FUZZ_PICK(random, seldom);
	return features;
}

static bool start_victims(struct fuzz_random *random)
{
	unsigned int i;

	nr_victims = 1 + fuzz_below(random, MAX_VICTIMS);
	for (i = 0; i < nr_victims; i++) {
		struct victim *victim = &victims[i];

		memset(victim, 0, sizeof(*victim));
		victim->features = any_features(random);
		victim->fd = memfd_create("fuzz-shared", 0);
		if (ftruncate(victim->fd, RAW_PAGE))
			return false;
		victim->shared = mmap(NULL, RAW_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				      victim->fd, 0);
		victim->pid = fork();
		if (!victim->pid)
			fuzz_victim(victim->fd, fuzz_mix(round_seed + i), victim->features);
		fuzz_count(&fuzz_counts->victims);
	}
	for (i = 0; i < nr_victims; i++)
		if (!RAW_WAIT(victims[i].shared->ready))
			return false;
	return true;
}

/* From outside, while the callers are at it. */
static void disturb(struct fuzz_random *random)
{
	struct victim *victim = &victims[fuzz_below(random, nr_victims)];
	unsigned int i = fuzz_below(random, nr_callers);

	switch (fuzz_below(random, 60)) {
	case 0:
		kill(victim->pid, SIGKILL);
		victim->killed = true;
		fuzz_count(&fuzz_counts->victims_killed);
		break;
	case 1:
	case 2:
		raw_kill(callers[i]);
		fuzz_count(&fuzz_counts->callers_killed);
		callers[i] = fork();
		if (!callers[i])
			caller(i + MAX_CALLERS * fuzz_below(random, 100), raw_is_debug());
		fuzz_count(&fuzz_counts->callers);
		break;
	case 3 ... 8:
		kill(victim->pid, SIGSTOP);
		break;
	case 9 ... 20:
		kill(victim->pid, SIGCONT);
		break;
	default:
		break;
	}
}

static bool is_over(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == pid;
}

/* One that does not die: where its threads are in the kernel. */
static void wrong_caller(pid_t pid)
{
	char command[200];

	snprintf(command, sizeof(command), "head -n 20 /proc/%d/task/*/stack | sed 's/^/# /'", pid);
	if (system(command))
		ksft_print_msg("no stacks\n");
	fuzz_wrong("caller %d cannot be killed", pid);
}

/* Some are in a long transaction, or wait for pages: they must die at once. */
static void end_callers(void)
{
	uint64_t end = raw_now() + GRACE_NS;
	unsigned int i;

	*stop = 1;
	for (i = 0; i < nr_callers; i++) {
		bool over;

		while (!(over = is_over(callers[i])) && raw_now() < end)
			usleep(1000);
		if (over)
			continue;
		kill(callers[i], SIGKILL);
		fuzz_count(&fuzz_counts->callers_killed);
		if (!RAW_WAIT(is_over(callers[i])))
			wrong_caller(callers[i]);
	}
}

static void run_round(void)
{
	struct fuzz_random random = fuzz_derive(round_seed, 'r');
	bool debug = raw_is_debug();
	unsigned int i;
	uint64_t end;

	if (!start_victims(&random)) {
		fuzz_wrong("a victim did not start");
		goto out;
	}
	*stop = 0;
	*going = 0;
	nr_callers = 1 + fuzz_below(&random, MAX_CALLERS);
	for (i = 0; i < nr_callers; i++) {
		callers[i] = fork();
		if (!callers[i])
			caller(i + (round_seed & 1), debug);
		fuzz_count(&fuzz_counts->callers);
	}
	if (!RAW_WAIT(*going == nr_callers))
		fuzz_wrong("a caller did not start");
	end = raw_now() + 1000000000 + fuzz_below(&random, 2000) * 1000000ULL;
	while (raw_now() < end) {
		usleep(fuzz_below(&random, 40000));
		disturb(&random);
	}
	for (i = 0; i < nr_victims; i++)
		kill(victims[i].pid, SIGCONT);
	end_callers();
	if (!RAW_WAIT(module_references() == 0))
		fuzz_wrong("%d references to the module are left", module_references());
	for (i = 0; i < nr_victims; i++)
		check_victim(&victims[i]);
out:
	for (i = 0; i < nr_victims; i++) {
		raw_kill(victims[i].pid);
		munmap(victims[i].shared, RAW_PAGE);
		close(victims[i].fd);
	}
}

/* ---- the run ---- */

static void print_errors(enum fuzz_op op)
{
	const uint64_t *errors = fuzz_counts->errors[op];
	unsigned int i;
	uint64_t all = 0;

	for (i = 0; i < FUZZ_ERRNOS; i++)
		all += errors[i];
	printf("# %-12s %8lu, done %lu", fuzz_op_names[op], (unsigned long)all,
	       (unsigned long)errors[0]);
	for (i = 1; i < FUZZ_ERRNOS; i++)
		if (errors[i])
			printf(", %s %lu", strerrorname_np(i), (unsigned long)errors[i]);
	printf("\n");
}

static void print_reasons(const char *what, const uint64_t *reasons)
{
	static const char * const names[FUZZ_REASONS] = {
		"none", "ip", "stack", "sigreturn", "no-stack", "freeze-limit", "bytes", "page",
		"new-threads", "fault", "register", "lock", "memory", "no-pointer", "table",
	};
	unsigned int i;

	printf("# %s", what);
	for (i = 0; i < FUZZ_REASONS; i++)
		if (reasons[i])
			printf(" %s %lu", names[i], (unsigned long)reasons[i]);
	printf("\n");
}

static void report(unsigned int rounds, uint64_t ns)
{
	unsigned int i;

	printf("# %u rounds in %lu s\n", rounds, (unsigned long)(ns / 1000000000));
	for (i = 0; i < FUZZ_OPS; i++)
		print_errors(i);
	print_reasons("answers by reason:", fuzz_counts->reasons);
	print_reasons("mappings that stayed, by reason (none: another session was at it):",
		      fuzz_counts->stayed);
	printf("# victims %lu, killed %lu, execs %lu; callers %lu, killed %lu, forks %lu; sessions closed %lu\n",
	       (unsigned long)fuzz_counts->victims, (unsigned long)fuzz_counts->victims_killed,
	       (unsigned long)fuzz_counts->execs, (unsigned long)fuzz_counts->callers,
	       (unsigned long)fuzz_counts->callers_killed, (unsigned long)fuzz_counts->forks,
	       (unsigned long)fuzz_counts->closed);
	printf("# longest freeze %lu us\n", (unsigned long)fuzz_counts->longest_ns / 1000);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* The same addresses in each program of ours, also after an exec. */
static void fix_addresses(char **argv)
{
	if (personality(0xffffffff) & ADDR_NO_RANDOMIZE)
		return;
	personality(ADDR_NO_RANDOMIZE);
	execv("/proc/self/exe", argv);
}

static bool all_were_done(void)
{
	bool done = true;
	unsigned int i;

	for (i = FUZZ_OP_QUERY; i < FUZZ_OPS; i++)
		done &= fuzz_counts->errors[i][0] || (i == FUZZ_OP_DEBUG && !raw_is_debug());
	return done;
}

/* A short run on a slow machine may not have come to each ioctl: it has some more. */
static bool is_time_over(uint64_t end)
{
	uint64_t now = raw_now();

	return now >= end && (all_were_done() || now >= end + MORE_NS);
}

int main(int argc, char **argv)
{
	uint64_t seed = setting("SEED", 1), began, end;
	unsigned int rounds = 0, most = setting("ROUNDS", ~0U), wrong = 0;
	struct fuzz_random late;
	pid_t fuse;

	if (argc == 5 && !strcmp(argv[1], "--victim"))
		fuzz_victim(atoi(argv[2]), strtoull(argv[3], NULL, 10), atoi(argv[4]));
	setvbuf(stdout, NULL, _IOLBF, 0);
	fix_addresses(argv);
	ksft_print_header();
	if (access("/dev/ulp", R_OK | W_OK))
		ksft_exit_skip("no /dev/ulp: %s\n", strerror(errno));
	ksft_set_plan(3);
	fuzz_counts = mmap(NULL, sizeof(*fuzz_counts) + RAW_PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stop = (void *)(fuzz_counts + 1);
	going = stop + 1;
	kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	lseek(kernel_log, 0, SEEK_END);
	if (system("echo 16 >/proc/sys/vm/nr_hugepages"))
		ksft_print_msg("no huge pages\n");
	late = fuzz_derive(seed, 'f');
	fuse = fuzz_fuse_start(&late);
	if (!fuse)
		ksft_print_msg("no FUSE\n");

	began = raw_now();
	end = began + setting("TIME", 15) * 1000000000ULL;
	for (round_seed = seed; rounds < most && !is_time_over(end); rounds++) {
		run_round();
		for (; wrong < fuzz_counts->nr_wrong; wrong++)
			ksft_print_msg("SEED=%#lx: %s\n", (unsigned long)round_seed,
				       wrong < FUZZ_MESSAGES ? fuzz_counts->wrong[wrong] : "more");
		round_seed = fuzz_mix(round_seed + 1);
	}
	fuzz_fuse_end(fuse);
	ksft_print_msg("SEED=%#lx\n", (unsigned long)seed);
	report(rounds, raw_now() - began);
	ksft_test_result(!fuzz_counts->nr_wrong, "what must hold holds in each round\n");
	ksft_test_result(RAW_WAIT(module_references() == 0), "the module is free\n");
	ksft_test_result(all_were_done(), "each kind of ioctl succeeds sometimes\n");
	ksft_exit(!ksft_get_fail_cnt());
}
