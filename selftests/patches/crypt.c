// SPDX-License-Identifier: LGPL-2.1-or-later
/* Debian's libcrypt, as perl uses it. */
#include <stdio.h>

char *new_crypt_r(const char *phrase, const char *setting, void *data);

char *new_crypt_r(const char *phrase, const char *setting, void *data)
{
	static char buffer[256];

	(void)data;
	snprintf(buffer, sizeof(buffer), "patched %s %s", phrase, setting);
	return buffer;
}
