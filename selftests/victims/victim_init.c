// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * victim_init COMMAND ARG... - process 1 of the test VM: runs the command, which
 * is the real init, takes in the orphans, and talks on two FIFOs like any victim.
 * It ends, and the VM with it, when the command does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "victim.h"

#define TO	"/run/ulp/init.to"
#define FROM	"/run/ulp/init.from"

WHOLE int init_answer(int x)
{
	return x + 42;
}

static void answer(const char *arg)
{
	reply("%d", init_answer(atoi(arg)));
}

static void *talk(void *arg)
{
	static const struct victim_command commands[] = {
		{ "answer", answer },
		{ NULL, NULL },
	};

	(void)arg;
	for (;;)
		victim_talk(commands);
	return NULL;
}

/* For both directions, so that neither side waits for the other. */
static void become(int fd, const char *path)
{
	int fifo = open(path, O_RDWR);

	if (fifo < 0 || dup2(fifo, fd) != fd)
		die("%s", path);
	close(fifo);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	pid_t command;

	if (argc < 2 || mkfifo(TO, 0600) || mkfifo(FROM, 0600))
		die("victim_init");
	command = fork();
	if (!command) {
		execv(argv[1], argv + 1);
		die("%s", argv[1]);
	}
	become(0, TO);
	become(1, FROM);
	if (command < 0 || pthread_create(&thread, NULL, talk, NULL))
		die("victim_init");
	while (wait(NULL) != command)
		;
	return 1;
}
