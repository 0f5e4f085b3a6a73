/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The place in a dynamic linker that the sensor is armed with.
 */
#ifndef LIBULP_LINKER_H
#define LIBULP_LINKER_H

#include <stdint.h>

/* File offset of the instruction, in *@offset; -ENOEXEC: not such a linker. */
int ulp_linker_place(int fd, uint64_t *offset);

#endif /* LIBULP_LINKER_H */
