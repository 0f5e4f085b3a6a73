// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where a patch image may go in a target.
 *
 * It must be in reach of a 5-byte jump, and out of the way of what grows: the
 * heap upwards from the end of the program, the main stack downwards up to its
 * limit, the mmap area downwards below its lowest mapping.  The kernel's choice
 * for the target's next mapping is the top of the highest gap that fits: keeping
 * some distance from a gap's top makes it unlikely to be beaten to the place.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "object.h"

#define MIB		(1ULL << 20)
#define GIB		(1ULL << 30)
/* A jump reaches 2 GiB less one instruction; round figures leave no doubt. */
#define REACH		(2 * GIB - 64 * 1024)
/* mmap never gives out more than this unless asked for it by address */
#define AREA_END	0x7ffffffff000ULL
/* Below it a null pointer with an offset should still fault. */
#define AREA_START	(1 * MIB)
#define DISTANCE	(64 * MIB)
#define HEAP_ROOM	(64 * MIB)	/* malloc() goes on with mmap() behind it */
#define STACK_GAP	(1 * MIB)	/* the kernel's stack_guard_gap */
#define STACK_MIN	(128 * MIB)	/* what the kernel keeps free at least */
#define STACK_MAX	(1 * GIB)	/* taken for "unlimited" */

struct growth {
	uint64_t heap_start, heap_end;	/* empty: no heap yet; 0: unknown */
	uint64_t stack_start, stack_end;	/* with room to its limit */
};

struct gap {
	uint64_t start, end;	/* what lies between two mappings */
	bool heap;		/* the heap grows into it */
};

/* A file of the target's, or any if @target is NULL. */
static ssize_t read_text(const struct ulp_target *target, const char *name, char *out, size_t size)
{
	ssize_t n;
	int fd;

	if (target)
		fd = ulp_target_proc(target, name, O_RDONLY);
	else
		fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	n = read(fd, out, size - 1);
	close(fd);
	if (n >= 0)
		out[n] = '\0';
	return n;
}

static uint64_t lowest_address(void)
{
	uint64_t min = AREA_START;
	char text[32];

	if (read_text(NULL, "/proc/sys/vm/mmap_min_addr", text, sizeof(text)) > 0) {
		uint64_t limit = strtoull(text, NULL, 10);

		if (limit > min)
			min = limit;
	}
	return ULP_PAGE_UP(min);
}

/* Field 47 of /proc/PID/stat: where the heap begins, even if it is empty yet. */
static uint64_t heap_start(const struct ulp_target *target)
{
	char stat[ULP_STAT_MAX];

	return ulp_target_stat(target, stat) ? 0 : strtoull(ulp_stat_field(stat, 47), NULL, 10);
}

static uint64_t stack_limit(const struct ulp_target *target)
{
	static const char key[] = "Max stack size";
	char text[4096], *line;
	uint64_t limit;

	if (read_text(target, "limits", text, sizeof(text)) <= 0)
		return STACK_MAX;
	line = strstr(text, key);
	limit = line ? strtoull(line + sizeof(key) - 1, NULL, 10) : 0;
	if (!limit)
		return STACK_MAX;	/* "unlimited" */
	if (limit < STACK_MIN)
		return STACK_MIN;
	return limit < STACK_MAX ? limit : STACK_MAX;
}

static void find_growth(const struct ulp_target *target, struct growth *growth)
{
	memset(growth, 0, sizeof(*growth));
	growth->heap_start = ULP_PAGE_UP(heap_start(target));
	growth->heap_end = growth->heap_start;
	for (size_t i = 0; i < target->nr_mappings; i++) {
		const struct ulp_mapping *map = &target->mappings[i];

		if (!strcmp(map->path, "[heap]")) {
			growth->heap_end = map->end;
			if (!growth->heap_start)
				growth->heap_start = map->start;
		} else if (!strcmp(map->path, "[stack]")) {
			uint64_t room = stack_limit(target) + STACK_GAP;

			growth->stack_end = map->end;
			growth->stack_start = map->end > room ? map->end - room : 0;
			if (growth->stack_start > map->start)
				growth->stack_start = map->start;
		}
	}
}

/*
 * The address in the gap that suits best for @size bytes, 0 if none does.
 * [@from, @to] are the addresses in reach.
 */
static uint64_t place_in(const struct gap *gap, uint64_t size, uint64_t from, uint64_t to,
			 uint64_t low)
{
	uint64_t first = gap->start + ULP_PAGE, last;

	if (gap->end <= gap->start || gap->end - gap->start < size + 2 * ULP_PAGE)
		return 0;
	last = gap->end - ULP_PAGE - size;
	if (first < from)
		first = from;
	if (last > to)
		last = to;
	if (first > last)
		return 0;
	/* As far from the heap as can be: it loses nothing but the end of its room. */
	if (gap->heap)
		return last;
	if (gap->start >= low)
		return first;
	/* Below the object: away from where the next mapping goes, if there is room. */
	if (last - first > DISTANCE && last > gap->end - ULP_PAGE - size - DISTANCE)
		last = gap->end - ULP_PAGE - size - DISTANCE;
	return last;
}

struct search {
	uint64_t size, from, to, low, high;
	uint64_t best, best_cost;
};

static void try_gap(struct search *search, const struct gap *gap)
{
	uint64_t addr = place_in(gap, search->size, search->from, search->to, search->low);
	uint64_t cost;

	if (!addr)
		return;
	cost = addr < search->low ? search->low - addr : addr - search->high;
	if (gap->heap)
		cost += 4 * GIB;	/* after all others */
	if (cost < search->best_cost) {
		search->best_cost = cost;
		search->best = addr;
	}
}

/* The gap [start, end) between mappings, less the room of the stack and the heap. */
static void try_between(struct search *search, const struct growth *growth, uint64_t start,
			uint64_t end)
{
	struct gap gap = { .start = start, .end = end };

	/* A gap that the stack may grow into counts up to there. */
	if (growth->stack_start < gap.end && gap.start < growth->stack_end)
		gap.end = growth->stack_start;
	if (growth->heap_start >= gap.start && growth->heap_start < gap.end &&
	    growth->heap_end == growth->heap_start) {
		/* Not used yet: it begins somewhere in the gap. */
		struct gap below = { .start = gap.start, .end = growth->heap_start };

		try_gap(search, &below);
		gap.start = growth->heap_start;
		gap.heap = true;
	} else if (growth->heap_end == gap.start) {
		gap.heap = true;
	}
	if (gap.heap)
		gap.start += HEAP_ROOM;
	try_gap(search, &gap);
}

int ulp_target_hole(struct ulp_target *target, uint64_t low, uint64_t high, uint64_t size,
		    uint64_t *addr)
{
	struct search search = { .low = low, .high = high, .best_cost = UINT64_MAX };
	struct growth growth;
	uint64_t start = lowest_address();

	search.size = ULP_PAGE_UP(size);
	if (!size || search.size < size || low >= high || high > ULP_ADDRESS_MAX ||
	    high - low > REACH || search.size > REACH)
		goto none;
	/* Every byte of [low, high) to every byte of the hole, and back. */
	search.from = high > REACH ? ULP_PAGE_UP(high - REACH) : 0;
	if (low + REACH < search.size)
		goto none;
	search.to = ULP_PAGE_DOWN(low + REACH - search.size);
	find_growth(target, &growth);
	for (size_t i = 0; i <= target->nr_mappings && start < AREA_END; i++) {
		uint64_t end = AREA_END;

		if (i < target->nr_mappings && target->mappings[i].start < AREA_END)
			end = target->mappings[i].start;
		if (start < end)
			try_between(&search, &growth, start, end);
		if (i < target->nr_mappings && target->mappings[i].end > start)
			start = target->mappings[i].end;
	}
	if (search.best) {
		*addr = search.best;
		return 0;
	}
none:
	return ulp_err(target->ctx, -ULP_E_NO_ROOM,
		       "process %d (%s) has no %llu free bytes within 2 GiB of 0x%llx-0x%llx",
		       target->pid, target->name, (unsigned long long)size,
		       (unsigned long long)low, (unsigned long long)high);
}

int ulp_target_reserve(struct ulp_target *target, uint64_t start, uint64_t end)
{
	size_t at = 0, n = target->nr_mappings;
	struct ulp_mapping *bigger = reallocarray(target->mappings, n + 1, sizeof(*bigger));
	char *path = strdup("");

	if (bigger)
		target->mappings = bigger;
	if (!bigger || !path) {
		free(path);
		return -ENOMEM;
	}
	while (at < n && bigger[at].start < start)
		at++;
	memmove(&bigger[at + 1], &bigger[at], (n - at) * sizeof(*bigger));
	bigger[at] = (struct ulp_mapping){
		.start = start,
		.end = end,
		.path = path,
	};
	target->nr_mappings++;
	return 0;
}
