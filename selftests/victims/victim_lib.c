// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Uses libvictim.so: answers with its functions, hammers them, forks and
 * executes itself on demand.
 */
#include <sys/wait.h>
#include "hammer.h"

extern char **environ;

static int (*kept)(int);

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

static void second(const char *arg)
{
	reply("%d", victim_second(atoi(arg)));
}

static void secret(const char *arg)
{
	reply("%d", victim_secret(atoi(arg)));
}

static void hidden(const char *arg)
{
	reply("%d", victim_hidden(atoi(arg)));
}

static void short_one(const char *arg)
{
	(void)arg;
	reply("%d", victim_short());
}

static void outer(const char *arg)
{
	(void)arg;
	reply("%#lx", victim_outer());
}

/* probe WHAT: what the function says, and errno behind it */
static void probe(const char *arg)
{
	char out[128] = "nothing";

	errno = 0;
	victim_probe(arg, out, sizeof(out));
	reply("%s errno=%d counter=%d,%d tls=%d,%d", out, errno, victim_counter,
	      victim_read_counter(), victim_tls, victim_read_tls());
}

static void *probe_main(void *arg)
{
	victim_tls = 50;
	victim_set(victim_read_counter(), 30);
	probe(arg);
	return NULL;
}

/* thread WHAT: the same in another thread, which has other thread-local variables */
static void probe_thread(const char *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, probe_main, (void *)arg))
		die("pthread_create");
	pthread_join(thread, NULL);
}

/* keep, kept N: take a function pointer out of the library, call it later */
static void keep(const char *arg)
{
	(void)arg;
	kept = victim_pointer();
	reply("kept");
}

static void call_kept(const char *arg)
{
	reply("%d", kept ? kept(atoi(arg)) : -1);
}

/* fork: a child goes on talking in our place; "leave" ends it, then we go on */
static void fork_child(const char *arg)
{
	pid_t pid = fork();
	int status;

	(void)arg;
	if (pid < 0)
		die("fork");
	if (!pid) {
		reply("%d", (int)getpid());
		return;
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	reply("child ended with %#x", (unsigned int)status);
}

static void leave(const char *arg)
{
	(void)arg;
	_exit(0);
}

static void exec_again(const char *arg)
{
	(void)arg;
	execl("/proc/self/exe", "victim_lib", NULL);
	die("exec");
}

int main(void)
{
	static const struct victim_command commands[] = {
		HAMMER_COMMANDS,
		{ "answer", answer },
		{ "second", second },
		{ "secret", secret },
		{ "hidden", hidden },
		{ "short", short_one },
		{ "outer", outer },
		{ "probe", probe },
		{ "thread", probe_thread },
		{ "keep", keep },
		{ "kept", call_kept },
		{ "fork", fork_child },
		{ "leave", leave },
		{ "exec", exec_again },
		{ NULL, NULL },
	};

	/* stdout and environ become our own copies: the patch must use these */
	if (setenv("VICTIM_MARK", "here", 1) || !environ[0])
		die("setenv");
	victim_set(7, 3);
	return victim_talk(commands);
}
