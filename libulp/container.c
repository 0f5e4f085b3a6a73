// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading a container: the file, and the order in which it is looked into.
 *
 * Everything in the file is hostile.  The order is: the ELF object around the
 * section (container_elf.c), the digest and the bounds of the tables
 * (container_tables.c), then what they say (container_check.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"

static int read_container(struct ulp_patch *patch)
{
	struct ulp_part ulp = { 0 }, revert = { 0 };
	struct ulp_strings strings;
	int err;

	err = ulp_patch_read_elf(patch, &ulp, &revert);
	if (!err)
		err = ulp_patch_read_tables(patch, &ulp, &revert, &strings);
	if (!err)
		err = ulp_patch_check(patch, &strings);
	if (!err)
		err = ulp_patch_view(patch, &strings);
	return err;
}

/* Takes @data over. */
static int patch_new(struct ulp_context *ctx, uint8_t *data, size_t size, const char *name,
		     struct ulp_patch **out)
{
	struct ulp_patch *patch = calloc(1, sizeof(*patch));
	int err;

	if (!patch) {
		free(data);
		return ulp_err(ctx, -ENOMEM, "%s: out of memory", name);
	}
	patch->ctx = ctx;
	patch->text_fd = -1;
	patch->data = data;
	patch->size = size;
	patch->path = strdup(name);
	err = patch->path ? read_container(patch) :
			    ulp_err(ctx, -ENOMEM, "%s: out of memory", name);
	if (err) {
		ulp_patch_close(patch);
		return err;
	}
	*out = patch;
	return 0;
}

int ulp_patch_read(struct ulp_context *ctx, const void *data, size_t size, const char *name,
		   struct ulp_patch **out)
{
	uint8_t *copy;

	*out = NULL;
	if (size > ULP_CONTAINER_MAX)
		return ulp_err(ctx, -ULP_E_CONTAINER, "%s: larger than %llu MiB", name,
			       ULP_CONTAINER_MAX >> 20);
	copy = malloc(size ? size : 1);
	if (!copy)
		return ulp_err(ctx, -ENOMEM, "%s: out of memory", name);
	memcpy(copy, data, size);
	return patch_new(ctx, copy, size, name, out);
}

int ulp_patch_file_read(struct ulp_context *ctx, int fd, const char *path, uint8_t **data,
			size_t *size)
{
	struct stat st;
	size_t done = 0;
	ssize_t n;

	*data = NULL;
	if (fstat(fd, &st))
		return ulp_err(ctx, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ulp_err(ctx, -ULP_E_CONTAINER, "%s: not a regular file", path);
	if ((uint64_t)st.st_size > ULP_CONTAINER_MAX)
		return ulp_err(ctx, -ULP_E_CONTAINER, "%s: larger than %llu MiB", path,
			       ULP_CONTAINER_MAX >> 20);
	*size = st.st_size;
	*data = malloc(*size ? *size : 1);
	if (!*data)
		return ulp_err(ctx, -ENOMEM, "%s: out of memory", path);
	while (done < *size) {
		n = read(fd, *data + done, *size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ulp_err(ctx, -errno, "%s: %s", path, strerror(errno));
		if (!n)
			return ulp_err(ctx, -ULP_E_CONTAINER, "%s: it shrank while it was read",
				       path);
		done += n;
	}
	return 0;
}

int ulp_patch_open(struct ulp_context *ctx, const char *path, struct ulp_patch **out)
{
	uint8_t *data = NULL;
	size_t size = 0;
	int fd, err;

	*out = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return ulp_err(ctx, -errno, "%s: %s", path, strerror(errno));
	err = ulp_patch_file_read(ctx, fd, path, &data, &size);
	close(fd);
	if (err) {
		free(data);
		return err;
	}
	return patch_new(ctx, data, size, path, out);
}

void ulp_patch_close(struct ulp_patch *patch)
{
	if (!patch)
		return;
	if (patch->text_fd >= 0)
		close(patch->text_fd);
	for (size_t i = 0; i < patch->nr_labels; i++)
		free(patch->labels[i]);
	for (size_t i = 0; i < patch->nr_dependencies; i++)
		free(patch->dependencies[i]);
	free(patch->labels);
	free(patch->dependencies);
	free(patch->raw_targets);
	free(patch->raw_functions);
	free(patch->raw_ranges);
	free(patch->raw_references);
	free(patch->raw_relocations);
	free(patch->raw_originals);
	free(patch->targets);
	free(patch->functions);
	free(patch->references);
	free(patch->relocations);
	free(patch->segments);
	free(patch->text);
	free(patch->comment);
	free(patch->name);
	free(patch->path);
	free(patch->data);
	free(patch);
}
