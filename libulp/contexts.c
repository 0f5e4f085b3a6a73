// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether a target may have suspended user contexts: coroutines made with
 * makecontext() and swapcontext().
 */
#include <stdlib.h>
#include <string.h>

#include "object.h"

#define STRINGS_MAX	(64 << 20)

/* The names are a tail of some string if the object uses them. */
static bool has_name(const char *strings, size_t size, const char *name)
{
	return memmem(strings, size, name, strlen(name) + 1);
}

static bool uses_contexts(const struct ulp_target *target, const struct ulp_object *object)
{
	uint64_t at, size;
	Elf64_Dyn *dynamic;
	bool found = false;
	char *strings;
	size_t nr;

	/* It defines them. */
	if (!strcmp(object->soname, "libc.so.6") || ulp_dynamic_read(target, object, &dynamic, &nr))
		return false;
	at = ulp_dynamic_address(object, dynamic, nr, DT_STRTAB);
	size = ulp_dynamic_value(dynamic, nr, DT_STRSZ);
	free(dynamic);
	if (!at || size > STRINGS_MAX || !ulp_object_holds(object, at, size))
		return false;
	strings = malloc(size + 1);
	if (strings && !ulp_memory_read(target, at, strings, size))
		found = has_name(strings, size, "swapcontext") ||
			has_name(strings, size, "makecontext");
	free(strings);
	return found;
}

/*
 * The program's own word counts: libcrypto names them too, in every process that
 * loads it, and has contexts in next to none.
 */
bool ulp_target_has_contexts(const struct ulp_target *target)
{
	for (size_t i = 0; i < target->nr_objects; i++)
		if (target->objects[i].program && uses_contexts(target, &target->objects[i]))
			return true;
	return false;
}
