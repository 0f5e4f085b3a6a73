/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libulp share among themselves.
 */
#ifndef LIBULP_INTERNAL_H
#define LIBULP_INTERNAL_H

#include "libulp.h"
#include "../uapi/ulp.h"
#include "../uapi/ulp_container.h"
#include "../uapi/ulp_record.h"

struct ulp_context {
	int dev;			/* /dev/ulp, -1 until needed */
	ulp_log_fn log;
	enum ulp_log_level log_level;
	void *log_data;
	char error[1024];
};

/* error.c: the one place that makes error texts */

/* Stores the sentence, logs it at debug level, returns @code. */
int ulp_err(struct ulp_context *ctx, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void ulp_log(struct ulp_context *ctx, enum ulp_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * container.c: reading a container.  Everything below was checked against the
 * file's bounds when the patch was opened; nothing after that checks again.
 */
struct ulp_patch_segment {		/* one PT_LOAD */
	uint64_t vaddr, filesz, memsz, offset, align;
	uint32_t flags;			/* PF_* */
};

struct ulp_patch {
	struct ulp_context *ctx;
	char *path;
	uint8_t *data;			/* the whole ELF file */
	size_t size;
	uint8_t id[ULP_ID_SIZE];
	uint8_t digest[32];
	char id_hex[2 * ULP_ID_SIZE + 1];
	char *name;
	char *comment;
	int64_t created;

	/* raw tables of .ulp, entries copied into our own layout */
	size_t nr_targets;
	struct ulp_container_target *raw_targets;
	size_t nr_functions;
	struct ulp_container_function *raw_functions;
	size_t nr_ranges;
	struct ulp_container_range *raw_ranges;
	size_t nr_references;
	struct ulp_container_reference *raw_references;
	const uint8_t *bytes;		/* bytes table, spans index into it */
	size_t nr_bytes;

	/* the same for people (libulp.h) */
	struct ulp_patch_target *targets;
	struct ulp_patch_function *functions;
	struct ulp_patch_reference *references;
	size_t nr_labels;
	char **labels;
	size_t nr_dependencies;
	char **dependencies;		/* hex */

	/* the ELF object */
	size_t nr_segments;
	struct ulp_patch_segment *segments;	/* ascending, not overlapping */
	uint64_t image_size;		/* page aligned end of the highest segment */
	uint64_t relro_start, relro_end;	/* PT_GNU_RELRO, 0 if none */
	uint64_t dynamic;		/* vaddr of PT_DYNAMIC, 0 if none */
	uint64_t dynamic_size;
};

/*
 * Bytes of the patch's load image at @vaddr (file-backed part), or NULL unless
 * all @length bytes lie in the file-backed part of one segment.
 */
const void *ulp_patch_at(const struct ulp_patch *patch, uint64_t vaddr, uint64_t length);

/* util.c */
void ulp_hex(const uint8_t *bytes, size_t size, char *out);	/* 2 * size + 1 */
int ulp_sha256(const void *data, size_t size, uint8_t out[32]);

#endif /* LIBULP_INTERNAL_H */
