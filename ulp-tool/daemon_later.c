// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Processes that an enabled patch could not be applied to yet.  Each is tried again
 * when the thread that was in the way has run; where that cannot be seen, after a
 * pause.  It is forgotten when it is patched, refused for good, or gone.
 */
#include <poll.h>
#include <stdlib.h>

#include "../uapi/ulp_sensor.h"
#include "daemon.h"

#define PAUSE_NS	5000000ULL	/* between two tries at least; doubles */
#define PAUSE_MAX_NS	1000000000ULL
#define UNSEEN_NS	10000000000ULL	/* without having seen anything */
#define WATCHES_MAX	256		/* a descriptor each; beyond that they wait for pauses */

/**
 * struct late - a process
 * @pid: its
 * @tid: thread that was in the way, 0 unknown
 * @watch: it, if it can be
 * @pause: until the next try
 * @tried: when it was
 * @due: when it is to be
 */
struct late {
	pid_t pid, tid;
	struct thread_watch watch;
	uint64_t pause, tried, due;
};

/* Belongs to the thread that tries again, and to the next one if that is replaced. */
struct waiting {
	size_t nr, room, watches;
	struct late *late;
	struct pollfd *fds;	/* one more: the bell */
};

void daemon_later(struct daemon_state *daemon, pid_t pid, pid_t tid)
{
	struct busy_process *busy = malloc(sizeof(*busy));

	if (!busy)
		out_of_memory();
	pthread_mutex_lock(&daemon->lock);
	*busy = (struct busy_process){ .pid = pid, .tid = tid, .next = daemon->busy };
	daemon->busy = busy;
	pthread_mutex_unlock(&daemon->lock);
	eventfd_write(daemon->bell, 1);
}

static void unwatch(struct waiting *waiting, struct late *late)
{
	waiting->watches -= late->watch.fd >= 0;
	watch_end(&late->watch);
}

static void look_at_thread(struct waiting *waiting, struct late *late, pid_t tid)
{
	if (tid != late->tid || !late->pause) {
		unwatch(waiting, late);
		if (tid && waiting->watches < WATCHES_MAX)
			waiting->watches += !watch_begin(&late->watch, tid);
		late->tid = tid;
		/* it may have run before it was watched */
		late->due = late->tried + (late->pause ? late->pause : PAUSE_NS);
	} else {
		late->due = late->tried + (late->watch.fd < 0 ? late->pause : UNSEEN_NS);
	}
	late->pause = !late->pause ? PAUSE_NS : late->pause < PAUSE_MAX_NS ? 2 * late->pause :
		late->pause;
}

static void add(struct waiting *waiting, pid_t pid, pid_t tid)
{
	struct late *late;

	for (size_t i = 0; i < waiting->nr; i++)
		if (waiting->late[i].pid == pid)
			return;
	if (waiting->nr == waiting->room) {
		waiting->room = waiting->room ? 2 * waiting->room : 16;
		waiting->late = reallocarray(waiting->late, waiting->room, sizeof(*late));
		waiting->fds = reallocarray(waiting->fds, waiting->room + 1,
					    sizeof(*waiting->fds));
		if (!waiting->late || !waiting->fds)
			out_of_memory();
	}
	late = &waiting->late[waiting->nr++];
	*late = (struct late){ .pid = pid, .watch = NO_WATCH, .tried = daemon_now() };
	look_at_thread(waiting, late, tid);
}

static void add_all(struct daemon_state *daemon, struct waiting *waiting)
{
	struct busy_process *busy, *next;

	pthread_mutex_lock(&daemon->lock);
	busy = daemon->busy;
	daemon->busy = NULL;
	pthread_mutex_unlock(&daemon->lock);
	for (; busy; busy = next) {
		next = busy->next;
		add(waiting, busy->pid, busy->tid);
		free(busy);
	}
}

/* Until the bell rings, a thread has run, or the time of one has come. */
static void wait_for_any(struct daemon_state *daemon, struct waiting *waiting)
{
	uint64_t now = daemon_now(), first = UINT64_MAX;
	struct pollfd bell = { .fd = daemon->bell, .events = POLLIN };
	struct pollfd *fds = waiting->fds ? waiting->fds : &bell;
	eventfd_t rung;
	int ms = -1;

	for (size_t i = 0; i < waiting->nr; i++) {
		const struct late *late = &waiting->late[i];

		/* one that has run already only waits for its time */
		fds[i] = (struct pollfd){
			.fd = late->due > late->tried + late->pause ? late->watch.fd : -1,
			.events = POLLIN,
		};
		if (late->due < first)
			first = late->due;
	}
	fds[waiting->nr] = bell;
	if (first != UINT64_MAX)
		ms = first > now ? (int)((first - now + 999999) / 1000000) : 0;
	if (poll(fds, waiting->nr + 1, ms) <= 0)
		return;
	if (fds[waiting->nr].revents)
		eventfd_read(daemon->bell, &rung);
	for (size_t i = 0; i < waiting->nr; i++)
		if (fds[i].revents)
			waiting->late[i].due = waiting->late[i].tried + waiting->late[i].pause;
}

static void try_again(struct worker *worker, struct waiting *waiting)
{
	for (size_t i = 0; i < waiting->nr;) {
		struct late *late = &waiting->late[i];

		if (late->due > daemon_now()) {
			i++;
			continue;
		}
		worker_serve(worker, late->pid, ULP_PLACE_LINK);
		if (worker->replaced)
			return;
		if (worker->busy) {
			daemon_say(worker->daemon, SAY_DETAIL, "%s", worker->message);
			late->tried = daemon_now();
			look_at_thread(waiting, late, worker->blocker);
			i++;
		} else {
			unwatch(waiting, late);
			*late = waiting->late[--waiting->nr];
		}
	}
}

void retry_busy(struct worker *worker)
{
	struct daemon_state *daemon = worker->daemon;

	if (!daemon->waiting)
		daemon->waiting = calloc(1, sizeof(*daemon->waiting));
	if (!daemon->waiting)
		out_of_memory();
	while (!worker->replaced) {
		wait_for_any(daemon, daemon->waiting);
		add_all(daemon, daemon->waiting);
		try_again(worker, daemon->waiting);
	}
}
