// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Prints a container field by field, one word each, for packer.sh to compare
 * with what readelf, nm and objdump say.
 */
#include <inttypes.h>
#include <stdio.h>

#include "internal.h"

static void show_function(const struct ulp_patch *patch, size_t i)
{
	const struct ulp_patch_function *function = &patch->functions[i];
	const struct ulp_container_function *raw = &patch->raw_functions[i];

	printf("function %s %s old 0x%" PRIx64 " %" PRIu64 " new 0x%" PRIx64 " %" PRIu64
	       " entry 0x%" PRIx64 " island 0x%" PRIx64 " kind %u expected ",
	       function->old_name, function->new_name, function->old_value, function->old_size,
	       function->new_value, function->new_size, function->entry, function->island,
	       function->kind);
	for (size_t n = 0; n < function->expected_size; n++)
		printf("%02x", function->expected[n]);
	printf(" at-island ");
	for (size_t n = 0; n < raw->island_expected.length; n++)
		printf("%02x", patch->bytes[raw->island_expected.offset + n]);
	putchar('\n');
	for (size_t n = 0; n < raw->nr_ranges; n++)
		printf("range %s 0x%" PRIx64 " 0x%" PRIx64 "\n", function->old_name,
		       (uint64_t)patch->raw_ranges[raw->first_range + n].start,
		       (uint64_t)patch->raw_ranges[raw->first_range + n].end);
}

int main(int argc, char **argv)
{
	struct ulp_context *ctx;
	struct ulp_patch *patch;

	if (argc != 2 || ulp_context_new(&ctx))
		return 2;
	if (ulp_patch_open(ctx, argv[1], &patch)) {
		fprintf(stderr, "%s\n", ulp_error(ctx));
		return 1;
	}
	printf("name %s\nid %s\ncreated %" PRId64 "\n", patch->name, patch->id_hex,
	       patch->created);
	for (size_t i = 0; i < patch->nr_targets; i++)
		printf("target %s %s text 0x%" PRIx64 " 0x%" PRIx64 "\n", patch->targets[i].name,
		       patch->targets[i].build_id, (uint64_t)patch->raw_targets[i].text_start,
		       (uint64_t)patch->raw_targets[i].text_end);
	for (size_t i = 0; i < patch->nr_functions; i++)
		show_function(patch, i);
	for (size_t i = 0; i < patch->nr_references; i++)
		printf("reference %s %s 0x%" PRIx64 " 0x%" PRIx64 " %s\n",
		       patch->references[i].target_name, patch->references[i].slot_name,
		       patch->references[i].target_value, patch->references[i].slot_value,
		       patch->references[i].tls ? "tls" : "address");
	for (size_t i = 0; i < patch->nr_labels; i++)
		printf("label %s\n", patch->labels[i]);
	for (size_t i = 0; i < patch->nr_dependencies; i++)
		printf("dependency %s\n", patch->dependencies[i]);
	ulp_patch_close(patch);
	ulp_context_free(ctx);
	return 0;
}
