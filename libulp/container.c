// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading a container: the file, the tables of section .ulp, and what people
 * get to see of them.
 *
 * Everything in the file is hostile.  The order is: the ELF object around the
 * section, the digest, the bounds of the tables, then what they say
 * (container_check.c).  Numbers are only looked at in copies, since nothing in
 * the file needs to be aligned.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int no_memory(const struct ulp_patch *patch)
{
	ulp_err(patch->ctx, -ENOMEM, "%s: out of memory", patch->path);
	return -ENOMEM;
}

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
		return no_memory(patch);
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
		return no_memory(patch);
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
	return r->patch->comment ? 0 : no_memory(r->patch);
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
		return no_memory(patch);
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
			err = no_memory(patch);
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
		return no_memory(patch);
	}
	for (size_t i = 0; i < nr; i++) {
		patch->dependencies[i] = malloc(2 * ULP_ID_SIZE + 1);
		if (!patch->dependencies[i]) {
			err = no_memory(patch);
			break;
		}
		ulp_hex(ids + i * ULP_ID_SIZE, ULP_ID_SIZE, patch->dependencies[i]);
		patch->nr_dependencies++;
	}
	free(ids);
	return err;
}

/* Names with a NUL and build-ids in hex, all in one block: patch->text. */
static char *take(char **text, const struct ulp_strings *strings, struct ulp_span span)
{
	char *out = *text;

	memcpy(out, strings->data + span.offset, span.length);
	out[span.length] = '\0';
	*text += span.length + 1;
	return out;
}

static uint64_t text_size(const struct ulp_patch *patch)
{
	uint64_t size = 0;

	for (size_t i = 0; i < patch->nr_targets; i++)
		size += patch->raw_targets[i].name.length + 1 +
			2 * ULP_BUILD_ID_MAX + 1;
	for (size_t i = 0; i < patch->nr_functions; i++)
		size += (uint64_t)patch->raw_functions[i].old_name.length + 1 +
			patch->raw_functions[i].new_name.length + 1;
	for (size_t i = 0; i < patch->nr_references; i++)
		size += (uint64_t)patch->raw_references[i].target_name.length + 1 +
			patch->raw_references[i].slot_name.length + 1;
	for (size_t i = 0; i < patch->nr_relocations; i++)
		size += (uint64_t)patch->raw_relocations[i].name.length + 1;
	return size;
}

static void fill_function(struct ulp_patch *patch, const struct ulp_strings *strings, size_t i,
			  char **text)
{
	const struct ulp_container_function *raw = &patch->raw_functions[i];

	patch->functions[i] = (struct ulp_patch_function){
		.old_name = take(text, strings, raw->old_name),
		.new_name = take(text, strings, raw->new_name),
		.old_value = raw->old_value,
		.old_size = raw->old_size,
		.new_value = raw->new_value,
		.new_size = raw->new_size,
		.entry = raw->entry,
		.island = raw->island,
		.kind = raw->kind,
		.expected = patch->bytes + raw->expected.offset,
		.expected_size = raw->expected.length,
	};
}

/* The tables as libulp.h shows them; everything was checked before. */
static int fill_public(struct ulp_patch *patch, const struct ulp_strings *strings)
{
	uint64_t size = text_size(patch);
	char *text;

	if (size > ULP_TEXT_MAX)
		return ulp_patch_bad(patch, "its names need more than %llu MiB",
				     ULP_TEXT_MAX >> 20);
	patch->text = malloc(size ? size : 1);
	patch->targets = calloc(patch->nr_targets, sizeof(*patch->targets));
	patch->functions = calloc(patch->nr_functions, sizeof(*patch->functions));
	patch->references = calloc(patch->nr_references ? patch->nr_references : 1,
				   sizeof(*patch->references));
	patch->relocations = calloc(patch->nr_relocations ? patch->nr_relocations : 1,
				    sizeof(*patch->relocations));
	if (!patch->text || !patch->targets || !patch->functions || !patch->references ||
	    !patch->relocations)
		return no_memory(patch);
	text = patch->text;
	for (size_t i = 0; i < patch->nr_functions; i++)
		fill_function(patch, strings, i, &text);
	for (size_t i = 0; i < patch->nr_references; i++) {
		const struct ulp_container_reference *raw = &patch->raw_references[i];

		patch->references[i] = (struct ulp_patch_reference){
			.target_name = take(&text, strings, raw->target_name),
			.slot_name = take(&text, strings, raw->slot_name),
			.target_value = raw->target_value,
			.slot_value = raw->slot_value,
			.tls = raw->flags & ULP_REFERENCE_TLS,
		};
	}
	for (size_t i = 0; i < patch->nr_relocations; i++) {
		const struct ulp_container_relocation *raw = &patch->raw_relocations[i];

		patch->relocations[i] = (struct ulp_patch_relocation){
			.name = take(&text, strings, raw->name),
			.place = raw->place,
			.value = raw->value,
			.addend = (int64_t)raw->addend,
			.type = raw->type,
			.target = raw->flags & ULP_RELOCATION_OWN ? NULL :
				&patch->targets[raw->target],
			.import = raw->flags & ULP_RELOCATION_IMPORT,
		};
	}
	for (size_t i = 0; i < patch->nr_targets; i++) {
		const struct ulp_container_target *raw = &patch->raw_targets[i];
		char *build_id;

		patch->targets[i] = (struct ulp_patch_target){
			.name = take(&text, strings, raw->name),
			.nr_functions = raw->nr_functions,
			.functions = patch->functions + raw->first_function,
			.nr_references = raw->nr_references,
			.references = patch->references + raw->first_reference,
		};
		build_id = text;
		ulp_hex(patch->bytes + raw->build_id.offset, raw->build_id.length, build_id);
		patch->targets[i].build_id = build_id;
		text += 2 * raw->build_id.length + 1;
	}
	return 0;
}

static int read_container(struct ulp_patch *patch)
{
	struct reader r = { .patch = patch };
	struct ulp_part ulp = { 0 }, revert = { 0 };
	int err;

	err = ulp_patch_read_elf(patch, &ulp, &revert);
	if (!err)
		err = read_header(&r, &ulp);
	if (!err)
		err = check_digest(&r, &ulp);
	if (!err)
		err = read_tables(&r);
	if (!err)
		err = copy_tables(&r);
	if (!err)
		err = check_revert(patch, &revert);
	if (!err)
		err = ulp_patch_check(patch, &r.strings);
	if (!err)
		err = read_name(&r);
	if (!err)
		err = read_comment(&r);
	if (!err)
		err = read_labels(&r);
	if (!err)
		err = read_dependencies(&r);
	if (!err)
		err = fill_public(patch, &r.strings);
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
