// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Codes, their stable words, and the one place that makes error texts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static const struct {
	int code;
	const char *word;
} words[] = {
	{ ULP_E_ALREADY_APPLIED,	"already-applied" },
	{ ULP_E_NOT_APPLIED,		"not-applied" },
	{ ULP_E_NOT_TARGET,		"not-target" },
	{ ULP_E_BUILD_ID,		"build-id" },
	{ ULP_E_BUSY,			"busy" },
	{ ULP_E_BYTES_DIFFER,		"bytes-differ" },
	{ ULP_E_FOREIGN_HOOK,		"foreign-hook" },
	{ ULP_E_NO_PROCESS,		"no-such-process" },
	{ ULP_E_PERMISSION,		"permission" },
	{ ULP_E_ARCH,			"arch" },
	{ ULP_E_CONTAINER,		"container" },
	{ ULP_E_SYMBOL,			"symbol" },
	{ ULP_E_RELOCATION,		"relocation" },
	{ ULP_E_NO_ROOM,		"no-room" },
	{ ULP_E_LIMIT,			"limit" },
	{ ULP_E_MODULE,			"module-missing" },
	{ ULP_E_ABI,			"abi" },
	{ ULP_E_DEPENDENCY,		"dependency" },
	{ ULP_E_RECORD,			"record" },
	{ ULP_E_TRACED,			"session-busy" },
	{ ULP_E_TLS,			"tls" },
	{ ULP_E_CHANGING,		"changing" },
	{ ULP_E_TIMEOUT,		"timeout" },
	{ ULP_E_PATCH_ID,		"patch-id" },
	{ ULP_E_NOT_PATCH,		"container" },
	{ ULP_E_OPTED_OUT,		"opted-out" },
	{ ULP_E_NO_PRELOAD,		"no-preload" },
	{ ULP_E_CONSISTENCY,		"consistency" },
	{ ULP_E_SWITCHING,		"switching" },
	{ ULP_E_NOT_SWITCHING,		"not-switching" },
	{ ESRCH,			"no-such-process" },
	{ EPERM,			"permission" },
	{ EACCES,			"permission" },
	{ ENOMEM,			"no-memory" },
	{ ENOENT,			"no-such-file" },
	{ EINTR,			"interrupted" },
};

const char *ulp_reason(int code)
{
	if (code >= 0)
		return "success";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].code == -code)
			return words[i].word;
	return "system";
}

bool ulp_code_is_nothing(int code)
{
	return code == -ULP_E_ALREADY_APPLIED || code == -ULP_E_NOT_APPLIED ||
	       code == -ULP_E_NOT_TARGET || code == -ULP_E_BUILD_ID ||
	       code == -ULP_E_NOT_SWITCHING;
}

bool ulp_code_is_switching(int code)
{
	return code == -ULP_E_SWITCHING;
}

bool ulp_code_is_busy(int code)
{
	return code == -ULP_E_BUSY || code == -ULP_E_LIMIT || code == -ULP_E_CHANGING ||
	       code == -ULP_E_TRACED || code == -ULP_E_TIMEOUT;
}

const char *ulp_error(const struct ulp_context *ctx)
{
	return ctx->error;
}

int ulp_err_store(struct ulp_context *ctx, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ctx->error, sizeof(ctx->error), format, args);
	va_end(args);
	ulp_log(ctx, ULP_LOG_DEBUG, "%s: %s", ulp_reason(code), ctx->error);
	return code;
}

void ulp_log(struct ulp_context *ctx, enum ulp_log_level level, const char *format, ...)
{
	char text[1200];
	va_list args;

	if (!ctx->log || level > ctx->log_level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ctx->log(level, text, ctx->log_data);
}
