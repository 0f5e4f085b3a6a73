// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * dlclose(): an object is not unloaded under its patch.
 *
 * Before anything is closed, each object with an active patch gets a reference of ours,
 * and those whose patches were reverted lose it.  An object is asked for by the name under
 * which it is loaded: no directory is searched, no file opened, and whoever calls is of no
 * matter.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include "preload.h"
#include "ulp_record.h"

WEAK(dlsym);
WEAK(dladdr1);
WEAK(dlinfo);
WEAK(dlmopen);
WEAK(__errno_location);

#define NR_KEPT		64
#define SPINS		100000

static struct kept {
	uint64_t start;			/* of the object, 0 no entry */
	void *handle;
	bool wanted;
} kept[NR_KEPT];

static int lock;

typedef int close_fn(void *handle);

static close_fn *original(void)
{
	static close_fn *found;

	if (!found && dlsym)
		found = (close_fn *)dlsym(RTLD_NEXT, "dlclose");
	return found;
}

static void say_object(enum ulp_preload_kind kind, const char *name, const char *why)
{
	struct line line = { .length = 0 };

	line_put(&line, name);
	line_put(&line, why);
	say(kind, &line);
}

/* The loaded object that a record means, or NULL. */
static struct link_map *find_object(const struct ulp_record_object *object)
{
	struct link_map *map = NULL;
	Dl_info info;

	if (!dladdr1((void *)object->start, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
		return NULL;
	/* it may be gone, and another one in its place */
	if (map->l_addr != object->bias || (uint64_t)map->l_ld < object->start ||
	    (uint64_t)map->l_ld >= object->end)
		return NULL;
	return map;
}

static struct kept *entry_of(uint64_t start)
{
	struct kept *free = NULL;

	for (size_t i = 0; i < NR_KEPT; i++) {
		if (kept[i].start == start)
			return &kept[i];
		if (!kept[i].start && !free)
			free = &kept[i];
	}
	return free;
}

static void keep(const struct ulp_record_object *object)
{
	struct link_map *map = find_object(object);
	struct kept *entry;
	void *handle;
	Lmid_t space;

	/* the program itself has no name; nobody closes it */
	if (!map || !*map->l_name || dlinfo(map, RTLD_DI_LMID, &space))
		return;
	entry = entry_of(object->start);
	if (!entry) {
		say_object(ULP_PRELOAD_PROBLEM, map->l_name, ": too many objects to keep");
		return;
	}
	entry->wanted = true;
	if (entry->handle)
		return;
	handle = dlmopen(space, map->l_name, RTLD_LAZY | RTLD_NOLOAD);
	if (handle == map) {
		entry->start = object->start;
		entry->handle = handle;
		say_object(ULP_PRELOAD_KEEP, map->l_name, "");
		return;
	}
	say_object(ULP_PRELOAD_PROBLEM, map->l_name, ": cannot be kept");
	if (handle)
		original()(handle);
}

static void keep_objects_of(const struct ulp_record *record)
{
	const struct ulp_record_object *objects =
		(const void *)((uintptr_t)record + record->objects);

	if (record->magic != ULP_RECORD_MAGIC || record->version != ULP_RECORD_VERSION ||
	    !ulp_record_state_leads(record->state))
		return;
	for (uint32_t i = 0; i < record->nr_objects; i++)
		keep(&objects[i]);
}

/* Another thread may be at it; its turn is short.  In a child of fork() it is gone. */
static bool take_lock(void)
{
	for (int i = 0; i < SPINS; i++) {
		if (!__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

static void update(void)
{
	uint32_t nr = __atomic_load_n(&ulp_preload_block.head.nr_images, __ATOMIC_ACQUIRE);
	void *released[NR_KEPT];
	size_t nr_released = 0;

	if (!nr || !dladdr1 || !dlinfo || !dlmopen)
		return;
	if (!take_lock()) {
		say_object(ULP_PRELOAD_PROBLEM, "dlclose", ": busy, nothing is kept");
		return;
	}
	for (size_t i = 0; i < NR_KEPT; i++)
		kept[i].wanted = false;
	for (uint32_t i = 0; i < nr && i < NR_IMAGES; i++)
		keep_objects_of((const struct ulp_record *)ulp_preload_block.images[i]);
	for (size_t i = 0; i < NR_KEPT; i++) {
		struct kept *entry = &kept[i];

		if (!entry->handle || entry->wanted)
			continue;
		say_object(ULP_PRELOAD_RELEASE, ((struct link_map *)entry->handle)->l_name, "");
		released[nr_released++] = entry->handle;
		entry->handle = NULL;
		entry->start = 0;
	}
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
	/* destructors may run, and call dlclose() */
	for (size_t i = 0; i < nr_released; i++)
		original()(released[i]);
}

__attribute__((visibility("default"))) int dlclose(void *handle)
{
	close_fn *next = original();
	struct link_map *map;
	int saved;

	if (!next)
		return -1;
	if (!ulp_preload_block.head.magic || !__errno_location)
		return next(handle);
	saved = *__errno_location();
	if (dlinfo && !dlinfo(handle, RTLD_DI_LINKMAP, &map) && *map->l_name)
		say_object(ULP_PRELOAD_CLOSE, map->l_name, "");
	update();
	*__errno_location() = saved;
	return next(handle);
}
