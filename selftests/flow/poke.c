// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * poke PID ADDRESS - write what standard input has into the process, whatever the
 * protection there, as a debugger or another patcher does
 *
 * As its tracer: since Linux 6.12 a kernel can be built to let nobody else
 * (CONFIG_PROC_MEM_FORCE_PTRACE; Debian's 7.x is).  The process is not stopped.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[64], bytes[256];
	ssize_t nr;
	int fd;

	if (argc != 3)
		return 2;
	nr = read(STDIN_FILENO, bytes, sizeof(bytes));
	if (nr <= 0)
		errx(1, "nothing to write");
	if (ptrace(PTRACE_SEIZE, atoi(argv[1]), 0, 0))
		err(1, "PTRACE_SEIZE %s", argv[1]);
	snprintf(path, sizeof(path), "/proc/%d/mem", atoi(argv[1]));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, bytes, (size_t)nr, (off_t)strtoull(argv[2], NULL, 0)) != nr)
		err(1, "%s", path);
	return 0;
}
