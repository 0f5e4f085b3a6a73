/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One decoder of instructions for all of the packer.
 */
#ifndef PACKER_DECODE_H
#define PACKER_DECODE_H

#include <stdbool.h>
#include <stdint.h>
#include <Zydis/Zydis.h>

bool decode(const uint8_t *bytes, size_t size, ZydisDecodedInstruction *insn);

#endif /* PACKER_DECODE_H */
