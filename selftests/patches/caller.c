// SPDX-License-Identifier: LGPL-2.1-or-later
/* The outer one of two. */
#include "victims/libvictim.h"

int new_caller(int fd);

int new_caller(int fd)
{
	return victim_callee(fd) + 20000;
}
