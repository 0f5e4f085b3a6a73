/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What object.c offers to the files that read more of an object.
 */
#ifndef LIBULP_OBJECT_H
#define LIBULP_OBJECT_H

#include <elf.h>

#include "internal.h"

#define ULP_PAGE	4096ULL
#define ULP_PAGE_DOWN(x)	((x) & ~(ULP_PAGE - 1))
#define ULP_PAGE_UP(x)	(((x) + ULP_PAGE - 1) & ~(ULP_PAGE - 1))

/* The end of the address space of 64-bit programs, with 5-level tables too. */
#define ULP_ADDRESS_MAX	(1ULL << 56)

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

#define ULP_VDSO	"[vdso]"

/* Entries of the dynamic section up to DT_NULL, to be freed; 0 or -errno. */
int ulp_dynamic_read(const struct ulp_target *target, const struct ulp_object *object,
		     Elf64_Dyn **out, size_t *nr);
/* Value of the first entry with @tag, else 0. */
uint64_t ulp_dynamic_value(const Elf64_Dyn *dynamic, size_t nr, int64_t tag);
/* The run-time address an entry with @tag points to inside the object, else 0. */
uint64_t ulp_dynamic_address(const struct ulp_object *object, const Elf64_Dyn *dynamic,
			     size_t nr, int64_t tag);
/*
 * No: no string of the object's ends with one of @names, so no symbol is called so, which
 * is learnt without reading symbols.  Yes as well if the strings cannot be read.
 */
bool ulp_object_may_name(const struct ulp_target *target, const struct ulp_object *object,
			 const char *const *names, size_t nr_names);
/* Whether [addr, addr + size) lies in the object. */
bool ulp_object_holds(const struct ulp_object *object, uint64_t addr, uint64_t size);

#endif /* LIBULP_OBJECT_H */
