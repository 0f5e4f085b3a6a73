// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool monitor
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/ulp.h"
#include "../uapi/ulp_netlink.h"
#include "../uapi/ulp_sensor.h"
#include "cmds.h"

static volatile sig_atomic_t ended;

static void on_end(int number)
{
	ended = number;
}

/* Without SA_RESTART: the wait ends.  Returns the mask to wait with. */
static sigset_t catch_end(void)
{
	struct sigaction action = { .sa_handler = on_end };
	sigset_t block, before;

	/* delivered in ppoll() only, so that none comes just before it */
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &before);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigdelset(&before, SIGINT);
	sigdelset(&before, SIGTERM);
	return before;
}

static void now(char *out, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	used = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	used += snprintf(out + used, size - used, ".%03ld", ts.tv_nsec / 1000000);
	strftime(out + used, size - used, "%z", &tm);
}

static const char *place_name(uint32_t place)
{
	return place == ULP_PLACE_EXEC ? "at its start" : "before code it had loaded";
}

static void put_event(struct tool *tool, const struct ulp_event_info *info)
{
	static const enum color colors[] = {
		[ULP_EVENT_APPLIED] = COLOR_GREEN, [ULP_EVENT_REVERTED] = COLOR_GREEN,
		[ULP_EVENT_REFUSED] = COLOR_RED, [ULP_EVENT_BUSY] = COLOR_YELLOW,
		[ULP_EVENT_OVERDUE] = COLOR_RED,
	};
	char time[64];

	now(time, sizeof(time));
	printf("%s ", time);
	put_text(stdout, *info->name ? info->name : "?");
	printf(" (pid: %d): ", (int)info->pid);
	put_colored(tool, stdout, colors[info->event], info->word);
	if (info->event == ULP_EVENT_OVERDUE) {
		printf(": thread %d was held %" PRIu64 ".%03u ms %s, and nobody answered\n",
		       (int)info->blocker_tid, info->held_ns / 1000000,
		       (unsigned int)(info->held_ns / 1000 % 1000), place_name(info->place));
		return;
	}
	if (info->code)
		fputs(info->action == ULP_ACTION_REVERT ? " revert of " : " apply of ", stdout);
	else
		putchar(' ');
	put_text(stdout, info->patch);
	printf(" (%.12s):", info->id);
	for (size_t i = 0; i < info->nr_names; i++) {
		fputs(i ? ", " : " ", stdout);
		put_text(stdout, info->functions[i]);
	}
	if (info->nr_names < info->nr_functions)
		printf(" and %zu more", info->nr_functions - info->nr_names);
	printf("; %" PRIu64 ".%03u ms frozen, %u thread%s, attempt %u",
	       info->max_freeze_ns / 1000000,
	       (unsigned int)(info->max_freeze_ns / 1000 % 1000), info->threads,
	       info->threads == 1 ? "" : "s", info->attempts);
	if (info->code)
		printf("; %s (%s)", refusal_name(info->reason), strerror(-info->code));
	if (info->blocker_tid)
		printf(", thread %d at 0x%" PRIx64, (int)info->blocker_tid, info->blocker_ip);
	printf("; by pid %d, uid %u\n", (int)info->by_pid, info->by_uid);
}

static void json_event(const struct ulp_event_info *info)
{
	json_object *object = json_new(), *blocker = NULL;
	char time[64];

	now(time, sizeof(time));
	json_put(object, "event", json_text(info->word));
	json_put(object, "time", json_text(time));
	json_put(object, "action",
		 json_text(info->action == ULP_ACTION_REVERT ? "revert" : "apply"));
	json_put(object, "pid", json_object_new_int(info->pid));
	json_put(object, "name", json_text(info->name));
	json_put(object, "patch", json_text(info->patch));
	json_put(object, "id", json_text(info->id));
	json_put(object, "functions", json_texts(info->functions, info->nr_names));
	json_put(object, "nr_functions", json_object_new_int64(info->nr_functions));
	json_put(object, "by_pid", json_object_new_int(info->by_pid));
	json_put(object, "by_uid", json_object_new_int64(info->by_uid));
	json_put(object, "max_freeze_ns", json_object_new_int64((int64_t)info->max_freeze_ns));
	json_put(object, "attempts", json_object_new_int64(info->attempts));
	json_put(object, "threads", json_object_new_int64(info->threads));
	json_put(object, "backend", json_text(backend_name(info->backend)));
	json_put(object, "errno", json_object_new_int(-info->code));
	json_put(object, "reason", json_text(refusal_name(info->reason)));
	if (info->blocker_tid) {
		blocker = json_new();
		json_put(blocker, "tid", json_object_new_int(info->blocker_tid));
		json_put(blocker, "ip", json_address(info->blocker_ip));
		json_put(blocker, "slot", json_address(info->blocker_slot));
		json_put(blocker, "value", json_address(info->blocker_value));
	}
	json_put(object, "blocker", blocker);
	if (info->event == ULP_EVENT_OVERDUE) {
		json_put(object, "place",
			 json_text(info->place == ULP_PLACE_EXEC ? "exec" : "link"));
		json_put(object, "held_ns", json_object_new_int64((int64_t)info->held_ns));
	}
	json_line(object);
	json_object_put(object);
}

/* All events that are there; false when it is over. */
static bool drain(struct tool *tool, struct ulp_monitor *monitor, uint64_t *seen)
{
	const struct ulp_event_info *info;
	int got;

	while ((got = ulp_monitor_next(monitor, &info)) > 0) {
		if (tool->document)
			json_event(info);
		else if (!tool->options.quiet)
			put_event(tool, info);
		if (++*seen == tool->options.count)
			return false;
	}
	/* lost events are an error, and no reason to lose more */
	if (got)
		p_err(tool, got, "%s", ulp_error(tool->ctx));
	return !got || got == -ENOBUFS;
}

/* With --json each line is a value: so is the last, and only if it says something. */
static void finish(struct tool *tool)
{
	if (!tool->document)
		return;
	if (tool->tally.errors)
		json_line(tool->document);
	json_object_put(tool->document);
	tool->document = NULL;
}

void cmd_monitor(struct tool *tool)
{
	struct pollfd fds[] = {
		{ .events = POLLIN },
		{ .fd = STDOUT_FILENO },	/* a reader that went away */
	};
	struct ulp_monitor *monitor;
	uint64_t seen = 0;
	sigset_t mask;
	int err;

	if (tool->nr_args) {
		p_usage(tool, "monitor takes no argument '%s'", tool->args[0]);
		return;
	}
	mask = catch_end();
	err = ulp_monitor_open(tool->ctx, &monitor);
	if (err) {
		p_err(tool, err, "%s", ulp_error(tool->ctx));
		finish(tool);
		return;
	}
	if (tool->options.verbose)
		p_note(tool, "listening");
	fds[0].fd = ulp_monitor_fd(monitor);
	while (!ended && drain(tool, monitor, &seen) && !fflush(stdout)) {
		if (ppoll(fds, ARRAY_SIZE(fds), NULL, &mask) < 0 && errno != EINTR) {
			p_err(tool, -errno, "poll: %s", strerror(errno));
			break;
		}
		if (fds[1].revents & (POLLERR | POLLNVAL))
			break;
	}
	ulp_monitor_close(monitor);
	finish(tool);
}
