// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The threads of the daemon: some that serve those whom the sensor holds, some
 * that answer at the socket, one that looks at all processes (daemon_scan.c), and one
 * that tries again where a patch was busy (daemon_later.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../uapi/ulp_sensor.h"
#include "daemon.h"

#define DEFAULT_HOLD_NS	2000000000ULL	/* as the module's */
#define WORKERS_MIN	2
#define WORKERS_MAX	16
#define CLIENTS		2		/* served at once */
#define PAUSE_NS	5000000ULL	/* while a thread is held, between tries; doubled */
#define PAUSE_MAX_NS	100000000ULL

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

	worker_hold(worker, load->tid);
	for (;;) {
		/* better told that something is busy than cut off */
		worker->options.timeout_ns = end - now;
		worker_serve(worker, load->pid, load->place);
		now = daemon_now();
		if (!worker->busy || worker->replaced || now >= end ||
		    daemon_holds(daemon, worker->blocker))
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
	worker_hold(worker, 0);
	worker_leave_for_later(worker, load->pid);
}

static void serve_sensor(struct worker *worker)
{
	struct daemon_state *daemon = worker->daemon;
	struct ulp_load_info load;
	uint64_t hold = daemon->tool->options.hold_ns;
	int err;

	hold = (hold ? hold : DEFAULT_HOLD_NS) / 4 * 3;
	while (!worker->replaced) {
		err = ulp_sensor_next(daemon->sensor, &load);
		if (err == -EINTR)
			continue;
		if (err)
			daemon_fail(daemon, "the sensor cannot be read", err);
		if (load.place == ULP_PLACE_MISSED) {
			daemon_say(daemon, SAY_WARNING,
				   "%" PRIu64 " program%s went on unseen; looking at all",
				   load.ticket, load.ticket == 1 ? "" : "s");
			daemon_scan(daemon);
			continue;
		}
		if (load.pid)
			serve_held(worker, &load, hold);
		ulp_sensor_done(daemon->sensor, load.ticket);
	}
}

static void serve_socket(struct worker *worker)
{
	struct daemon_state *daemon = worker->daemon;
	pid_t pid;
	int fd;

	while (!worker->replaced) {
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
			daemon_answer(fd, worker_serve(worker, pid, ULP_PLACE_LINK));
			worker_leave_for_later(worker, pid);
		}
		close(fd);
	}
}

int daemon_serve(struct daemon_state *daemon)
{
	size_t workers = WORKERS_MIN;
	cpu_set_t cpus;
	int err;

	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && (size_t)CPU_COUNT(&cpus) > workers)
		workers = (size_t)CPU_COUNT(&cpus);
	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	daemon->bell = eventfd(0, EFD_CLOEXEC);
	daemon->scanned = eventfd(0, EFD_CLOEXEC);
	if (daemon->bell < 0 || daemon->scanned < 0)
		return -errno;
	err = worker_start(daemon, scan_processes);
	if (!err)
		err = worker_start(daemon, retry_busy);
	for (size_t i = 0; i < workers && !err; i++)
		err = worker_start(daemon, serve_sensor);
	for (size_t i = 0; i < CLIENTS && !err; i++)
		err = worker_start(daemon, serve_socket);
	return err;
}
