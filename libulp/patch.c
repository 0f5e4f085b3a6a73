// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a container shows of itself.
 */
#include "internal.h"

const char *ulp_patch_name(const struct ulp_patch *patch)
{
	return patch->name;
}

const char *ulp_patch_path(const struct ulp_patch *patch)
{
	return patch->path;
}

const char *ulp_patch_id(const struct ulp_patch *patch)
{
	return patch->id_hex;
}

size_t ulp_patch_targets(const struct ulp_patch *patch, const struct ulp_patch_target **out)
{
	*out = patch->targets;
	return patch->nr_targets;
}

size_t ulp_patch_relocations(const struct ulp_patch *patch,
			     const struct ulp_patch_relocation **out)
{
	*out = patch->relocations;
	return patch->nr_relocations;
}

size_t ulp_patch_labels(const struct ulp_patch *patch, const char *const **out)
{
	*out = (const char *const *)patch->labels;
	return patch->nr_labels;
}

size_t ulp_patch_dependencies(const struct ulp_patch *patch, const char *const **out)
{
	*out = (const char *const *)patch->dependencies;
	return patch->nr_dependencies;
}

const char *ulp_patch_comment(const struct ulp_patch *patch)
{
	return patch->comment;
}

bool ulp_patch_scans_memory(const struct ulp_patch *patch)
{
	return patch->scan_memory;
}

int64_t ulp_patch_created(const struct ulp_patch *patch)
{
	return patch->created;
}
