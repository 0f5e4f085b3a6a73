// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A process whose threads sleep until they are told to wake up, and its patcher:
 *
 *	patch	a transaction on it; "0" or a negative errno
 *	backend	the backend that it used
 *	session	opens a session, instead of the one there was; "0" or a negative errno
 *	hold	holds a thread in it; "held" or the negative errno
 *	close	closes it; "closed"
 *	wake	its threads end their system call; "awake"
 *	quit
 */
#include "ulp_raw.h"

#define THREADS		3

static int wake_fds[2];

static void *sleeps(void *arg)
{
	struct raw_shared *shared = arg;
	char c;

	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	if (read(wake_fds[0], &c, 1) != 1)
		shared->wrong++;
	__atomic_add_fetch(&shared->value, 1, __ATOMIC_SEQ_CST);
	pause();
	return NULL;
}

static void victim(struct raw_shared *shared)
{
	pthread_t thread;
	int i;

	for (i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, sleeps, shared))
			_exit(1);
	sleeps(shared);
}

static int patch(pid_t pid, uint32_t *backend)
{
	struct ulp_transact args = raw_transact_args();
	int ret, session = raw_session(pid);

	args.attempts = 10;
	ret = session < 0 ? session : raw_transact(session, &args);
	*backend = args.out_backend;
	close(session);
	return ret;
}

/* Every thread of a program is inside its code, and sleeps where it called the kernel. */
static const char *hold(int session)
{
	extern char __executable_start[], etext[];
	struct ulp_range range = { (uintptr_t)__executable_start, (uintptr_t)etext };
	struct ulp_transact args = raw_transact_args();
	static char text[16];

	args.flags = ULP_TRANSACT_HOLD;
	args.hold_ns = 10000000000ULL;
	args.ranges = (uintptr_t)&range;
	args.nr_ranges = 1;
	snprintf(text, sizeof(text), "%d", raw_transact(session, &args));
	return args.out_stamp & ULP_STAMP_HELD ? "held" : text;
}

int main(void)
{
	struct raw_shared *shared = raw_shared_new();
	uint32_t backend = 0;
	int session = -1;
	char line[64];
	pid_t pid;

	if (!shared || pipe(wake_fds))
		return 1;
	pid = raw_victim(victim, shared);
	if (!RAW_WAIT(shared->ready == THREADS))
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "patch\n")) {
			printf("%d\n", patch(pid, &backend));
		} else if (!strcmp(line, "backend\n")) {
			printf("%u\n", backend);
		} else if (!strcmp(line, "session\n")) {
			close(session);
			session = raw_session(pid);
			printf("%d\n", session < 0 ? session : 0);
		} else if (!strcmp(line, "hold\n")) {
			puts(hold(session));
		} else if (!strcmp(line, "close\n")) {
			close(session);
			puts("closed");
		} else if (!strcmp(line, "wake\n")) {
			if (write(wake_fds[1], "...", THREADS) != THREADS)
				return 1;
			puts(RAW_WAIT(shared->value == THREADS) ? "awake" : "asleep");
		} else {
			puts("EXIT-SUCCESS");
			break;
		}
	}
	raw_kill(pid);
	return 0;
}
