// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The thread that looks at all processes there are.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../uapi/ulp_sensor.h"
#include "daemon.h"

#define PASSES_MAX	8

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

	for (int pass = 0; pass < PASSES_MAX && fresh && !worker->replaced; pass++) {
		pids = list_processes(worker->daemon, &nr);
		fresh = 0;
		for (size_t i = 0; i < nr && !worker->replaced; i++) {
			if (nr_seen &&
			    bsearch(&pids[i], seen, nr_seen, sizeof(*seen), compare_pids))
				continue;
			fresh++;
			worker_serve(worker, pids[i], ULP_PLACE_MISSED);
			worker_leave_for_later(worker, pids[i]);
		}
		free(seen);
		seen = pids;
		nr_seen = nr;
	}
	free(seen);
}

/* One that is replaced leaves all the rest to the other, which looks at all again. */
void scan_processes(struct worker *worker)
{
	struct daemon_state *daemon = worker->daemon;

	pthread_mutex_lock(&daemon->lock);
	for (;;) {
		while (!daemon->scan_wanted && !daemon->scanning)
			pthread_cond_wait(&daemon->wake, &daemon->lock);
		daemon->scan_wanted = false;
		daemon->scanning = true;
		pthread_mutex_unlock(&daemon->lock);
		scan(worker);
		pthread_mutex_lock(&daemon->lock);
		if (worker->replaced)
			break;
		daemon->scanning = false;
		eventfd_write(daemon->scanned, 1);
	}
	pthread_mutex_unlock(&daemon->lock);
}

void daemon_scan(struct daemon_state *daemon)
{
	pthread_mutex_lock(&daemon->lock);
	daemon->scan_wanted = true;
	pthread_cond_broadcast(&daemon->wake);
	pthread_mutex_unlock(&daemon->lock);
}
