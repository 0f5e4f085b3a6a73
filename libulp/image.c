// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The image: a patch made ready for one place in one target.
 *
 * [ record | table | stubs | segments of the container, at the distances they
 *   were linked for ]
 *
 * What the patch never writes comes from one memfd that all targets share, the
 * record and the relocated segments from one memfd per target.  Both are sealed
 * before the target sees them.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define PAGE		4096ULL
#define PAGE_DOWN(x)	((x) & ~(PAGE - 1))
#define PAGE_UP(x)	PAGE_DOWN((x) + PAGE - 1)

int ulp_memfd_write(int fd, const void *data, size_t size, off_t at)
{
	while (size) {
		ssize_t n = pwrite(fd, data, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data = (const char *)data + n;
		size -= n;
		at += n;
	}
	return 0;
}

int ulp_memfd_make(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, size))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int ulp_memfd_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ?
		-errno : 0;
}

static int image_memfd(const struct ulp_patch *patch, uint64_t size)
{
	char name[sizeof(ULP_MEMFD_PREFIX) + ULP_NAME_MAX];

	snprintf(name, sizeof(name), ULP_MEMFD_PREFIX "%s", patch->name);
	return ulp_memfd_make(name, size);
}

#define TABLE_BYTES	(ULP_UNIVERSE_WORDS * 8ULL)

static uint64_t image_base(const struct ulp_patch *patch)
{
	return PAGE_DOWN(patch->segments[0].vaddr);
}

/* Whether a segment is written for one target, not shared by all. */
static bool is_private(const struct ulp_patch *patch, const struct ulp_patch_segment *segment)
{
	return segment->flags & PF_W || patch->private_text;
}

/* The memfd of the segments that are the same in every target, made once. */
static int text_open(struct ulp_patch *patch)
{
	int fd, none = -1, err = 0;

	if (patch->text_fd >= 0 || patch->private_text)
		return 0;
	fd = image_memfd(patch, patch->image_size - image_base(patch));
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < patch->nr_segments && !err; i++) {
		const struct ulp_patch_segment *s = &patch->segments[i];

		if (!is_private(patch, s))
			err = ulp_memfd_write(fd, patch->data + s->offset, s->filesz,
					      s->vaddr - image_base(patch));
	}
	if (!err)
		err = ulp_memfd_seal(fd);
	/* another thread may have been faster */
	if (err || !atomic_compare_exchange_strong(&patch->text_fd, &none, fd))
		close(fd);
	return err;
}

static void text_bounds(const struct ulp_patch *patch, struct ulp_image *image)
{
	image->text_start = image->stubs ? image->stubs : UINT64_MAX;
	image->text_end = image->stubs ? image->stubs + ulp_stubs_size(patch) : 0;
	for (size_t i = 0; i < patch->nr_segments; i++) {
		const struct ulp_patch_segment *s = &patch->segments[i];

		if (!(s->flags & PF_X))
			continue;
		if (s->vaddr + image->bias < image->text_start)
			image->text_start = s->vaddr + image->bias;
		if (s->vaddr + s->memsz + image->bias > image->text_end)
			image->text_end = s->vaddr + s->memsz + image->bias;
	}
}

/* All that entries and islands of this image, and fields of its code, must reach. */
static void code_bounds(const struct ulp_patch *patch, const struct ulp_image *image,
			uint64_t *low, uint64_t *high)
{
	*low = UINT64_MAX;
	*high = 0;
	for (size_t i = 0; i < patch->nr_targets; i++) {
		const struct ulp_container_target *t = &patch->raw_targets[i];
		uint64_t bias = image->objects[i]->bias;

		if (t->text_start + bias < *low)
			*low = t->text_start + bias;
		if (t->text_end + bias > *high)
			*high = t->text_end + bias;
		if (!patch->private_text)
			continue;
		/* Its code refers to data as well. */
		if (image->objects[i]->start < *low)
			*low = image->objects[i]->start;
		if (image->objects[i]->end > *high)
			*high = image->objects[i]->end;
	}
}

static int image_place(struct ulp_target *target, const struct ulp_patch *patch,
		       struct ulp_image *image)
{
	uint64_t base = image_base(patch), stubs = PAGE_UP(ulp_stubs_size(patch)), low, high;
	int err = ulp_record_build(patch, image);

	if (err == -E2BIG)
		return ulp_err(target->ctx, -ULP_E_NO_ROOM,
			       "%s (pid %d): patch %s: a record of its names and labels would be larger than %u MiB: split it, or give it fewer",
			       target->name, target->pid, patch->name, ULP_RECORD_MAX >> 20);
	if (err)
		return err;
	image->head = PAGE_UP(image->record->size) + (stubs ? TABLE_BYTES + stubs : 0);
	code_bounds(patch, image, &low, &high);
	image->end = image->head + patch->image_size - base;
	err = ulp_target_hole(target, low, high, image->end, &image->start);
	if (err)
		return err;
	image->end += image->start;
	image->bias = image->start + image->head - base;
	if (stubs) {
		image->stubs = image->start + image->head - stubs;
		image->table = image->stubs - TABLE_BYTES;
	}
	text_bounds(patch, image);
	return ulp_record_build(patch, image);
}

static int stubs_write(const struct ulp_patch *patch, const struct ulp_image *image)
{
	uint64_t size = ulp_stubs_size(patch);
	struct ulp_record_switch *switches = calloc(patch->nr_functions, sizeof(*switches));
	uint8_t *code = malloc(size ? size : 1);
	int err = -ENOMEM;

	if (code && switches) {
		if (size)
			ulp_stubs_make(patch, image, code, switches);
		err = ulp_memfd_write(image->fd, code, size, (off_t)(image->stubs - image->start));
	}
	free(switches);
	free(code);
	return err;
}

/* Slots for functions as they were, which are in the stubs. */
static int originals_fill(struct ulp_target *target, const struct ulp_patch *patch,
			  const struct ulp_image *image, uint8_t *bytes)
{
	const struct ulp_record_switch *switches =
		(const void *)((const uint8_t *)image->record + image->record->switches);

	for (size_t t = 0; t < patch->nr_targets; t++) {
		const struct ulp_container_target *raw = &patch->raw_targets[t];

		for (uint32_t i = 0; i < raw->nr_references; i++) {
			const struct ulp_container_reference *reference =
				&patch->raw_references[raw->first_reference + i];
			int function;

			if (!(reference->flags & ULP_REFERENCE_ORIGINAL))
				continue;
			function = ulp_patch_original(patch, t, reference->target_value);
			if (!switches[function].original)
				return ulp_err(target->ctx, -ULP_E_NO_ROOM,
					       "%s (pid %d): patch %s: %s as it was is too far from what it refers to",
					       target->name, target->pid, patch->name,
					       patch->functions[function].old_name);
			memcpy(bytes + reference->slot_value, &switches[function].original, 8);
		}
	}
	return 0;
}

static int image_write(struct ulp_target *target, struct ulp_patch *patch,
		       struct ulp_image *image)
{
	uint64_t base = image_base(patch);
	uint8_t *bytes = calloc(1, patch->image_size);
	int err;

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < patch->nr_segments; i++)
		memcpy(bytes + patch->segments[i].vaddr, patch->data + patch->segments[i].offset,
		       patch->segments[i].filesz);
	err = ulp_image_relocate(target, patch, image->objects, image->bias, bytes);
	if (!err)
		err = ulp_image_fix(target, patch, image->objects, image->bias, bytes);
	if (!err)
		err = originals_fill(target, patch, image, bytes);
	if (err)
		goto out;
	image->fd = image_memfd(patch, image->head + patch->image_size - base);
	err = image->fd < 0 ? image->fd :
		ulp_memfd_write(image->fd, image->record, image->record->size, 0);
	if (!err && image->stubs)
		err = stubs_write(patch, image);
	for (size_t i = 0; i < patch->nr_segments && !err; i++) {
		const struct ulp_patch_segment *s = &patch->segments[i];

		if (is_private(patch, s))
			err = ulp_memfd_write(image->fd, bytes + s->vaddr, s->memsz,
					      image->head + s->vaddr - base);
	}
	if (!err)
		err = ulp_memfd_seal(image->fd);
	if (!err)
		err = text_open(patch);
	if (err)
		ulp_err(target->ctx, err, "%s: cannot make its image: %s", patch->name,
			strerror(-err));
out:
	free(bytes);
	return err;
}

/*
 * An image of this patch, for the same objects, that an earlier apply left.  What is
 * prepared is another tool's, and goes when that closes its session.
 */
static const struct ulp_found *image_reusable(const struct ulp_target *target,
					      const struct ulp_patch *patch,
					      const struct ulp_image *image)
{
	const struct ulp_record_list *records = target->records;

	for (size_t i = 0; i < records->nr; i++) {
		const struct ulp_found *found = &records->found[i];
		bool same = !memcmp(found->record->id, patch->id, sizeof(patch->id)) &&
			    !memcmp(found->record->container_digest, patch->digest,
				    sizeof(patch->digest)) &&
			    found->record->nr_objects == patch->nr_targets &&
			    found->record->nr_functions == patch->nr_functions &&
			    found->record->state != ULP_RECORD_PREPARED &&
			    !ulp_found_active(found);

		for (size_t k = 0; same && k < patch->nr_targets; k++)
			same = found->objects[k].bias == image->objects[k]->bias;
		if (same)
			return found;
	}
	return NULL;
}

int ulp_image_prepare(struct ulp_target *target, struct ulp_patch *patch,
		      struct ulp_image *image)
{
	int err;

	image->fd = -1;
	image->reuse = image_reusable(target, patch, image);
	if (image->reuse) {
		const struct ulp_record *record = image->reuse->record;

		image->start = record->image_start;
		image->end = record->image_end;
		image->bias = record->bias;
		image->text_start = record->text_start;
		image->text_end = record->text_end;
		image->table = image->reuse->table;
		image->record = malloc(record->size);
		if (!image->record)
			return -ENOMEM;
		memcpy(image->record, record, record->size);
		return 0;
	}
	err = image_place(target, patch, image);
	if (!err)
		err = ulp_target_reserve(target, image->start, image->end);
	return err ? err : image_write(target, patch, image);
}

int ulp_map_piece(struct ulp_target *target, int session, uint32_t flags, int fd,
		  uint64_t offset, uint64_t addr, uint64_t length)
{
	int err = ulp_sys_map(session, flags, fd, offset, addr, length);

	if (err == -EEXIST)
		return -ESTALE;	/* the target mapped something there since we looked */
	if (err == -EALREADY)
		return ulp_target_busy(target);
	if (err == -ESRCH)
		return ulp_target_gone(target);
	if (err)
		return ulp_err(target->ctx, err, "%s (pid %d): cannot map %lu bytes at 0x%lx: %s",
			       target->name, target->pid, (unsigned long)length,
			       (unsigned long)addr, strerror(-err));
	return 0;
}

/* [start, end) of a writable segment; the RELRO part of it is mapped read-only. */
static int map_writable(struct ulp_target *target, const struct ulp_patch *patch,
			const struct ulp_image *image, int session, uint64_t start, uint64_t end)
{
	uint64_t shift = image->bias - image->start;	/* container address to file offset */
	uint64_t relro = patch->relro_start >= start && patch->relro_start < end ?
		PAGE_DOWN(patch->relro_end) : 0;
	int err = 0;

	if (relro > end)
		relro = end;
	if (relro > start)
		err = ulp_map_piece(target, session, 0, image->fd, start + shift,
				    start + image->bias, relro - start);
	else
		relro = start;
	if (!err && relro < end)
		err = ulp_map_piece(target, session, ULP_MAP_WRITE, image->fd, relro + shift,
				    relro + image->bias, end - relro);
	return err;
}

int ulp_image_map(struct ulp_target *target, struct ulp_patch *patch,
		  const struct ulp_image *image, int session)
{
	uint64_t base = image_base(patch);
	int err;

	/* The table is the module's, which does not need the protection of the pages. */
	err = ulp_map_piece(target, session, 0, image->fd, 0, image->start,
			    image->stubs ? image->stubs - image->start : image->head);
	if (!err && image->stubs)
		err = ulp_map_piece(target, session, ULP_MAP_EXEC, image->fd,
				    image->stubs - image->start, image->stubs,
				    PAGE_UP(ulp_stubs_size(patch)));
	for (size_t i = 0; i < patch->nr_segments && !err; i++) {
		const struct ulp_patch_segment *s = &patch->segments[i];
		uint64_t start = PAGE_DOWN(s->vaddr), end = PAGE_UP(s->vaddr + s->memsz);

		if (s->flags & PF_W)
			err = map_writable(target, patch, image, session, start, end);
		else
			err = ulp_map_piece(target, session, s->flags & PF_X ? ULP_MAP_EXEC : 0,
					    patch->private_text ? image->fd : patch->text_fd,
					    start - base + (patch->private_text ? image->head : 0),
					    start + image->bias, end - start);
	}
	return err;
}

void ulp_image_free(struct ulp_image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	free(image->record);
	free(image->objects);
	memset(image, 0, sizeof(*image));
	image->fd = -1;
}
