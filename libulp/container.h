/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files that read a container share, in the order in which they do:
 * container.c (the file), container_elf.c (the ELF object), container_tables.c (the
 * tables of .ulp), container_check.c (whether what they say makes sense),
 * container_view.c (what people get to see of it).
 */
#ifndef LIBULP_CONTAINER_H
#define LIBULP_CONTAINER_H

#include <elf.h>
#include <errno.h>

#include "internal.h"

/* Largest container, and largest image of one: jumps must span it. */
#define ULP_CONTAINER_MAX	(512ULL << 20)
#define ULP_IMAGE_MAX		(256ULL << 20)
/* All names of a container together, copied for people. */
#define ULP_TEXT_MAX		(64ULL << 20)

#define ulp_patch_bad(patch, format, ...)					\
	(ulp_err((patch)->ctx, -ULP_E_CONTAINER, "%s: " format, (patch)->path,	\
		 ##__VA_ARGS__), -ULP_E_CONTAINER)

#define ulp_patch_no_memory(patch)						\
	(ulp_err((patch)->ctx, -ENOMEM, "%s: out of memory", (patch)->path), -ENOMEM)

/* A part of the file, its bounds checked. */
struct ulp_part {
	uint64_t offset;
	uint64_t size;
};

/* Whether [@offset, @offset + @length) is within [0, @size); never overflows. */
static inline bool ulp_within(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

/* Whether [@start, @start + @length) is within [@low, @high); never overflows. */
static inline bool ulp_between(uint64_t start, uint64_t length, uint64_t low, uint64_t high)
{
	return start >= low && start <= high && length <= high - start;
}

/*
 * container.c: the whole of a regular file, no larger than a container may be; 0 or the
 * code, and *@data is the caller's to free in both cases.
 */
int ulp_patch_file_read(struct ulp_context *ctx, int fd, const char *path, uint8_t **data,
			size_t *size);
/* container_elf.c: fills the ELF part of @patch and finds the two sections. */
int ulp_patch_read_elf(struct ulp_patch *patch, struct ulp_part *ulp, struct ulp_part *revert);
/* The segment that has all of [@vaddr, @vaddr + @length) in memory, or NULL. */
const struct ulp_patch_segment *ulp_patch_segment(const struct ulp_patch *patch,
						  uint64_t vaddr, uint64_t length);

struct ulp_strings {
	const char *data;
	uint64_t size;
};

/* container_tables.c: raw tables, bytes, name, comment, labels and dependencies of @patch. */
int ulp_patch_read_tables(struct ulp_patch *patch, const struct ulp_part *ulp,
			  const struct ulp_part *revert, struct ulp_strings *strings);
/* container_check.c: every index, address and text of the raw tables. */
int ulp_patch_check(struct ulp_patch *patch, const struct ulp_strings *strings);
/* Whether a span is in the table, not empty, and free of control characters. */
bool ulp_span_is_text(const struct ulp_strings *strings, struct ulp_span span);
/* container_view.c: the tables as libulp.h shows them. */
int ulp_patch_view(struct ulp_patch *patch, const struct ulp_strings *strings);

#endif /* LIBULP_CONTAINER_H */
