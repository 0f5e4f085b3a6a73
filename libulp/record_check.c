// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether a record that was read from a target's memory holds together: its tables
 * are inside of it, its addresses inside its image or object, its digest right.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool table_inside(const struct ulp_record *record, uint64_t offset, uint64_t count,
			 size_t entsize)
{
	return offset <= record->size && offset % 8 == 0 &&
	       count <= (record->size - offset) / entsize;
}

/*
 * No two texts share bytes: @left is what all that are still to be looked at may have
 * together, or one large text, said often, would keep us busy and fill our memory.
 */
static bool text_inside(const struct ulp_record *record, struct ulp_span span, uint64_t *left)
{
	if (span.offset > record->size || span.length > record->size - span.offset ||
	    span.length > *left)
		return false;
	*left -= span.length;
	return !memchr((const char *)record + span.offset, 0, span.length);
}

static bool code_length_valid(uint32_t length, bool may_be_none)
{
	return length == 2 || length == 5 || (may_be_none && !length);
}

int ulp_record_digest(const struct ulp_record *record, uint8_t out[32])
{
	struct ulp_record *copy = malloc(record->size);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, record, record->size);
	copy->state = 0;
	copy->uid = 0;
	copy->sequence = 0;
	copy->applied = 0;
	memset(copy->digest, 0, sizeof(copy->digest));
	err = ulp_sha256(copy, copy->size, out);
	free(copy);
	return err;
}

bool ulp_record_switches(const struct ulp_record *record)
{
	return record->header_size >= sizeof(*record) && record->table;
}

static bool is_code(const struct ulp_record *record, uint64_t addr)
{
	return addr >= record->text_start && addr + 4 < record->text_end;
}

/* Stubs and table: NULL or what is wrong with them. */
static const char *switches_check(const struct ulp_record *record)
{
	const uint64_t table_size = ULP_UNIVERSE_WORDS * 8ULL;
	const char *base = (const char *)record;
	const struct ulp_record_switch *s;
	const struct ulp_record_leave *leave;

	if (!ulp_record_switches(record))
		return ulp_record_state_moves(record->state) ? "it switches without a table" : NULL;
	if (record->table % 4096 || record->table < record->image_start ||
	    record->image_end - record->image_start < table_size ||
	    record->table > record->image_end - table_size ||
	    !table_inside(record, record->switches, record->nr_functions, sizeof(*s)) ||
	    !table_inside(record, record->leaves, record->nr_leaves, sizeof(*leave)) ||
	    !record->nr_leaves)
		return "a table is outside of it";
	s = (const void *)(base + record->switches);
	for (uint32_t i = 0; i < record->nr_functions; i++)
		if (s[i].forth && !(is_code(record, s[i].forth) && is_code(record, s[i].back) &&
				    is_code(record, s[i].original) &&
				    is_code(record, s[i].forth_old) &&
				    is_code(record, s[i].back_old)))
			return "a stub is outside of it";
	leave = (const void *)(base + record->leaves);
	for (uint32_t i = 0; i < record->nr_leaves; i++)
		if (leave[i].start >= leave[i].end)
			return "a range is damaged";
	return NULL;
}

const char *ulp_record_check(const struct ulp_record *record, uint64_t addr)
{
	const char *base = (const char *)record;
	const struct ulp_record_function *functions;
	const struct ulp_record_object *objects;
	const struct ulp_span *labels;
	uint64_t left = record->size;
	uint8_t digest[32];

	if (record->state > ULP_RECORD_RETURNING)
		return "unknown state";
	if (record->image_start != addr || record->image_end <= addr ||
	    record->text_start < addr || record->text_end > record->image_end ||
	    record->text_start >= record->text_end)
		return "its addresses are not where it is";
	if (!table_inside(record, record->functions, record->nr_functions, sizeof(*functions)) ||
	    !table_inside(record, record->objects, record->nr_objects, sizeof(*objects)) ||
	    !table_inside(record, record->labels, record->nr_labels, sizeof(*labels)) ||
	    !table_inside(record, record->requires, record->nr_requires, ULP_ID_SIZE) ||
	    !text_inside(record, record->name, &left) ||
	    !text_inside(record, record->tool, &left))
		return "a table is outside of it";
	if (!record->nr_functions || !record->nr_objects ||
	    record->nr_functions > ULP_RECORD_FUNCTIONS_MAX ||
	    record->nr_objects > record->nr_functions || record->name.length > ULP_NAME_MAX)
		return "a count is out of bounds";
	if (ulp_record_digest(record, digest) ||
	    memcmp(digest, record->digest, sizeof(digest)) != 0)
		return "its digest is wrong";

	functions = (const void *)(base + record->functions);
	objects = (const void *)(base + record->objects);
	labels = (const void *)(base + record->labels);
	for (uint32_t i = 0; i < record->nr_labels; i++)
		if (!text_inside(record, labels[i], &left))
			return "a label is outside of it";
	for (uint32_t i = 0; i < record->nr_objects; i++)
		if (!text_inside(record, objects[i].path, &left) ||
		    objects[i].build_id.length > ULP_BUILD_ID_MAX ||
		    objects[i].build_id.offset > record->size ||
		    objects[i].build_id.length > record->size - objects[i].build_id.offset ||
		    objects[i].start >= objects[i].end)
			return "an object is damaged";
	for (uint32_t i = 0; i < record->nr_functions; i++) {
		const struct ulp_record_function *f = &functions[i];
		const struct ulp_record_object *object;

		if (f->object >= record->nr_objects || !text_inside(record, f->name, &left) ||
		    !code_length_valid(f->entry_length, false) ||
		    !code_length_valid(f->island_length, true) || !!f->island != !!f->island_length)
			return "a function is damaged";
		object = &objects[f->object];
		if (f->entry < object->start || f->entry > object->end - f->entry_length ||
		    (f->island && (f->island < object->start ||
				   f->island > object->end - f->island_length)) ||
		    f->old_start >= f->old_end || f->new_start >= f->new_end ||
		    f->new_start < record->text_start || f->new_end > record->text_end)
			return "a function is outside its object";
	}
	return switches_check(record);
}
