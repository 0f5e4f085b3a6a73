// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which processes: -p PID, -p WILDCARD, -u USER, or all there are.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmds.h"

#define PF_KTHREAD	0x00200000	/* in the flags of /proc/PID/stat */
#define COMM_MAX	15		/* the kernel keeps no more of a name */

struct stat_fields {
	char state;
	unsigned long flags;
	long threads;
	uint64_t start;
};

/* The whole of a small file of /proc/PID, NUL terminated; its length or -errno. */
static ssize_t read_proc(pid_t pid, const char *file, char *buffer, size_t size)
{
	char path[64];
	size_t length;
	FILE *in;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	in = fopen(path, "re");
	if (!in)
		return -errno;
	length = fread(buffer, 1, size - 1, in);
	err = ferror(in) ? -EIO : 0;
	fclose(in);
	buffer[length] = '\0';
	return err ? err : (ssize_t)length;
}

/* proc(5) numbers the fields of stat; those from the third on are behind the name. */
static int read_stat(pid_t pid, struct stat_fields *fields)
{
	char text[1024], *end, *field, *save = NULL;
	int number = 3;

	if (read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return -ESRCH;
	end = strrchr(text, ')');	/* the name may contain anything */
	if (!end)
		return -ESRCH;
	field = strtok_r(end + 1, " ", &save);
	for (; field && number <= 22; field = strtok_r(NULL, " ", &save), number++) {
		if (number == 3)
			fields->state = *field;
		else if (number == 9)
			fields->flags = strtoul(field, NULL, 10);
		else if (number == 20)
			fields->threads = strtol(field, NULL, 10);
		else if (number == 22)
			fields->start = strtoull(field, NULL, 10);
	}
	return number > 22 ? 0 : -ESRCH;
}

bool process_is_same(const struct process *process)
{
	struct stat_fields fields;

	return !read_stat(process->pid, &fields) && fields.start == process->start;
}

/* The process's number in the column of /proc/PID/status, or -1. */
static long long read_status(pid_t pid, const char *line, int column)
{
	char text[8192], *at;

	if (read_proc(pid, "status", text, sizeof(text)) <= 0)
		return -1;
	at = strstr(text, line);
	if (!at)
		return -1;
	at += strlen(line);
	for (; column; column--)
		strtoll(at, &at, 10);
	return strtoll(at, NULL, 10);
}

/* ---- -u ---- */

struct user {
	const char *pattern;		/* NULL: any user */
	bool wildcard;
	uid_t uid;
	size_t nr_known;		/* whose names have been looked up for the wildcard */
	struct known_user {
		uid_t uid;
		bool matches;
	} *known;
};

static int user_resolve(struct tool *tool, struct user *user)
{
	const char *text = tool->options.user;
	unsigned long uid;
	char *end, *name;

	*user = (struct user){ .pattern = text };
	if (!text)
		return 0;
	user->wildcard = strpbrk(text, "*?[");
	if (user->wildcard)
		return 0;
	if (user_find(text, &user->uid, &name)) {
		free(name);
		return 0;
	}
	errno = 0;
	uid = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || uid >= UINT32_MAX) {
		p_err(tool, -ENOENT, "there is no user '%s'", text);
		return -1;
	}
	user->uid = uid;
	return 0;
}

/* A look-up may be a program and a question over the network: one for each user. */
static bool uid_matches(struct user *user, uid_t uid)
{
	struct known_user known = { .uid = uid }, *larger;
	char key[32], *name;
	uid_t found;

	for (size_t i = 0; i < user->nr_known; i++)
		if (user->known[i].uid == uid)
			return user->known[i].matches;
	snprintf(key, sizeof(key), "%u", uid);
	if (user_find(key, &found, &name)) {
		known.matches = !fnmatch(user->pattern, name, 0);
		free(name);
	}
	larger = reallocarray(user->known, user->nr_known + 1, sizeof(known));
	if (!larger)
		out_of_memory();
	user->known = larger;
	larger[user->nr_known++] = known;
	return known.matches;
}

static bool user_matches(struct user *user, pid_t pid)
{
	long long uid;

	if (!user->pattern)
		return true;
	uid = read_status(pid, "\nUid:", 1);	/* the effective one, as ps -u */
	if (uid < 0)
		return false;
	return user->wildcard ? uid_matches(user, (uid_t)uid) : user->uid == (uid_t)uid;
}

/* ---- the list ---- */

static void add(struct selection *selection, pid_t pid, const char *name, uint64_t start)
{
	struct process *larger = reallocarray(selection->processes, selection->nr + 1,
					      sizeof(*larger));
	char *copy = strdup(name);

	if (!larger || !copy)
		out_of_memory();
	selection->processes = larger;
	larger[selection->nr++] = (struct process){ .pid = pid, .name = copy, .start = start };
}

static int compare(const void *a, const void *b)
{
	const struct process *one = a, *other = b;

	return (one->pid > other->pid) - (one->pid < other->pid);
}

static void sort(struct selection *selection)
{
	if (selection->nr)
		qsort(selection->processes, selection->nr, sizeof(*selection->processes), compare);
}

/* What could be patched: no kernel thread, no zombie, not this tool. */
static void list_one(struct selection *all, pid_t pid)
{
	struct stat_fields fields;
	char name[64];
	ssize_t length;

	if (pid <= 0 || pid == getpid() || read_stat(pid, &fields))
		return;
	/* the leader of a living process can be a zombie */
	if ((fields.flags & PF_KTHREAD) || fields.state == 'X' ||
	    (fields.state == 'Z' && fields.threads <= 1))
		return;
	length = read_proc(pid, "comm", name, sizeof(name));
	if (length <= 0)
		return;
	name[length - 1] = '\0';	/* the newline; the name may have its own */
	add(all, pid, name, fields.start);
}

static int list_all(struct tool *tool, struct selection *all)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	if (!proc) {
		p_err(tool, -errno, "/proc: %s", strerror(errno));
		return -1;
	}
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			list_one(all, (pid_t)strtol(entry->d_name, NULL, 10));
	closedir(proc);
	sort(all);
	return 0;
}

static bool is_pid(const char *text)
{
	return !text[strspn(text, "0123456789")];
}

static pid_t to_pid(const char *text)
{
	unsigned long value = strtoul(text, NULL, 10);

	return value > INT_MAX ? 0 : (pid_t)value;
}

/*
 * All of them; but where only pids are wanted, those: a command for one process
 * has no business with hundreds of others.  A thread has files in /proc too, and
 * is no process.
 */
static int list(struct tool *tool, struct selection *all)
{
	const struct options *options = &tool->options;
	size_t nr = 0;

	while (nr < options->nr_processes && is_pid(options->processes[nr]))
		nr++;
	if (!nr || nr < options->nr_processes)
		return list_all(tool, all);
	for (size_t i = 0; i < nr; i++) {
		pid_t pid = to_pid(options->processes[i]);

		if (pid && read_status(pid, "\nTgid:", 0) == pid)
			list_one(all, pid);
	}
	sort(all);
	return 0;
}

void selection_free(struct selection *selection)
{
	for (size_t i = 0; i < selection->nr; i++)
		free(selection->processes[i].name);
	free(selection->processes);
	*selection = (struct selection){ 0 };
}

static struct process *find(struct selection *selection, pid_t pid)
{
	const struct process key = { .pid = pid };

	if (!selection->nr)
		return NULL;
	return bsearch(&key, selection->processes, selection->nr, sizeof(key), compare);
}

/*
 * Adds the process named by @text.  One that does not exist is kept, marked
 * missing: it gets its own line as any other, and the others are still done.
 */
static void add_named(struct tool *tool, struct selection *chosen, struct selection *all,
		      struct user *user, const char *text)
{
	pid_t pid = to_pid(text);
	const struct process *found = find(all, pid);
	struct stat_fields fields;
	long long leader;

	if (!pid) {
		p_err(tool, -ULP_E_NO_PROCESS, "'%s' cannot be the pid of a process", text);
		return;
	}
	if (pid == getpid()) {
		p_err(tool, -ULP_E_NOT_TARGET, "pid %s is this very command", text);
		return;
	}
	if (found && !user_matches(user, pid)) {
		p_err(tool, -ULP_E_NO_PROCESS, "process %s is not one of user %s", text,
		      user->pattern);
		return;
	}
	if (!found && !read_stat(pid, &fields)) {
		leader = read_status(pid, "\nTgid:", 0);
		if (fields.flags & PF_KTHREAD) {
			p_err(tool, -ULP_E_NOT_TARGET, "pid %s is a kernel thread", text);
			return;
		}
		if (leader > 0 && leader != pid) {
			p_err(tool, -ULP_E_NO_PROCESS,
			      "pid %s is a thread of process %lld: use -p %lld", text, leader,
			      leader);
			return;
		}
	}
	add(chosen, pid, found ? found->name : "", found ? found->start : 0);
	chosen->processes[chosen->nr - 1].named = true;
	chosen->processes[chosen->nr - 1].missing = !found;
}

static void add_matching(struct tool *tool, struct selection *chosen,
			 const struct selection *all, struct user *user, const char *pattern)
{
	size_t nr = chosen->nr;

	for (size_t i = 0; i < all->nr; i++)
		if (!fnmatch(pattern, all->processes[i].name, 0) &&
		    user_matches(user, all->processes[i].pid))
			add(chosen, all->processes[i].pid, all->processes[i].name,
			    all->processes[i].start);
	if (chosen->nr > nr)
		return;
	if (strlen(pattern) > COMM_MAX && !strpbrk(pattern, "*?["))
		p_err(tool, -ULP_E_NO_PROCESS,
		      "no process is named '%s': names end after %d characters, try '%.*s'",
		      pattern, COMM_MAX, COMM_MAX, pattern);
	else
		p_err(tool, -ULP_E_NO_PROCESS, "no process%s%s is named '%s'",
		      user->pattern ? " of user " : "", user->pattern ? user->pattern : "",
		      pattern);
}

static void drop_doubles(struct selection *selection)
{
	struct process *last = NULL;
	size_t nr = 0;

	sort(selection);
	for (size_t i = 0; i < selection->nr; i++) {
		if (last && last->pid == selection->processes[i].pid) {
			last->named |= selection->processes[i].named;
			free(selection->processes[i].name);
			continue;
		}
		last = &selection->processes[nr];
		*last = selection->processes[i];
		nr++;
	}
	selection->nr = nr;
}

int select_processes(struct tool *tool, struct selection *selection)
{
	const struct options *options = &tool->options;
	struct selection all = { 0 };
	struct user user;

	*selection = (struct selection){ .all = !options->nr_processes };
	if (user_resolve(tool, &user) || list(tool, &all)) {
		selection_free(&all);
		return -1;
	}
	for (size_t i = 0; i < options->nr_processes; i++) {
		const char *text = options->processes[i];

		if (is_pid(text))
			add_named(tool, selection, &all, &user, text);
		else
			add_matching(tool, selection, &all, &user, text);
	}
	for (size_t i = 0; selection->all && i < all.nr; i++)
		if (user_matches(&user, all.processes[i].pid))
			add(selection, all.processes[i].pid, all.processes[i].name,
			    all.processes[i].start);
	drop_doubles(selection);
	selection_free(&all);
	free(user.known);
	return 0;
}
