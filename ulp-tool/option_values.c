// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The values of options, from text.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../uapi/ulp.h"
#include "cmds.h"

uint64_t parse_number(struct tool *tool, const char *option, const char *text,
		      uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && value >= min && value <= max)
		return value;
	p_usage(tool, "--%s: '%s' is not a number from %ju to %ju", option, text, (uintmax_t)min,
		(uintmax_t)max);
	return min;
}

uint64_t parse_seconds(struct tool *tool, const char *option, const char *text)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end != text && !*end && isfinite(value) && value >= 0.001 && value <= 1e6)
		return (uint64_t)(value * 1e9);
	p_usage(tool, "--%s: '%s' is not a number of seconds from 0.001 to 1000000", option, text);
	return 0;
}

uint32_t parse_backend(struct tool *tool, const char *option, const char *text)
{
	for (uint32_t i = ULP_BACKEND_AUTO; i <= ULP_BACKEND_STOP_MACHINE; i++)
		if (!strcmp(text, backend_name(i)))
			return i;
	p_usage(tool, "--%s: '%s' is none of auto, gate and stop-machine", option, text);
	return ULP_BACKEND_AUTO;
}

uint8_t parse_scan(struct tool *tool, const char *option, const char *text)
{
	static const char * const names[] = {
		[ULP_SCAN_AUTO] = "auto", [ULP_SCAN_ALWAYS] = "always", [ULP_SCAN_NEVER] = "never",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i]))
			return (uint8_t)i;
	p_usage(tool, "--%s: '%s' is none of auto, always and never", option, text);
	return ULP_SCAN_AUTO;
}

enum color_when parse_color(struct tool *tool, const char *option, const char *text)
{
	if (!strcmp(text, "always") || !strcmp(text, "yes"))
		return COLOR_ALWAYS;
	if (!strcmp(text, "never") || !strcmp(text, "no"))
		return COLOR_NEVER;
	if (strcmp(text, "auto") != 0)
		p_usage(tool, "--%s: '%s' is none of auto, always and never", option, text);
	return COLOR_AUTO;
}

uint32_t parse_consistency(struct tool *tool, const char *option, const char *text)
{
	if (!strcmp(text, "thread"))
		return ULP_CONSISTENCY_THREAD;
	if (strcmp(text, "atomic") != 0)
		p_usage(tool, "--%s: '%s' is neither atomic nor thread", option, text);
	return ULP_CONSISTENCY_ATOMIC;
}
