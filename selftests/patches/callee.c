// SPDX-License-Identifier: LGPL-2.1-or-later
/* The inner one of two: its frame is patch code while the outer one waits. */
#include "victims/libvictim.h"

#ifndef ADD
#define ADD	5000
#endif

int new_callee(int fd);

int new_callee(int fd)
{
	return victim_wait(fd) + ADD;
}
