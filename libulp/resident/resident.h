/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The resident: ulp's own code in a target, which tells the target's unwinder
 * about the code of patches.  Mapped once, before the first patch that an
 * exception may pass through, and never taken back.
 *
 *	[ head, read-only | code | table, writable ]
 *
 * Compiled on both sides: into the resident, and into libulp, which finds it
 * again by the name of its mapping and reads it as data from a hostile process.
 */
#ifndef LIBULP_RESIDENT_H
#define LIBULP_RESIDENT_H

#include <stdint.h>

/* Not ULP_MEMFD_PREFIX: it is no patch. */
#define ULP_RESIDENT_NAME	"ulp.resident"
#define ULP_RESIDENT_MAGIC	0x73657270504c55ULL	/* "ULPpres" */
#define ULP_RESIDENT_VERSION	1

/* The functions of libc that unwinders ask, and that have a stand-in here. */
enum ulp_resident_hook {
	ULP_RESIDENT_FIND_OBJECT,	/* _dl_find_object(), glibc 2.35 */
	ULP_RESIDENT_ITERATE,		/* dl_iterate_phdr() */
	ULP_RESIDENT_HOOKS,
};

/* Offsets from the head, which is page aligned. */
struct ulp_resident_head {
	uint64_t magic;
	uint32_t version;
	uint32_t size;			/* of head, code and table */
	uint64_t code, table;		/* where each begins, page aligned */
	uint64_t hooks[ULP_RESIDENT_HOOKS];
};

#define ULP_RESIDENT_IMAGES	1023
#define ULP_RESIDENT_NAME_MAX	64

/* One image of a patch; run-time addresses. */
struct ulp_resident_image {
	uint64_t start, end;
	uint64_t unwind;		/* its PT_GNU_EH_FRAME */
	uint64_t object;		/* some address in the object it patches */
	uint64_t bias;
	uint64_t phdr;			/* 0: not in its memory */
	uint32_t nr_phdr;
	uint32_t __reserved;
	char name[ULP_RESIDENT_NAME_MAX + 8];
};

/*
 * Entries are only added, and only while no thread runs: who reads nr finds
 * that many of them.
 */
struct ulp_resident_table {
	uint64_t originals[ULP_RESIDENT_HOOKS];	/* what stood in the slots */
	uint64_t nr;
	uint64_t __reserved[13];
	struct ulp_resident_image images[ULP_RESIDENT_IMAGES];
};

#endif /* LIBULP_RESIDENT_H */
