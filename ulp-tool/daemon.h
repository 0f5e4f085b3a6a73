/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ulp-tool daemon: what its files share.
 */
#ifndef ULP_TOOL_DAEMON_H
#define ULP_TOOL_DAEMON_H

#include <pthread.h>
#include <stdatomic.h>

#include "cmds.h"

/**
 * struct daemon_state - the daemon
 * @tool: options; its context is the main thread's
 * @sensor: of the module
 * @listener: socket of those who ask by themselves
 * @generation: of the list; raised when it changed
 * @lock: protects all below
 * @wake: the scanner is to look, or has looked
 * @scan_wanted: all processes are to be looked at
 * @scans: how often that was done
 */
struct daemon_state {
	struct tool *tool;
	struct ulp_sensor *sensor;
	int listener;
	atomic_uint generation;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool scan_wanted;
	unsigned int scans;
};

/* One line for the log; quiet drops those that are no warnings. */
enum say_level { SAY_WARNING, SAY_NOTE, SAY_DETAIL };
void daemon_say(const struct daemon_state *daemon, enum say_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The directory of the enabled patches. */
const char *daemon_list(const struct daemon_state *daemon);

/* Starts the threads; 0 or -errno. */
int daemon_serve(struct daemon_state *daemon);
/* Has all processes looked at, with @wait until that is done. */
void daemon_scan(struct daemon_state *daemon, bool wait);

/* daemon_socket.c: the listening socket or -errno; a thread that answers there */
int daemon_listen(void);
/* Reads what a client wants: its process, or -1. */
pid_t daemon_client(int fd);
void daemon_answer(int fd, int applied);
void daemon_unlisten(void);
/* What systemd wants to be told, if it does (sd_notify(3)). */
void daemon_notify(const char *state);

#endif /* ULP_TOOL_DAEMON_H */
