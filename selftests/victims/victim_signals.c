// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Gets signals a thousand times a second, from a child with sigqueue() and from
 * a timer, and counts them: none may be lost.  A real-time signal is queued
 * once for each sending; a timer says how many it left out (overruns).
 *
 *	start
 *	stop	"sent=N lost=N wrong-order=N ticks-lost=N"
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include "libvictim.h"
#include "victim.h"

#define PERIOD_NS	1000000
#define LOOKS		50

static volatile uint64_t received, out_of_order, ticks;
/* of the last ticks: how many it was short of those due, where that was least */
static volatile uint64_t missing, looks;
static volatile int last;
static timer_t timer;
static struct timespec timer_start;
static pid_t sender;
static int sender_in, sender_out;

static void on_queued(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	received++;
	if (info->si_value.sival_int != last + 1)
		out_of_order++;
	last = info->si_value.sival_int;
	/* something to be interrupted in */
	if (victim_answer(0) == 0)
		abort();
}

/* The ticks that were due from the first one until now. */
static uint64_t ticks_due(void)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (now.tv_sec - timer_start.tv_sec - 1) * 1000000000ll + now.tv_nsec -
	     timer_start.tv_nsec;
	return ns < 0 ? 0 : (uint64_t)ns / PERIOD_NS + 1;
}

static void on_tick(int sig, siginfo_t *info, void *context)
{
	uint64_t due, short_of;

	(void)sig;
	(void)context;
	ticks += 1u + (unsigned int)info->si_overrun;
	due = ticks_due();
	short_of = ticks >= due ? 0 : due - ticks;
	if (!looks++ || short_of < missing)
		missing = short_of;
}

/* The child: a signal each period until the pipe closes, then how many. */
static void send_signals(int in, int out)
{
	struct timespec period = { .tv_nsec = PERIOD_NS };
	int sent = 0;
	char c;

	while (read(in, &c, 1) < 0 && errno == EAGAIN) {
		union sigval value = { .sival_int = sent + 1 };

		/* EAGAIN: the queue is full, this one was not sent */
		if (!sigqueue(getppid(), SIGRTMIN + 1, value))
			sent++;
		nanosleep(&period, NULL);
	}
	if (write(out, &sent, sizeof(sent)) != sizeof(sent))
		_exit(1);
	_exit(0);
}

static void start(const char *arg)
{
	struct itimerspec when = { .it_interval = { .tv_nsec = PERIOD_NS } };
	int in[2], out[2];

	(void)arg;
	received = out_of_order = ticks = 0;
	last = 0;
	if (pipe2(in, O_CLOEXEC | O_NONBLOCK) || pipe2(out, O_CLOEXEC))
		die("pipe");
	sender = fork();
	if (!sender) {
		close(in[1]);
		send_signals(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	sender_in = in[1];
	sender_out = out[0];
	clock_gettime(CLOCK_MONOTONIC, &timer_start);
	when.it_value = timer_start;
	when.it_value.tv_sec += 1;
	if (timer_settime(timer, TIMER_ABSTIME, &when, NULL))
		die("timer_settime");
	reply("started");
}

static void stop(const char *arg)
{
	struct itimerspec never = { .it_value = { 0, 0 } };
	struct timespec moment = { .tv_nsec = 50 * PERIOD_NS };
	int sent = 0, status;

	(void)arg;
	/*
	 * A tick that was lost is missing for ever, one that is only late is not: some
	 * come in time.  Whether one counts that is due while the timer is stopped
	 * depends on the kernel, so all are looked at before.
	 */
	looks = 0;
	while (looks < LOOKS)
		nanosleep(&moment, NULL);
	timer_settime(timer, 0, &never, NULL);
	close(sender_in);
	while (read(sender_out, &sent, sizeof(sent)) < 0 && errno == EINTR)
		;
	while (waitpid(sender, &status, 0) < 0 && errno == EINTR)
		;
	close(sender_out);
	/* what was sent is queued, and delivered at the next system call */
	while (nanosleep(&moment, &moment) && errno == EINTR)
		;
	reply("sent=%d lost=%lld wrong-order=%llu ticks-lost=%llu", sent > 100,
	      (long long)sent - (long long)received, (unsigned long long)out_of_order,
	      (unsigned long long)missing);
}

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

static void *spinner_main(void *arg)
{
	(void)arg;
	for (;;) {
		for (volatile int i = 0; i < 3000; i++)
			;
		if (victim_answer(0) == 0)
			abort();
	}
	return NULL;
}

int main(void)
{
	static const struct victim_command commands[] = {
		{ "start", start },
		{ "stop", stop },
		{ "answer", answer },
		{ NULL, NULL },
	};
	struct sigaction action = {
		.sa_sigaction = on_queued,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2 };
	pthread_t thread;
	sigset_t set;

	sigfillset(&action.sa_mask);
	sigaction(SIGRTMIN + 1, &action, NULL);
	action.sa_sigaction = on_tick;
	sigaction(SIGRTMIN + 2, &action, NULL);
	/* one thread takes the signals, so that their order is known */
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, spinner_main, NULL))
		die("pthread_create");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		die("timer_create");
	return victim_talk(commands);
}
