// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The list of patches for what is not loaded yet: a directory with one file for
 * each, a copy of the container, named
 *
 *	NNNNNN-SHA256.so
 *
 * NNNNNN is the order in which they were enabled, SHA256 the checksum of the
 * file.  So one rename() enables and one unlink() disables, and a file that was
 * damaged or exchanged does not have its name any more: it is reported and not
 * used, and the others are.
 *
 * What root applies to every process must not be chosen by others: directory
 * and files have to belong to root, or to who reads them, and nobody else may
 * be able to write them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "internal.h"

#define ORDER_DIGITS	6
#define NAME_LENGTH	(ORDER_DIGITS + 1 + 64 + 3)

struct ulp_enabled {
	struct ulp_context *ctx;
	char *directory;
	size_t nr;
	struct ulp_enabled_entry *entries;
};

static bool is_ours(const struct stat *st)
{
	return (!st->st_uid || st->st_uid == geteuid()) && !(st->st_mode & 0022);
}

/* 0 with *@fd open, or the code; -ENOENT without text if there is no directory. */
static int open_directory(struct ulp_context *ctx, const char *directory, int *fd)
{
	struct stat st;
	int err;

	*fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return errno == ENOENT ? -ENOENT :
			ulp_err(ctx, -errno, "%s: %s", directory, strerror(errno));
	if (!fstat(*fd, &st) && is_ours(&st))
		return 0;
	err = ulp_err(ctx, -ULP_E_PERMISSION,
		      "%s: others may write it: nothing of it is used; chown it to root and chmod it to 755",
		      directory);
	close(*fd);
	return err;
}

int ulp_enabled_create(struct ulp_context *ctx, const char *directory)
{
	char path[PATH_MAX];

	if (!directory)
		directory = ULP_ENABLED_DIRECTORY;

	if (snprintf(path, sizeof(path), "%s", directory) >= (int)sizeof(path))
		return ulp_err(ctx, -ENAMETOOLONG, "%s: %s", directory, strerror(ENAMETOOLONG));
	for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return ulp_err(ctx, -errno, "%s: %s", path, strerror(errno));
	}
	if (mkdir(path, 0755) && errno != EEXIST)
		return ulp_err(ctx, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

/* ---- reading ---- */

static bool is_name(const char *name)
{
	return strlen(name) == NAME_LENGTH && strspn(name, "0123456789") == ORDER_DIGITS &&
	       name[ORDER_DIGITS] == '-' &&
	       strspn(name + ORDER_DIGITS + 1, "0123456789abcdef") == 64 &&
	       !strcmp(name + NAME_LENGTH - 3, ".so");
}

static int compare(const void *a, const void *b)
{
	const struct ulp_enabled_entry *left = a, *right = b;

	return strcmp(left->file, right->file);
}

static int add_entry(struct ulp_enabled *list, const char *name)
{
	struct ulp_enabled_entry *larger =
		reallocarray(list->entries, list->nr + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	list->entries = larger;
	larger[list->nr] = (struct ulp_enabled_entry){ .file = strdup(name) };
	if (!larger[list->nr].file)
		return -ENOMEM;
	list->nr++;
	return 0;
}

static int list_entries(struct ulp_enabled *list, int fd)
{
	struct dirent *entry;
	int err = 0, own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = own < 0 ? NULL : fdopendir(own);

	if (!dir) {
		if (own >= 0)
			close(own);
		return -errno;
	}
	rewinddir(dir);
	for (errno = 0; !err && (entry = readdir(dir)); errno = 0)
		if (entry->d_name[0] != '.')
			err = add_entry(list, entry->d_name);
	if (!err)
		err = -errno;
	closedir(dir);
	if (!err && list->nr)
		qsort(list->entries, list->nr, sizeof(*list->entries), compare);
	return err;
}

static int check_owner(struct ulp_context *ctx, int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st))
		return ulp_err(ctx, -errno, "%s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && is_ours(&st))
		return 0;
	return ulp_err(ctx, -ULP_E_PERMISSION,
		       "%s: not a file that only root can write: not used", path);
}

static int read_entry(struct ulp_enabled *list, int directory, struct ulp_enabled_entry *entry)
{
	struct ulp_context *ctx = list->ctx;
	char path[PATH_MAX], hex[65];
	uint8_t *data = NULL, digest[32];
	size_t size = 0;
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", list->directory, entry->file);
	if (!is_name(entry->file))
		return ulp_err(ctx, -ULP_E_CONTAINER,
			       "%s: not the name of an enabled patch: not used; move it away",
			       path);
	fd = openat(directory, entry->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return ulp_err(ctx, -errno, "%s: %s", path, strerror(errno));
	err = check_owner(ctx, fd, path);
	if (!err)
		err = ulp_patch_file_read(ctx, fd, path, &data, &size);
	close(fd);
	if (!err) {
		ulp_sha256(data, size, digest);
		ulp_hex(digest, sizeof(digest), hex);
		if (memcmp(hex, entry->file + ORDER_DIGITS + 1, 64) != 0)
			err = ulp_err(ctx, -ULP_E_CONTAINER,
				      "%s: damaged: its SHA-256 is %s; not used; disable it, and enable the patch again",
				      path, hex);
	}
	if (!err)
		err = ulp_patch_read(ctx, data, size, path, &entry->patch);
	free(data);
	return err;
}

/* The same patch twice would be two checks for one. */
static bool is_double(const struct ulp_enabled *list, const struct ulp_enabled_entry *entry)
{
	const struct ulp_enabled_entry *other = list->entries;

	for (; other < entry; other++)
		if (other->patch && !strcmp(ulp_patch_id(other->patch), ulp_patch_id(entry->patch)))
			return true;
	return false;
}

/* 0, or a code that says nothing of the entry: we have run out of something. */
static int read_entries(struct ulp_enabled *list, int directory)
{
	size_t nr = 0;
	int err = 0;

	for (size_t i = 0; i < list->nr; i++) {
		struct ulp_enabled_entry *entry = &list->entries[i];

		entry->code = read_entry(list, directory, entry);
		/* disabled since the directory was read */
		if (entry->code == -ENOENT || (!entry->code && is_double(list, entry))) {
			ulp_patch_close(entry->patch);
			free(entry->file);
			continue;
		}
		if (entry->code)
			snprintf(entry->message, sizeof(entry->message), "%s",
				 ulp_error(list->ctx));
		if (ulp_is_shortage(entry->code))
			err = entry->code;
		list->entries[nr++] = *entry;
	}
	list->nr = nr;
	return err;
}

int ulp_enabled_read(struct ulp_context *ctx, const char *directory, struct ulp_enabled **out)
{
	struct ulp_enabled *list = calloc(1, sizeof(*list));
	int fd, err;

	*out = NULL;
	if (list)
		list->directory = strdup(directory ? directory : ULP_ENABLED_DIRECTORY);
	if (!list || !list->directory) {
		free(list);
		return ulp_err(ctx, -ENOMEM, "out of memory");
	}
	list->ctx = ctx;
	err = open_directory(ctx, list->directory, &fd);
	if (!err) {
		err = list_entries(list, fd);
		if (!err)
			err = read_entries(list, fd);
		if (err)
			ulp_err(ctx, err, "%s: %s", list->directory, strerror(-err));
		close(fd);
	} else if (err == -ENOENT) {
		err = 0;
	}
	if (err) {
		ulp_enabled_free(list);
		return err;
	}
	*out = list;
	return 0;
}

void ulp_enabled_free(struct ulp_enabled *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->nr; i++) {
		ulp_patch_close(list->entries[i].patch);
		free(list->entries[i].file);
	}
	free(list->entries);
	free(list->directory);
	free(list);
}

size_t ulp_enabled_entries(const struct ulp_enabled *list, const struct ulp_enabled_entry **out)
{
	*out = list->entries;
	return list->nr;
}

/* ---- changing ---- */

/* Who changes the list keeps others from doing so; closing @fd ends it. */
static int lock_directory(struct ulp_context *ctx, const char *directory, int *fd)
{
	int err = open_directory(ctx, directory, fd);

	if (err == -ENOENT)
		return ulp_err(ctx, err, "%s: %s", directory, strerror(ENOENT));
	if (err)
		return err;
	while (flock(*fd, LOCK_EX))
		if (errno != EINTR) {
			err = ulp_err(ctx, -errno, "%s: %s", directory, strerror(errno));
			close(*fd);
			return err;
		}
	return 0;
}

static int write_file(int directory, const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(directory, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	size_t done = 0;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0644))
		err = -errno;
	while (!err && done < size) {
		ssize_t n = write(fd, data + done, size - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

/* The place behind all others, also behind damaged ones. */
static unsigned long next_order(const struct ulp_enabled *list)
{
	unsigned long order = 0, last;

	for (size_t i = 0; i < list->nr; i++) {
		const char *file = list->entries[i].file;

		last = is_name(file) ? strtoul(file, NULL, 10) : 0;
		if (last > order)
			order = last;
	}
	return order + 1;
}

static int check_dependencies(const struct ulp_enabled *list, const struct ulp_patch *patch)
{
	for (size_t i = 0; i < patch->nr_dependencies; i++) {
		bool found = false;

		for (size_t k = 0; k < list->nr && !found; k++)
			found = list->entries[k].patch &&
				!strcmp(ulp_patch_id(list->entries[k].patch),
					patch->dependencies[i]);
		if (!found)
			return ulp_err(list->ctx, -ULP_E_DEPENDENCY,
				       "%s: it needs patch %.12s, which is not enabled; enable that first",
				       patch->path, patch->dependencies[i]);
	}
	return 0;
}

static int add_patch(const struct ulp_enabled *list, int directory, const struct ulp_patch *patch)
{
	char name[NAME_LENGTH + 1], hex[65];
	uint8_t digest[32];
	unsigned long order = next_order(list);
	int err;

	for (size_t i = 0; i < list->nr; i++)
		if (list->entries[i].patch &&
		    !strcmp(ulp_patch_id(list->entries[i].patch), patch->id_hex))
			return ulp_err(list->ctx, -ULP_E_ALREADY_APPLIED, "%s: enabled already",
				       patch->path);
	err = check_dependencies(list, patch);
	if (err)
		return err;
	if (order > 999999)
		return ulp_err(list->ctx, -ENOSPC, "%s: no number is left; disable all, and enable anew",
			       list->directory);
	ulp_sha256(patch->data, patch->size, digest);
	ulp_hex(digest, sizeof(digest), hex);
	snprintf(name, sizeof(name), "%06lu-%s.so", order, hex);
	err = write_file(directory, ".new", patch->data, patch->size);
	if (!err && renameat(directory, ".new", directory, name))
		err = -errno;
	if (!err && fsync(directory))
		err = -errno;
	if (err)
		ulp_err(list->ctx, err, "%s/%s: %s", list->directory, name, strerror(-err));
	return err;
}

int ulp_enabled_add(struct ulp_context *ctx, const char *directory, const struct ulp_patch *patch)
{
	struct ulp_enabled *list;
	int fd, err;

	if (!directory)
		directory = ULP_ENABLED_DIRECTORY;
	err = ulp_enabled_create(ctx, directory);
	if (!err)
		err = lock_directory(ctx, directory, &fd);
	if (err)
		return err;
	err = ulp_enabled_read(ctx, directory, &list);
	if (!err)
		err = add_patch(list, fd, patch);
	ulp_enabled_free(list);
	close(fd);
	return err;
}

static int check_dependents(const struct ulp_enabled *list, const struct ulp_enabled_entry *entry)
{
	for (size_t i = 0; entry->patch && i < list->nr; i++) {
		const struct ulp_patch *other = list->entries[i].patch;

		for (size_t k = 0; other && k < other->nr_dependencies; k++)
			if (!strcmp(other->dependencies[k], ulp_patch_id(entry->patch)))
				return ulp_err(list->ctx, -ULP_E_DEPENDENCY,
					       "patch %s: enabled patch %s needs it; disable that first",
					       ulp_patch_name(entry->patch), other->name);
	}
	return 0;
}

int ulp_enabled_remove(struct ulp_context *ctx, const char *directory, const char *file)
{
	struct ulp_enabled *list;
	int fd, err;

	if (!directory)
		directory = ULP_ENABLED_DIRECTORY;
	err = lock_directory(ctx, directory, &fd);
	if (err)
		return err;
	err = ulp_enabled_read(ctx, directory, &list);
	for (size_t i = 0; !err && i < list->nr; i++)
		if (!strcmp(list->entries[i].file, file))
			err = check_dependents(list, &list->entries[i]);
	if (!err && (unlinkat(fd, file, 0) || fsync(fd)))
		err = ulp_err(ctx, -errno, "%s/%s: %s", directory, file, strerror(errno));
	ulp_enabled_free(list);
	close(fd);
	return err;
}
