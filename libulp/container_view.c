// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What people get to see of a container (libulp.h): names with a NUL, build-ids in
 * hex, made of tables that were checked.
 */
#include <stdlib.h>
#include <string.h>

#include "container.h"

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

int ulp_patch_view(struct ulp_patch *patch, const struct ulp_strings *strings)
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
		return ulp_patch_no_memory(patch);
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
