// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Containers to files, all or none: each is written beside its place under a temporary
 * name, and renamed when all of them are there.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packer.h"

static bool write_data(int fd, const struct container *container)
{
	size_t done = 0;

	while (done < container->size) {
		ssize_t n = write(fd, container->data + done, container->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		done += n;
	}
	return !fchmod(fd, container->mode) && !fsync(fd);
}

/* Through a symbolic link the file it leads to is replaced. */
static const char *place_of(const char *out)
{
	const char *real = realpath(out, NULL);

	return real ? real : out;
}

/* What rename() would say too late. */
static bool is_no_directory(const char *out)
{
	struct stat st;

	if (stat(out, &st) || !S_ISDIR(st.st_mode))
		return true;
	error("%s: %s", out, strerror(EISDIR));
	return false;
}

bool may_be_written(const char *out)
{
	bool many = is_directory_path(out);
	const char *directory = many ? out : dirname(xstrdup(place_of(out)));

	if (!many && !is_no_directory(out))
		return false;
	/* then it will be made */
	if (many && access(out, F_OK) && errno == ENOENT)
		directory = dirname(xstrdup(out));
	if (!access(xasprintf("%s/.", directory), W_OK | X_OK))
		return true;
	error("%s: cannot be written to %s: %s", out, directory, strerror(errno));
	return false;
}

/* Returns the temporary name, or NULL. */
static char *write_beside(const struct container *container)
{
	char *temporary = xasprintf("%s.XXXXXX", place_of(container->out));
	bool good;
	int fd;

	if (!is_no_directory(container->out))
		return NULL;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		error("%s: %s", container->out, strerror(errno));
		return NULL;
	}
	good = write_data(fd, container);
	if (close(fd) || !good) {
		error("%s: %s", container->out, strerror(errno));
		unlink(temporary);
		return NULL;
	}
	return temporary;
}

static bool rename_all(const struct container *containers, char *const *temporaries, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (!rename(temporaries[i], place_of(containers[i].out)))
			continue;
		error("%s: %s", containers[i].out, strerror(errno));
		for (size_t k = 0; k < i; k++)
			message(MESSAGE_NOTE, "%s is written already", containers[k].out);
		return false;
	}
	return true;
}

bool containers_write(const struct container *containers, size_t nr)
{
	char **temporaries = xcalloc(nr, sizeof(*temporaries));
	bool good = true;
	size_t done = 0;

	for (; done < nr && good; done++) {
		temporaries[done] = write_beside(&containers[done]);
		good = temporaries[done];
	}
	good = good && rename_all(containers, temporaries, nr);
	for (size_t i = 0; i < done && !good; i++)
		if (temporaries[i])
			unlink(temporaries[i]);
	return good;
}
