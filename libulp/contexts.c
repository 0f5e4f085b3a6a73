// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether a target may have suspended user contexts: coroutines made with
 * makecontext() and swapcontext().
 */
#include <string.h>

#include "object.h"

/*
 * The program's own word counts: libcrypto names them too, in every process that
 * loads it, and has contexts in next to none.
 */
bool ulp_target_has_contexts(const struct ulp_target *target)
{
	static const char *const names[] = { "swapcontext", "makecontext" };

	for (size_t i = 0; i < target->nr_objects; i++) {
		const struct ulp_object *object = &target->objects[i];

		/* libc itself as the program: it defines them */
		if (object->program && strcmp(object->soname, "libc.so.6") != 0 &&
		    ulp_object_may_name(target, object, names, ARRAY_SIZE(names)))
			return true;
	}
	return false;
}
