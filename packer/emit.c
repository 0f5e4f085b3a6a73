// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The container: the patch's ELF file, unchanged but for four fields of its
 * header, and behind it .ulp, .ulp.rev, the section names and headers anew.
 */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libulp.h"
#include "packer.h"

struct buffer {
	uint8_t *data;
	size_t size, room;
};

/* Returns where it went; the buffer may have moved. */
static size_t put(struct buffer *buffer, const void *data, size_t size)
{
	size_t at = buffer->size;

	if (size > buffer->room - at) {
		uint8_t *more = xcalloc(2, at + size);

		if (at)
			memcpy(more, buffer->data, at);
		free(buffer->data);
		buffer->data = more;
		buffer->room = 2 * (at + size);
	}
	if (size)
		memcpy(buffer->data + at, data, size);
	buffer->size += size;
	return at;
}

static void align(struct buffer *buffer, size_t alignment)
{
	static const uint8_t zero[64];

	put(buffer, zero, -buffer->size & (alignment - 1));
}

/* The tables of .ulp while they grow. */
struct tables {
	struct buffer targets, functions, ranges, references, relocations, originals, labels,
		      strings, bytes;
};

static struct ulp_span span_text(struct tables *tables, const char *text)
{
	size_t length = strlen(text);

	return (struct ulp_span){ put(&tables->strings, text, length), length };
}

static struct ulp_span span_bytes(struct tables *tables, const void *bytes, size_t size)
{
	return (struct ulp_span){ put(&tables->bytes, bytes, size), size };
}

static void add_original(struct tables *tables, const struct function *function, uint32_t index)
{
	struct ulp_container_original out = function->original;

	out.function = index;
	out.code = span_bytes(tables, function->original_code, out.code.length);
	put(&tables->originals, &out, sizeof(out));
}

static void add_function(struct tables *tables, const struct plan *plan,
			 const struct function *function)
{
	uint64_t written = entry_size(function), displaced = function->original.displaced;
	uint64_t checked = function->entry - function->old_value +
			   (displaced > written ? displaced : written);
	struct ulp_container_function out = {
		.old_name = span_text(tables, function->old_name),
		.new_name = span_text(tables, function->new_name),
		.old_value = function->old_value,
		.old_size = function->old_size,
		.new_value = function->new_value,
		.new_size = function->new_size,
		.entry = function->entry,
		.island = function->island,
		.kind = function->kind,
		.first_range = tables->ranges.size / sizeof(struct ulp_container_range),
		.nr_ranges = function->nr_ranges,
		.expected = span_bytes(tables, object_at(plan->target, function->old_value,
							 checked), checked),
	};

	if (function->island)
		out.island_expected = span_bytes(tables, object_at(plan->target, function->island,
								   JUMP_SIZE), JUMP_SIZE);
	for (size_t i = 0; i < function->nr_ranges; i++) {
		struct ulp_container_range range = { function->ranges[i].start,
						     function->ranges[i].end };

		put(&tables->ranges, &range, sizeof(range));
	}
	if (displaced)
		add_original(tables, function, tables->functions.size / sizeof(out));
	put(&tables->functions, &out, sizeof(out));
}

static void add_target(struct tables *tables, const struct plan *plan, size_t nr_references)
{
	const struct object *object = plan->target;
	struct ulp_container_target out = {
		.first_function = tables->functions.size / sizeof(struct ulp_container_function),
		.nr_functions = plan->nr_functions,
		.nr_references = nr_references,
		.text_start = object->text.start,
		.text_end = object->text.end,
	};

	out.name = span_text(tables, object->name);
	out.build_id = span_bytes(tables, object->build_id, object->build_id_size);
	for (size_t i = 0; i < plan->nr_functions; i++)
		add_function(tables, plan, &plan->functions[i]);
	put(&tables->targets, &out, sizeof(out));
}

static void add_reference(struct tables *tables, const struct described_reference *reference)
{
	struct ulp_container_reference out = {
		.target_name = span_text(tables, reference->target_name.text),
		.slot_name = span_text(tables, reference->slot_name.text),
		.target_value = reference->target_value,
		.slot_value = reference->slot_value,
		.flags = (reference->tls ? ULP_REFERENCE_TLS : 0) |
			 (reference->original ? ULP_REFERENCE_ORIGINAL : 0),
	};

	put(&tables->references, &out, sizeof(out));
}

static void add_relocation(struct tables *tables, const struct fixup *fixup)
{
	struct ulp_container_relocation out = {
		.name = span_text(tables, fixup->name),
		.place = fixup->place,
		.value = fixup->value,
		.addend = (uint64_t)fixup->addend,
		.type = fixup->type,
		.flags = (fixup->own ? ULP_RELOCATION_OWN : 0) |
			 (fixup->import ? ULP_RELOCATION_IMPORT : 0) |
			 (fixup->import && fixup->weak ? ULP_RELOCATION_WEAK : 0),
		.target = fixup->target,
	};

	put(&tables->relocations, &out, sizeof(out));
}

/* Appends a table and its entry in the header, which is number @n. */
static void add_table(struct buffer *section, unsigned int *n, uint32_t type, uint32_t entsize,
		      const void *data, size_t size)
{
	struct ulp_table table = { type, entsize, 0, size / entsize };

	align(section, 8);
	table.offset = put(section, data, size);
	memcpy(section->data + sizeof(struct ulp_container_header) + *n * sizeof(table), &table,
	       sizeof(table));
	(*n)++;
}

#define NR_TABLES	12

/* .ulp, with id, digest and created still zero */
static void build_section(const struct plan *plan, size_t nr,
			  const struct ulp_container_origin *origin, struct buffer *section)
{
	const struct description *desc = plan->desc;
	struct ulp_container_header header = {
		.magic = ULP_CONTAINER_MAGIC,
		.version = ULP_CONTAINER_VERSION,
		.flags = desc->scan_memory ? ULP_CONTAINER_SCAN_MEMORY : 0,
		.nr_tables = NR_TABLES - !plan->nr_fixups,
		.machine = EM_X86_64,
	};
	static const uint8_t no_tables[NR_TABLES * sizeof(struct ulp_table)];
	struct tables t = { 0 };
	unsigned int n = 0;

	header.header_size = sizeof(header) + header.nr_tables * sizeof(struct ulp_table);
	header.name = span_text(&t, plan->name);
	/* only descriptions have references, and they are for one target */
	for (size_t i = 0; i < nr; i++)
		add_target(&t, &plan[i], i ? 0 : desc->nr_references);
	for (size_t i = 0; i < desc->nr_references; i++)
		add_reference(&t, &desc->references[i]);
	for (size_t i = 0; i < plan->nr_fixups; i++)
		add_relocation(&t, &plan->fixups[i]);
	for (size_t i = 0; i < desc->nr_labels; i++) {
		struct ulp_span label = span_text(&t, desc->labels[i]);

		put(&t.labels, &label, sizeof(label));
	}
	put(section, &header, sizeof(header));
	put(section, no_tables, header.nr_tables * sizeof(struct ulp_table));
	add_table(section, &n, ULP_TABLE_TARGET, sizeof(struct ulp_container_target),
		  t.targets.data, t.targets.size);
	add_table(section, &n, ULP_TABLE_FUNCTION, sizeof(struct ulp_container_function),
		  t.functions.data, t.functions.size);
	add_table(section, &n, ULP_TABLE_RANGE, sizeof(struct ulp_container_range), t.ranges.data,
		  t.ranges.size);
	add_table(section, &n, ULP_TABLE_REFERENCE, sizeof(struct ulp_container_reference),
		  t.references.data, t.references.size);
	/* Readers that do not know it can still take what does not need it. */
	if (plan->nr_fixups)
		add_table(section, &n, ULP_TABLE_RELOCATION,
			  sizeof(struct ulp_container_relocation), t.relocations.data,
			  t.relocations.size);
	add_table(section, &n, (uint32_t)ULP_TABLE_ORIGINAL,
		  sizeof(struct ulp_container_original), t.originals.data, t.originals.size);
	add_table(section, &n, ULP_TABLE_DEPENDENCY, ULP_ID_SIZE, plan->dependencies,
		  plan->nr_dependencies * ULP_ID_SIZE);
	add_table(section, &n, ULP_TABLE_LABEL, sizeof(struct ulp_span), t.labels.data,
		  t.labels.size);
	add_table(section, &n, ULP_TABLE_STRINGS, 1, t.strings.data, t.strings.size);
	add_table(section, &n, ULP_TABLE_BYTES, 1, t.bytes.data, t.bytes.size);
	add_table(section, &n, (uint32_t)ULP_TABLE_COMMENT, 1, desc->comment,
		  strlen(desc->comment));
	add_table(section, &n, (uint32_t)ULP_TABLE_ORIGIN, sizeof(*origin), origin,
		  sizeof(*origin));
	header.total_size = section->size;
	memcpy(section->data, &header, sizeof(header));
}

static void add_section(struct buffer *headers, struct buffer *names, const char *name,
			uint32_t type, uint64_t offset, uint64_t size)
{
	Elf64_Shdr shdr = {
		.sh_name = put(names, name, strlen(name) + 1),
		.sh_type = type,
		.sh_offset = offset,
		.sh_size = size,
		.sh_addralign = 8,
	};

	put(headers, &shdr, sizeof(shdr));
}

static bool patch_header(const struct object *patch, const uint8_t *file, size_t size,
			 Elf64_Ehdr *header, Elf64_Shdr *names)
{
	if (size < sizeof(*header))
		goto damaged;
	memcpy(header, file, sizeof(*header));
	if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff > size ||
	    header->e_shnum > (size - header->e_shoff) / sizeof(Elf64_Shdr) ||
	    header->e_shstrndx >= header->e_shnum ||
	    header->e_shnum + 3 >= SHN_LORESERVE)
		goto damaged;
	memcpy(names, file + header->e_shoff + header->e_shstrndx * sizeof(*names),
	       sizeof(*names));
	if (names->sh_offset > size || names->sh_size > size - names->sh_offset)
		goto damaged;
	return true;

damaged:
	error("%s: its section headers are damaged", patch->path);
	return false;
}

/* Where things are in the new file. */
struct layout {
	size_t ulp, revert;	/* offsets */
};

static bool build_file(const struct plan *plan, size_t nr, struct buffer *out,
		       struct layout *layout)
{
	struct ulp_container_revert revert = {
		.magic = ULP_REVERT_MAGIC,
		.version = ULP_CONTAINER_VERSION,
		.size = sizeof(revert),
	};
	struct buffer section = { 0 }, names = { 0 }, headers = { 0 };
	struct ulp_container_origin origin = { 0 };
	Elf64_Shdr old_names;
	Elf64_Ehdr header;
	struct sha256_ctx sha;
	uint8_t *file;
	size_t size;

	if (!emit_origin(plan->patch, &file, &size) ||
	    !patch_header(plan->patch, file, size, &header, &old_names))
		return false;
	origin.file_size = size;
	origin.shoff = header.e_shoff;
	origin.shnum = header.e_shnum;
	origin.shstrndx = header.e_shstrndx;
	build_section(plan, nr, &origin, &section);

	sha256_init(&sha);
	sha256_update(&sha, size, file);
	sha256_update(&sha, section.size, section.data);
	sha256_digest(&sha, 32, revert.id);
	memcpy(section.data + offsetof(struct ulp_container_header, id), revert.id,
	       sizeof(revert.id));
	memcpy(section.data + offsetof(struct ulp_container_header, created), &plan->created,
	       sizeof(plan->created));

	put(&names, file + old_names.sh_offset, old_names.sh_size);
	put(&headers, file + header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr));
	put(out, file, size);
	align(out, 8);
	layout->ulp = put(out, section.data, section.size);
	add_section(&headers, &names, ULP_SECTION, SHT_PROGBITS, layout->ulp, section.size);
	align(out, 8);
	layout->revert = put(out, &revert, sizeof(revert));
	add_section(&headers, &names, ULP_SECTION_REVERT, SHT_PROGBITS, layout->revert,
		    sizeof(revert));
	/* The old names stay where they are: the new ones take their header. */
	old_names.sh_offset = put(out, names.data, names.size);
	old_names.sh_size = names.size;
	memcpy(headers.data + header.e_shstrndx * sizeof(old_names), &old_names,
	       sizeof(old_names));
	align(out, 8);
	header.e_shoff = put(out, headers.data, headers.size);
	header.e_shnum = headers.size / sizeof(Elf64_Shdr);
	memcpy(out->data, &header, sizeof(header));
	return true;
}

bool emit_origin(const struct object *patch, uint8_t **file, size_t *size)
{
	const struct section *section = object_section_named(patch, ULP_SECTION);
	struct ulp_container_header header;
	struct ulp_container_origin origin;
	struct ulp_context *ctx = NULL;
	struct ulp_patch *opened;
	struct ulp_table table;
	Elf64_Ehdr *ehdr;

	*size = patch->file_size;
	*file = xcalloc(1, *size);
	memcpy(*file, patch->file, *size);
	if (!section)
		return true;
	/* Packed before.  The reader checks all bounds but the origin's own. */
	if (ulp_context_new(&ctx) ||
	    ulp_patch_read(ctx, patch->file, patch->file_size, patch->path, &opened)) {
		error("it was packed before, but: %s", ctx ? ulp_error(ctx) : "out of memory");
		ulp_context_free(ctx);
		return false;
	}
	ulp_patch_close(opened);
	ulp_context_free(ctx);
	memcpy(&header, *file + section->offset, sizeof(header));
	for (uint32_t n = 0; n < header.nr_tables; n++) {
		memcpy(&table, *file + section->offset + sizeof(header) + n * sizeof(table),
		       sizeof(table));
		if (table.type != (uint32_t)ULP_TABLE_ORIGIN)
			continue;
		if (table.entsize < sizeof(origin) || table.count != 1 ||
		    table.offset > section->size || table.entsize > section->size - table.offset)
			break;
		memcpy(&origin, *file + section->offset + table.offset, sizeof(origin));
		if (origin.file_size > section->offset || origin.file_size < sizeof(*ehdr) ||
		    origin.shnum > UINT16_MAX || origin.shstrndx > UINT16_MAX)
			break;
		ehdr = (Elf64_Ehdr *)*file;
		ehdr->e_shoff = origin.shoff;
		ehdr->e_shnum = origin.shnum;
		ehdr->e_shstrndx = origin.shstrndx;
		*size = origin.file_size;
		return true;
	}
	error("%s: it was packed before and does not say what it was: link it again",
	      patch->path);
	return false;
}

/* What libulp makes of it is what counts. */
static bool read_back(const struct buffer *file, const char *out, char id[65])
{
	struct ulp_context *ctx = NULL;
	struct ulp_patch *patch;
	bool good;

	if (ulp_context_new(&ctx)) {
		error("out of memory");
		return false;
	}
	good = !ulp_patch_read(ctx, file->data, file->size, out, &patch);
	if (good) {
		snprintf(id, 65, "%s", ulp_patch_id(patch));
		ulp_patch_close(patch);
	} else {
		error("the container would be refused: %s", ulp_error(ctx));
	}
	ulp_context_free(ctx);
	return good;
}

bool emit(const struct plan *plan, size_t nr, const char *out, struct container *container)
{
	struct buffer file = { 0 };
	struct layout layout;
	uint8_t digest[32];
	struct stat st;
	struct sha256_ctx sha;

	if (!build_file(plan, nr, &file, &layout))
		return false;
	sha256_init(&sha);
	sha256_update(&sha, file.size, file.data);
	sha256_digest(&sha, 32, digest);
	memcpy(file.data + layout.ulp + offsetof(struct ulp_container_header, digest), digest,
	       sizeof(digest));
	if (!read_back(&file, out, container->id))
		return false;
	if (fstat(plan->patch->fd, &st)) {
		error("%s: %s", plan->patch->path, strerror(errno));
		return false;
	}
	container->out = out;
	container->data = file.data;
	container->size = file.size;
	container->mode = st.st_mode & 0777;
	return true;
}
