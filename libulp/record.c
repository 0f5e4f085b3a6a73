// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The records in a target: what is applied to it, read from its memory.
 *
 * The memory is the target's, so nothing in it is believed before it was checked
 * (record_check.c), and "active" is believed only if the entries agree.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	if (ulp_record_switches(record)) {
		found->table = record->table;
		found->switches = (const void *)(base + record->switches);
		found->leaves = (const void *)(base + record->leaves);
		found->nr_leaves = record->nr_leaves;
	}
	ulp_hex(record->id, sizeof(record->id), found->id_hex);
	return 0;
}

/* What all records of a target may have together: no more than some of the largest. */
struct room {
	uint64_t bytes;
	uint32_t functions;
};

/* 1: @out was filled; 0: no record there. */
static int record_read(struct ulp_target *target, const struct ulp_mapping *mapping,
		       struct room *room, struct ulp_found *out)
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
	if (head.size > room->bytes || head.nr_functions > room->functions) {
		ulp_log(target->ctx, ULP_LOG_WARN,
			"%s (pid %d): its records are larger than any patches need; that at 0x%lx is ignored",
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
	wrong = record->size != head.size || record->nr_functions != head.nr_functions ?
		"it is changing" :
		ulp_record_check(record, mapping->start);
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
	room->bytes -= head.size;
	room->functions -= head.nr_functions;
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

void ulp_records_free(struct ulp_record_list *records)
{
	if (!records)
		return;
	ulp_applied_free(records);
	for (size_t i = 0; i < records->nr; i++) {
		free(records->found[i].record);
		free(records->found[i].name);
	}
	free(records->found);
	free(records);
}

int ulp_records_read(struct ulp_target *target)
{
	struct room room = { 4ULL * ULP_RECORD_MAX, 4 * ULP_RECORD_FUNCTIONS_MAX };
	struct ulp_record_list *records;
	int ret = ulp_target_refresh(target);

	if (ret)
		return ret;
	records = calloc(1, sizeof(*records));
	if (!records)
		return -ENOMEM;
	records->found = calloc(target->nr_mappings + 1, sizeof(*records->found));
	if (!records->found)
		ret = -ENOMEM;
	for (size_t i = 0; i < target->nr_mappings && ret >= 0; i++) {
		const struct ulp_mapping *mapping = &target->mappings[i];

		if (!is_record_place(mapping))
			continue;
		ret = record_read(target, mapping, &room, &records->found[records->nr]);
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
		ret = ulp_applied_fill(target, records);
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
