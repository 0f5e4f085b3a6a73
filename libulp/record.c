// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The records in a target: what is applied to it, read from its memory.
 *
 * The memory is the target's, so nothing in it is believed before it was
 * checked, and "active" is believed only if the entries agree.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

bool ulp_is_image(const struct ulp_mapping *mapping)
{
	static const char path[] = "/memfd:" ULP_MEMFD_PREFIX;

	return !mapping->shared && !strncmp(mapping->path, path, sizeof(path) - 1);
}

/* Ours are private and not writable; anything else is no record. */
static bool is_record_place(const struct ulp_mapping *mapping)
{
	return mapping->read && !mapping->write && !mapping->exec && ulp_is_image(mapping);
}

static bool table_inside(const struct ulp_record *record, uint64_t offset, uint64_t count,
			 size_t entsize)
{
	return offset <= record->size && offset % 8 == 0 &&
	       count <= (record->size - offset) / entsize;
}

static bool span_inside(const struct ulp_record *record, struct ulp_span span)
{
	return span.offset <= record->size && span.length <= record->size - span.offset &&
	       !memchr((const char *)record + span.offset, 0, span.length);
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

uint32_t ulp_acting_user(void)
{
	uint32_t uid = getuid();
	unsigned int login;
	FILE *file = fopen("/proc/self/loginuid", "re");

	if (file) {
		/* -1: nobody logged in, as for a daemon */
		if (fscanf(file, "%u", &login) == 1 && login != UINT32_MAX)
			uid = login;
		fclose(file);
	}
	return uid;
}

static bool has_switches(const struct ulp_record *record)
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

	if (!has_switches(record))
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

/* NULL or what is wrong with it. */
static const char *record_check(const struct ulp_record *record, uint64_t addr)
{
	const char *base = (const char *)record;
	const struct ulp_record_function *functions;
	const struct ulp_record_object *objects;
	const struct ulp_span *labels;
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
	    !span_inside(record, record->name) || !span_inside(record, record->tool))
		return "a table is outside of it";
	if (!record->nr_functions || !record->nr_objects ||
	    record->nr_functions > ULP_RECORD_FUNCTIONS_MAX || record->name.length > ULP_NAME_MAX)
		return "a count is out of bounds";
	if (ulp_record_digest(record, digest) || memcmp(digest, record->digest, sizeof(digest)))
		return "its digest is wrong";

	functions = (const void *)(base + record->functions);
	objects = (const void *)(base + record->objects);
	labels = (const void *)(base + record->labels);
	for (uint32_t i = 0; i < record->nr_labels; i++)
		if (!span_inside(record, labels[i]))
			return "a label is outside of it";
	for (uint32_t i = 0; i < record->nr_objects; i++)
		if (!span_inside(record, objects[i].path) ||
		    objects[i].build_id.length > ULP_BUILD_ID_MAX ||
		    objects[i].build_id.offset > record->size ||
		    objects[i].build_id.length > record->size - objects[i].build_id.offset ||
		    objects[i].start >= objects[i].end)
			return "an object is damaged";
	for (uint32_t i = 0; i < record->nr_functions; i++) {
		const struct ulp_record_function *f = &functions[i];
		const struct ulp_record_object *object;

		if (f->object >= record->nr_objects || !span_inside(record, f->name) ||
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

int ulp_found_init(struct ulp_found *found, struct ulp_record *record)
{
	const char *base = (const char *)record;

	memset(found, 0, sizeof(*found));
	found->name = strndup(base + record->name.offset, record->name.length);
	if (!found->name)
		return -ENOMEM;
	found->record = record;
	found->functions = (const void *)(base + record->functions);
	found->objects = (const void *)(base + record->objects);
	if (has_switches(record)) {
		found->table = record->table;
		found->switches = (const void *)(base + record->switches);
		found->leaves = (const void *)(base + record->leaves);
		found->nr_leaves = record->nr_leaves;
	}
	ulp_hex(record->id, sizeof(record->id), found->id_hex);
	return 0;
}

/* 1: @out was filled; 0: no record there. */
static int record_read(struct ulp_target *target, const struct ulp_mapping *mapping,
		       struct ulp_found *out)
{
	struct ulp_record head, *record;
	const char *wrong;
	int err;

	if (mapping->end - mapping->start < sizeof(head) ||
	    ulp_memory_read(target, mapping->start, &head, sizeof(head)) ||
	    head.magic != ULP_RECORD_MAGIC)
		return 0;
	if (head.version != ULP_RECORD_VERSION ||
	    head.header_size < offsetof(struct ulp_record, table) ||
	    head.size < sizeof(head) || head.size > ULP_RECORD_MAX ||
	    head.size > mapping->end - mapping->start) {
		ulp_log(target->ctx, ULP_LOG_WARN,
			"%s (pid %d): record at 0x%lx is of another version or damaged; ignored",
			target->name, target->pid, (unsigned long)mapping->start);
		return 0;
	}
	record = malloc(head.size);
	if (!record)
		return -ENOMEM;
	err = ulp_memory_read(target, mapping->start, record, head.size);
	if (err) {
		free(record);
		return 0;
	}
	/* What was checked above may have changed since. */
	wrong = record->size != head.size ? "it is changing" :
		record_check(record, mapping->start);
	if (wrong) {
		ulp_log(target->ctx, ULP_LOG_WARN, "%s (pid %d): record at 0x%lx: %s; ignored",
			target->name, target->pid, (unsigned long)mapping->start, wrong);
		free(record);
		return 0;
	}
	err = ulp_found_init(out, record);
	if (err) {
		free(record);
		return err;
	}
	return 1;
}

static int by_sequence(const void *a, const void *b)
{
	const struct ulp_found *x = a, *y = b;

	if (x->record->sequence != y->record->sequence)
		return x->record->sequence < y->record->sequence ? -1 : 1;
	return x->record->image_start < y->record->image_start ? -1 : 1;
}

bool ulp_found_scans(const struct ulp_found *found)
{
	return found->record->header_size >= sizeof(*found->record) &&
	       found->record->flags & ULP_RECORD_SCAN_MEMORY;
}

bool ulp_found_active(const struct ulp_found *found)
{
	return ulp_record_state_leads(found->record->state) && !found->lost;
}

bool ulp_found_moves(const struct ulp_found *found)
{
	return ulp_record_state_moves(found->record->state) && !found->lost;
}

const char *ulp_found_text(const struct ulp_found *found, struct ulp_span span)
{
	static const char empty[] = "";

	return span.length ? (const char *)found->record + span.offset : empty;
}

struct ulp_owner ulp_records_top(const struct ulp_record_list *records, uint64_t entry,
				 bool (*skip)(const struct ulp_found *found, void *data),
				 void *data)
{
	struct ulp_owner none = { NULL, NULL };

	for (size_t i = records->nr; i-- > 0;) {
		const struct ulp_found *found = &records->found[i];

		if (!ulp_found_active(found) || (skip && skip(found, data)))
			continue;
		for (uint32_t k = 0; k < found->record->nr_functions; k++)
			if (found->functions[k].entry == entry)
				return (struct ulp_owner){ found, &found->functions[k] };
	}
	return none;
}

static void overlay(uint64_t addr, uint8_t *bytes, size_t size, uint64_t at,
		    const uint8_t *from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (at + i >= addr && at + i - addr < size)
			bytes[at + i - addr] = from[i];
}

void ulp_records_pristine(const struct ulp_record_list *records, uint64_t addr, uint8_t *bytes,
			  size_t size)
{
	for (size_t i = 0; i < records->nr; i++) {
		const struct ulp_found *found = &records->found[i];

		if (!ulp_found_active(found))
			continue;
		for (uint32_t k = 0; k < found->record->nr_functions; k++) {
			const struct ulp_record_function *f = &found->functions[k];

			overlay(addr, bytes, size, f->entry, f->entry_saved, f->entry_length);
			overlay(addr, bytes, size, f->island, f->island_saved, f->island_length);
		}
	}
}

/*
 * A record is lost when its object was unloaded, even if the same one was
 * loaded again at the same place: then the entries are the object's own bytes.
 * An entry with bytes of somebody else does not make it lost: that is for
 * apply and revert to refuse.
 */
static bool record_lost(struct ulp_target *target, const struct ulp_record_list *records,
			const struct ulp_found *found)
{
	const struct ulp_record *record = found->record;
	uint8_t now[ULP_RECORD_CODE];

	for (uint32_t i = 0; i < record->nr_functions; i++) {
		const struct ulp_record_function *f = &found->functions[i];
		const struct ulp_record_object *object = &found->objects[f->object];
		const struct ulp_mapping *mapping = ulp_target_mapping(target, f->entry);
		bool present = false;

		for (size_t k = 0; k < target->nr_objects && !present; k++)
			present = target->objects[k].bias == object->bias &&
				  target->objects[k].build_id_size == object->build_id.length &&
				  !memcmp(target->objects[k].build_id,
					  ulp_found_text(found, object->build_id),
					  object->build_id.length);
		if (!present || !mapping || !mapping->exec ||
		    ulp_memory_read(target, f->entry, now, f->entry_length))
			return true;
		if (ulp_records_top(records, f->entry, NULL, NULL).found == found &&
		    !memcmp(now, f->entry_saved, f->entry_length))
			return true;
	}
	return false;
}

static void applied_free(struct ulp_record_list *records)
{
	for (size_t i = 0; i < records->nr_applied; i++) {
		struct ulp_applied *a = &records->applied[i];

		for (size_t k = 0; k < a->nr_functions; k++)
			free((char *)a->functions[k]);
		for (size_t k = 0; k < a->nr_labels; k++)
			free((char *)a->labels[k]);
		free((void *)a->functions);
		free((void *)a->labels);
		free((char *)a->object);
		free((char *)a->build_id);
	}
	free(records->applied);
}

void ulp_records_free(struct ulp_record_list *records)
{
	if (!records)
		return;
	applied_free(records);
	for (size_t i = 0; i < records->nr; i++) {
		free(records->found[i].record);
		free(records->found[i].name);
	}
	free(records->found);
	free(records);
}

/* Words in the table; 0 if it cannot be read. */
static size_t count_waiting(struct ulp_target *target, const struct ulp_found *found)
{
	uint64_t words[ULP_UNIVERSE_WORDS];
	size_t nr = 0;

	if (!ulp_memory_read(target, found->table, words, sizeof(words)))
		for (size_t i = 0; i < ULP_UNIVERSE_WORDS; i++)
			nr += words[i] > ULP_UNIVERSE_STRUCK;
	return nr;
}

static int applied_add(struct ulp_target *target, struct ulp_record_list *records,
		       const struct ulp_found *found, uint32_t object)
{
	static const char *const states[] = {
		[ULP_RECORD_ACTIVE] = "active", [ULP_RECORD_REVERTED] = "reverted",
		[ULP_RECORD_SWITCHING] = "switching", [ULP_RECORD_RETURNING] = "returning",
	};
	struct ulp_applied *a = &records->applied[records->nr_applied++];
	const struct ulp_record *record = found->record;
	const struct ulp_span *labels =
		(const void *)((const char *)record + record->labels);
	const struct ulp_record_object *o = &found->objects[object];
	char **functions, **texts;
	char hex[2 * ULP_BUILD_ID_MAX + 1];

	a->id = found->id_hex;
	a->name = found->name;
	a->active = ulp_found_active(found);
	a->state = states[a->active ? record->state : ULP_RECORD_REVERTED];
	a->waiting = ulp_found_moves(found) ? count_waiting(target, found) : 0;
	a->sequence = record->sequence;
	a->applied = record->applied;
	a->uid = record->uid;
	functions = calloc(record->nr_functions, sizeof(*functions));
	texts = calloc(record->nr_labels + 1, sizeof(*texts));
	a->functions = (const char *const *)functions;
	a->labels = (const char *const *)texts;
	ulp_hex((const uint8_t *)ulp_found_text(found, o->build_id), o->build_id.length, hex);
	a->build_id = strdup(hex);
	a->object = strndup(ulp_found_text(found, o->path), o->path.length);
	if (!functions || !texts || !a->build_id || !a->object)
		return -ENOMEM;
	for (uint32_t i = 0; i < record->nr_functions; i++) {
		const struct ulp_record_function *f = &found->functions[i];

		if (f->object != object)
			continue;
		functions[a->nr_functions] = strndup(ulp_found_text(found, f->name),
						     f->name.length);
		if (!functions[a->nr_functions++])
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < record->nr_labels; i++) {
		texts[a->nr_labels] = strndup(ulp_found_text(found, labels[i]), labels[i].length);
		if (!texts[a->nr_labels++])
			return -ENOMEM;
	}
	return 0;
}

static int applied_fill(struct ulp_target *target, struct ulp_record_list *records)
{
	size_t count = 0;
	int err;

	for (size_t i = 0; i < records->nr; i++)
		count += records->found[i].record->nr_objects;
	records->applied = calloc(count + 1, sizeof(*records->applied));
	if (!records->applied)
		return -ENOMEM;
	for (size_t i = 0; i < records->nr; i++) {
		const struct ulp_found *found = &records->found[i];

		if (found->record->state == ULP_RECORD_PREPARED)
			continue;
		for (uint32_t k = 0; k < found->record->nr_objects; k++) {
			err = applied_add(target, records, found, k);
			if (err)
				return err;
		}
	}
	return 0;
}

int ulp_records_read(struct ulp_target *target)
{
	struct ulp_record_list *records = calloc(1, sizeof(*records));
	int ret = 0;

	if (!records)
		return -ENOMEM;
	records->found = calloc(target->nr_mappings + 1, sizeof(*records->found));
	if (!records->found)
		ret = -ENOMEM;
	for (size_t i = 0; i < target->nr_mappings && ret >= 0; i++) {
		const struct ulp_mapping *mapping = &target->mappings[i];

		if (!is_record_place(mapping))
			continue;
		ret = record_read(target, mapping, &records->found[records->nr]);
		if (ret > 0)
			records->nr++;
	}
	if (ret >= 0) {
		qsort(records->found, records->nr, sizeof(*records->found), by_sequence);
		/* Newest first: whether one is lost decides who is on top below it. */
		for (size_t i = records->nr; i-- > 0;)
			if (ulp_found_active(&records->found[i]))
				records->found[i].lost = record_lost(target, records,
								     &records->found[i]);
		ret = applied_fill(target, records);
	}
	if (ret < 0) {
		ulp_records_free(records);
		return ulp_err(target->ctx, ret, "%s (pid %d): cannot read its records: %s",
			       target->name, target->pid, strerror(-ret));
	}
	ulp_records_free(target->records);
	target->records = records;
	return 0;
}

static const struct ulp_found *found_at(const struct ulp_record_list *records, uint64_t start)
{
	for (size_t i = 0; i < records->nr; i++)
		if (records->found[i].record->image_start == start)
			return &records->found[i];
	return NULL;
}

/*
 * What tools that are at it have prepared does not count; it is nobody's yet, and may
 * go again.
 */
bool ulp_records_same(const struct ulp_target *target)
{
	const struct ulp_record_list *records = target->records;
	struct ulp_mapping *mappings;
	struct ulp_record head;
	bool same = true;
	size_t nr;

	if (ulp_maps_read(target, &mappings, &nr))
		return false;
	for (size_t i = 0; i < records->nr && same; i++) {
		const struct ulp_record *record = records->found[i].record;

		same = record->state == ULP_RECORD_PREPARED ||
		       (!ulp_memory_read(target, record->image_start, &head, sizeof(head)) &&
			!memcmp(&head, record, sizeof(head)));
	}
	for (size_t i = 0; i < nr && same; i++)
		if (is_record_place(&mappings[i]) && !found_at(records, mappings[i].start))
			same = ulp_memory_read(target, mappings[i].start, &head, sizeof(head)) ||
			       head.magic != ULP_RECORD_MAGIC ||
			       head.state == ULP_RECORD_PREPARED;
	ulp_maps_free(mappings, nr);
	return same;
}

int ulp_target_applied(struct ulp_target *target, const struct ulp_applied **out)
{
	int err = ulp_records_read(target);

	if (err)
		return err;
	*out = target->records->applied;
	return (int)target->records->nr_applied;
}
