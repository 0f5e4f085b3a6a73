// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The record of an image, as it is before it is in the target: all that a tool needs
 * later to tell what was done, and to take it back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

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
	size_t size, room;
	int err;		/* -ENOMEM, -E2BIG: nothing more is put into it */
};

static struct ulp_span put(struct builder *b, const void *data, size_t size)
{
	size_t at = (b->size + 7) & ~7UL;
	uint8_t *bigger;

	if (b->err)
		return (struct ulp_span){ 0, 0 };
	if (at > ULP_RECORD_MAX || size > ULP_RECORD_MAX - at) {
		b->err = -E2BIG;
		return (struct ulp_span){ 0, 0 };
	}
	if (at + size > b->room) {
		b->room = 2 * (at + size);
		bigger = realloc(b->data, b->room);
		if (!bigger) {
			b->err = -ENOMEM;
			return (struct ulp_span){ 0, 0 };
		}
		b->data = bigger;
	}
	memset(b->data + b->size, 0, at - b->size);
	if (data)
		memcpy(b->data + at, data, size);
	else
		memset(b->data + at, 0, size);
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
		b->err = -ENOMEM;
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
		b->err = -ENOMEM;
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
		b->err = -ENOMEM;
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
		b->err = -ENOMEM;
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
	for (size_t i = 0; i < patch->nr_dependencies && !b->err; i++)
		ulp_unhex(patch->dependencies[i], b->data + ids.offset + i * ULP_ID_SIZE,
			  ULP_ID_SIZE);
	free(labels);
}

/* Its size does not depend on the addresses in it. */
int ulp_record_build(const struct ulp_patch *patch, struct ulp_image *image)
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
	if (b.err) {
		free(b.data);
		return b.err;
	}
	head.size = b.size;
	memcpy(b.data, &head, sizeof(head));
	free(image->record);
	image->record = (struct ulp_record *)b.data;
	return ulp_record_digest(image->record, image->record->digest);
}
