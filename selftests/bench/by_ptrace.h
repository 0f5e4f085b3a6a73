/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the module does, done by ptrace: the reference that it is measured
 * against.
 */
#ifndef BY_PTRACE_H
#define BY_PTRACE_H

#include <sys/types.h>
#include "ulp.h"

/*
 * A transaction as ioctl(ULP_TRANSACT) makes it: stop all threads, check, write
 * or not, continue.  @mem is /proc/PID/mem.  The pauses are from the first
 * PTRACE_INTERRUPT to the last PTRACE_DETACH.  Returns 0 or -errno as the ioctl.
 */
int by_ptrace_transact(pid_t pid, int mem, struct ulp_transact *transact);

/* Have the process call mmap(); returns what that returns. */
long by_ptrace_mmap(pid_t pid, int mem, unsigned long addr, unsigned long length, int protection,
		    int flags);

#endif /* BY_PTRACE_H */
