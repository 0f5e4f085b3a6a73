// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What people get to see of the records of a target (libulp.h): an entry for each
 * object of each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void ulp_applied_free(struct ulp_record_list *records)
{
	for (size_t i = 0; i < records->nr_applied; i++) {
		struct ulp_applied *a = &records->applied[i];

		/* the objects of one record have its labels together */
		bool last = i + 1 == records->nr_applied || a[1].labels != a->labels;

		for (size_t k = 0; k < a->nr_functions; k++)
			free((char *)a->functions[k]);
		for (size_t k = 0; last && k < a->nr_labels; k++)
			free((char *)a->labels[k]);
		free((void *)a->functions);
		if (last)
			free((void *)a->labels);
		free((char *)a->object);
		free((char *)a->build_id);
	}
	free(records->applied);
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

static int add_labels(struct ulp_applied *a, const struct ulp_found *found)
{
	const struct ulp_record *record = found->record;
	const struct ulp_span *labels = (const void *)((const char *)record + record->labels);
	char **texts = calloc(record->nr_labels + 1, sizeof(*texts));

	a->labels = (const char *const *)texts;
	if (!texts)
		return -ENOMEM;
	for (uint32_t i = 0; i < record->nr_labels; i++) {
		texts[i] = strndup(ulp_found_text(found, labels[i]), labels[i].length);
		if (!texts[i])
			return -ENOMEM;
		a->nr_labels++;
	}
	return 0;
}

static int add_functions(struct ulp_applied *a, const struct ulp_found *found, uint32_t object)
{
	uint32_t nr = 0, nr_all = found->record->nr_functions;
	char **names;

	for (uint32_t i = 0; i < nr_all; i++)
		nr += found->functions[i].object == object;
	names = calloc(nr + 1, sizeof(*names));
	a->functions = (const char *const *)names;
	if (!names)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_all; i++) {
		const struct ulp_record_function *f = &found->functions[i];

		if (f->object != object)
			continue;
		names[a->nr_functions] = strndup(ulp_found_text(found, f->name), f->name.length);
		if (!names[a->nr_functions])
			return -ENOMEM;
		a->nr_functions++;
	}
	return 0;
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
	const struct ulp_record_object *o = &found->objects[object];
	char hex[2 * ULP_BUILD_ID_MAX + 1];

	a->id = found->id_hex;
	a->name = found->name;
	a->active = ulp_found_active(found);
	a->state = states[a->active ? record->state : ULP_RECORD_REVERTED];
	a->waiting = ulp_found_moves(found) ? count_waiting(target, found) : 0;
	a->sequence = record->sequence;
	a->applied = record->applied;
	a->uid = record->uid;
	ulp_hex((const uint8_t *)ulp_found_text(found, o->build_id), o->build_id.length, hex);
	a->build_id = strdup(hex);
	a->object = strndup(ulp_found_text(found, o->path), o->path.length);
	if (!a->build_id || !a->object)
		return -ENOMEM;
	if (object) {
		a->labels = a[-1].labels;
		a->nr_labels = a[-1].nr_labels;
	} else if (add_labels(a, found)) {
		return -ENOMEM;
	}
	return add_functions(a, found, object);
}

int ulp_applied_fill(struct ulp_target *target, struct ulp_record_list *records)
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

int ulp_target_applied(struct ulp_target *target, const struct ulp_applied **out)
{
	int err = ulp_records_read(target);

	if (err)
		return err;
	*out = target->records->applied;
	return (int)target->records->nr_applied;
}
