/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A case is one file in two versions, without and with FIXED, linked to
 * driver.c.  Lines of its first comment that begin with ASK say what it answers:
 *
 *	ASK question | before | with the patch | after the revert
 *
 * FLAVOURS names the builds that it is tried in, see build, and VM those of them that are
 * tried with the module as well.
 */
#ifndef DIFF_CASE_H
#define DIFF_CASE_H

#include "../../../victims/victim.h"

#ifdef __cplusplus
extern "C"
#endif
void ask(const char *arg);

#endif /* DIFF_CASE_H */
