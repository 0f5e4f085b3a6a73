// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The scratch directory.  A process of its own, the keeper, removes it when the
 * packer has ended in whatever way, and ends the commands that it left behind: it
 * learns of that by the end of a pipe that only the packer holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

static int keeper = -1;
static pid_t keeper_pid;

/* A process that was started is told as its number, one that ended as -number. */
static void tell_keeper(pid_t number)
{
	if (keeper >= 0 && write(keeper, &number, sizeof(number)) != sizeof(number))
		error("cannot write to the keeper of the scratch directory: %s", strerror(errno));
}

void scratch_started(pid_t pid)
{
	tell_keeper(pid);
}

void scratch_ended(pid_t pid)
{
	tell_keeper(-pid);
}

static void keep(int fd, const char *dir)
{
	pid_t *started = NULL, number;
	size_t nr = 0;

	while (read(fd, &number, sizeof(number)) == sizeof(number)) {
		for (size_t i = 0; number < 0 && i < nr; i++)
			if (started[i] == -number)
				started[i] = 0;
		if (number > 0)
			append(started, nr) = number;
	}
	/* each of them leads a process group */
	for (size_t i = 0; i < nr; i++)
		if (started[i])
			kill(-started[i], SIGKILL);
	/* what a killed command's children still write may come in between */
	for (int i = 0; dir && i < 100 && !access(dir, F_OK); i++) {
		tree_remove(dir);
		usleep(i ? 10000 : 0);
	}
}

static void stop_keeper(void)
{
	close(keeper);
	keeper = -1;
	waitpid(keeper_pid, NULL, 0);
}

/* @dir: to be removed, or NULL */
static bool start_keeper(const char *dir)
{
	int fds[2], null;

	fflush(NULL);
	if (pipe2(fds, O_CLOEXEC)) {
		error("cannot make a pipe: %s", strerror(errno));
		return false;
	}
	keeper_pid = fork();
	if (keeper_pid < 0) {
		error("cannot start a process: %s", strerror(errno));
		return false;
	}
	if (!keeper_pid) {
		/* out of the terminal's reach, and of those who wait for our output */
		setsid();
		null = open("/dev/null", O_RDWR);
		for (int i = 0; null >= 0 && i < 3; i++)
			dup2(null, i);
		close(fds[1]);
		keep(fds[0], dir);
		_exit(0);
	}
	close(fds[0]);
	keeper = fds[1];
	atexit(stop_keeper);
	return true;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static bool enter(const struct scratch *scratch, const char *tree, int namespaces)
{
	unsigned int uid = geteuid(), gid = getegid();

	if (unshare(namespaces))
		return false;
	if (namespaces & CLONE_NEWUSER)
		if (!write_text("/proc/self/setgroups", "deny") ||
		    !write_text("/proc/self/uid_map", xasprintf("%u %u 1", uid, uid)) ||
		    !write_text("/proc/self/gid_map", xasprintf("%u %u 1", gid, gid)))
			return false;
	return !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount(tree, scratch->place, NULL, MS_BIND, NULL);
}

bool scratch_enter(const struct scratch *scratch)
{
	return !scratch->namespaces ||
	       enter(scratch, scratch->trees[scratch->now], scratch->namespaces);
}

/* Tried by a process that then ends. */
static bool can_enter(const struct scratch *scratch, int namespaces)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(!enter(scratch, scratch->unbuilt, namespaces));
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static bool is_below(const char *path, const char *top)
{
	size_t length = strlen(top);

	return !strncmp(path, top, length) && (!path[length] || path[length] == '/');
}

/* A real path, though its last part may not exist yet. */
static char *real_place(const char *path)
{
	char *copy = xstrdup(path), *slash, *real;

	for (size_t end = strlen(copy); end > 1 && copy[end - 1] == '/'; end--)
		copy[end - 1] = '\0';
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	real = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	return real ? xasprintf("%s/%s", real, slash ? slash + 1 : copy) : NULL;
}

/* A file of this name says that the directory is one that --keep made. */
#define MARK	".ulp-build"

/* One of us at a time; the lock ends with the process. */
static bool claim(const char *dir)
{
	char *path = xasprintf("%s/" MARK, dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
		return true;
	error("%s: %s", fd < 0 ? path : dir, fd >= 0 && errno == EWOULDBLOCK ?
	      "another ulp-packer works there" : strerror(errno));
	return false;
}

static bool make_kept(const char *dir)
{
	if (!access(xasprintf("%s/" MARK, dir), F_OK))
		return claim(dir);
	/* rmdir() fails unless it is empty */
	if ((!rmdir(dir) || errno == ENOENT) && !mkdir(dir, 0777))
		return claim(dir);
	error("%s: %s: --keep needs a new or empty directory, or one that it was given before",
	      dir, strerror(errno));
	return false;
}

static bool make_directory(struct scratch *scratch, const char *keep_at)
{
	const char *tmp = getenv("TMPDIR");
	const char *wanted = keep_at ? keep_at : xasprintf("%s/ulp-build.XXXXXX",
							   tmp && *tmp ? tmp : "/tmp");
	char *dir = real_place(wanted);

	if (!dir) {
		error("%s: %s", wanted, strerror(errno));
		return false;
	}
	if (is_below(dir, scratch->source)) {
		error("%s: the scratch copy of %s cannot be inside of it: use --keep or TMPDIR",
		      wanted, scratch->source);
		return false;
	}
	if (keep_at) {
		if (!make_kept(dir))
			return false;
	} else if (!mkdtemp(dir)) {
		error("%s: %s", wanted, strerror(errno));
		return false;
	}
	scratch->keeps = keep_at;
	scratch->dir = dir;
	return true;
}

/* What is made anew each time; and a tree that was left in use gets its name back. */
static bool fill_directory(const struct scratch *scratch)
{
	static const char *const files[] = { "unbuilt", "fixed", "diff", "hunks", "patch.log",
					     "rejects" };
	static const char *const directories[] = { "bin", "calls.fixed", "objects", "text" };
	char *used = xasprintf("%s/source", scratch->dir), *path;

	if (access(scratch->trees[TREE_ORIGINAL], F_OK))
		rename(used, scratch->trees[TREE_ORIGINAL]);
	tree_remove(used);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		tree_remove(xasprintf("%s/%s", scratch->dir, files[i]));
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		path = xasprintf("%s/%s", scratch->dir, directories[i]);
		tree_remove(path);
		if (mkdir(path, 0777)) {
			error("%s: %s", path, strerror(errno));
			return false;
		}
	}
	return true;
}

bool scratch_begin(struct scratch *scratch, const char *source, const char *keep_at)
{
	static const int tries[] = { CLONE_NEWNS, CLONE_NEWNS | CLONE_NEWUSER };

	memset(scratch, 0, sizeof(*scratch));
	scratch->source = realpath(source, NULL);
	if (!scratch->source) {
		error("%s: %s", source, strerror(errno));
		return false;
	}
	if (!make_directory(scratch, keep_at))
		return false;
	if (!start_keeper(keep_at ? NULL : scratch->dir))
		return false;
	scratch->log = xasprintf("%s/log", scratch->dir);
	scratch->unbuilt = xasprintf("%s/unbuilt", scratch->dir);
	scratch->trees[TREE_ORIGINAL] = xasprintf("%s/original", scratch->dir);
	scratch->trees[TREE_FIXED] = xasprintf("%s/fixed", scratch->dir);
	if (!fill_directory(scratch) || !tree_copy(scratch->source, scratch->unbuilt))
		return false;
	scratch->place = scratch->source;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]) && !scratch->namespaces; i++)
		if (can_enter(scratch, tries[i]))
			scratch->namespaces = tries[i];
	if (!scratch->namespaces) {
		/* the tree in use is the one that has this name */
		scratch->place = xasprintf("%s/source", scratch->dir);
		scratch->now = NR_TREES;
		message(MESSAGE_NOTE,
			"no mount namespaces here: the build runs in %s, not at the path of its source",
			scratch->place);
	}
	return true;
}

bool scratch_use(struct scratch *scratch, enum tree tree)
{
	static const char *const names[] = { "original", "fixed" };

	if (!scratch->namespaces && scratch->now != tree) {
		if (scratch->now < NR_TREES) {
			scratch->trees[scratch->now] =
				xasprintf("%s/%s", scratch->dir, names[scratch->now]);
			if (rename(scratch->place, scratch->trees[scratch->now]))
				goto failed;
		}
		if (rename(scratch->trees[tree], scratch->place))
			goto failed;
		scratch->trees[tree] = scratch->place;
	}
	scratch->now = tree;
	return true;
failed:
	error("%s: cannot rename a tree: %s", scratch->place, strerror(errno));
	return false;
}

const char *scratch_inside(const struct scratch *scratch, const char *path)
{
	if (!is_below(path, scratch->place))
		return NULL;
	path += strlen(scratch->place);
	return *path ? path + 1 : path;
}

/* What is below @from, as it would be below the place; NULL: it is not. */
static char *move_to_place(const struct scratch *scratch, const char *path, const char *from)
{
	return is_below(path, from) ? xasprintf("%s%s", scratch->place, path + strlen(from)) :
				      NULL;
}

char *scratch_real(const struct scratch *scratch, enum tree tree, const char *path)
{
	char *real = realpath(scratch_path(scratch, tree, path), NULL), *moved;

	if (!real)
		return path_absolute("/", path);
	moved = move_to_place(scratch, real, scratch->trees[tree]);
	/* by an absolute link */
	if (!moved)
		moved = move_to_place(scratch, real, scratch->source);
	return moved ? moved : real;
}

char *scratch_path(const struct scratch *scratch, enum tree tree, const char *path)
{
	const char *inside = scratch_inside(scratch, path);

	return inside ? xasprintf("%s/%s", scratch->trees[tree], inside) : xstrdup(path);
}
