// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Source trees: copied with their times, so that make sees no reason to build
 * again what is built, and without anything through which a copy's files could be
 * written.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

/* Long ago, and never read since: what a copy's access time says at first. */
#define UNREAD	1

static bool failed(const char *path)
{
	error("%s: %s", path, strerror(errno));
	return false;
}

static bool copy_contents(int from, int to, const char *path)
{
	char buffer[1 << 16];
	ssize_t got;

	if (!ioctl(to, FICLONE, from))
		return true;
	while ((got = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
		;
	if (!got)
		return true;
	/* not between these two; what was copied so far is at the offsets */
	while ((got = read(from, buffer, sizeof(buffer))) > 0)
		for (ssize_t done = 0, put; done < got; done += put) {
			put = write(to, buffer + done, got - done);
			if (put < 0)
				return failed(path);
		}
	return !got || failed(path);
}

/* As old as @stat says, and unread. */
static bool set_times(const char *path, const struct stat *stat)
{
	struct timespec times[2] = { { .tv_sec = UNREAD }, stat->st_mtim };

	return !utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) || failed(path);
}

/* Files of the copy belong to whom they belonged to, as far as that can be done. */
static void set_owner(const char *path, const struct stat *stat)
{
	if (!geteuid() && lchown(path, stat->st_uid, stat->st_gid))
		message(MESSAGE_NOTE, "%s: cannot give it its owner: %s", path, strerror(errno));
}

static bool copy_file(const char *from, const char *to, const struct stat *stat)
{
	/* not to be seen as a reader, when it is a tree of ours */
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOATIME), out;
	bool good;

	if (in < 0 && errno == EPERM)
		in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return failed(from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	good = out >= 0 ? copy_contents(in, out, to) : failed(to);
	if (out >= 0) {
		set_owner(to, stat);
		if (good && (fchmod(out, stat->st_mode & 07777) || close(out)))
			good = failed(to);
	}
	close(in);
	return good && set_times(to, stat);
}

static bool copy_link(const char *from, const char *to, const struct stat *stat)
{
	char target[PATH_MAX];
	ssize_t length = readlink(from, target, sizeof(target) - 1);

	if (length < 0)
		return failed(from);
	target[length] = '\0';
	if (symlink(target, to))
		return failed(to);
	set_owner(to, stat);
	return set_times(to, stat);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *open_tree(const char *top)
{
	char *const paths[] = { (char *)top, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);

	if (!fts)
		failed(top);
	return fts;
}

static bool copy_entry(const FTSENT *entry, const char *to, bool link_files)
{
	const struct stat *stat = entry->fts_statp;

	switch (entry->fts_info) {
	case FTS_D:
		/* its mode and times when it is filled */
		return !mkdir(to, 0700) || failed(to);
	case FTS_DP:
		set_owner(to, stat);
		return (!chmod(to, stat->st_mode & 07777) || failed(to)) &&
		       set_times(to, stat);
	case FTS_SL:
	case FTS_SLNONE:
		return copy_link(entry->fts_path, to, stat);
	case FTS_F:
		if (link_files)
			return !link(entry->fts_path, to) || failed(to);
		return copy_file(entry->fts_path, to, stat);
	case FTS_DEFAULT:
		return true;	/* a socket, a pipe, a device: no source */
	default:
		errno = entry->fts_errno ? entry->fts_errno : EIO;
		return failed(entry->fts_path);
	}
}

static bool copy(const char *from, const char *to, bool link_files)
{
	FTS *fts = open_tree(from);
	bool good = fts;
	FTSENT *entry;

	while (good && (errno = 0, entry = fts_read(fts))) {
		char *path = xasprintf("%s%s", to, entry->fts_path + strlen(from));

		if (entry->fts_level == 0 && entry->fts_info != FTS_D &&
		    entry->fts_info != FTS_DP) {
			errno = entry->fts_errno ? entry->fts_errno : ENOTDIR;
			good = failed(from);
		} else {
			good = copy_entry(entry, path, link_files);
		}
		free(path);
	}
	if (good && errno)
		good = failed(from);
	if (fts)
		fts_close(fts);
	return good;
}

bool tree_copy(const char *from, const char *to)
{
	return copy(from, to, false);
}

bool tree_link(const char *from, const char *to)
{
	return copy(from, to, true);
}

void tree_remove(const char *path)
{
	char *const paths[] = { (char *)path, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;

	while (fts && (entry = fts_read(fts))) {
		if (entry->fts_info == FTS_D || entry->fts_info == FTS_DNR)
			chmod(entry->fts_path, 0700);
		if (entry->fts_info == FTS_DNR && !entry->fts_number++)
			fts_set(fts, entry, FTS_AGAIN);
		else if (entry->fts_info == FTS_DP)
			rmdir(entry->fts_path);
		else if (entry->fts_info != FTS_D)
			unlink(entry->fts_path);
	}
	if (fts)
		fts_close(fts);
}

bool tree_walk(const char *top, tree_visit *visit, void *data)
{
	FTS *fts = open_tree(top);
	bool good = fts;
	FTSENT *entry;

	while (good && (errno = 0, entry = fts_read(fts))) {
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
		    entry->fts_info == FTS_NS) {
			errno = entry->fts_errno;
			good = failed(entry->fts_path);
		} else if (entry->fts_level > 0 && entry->fts_info != FTS_D &&
			   entry->fts_info != FTS_DP) {
			good = visit(entry->fts_path, entry->fts_path + strlen(top) + 1,
				     entry->fts_statp, data);
		}
	}
	if (fts)
		fts_close(fts);
	return good;
}

bool tree_was_read(const char *path)
{
	struct stat now;

	return !lstat(path, &now) && now.st_atim.tv_sec != UNREAD;
}

bool tree_forget(const char *path)
{
	struct stat now;

	return lstat(path, &now) ? failed(path) : set_times(path, &now);
}

bool tree_remembers(const char *dir)
{
	char *path = xasprintf("%s/read", dir);
	bool remembers;

	if (!file_write(path, "x", 1) || !tree_forget(path))
		return false;
	remembers = file_read(path, NULL) && tree_was_read(path);
	unlink(path);
	return remembers;
}

static bool make_parents(const char *path)
{
	char *copied = xstrdup(path);

	for (char *slash = strchr(copied + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copied, 0777) && errno != EEXIST)
			return failed(copied);
		*slash = '/';
	}
	free(copied);
	return true;
}

bool file_copy(const char *from, const char *to)
{
	struct stat stat;

	if (lstat(from, &stat))
		return failed(from);
	if (!make_parents(to))
		return false;
	if (unlink(to) && errno != ENOENT)
		return failed(to);
	return S_ISLNK(stat.st_mode) ? copy_link(from, to, &stat) : copy_file(from, to, &stat);
}

char *file_read(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	char *text = NULL;
	size_t done = 0;
	ssize_t got;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &stat)) {
		text = xcalloc(1, stat.st_size + 1);
		while (done < (size_t)stat.st_size &&
		       (got = read(fd, text + done, stat.st_size - done)) > 0)
			done += got;
	}
	close(fd);
	if (size)
		*size = done;
	return text;
}

bool file_write(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	const char *bytes = data;
	size_t done = 0;
	ssize_t put = 0;

	while (fd >= 0 && done < size && (put = write(fd, bytes + done, size - done)) > 0)
		done += put;
	if (fd < 0 || put < 0 || close(fd))
		return failed(path);
	return true;
}
