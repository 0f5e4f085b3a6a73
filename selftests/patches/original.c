// SPDX-License-Identifier: LGPL-2.1-or-later
/* A replacement that calls what it replaces. */
#include "victims/libvictim.h"

int (*original)(void);

int new_trip(void);

int new_trip(void)
{
	return original() + 3000;
}
