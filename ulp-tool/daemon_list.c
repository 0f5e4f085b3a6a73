// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The enabled patches, read once for all threads.  One that uses them keeps them:
 * they are freed when others have been read and nobody uses them any more.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon.h"

#define TICK_NS		50000000LL	/* longer than two changes can have the same time */

/**
 * struct daemon_list - the enabled patches as they were read
 * @enabled: them
 * @users: who uses it; the daemon does until it has read another
 */
struct daemon_list {
	struct ulp_enabled *enabled;
	unsigned int users;
};

const char *daemon_directory(const struct daemon_state *daemon)
{
	return daemon->tool->options.list ? daemon->tool->options.list : ULP_ENABLED_DIRECTORY;
}

static const struct timespec unknown = { .tv_nsec = -1 };

/* When something was enabled or disabled last. */
static struct timespec last_change(const struct daemon_state *daemon)
{
	struct stat st;

	return stat(daemon_directory(daemon), &st) ? unknown : st.st_mtim;
}

/* Whether another change may come and have the same time. */
static bool is_recent(const struct timespec *changed)
{
	struct timespec now;
	long long ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (now.tv_sec - changed->tv_sec) * 1000000000LL + now.tv_nsec - changed->tv_nsec;
	return ns > -TICK_NS && ns < TICK_NS;
}

static void drop(struct daemon_list *list)
{
	if (!list || --list->users)
		return;
	ulp_enabled_free(list->enabled);
	free(list);
}

/* If it cannot be read the one before stays, and each who asks for it tries again. */
static int read_list(struct daemon_state *daemon, bool say)
{
	struct timespec changed = last_change(daemon);
	struct daemon_list *list = malloc(sizeof(*list));
	int err;

	if (!list)
		out_of_memory();
	list->users = 1;
	err = ulp_enabled_read(daemon->list_ctx, daemon_directory(daemon), &list->enabled);
	if (err && say)
		daemon_say(daemon, SAY_WARNING, "%s", ulp_error(daemon->list_ctx));
	daemon->unread = err;
	if (err) {
		free(list);
		return err;
	}
	drop(daemon->list);
	daemon->list = list;
	daemon->list_changed = is_recent(&changed) ? unknown : changed;
	return 0;
}

/* With the lock held. */
static struct daemon_list *use(struct daemon_list *list)
{
	list->users++;
	return list;
}

int daemon_list_read(struct daemon_state *daemon, struct daemon_list **out)
{
	int err;

	pthread_mutex_lock(&daemon->list_lock);
	err = read_list(daemon, true);
	if (!err)
		*out = use(daemon->list);
	pthread_mutex_unlock(&daemon->list_lock);
	return err;
}

/*
 * What was enabled before a program was started counts for it, so the directory itself
 * is asked.  That it cannot be read is said once, not for each program.
 */
struct daemon_list *daemon_list_get(struct daemon_state *daemon)
{
	struct daemon_list *list;
	struct timespec changed = last_change(daemon);

	pthread_mutex_lock(&daemon->list_lock);
	if (daemon->unread || daemon->list_changed.tv_nsec == unknown.tv_nsec ||
	    changed.tv_sec != daemon->list_changed.tv_sec ||
	    changed.tv_nsec != daemon->list_changed.tv_nsec)
		read_list(daemon, !daemon->unread);
	list = use(daemon->list);
	pthread_mutex_unlock(&daemon->list_lock);
	return list;
}

void daemon_list_put(struct daemon_state *daemon, struct daemon_list *list)
{
	pthread_mutex_lock(&daemon->list_lock);
	drop(list);
	pthread_mutex_unlock(&daemon->list_lock);
}

size_t daemon_list_entries(const struct daemon_list *list, const struct ulp_enabled_entry **out)
{
	return ulp_enabled_entries(list->enabled, out);
}
