// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The separate debug file of a stripped target: the symbols in it, and where debuggers
 * look for it on this machine.  Nothing is asked of a network (debuginfod): a file that
 * is not here does not come to be.
 */
#include <elfutils/libdwelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "packer.h"

#define DEBUG_DIR	"/usr/lib/debug"

/* Why it is not the debug file of @object, or NULL. */
static const char *unlike(const struct object *object, const struct object *debug)
{
	if (!debug->build_id_size || debug->build_id_size != object->build_id_size ||
	    memcmp(debug->build_id, object->build_id, debug->build_id_size) != 0)
		return "its build-id is another one";
	for (size_t i = 0; i < object->nr_sections; i++) {
		const struct section *ours = &object->sections[i], *theirs;

		if (!(ours->flags & SHF_EXECINSTR))
			continue;
		theirs = object_section_named(debug, ours->name);
		if (!theirs || theirs->addr != ours->addr || theirs->size != ours->size)
			return xasprintf("its section %s is at another place", ours->name);
	}
	return object_section_named(debug, ".symtab") ? NULL :
		"it has no symbol table (.symtab)";
}

/* ---- where it is ---- */

/* What .gnu_debuglink says: a file name, and the CRC of the file. */
struct link {
	const char *name;		/* NULL: there is none */
	GElf_Word crc;
};

static struct link read_link(const struct object *object)
{
	struct link link = { 0 };

	link.name = dwelf_elf_gnu_debuglink(object->elf, &link.crc);
	if (link.name && (!*link.name || strchr(link.name, '/')))
		link.name = NULL;
	return link;
}

/* As gzip and .gnu_debuglink have it. */
static uint32_t crc32(const uint8_t *data, size_t size)
{
	uint32_t table[256], crc = ~0U;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	}
	for (size_t i = 0; i < size; i++)
		crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
	return ~crc;
}

/* @link: what led here, NULL for the build-id.  A file that is no good is told of. */
static bool is_good(const struct object *object, const char *path, const struct link *link)
{
	struct object debug;
	const char *why;
	bool read;

	if (access(path, R_OK))
		return false;
	read = object_read(path, MESSAGE_NOTE, &debug);
	why = read ? unlike(object, &debug) : "it cannot be read";
	if (!why && link && crc32(debug.file, debug.file_size) != link->crc)
		why = "its CRC is not the one that .gnu_debuglink has";
	object_close(&debug);
	if (why)
		message(MESSAGE_NOTE, "%s: not used as the debug file of %s: %s", path,
			object->path, why);
	return !why;
}

static char *path_by_id(const struct object *object)
{
	return xasprintf(DEBUG_DIR "/.build-id/%s/%s.debug", hex(object->build_id, 1),
			 hex(object->build_id + 1, object->build_id_size - 1));
}

static const char *find_by_link(const struct object *object)
{
	struct link link = read_link(object);
	char *real = realpath(object->path, NULL), *dir, *paths[3];

	if (!link.name || !real)
		return NULL;
	dir = xstrndup(real, strrchr(real, '/') - real);
	paths[0] = xasprintf("%s/%s", dir, link.name);
	paths[1] = xasprintf("%s/.debug/%s", dir, link.name);
	paths[2] = xasprintf(DEBUG_DIR "%s/%s", dir, link.name);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (strcmp(paths[i], real) != 0 && is_good(object, paths[i], &link))
			return paths[i];
	return NULL;
}

const char *debug_find(const struct object *object)
{
	const char *path;

	if (object->has_symtab || !object->build_id_size)
		return NULL;
	path = path_by_id(object);
	return is_good(object, path, NULL) ? path : find_by_link(object);
}

/* ---- its symbols ---- */

static bool add(struct object *object, const char *path)
{
	struct object debug;
	const char *why;

	if (!object_read(path, MESSAGE_ERROR, &debug))
		return false;
	why = unlike(object, &debug);
	if (why)
		error("%s: not the debug file of %s: %s", path, object->path, why);
	return !why && symbols_read(object, debug.elf);
}

bool debug_add(struct object *object, const char *given, const struct options *options,
	       bool *added)
{
	const char *path = given ? given : debug_find(object);

	*added = path && *path;
	if (!*added)
		return true;
	if (options->explain || verbosity > 0)
		printf("%s: symbols of the debug file %s\n", object->path, path);
	return add(object, path);
}
