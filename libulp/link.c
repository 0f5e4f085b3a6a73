// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The dynamic linker's list of objects, in the order in which it searches them.
 *
 * It publishes the list for debuggers: DT_DEBUG of the program points to struct
 * r_debug, that to the list of struct link_map; further lists (dlmopen) follow
 * by r_next.  Only the public part of both structs is used.  A static program
 * has no list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

#define LISTS_MAX	32

struct debug_layout {		/* struct r_debug_extended of <link.h> */
	int32_t version;
	uint32_t pad;
	uint64_t map, brk;
	uint32_t state, pad2;
	uint64_t ldbase;
	uint64_t next;		/* since version 2 */
};

struct map_layout {		/* struct link_map of <link.h> */
	uint64_t addr, name, ld, next, prev;
};

static bool is_object(const struct ulp_object *object, const struct map_layout *map)
{
	return object->dynamic && object->dynamic == map->ld && object->bias == map->addr;
}

static int add_link(struct ulp_target *target, unsigned int list, size_t object, uint64_t map)
{
	struct ulp_link *grown;

	grown = reallocarray(target->links, target->nr_links + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	target->links = grown;
	grown[target->nr_links++] = (struct ulp_link){ .list = list, .object = object,
						       .map = map };
	return 0;
}

static int by_dynamic(const void *a, const void *b)
{
	const struct ulp_object *const *one = a, *const *other = b;

	return ((*one)->dynamic > (*other)->dynamic) - ((*one)->dynamic < (*other)->dynamic);
}

/* Those that can be in a list, ascending by what identifies them there, to be freed. */
static struct ulp_object **sort_objects(const struct ulp_target *target, size_t *nr)
{
	struct ulp_object **sorted = calloc(target->nr_objects + 1, sizeof(struct ulp_object *));

	*nr = 0;
	if (!sorted)
		return NULL;
	for (size_t i = 0; i < target->nr_objects; i++) {
		struct ulp_object *object = &target->objects[i];

		/* The vDSO is listed, but not searched for symbols. */
		if (object->dynamic && strcmp(object->path, ULP_VDSO) != 0)
			sorted[(*nr)++] = object;
	}
	qsort(sorted, *nr, sizeof(struct ulp_object *), by_dynamic);
	return sorted;
}

static struct ulp_object *find_object(struct ulp_object **sorted, size_t nr,
				      const struct map_layout *map)
{
	const struct ulp_object wanted = { .dynamic = map->ld };
	const struct ulp_object *const key = &wanted;
	struct ulp_object **found = bsearch(&key, sorted, nr, sizeof(struct ulp_object *),
					    by_dynamic);

	return found && is_object(*found, map) ? *found : NULL;
}

static int walk_list(struct ulp_target *target, struct ulp_object **sorted, size_t nr,
		     unsigned int list, uint64_t map)
{
	/* Each object once, and some that are not ours; a loop has more. */
	size_t left = 2 * target->nr_objects + 64;
	struct map_layout entry;

	for (int order = 0; map && left && !ulp_memory_read(target, map, &entry, sizeof(entry));
	     map = entry.next, left--) {
		struct ulp_object *object = find_object(sorted, nr, &entry);

		if (!object)
			continue;
		if (!list && object->link_order < 0)
			object->link_order = order;
		if (add_link(target, list, (size_t)(object - target->objects), map))
			return -ENOMEM;
		order++;
	}
	return 0;
}

/* The r_debug that this object's DT_DEBUG points to, if it leads back to the object. */
static bool find_debug(const struct ulp_target *target, const struct ulp_object *object,
		       struct debug_layout *debug)
{
	struct map_layout first;
	Elf64_Dyn *dynamic;
	uint64_t addr;
	size_t nr;

	if (ulp_dynamic_read(target, object, &dynamic, &nr))
		return false;
	addr = ulp_dynamic_value(dynamic, nr, DT_DEBUG);
	free(dynamic);
	memset(debug, 0, sizeof(*debug));
	return addr &&
	       !ulp_memory_read(target, addr, debug, offsetof(struct debug_layout, next)) &&
	       (debug->version < 2 || !ulp_memory_read(target, addr, debug, sizeof(*debug))) &&
	       !ulp_memory_read(target, debug->map, &first, sizeof(first)) &&
	       is_object(object, &first);
}

int ulp_links_read(struct ulp_target *target)
{
	struct ulp_object **sorted;
	struct debug_layout debug;
	bool found = false;
	size_t nr;
	int ret;

	/*
	 * Not only what the kernel executed: with "ld.so PROGRAM" that is the
	 * dynamic linker, and the list is the program's.
	 */
	for (size_t i = 0; i < target->nr_objects && !found; i++)
		found = find_debug(target, &target->objects[i], &debug);
	if (!found)
		return 0;
	sorted = sort_objects(target, &nr);
	if (!sorted)
		return -ENOMEM;
	ret = walk_list(target, sorted, nr, 0, debug.map);
	for (unsigned int list = 1; !ret && debug.version >= 2 && debug.next && list < LISTS_MAX;
	     list++) {
		if (ulp_memory_read(target, debug.next, &debug, sizeof(debug)))
			break;
		ret = walk_list(target, sorted, nr, list, debug.map);
	}
	free(sorted);
	return ret;
}
