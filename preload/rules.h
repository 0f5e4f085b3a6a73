/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LIBULP_DISABLE_ON_PATH, _USERS, _GROUPS: lists with colons, of patterns for the path of
 * the program, the real user and the real group; users and groups by number as well.
 * libpulp's LIBPULP_... mean the same.
 *
 * Compiled on both sides: into the library, which asks at the start of its process, and
 * into libulp, which asks if a process is to be patched before it came to that.
 *
 * Names are looked up in /etc/passwd and /etc/group, nowhere else: to ask the name services
 * would load libraries into the program.
 */
#ifndef ULP_PRELOAD_RULES_H
#define ULP_PRELOAD_RULES_H

#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "ulp_preload.h"

/* How much of the files of users and groups is read. */
#define RULES_FILE_MAX	(16L << 20)

/* Without libc, which would write errno. */
static inline long system_call(long number, long a, long b, long c)
{
	long ret;

	asm volatile("syscall" : "=a"(ret) : "a"(number), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return ret;
}

/* Who is asked about. */
struct rules_process {
	char *const *environment;	/* ends with NULL */
	const char *exe;		/* symbolic link to the program */
	const char *passwd, *group;	/* files */
	uint32_t uid, gid;
	int (*match)(const char *pattern, const char *text, int flags);	/* fnmatch, or NULL */
};

/* Which rule it was. */
struct rules_answer {
	const char *prefix, *variable;
	char item[PATH_MAX];		/* "": what the rule is about cannot be found out */
};

/* The value of the variable PREFIX NAME, or NULL. */
static inline const char *rules_value(char *const *environment, const char *prefix,
				      const char *name)
{
	for (; *environment; environment++) {
		const char *at = *environment, *part = prefix;

		while (*part && *part == *at)
			part++, at++;
		if (*part)
			continue;
		for (part = name; *part && *part == *at; part++)
			at++;
		if (!*part && *at == '=')
			return at + 1;
	}
	return NULL;
}

/* Whether @text is a number, and which. */
static inline bool rules_number(const char *text, uint32_t *id)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && value <= UINT32_MAX; i++)
		value = 10 * value + (uint64_t)(text[i] - '0');
	*id = (uint32_t)value;
	return i && !text[i] && value <= UINT32_MAX;
}

static inline bool rules_path(const struct rules_process *process, char *name, size_t size)
{
	long length = system_call(SYS_readlink, (long)process->exe, (long)name, (long)size - 1);

	if (length <= 0)
		return false;
	name[length] = '\0';
	return true;
}

/*
 * The name that belongs to @id in a file of lines "NAME:PASSWORD:ID:...", as passwd(5) and
 * group(5) have them; "" if there is none.
 */
static inline void rules_name(const char *file, uint32_t id, char *name, size_t size)
{
	char buffer[1024], text[16];
	size_t field = 0, length = 0, digits = 0;
	bool found = false;
	uint32_t this;
	long fd, have, read_so_far = 0;

	*name = '\0';
	/* asked about another process, the file is whatever that has there */
	fd = system_call(SYS_open, (long)file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	if (fd < 0)
		return;
	while (!found && read_so_far < RULES_FILE_MAX &&
	       (have = system_call(SYS_read, fd, (long)buffer, sizeof(buffer))) > 0) {
		read_so_far += have;
		for (long i = 0; i < have && !found; i++) {
			char c = buffer[i]; /* NOLINT: the system call filled it */

			if (c == ':' && field == 2) {
				text[digits] = '\0';
				found = rules_number(text, &this) && this == id;
			}
			if (c == ':') {
				field++;
			} else if (c == '\n') {
				field = length = digits = 0;
			} else if (!field && length < size - 1) {
				name[length++] = c;
				name[length] = '\0';
			} else if (field == 2 && digits < sizeof(text) - 1) {
				text[digits++] = c;
			}
		}
	}
	if (!found)
		*name = '\0';
	system_call(SYS_close, fd, 0, 0);
}

/* The first item of @list that is @name, or @id if there is one, is left in @item. */
static inline bool rules_match(const struct rules_process *process, const char *list,
			       const char *name, const uint32_t *id, char *item, size_t size)
{
	uint32_t number;

	while (*list) {
		size_t length = 0;

		for (; *list && *list != ':'; list++)
			if (length < size)
				item[length++] = *list;
		if (*list)
			list++;
		/* longer than any path: no pattern of ours */
		if (!length || length == size)
			continue;
		item[length] = '\0';
		if (id && rules_number(item, &number)) {
			if (number == *id)
				return true;
		} else if (*name && process->match &&
			   !process->match(item, name, FNM_EXTMATCH)) {
			return true;
		}
	}
	return false;
}

static inline bool rules_ask(const struct rules_process *process, const char *list,
			     enum ulp_preload_cause cause, struct rules_answer *answer)
{
	const uint32_t *id = cause == ULP_PRELOAD_CAUSE_USER ? &process->uid :
			     cause == ULP_PRELOAD_CAUSE_GROUP ? &process->gid : NULL;
	char name[PATH_MAX];

	if (id) {
		rules_name(cause == ULP_PRELOAD_CAUSE_USER ? process->passwd : process->group,
			   *id, name, sizeof(name));
	} else if (!rules_path(process, name, sizeof(name))) {
		/* somebody wants some programs left alone: it may be this one */
		answer->item[0] = '\0';
		return true;
	}
	return rules_match(process, list, name, id, answer->item, sizeof(answer->item) - 1);
}

/* ULP_PRELOAD_CAUSE_NONE, or why this process is not to be patched. */
static inline enum ulp_preload_cause rules_decide(const struct rules_process *process,
						  struct rules_answer *answer)
{
	static const char prefixes[2][16] = { "LIBULP_", "LIBPULP_" };
	static const char variables[][20] = {
		[ULP_PRELOAD_CAUSE_PATH] = "DISABLE_ON_PATH",
		[ULP_PRELOAD_CAUSE_USER] = "DISABLE_ON_USERS",
		[ULP_PRELOAD_CAUSE_GROUP] = "DISABLE_ON_GROUPS",
	};

	for (int cause = ULP_PRELOAD_CAUSE_PATH; cause <= ULP_PRELOAD_CAUSE_GROUP; cause++) {
		for (int i = 0; i < 2; i++) {
			const char *list = rules_value(process->environment, prefixes[i],
						       variables[cause]);

			answer->prefix = prefixes[i];
			answer->variable = variables[cause];
			if (list && *list &&
			    rules_ask(process, list, (enum ulp_preload_cause)cause, answer))
				return (enum ulp_preload_cause)cause;
		}
	}
	return ULP_PRELOAD_CAUSE_NONE;
}

#endif /* ULP_PRELOAD_RULES_H */
