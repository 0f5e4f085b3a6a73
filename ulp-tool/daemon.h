/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ulp-tool daemon: what its files share.
 */
#ifndef ULP_TOOL_DAEMON_H
#define ULP_TOOL_DAEMON_H

#include <pthread.h>
#include <sys/eventfd.h>

#include "cmds.h"

#define WORKERS_MAX	16

/**
 * struct busy_process - to be tried again, on its way to who does that
 * @pid: its
 * @tid: thread that was in the way, 0 unknown
 */
struct busy_process {
	pid_t pid, tid;
	struct busy_process *next;
};

/**
 * struct daemon_state - the daemon
 * @tool: options; its context is the main thread's
 * @sensor: of the module
 * @listener: socket of those who ask by themselves
 * @bell: eventfd, rung when there is one more in @busy
 * @list_lock: protects the list and its context
 * @list_ctx: it is read with
 * @list: the enabled patches
 * @list_changed: when their directory was, before they were read
 * @unread: it could not be read the last time
 * @lock: protects all below
 * @wake: the scanner is to look, or has looked
 * @scan_wanted: all processes are to be looked at
 * @scans: how often that was done
 * @busy: processes that a patch could not be applied to yet
 * @held: threads that the sensor holds and we are at, 0 in free places
 */
struct daemon_state {
	struct tool *tool;
	struct ulp_sensor *sensor;
	int listener;
	int bell;
	pthread_mutex_t list_lock;
	struct ulp_context *list_ctx;
	struct daemon_list *list;
	struct timespec list_changed;
	bool unread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool scan_wanted;
	unsigned int scans;
	struct busy_process *busy;
	pid_t held[WORKERS_MAX];
};

/* One line for the log; quiet drops those that are no warnings. */
enum say_level { SAY_WARNING, SAY_NOTE, SAY_DETAIL };
void daemon_say(const struct daemon_state *daemon, enum say_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Ends the daemon from any of its threads, where it could not go on but look alive:
 * whoever looks after it starts another.
 */
void daemon_fail(const struct daemon_state *daemon, const char *what, int err)
	__attribute__((noreturn));

/* daemon_list.c: the directory of the enabled patches */
const char *daemon_directory(const struct daemon_state *daemon);
/* Reads them anew, and says why not if that fails; 0 or the code. */
int daemon_list_read(struct daemon_state *daemon);
/* Them as they are now, behind a first read that did not fail; to be put back. */
struct daemon_list *daemon_list_get(struct daemon_state *daemon);
void daemon_list_put(struct daemon_state *daemon, struct daemon_list *list);
size_t daemon_list_entries(const struct daemon_list *list, const struct ulp_enabled_entry **out);

/* daemon_serve.c: a context whose lines go to the log */
struct ulp_context *daemon_context(struct daemon_state *daemon);
/* Starts the threads; 0 or -errno. */
int daemon_serve(struct daemon_state *daemon);
/* Has all processes looked at, with @wait until that is done. */
void daemon_scan(struct daemon_state *daemon, bool wait);

/* A process that is busy, and the thread that was in the way: to be tried again. */
void daemon_later(struct daemon_state *daemon, pid_t pid, pid_t tid);
struct worker;
/* What the thread does that tries again; does not return. */
void daemon_retry(struct worker *worker, struct daemon_state *daemon);
/* daemon_serve.c: applies what is enabled; whether something is busy, and by @tid */
bool worker_is_busy(struct worker *worker, pid_t pid, pid_t *tid);
/* Nanoseconds of a clock that only goes on. */
uint64_t daemon_now(void);

/* daemon_watch.c: until a thread has run */
struct thread_watch {
	int fd;		/* poll(): it has run, or ended; -1: it cannot be seen */
	void *ring;
};

#define NO_WATCH	{ .fd = -1 }

/* Ends what @watch was at before; 0 or -errno. */
int watch_begin(struct thread_watch *watch, pid_t tid);
void watch_end(struct thread_watch *watch);
/* In nanoseconds, whatever happens. */
void watch_wait(const struct thread_watch *watch, uint64_t at_least, uint64_t at_most);

/* daemon_socket.c: the listening socket or -errno; a thread that answers there */
int daemon_listen(void);
/* Reads what a client wants: its process, or -1. */
pid_t daemon_client(int fd);
void daemon_answer(int fd, int applied);
void daemon_unlisten(void);
/* What systemd wants to be told, if it does (sd_notify(3)). */
void daemon_notify(const char *state);

#endif /* ULP_TOOL_DAEMON_H */
