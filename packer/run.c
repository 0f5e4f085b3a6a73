// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Commands, each in a process group of its own, several at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

#define CANNOT_START	126
#define LOG_SHOWN	4000	/* bytes of the end of a log that are shown */

static void attach(const char *path, int flags, int to)
{
	int fd = open(path ? path : "/dev/null", path ? flags : O_RDWR, 0666);

	if (fd < 0 || dup2(fd, to) < 0) {
		fprintf(stderr, "ulp-packer: %s: %s\n", path, strerror(errno));
		_exit(CANNOT_START);
	}
	if (fd != to)
		close(fd);
}

static void become(const struct scratch *scratch, const struct command *command)
{
	const char *cwd = command->cwd ? command->cwd : scratch->place;

	setpgid(0, 0);
	scratch_started(getpid());
	attach(command->in, O_RDONLY, STDIN_FILENO);
	attach(command->log, O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO);
	attach(command->out, O_WRONLY | O_CREAT | O_APPEND, STDOUT_FILENO);
	if (!scratch_enter(scratch)) {
		fprintf(stderr, "ulp-packer: cannot put the copy at %s: %s\n", scratch->place,
			strerror(errno));
		_exit(CANNOT_START);
	}
	if (chdir(cwd)) {
		fprintf(stderr, "ulp-packer: %s: %s\n", cwd, strerror(errno));
		_exit(CANNOT_START);
	}
	if (command->env)
		environ = (char **)command->env;
	execvp(command->argv[0], command->argv);
	fprintf(stderr, "ulp-packer: cannot run %s: %s\n", command->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : CANNOT_START);
}

static pid_t start(const struct scratch *scratch, const struct command *command)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		become(scratch, command);
	if (pid < 0)
		error("cannot start %s: %s", command->argv[0], strerror(errno));
	return pid;
}

static void ended(struct command *command, pid_t pid, int status)
{
	scratch_ended(pid);
	command->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (command->done)
		command->done(command);
}

bool run_all(const struct scratch *scratch, struct command *commands, size_t nr,
	     unsigned int parallel)
{
	pid_t *pids = xcalloc(nr, sizeof(*pids));
	size_t next = 0, running = 0;
	bool good = true;

	while (running || (good && next < nr)) {
		int status;
		pid_t pid;

		if (good && next < nr && running < parallel) {
			pids[next] = start(scratch, &commands[next]);
			good = pids[next] > 0;
			running += good;
			next++;
			continue;
		}
		pid = waitpid(-1, &status, 0);
		for (size_t i = 0; pid > 0 && i < next; i++) {
			if (pids[i] != pid)
				continue;
			running--;
			pids[i] = 0;
			ended(&commands[i], pid, status);
		}
		if (pid < 0 && errno != EINTR) {
			error("cannot wait for commands: %s", strerror(errno));
			return false;
		}
	}
	free(pids);
	return good;
}

void run_show_log(const char *path)
{
	size_t size = 0, from;
	char *text = file_read(path, &size);

	if (!text || !size)
		return;
	from = size > LOG_SHOWN ? size - LOG_SHOWN : 0;
	/* whole lines */
	while (from && from < size && text[from - 1] != '\n')
		from++;
	if (from)
		fprintf(stderr, "[...]\n");
	fwrite(text + from, 1, size - from, stderr);
	if (text[size - 1] != '\n')
		fputc('\n', stderr);
}

bool run_one(const struct scratch *scratch, struct command *command, const char *what)
{
	if (!run_all(scratch, command, 1, 1))
		return false;
	if (!command->status)
		return true;
	if (command->status > 128)
		error("%s: %s was ended by signal %d (%s)", what, command->argv[0],
		      command->status - 128, strsignal(command->status - 128));
	else
		error("%s: %s ended with exit status %d", what, command->argv[0], command->status);
	if (command->log)
		run_show_log(command->log);
	return false;
}
