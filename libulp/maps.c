// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * /proc/PID/maps
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"

static const char deleted_suffix[] = " (deleted)";

static bool has_deleted_suffix(const char *path, size_t length)
{
	const size_t suffix = sizeof(deleted_suffix) - 1;

	return length > suffix && !memcmp(path + length - suffix, deleted_suffix, suffix);
}

static bool names_mapping(const char *path, const struct ulp_mapping *map,
			  const struct stat *exact)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	if (exact)
		return st.st_dev == exact->st_dev && st.st_ino == exact->st_ino;
	return major(st.st_dev) == map->dev_major && minor(st.st_dev) == map->dev_minor &&
	       st.st_ino == map->inode;
}

/*
 * The kernel appends " (deleted)" to the name of an unlinked file, but a file
 * may be called so: then a file of the whole name is there and is this one.
 */
static bool is_deleted(const struct ulp_target *target, const struct ulp_mapping *map)
{
	const struct stat *known = NULL;
	struct stat exact;
	char path[PATH_MAX + 64];

	/*
	 * On overlay file systems the numbers in maps are of the lower file.
	 * What map_files leads to compares with any stat, but needs privilege.
	 */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
		 target->tid ? target->tid : target->pid, map->start, map->end);
	if (!stat(path, &exact))
		known = &exact;
	snprintf(path, sizeof(path), "/proc/%d/root%s", target->pid, map->path);
	return !names_mapping(path, map, known) && !names_mapping(map->path, map, known);
}

/*
 * maps shows a newline in a name as \012 and a backslash as itself; the link in
 * map_files is exact.
 */
static void unescape(const struct ulp_target *target, struct ulp_mapping *map)
{
	char link[128], exact[PATH_MAX];
	char *from, *to;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
		 target->tid ? target->tid : target->pid, map->start, map->end);
	length = readlink(link, exact, sizeof(exact));
	if (length > 0 && (size_t)length < sizeof(exact) && (size_t)length <= strlen(map->path)) {
		memcpy(map->path, exact, (size_t)length);
		map->path[length] = '\0';
		return;
	}
	for (from = to = map->path; *from; to++) {
		if (!strncmp(from, "\\012", 4)) {
			*to = '\n';
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool same_file(const struct ulp_mapping *a, const struct ulp_mapping *b)
{
	return a->inode && a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor;
}

static void fix_path(const struct ulp_target *target, struct ulp_mapping *map,
		     const struct ulp_mapping *before)
{
	size_t length;

	if (strstr(map->path, "\\012"))
		unescape(target, map);
	length = strlen(map->path);
	if (!map->inode || !has_deleted_suffix(map->path, length))
		return;
	/* The mappings of one object follow each other: ask once. */
	if (before && same_file(before, map) && before->deleted &&
	    strlen(before->path) == length - (sizeof(deleted_suffix) - 1) &&
	    !strncmp(before->path, map->path, strlen(before->path)))
		map->deleted = true;
	else
		map->deleted = is_deleted(target, map);
	if (map->deleted)
		map->path[length - (sizeof(deleted_suffix) - 1)] = '\0';
}

/* A number that ends with @end, which is skipped. */
static bool parse_number(char **at, int base, char end, uint64_t *out)
{
	char *behind;

	*out = strtoull(*at, &behind, base);
	if (behind == *at || *behind != end)
		return false;
	*at = behind + 1;
	return true;
}

/* "START-END rwxp OFFSET MAJOR:MINOR INODE    PATH" */
static bool parse_line(char *line, struct ulp_mapping *map)
{
	uint64_t major_number, minor_number;
	char *at = line;

	memset(map, 0, sizeof(*map));
	line[strcspn(line, "\n")] = '\0';
	if (!parse_number(&at, 16, '-', &map->start) || !parse_number(&at, 16, ' ', &map->end) ||
	    strcspn(at, " ") != 4 || map->start >= map->end)
		return false;
	map->read = at[0] == 'r';
	map->write = at[1] == 'w';
	map->exec = at[2] == 'x';
	map->shared = at[3] == 's';
	at += 4;
	if (!parse_number(&at, 16, ' ', &map->offset) ||
	    !parse_number(&at, 16, ':', &major_number) ||
	    !parse_number(&at, 16, ' ', &minor_number))
		return false;
	map->dev_major = (uint32_t)major_number;
	map->dev_minor = (uint32_t)minor_number;
	map->inode = strtoull(at, &at, 10);
	map->path = strdup(at + strspn(at, " "));
	return true;
}

void ulp_maps_free(struct ulp_mapping *mappings, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(mappings[i].path);
	free(mappings);
}

static int read_lines(const struct ulp_target *target, FILE *file, struct ulp_mapping **out,
		      size_t *nr)
{
	struct ulp_mapping *mappings = NULL, map;
	size_t count = 0, room = 0, line_size = 0;
	char *line = NULL;
	int ret = 0;

	while (getline(&line, &line_size, file) > 0) {
		if (!parse_line(line, &map)) {
			ret = -EPROTO;
			break;
		}
		if (!map.path) {
			ret = -ENOMEM;
			break;
		}
		/* The file is read in pieces; what moved in between may come twice. */
		if (count && map.start < mappings[count - 1].end) {
			free(map.path);
			continue;
		}
		if (count == room) {
			struct ulp_mapping *grown;

			room = room ? 2 * room : 64;
			grown = reallocarray(mappings, room, sizeof(*mappings));
			if (!grown) {
				free(map.path);
				ret = -ENOMEM;
				break;
			}
			mappings = grown;
		}
		fix_path(target, &map, count ? &mappings[count - 1] : NULL);
		mappings[count++] = map;
	}
	/*
	 * No memory for a line is no error of the file's.  ESRCH in the middle: it has just
	 * exited, which whoever reads its memory then finds, too.
	 */
	if (!ret && !feof(file) && errno != ESRCH)
		ret = -errno;
	free(line);
	if (ret) {
		ulp_maps_free(mappings, count);
		return ret;
	}
	*out = mappings;
	*nr = count;
	return 0;
}

int ulp_maps_read(const struct ulp_target *target, struct ulp_mapping **out, size_t *nr)
{
	FILE *file;
	int ret;

	*out = NULL;
	*nr = 0;
	file = ulp_target_file(target, "maps");
	if (!file)
		return -errno;
	ret = read_lines(target, file, out, nr);
	fclose(file);
	return ret;
}
