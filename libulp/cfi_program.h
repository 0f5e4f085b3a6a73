/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the two files of call frame information share: cfi.c finds and reads a CIE
 * and an FDE, cfi_program.c runs the programs that are in them.
 */
#ifndef LIBULP_CFI_PROGRAM_H
#define LIBULP_CFI_PROGRAM_H

#include "cfi.h"

#define ULP_CFI_ENTRY_MAX	(64 * 1024)	/* of a CIE or FDE */

/* A CIE or FDE: its bytes behind the length field, and where those are. */
struct ulp_cfi_entry {
	uint64_t addr;
	size_t size;
	uint8_t bytes[ULP_CFI_ENTRY_MAX];
};

/* What a CIE says about its FDEs. */
struct ulp_cfi_common {
	uint64_t code_factor;
	uint64_t data_factor;		/* signed; multiplied without overflow */
	uint8_t encoding;		/* of addresses */
	bool sized;			/* there is augmentation data */
	bool signal;
	struct ulp_bytes program;
};

/* The address of what is read next. */
static inline uint64_t ulp_cfi_addr(const struct ulp_cfi_entry *entry,
				    const struct ulp_bytes *bytes)
{
	return entry->addr + (uint64_t)(bytes->at - entry->bytes);
}

/*
 * From the CIE's program and that of the FDE, which is @program, to the row of @pc;
 * row->start is set.  False: they are damaged or say what is not understood.
 */
bool ulp_cfi_run(const struct ulp_cfi_common *common, const struct ulp_cfi_entry *cie,
		 const struct ulp_cfi_entry *fde, struct ulp_bytes program, uint64_t pc,
		 struct ulp_cfi_row *row);

#endif /* LIBULP_CFI_PROGRAM_H */
