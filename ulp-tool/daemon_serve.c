// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The threads of the daemon: some that serve those whom the sensor holds, some
 * that answer at the socket, one that looks at all processes, and one that tries
 * again where a patch was busy (daemon_later.c).  Each has a context of its own, the
 * enabled patches are the same for all (daemon_list.c).
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/ulp_sensor.h"
#include "daemon.h"

#define DEFAULT_HOLD_NS	2000000000ULL	/* as the module's */
#define WORKERS_MIN	2
#define CLIENTS		2		/* served at once */
#define PASSES_MAX	8
#define EXTEND_EACH	256		/* processes */
#define ATTEMPTS	4		/* in a row; then the thread in the way is waited for */
#define PAUSE_NS	5000000ULL	/* while a thread is held, between tries; doubled */
#define PAUSE_MAX_NS	100000000ULL

/**
 * struct worker - a thread
 * @daemon: it belongs to
 * @ctx: its own
 * @options: how to apply
 * @busy: something that is enabled was busy in the process that was served last
 * @blocker: thread that was in its way, 0 unknown
 * @message: the sentence about it
 */
struct worker {
	struct daemon_state *daemon;
	struct ulp_context *ctx;
	struct ulp_options options;
	bool busy;
	pid_t blocker;
	char message[640];
};

uint64_t daemon_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void log_line(enum ulp_log_level level, const char *text, void *data)
{
	daemon_say(data, level == ULP_LOG_WARN ? SAY_WARNING : SAY_NOTE, "%s", text);
}

struct ulp_context *daemon_context(struct daemon_state *daemon)
{
	struct ulp_context *ctx;

	if (ulp_context_new(&ctx))
		out_of_memory();
	tool_set_log(daemon->tool, ctx, log_line, daemon);
	return ctx;
}

static void worker_init(struct worker *worker, struct daemon_state *daemon)
{
	*worker = (struct worker){
		.daemon = daemon,
		.options = { .sz = sizeof(worker->options), .attempts = ATTEMPTS },
	};
	worker->ctx = daemon_context(daemon);
}

/* Whether one of the patch's objects is there. */
static bool is_wanted(const struct ulp_patch *patch, const struct ulp_object_info *objects,
		      size_t nr)
{
	const struct ulp_patch_target *targets;
	size_t nr_targets = ulp_patch_targets(patch, &targets);

	for (size_t i = 0; i < nr_targets; i++)
		for (size_t k = 0; k < nr; k++)
			if (!strcmp(targets[i].build_id, objects[k].build_id))
				return true;
	return false;
}

static bool share_object(const struct ulp_patch *one, const struct ulp_patch *other)
{
	const struct ulp_patch_target *a, *b;
	size_t nr_a = ulp_patch_targets(one, &a), nr_b = ulp_patch_targets(other, &b);

	for (size_t i = 0; i < nr_a; i++)
		for (size_t k = 0; k < nr_b; k++)
			if (!strcmp(a[i].build_id, b[k].build_id))
				return true;
	return false;
}

/* What was enabled later must not come below what is busy. */
static void keep_order(const struct ulp_enabled_entry *entries, bool *wanted, size_t busy,
		       size_t nr)
{
	for (size_t i = busy + 1; i < nr; i++)
		wanted[i] = wanted[i] && !share_object(entries[busy].patch, entries[i].patch);
}

static void note_busy(struct worker *worker, const struct ulp_result *result, int err)
{
	if (!worker->busy)
		snprintf(worker->message, sizeof(worker->message), "%s (%s)", result->message,
			 ulp_reason(err));
	worker->busy = true;
	worker->blocker = (pid_t)result->blocker_tid;
}

static void say_applied(const struct worker *worker, const struct ulp_target *target,
			const struct ulp_patch *patch, const struct ulp_result *result)
{
	daemon_say(worker->daemon, SAY_NOTE,
		   "%s (pid: %d): %s applied (%" PRIu64 ".%03u ms frozen, attempt %u)",
		   ulp_target_name(target), (int)ulp_target_pid(target), ulp_patch_name(patch),
		   result->freeze_ns / 1000000, (unsigned int)(result->freeze_ns / 1000 % 1000),
		   result->attempts);
}

/* How many of the @nr patches were applied, or the code of one that was not. */
static int apply_all(struct worker *worker, struct ulp_target *target,
		     const struct ulp_enabled_entry *entries, size_t nr)
{
	const struct ulp_object_info *objects;
	int nr_objects = ulp_target_objects(target, &objects), applied = 0, code = 0, err;
	bool wanted[nr + 1];

	if (nr_objects < 0)
		return nr_objects;
	/* all of them first: a change of the target makes the objects invalid */
	for (size_t i = 0; i < nr; i++)
		wanted[i] = entries[i].patch &&
			    is_wanted(entries[i].patch, objects, (size_t)nr_objects);
	for (size_t i = 0; i < nr; i++) {
		struct ulp_result result = { .sz = sizeof(result), .proof = "" };

		if (!wanted[i])
			continue;
		err = ulp_apply(target, entries[i].patch, &worker->options, &result);
		if (is_gone(err))
			return applied;
		if (!err) {
			applied++;
			say_applied(worker, target, entries[i].patch, &result);
		} else if (ulp_code_is_busy(err)) {
			code = err;
			note_busy(worker, &result, err);
			keep_order(entries, wanted, i, nr);
		} else if (err == -ULP_E_OPTED_OUT) {
			daemon_say(worker->daemon, SAY_DETAIL, "%s", result.message);
		} else if (!ulp_code_is_nothing(err)) {
			code = err;
			daemon_say(worker->daemon, SAY_WARNING, "%s (%s)", result.message,
				   ulp_reason(err));
		}
	}
	return code ? code : applied;
}

static int apply_enabled(struct worker *worker, struct ulp_target *target)
{
	struct daemon_list *list = daemon_list_get(worker->daemon);
	const struct ulp_enabled_entry *entries;
	size_t nr = daemon_list_entries(list, &entries);
	int applied = apply_all(worker, target, entries, nr);

	daemon_list_put(worker->daemon, list);
	return applied;
}

/*
 * A process at @place; what is running anyway is at %ULP_PLACE_MISSED.  Its
 * dynamic linker gets armed, if it is not.
 */
static int serve(struct worker *worker, pid_t pid, uint32_t place)
{
	struct daemon_state *daemon = worker->daemon;
	struct ulp_target *target;
	int err, linker = 1;

	worker->busy = false;
	worker->blocker = 0;
	err = ulp_target_open(worker->ctx, pid, &target);
	if (err) {
		/* gone, a kernel thread, or no program of ours */
		daemon_say(daemon, SAY_DETAIL, "%s", ulp_error(worker->ctx));
		return err;
	}
	if (place != ULP_PLACE_LINK)
		linker = ulp_sensor_arm(daemon->sensor, target);
	if (linker < 0)
		daemon_say(daemon, SAY_DETAIL, "%s", ulp_error(worker->ctx));
	/* at its start there is nothing but the program yet, and that only if it is static */
	err = 0;
	if (!(place == ULP_PLACE_EXEC && linker) &&
	    !(place == ULP_PLACE_MISSED && daemon->tool->options.only_new))
		err = apply_enabled(worker, target);
	ulp_target_close(target);
	return err;
}

/* It is tried again when whoever is in the way has gone on. */
static void leave_for_later(struct worker *worker, pid_t pid)
{
	if (!worker->busy)
		return;
	daemon_say(worker->daemon, SAY_WARNING, "%s; it will be tried again", worker->message);
	daemon_later(worker->daemon, pid, worker->blocker);
}

bool worker_is_busy(struct worker *worker, pid_t pid, pid_t *tid)
{
	serve(worker, pid, ULP_PLACE_LINK);
	*tid = worker->blocker;
	if (worker->busy)
		daemon_say(worker->daemon, SAY_DETAIL, "%s", worker->message);
	return worker->busy;
}

static void set_held(struct daemon_state *daemon, pid_t from, pid_t to)
{
	bool done = false;

	pthread_mutex_lock(&daemon->lock);
	for (size_t i = 0; i < WORKERS_MAX && !done; i++) {
		done = daemon->held[i] == from;
		if (done)
			daemon->held[i] = to;
	}
	pthread_mutex_unlock(&daemon->lock);
}

static bool is_held(struct daemon_state *daemon, pid_t tid)
{
	bool found = false;

	pthread_mutex_lock(&daemon->lock);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		found |= tid && daemon->held[i] == tid;
	pthread_mutex_unlock(&daemon->lock);
	return found;
}

/*
 * A thread that is held waits for whoever is in the way of a patch: each time that
 * one has run it is tried again.  Unless it is held as well, and cannot run.
 */
static void serve_held(struct worker *worker, const struct ulp_load_info *load, uint64_t ns)
{
	struct daemon_state *daemon = worker->daemon;
	uint64_t now = daemon_now(), end = now + ns, pause = PAUSE_NS, left;
	struct thread_watch watch = NO_WATCH;
	pid_t watched = 0;

	set_held(daemon, 0, load->tid);
	for (;;) {
		/* better told that something is busy than cut off */
		worker->options.timeout_ns = end - now;
		serve(worker, load->pid, load->place);
		now = daemon_now();
		if (!worker->busy || now >= end || is_held(daemon, worker->blocker))
			break;
		if (worker->blocker != watched) {
			watched = worker->blocker;
			daemon_say(daemon, SAY_DETAIL, "%s; thread %d is held until it has gone on",
				   worker->message, (int)load->tid);
			/* it may have gone before it was watched: at once again */
			if (watched && !watch_begin(&watch, watched))
				continue;
			watch_end(&watch);
		}
		left = end - now;
		watch_wait(&watch, pause < left ? pause : left,
			   PAUSE_MAX_NS < left ? PAUSE_MAX_NS : left);
		if (pause < PAUSE_MAX_NS)
			pause *= 2;
	}
	watch_end(&watch);
	set_held(daemon, load->tid, 0);
	leave_for_later(worker, load->pid);
}

static void *serve_sensor(void *arg)
{
	struct daemon_state *daemon = arg;
	struct ulp_load_info load;
	struct worker worker;
	uint64_t hold = daemon->tool->options.hold_ns;
	int err;

	hold = (hold ? hold : DEFAULT_HOLD_NS) / 4 * 3;
	worker_init(&worker, daemon);
	for (;;) {
		err = ulp_sensor_next(daemon->sensor, &load);
		if (err == -EINTR)
			continue;
		if (err)
			daemon_fail(daemon, "the sensor cannot be read", err);
		if (load.place == ULP_PLACE_MISSED) {
			daemon_say(daemon, SAY_WARNING,
				   "%" PRIu64 " program%s went on unseen; looking at all",
				   load.ticket, load.ticket == 1 ? "" : "s");
			daemon_scan(daemon, false);
			continue;
		}
		if (load.pid)
			serve_held(&worker, &load, hold);
		ulp_sensor_done(daemon->sensor, load.ticket);
	}
	return NULL;
}

static void *serve_socket(void *arg)
{
	struct daemon_state *daemon = arg;
	struct worker worker;
	pid_t pid;
	int fd;

	worker_init(&worker, daemon);
	for (;;) {
		fd = accept4(daemon->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno != EINTR && errno != ECONNABORTED) {
				daemon_say(daemon, SAY_WARNING, "socket: %s", strerror(errno));
				sleep(1);	/* out of descriptors, say */
			}
			continue;
		}
		pid = daemon_client(fd);
		if (pid > 0) {
			daemon_answer(fd, serve(&worker, pid, ULP_PLACE_LINK));
			leave_for_later(&worker, pid);
		}
		close(fd);
	}
	return NULL;
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

/* The processes there are, ascending, to be freed. */
static pid_t *list_processes(const struct daemon_state *daemon, size_t *nr)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t *pids = NULL;
	size_t room = 0;
	long pid;

	*nr = 0;
	if (!proc) {
		daemon_say(daemon, SAY_WARNING, "/proc: %s; what is running is not looked at",
			   strerror(errno));
		return NULL;
	}
	while ((entry = readdir(proc))) {
		pid = strtol(entry->d_name, NULL, 10);
		if (pid <= 0 || pid == getpid())
			continue;
		if (*nr == room) {
			room = room ? 2 * room : 256;
			pids = reallocarray(pids, room, sizeof(*pids));
			if (!pids)
				out_of_memory();
		}
		pids[(*nr)++] = (pid_t)pid;
	}
	closedir(proc);
	if (*nr)
		qsort(pids, *nr, sizeof(*pids), compare_pids);
	return pids;
}

/*
 * Again for those that came meanwhile: a child that was forked before the linker
 * of its parent was armed comes to no place of its own.
 */
static void scan(struct worker *worker)
{
	size_t nr_seen = 0, nr, fresh = 1;
	pid_t *seen = NULL, *pids;

	for (int pass = 0; pass < PASSES_MAX && fresh; pass++) {
		pids = list_processes(worker->daemon, &nr);
		fresh = 0;
		for (size_t i = 0; i < nr; i++) {
			if (nr_seen &&
			    bsearch(&pids[i], seen, nr_seen, sizeof(*seen), compare_pids))
				continue;
			/* at its start the service manager waits for us, and counts */
			if (!(fresh++ % EXTEND_EACH))
				daemon_notify("EXTEND_TIMEOUT_USEC=60000000");
			serve(worker, pids[i], ULP_PLACE_MISSED);
			leave_for_later(worker, pids[i]);
		}
		free(seen);
		seen = pids;
		nr_seen = nr;
	}
	free(seen);
}

static void *scan_processes(void *arg)
{
	struct daemon_state *daemon = arg;
	struct worker worker;

	worker_init(&worker, daemon);
	pthread_mutex_lock(&daemon->lock);
	for (;;) {
		while (!daemon->scan_wanted)
			pthread_cond_wait(&daemon->wake, &daemon->lock);
		daemon->scan_wanted = false;
		pthread_mutex_unlock(&daemon->lock);
		scan(&worker);
		pthread_mutex_lock(&daemon->lock);
		daemon->scans++;
		pthread_cond_broadcast(&daemon->wake);
	}
	return NULL;
}

void daemon_scan(struct daemon_state *daemon, bool wait)
{
	unsigned int before;

	pthread_mutex_lock(&daemon->lock);
	before = daemon->scans;
	daemon->scan_wanted = true;
	pthread_cond_broadcast(&daemon->wake);
	while (wait && daemon->scans == before)
		pthread_cond_wait(&daemon->wake, &daemon->lock);
	pthread_mutex_unlock(&daemon->lock);
}

static void *retry_busy(void *arg)
{
	struct worker worker;

	worker_init(&worker, arg);
	daemon_retry(&worker, arg);
	return NULL;
}

int daemon_serve(struct daemon_state *daemon)
{
	size_t workers = WORKERS_MIN;
	pthread_t thread;
	cpu_set_t cpus;
	int err;

	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && (size_t)CPU_COUNT(&cpus) > workers)
		workers = (size_t)CPU_COUNT(&cpus);
	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	daemon->bell = eventfd(0, EFD_CLOEXEC);
	if (daemon->bell < 0)
		return -errno;
	err = pthread_create(&thread, NULL, scan_processes, daemon);
	if (!err)
		err = pthread_create(&thread, NULL, retry_busy, daemon);
	for (size_t i = 0; i < workers && !err; i++)
		err = pthread_create(&thread, NULL, serve_sensor, daemon);
	for (size_t i = 0; i < CLIENTS && !err; i++)
		err = pthread_create(&thread, NULL, serve_socket, daemon);
	return -err;
}
