// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A target's memory, through its /proc/PID/mem.
 *
 * The descriptor names an address space, not a process: after an exec or exit
 * it reads nothing, never the memory of another program.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

int ulp_memory_read(const struct ulp_target *target, uint64_t addr, void *out, size_t size)
{
	uint8_t *to = out;

	if (addr > INT64_MAX || size > INT64_MAX - addr)
		return -EFAULT;
	while (size) {
		ssize_t n = pread(target->mem, to, size, (off_t)addr);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		to += n;
		addr += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

char *ulp_memory_string(const struct ulp_target *target, uint64_t addr, size_t max)
{
	char *text = malloc(max ? max : 1);
	size_t have = 0;

	if (!text)
		return NULL;
	/* Up to the end of a page at a time: the next one may not be mapped. */
	while (have < max) {
		size_t step = 4096 - ((addr + have) & 4095);

		if (step > max - have)
			step = max - have;
		if (ulp_memory_read(target, addr + have, text + have, step))
			break;
		if (memchr(text + have, 0, step))
			return text;
		have += step;
	}
	free(text);
	return NULL;
}

bool ulp_memory_alive(const struct ulp_target *target)
{
	char byte;

	/*
	 * The kernel gives 0 bytes when the address space has no user left, and
	 * EIO for an address that merely is not mapped, such as most often 0.
	 */
	return pread(target->mem, &byte, 1, 0) != 0;
}
