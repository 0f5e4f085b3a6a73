// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The tables of section .ulp: header, digest, bounds, and copies in our own layout
 * of what they hold.  What the copies say is for container_check.c.
 *
 * Numbers are only looked at in copies, since nothing in the file needs to be aligned.
 */
#include <stdlib.h>
#include <string.h>

#include "container.h"

/* More are never needed, and checks that compare each with each stay cheap. */
#define MAX_TARGETS	1024
#define MAX_TABLES	64

/* All tables of a version 1 container; @wanted ones must not be empty. */
enum {
	TARGET, FUNCTION, RANGE, REFERENCE, RELOCATION, ORIGINAL, DEPENDENCY, LABEL, STRINGS, BYTES,
	COMMENT,
	NR_TABLES
};

static const struct {
	uint32_t type;
	uint32_t entsize;
	bool wanted;
	const char *name;
} known[NR_TABLES] = {
	[TARGET]     = { ULP_TABLE_TARGET, sizeof(struct ulp_container_target), true, "target" },
	[FUNCTION]   = { ULP_TABLE_FUNCTION, sizeof(struct ulp_container_function), true,
			 "function" },
	[RANGE]	     = { ULP_TABLE_RANGE, sizeof(struct ulp_container_range), true, "range" },
	[REFERENCE]  = { ULP_TABLE_REFERENCE, sizeof(struct ulp_container_reference), false,
			 "reference" },
	[RELOCATION] = { ULP_TABLE_RELOCATION, sizeof(struct ulp_container_relocation), false,
			 "relocation" },
	[ORIGINAL]   = { ULP_TABLE_ORIGINAL, sizeof(struct ulp_container_original), false,
			 "original" },
	[DEPENDENCY] = { ULP_TABLE_DEPENDENCY, ULP_ID_SIZE, false, "dependency" },
	[LABEL]	     = { ULP_TABLE_LABEL, sizeof(struct ulp_span), false, "label" },
	[STRINGS]    = { ULP_TABLE_STRINGS, 1, true, "strings" },
	[BYTES]	     = { ULP_TABLE_BYTES, 1, true, "bytes" },
	[COMMENT]    = { ULP_TABLE_COMMENT, 1, false, "comment" },
};

struct reader {
	struct ulp_patch *patch;
	const uint8_t *section;			/* .ulp */
	struct ulp_container_header header;
	struct ulp_table tables[NR_TABLES];	/* type 0: not there */
	struct ulp_strings strings;
};

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

static int read_header(struct reader *r, const struct ulp_part *part)
{
	struct ulp_container_header *header = &r->header;
	struct ulp_patch *patch = r->patch;

	if (part->size < sizeof(*header))
		return ulp_patch_bad(patch, "damaged: section %s has only %llu bytes", ULP_SECTION,
				     (unsigned long long)part->size);
	r->section = patch->data + part->offset;
	memcpy(header, r->section, sizeof(*header));
	if (header->magic != ULP_CONTAINER_MAGIC)
		return ulp_patch_bad(patch,
				     "section %s was not made by ulp-packer (no magic number)",
				     ULP_SECTION);
	if (header->version != ULP_CONTAINER_VERSION)
		return ulp_patch_bad(patch, "container version %u, this library knows version %u",
				     header->version, ULP_CONTAINER_VERSION);
	if (header->total_size != part->size)
		return ulp_patch_bad(patch, "damaged: section %s has %llu bytes instead of %llu",
				     ULP_SECTION, (unsigned long long)part->size,
				     (unsigned long long)header->total_size);
	if (header->nr_tables > MAX_TABLES ||
	    header->header_size < sizeof(*header) + header->nr_tables * sizeof(struct ulp_table) ||
	    header->header_size > header->total_size)
		return ulp_patch_bad(patch, "damaged: size of the header");
	if ((header->flags & ~ULP_CONTAINER_SCAN_MEMORY) || header->__reserved)
		return ulp_patch_bad(patch, "a field of a later version is set");
	if (header->machine != EM_X86_64)
		return ulp_patch_bad(patch, "for machine %u, not x86-64", header->machine);
	if (is_zero(header->id, sizeof(header->id)))
		return ulp_patch_bad(patch, "damaged: it has no id");
	patch->scan_memory = header->flags & ULP_CONTAINER_SCAN_MEMORY;
	return 0;
}

/* The digest covers the whole file, itself taken as zero. */
static int check_digest(struct reader *r, const struct ulp_part *part)
{
	struct ulp_patch *patch = r->patch;
	uint8_t *field = patch->data + part->offset +
			 offsetof(struct ulp_container_header, digest);
	uint8_t digest[32];
	int err;

	memset(field, 0, sizeof(digest));
	err = ulp_sha256(patch->data, patch->size, digest);
	memcpy(field, r->header.digest, sizeof(digest));
	if (err)
		return ulp_err(patch->ctx, err, "%s: cannot compute SHA-256", patch->path);
	if (memcmp(digest, r->header.digest, sizeof(digest)) != 0)
		return ulp_patch_bad(patch,
				     "damaged: it was changed after it was packed; pack it again");
	return 0;
}

static int read_tables(struct reader *r)
{
	struct ulp_patch *patch = r->patch;
	struct ulp_table table;
	uint64_t size;
	int i;

	for (uint32_t n = 0; n < r->header.nr_tables; n++) {
		memcpy(&table, r->section + sizeof(r->header) + n * sizeof(table), sizeof(table));
		for (i = 0; i < NR_TABLES && known[i].type != table.type; i++)
			;
		if (i == NR_TABLES) {
			if (table.type & (uint32_t)ULP_TABLE_OPTIONAL)
				continue;
			return ulp_patch_bad(patch,
					     "needs a newer version of ulp (table of type %u)",
					     table.type);
		}
		if (r->tables[i].type)
			return ulp_patch_bad(patch, "damaged: two %s tables", known[i].name);
		if (table.entsize < known[i].entsize ||
		    (known[i].entsize == 1 && table.entsize != 1) || table.offset % 8 ||
		    table.offset < r->header.header_size ||
		    __builtin_mul_overflow(table.count, table.entsize, &size) ||
		    !ulp_within(table.offset, size, r->header.total_size))
			return ulp_patch_bad(patch, "damaged: bounds of the %s table",
					     known[i].name);
		r->tables[i] = table;
	}
	for (i = 0; i < NR_TABLES; i++)
		if (known[i].wanted && !r->tables[i].count)
			return ulp_patch_bad(patch, "damaged: it has no %s table", known[i].name);
	if (r->tables[TARGET].count > MAX_TARGETS)
		return ulp_patch_bad(patch, "it has more than %u targets", MAX_TARGETS);
	r->strings.data = (const char *)r->section + r->tables[STRINGS].offset;
	r->strings.size = r->tables[STRINGS].count;
	patch->bytes = r->section + r->tables[BYTES].offset;
	patch->nr_bytes = r->tables[BYTES].count;
	return 0;
}

/* A table in our own layout; entries of a later version may be longer. */
static void *copy_table(struct reader *r, int i, size_t *nr)
{
	const struct ulp_table *table = &r->tables[i];
	uint8_t *out = calloc(table->count ? table->count : 1, known[i].entsize);

	if (!out)
		return NULL;
	for (size_t n = 0; n < table->count; n++)
		memcpy(out + n * known[i].entsize, r->section + table->offset + n * table->entsize,
		       known[i].entsize);
	*nr = table->count;
	return out;
}

static int copy_tables(struct reader *r)
{
	struct ulp_patch *patch = r->patch;

	patch->raw_targets = copy_table(r, TARGET, &patch->nr_targets);
	patch->raw_functions = copy_table(r, FUNCTION, &patch->nr_functions);
	patch->raw_ranges = copy_table(r, RANGE, &patch->nr_ranges);
	patch->raw_references = copy_table(r, REFERENCE, &patch->nr_references);
	patch->raw_relocations = copy_table(r, RELOCATION, &patch->nr_relocations);
	patch->raw_originals = copy_table(r, ORIGINAL, &patch->nr_originals);
	if (!patch->raw_targets || !patch->raw_functions || !patch->raw_ranges ||
	    !patch->raw_references || !patch->raw_relocations || !patch->raw_originals)
		return ulp_patch_no_memory(patch);
	memcpy(patch->id, r->header.id, sizeof(patch->id));
	memcpy(patch->digest, r->header.digest, sizeof(patch->digest));
	ulp_hex(patch->id, sizeof(patch->id), patch->id_hex);
	patch->created = (int64_t)r->header.created;
	return 0;
}

static int check_revert(struct ulp_patch *patch, const struct ulp_part *part)
{
	struct ulp_container_revert revert;

	if (part->size != sizeof(revert))
		return ulp_patch_bad(patch, "damaged: size of section %s", ULP_SECTION_REVERT);
	memcpy(&revert, patch->data + part->offset, sizeof(revert));
	if (revert.magic != ULP_REVERT_MAGIC || revert.version != ULP_CONTAINER_VERSION ||
	    revert.size != sizeof(revert) || memcmp(revert.id, patch->id, sizeof(revert.id)) != 0)
		return ulp_patch_bad(patch, "damaged: section %s does not belong to section %s",
				     ULP_SECTION_REVERT, ULP_SECTION);
	return 0;
}

static int read_name(struct reader *r)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";
	struct ulp_patch *patch = r->patch;
	struct ulp_span span = r->header.name;

	if (!ulp_span_is_text(&r->strings, span) || span.length > ULP_NAME_MAX)
		return ulp_patch_bad(patch, "damaged: its name");
	patch->name = strndup(r->strings.data + span.offset, span.length);
	if (!patch->name)
		return ulp_patch_no_memory(patch);
	if (strspn(patch->name, allowed) != span.length)
		return ulp_patch_bad(patch, "damaged: its name is not of [A-Za-z0-9._+-]");
	return 0;
}

static int read_comment(struct reader *r)
{
	const struct ulp_table *table = &r->tables[COMMENT];
	const char *text = (const char *)r->section + table->offset;

	for (size_t i = 0; i < table->count; i++) {
		unsigned char c = text[i];

		if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			return ulp_patch_bad(r->patch,
					     "damaged: control characters in the comment");
	}
	r->patch->comment = strndup(table->count ? text : "", table->count);
	return r->patch->comment ? 0 : ulp_patch_no_memory(r->patch);
}

static int read_labels(struct reader *r)
{
	struct ulp_patch *patch = r->patch;
	size_t nr = 0;
	struct ulp_span *spans = copy_table(r, LABEL, &nr);
	int err = 0;

	patch->labels = calloc(nr ? nr : 1, sizeof(*patch->labels));
	if (!spans || !patch->labels) {
		free(spans);
		return ulp_patch_no_memory(patch);
	}
	for (size_t i = 0; i < nr && !err; i++) {
		if (!ulp_span_is_text(&r->strings, spans[i]) || spans[i].length > ULP_NAME_MAX) {
			err = ulp_patch_bad(patch, "damaged: label %zu", i);
			break;
		}
		patch->labels[i] = strndup(r->strings.data + spans[i].offset, spans[i].length);
		if (patch->labels[i])
			patch->nr_labels++;
		else
			err = ulp_patch_no_memory(patch);
	}
	free(spans);
	return err;
}

static int read_dependencies(struct reader *r)
{
	struct ulp_patch *patch = r->patch;
	size_t nr = 0;
	uint8_t *ids = copy_table(r, DEPENDENCY, &nr);
	int err = 0;

	patch->dependencies = calloc(nr ? nr : 1, sizeof(*patch->dependencies));
	if (!ids || !patch->dependencies) {
		free(ids);
		return ulp_patch_no_memory(patch);
	}
	for (size_t i = 0; i < nr; i++) {
		patch->dependencies[i] = malloc(2 * ULP_ID_SIZE + 1);
		if (!patch->dependencies[i]) {
			err = ulp_patch_no_memory(patch);
			break;
		}
		ulp_hex(ids + i * ULP_ID_SIZE, ULP_ID_SIZE, patch->dependencies[i]);
		patch->nr_dependencies++;
	}
	free(ids);
	return err;
}

int ulp_patch_read_tables(struct ulp_patch *patch, const struct ulp_part *ulp,
			  const struct ulp_part *revert, struct ulp_strings *strings)
{
	struct reader r = { .patch = patch };
	int err;

	err = read_header(&r, ulp);
	if (!err)
		err = check_digest(&r, ulp);
	if (!err)
		err = read_tables(&r);
	if (!err)
		err = copy_tables(&r);
	if (!err)
		err = check_revert(patch, revert);
	if (!err)
		err = read_name(&r);
	if (!err)
		err = read_comment(&r);
	if (!err)
		err = read_labels(&r);
	if (!err)
		err = read_dependencies(&r);
	*strings = r.strings;
	return err;
}
