// SPDX-License-Identifier: LGPL-2.1-or-later
/* Debian's libcrypt, as perl uses it. */
#include <stdio.h>

char *new_crypt(const char *phrase, const char *setting);

char *new_crypt(const char *phrase, const char *setting)
{
	static char buffer[256];

	snprintf(buffer, sizeof(buffer), "patched %s %s", phrase, setting);
	return buffer;
}
