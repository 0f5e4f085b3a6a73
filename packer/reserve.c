// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which padding belongs to which function.
 *
 * Two patches of the same short function can be stacked only if both jump by the same
 * way, and two of neighbours only if they use different padding.  So padding is given
 * out to all functions of the object, in order, whether they are patched or not: what
 * one gets does not depend on the patch.
 */
#include <stdlib.h>
#include <string.h>

#include "packer.h"

static int compare(const void *a, const void *b)
{
	const struct extent *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->end < right->end ? 1 : left->end > right->end ? -1 : 0;
}

/* All functions there are, as symbols or unwind tables tell; the longest of each start. */
static size_t list_functions(const struct object *object, struct extent **out)
{
	struct extent *all = NULL;
	size_t nr = 0, kept = 0;

	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (symbol->defined && symbol->type == STT_FUNC && symbol->size)
			append(all, nr) = (struct extent){ symbol->value,
							   symbol->value + symbol->size };
	}
	for (size_t i = 0; i < object->nr_frames; i++)
		append(all, nr) = object->frames[i].code;
	if (nr)
		qsort(all, nr, sizeof(*all), compare);
	for (size_t i = 0; i < nr; i++)
		if (!kept || all[kept - 1].start != all[i].start)
			all[kept++] = all[i];
	*out = all;
	return kept;
}

/* One function as if it were the only one, but for what those before it got. */
static void give(struct plan *plan, struct extent extent)
{
	struct function function = {
		.old_value = extent.start, .old_size = extent.end - extent.start,
	};
	const char *jump, *near;
	uint64_t end;

	if (!find_entry(plan, &function, &jump, &near))
		return;
	end = function.entry + entry_size(&function);
	if (!function.island && end <= extent.end)
		return;
	append(plan->reserved, plan->nr_reserved) = (struct reserved){
		.function = extent,
		.kind = function.kind,
		.island = function.island,
		.padding = function.island ?
			(struct extent){ function.island, function.island + JUMP_SIZE } :
			(struct extent){ extent.end, end },
	};
}

static void give_all(struct plan *plan)
{
	struct extent *used = plan->used, *functions;
	size_t nr_used = plan->nr_used, nr;

	plan->used = NULL;
	plan->nr_used = 0;
	nr = list_functions(plan->target, &functions);
	for (size_t i = 0; i < nr; i++)
		give(plan, functions[i]);
	free(functions);
	free(plan->used);
	plan->used = used;
	plan->nr_used = nr_used;
}

const struct reserved *find_reserved(struct plan *plan, const struct function *function)
{
	if (!plan->has_reserved)
		give_all(plan);
	plan->has_reserved = true;
	for (size_t i = 0; i < plan->nr_reserved; i++) {
		const struct reserved *reserved = &plan->reserved[i];

		if (reserved->function.start == function->old_value &&
		    reserved->function.end == function->old_value + function->old_size)
			return reserved;
	}
	return NULL;
}
