/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory for the payload in the target.
 */
#ifndef ULP_MAP_H
#define ULP_MAP_H

#include "session.h"

int ulp_map(struct ulp_session *session, const struct ulp_map *args);
int ulp_unmap(struct ulp_session *session, struct ulp_unmap *args);
void ulp_map_settle(struct ulp_session *session, struct mm_struct *mm);
void ulp_map_commit(struct ulp_session *session);
int ulp_map_take_back(struct ulp_session *session, struct mm_struct *mm);

#endif /* ULP_MAP_H */
