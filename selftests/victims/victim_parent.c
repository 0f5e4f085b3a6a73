// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Watches a child: as a parent that waits for stops, and as its tracer.
 *
 *	victim_parent [trace]
 *	pid	of the child
 *	answer N  the child's
 *	watched	"nothing", or what the parent or the tracer was told
 *	end	ends the input of the child: "exited 1"
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "libvictim.h"
#include "victim.h"

static pid_t child;
static FILE *to_child, *from_child;
static volatile int told, child_signals;
static int told_code, told_status;
static pthread_t watcher;
static bool trace;

static void child_answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

static void on_child(int sig)
{
	(void)sig;
	child_signals++;
}

static void child_start(void)
{
	static const struct victim_command commands[] = {
		{ "answer", child_answer },
		{ NULL, NULL },
	};
	int to[2], from[2];
	char line[64];

	if (pipe(to) || pipe(from))
		die("pipe");
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		exit(victim_talk(commands));
	}
	close(to[0]);
	close(from[1]);
	to_child = fdopen(to[1], "w");
	from_child = fdopen(from[0], "r");
	if (!fgets(line, sizeof(line), from_child))
		die("child");
}

static void *watcher_main(void *arg)
{
	siginfo_t info = { 0 };
	int options = WSTOPPED | WCONTINUED | WEXITED | __WALL;

	(void)arg;
	if (trace && ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD))
		die("ptrace");
	while (waitid(P_PID, (id_t)child, &info, options) && errno == EINTR)
		;
	told_code = info.si_code;
	told_status = info.si_status;
	told = 1;
	return NULL;
}

static void say_pid(const char *arg)
{
	(void)arg;
	reply("%d", (int)child);
}

static void answer(const char *arg)
{
	char line[64];

	fprintf(to_child, "answer %s\n", arg);
	fflush(to_child);
	if (!fgets(line, sizeof(line), from_child))
		strcpy(line, "silence\n");
	line[strcspn(line, "\n")] = '\0';
	reply("%s", line);
}

static void watched(const char *arg)
{
	(void)arg;
	if (told)
		reply("code %d status %d", told_code, told_status);
	else if (child_signals)
		reply("%d SIGCHLD", child_signals);
	else
		reply("nothing");
}

static void end(const char *arg)
{
	(void)arg;
	fclose(to_child);
	pthread_join(watcher, NULL);
	/* the end of its input is not "quit": it returns 1 */
	reply(told_code == CLD_EXITED ? "exited %d" : "ended with %d", told_status);
}

int main(int argc, char **argv)
{
	static const struct victim_command commands[] = {
		{ "pid", say_pid },
		{ "answer", answer },
		{ "watched", watched },
		{ "end", end },
		{ NULL, NULL },
	};
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART };

	trace = argc > 1 && !strcmp(argv[1], "trace");
	sigaction(SIGCHLD, &action, NULL);
	child_start();
	if (pthread_create(&watcher, NULL, watcher_main, NULL))
		die("pthread_create");
	return victim_talk(commands);
}
