/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Single steps and fault points; only in the debug build.
 */
#ifndef ULP_DEBUG_H
#define ULP_DEBUG_H

#include "session.h"

#ifdef ULP_DEBUG_BUILD
void ulp_debug_init(struct ulp_session *session);
void ulp_debug_thaw(struct ulp_session *session);
int ulp_debug(struct ulp_session *session, struct ulp_debug *args);
#else
static inline void ulp_debug_init(struct ulp_session *session)
{
}

static inline void ulp_debug_thaw(struct ulp_session *session)
{
}

static inline int ulp_debug(struct ulp_session *session, struct ulp_debug *args)
{
	return -ENOTTY;
}
#endif

#endif /* ULP_DEBUG_H */
