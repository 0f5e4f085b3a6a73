// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kill_after US COMMAND [ARG...] - run it, and SIGKILL it after US microseconds
 *
 * Prints how long it ran, in microseconds.  Exit status: that of the command,
 * 137 if it was killed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	struct timespec wait;
	long long start;
	sigset_t set;
	int status;
	long us;
	pid_t pid;

	if (argc < 3)
		return 2;
	us = atol(argv[1]);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	start = now_us();
	pid = fork();
	if (pid < 0)
		return 2;
	if (!pid) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		execv(argv[2], argv + 2);
		_exit(126);
	}
	/* the time is up, or it has ended before */
	wait = (struct timespec){ us / 1000000, us % 1000000 * 1000 };
	sigtimedwait(&set, NULL, &wait);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return 2;
	fprintf(stderr, "%lld\n", now_us() - start);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
