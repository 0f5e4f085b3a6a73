// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The daemon's sockets: uapi/ulp_daemon.h, and that of the service manager.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../uapi/ulp_daemon.h"
#include "daemon.h"

/* A client that says nothing must not keep others waiting. */
#define CLIENT_S	1
#define BACKLOG		64

int daemon_listen(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = ULP_DAEMON_SOCKET };
	char directory[] = ULP_DAEMON_SOCKET;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	*strrchr(directory, '/') = '\0';
	if (mkdir(directory, 0755) && errno != EEXIST)
		goto fail;
	/* we have the sensor: whoever made it is gone */
	if (unlink(ULP_DAEMON_SOCKET) && errno != ENOENT)
		goto fail;
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) &&
	    !chmod(ULP_DAEMON_SOCKET, 0666) && !listen(fd, BACKLOG))
		return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

void daemon_unlisten(void)
{
	unlink(ULP_DAEMON_SOCKET);
}

pid_t daemon_client(int fd)
{
	const struct timeval limit = { .tv_sec = CLIENT_S };
	char line[ULP_DAEMON_ANSWER_MAX];	/* all of it, or closing would reset */
	struct ucred peer;
	socklen_t size = sizeof(peer);
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.pid <= 0)
		return -1;
	n = recv(fd, line, sizeof(line), 0);
	return n == sizeof(ULP_DAEMON_REQUEST) - 1 && !memcmp(line, ULP_DAEMON_REQUEST, (size_t)n) ?
		peer.pid : -1;
}

/* @applied: how many, or the code of one that was not */
void daemon_answer(int fd, int applied)
{
	char line[ULP_DAEMON_ANSWER_MAX];

	if (applied < 0)
		snprintf(line, sizeof(line), ULP_DAEMON_FAILED "%s\n", ulp_reason(applied));
	else
		snprintf(line, sizeof(line), ULP_DAEMON_DONE "%d\n", applied);
	/* a client that is gone is no error */
	send(fd, line, strlen(line), MSG_NOSIGNAL);
}

void daemon_notify(const char *state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}
