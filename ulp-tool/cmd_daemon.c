// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool daemon: applies the enabled patches to what is loaded, before it
 * runs, and to what is running.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon.h"

#define READY_NS	30000000000ULL

static volatile sig_atomic_t ended, reload;

static void on_end(int number)
{
	ended = number;
}

static void on_reload(int number)
{
	reload = number;
}

void daemon_say(const struct daemon_state *daemon, enum say_level level, const char *format, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const struct options *options = &daemon->tool->options;
	char text[2048], *safe;
	va_list args;

	if ((level == SAY_NOTE && options->quiet) || (level == SAY_DETAIL && !options->verbose))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	safe = text_for_terminal(text);
	pthread_mutex_lock(&lock);
	fprintf(stderr, "%s: %s%s\n", daemon->tool->name,
		level == SAY_WARNING ? "warning: " : "", safe);
	pthread_mutex_unlock(&lock);
	free(safe);
}

/* The sensor closes with the process: all that are held go on. */
void daemon_fail(const struct daemon_state *daemon, const char *what, int err)
{
	static const struct tally failed = { .errors = 1 };

	daemon_say(daemon, SAY_WARNING, "%s: %s; the daemon ends", what, strerror(-err));
	daemon_unlisten();
	_exit(exit_status(&failed));
}

/* Blocked but in ppoll(); threads inherit that.  Returns the mask to wait with. */
static sigset_t catch_signals(void)
{
	const struct sigaction end = { .sa_handler = on_end };
	const struct sigaction again = { .sa_handler = on_reload };
	sigset_t block, before;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	sigprocmask(SIG_BLOCK, &block, &before);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &again, NULL);
	sigdelset(&before, SIGINT);
	sigdelset(&before, SIGTERM);
	sigdelset(&before, SIGHUP);
	return before;
}

/* Reads the list and says what is enabled now, and what cannot be used; 0 or the code. */
static int look_at_list(struct daemon_state *daemon)
{
	const struct ulp_enabled_entry *entries;
	struct daemon_list *list;
	size_t nr, usable = 0;
	char state[64];
	int err = daemon_list_read(daemon, &list);

	if (err)
		return err;
	nr = daemon_list_entries(list, &entries);
	for (size_t i = 0; i < nr; i++) {
		if (entries[i].patch)
			usable++;
		else
			daemon_say(daemon, SAY_WARNING, "%s", entries[i].message);
	}
	daemon_list_put(daemon, list);
	snprintf(state, sizeof(state), "STATUS=%zu patch%s enabled", usable,
		 usable == 1 ? "" : "es");
	daemon_notify(state);
	daemon_say(daemon, SAY_NOTE, "%s", state + strlen("STATUS="));
	return 0;
}

/* Events of the list are read away: what it is now says the list itself. */
static bool list_changed(int fd)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t n;

	while ((n = read(fd, events, sizeof(events))) > 0) {
		for (char *at = events; at < events + n;) {
			const struct inotify_event *event = (void *)at;

			/* files that are being written begin with a dot */
			changed |= !event->len || event->name[0] != '.';
			at += sizeof(*event) + event->len;
		}
	}
	return changed;
}

/* The directory that has the list's name now: a watch is of what had it. */
static int watch_list(struct daemon_state *daemon, int fd, int *watch)
{
	const uint32_t mask = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
			      IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
	int err = ulp_enabled_create(daemon->tool->ctx, daemon_directory(daemon));

	if (err) {
		p_err(daemon->tool, err, "%s", ulp_error(daemon->tool->ctx));
		return err;
	}
	*watch = inotify_add_watch(fd, daemon_directory(daemon), mask);
	if (*watch >= 0)
		return 0;
	err = -errno;
	p_err(daemon->tool, err, "%s: %s", daemon_directory(daemon), strerror(-err));
	return err;
}

static void reload_list(struct daemon_state *daemon, bool ready)
{
	if (ready)
		daemon_notify("RELOADING=1");
	if (!look_at_list(daemon) && !daemon->tool->options.only_new)
		daemon_scan(daemon);
	if (ready)
		daemon_notify("READY=1");
}

/* Half of the time within which the service manager wants to hear of us, or what we need. */
static struct timespec time_to_wake(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long ns = usec ? strtoull(usec, NULL, 10) * 500 : 0;

	if (!ns || ns > STUCK_NS || (pid && strtol(pid, NULL, 10) != getpid()))
		ns = STUCK_NS;
	return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

static void say_ready(const struct daemon_state *daemon)
{
	daemon_say(daemon, SAY_NOTE, "ready");
	daemon_notify("READY=1");
}

/*
 * All processes are looked at before it is ready, but the boot does not wait for ever:
 * what is started is seen already.
 */
static void run(struct daemon_state *daemon, int inotify, int watch, const sigset_t *mask)
{
	struct pollfd fds[] = {
		{ .fd = inotify, .events = POLLIN },
		{ .fd = daemon->scanned, .events = POLLIN },
	};
	const struct timespec wake = time_to_wake();
	uint64_t begin = daemon_now();
	int before = watch;
	bool ready = false;

	while (!ended) {
		daemon_notify("WATCHDOG=1");
		if (ppoll(fds, ARRAY_SIZE(fds), &wake, mask) < 0) {
			if (errno != EINTR) {
				p_err(daemon->tool, -errno, "poll: %s", strerror(errno));
				return;
			}
			fds[1].revents = 0;
		}
		daemon_replace_stuck(daemon);
		if (!ready && (fds[1].revents || daemon_now() - begin > READY_NS)) {
			if (!fds[1].revents)
				daemon_say(daemon, SAY_WARNING,
					   "what is running is still being looked at");
			ready = true;
			fds[1].fd = -1;
			say_ready(daemon);
		}
		watch_list(daemon, inotify, &watch);
		if (list_changed(inotify) || reload || watch != before) {
			reload = 0;
			before = watch;
			reload_list(daemon, ready);
		}
	}
}

/* Each process that is busy takes a descriptor, and each that is looked at some. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int start(struct daemon_state *daemon, int *inotify, int *watch)
{
	struct tool *tool = daemon->tool;
	int err;

	*inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (*inotify < 0) {
		err = -errno;
		p_err(tool, err, "inotify: %s", strerror(-err));
		return err;
	}
	err = watch_list(daemon, *inotify, watch);
	if (err)
		return err;
	err = look_at_list(daemon);
	if (err) {
		tool->tally.errors++;
		return err;
	}
	err = ulp_sensor_open(tool->ctx, tool->options.hold_ns, &daemon->sensor);
	if (err) {
		p_err(tool, err, "%s", ulp_error(tool->ctx));
		return err;
	}
	daemon->listener = daemon_listen();
	if (daemon->listener < 0) {
		p_err(tool, daemon->listener, "socket: %s", strerror(-daemon->listener));
		return daemon->listener;
	}
	err = daemon_serve(daemon);
	if (err)
		p_err(tool, err, "threads: %s", strerror(-err));
	return err;
}

void cmd_daemon(struct tool *tool)
{
	struct daemon_state daemon = {
		.tool = tool,
		.list_lock = PTHREAD_MUTEX_INITIALIZER,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.wake = PTHREAD_COND_INITIALIZER,
	};
	sigset_t mask;
	int inotify = -1, watch = -1;

	if (tool->nr_args) {
		p_usage(tool, "daemon takes no argument '%s'", tool->args[0]);
		return;
	}
	mask = catch_signals();
	daemon.list_ctx = daemon_context(&daemon);
	raise_limit();
	if (!start(&daemon, &inotify, &watch)) {
		daemon_scan(&daemon);
		run(&daemon, inotify, watch, &mask);
		daemon_notify("STOPPING=1");
		daemon_unlisten();
	}
	/* The threads end with the process; what they are at is all or nothing. */
	fflush(NULL);
	_exit(exit_status(&tool->tally));
}
