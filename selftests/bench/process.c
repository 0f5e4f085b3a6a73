// SPDX-License-Identifier: LGPL-2.1-or-later
/* Victims, and programs that are run to their end. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "driver.h"

#define LIMIT	300000	/* milliseconds that no answer may take */

const char *bench_dir, *ulp_tool, *ulp_tool_ptrace;

/* Leave processor 0 to the probe of a pinned victim, or have all of them. */
static void pin_driver(bool pin)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = pin && cpus > 1; cpu < cpus; cpu++)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

static void read_line(struct victim *victim, char *line, size_t size)
{
	struct pollfd pollfd = { .fd = victim->from, .events = POLLIN };
	size_t have = 0;

	while (have + 1 < size) {
		if (poll(&pollfd, 1, LIMIT) != 1)
			errx(1, "the victim is silent");
		if (read(victim->from, line + have, 1) != 1)
			errx(1, "the victim is dead");
		if (line[have] == '\n')
			break;
		have++;
	}
	line[have] = 0;
}

void victim_start(struct victim *victim, struct victim_options options)
{
	int memory = memfd_create("bench", 0), in[2], out[2];
	char path[PATH_MAX], shared[16], threads[16], spinning[16], line[64];
	char *argv[7] = { path, shared, threads, spinning };
	int argc = 4;

	if (memory < 0 || ftruncate(memory, sizeof(*victim->shared)) || pipe2(in, O_CLOEXEC) ||
	    pipe2(out, O_CLOEXEC))
		err(1, "victim");
	victim->shared = mmap(NULL, sizeof(*victim->shared), PROT_READ | PROT_WRITE, MAP_SHARED,
			      memory, 0);
	if (victim->shared == MAP_FAILED)
		err(1, "mmap");
	snprintf(path, sizeof(path), "%s/bench_victim", bench_dir);
	snprintf(shared, sizeof(shared), "%d", memory);
	snprintf(threads, sizeof(threads), "%d", options.threads);
	snprintf(spinning, sizeof(spinning), "%d", options.spinning);
	if (options.pin)
		argv[argc++] = "pin";
	if (options.inside)
		argv[argc++] = "inside";
	victim->pid = fork();
	if (victim->pid < 0)
		err(1, "fork");
	if (!victim->pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execv(path, argv);
		err(1, "%s", path);
	}
	close(memory);
	close(in[0]);
	close(out[1]);
	victim->to = in[1];
	victim->from = out[0];
	read_line(victim, line, sizeof(line));
	if (strcmp(line, "ready"))
		errx(1, "the victim says '%s'", line);
	pin_driver(options.pin);
}

void victim_end(struct victim *victim)
{
	int status;

	kill(victim->pid, SIGKILL);
	if (waitpid(victim->pid, &status, 0) != victim->pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		errx(1, "the victim was dead already");
	close(victim->to);
	close(victim->from);
	munmap(victim->shared, sizeof(*victim->shared));
	pin_driver(false);
}

unsigned long long victim_ask(struct victim *victim, const char *question)
{
	char line[64];

	if (dprintf(victim->to, "%s\n", question) < 0)
		err(1, "the victim");
	read_line(victim, line, sizeof(line));
	return strtoull(line, NULL, 10);
}

uint64_t victim_gap(struct victim *victim)
{
	uint32_t generation = atomic_fetch_add(&victim->shared->generation, 1) + 1;

	while (atomic_load(&victim->shared->seen) != generation)
		sched_yield();
	return atomic_load(&victim->shared->longest_gap_ns);
}

int run_program(char *const *argv, char *output, size_t size, uint64_t *wall_ns)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	uint64_t begin;
	int out[2], status;
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC))
		err(1, "pipe2");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	begin = bench_now();
	status = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
	if (status)
		errx(1, "%s: %s", argv[0], strerror(status));
	close(out[1]);
	do {
		char buffer[4096];

		n = read(out[0], buffer, sizeof(buffer));
		if (n > 0 && output && have + (size_t)n < size) {
			memcpy(output + have, buffer, (size_t)n);
			have += (size_t)n;
		}
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (output)
		output[have] = 0;
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	if (wall_ns)
		*wall_ns = bench_now() - begin;
	close(out[0]);
	posix_spawn_file_actions_destroy(&actions);
	if (!WIFEXITED(status))
		errx(1, "%s was killed by signal %d", argv[0], WTERMSIG(status));
	return WEXITSTATUS(status);
}

uint64_t run_expect(int status, char *const *argv, char *output, size_t size)
{
	char text[4096];
	uint64_t wall_ns;
	int got = run_program(argv, output ? output : text, output ? size : sizeof(text), &wall_ns);

	if (got == status)
		return wall_ns;
	for (int i = 0; argv[i] && i < 8; i++)
		fprintf(stderr, "%s ", argv[i]);
	errx(1, "exit status %d instead of %d\n%s", got, status, output ? output : text);
}

uint64_t tool_run(const char *program, const char *verb, size_t count, const char *option1,
		  const char *option2)
{
	char file[PATH_MAX];
	/* exec takes them without const, and does not write to them */
	char *const argv[] = { (char *)program, (char *)verb, "-q", (char *)option1,
			       (char *)option2, file, NULL };

	snprintf(file, sizeof(file), "%s/fix_%zu.so", bench_dir, count);
	return run_expect(0, argv, NULL, 0);
}

uint64_t tool_change(const char *verb, size_t count, pid_t pid)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	return tool_run(ulp_tool, verb, count, "-p", number);
}
