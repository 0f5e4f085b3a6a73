/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stop_machine backend.
 */
#ifndef ULP_STOPM_H
#define ULP_STOPM_H

int ulp_stopm(void (*fn)(void *data), void *data);

#endif /* ULP_STOPM_H */
