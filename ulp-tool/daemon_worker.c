// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The threads that look at processes, each with a context of its own.  A process can keep
 * one waiting as long as it likes, with memory whose file system does not answer: such
 * a thread is replaced by another, and ends when it comes back.
 */
#include <stdlib.h>
#include <time.h>

#include "daemon.h"

#define ATTEMPTS	4		/* in a row; then the thread in the way is waited for */
#define TIMEOUT_NS	2000000000ULL	/* for a process that nobody waits for */
#define REPLACED_MAX	64		/* at once */

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

static void *worker_main(void *arg)
{
	struct worker *worker = arg, **link;
	struct daemon_state *daemon = worker->daemon;

	worker->run(worker);
	pthread_mutex_lock(&daemon->lock);
	for (link = &daemon->workers; *link != worker; link = &(*link)->next)
		;
	*link = worker->next;
	pthread_mutex_unlock(&daemon->lock);
	ulp_context_free(worker->ctx);
	free(worker);
	return NULL;
}

/* With the lock held. */
static int start(struct daemon_state *daemon, void (*run)(struct worker *worker))
{
	struct worker *worker = malloc(sizeof(*worker));
	pthread_t thread;
	int err;

	if (!worker)
		out_of_memory();
	*worker = (struct worker){
		.daemon = daemon,
		.run = run,
		.ctx = daemon_context(daemon),
		.options = {
			.sz = sizeof(worker->options),
			.attempts = ATTEMPTS,
			.timeout_ns = TIMEOUT_NS,
		},
		.next = daemon->workers,
	};
	daemon->workers = worker;
	err = pthread_create(&thread, NULL, worker_main, worker);
	if (!err) {
		pthread_detach(thread);
		return 0;
	}
	daemon->workers = worker->next;
	ulp_context_free(worker->ctx);
	free(worker);
	return -err;
}

int worker_start(struct daemon_state *daemon, void (*run)(struct worker *worker))
{
	int err;

	pthread_mutex_lock(&daemon->lock);
	err = start(daemon, run);
	pthread_mutex_unlock(&daemon->lock);
	return err;
}

bool worker_begin(struct worker *worker, pid_t pid)
{
	struct daemon_state *daemon = worker->daemon;
	bool stuck = false;

	pthread_mutex_lock(&daemon->lock);
	for (struct worker *other = daemon->workers; other; other = other->next)
		stuck |= other->replaced && other->pid == pid;
	worker->pid = stuck ? 0 : pid;
	worker->since = daemon_now();
	pthread_mutex_unlock(&daemon->lock);
	return !stuck;
}

void worker_end(struct worker *worker)
{
	pthread_mutex_lock(&worker->daemon->lock);
	worker->pid = 0;
	pthread_mutex_unlock(&worker->daemon->lock);
}

void worker_hold(struct worker *worker, pid_t tid)
{
	pthread_mutex_lock(&worker->daemon->lock);
	worker->held = tid;
	pthread_mutex_unlock(&worker->daemon->lock);
}

bool daemon_holds(struct daemon_state *daemon, pid_t tid)
{
	bool found = false;

	pthread_mutex_lock(&daemon->lock);
	for (struct worker *worker = daemon->workers; worker; worker = worker->next)
		found |= tid && worker->held == tid;
	pthread_mutex_unlock(&daemon->lock);
	return found;
}

/* The next one that has been at a process for too long, now replaced; its process or 0. */
static pid_t replace_next(struct daemon_state *daemon)
{
	uint64_t now = daemon_now();
	size_t replaced = 0;
	pid_t pid = 0;

	pthread_mutex_lock(&daemon->lock);
	for (struct worker *worker = daemon->workers; worker; worker = worker->next)
		replaced += worker->replaced;
	for (struct worker *worker = daemon->workers; worker && !pid; worker = worker->next) {
		if (!worker->pid || worker->replaced || now - worker->since < STUCK_NS ||
		    replaced == REPLACED_MAX || start(daemon, worker->run))
			continue;
		worker->replaced = true;
		pid = worker->pid;
	}
	pthread_mutex_unlock(&daemon->lock);
	return pid;
}

void daemon_replace_stuck(struct daemon_state *daemon)
{
	pid_t pid;

	while ((pid = replace_next(daemon)))
		daemon_say(daemon, SAY_WARNING,
			   "process %d does not let itself be looked at (memory of a file system that does not answer?): it is passed over until it does",
			   (int)pid);
}
