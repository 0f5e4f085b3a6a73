/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ulp-tool daemon: what its files share.
 */
#ifndef ULP_TOOL_DAEMON_H
#define ULP_TOOL_DAEMON_H

#include <pthread.h>
#include <sys/eventfd.h>

#include "cmds.h"

#define STUCK_NS	10000000000ULL	/* a thread is at a process no longer, or replaced */

/**
 * struct worker - a thread that looks at processes
 * @daemon: it belongs to
 * @run: what it does; returns when it was replaced
 * @ctx: its own
 * @options: how to apply
 * @busy: something that is enabled is to be tried again in the process served last
 * @blocker: thread that was in its way, 0 unknown
 * @message: the sentence about it
 * @pid: process that it is at, 0 none; protected by the daemon's lock as all below
 * @since: it is
 * @held: thread that the sensor holds meanwhile, 0 none
 * @replaced: it was at @pid for too long, and another does its work; changes only then
 * @next: in daemon_state.workers
 */
struct worker {
	struct daemon_state *daemon;
	void (*run)(struct worker *worker);
	struct ulp_context *ctx;
	struct ulp_options options;
	bool busy;
	pid_t blocker;
	char message[640];
	pid_t pid;
	uint64_t since;
	pid_t held;
	bool replaced;
	struct worker *next;
};

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
 * @scanned: eventfd, rung when all processes have been looked at
 * @waiting: of the thread that tries again
 * @list_lock: protects the list and its context
 * @list_ctx: it is read with
 * @list: the enabled patches
 * @list_changed: when their directory was, before they were read
 * @unread: it could not be read the last time
 * @lock: protects all below
 * @workers: the threads
 * @wake: the scanner is to look
 * @scan_wanted: all processes are to be looked at
 * @scanning: they are being
 * @busy: processes that a patch could not be applied to yet
 */
struct daemon_state {
	struct tool *tool;
	struct ulp_sensor *sensor;
	int listener;
	int bell;
	int scanned;
	struct waiting *waiting;
	pthread_mutex_t list_lock;
	struct ulp_context *list_ctx;
	struct daemon_list *list;
	struct timespec list_changed;
	bool unread;
	pthread_mutex_t lock;
	struct worker *workers;
	pthread_cond_t wake;
	bool scan_wanted;
	bool scanning;
	struct busy_process *busy;
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
/* Reads them anew, and says why not if that fails; 0 with @out, to be put back, or the code. */
int daemon_list_read(struct daemon_state *daemon, struct daemon_list **out);
/* Them as they are now, behind a first read that did not fail; likewise. */
struct daemon_list *daemon_list_get(struct daemon_state *daemon);
void daemon_list_put(struct daemon_state *daemon, struct daemon_list *list);
size_t daemon_list_entries(const struct daemon_list *list, const struct ulp_enabled_entry **out);

/* daemon_worker.c: nanoseconds of a clock that only goes on; a context for the log */
uint64_t daemon_now(void);
struct ulp_context *daemon_context(struct daemon_state *daemon);
/* A thread that does @run; 0 or -errno. */
int worker_start(struct daemon_state *daemon, void (*run)(struct worker *worker));
/* It is at @pid from here to there; false: one that was replaced still is. */
bool worker_begin(struct worker *worker, pid_t pid);
void worker_end(struct worker *worker);
/* The thread that waits for it, or 0; whether one is such a thread. */
void worker_hold(struct worker *worker, pid_t tid);
bool daemon_holds(struct daemon_state *daemon, pid_t tid);
/* Starts others for those that are stuck. */
void daemon_replace_stuck(struct daemon_state *daemon);

/*
 * daemon_apply.c: applies what is enabled to a process that is at @place; what is
 * running anyway is at %ULP_PLACE_MISSED.  Its dynamic linker gets armed, if it is not.
 * Return: how many were applied, or the code of one that was not.
 */
int worker_serve(struct worker *worker, pid_t pid, uint32_t place);
/* What was busy is tried again when whoever is in the way has gone on. */
void worker_leave_for_later(struct worker *worker, pid_t pid);

/* daemon_serve.c: starts the threads; 0 or -errno. */
int daemon_serve(struct daemon_state *daemon);

/* daemon_scan.c: a thread that looks at all processes when it is told to */
void scan_processes(struct worker *worker);
void daemon_scan(struct daemon_state *daemon);

/* daemon_later.c: a thread that tries again; a process for it, and who was in the way */
void retry_busy(struct worker *worker);
void daemon_later(struct daemon_state *daemon, pid_t pid, pid_t tid);

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
