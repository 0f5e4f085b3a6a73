/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The socket of "ulp-tool daemon", for a process that has just loaded an object
 * and has not run any code of it yet: it asks to get what is enabled for it.
 */
#ifndef _UAPI_ULP_DAEMON_H
#define _UAPI_ULP_DAEMON_H

/**
 * DOC: Asking for the enabled patches
 *
 * A stream socket (AF_UNIX) that anybody may connect to.  The client writes one
 * line and reads one line; then the daemon closes the connection.
 *
 *	-> loaded
 *	<- done 2		so many patches were applied now; 0: nothing was to do
 *	<- failed busy		at least one was not: the word is that of ulp_reason()
 *
 * Which process asks, the daemon reads from the socket (SO_PEERCRED), in its own
 * pid namespace: a process can ask for nobody but itself, and gets nothing but
 * what the administrator has enabled.  The process may go on running meanwhile;
 * its other threads are held as in any apply.
 *
 * A client must not wait for ever: no answer within %ULP_DAEMON_TIMEOUT_MS, no
 * socket, or an answer that is none of these means that it goes on unpatched.
 */

#define ULP_DAEMON_SOCKET	"/run/ulp/daemon"
#define ULP_DAEMON_REQUEST	"loaded\n"
#define ULP_DAEMON_DONE		"done "
#define ULP_DAEMON_FAILED	"failed "
#define ULP_DAEMON_ANSWER_MAX	64	/* bytes, with the newline */
#define ULP_DAEMON_TIMEOUT_MS	2000

#endif /* _UAPI_ULP_DAEMON_H */
