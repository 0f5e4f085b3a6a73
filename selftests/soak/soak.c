// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * soak SECONDS SEED VICTIM... - apply and revert all the time, in any order
 *
 * VICTIM is PID:KIND:PATCH[,PATCH...], or mortal:PROGRAM:PATCH[,PATCH...] for a
 * program that is started and killed again and again.  KIND is "steady" (its
 * mappings are counted), "busy", or "any" (it may change, execute or end: how
 * an operation on it ends does not matter).  One process works on each of them,
 * with libulp and with ulp-tool ($ULP_TOOL), which is killed now and then.
 *
 * Prints operations, refusals by reason, the longest freeze, and what leaked.
 * Exit status 1: something did, or an operation ended as none may.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "libulp.h"
#include "ulp_debug.h"
#include "leaks.h"
#include "patience.h"

#define VICTIMS_MAX	16
#define PATCHES_MAX	8
#define CODES		32		/* of libulp */
#define LIMIT_NS	(limit_times() * 120000000000ULL)	/* nothing takes this long */

enum kind { STEADY, BUSY, ANY, MORTAL };

struct victim {
	enum kind kind;
	pid_t pid;
	char *program;
	char *files[PATCHES_MAX];
	unsigned int nr_files;
	struct leaks_maps maps, images;
};

/* What all processes share. */
struct shared {
	volatile bool rest, stop;
	volatile unsigned int resting;
	unsigned long done, refused, tools, killed, victims;
	unsigned long reasons[CODES], errors;
	unsigned long longest_ns;
	unsigned long wrong;
};

static struct shared *shared;
static struct victim victims[VICTIMS_MAX];
static unsigned int nr_victims;
static struct ulp_context *ctx;
static struct ulp_patch *patches[PATCHES_MAX];
static unsigned int seed;

static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static unsigned int below(unsigned int limit)
{
	return (unsigned int)rand_r(&seed) % limit;
}

static void count(unsigned long *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void longest(unsigned long ns)
{
	unsigned long old = __atomic_load_n(&shared->longest_ns, __ATOMIC_RELAXED);

	while (ns > old && !__atomic_compare_exchange_n(&shared->longest_ns, &old, ns, true,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* ---- operations ---- */

/* What may happen to anybody; the rest only to who changes under us. */
static bool may_happen(int code)
{
	switch (-code) {
	case ULP_E_ALREADY_APPLIED:
	case ULP_E_NOT_APPLIED:
	case ULP_E_BUSY:
	case ULP_E_LIMIT:
	case ULP_E_CHANGING:
	case ULP_E_TIMEOUT:
	case ULP_E_TRACED:
		return true;
	default:
		return false;
	}
}

static int note(const struct victim *victim, const char *what, const char *file, int code)
{
	unsigned int i = (unsigned int)(-code - ULP_E_ALREADY_APPLIED);

	if (code >= 0) {
		count(&shared->done);
		return code;
	}
	count(&shared->refused);
	count(i < CODES ? &shared->reasons[i] : &shared->errors);
	if (may_happen(code) || victim->kind >= ANY)
		return code;
	count(&shared->wrong);
	printf("# wrong: %s %s: %s: %s\n", what, file, ulp_reason(code), ulp_error(ctx));
	return code;
}

static int change(const struct victim *victim, unsigned int i, bool revert)
{
	struct ulp_options options = { .sz = sizeof(options), .timeout_ns = 3000000000ull,
				       .attempts = 100 };
	struct ulp_result result = { .sz = sizeof(result) };
	struct ulp_target *target;
	int code;

	if (!below(20))
		options.backend = ULP_BACKEND_STOP_MACHINE;
	code = ulp_target_open(ctx, victim->pid, &target);
	if (code < 0)
		return note(victim, "open", victim->files[i], code);
	if (revert)
		code = ulp_revert(target, ulp_patch_id(patches[i]), &options, &result);
	else
		code = ulp_apply(target, patches[i], &options, &result);
	longest(result.max_freeze_ns);
	note(victim, revert ? "revert" : "apply", victim->files[i], code);
	ulp_target_close(target);
	return code;
}

/* The tool, sometimes killed at any moment. */
static void run_tool(const struct victim *victim, unsigned int i, bool revert)
{
	unsigned int us = below(3) ? below(400000) : 0;
	struct timespec limit = { us / 1000000, us % 1000000 * 1000 };
	const char *tool = getenv("ULP_TOOL");
	char pid_text[16];
	sigset_t set;
	pid_t pid;

	snprintf(pid_text, sizeof(pid_text), "%d", (int)victim->pid);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (sigtimedwait(&set, NULL, &(struct timespec){ 0, 0 }) > 0)
		;
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		execl(tool, tool, revert ? "revert" : "apply", "-q", "-p", pid_text,
		      victim->files[i], (char *)NULL);
		_exit(126);
	}
	count(&shared->tools);
	if (us && sigtimedwait(&set, NULL, &limit) < 0) {
		kill(pid, SIGKILL);
		count(&shared->killed);
	}
	waitpid(pid, NULL, 0);
}

static void look(const struct victim *victim)
{
	const struct ulp_applied *applied;
	struct ulp_target *target;
	int code = ulp_target_open(ctx, victim->pid, &target);

	if (code < 0) {
		note(victim, "open", "", code);
		return;
	}
	note(victim, "list", "", ulp_target_applied(target, &applied));
	ulp_target_close(target);
}

static void operate(const struct victim *victim)
{
	unsigned int i = below(victim->nr_files);
	bool revert = below(2);

	switch (below(10)) {
	case 0:
	case 1:
		run_tool(victim, i, revert);
		break;
	case 2:
		look(victim);
		break;
	default:
		change(victim, i, revert);
	}
}

/* ---- one process for each victim ---- */

/* All patches off, whatever it takes; all on before, so that each image is there. */
static void settle(const struct victim *victim, bool all_on)
{
	unsigned long long end = now_ns() + LIMIT_NS;

	if (victim->kind >= ANY)
		return;
	for (int revert = !all_on; revert < 2; revert++) {
		for (unsigned int i = 0; i < victim->nr_files; i++) {
			int code;

			do
				code = change(victim, i, revert);
			while (code < 0 && !ulp_code_is_nothing(code) && now_ns() < end);
			if (code < 0 && !ulp_code_is_nothing(code)) {
				count(&shared->wrong);
				printf("# wrong: %s is not to be had: %s\n", victim->files[i],
				       ulp_error(ctx));
			}
		}
	}
}

static bool open_all(const struct victim *victim)
{
	if (ulp_context_new(&ctx) < 0)
		return false;
	for (unsigned int i = 0; i < victim->nr_files; i++)
		if (ulp_patch_open(ctx, victim->files[i], &patches[i]) < 0)
			return false;
	return true;
}

static void close_all(const struct victim *victim)
{
	for (unsigned int i = 0; i < victim->nr_files; i++)
		ulp_patch_close(patches[i]);
	ulp_context_free(ctx);
}

/* Nothing is held meanwhile, the module neither. */
static void rest(const struct victim *victim)
{
	close_all(victim);
	__atomic_add_fetch(&shared->resting, 1, __ATOMIC_SEQ_CST);
	while (shared->rest)
		usleep(10000);
	__atomic_sub_fetch(&shared->resting, 1, __ATOMIC_SEQ_CST);
	if (!open_all(victim))
		_exit(2);
}

/* It lives for some operations, and is killed in the middle of one. */
static void live(struct victim *victim)
{
	unsigned int life = below(1500000);
	int fds[2];
	pid_t killer;

	if (pipe2(fds, O_CLOEXEC))
		return;
	victim->pid = fork();
	if (!victim->pid) {
		int null = open("/dev/null", O_WRONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[0], 0);
		dup2(null, 1);
		execl(victim->program, victim->program, "clone", (char *)NULL);
		_exit(126);
	}
	count(&shared->victims);
	killer = fork();
	if (!killer) {
		usleep(life);
		kill(victim->pid, SIGKILL);
		_exit(0);
	}
	while (waitpid(victim->pid, NULL, WNOHANG) == 0)
		operate(victim);
	waitpid(killer, NULL, 0);
	close(fds[0]);
	close(fds[1]);
}

static void work(struct victim *victim)
{
	bool first = true;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!open_all(victim)) {
		printf("# wrong: %s\n", ulp_error(ctx));
		count(&shared->wrong);
		_exit(2);
	}
	while (!shared->stop) {
		if (shared->rest) {
			settle(victim, first);
			first = false;
			rest(victim);
		} else if (victim->kind == MORTAL) {
			live(victim);
		} else {
			operate(victim);
		}
	}
	_exit(0);
}

/* ---- all together ---- */

static bool parse(char *text)
{
	struct victim *victim = &victims[nr_victims++];
	char *who = strsep(&text, ":"), *what = strsep(&text, ":"), *file;

	if (nr_victims > VICTIMS_MAX || !what || !text)
		return false;
	if (!strcmp(who, "mortal")) {
		victim->kind = MORTAL;
		victim->program = what;
	} else {
		victim->pid = atoi(who);
		victim->kind = !strcmp(what, "steady") ? STEADY :
			       !strcmp(what, "busy") ? BUSY : ANY;
	}
	while ((file = strsep(&text, ",")) && victim->nr_files < PATCHES_MAX)
		victim->files[victim->nr_files++] = file;
	return victim->nr_files > 0;
}

static void signal_victims(int sig)
{
	for (unsigned int i = 0; i < nr_victims; i++)
		if (victims[i].kind != MORTAL)
			kill(victims[i].pid, sig);
}

/* Everybody rests, all is taken back, and the module has had time to let go. */
static void look_at_all(struct leaks *leaks)
{
	static struct leaks last;
	unsigned long long end = now_ns() + LIMIT_NS;

	shared->rest = true;
	while (shared->resting < nr_victims && now_ns() < end + nr_victims * LIMIT_NS)
		usleep(10000);
	/* what has ended is freed a while later */
	signal_victims(SIGSTOP);
	leaks_look(leaks);
	do {
		/* the module keeps its threads for 10 s */
		last = *leaks;
		sleep(12);
		leaks_look(leaks);
	} while ((leaks->references || leaks->objects != last.objects ||
		  leaks->areas != last.areas) && now_ns() < end);
}

static unsigned long gates(void)
{
	struct ulp_debug args = { .size = sizeof(args), .op = ULP_DEBUG_GATES };
	int dev = open("/dev/ulp", O_RDWR | O_CLOEXEC);
	struct ulp_session_open how = { .size = sizeof(how),
					.mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC) };
	int session = ioctl(dev, ULP_SESSION_OPEN, &how);

	if (ioctl(session, ULP_DEBUG, &args))
		args.out_value = ~0ULL;
	close(session);
	close(how.mem_fd);
	close(dev);
	return args.out_value;
}

static unsigned int compare_maps(struct victim *victim, bool first)
{
	struct leaks_maps images = leaks_maps(victim->pid, "memfd:ulp-");
	/* what is anonymous is the victim's own, and so is its heap */
	struct leaks_maps maps = leaks_maps(victim->pid, "/");
	unsigned int grown = 0;

	if (first) {
		victim->images = images;
		victim->maps = maps;
	}
	printf("# victim %d: %u mappings of files, %lu KiB; %u of images, %lu KiB\n",
	       (int)victim->pid, maps.nr, maps.bytes >> 10, images.nr, images.bytes >> 10);
	if (victim->kind < ANY && leaks_maps_grew(victim->images, images))
		grown++;
	if (victim->kind == STEADY && leaks_maps_grew(victim->maps, maps))
		grown++;
	if (grown)
		printf("# leak: victim %d had %u mappings of files, %lu KiB; %u of images, %lu KiB\n",
		       (int)victim->pid, victim->maps.nr, victim->maps.bytes >> 10,
		       victim->images.nr, victim->images.bytes >> 10);
	return grown;
}

static unsigned int look_closely(struct leaks *leaks, const struct leaks *before)
{
	unsigned int grown = 0;
	unsigned long operations;

	look_at_all(leaks);
	operations = shared->done + shared->refused + shared->tools;
	for (unsigned int i = 0; i < nr_victims; i++)
		if (victims[i].pid)
			grown += compare_maps(&victims[i], !before);
	printf("# %lu operations: slab %lu KiB, vmalloc %lu KiB; of the module: %lu objects, %u areas, %ld references, %lu gates; %u descriptors\n",
	       operations, leaks->slab_kb, leaks->vmalloc_kb, leaks->objects, leaks->areas,
	       leaks->references, gates(), leaks->descriptors);
	grown += leaks->references != 0;
	grown += gates() != 0;
	if (before) {
		grown += leaks->objects > before->objects;
		grown += leaks->areas > before->areas;
		/* of the rest: a leak is one object in each operation, or in every fourth */
		grown += leaks_compare_slab(before, leaks, 1000 + operations / 4);
		grown += leaks->vmalloc_kb > before->vmalloc_kb + 256;
		grown += leaks->descriptors > before->descriptors;
	}
	signal_victims(SIGCONT);
	shared->rest = false;
	return grown;
}

static void report(void)
{
	printf("# operations done %lu, refused %lu; ulp-tool run %lu times, killed %lu times; %lu victims killed\n",
	       shared->done, shared->refused, shared->tools, shared->killed, shared->victims);
	printf("# refused:");
	for (int i = 0; i < CODES; i++)
		if (shared->reasons[i])
			printf(" %s %lu", ulp_reason(-ULP_E_ALREADY_APPLIED - i),
			       shared->reasons[i]);
	printf("%s", shared->errors ? " system" : "");
	if (shared->errors)
		printf(" %lu", shared->errors);
	printf("\n# longest freeze %lu us\n", shared->longest_ns / 1000);
}

int main(int argc, char **argv)
{
	static struct leaks before, after;
	unsigned int grown = 0;
	unsigned long long end;

	if (argc < 4) {
		fprintf(stderr, "usage: soak SECONDS SEED VICTIM...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	for (int i = 3; i < argc; i++) {
		if (!parse(argv[i])) {
			fprintf(stderr, "soak: no victim: %s\n", argv[i]);
			return 2;
		}
	}
	end = now_ns() + strtoull(argv[1], NULL, 10) * 1000000000ull;
	for (unsigned int i = 0; i < nr_victims; i++) {
		seed = (unsigned int)atoi(argv[2]) + i;
		if (!fork())
			work(&victims[i]);
	}
	/* warm: a tenth of the time, each image in place */
	usleep((useconds_t)(strtoull(argv[1], NULL, 10) * 100000));
	grown += look_closely(&before, NULL);
	while (now_ns() < end)
		usleep(100000);
	grown += look_closely(&after, &before);
	shared->stop = true;
	while (wait(NULL) > 0)
		;
	report();
	printf("# leaks: %u, operations that ended as none may: %lu\n", grown, shared->wrong);
	return grown || shared->wrong || !shared->done;
}
