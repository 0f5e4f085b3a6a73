/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must not grow: taken when nothing is under way and nothing is applied.
 */
#ifndef SOAK_LEAKS_H
#define SOAK_LEAKS_H

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAKS_CACHES	512

struct leaks_cache {
	char name[64];
	unsigned long objects;
};

/**
 * struct leaks - one look at the machine
 * @nr_caches: of @caches
 * @caches: slab caches
 * @slab_kb: all of them together
 * @vmalloc_kb: kernel memory from vmalloc
 * @references: to the module
 * @objects: of slab caches that were allocated by or for the module: exact, where
 *	the kernel tracks them (slub_debug=U, see run), else 0
 * @areas: of vmalloc that the module has
 * @descriptors: of this process
 */
struct leaks {
	unsigned int nr_caches;
	struct leaks_cache caches[LEAKS_CACHES];
	unsigned long slab_kb, vmalloc_kb;
	long references;
	unsigned long objects;
	unsigned int areas;
	unsigned int descriptors;
};

/**
 * struct leaks_maps - mappings of a process
 * @nr: how many
 * @bytes: all of them together
 */
struct leaks_maps {
	unsigned int nr;
	unsigned long bytes;
};

static inline void leaks_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return;
	fputs(text, file);
	fclose(file);
}

/* Full of what was read from files, or of what is freed when it is many (vmalloc). */
static inline bool leaks_is_lazy(const char *name)
{
	return strstr(name, "vmap_area") || strstr(name, "dentry") ||
	       strstr(name, "inode") || strstr(name, "radix") ||
	       strstr(name, "ovl") || strstr(name, "9p") || strstr(name, "kernfs");
}

static inline void leaks_read_slab(struct leaks *leaks)
{
	char line[512];
	FILE *file;

	if (system("for f in /sys/kernel/slab/*/shrink; do echo 1 >$f; done 2>/dev/null"))
		fprintf(stderr, "slab caches cannot be shrunk\n");
	file = fopen("/proc/slabinfo", "re");
	while (file && fgets(line, sizeof(line), file) && leaks->nr_caches < LEAKS_CACHES) {
		struct leaks_cache *cache = &leaks->caches[leaks->nr_caches];

		if (sscanf(line, "%63s %lu", cache->name, &cache->objects) == 2 &&
		    !leaks_is_lazy(cache->name))
			leaks->nr_caches++;
	}
	if (file)
		fclose(file);
}

static inline unsigned long leaks_number(const char *path, const char *key)
{
	unsigned long value = 0;
	char line[256];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		value = strtoul(line + strlen(key), NULL, 10);
		break;
	}
	if (file)
		fclose(file);
	return value;
}

/* The mappings of a process that have @of in their lines of /proc/PID/maps. */
static inline struct leaks_maps leaks_maps(pid_t pid, const char *of)
{
	struct leaks_maps maps = { 0 };
	unsigned long start, end;
	char line[512];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)pid);
	file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strstr(line, of) || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		maps.nr++;
		maps.bytes += end - start;
	}
	if (file)
		fclose(file);
	return maps;
}

static inline bool leaks_maps_grew(struct leaks_maps before, struct leaks_maps now)
{
	return now.nr > before.nr || now.bytes > before.bytes;
}

/*
 * Sums up what a tracking kernel says of one cache: a line with a count for each
 * way to an allocation, and the call chain below it.
 */
static inline unsigned long leaks_of_module(const char *path)
{
	unsigned long total = 0, count = 0;
	char line[1024];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		unsigned long number;
		char *end;

		number = strtoul(line, &end, 10);
		if (end != line && *end == ' ')
			count = number;
		if (!strstr(line, "[ulp]"))
			continue;
		total += count;
		count = 0;	/* once for each way */
	}
	if (file)
		fclose(file);
	return total;
}

static inline unsigned long leaks_module_objects(void)
{
	unsigned long total = 0;
	glob_t found;

	if (glob("/sys/kernel/debug/slab/*/alloc_traces", 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		total += leaks_of_module(found.gl_pathv[i]);
	globfree(&found);
	return total;
}

static inline unsigned int leaks_module_areas(void)
{
	unsigned int areas = 0;
	char line[512];
	FILE *file = fopen("/proc/vmallocinfo", "re");

	while (file && fgets(line, sizeof(line), file))
		areas += strstr(line, "[ulp]") != NULL;
	if (file)
		fclose(file);
	return areas;
}

static inline void leaks_look(struct leaks *leaks)
{
	char path[64];

	memset(leaks, 0, sizeof(*leaks));
	sync();
	leaks_write("/proc/sys/vm/drop_caches", "3");
	leaks_read_slab(leaks);
	leaks->slab_kb = leaks_number("/proc/meminfo", "SUnreclaim:");
	leaks->vmalloc_kb = leaks_number("/proc/meminfo", "VmallocUsed:");
	leaks->objects = leaks_module_objects();
	leaks->areas = leaks_module_areas();
	leaks->references = (long)leaks_number("/sys/module/ulp/refcnt", "");
	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		leaks->descriptors += access(path, F_OK) == 0;
	}
}

/* Prints what grew by more than @most objects; how many caches did. */
static inline unsigned int leaks_compare_slab(const struct leaks *before, const struct leaks *after,
					      unsigned long most)
{
	unsigned int grown = 0;

	for (unsigned int i = 0; i < after->nr_caches; i++) {
		const struct leaks_cache *new = &after->caches[i];

		for (unsigned int k = 0; k < before->nr_caches; k++) {
			const struct leaks_cache *old = &before->caches[k];

			if (strcmp(old->name, new->name) || new->objects <= old->objects + most)
				continue;
			printf("# leak: %s had %lu objects and has %lu\n", new->name,
			       old->objects, new->objects);
			grown++;
		}
	}
	return grown;
}

#endif /* SOAK_LEAKS_H */
