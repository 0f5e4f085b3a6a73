// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Containers to files, all or none: each is written beside its place under a temporary
 * name, and renamed when all of them are there.
 */
#include <errno.h>
#include <fcntl.h>
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

/* Returns the temporary name, or NULL. */
static char *write_beside(const struct container *container)
{
	const char *place = place_of(container->out);
	char *temporary = xasprintf("%s.XXXXXX", place);
	struct stat st;
	bool good;
	int fd;

	/* what rename() would say too late */
	if (!stat(place, &st) && S_ISDIR(st.st_mode)) {
		error("%s: %s", container->out, strerror(EISDIR));
		return NULL;
	}
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
