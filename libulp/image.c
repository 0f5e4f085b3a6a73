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

/* The memfd of the segments that are the same in every target. */
static int text_open(struct ulp_patch *patch)
{
	int fd, err = 0;

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
	if (err) {
		close(fd);
		return err;
	}
	patch->text_fd = fd;
	return 0;
}

void ulp_image_entry(const struct ulp_image *image, const struct ulp_container_function *function,
		     const struct ulp_object *object, struct ulp_record_function *out)
{
	int32_t distance;

	out->old_start = function->old_value + object->bias;
	out->old_end = out->old_start + function->old_size;
	out->new_start = function->new_value + image->bias;
	out->new_end = out->new_start + function->new_size;
	out->entry = function->entry + object->bias;
	if (function->kind == ULP_ENTRY_SHORT) {
		out->island = function->island + object->bias;
		out->island_length = 5;
		out->entry_length = 2;
		out->entry_jump[0] = 0xeb;
		out->entry_jump[1] = (uint8_t)(out->island - (out->entry + 2));
		distance = (int32_t)(out->new_start - (out->island + 5));
		out->island_jump[0] = 0xe9;
		memcpy(out->island_jump + 1, &distance, sizeof(distance));
	} else {
		out->entry_length = 5;
		distance = (int32_t)(out->new_start - (out->entry + 5));
		out->entry_jump[0] = 0xe9;
		memcpy(out->entry_jump + 1, &distance, sizeof(distance));
	}
}

/* A growing piece of memory for the record: offsets stay right when it moves. */
struct builder {
	uint8_t *data;
	size_t size;
	bool failed;
};

static struct ulp_span put(struct builder *b, const void *data, size_t size)
{
	size_t at = (b->size + 7) & ~7UL;
	uint8_t *bigger;

	if (b->failed)
		return (struct ulp_span){ 0, 0 };
	bigger = realloc(b->data, at + size);
	if (!bigger) {
		b->failed = true;
		return (struct ulp_span){ 0, 0 };
	}
	memset(bigger + b->size, 0, at - b->size);
	if (data)
		memcpy(bigger + at, data, size);
	else
		memset(bigger + at, 0, size);
	b->data = bigger;
	b->size = at + size;
	return (struct ulp_span){ at, size };
}

static struct ulp_span put_text(struct builder *b, const char *text)
{
	return put(b, text, strlen(text));
}

static void build_objects(struct builder *b, const struct ulp_patch *patch,
			  const struct ulp_image *image, struct ulp_record *head)
{
	struct ulp_record_object *objects = calloc(patch->nr_targets, sizeof(*objects));

	if (!objects) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < patch->nr_targets; i++) {
		const struct ulp_object *o = image->objects[i];

		objects[i] = (struct ulp_record_object){
			.path = put_text(b, o->path),
			.build_id = put(b, o->build_id, o->build_id_size),
			.bias = o->bias,
			.start = o->start,
			.end = o->end,
		};
	}
	head->objects = put(b, objects, patch->nr_targets * sizeof(*objects)).offset;
	head->nr_objects = patch->nr_targets;
	free(objects);
}

static void build_functions(struct builder *b, const struct ulp_patch *patch,
			    const struct ulp_image *image, struct ulp_record *head)
{
	struct ulp_record_function *functions = calloc(patch->nr_functions, sizeof(*functions));

	if (!functions) {
		b->failed = true;
		return;
	}
	for (size_t t = 0; t < patch->nr_targets; t++) {
		const struct ulp_container_target *target = &patch->raw_targets[t];

		for (uint32_t i = 0; i < target->nr_functions; i++) {
			uint32_t index = target->first_function + i;
			const struct ulp_container_function *f = &patch->raw_functions[index];
			struct ulp_record_function *out = &functions[index];

			ulp_image_entry(image, f, image->objects[t], out);
			out->name = put_text(b, patch->functions[index].old_name);
			out->object = t;
			memcpy(out->entry_saved,
			       patch->bytes + f->expected.offset + (f->entry - f->old_value),
			       out->entry_length);
			if (out->island)
				memcpy(out->island_saved, patch->bytes + f->island_expected.offset,
				       out->island_length);
		}
	}
	head->functions = put(b, functions, patch->nr_functions * sizeof(*functions)).offset;
	head->nr_functions = patch->nr_functions;
	free(functions);
}

/* How threads switch one by one: the stubs, and the code that is left. */
static void build_switches(struct builder *b, const struct ulp_patch *patch,
			   const struct ulp_image *image, struct ulp_record *head)
{
	uint64_t size = ulp_stubs_size(patch);
	struct ulp_record_switch *switches = calloc(patch->nr_functions, sizeof(*switches));
	struct ulp_record_leave *leaves = calloc(patch->nr_ranges + 1, sizeof(*leaves));
	uint8_t *code = malloc(size ? size : 1);
	size_t nr = 0;

	if (!switches || !leaves || !code) {
		b->failed = true;
		goto out;
	}
	if (size)
		ulp_stubs_make(patch, image, code, switches);
	for (size_t t = 0; t < patch->nr_targets; t++) {
		const struct ulp_container_target *target = &patch->raw_targets[t];
		uint64_t bias = image->objects[t]->bias;

		for (uint32_t i = 0; i < target->nr_functions; i++) {
			const struct ulp_container_function *f =
				&patch->raw_functions[target->first_function + i];

			for (uint32_t k = 0; k < f->nr_ranges; k++) {
				const struct ulp_container_range *r =
					&patch->raw_ranges[f->first_range + k];

				leaves[nr++] = (struct ulp_record_leave){ r->start + bias,
									  r->end + bias };
			}
		}
	}
	leaves[nr++] = (struct ulp_record_leave){ image->stubs, image->stubs + size };
	if (size) {
		head->table = image->table;
		head->switches = put(b, switches, patch->nr_functions * sizeof(*switches)).offset;
		head->leaves = put(b, leaves, nr * sizeof(*leaves)).offset;
		head->nr_leaves = nr;
	}
out:
	free(code);
	free(leaves);
	free(switches);
}

static void build_texts(struct builder *b, const struct ulp_patch *patch,
			struct ulp_record *head)
{
	struct ulp_span *labels = calloc(patch->nr_labels + 1, sizeof(*labels));
	struct ulp_span ids;

	if (!labels) {
		b->failed = true;
		return;
	}
	head->flags = patch->scan_memory ? ULP_RECORD_SCAN_MEMORY : 0;
	head->name = put_text(b, patch->name);
	head->tool = put_text(b, ulp_version());
	for (size_t i = 0; i < patch->nr_labels; i++)
		labels[i] = put_text(b, patch->labels[i]);
	head->labels = put(b, labels, patch->nr_labels * sizeof(*labels)).offset;
	head->nr_labels = patch->nr_labels;
	ids = put(b, NULL, patch->nr_dependencies * ULP_ID_SIZE);
	head->requires = ids.offset;
	head->nr_requires = patch->nr_dependencies;
	for (size_t i = 0; i < patch->nr_dependencies && !b->failed; i++)
		ulp_unhex(patch->dependencies[i], b->data + ids.offset + i * ULP_ID_SIZE,
			  ULP_ID_SIZE);
	free(labels);
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

/* Its size does not depend on the addresses in it. */
static int record_build(const struct ulp_patch *patch, struct ulp_image *image)
{
	struct ulp_record head = {
		.magic = ULP_RECORD_MAGIC,
		.version = ULP_RECORD_VERSION,
		.header_size = sizeof(head),
		.state = ULP_RECORD_PREPARED,
		.image_start = image->start,
		.image_end = image->end,
		.bias = image->bias,
		.text_start = image->text_start,
		.text_end = image->text_end,
	};
	struct builder b = { 0 };

	memcpy(head.id, patch->id, sizeof(head.id));
	memcpy(head.container_digest, patch->digest, sizeof(head.container_digest));
	put(&b, NULL, sizeof(head));
	build_objects(&b, patch, image, &head);
	build_functions(&b, patch, image, &head);
	build_switches(&b, patch, image, &head);
	build_texts(&b, patch, &head);
	if (b.failed) {
		free(b.data);
		return -ENOMEM;
	}
	head.size = b.size;
	memcpy(b.data, &head, sizeof(head));
	free(image->record);
	image->record = (struct ulp_record *)b.data;
	return ulp_record_digest(image->record, image->record->digest);
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
	int err = record_build(patch, image);

	if (err)
		return err;
	image->head = PAGE_UP(image->record->size) + (stubs ? TABLE_BYTES + stubs : 0);
	if (image->record->size > ULP_RECORD_MAX)
		return -E2BIG;
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
	return record_build(patch, image);
}

int ulp_target_reserve(struct ulp_target *target, uint64_t start, uint64_t end)
{
	size_t at = 0, n = target->nr_mappings;
	struct ulp_mapping *bigger = reallocarray(target->mappings, n + 1, sizeof(*bigger));
	char *path = strdup("");

	if (bigger)
		target->mappings = bigger;
	if (!bigger || !path) {
		free(path);
		return -ENOMEM;
	}
	while (at < n && bigger[at].start < start)
		at++;
	memmove(&bigger[at + 1], &bigger[at], (n - at) * sizeof(*bigger));
	bigger[at] = (struct ulp_mapping){
		.start = start,
		.end = end,
		.path = path,
	};
	target->nr_mappings++;
	return 0;
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
		return ulp_err(target->ctx, -ULP_E_TRACED,
			       "%s (pid %d): another tool is patching it; nothing was changed, try again",
			       target->name, target->pid);
	if (err == -ESRCH)
		return ulp_err(target->ctx, -ULP_E_NO_PROCESS,
			       "%s (pid %d): it exited or called exec", target->name, target->pid);
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
