// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of users.  The tool is a static program, into which the C library can load
 * no name service: who is not in /etc/passwd is asked for by getent(1).
 */
#include <pwd.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmds.h"

extern char **environ;

/* @key is a name, or a uid in digits. */
static bool is_wanted(const struct passwd *entry, const char *key)
{
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", entry->pw_uid);
	return !strcmp(entry->pw_name, key) || !strcmp(uid, key);
}

static bool find(FILE *file, const char *key, uid_t *uid, char **name)
{
	struct passwd *entry;

	while ((entry = fgetpwent(file))) {
		if (!is_wanted(entry, key))
			continue;
		*uid = entry->pw_uid;
		*name = strdup(entry->pw_name);
		if (!*name)
			out_of_memory();
		return true;
	}
	return false;
}

/* What "getent passwd KEY" prints, in a file: fgetpwent() goes back in it. */
static FILE *ask_getent(const char *key)
{
	char *const argv[] = { "getent", "passwd", "--", (char *)key, NULL };
	posix_spawn_file_actions_t actions;
	int fd = memfd_create("getent", MFD_CLOEXEC), err;
	FILE *file = NULL;
	pid_t pid;

	if (fd < 0)
		return NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
	err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (!err && waitpid(pid, NULL, 0) == pid && !lseek(fd, 0, SEEK_SET))
		file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

bool user_find(const char *key, uid_t *uid, char **name)
{
	FILE *file = fopen("/etc/passwd", "re");
	bool found = file && find(file, key, uid, name);

	if (file)
		fclose(file);
	if (found)
		return true;
	file = ask_getent(key);
	if (!file)
		return false;
	found = find(file, key, uid, name);
	fclose(file);
	return found;
}
