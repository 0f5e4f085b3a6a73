// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Functions of which the compiler split off a part.
 */
#include "victims/libvictim.h"

int new_cold(int fd);
int new_cold_spin(volatile int *stop);

int new_cold(int fd)
{
	return fd >= 0 ? 2000 : fd;
}

int new_cold_spin(volatile int *stop)
{
	return *stop + 2000;
}
