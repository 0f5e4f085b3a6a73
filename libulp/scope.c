// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where ld.so looks for the symbols that an object refers to.
 *
 * An object that was there at the start of the program (or first in its
 * dlmopen() list) sees the program, what was preloaded, and all they need, in
 * the order of the list.  One that came by dlopen() sees after these the object
 * that dlopen() named, and what that needs, breadth first.
 *
 * What dlopen() made global later (RTLD_GLOBAL) or put first (RTLD_DEEPBIND)
 * cannot be seen from outside.  It shows in the slots that ld.so has bound for
 * the object, which bind.c asks first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol.h"

#define NEEDED_MAX	4096	/* bytes of a name */

/* The entries of one list of ld.so, with what they need. */
struct entry {
	struct ulp_object *object;
	size_t nr_needed;
	size_t *needed;		/* entries */
};

struct list {
	size_t nr;
	struct entry *entries;
};

static void list_free(struct list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->entries[i].needed);
	free(list->entries);
}

static bool answers_to(const struct ulp_object *object, const char *name)
{
	const char *base;

	if (!strcmp(object->soname, name) || !strcmp(object->path, name))
		return true;
	base = strrchr(object->path, '/');
	return !object->soname[0] && !strcmp(base ? base + 1 : object->path, name);
}

static int read_needed(const struct ulp_target *target, struct list *list, struct entry *entry)
{
	const struct ulp_object *object = entry->object;
	uint64_t strings, size;
	Elf64_Dyn *dynamic;
	size_t nr;
	int ret;

	ret = ulp_dynamic_read(target, object, &dynamic, &nr);
	if (ret)
		return ret;
	entry->needed = calloc(nr + 1, sizeof(*entry->needed));
	if (!entry->needed)
		ret = -ENOMEM;
	strings = ulp_dynamic_address(object, dynamic, nr, DT_STRTAB);
	size = ulp_dynamic_value(dynamic, nr, DT_STRSZ);
	for (size_t i = 0; i < nr && !ret; i++) {
		uint64_t at = dynamic[i].d_un.d_val;
		char *name;

		if (dynamic[i].d_tag != DT_NEEDED)
			continue;
		if (at >= size || !ulp_object_holds(object, strings, size)) {
			ret = -EFAULT;
			break;
		}
		name = ulp_memory_string(target, strings + at,
					 size - at < NEEDED_MAX ? size - at : NEEDED_MAX);
		if (!name) {
			ret = -EFAULT;
			break;
		}
		for (size_t k = 0; k < list->nr; k++) {
			if (answers_to(list->entries[k].object, name)) {
				entry->needed[entry->nr_needed++] = k;
				break;
			}
		}
		free(name);
	}
	free(dynamic);
	return ret;
}

static int list_read(const struct ulp_target *target, unsigned int number, struct list *list)
{
	int ret = 0;

	list->entries = calloc(target->nr_links + 1, sizeof(*list->entries));
	if (!list->entries)
		return -ENOMEM;
	for (size_t i = 0; i < target->nr_links; i++) {
		if (target->links[i].list == number)
			list->entries[list->nr++].object =
				&target->objects[target->links[i].object];
	}
	for (size_t i = 0; i < list->nr && !ret; i++)
		ret = read_needed(target, list, &list->entries[i]);
	return ret;
}

/*
 * How many entries were there at the start: ld.so appends what comes later, so
 * everything before the last that the first ones need.  What was preloaded
 * stands right behind the program.
 */
static size_t count_first(const struct list *list)
{
	size_t count = list->nr ? 1 : 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < list->entries[i].nr_needed; k++) {
			if (list->entries[i].needed[k] >= count)
				count = list->entries[i].needed[k] + 1;
		}
	}
	return count;
}

/* Entry @root and what it needs, breadth first, into @order, but for what was @seen. */
static size_t closure(const struct list *list, size_t root, size_t *order, bool *seen)
{
	size_t nr = 0;

	if (!seen[root])
		order[nr++] = root;
	seen[root] = true;
	for (size_t i = 0; i < nr; i++) {
		const struct entry *entry = &list->entries[order[i]];

		for (size_t k = 0; k < entry->nr_needed; k++) {
			if (!seen[entry->needed[k]])
				order[nr++] = entry->needed[k];
			seen[entry->needed[k]] = true;
		}
	}
	return nr;
}

/*
 * The dlopen() that brought entry @self named the earliest one that needs it and was
 * not there at the start: had that come later, ld.so would have found the object in
 * its list.  What this one needs into @order; 0 for what was there at the start.
 */
static size_t dlopened(const struct list *list, size_t first, size_t self, size_t *order,
		       bool *seen)
{
	size_t root = first;

	/* what an earlier one has led to does not lead to it */
	for (; root <= self && !seen[self]; root++)
		closure(list, root, order, seen);
	if (!seen[self])
		return 0;
	memset(seen, 0, list->nr * sizeof(*seen));
	return closure(list, root - 1, order, seen);
}

static int fill(struct ulp_scope *scope, const struct list *list)
{
	size_t first = count_first(list), self = 0, nr = 0, *order;
	/* DT_SYMBOLIC: it asks itself before all others. */
	bool symbolic = scope->object->symbols->symbolic, *seen;

	scope->objects = calloc(list->nr + 1, sizeof(struct ulp_object *));
	order = calloc(list->nr + 1, sizeof(*order));
	seen = calloc(list->nr + 1, sizeof(*seen));
	if (!scope->objects || !order || !seen) {
		free(order);
		free(seen);
		return -ENOMEM;
	}
	while (self < list->nr && list->entries[self].object != scope->object)
		self++;
	if (symbolic || !list->nr)
		scope->objects[scope->nr++] = scope->object;
	for (size_t i = 0; i < first; i++)
		if (i != self || !symbolic)
			scope->objects[scope->nr++] = list->entries[i].object;
	if (self < list->nr)
		nr = dlopened(list, first, self, order, seen);
	for (size_t i = 0; i < nr; i++)
		if (order[i] >= first && (order[i] != self || !symbolic))
			scope->objects[scope->nr++] = list->entries[order[i]].object;
	free(order);
	free(seen);
	return 0;
}

int ulp_scope_build(const struct ulp_target *target, struct ulp_object *object,
		    struct ulp_scope *scope)
{
	struct list list = { 0 };
	int ret;

	memset(scope, 0, sizeof(*scope));
	scope->object = object;
	ret = ulp_symbols_read(target, object);
	if (ret)
		return ret;
	for (size_t i = 0; i < target->nr_links && !scope->listed; i++) {
		if (&target->objects[target->links[i].object] == object) {
			scope->listed = true;
			scope->list = target->links[i].list;
		}
	}
	if (scope->listed)
		ret = list_read(target, scope->list, &list);
	if (!ret)
		ret = fill(scope, &list);
	list_free(&list);
	if (!ret)
		return 0;
	ulp_scope_free(scope);
	if (ret == -ENOMEM)
		return ulp_err(target->ctx, ret, "out of memory");
	return ulp_err(target->ctx, -ULP_E_SYMBOL,
		       "process %d (%s): a dynamic section is damaged in its memory, or unmapped",
		       target->pid, target->name);
}

void ulp_scope_free(struct ulp_scope *scope)
{
	free(scope->objects);
	scope->objects = NULL;
	scope->nr = 0;
}
