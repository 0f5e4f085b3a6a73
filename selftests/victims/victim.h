/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the victims share: they print "ready", answer each line on standard
 * input with one line, and end with EXIT-SUCCESS after "quit".
 */
#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE	__attribute__((noinline))
/* keep a function whole: neither inlined, cloned, nor its callers told about it */
#define WHOLE		__attribute__((noipa))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct victim_command {
	const char *name;
	void (*run)(const char *arg);
};

__attribute__((format(printf, 1, 2)))
static inline void reply(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

__attribute__((format(printf, 1, 2), noreturn))
static inline void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "victim %d: ", (int)getpid());
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(errno));
	fflush(stderr);
	_exit(99);
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline pid_t tid_self(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* State letter of a task of ours; '?' when it is gone. */
static inline char task_state(pid_t tid)
{
	char path[64], line[512];
	char *end = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "r");
	if (!file)
		return '?';
	if (fgets(line, sizeof(line), file))
		end = strrchr(line, ')');
	fclose(file);
	return end ? end[2] : '?';
}

/* Reads one line without its end; false at the end of the input. */
static inline bool victim_line(char *line, int size)
{
	if (!fgets(line, size, stdin))
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

/* A command without a letter in its name takes all lines, as a whole. */
static inline void victim_answer_line(const struct victim_command *table, char *line)
{
	char *arg = strchr(line, ' ');
	size_t length = strcspn(line, " ");

	for (; table->name; table++) {
		if (!*table->name) {
			table->run(line);
			return;
		}
		if (strlen(table->name) == length && !strncmp(table->name, line, length)) {
			table->run(arg ? arg + 1 : "");
			return;
		}
	}
	reply("unknown command %s", line);
}

/* Talks until "quit"; returns main's result. */
static inline int victim_talk(const struct victim_command *table)
{
	char line[256];

	reply("ready");
	while (victim_line(line, sizeof(line))) {
		if (!strcmp(line, "quit")) {
			reply("EXIT-SUCCESS");
			return 0;
		}
		victim_answer_line(table, line);
	}
	return 1;
}

#endif /* VICTIM_H */
