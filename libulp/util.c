// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Small helpers without a better home.
 */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

void ulp_hex(const uint8_t *bytes, size_t size, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * size] = '\0';
}

static uint8_t unhex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return (c | 0x20) - 'a' + 10;
}

void ulp_unhex(const char *hex, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = unhex_digit(hex[2 * i]) << 4 | unhex_digit(hex[2 * i + 1]);
}

int ulp_sha256(const void *data, size_t size, uint8_t out[32])
{
	struct sha256_ctx sha;

	if (!data && size)
		return -EINVAL;
	sha256_init(&sha);
	sha256_update(&sha, size, data);
	sha256_digest(&sha, 32, out);
	return 0;
}

uint32_t ulp_acting_user(void)
{
	FILE *file = fopen("/proc/self/loginuid", "re");
	unsigned long login = UINT32_MAX;
	char text[16], *end;

	if (file && fgets(text, sizeof(text), file)) {
		login = strtoul(text, &end, 10);
		if (end == text)
			login = UINT32_MAX;
	}
	if (file)
		fclose(file);
	/* -1: nobody logged in, as for a daemon */
	return login < UINT32_MAX ? (uint32_t)login : getuid();
}
