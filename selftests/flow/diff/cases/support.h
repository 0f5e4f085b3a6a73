/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the cases import from a library of ours, support.c.
 */
#ifndef DIFF_SUPPORT_H
#define DIFF_SUPPORT_H

#ifdef __cplusplus
extern "C" {
#endif

extern __thread int support_tls;
extern int support_data[4];
extern int support_protected;
int support_present(int x);
int support_version(int x);

#ifdef __cplusplus
}
#endif

#endif /* DIFF_SUPPORT_H */
