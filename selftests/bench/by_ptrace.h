/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the module does, done by ptrace: the reference that it is measured
 * against.
 */
#ifndef BY_PTRACE_H
#define BY_PTRACE_H

#include <stdint.h>
#include <sys/types.h>
#include "ulp.h"

/*
 * A transaction as ioctl(ULP_TRANSACT) makes it: stop all threads, check, write
 * or not, continue.  @mem is /proc/PID/mem.  The pauses are from the first
 * PTRACE_INTERRUPT to the last PTRACE_DETACH.  Returns 0 or -errno as the ioctl.
 */
int by_ptrace_transact(pid_t pid, int mem, struct ulp_transact *transact);

/*
 * Have the process map @fd, a file of the caller, or zeroed memory if it is -1:
 * its main thread is stopped and made to call open(), mmap() and close().
 * Returns 0 or -errno.
 */
int by_ptrace_map(pid_t pid, int mem, int fd, uint64_t offset, uint64_t addr, uint64_t length,
		  int protection);

#endif /* BY_PTRACE_H */
