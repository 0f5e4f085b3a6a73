// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The code of the resident.  It runs in the target, in the place of two
 * functions of libc that unwinders call: no libc of its own, no relocation, no
 * state but the table.
 */
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>

#include "resident.h"

extern struct ulp_resident_table table __attribute__((visibility("hidden")));

typedef int find_object_fn(void *pc, struct dl_find_object *result);
typedef int phdr_fn(struct dl_phdr_info *info, size_t size, void *data);
typedef int iterate_fn(phdr_fn *fn, void *data);

static const struct ulp_resident_image *image_of(uintptr_t pc)
{
	for (uint64_t i = 0; i < table.nr && i < ULP_RESIDENT_IMAGES; i++)
		if (pc - table.images[i].start < table.images[i].end - table.images[i].start)
			return &table.images[i];
	return NULL;
}

/* Like its namesake in libc: async-signal-safe, takes no lock. */
int find_object(void *pc, struct dl_find_object *result)
{
	find_object_fn *original = (find_object_fn *)table.originals[ULP_RESIDENT_FIND_OBJECT];
	const struct ulp_resident_image *image = image_of((uintptr_t)pc);

	if (!image)
		return original(pc, result);
	/* Fills in what is common: the link map is that of the patched object. */
	if (original((void *)image->object, result)) {
		result->dlfo_flags = 0;
		result->dlfo_link_map = NULL;
	}
	result->dlfo_map_start = (void *)image->start;
	result->dlfo_map_end = (void *)image->end;
	result->dlfo_eh_frame = (void *)image->unwind;
	return 0;
}

struct call {
	phdr_fn *fn;
	void *data;
	unsigned long long adds;
	unsigned long long subs;
};

/* Callers keep what they found as long as nothing was added: images were. */
static int iterate_object(struct dl_phdr_info *info, size_t size, void *data)
{
	struct call *call = data;

	if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof(info->dlpi_subs)) {
		info->dlpi_adds += table.nr;
		call->adds = info->dlpi_adds;
		call->subs = info->dlpi_subs;
	}
	return call->fn(info, size, call->data);
}

int iterate(phdr_fn *fn, void *data)
{
	iterate_fn *original = (iterate_fn *)table.originals[ULP_RESIDENT_ITERATE];
	struct call call = { .fn = fn, .data = data };
	int ret = original(iterate_object, &call);

	for (uint64_t i = 0; !ret && i < table.nr && i < ULP_RESIDENT_IMAGES; i++) {
		const struct ulp_resident_image *image = &table.images[i];
		struct dl_phdr_info info = {
			.dlpi_addr = image->bias,
			.dlpi_name = image->name,
			.dlpi_phdr = (const ElfW(Phdr) *)image->phdr,
			.dlpi_phnum = image->nr_phdr,
			.dlpi_adds = call.adds,
			.dlpi_subs = call.subs,
		};

		if (image->phdr)
			ret = fn(&info, sizeof(info), data);
	}
	return ret;
}
