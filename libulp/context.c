// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The context: /dev/ulp, the log callback, what this machine has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#ifndef ULP_VERSION
#error "ULP_VERSION comes from the Makefile"
#endif

const char *ulp_version(void)
{
	return ULP_VERSION;
}

int ulp_context_new(struct ulp_context **out)
{
	struct ulp_context *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return -ENOMEM;
	ctx->dev = -1;
	*out = ctx;
	return 0;
}

void ulp_context_free(struct ulp_context *ctx)
{
	if (!ctx)
		return;
	if (ctx->dev >= 0)
		close(ctx->dev);
	free(ctx);
}

void ulp_context_set_log(struct ulp_context *ctx, ulp_log_fn fn, enum ulp_log_level level,
			 void *data)
{
	ctx->log = fn;
	ctx->log_level = level;
	ctx->log_data = data;
}

int ulp_status_get(struct ulp_context *ctx, struct ulp_status *status)
{
	struct ulp_status now = { .sz = sizeof(now) };
	struct ulp_query query = { .size = sizeof(query) };
	int err;

	if (status->sz < sizeof(now))
		return ulp_err(ctx, -EINVAL, "struct ulp_status is too small");
	err = ulp_sys_open(ctx);
	if (!err || err == -ULP_E_ABI)
		err = ulp_sys_query(ctx->dev, &query);
	now.module = err == -ULP_E_MODULE || err == -ULP_E_PERMISSION ? -errno : err;
	if (!err) {
		now.abi = query.out_abi;
		now.features = query.out_features;
		now.default_backend = query.out_default_backend;
		memcpy(now.module_version, query.out_version, sizeof(now.module_version));
		now.module_version[sizeof(now.module_version) - 1] = '\0';
	}
	memset(status, 0, status->sz);
	memcpy(status, &now, sizeof(now));
	return 0;
}
