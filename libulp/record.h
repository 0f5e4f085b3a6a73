/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The records in a target: what is applied to it.
 */
#ifndef LIBULP_RECORD_H
#define LIBULP_RECORD_H

#include "libulp.h"
#include "../uapi/ulp_container.h"
#include "../uapi/ulp_record.h"

struct ulp_mapping;

struct ulp_found {			/* one record, read and checked */
	struct ulp_record *record;	/* copy, record->size bytes; at record->image_start */
	char id_hex[2 * ULP_ID_SIZE + 1];
	char *name;
	const struct ulp_record_function *functions;
	const struct ulp_record_object *objects;
	/* 0, NULL: it has no stubs, and can be applied and reverted for all at once only */
	uint64_t table;
	const struct ulp_record_switch *switches;
	const struct ulp_record_leave *leaves;	/* the last one: the stubs */
	size_t nr_leaves;
	/*
	 * It says active, but the object it patched is gone, or was loaded
	 * again: its entries do not lead into it.
	 */
	bool lost;
};

struct ulp_record_list {
	size_t nr;
	struct ulp_found *found;	/* ascending by sequence */
	size_t nr_applied;
	struct ulp_applied *applied;
};

/* Whether this may be part of an image of ours. */
bool ulp_is_image(const struct ulp_mapping *mapping);
int ulp_records_read(struct ulp_target *target);	/* fills target->records, anew */
/* Whether they still are as they were read. */
bool ulp_records_same(const struct ulp_target *target);
void ulp_records_free(struct ulp_record_list *records);
bool ulp_found_active(const struct ulp_found *found);
/* Its patch says that memory is to be scanned. */
bool ulp_found_scans(const struct ulp_found *found);
/* Whether threads are switching to it, or back. */
bool ulp_found_moves(const struct ulp_found *found);
/* A record that is not in a target yet; @found points into it. */
int ulp_found_init(struct ulp_found *found, struct ulp_record *record);
const char *ulp_found_text(const struct ulp_found *found, struct ulp_span span);

/* One function of one record. */
struct ulp_owner {
	const struct ulp_found *found;
	const struct ulp_record_function *function;
};

/*
 * The newest active patch whose entry is at @entry, among those for which
 * @skip (may be NULL) is false; owner.found is NULL if there is none.
 */
struct ulp_owner ulp_records_top(const struct ulp_record_list *records, uint64_t entry,
				 bool (*skip)(const struct ulp_found *found, void *data),
				 void *data);

/*
 * Replaces, in a copy of the target's memory at @addr, what active patches
 * wrote there by the object's own bytes.
 */
void ulp_records_pristine(const struct ulp_record_list *records, uint64_t addr, uint8_t *bytes,
			  size_t size);

/* record_check.c: NULL, or what is wrong with one that was read at @addr. */
const char *ulp_record_check(const struct ulp_record *record, uint64_t addr);
/* Whether it has stubs and a table, for threads that switch one by one. */
bool ulp_record_switches(const struct ulp_record *record);
/* SHA-256 of a record without its changing fields. */
int ulp_record_digest(const struct ulp_record *record, uint8_t out[32]);

/* record_view.c: the same for libulp.h */
int ulp_applied_fill(struct ulp_target *target, struct ulp_record_list *records);
void ulp_applied_free(struct ulp_record_list *records);

#endif /* LIBULP_RECORD_H */
