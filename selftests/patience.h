/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits are there to end what hangs.  They grow with TIMES, which the runner
 * sets by the machine's load; those of the harness do because of this header,
 * which comes before everything else of a test.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <stdlib.h>
#include <unistd.h>

static inline unsigned int limit_times(void)
{
	const char *times = getenv("TIMES");
	int n = times ? atoi(times) : 1;

	return n > 0 ? n : 1;
}

#define alarm(seconds) alarm((seconds) * limit_times())

#endif /* PATIENCE_H */
