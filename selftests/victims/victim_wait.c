// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waits in system calls: one process for each kind of waiting, its main thread
 * and another thread both inside it.  A wait with a timeout must neither end
 * early nor start its time again; a wait for an event must not end before the
 * event; none may say EINTR.
 *
 * The clock by which a wait ends may lag behind the one we look at, some count
 * jiffies, most of all when the machine is emulated and busy.  So each kind with a
 * timeout has a control, a process that does the same and that nobody patches, and
 * what counts is whether its waits are as short.
 *
 *	pids	the processes, without the controls
 *	finish	send the events, end all; then one line for each kind:
 *		"KIND ok WAITS EARLY", EARLY being the most microseconds that a wait
 *		was too short, "KIND control WAITS EARLY", or "KIND FAILED what
 *		happened"; then "end"
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "libvictim.h"
#include "victim.h"

#define WAIT_NS		2000000000ull	/* of each wait with a timeout */

struct waiter {
	pthread_t thread;
	pid_t tid;
	int index;		/* 0 main, 1 the other thread */
	int fd, event_fd;	/* what it waits for, what wakes it */
	int id;			/* System V id, or pid */
	mqd_t queue;
	sem_t sem;
	aio_context_t aio;
	uint32_t word;
	int waits;
	uint64_t early;		/* ns, the most */
	char wrong[160];
};

struct kind {
	const char *name;
	bool timed;
	void (*set_up)(struct waiter *w);
	/* one wait: what the call returned, -errno for -1 */
	long (*wait)(struct waiter *w);
	long good;		/* the one right result */
	void (*wake)(struct waiter *w);
};

static struct waiter waiters[2];
static const struct kind *this_kind;
static volatile bool finishing;

static long result(long value)
{
	return value == -1 ? -errno : value;
}

static struct timespec in_wait(void)
{
	return (struct timespec){ .tv_sec = WAIT_NS / 1000000000, .tv_nsec = WAIT_NS % 1000000000 };
}

static struct timespec at_wait(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_sec += WAIT_NS / 1000000000;
	return ts;
}

static void check_fd(int fd)
{
	if (fd < 0)
		die("set up");
}

#include "waits.h"

/* Behind the kinds their controls; those of kinds without a timeout stay empty. */
#define NR_KINDS	ARRAY_SIZE(kinds)
#define NR_CHILDREN	(2 * NR_KINDS)

static pid_t pids[NR_CHILDREN];
static int finish_fds[NR_CHILDREN];
static FILE *reports[NR_CHILDREN];

static void one_wait(struct waiter *w)
{
	uint64_t start = now_ns(), took;
	long value = this_kind->wait(w);

	took = now_ns() - start;
	w->waits++;
	if (w->wrong[0])
		return;
	if (this_kind->timed && took < WAIT_NS && WAIT_NS - took > w->early)
		w->early = WAIT_NS - took;
	if (value != this_kind->good)
		sprintf(w->wrong, "%s returned %ld at wait %d", w->index ? "thread" : "main",
			value, w->waits);
	else if (!this_kind->timed && !finishing)
		sprintf(w->wrong, "%s returned early, after %llu us, at wait %d",
			w->index ? "thread" : "main", (unsigned long long)took / 1000, w->waits);
	else if (this_kind->timed && took > 2 * WAIT_NS)
		sprintf(w->wrong, "%s waited %llu us for a timeout of %llu",
			w->index ? "thread" : "main", (unsigned long long)took / 1000,
			(unsigned long long)WAIT_NS / 1000);
}

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;

	w->tid = tid_self();
	do
		one_wait(w);
	while (this_kind->timed && !finishing && !w->wrong[0]);
	return NULL;
}

/* Until the parent says finish, by closing its end. */
static void *controller_main(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char c;

	while (read(fd, &c, 1) < 0 && errno == EINTR)
		;
	finishing = true;
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
		/* not before it is inside, or the event is lost for pause() */
		while (!waiters[i].tid || task_state(waiters[i].tid) == 'R')
			sched_yield();
		if (this_kind->wake)
			this_kind->wake(&waiters[i]);
	}
	return NULL;
}

static void child(const struct kind *kind, bool control, int finish_fd, FILE *report)
{
	const struct waiter *w = waiters;
	pthread_t controller;
	sigset_t set;

	this_kind = kind;
	/* libvictim is to be there: call it */
	if (victim_answer(0) != 42)
		die("answer");
	sigemptyset(&set);
	for (int i = 0; i < 2; i++)
		sigaddset(&set, SIGRTMIN + 3 + i);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 2; i++) {
		waiters[i].index = i;
		kind->set_up(&waiters[i]);
	}
	if (pthread_create(&controller, NULL, controller_main, (void *)(intptr_t)finish_fd) ||
	    pthread_create(&waiters[1].thread, NULL, waiter_main, &waiters[1]))
		die("pthread_create");
	waiter_main(&waiters[0]);
	pthread_join(waiters[1].thread, NULL);
	pthread_join(controller, NULL);
	if (waiters[0].wrong[0] || waiters[1].wrong[0])
		fprintf(report, "%s FAILED %s; %s\n", kind->name, waiters[0].wrong,
			waiters[1].wrong);
	else
		fprintf(report, "%s %s %d %llu\n", kind->name, control ? "control" : "ok",
			w[0].waits + w[1].waits, (unsigned long long)
			(w[0].early > w[1].early ? w[0].early : w[1].early) / 1000);
	fflush(report);
	_exit(0);
}

static void start(size_t i)
{
	int finish[2], report[2];

	check_fd(pipe2(finish, O_CLOEXEC));
	check_fd(pipe2(report, O_CLOEXEC));
	pids[i] = fork();
	check_fd(pids[i]);
	if (!pids[i]) {
		/* the other children's ends must not be held open here */
		for (size_t k = 0; k < i; k++)
			if (pids[k])
				close(finish_fds[k]);
		close(finish[1]);
		close(0);
		child(&kinds[i % NR_KINDS], i >= NR_KINDS, finish[0], fdopen(report[1], "w"));
	}
	close(finish[0]);
	close(report[1]);
	finish_fds[i] = finish[1];
	reports[i] = fdopen(report[0], "r");
}

static void list(const char *arg)
{
	(void)arg;
	for (size_t i = 0; i < NR_KINDS; i++)
		printf("%d ", (int)pids[i]);
	reply("%s", "");
}

static void finish_all(const char *arg)
{
	char line[512];
	int status;

	(void)arg;
	for (size_t i = 0; i < NR_CHILDREN; i++)
		if (pids[i])
			close(finish_fds[i]);
	for (size_t i = 0; i < NR_CHILDREN; i++) {
		const char *name = kinds[i % NR_KINDS].name;

		if (!pids[i])
			continue;
		if (!fgets(line, sizeof(line), reports[i]))
			sprintf(line, "%s FAILED: no report\n", name);
		fputs(line, stdout);
		if (waitpid(pids[i], &status, 0) != pids[i] || status)
			printf("%s FAILED: wait status %#x\n", name, (unsigned int)status);
	}
	reply("end");
}

int main(void)
{
	static const struct victim_command commands[] = {
		{ "pids", list },
		{ "finish", finish_all },
		{ NULL, NULL },
	};

	for (size_t i = 0; i < NR_CHILDREN; i++)
		if (i < NR_KINDS || kinds[i - NR_KINDS].timed)
			start(i);
	return victim_talk(commands);
}
