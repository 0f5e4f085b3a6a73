// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether a process will opt out, once its preload library gets to run: one that is held
 * at its start, to be patched before any code of its libraries runs (enable.rst).  The same
 * rules, asked from outside; the process has done nothing yet that could change them.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../preload/rules.h"
#include "internal.h"

#define NR_VARIABLES	16

/* Those of its environment that may be ours; ends with NULL. */
static void read_variables(const struct ulp_target *target, char *variables[NR_VARIABLES + 1])
{
	FILE *file = ulp_target_file(target, "environ");
	char *text = NULL;
	size_t room = 0, nr = 0;

	while (file && nr < NR_VARIABLES && getdelim(&text, &room, '\0', file) > 0) {
		if (strncmp(text, "LIBULP_", 7) != 0 && strncmp(text, "LIBPULP_", 8) != 0)
			continue;
		variables[nr++] = text;
		text = NULL;
		room = 0;
	}
	variables[nr] = NULL;
	free(text);
	if (file)
		fclose(file);
}

/* The real user and group. */
static bool read_ids(const struct ulp_target *target, struct rules_process *process)
{
	FILE *file = ulp_target_file(target, "status");
	bool user = false, group = false;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		uint32_t id = (uint32_t)strtoul(line + strcspn(line, "\t\n"), NULL, 10);

		if (!strncmp(line, "Uid:", 4)) {
			process->uid = id;
			user = true;
		} else if (!strncmp(line, "Gid:", 4)) {
			process->gid = id;
			group = true;
		}
	}
	if (file)
		fclose(file);
	return user && group;
}

/*
 * A regular file as the process sees it, else "", which leads nowhere.  Links on the way
 * are the process's choice: they are not to lead us out of its root, to a device of ours.
 */
static int root_file(const struct ulp_target *target, const char *name, char *path, size_t size)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int root = ulp_target_proc(target, "root", O_PATH | O_DIRECTORY), fd = -1;
	struct stat st;

	path[0] = '\0';
	if (root >= 0) {
		fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
		close(root);
	}
	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		snprintf(path, size, "/proc/self/fd/%d", fd);
	return fd;
}

enum ulp_preload_cause ulp_opt_out_early(const struct ulp_target *target)
{
	char *variables[NR_VARIABLES + 1], exe[64], passwd[64], group[64];
	struct rules_process process = {
		.environment = variables, .exe = exe, .passwd = passwd, .group = group,
		.match = fnmatch,
	};
	enum ulp_preload_cause cause = ULP_PRELOAD_CAUSE_NONE;
	struct rules_answer answer;
	int files[2];

	if (ulp_target_auxv(target, AT_SECURE))
		return cause;
	read_variables(target, variables);
	snprintf(exe, sizeof(exe), "/proc/%d/exe", target->pid);
	files[0] = root_file(target, "etc/passwd", passwd, sizeof(passwd));
	files[1] = root_file(target, "etc/group", group, sizeof(group));
	if (variables[0] && read_ids(target, &process))
		cause = rules_decide(&process, &answer);
	for (size_t i = 0; i < 2; i++)
		if (files[i] >= 0)
			close(files[i]);
	for (size_t i = 0; variables[i]; i++)
		free(variables[i]);
	return cause;
}
