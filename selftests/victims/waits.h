/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kinds of waiting of victim_wait.c, which includes this once: how each is set
 * up, waited for and woken.
 */
#ifndef WAITS_H
#define WAITS_H

/* ---- readable things ---- */

static void set_pipe(struct waiter *w)
{
	int fds[2];

	check_fd(pipe(fds));
	w->fd = fds[0];
	w->event_fd = fds[1];
}

static void wake_pipe(struct waiter *w)
{
	if (write(w->event_fd, "x", 1) != 1)
		die("write");
}

static long wait_read(struct waiter *w)
{
	char buffer[256];
	long n = result(read(w->fd, buffer, sizeof(buffer)));

	return n > 0 ? 1 : n;
}

static void set_eventfd(struct waiter *w)
{
	w->fd = eventfd(0, 0);
	check_fd(w->fd);
}

static void wake_eventfd(struct waiter *w)
{
	uint64_t one = 1;

	if (write(w->fd, &one, sizeof(one)) != sizeof(one))
		die("write");
}

static void set_timerfd(struct waiter *w)
{
	w->fd = timerfd_create(CLOCK_MONOTONIC, 0);
	check_fd(w->fd);
}

static long wait_timerfd(struct waiter *w)
{
	struct itimerspec when = { .it_value = in_wait() };
	uint64_t count = 0;
	long n;

	if (timerfd_settime(w->fd, 0, &when, NULL))
		die("timerfd_settime");
	n = result(read(w->fd, &count, sizeof(count)));
	return n == sizeof(count) ? (long)count : n;
}

static void inotify_path(char *path, const struct waiter *w)
{
	sprintf(path, "/tmp/victim_wait.%d.%d", (int)getpid(), w->index);
}

static void set_inotify(struct waiter *w)
{
	char path[64];
	int fd;

	inotify_path(path, w);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	check_fd(fd);
	w->event_fd = fd;
	w->fd = inotify_init();
	check_fd(w->fd);
	check_fd(inotify_add_watch(w->fd, path, IN_MODIFY));
	unlink(path);
}

static void set_signalfd(struct waiter *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3 + w->index);
	w->fd = signalfd(-1, &set, 0);
	check_fd(w->fd);
}

static void wake_signal(struct waiter *w)
{
	kill(getpid(), SIGRTMIN + 3 + w->index);
}

/* ---- sockets ---- */

static void set_pair(struct waiter *w)
{
	struct timeval tv = { .tv_sec = WAIT_NS / 1000000000 };
	int fds[2];

	check_fd(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	w->fd = fds[0];
	w->event_fd = fds[1];
	check_fd(setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
}

static long wait_recv(struct waiter *w)
{
	char c;

	return result(recv(w->fd, &c, 1, 0));
}

static void set_accept(struct waiter *w)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(name);

	w->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	check_fd(w->fd);
	/* no name: the kernel gives it an abstract one */
	check_fd(bind(w->fd, (struct sockaddr *)&name, sizeof(sa_family_t)));
	check_fd(listen(w->fd, 1));
	check_fd(getsockname(w->fd, (struct sockaddr *)&name, &size));
	w->event_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	check_fd(w->event_fd);
}

static long wait_accept(struct waiter *w)
{
	long fd = result(accept(w->fd, NULL, NULL));

	return fd >= 0 ? 1 : fd;
}

static void wake_accept(struct waiter *w)
{
	struct sockaddr_un name;
	socklen_t size = sizeof(name);

	check_fd(getsockname(w->fd, (struct sockaddr *)&name, &size));
	check_fd(connect(w->event_fd, (struct sockaddr *)&name, size));
}

/* ---- polling ---- */

static void set_epoll(struct waiter *w)
{
	struct epoll_event event = { .events = EPOLLIN };

	set_pipe(w);
	event.data.fd = w->fd;
	w->id = epoll_create1(0);
	check_fd(w->id);
	check_fd(epoll_ctl(w->id, EPOLL_CTL_ADD, w->fd, &event));
}

static long wait_epoll(struct waiter *w)
{
	struct epoll_event event;

	return result(epoll_wait(w->id, &event, 1, WAIT_NS / 1000000));
}

static long wait_epoll_ever(struct waiter *w)
{
	struct epoll_event event;

	return result(epoll_wait(w->id, &event, 1, -1));
}

static long wait_poll(struct waiter *w)
{
	struct pollfd pfd = { .fd = w->fd, .events = POLLIN };

	return result(poll(&pfd, 1, WAIT_NS / 1000000));
}

static long wait_ppoll(struct waiter *w)
{
	struct pollfd pfd = { .fd = w->fd, .events = POLLIN };
	struct timespec ts = in_wait();

	return result(ppoll(&pfd, 1, &ts, NULL));
}

static long wait_select(struct waiter *w)
{
	struct timeval tv = { .tv_sec = WAIT_NS / 1000000000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(w->fd, &set);
	return result(select(w->fd + 1, &set, NULL, NULL, &tv));
}

/* ---- time ---- */

static void set_nothing(struct waiter *w)
{
	w->fd = -1;
}

static long wait_nanosleep(struct waiter *w)
{
	struct timespec ts = in_wait();

	(void)w;
	return result(nanosleep(&ts, NULL));
}

static long wait_clock_nanosleep(struct waiter *w)
{
	struct timespec ts = at_wait(CLOCK_MONOTONIC);

	(void)w;
	return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* ---- locks ---- */

static long wait_futex(struct waiter *w)
{
	struct timespec ts = in_wait();

	return result(syscall(SYS_futex, &w->word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0));
}

static long wait_futex_abs(struct waiter *w)
{
	struct timespec ts = at_wait(CLOCK_MONOTONIC);

	return result(syscall(SYS_futex, &w->word, FUTEX_WAIT_BITSET_PRIVATE, 0, &ts, NULL,
			      FUTEX_BITSET_MATCH_ANY));
}

static void set_sem(struct waiter *w)
{
	sem_init(&w->sem, 0, 0);
}

static long wait_sem(struct waiter *w)
{
	struct timespec ts = at_wait(CLOCK_REALTIME);

	return result(sem_timedwait(&w->sem, &ts));
}

static long wait_cond(struct waiter *w)
{
	struct timespec ts = at_wait(CLOCK_REALTIME);
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	int error;

	(void)w;
	pthread_mutex_lock(&mutex);
	error = pthread_cond_timedwait(&cond, &mutex, &ts);
	pthread_mutex_unlock(&mutex);
	return -error;
}

static void set_lock(struct waiter *w)
{
	char path[64];

	inotify_path(path, w);
	w->event_fd = open(path, O_CREAT | O_RDWR, 0600);
	w->fd = open(path, O_RDWR);
	check_fd(w->event_fd);
	check_fd(w->fd);
	unlink(path);
	check_fd(flock(w->event_fd, LOCK_EX));
}

static long wait_lock(struct waiter *w)
{
	return result(flock(w->fd, LOCK_EX));
}

static void wake_lock(struct waiter *w)
{
	flock(w->event_fd, LOCK_UN);
}

/* ---- System V, message queues, asynchronous i/o ---- */

static void set_semop(struct waiter *w)
{
	w->id = semget(IPC_PRIVATE, 1, 0600);
	check_fd(w->id);
}

static long wait_semop(struct waiter *w)
{
	struct sembuf op = { .sem_op = -1 };
	long value = result(semop(w->id, &op, 1));

	semctl(w->id, 0, IPC_RMID);
	return value;
}

static void wake_semop(struct waiter *w)
{
	struct sembuf op = { .sem_op = 1 };

	check_fd(semop(w->id, &op, 1));
}

static void set_msgrcv(struct waiter *w)
{
	w->id = msgget(IPC_PRIVATE, 0600);
	check_fd(w->id);
}

static long wait_msgrcv(struct waiter *w)
{
	struct { long type; char c[8]; } message;
	long value = result(msgrcv(w->id, &message, sizeof(message.c), 0, 0));

	msgctl(w->id, IPC_RMID, NULL);
	return value;
}

static void wake_msgrcv(struct waiter *w)
{
	struct { long type; char c[8]; } message = { 1, "x" };

	check_fd(msgsnd(w->id, &message, 1, 0));
}

static void set_mq(struct waiter *w)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 16 };
	char name[64];

	sprintf(name, "/victim_wait.%d.%d", (int)getpid(), w->index);
	w->queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attr);
	if (w->queue == (mqd_t)-1)
		die("mq_open");
	mq_unlink(name);
}

static long wait_mq(struct waiter *w)
{
	char buffer[16];

	return result(mq_receive(w->queue, buffer, sizeof(buffer), NULL));
}

static void wake_mq(struct waiter *w)
{
	check_fd(mq_send(w->queue, "x", 1, 0));
}

static void set_aio(struct waiter *w)
{
	w->aio = 0;
	check_fd((int)syscall(SYS_io_setup, 1, &w->aio));
}

static long wait_aio(struct waiter *w)
{
	struct timespec ts = in_wait();
	struct io_event event;

	return result(syscall(SYS_io_getevents, w->aio, 1, 1, &event, &ts));
}

/* ---- signals ---- */

static long wait_sigtimedwait(struct waiter *w)
{
	struct timespec ts = in_wait();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3 + w->index);
	return result(sigtimedwait(&set, NULL, &ts));
}

static long wait_sigwaitinfo(struct waiter *w)
{
	sigset_t set;
	long got;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3 + w->index);
	got = result(sigwaitinfo(&set, NULL));
	return got > 0 ? 1 : got;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void wake_handler(struct waiter *w)
{
	syscall(SYS_tgkill, getpid(), w->tid, SIGUSR1);
}

static void set_handler(struct waiter *w)
{
	struct sigaction action = { .sa_handler = on_signal };

	(void)w;
	sigaction(SIGUSR1, &action, NULL);
}

static long wait_pause(struct waiter *w)
{
	(void)w;
	return result(pause());
}

static long wait_sigsuspend(struct waiter *w)
{
	sigset_t set;

	(void)w;
	sigfillset(&set);
	sigdelset(&set, SIGUSR1);
	return result(sigsuspend(&set));
}

/* ---- children ---- */

static void set_child(struct waiter *w)
{
	char c;

	set_pipe(w);
	w->id = fork();
	check_fd(w->id);
	if (!w->id) {
		close(w->event_fd);
		_exit(read(w->fd, &c, 1) == 1 ? 0 : 1);
	}
}

static long wait_child(struct waiter *w)
{
	int status = -1;
	long pid = result(waitpid(w->id, &status, 0));

	return pid == w->id && status == 0 ? 1 : pid;
}

#define TIMED(name, set_up, wait, good)		{ name, true, set_up, wait, good, NULL }
#define EVENT(name, set_up, wait, good, wake)	{ name, false, set_up, wait, good, wake }

static const struct kind kinds[] = {
	TIMED("epoll_wait", set_epoll, wait_epoll, 0),
	EVENT("epoll_wait-infinite", set_epoll, wait_epoll_ever, 1, wake_pipe),
	TIMED("poll", set_pipe, wait_poll, 0),
	TIMED("ppoll", set_pipe, wait_ppoll, 0),
	TIMED("select", set_pipe, wait_select, 0),
	TIMED("recv-timeout", set_pair, wait_recv, -EAGAIN),
	EVENT("accept", set_accept, wait_accept, 1, wake_accept),
	TIMED("nanosleep", set_nothing, wait_nanosleep, 0),
	TIMED("clock_nanosleep-abs", set_nothing, wait_clock_nanosleep, 0),
	TIMED("futex", set_nothing, wait_futex, -ETIMEDOUT),
	TIMED("futex-abs", set_nothing, wait_futex_abs, -ETIMEDOUT),
	TIMED("sem_timedwait", set_sem, wait_sem, -ETIMEDOUT),
	TIMED("cond_timedwait", set_nothing, wait_cond, -ETIMEDOUT),
	EVENT("flock", set_lock, wait_lock, 0, wake_lock),
	EVENT("read-pipe", set_pipe, wait_read, 1, wake_pipe),
	EVENT("read-eventfd", set_eventfd, wait_read, 1, wake_eventfd),
	TIMED("read-timerfd", set_timerfd, wait_timerfd, 1),
	EVENT("read-inotify", set_inotify, wait_read, 1, wake_pipe),
	EVENT("read-signalfd", set_signalfd, wait_read, 1, wake_signal),
	TIMED("io_getevents", set_aio, wait_aio, 0),
	EVENT("semop", set_semop, wait_semop, 0, wake_semop),
	EVENT("msgrcv", set_msgrcv, wait_msgrcv, 1, wake_msgrcv),
	EVENT("mq_receive", set_mq, wait_mq, 1, wake_mq),
	TIMED("sigtimedwait", set_nothing, wait_sigtimedwait, -EAGAIN),
	EVENT("sigwaitinfo", set_nothing, wait_sigwaitinfo, 1, wake_signal),
	EVENT("pause", set_handler, wait_pause, -EINTR, wake_handler),
	EVENT("sigsuspend", set_handler, wait_sigsuspend, -EINTR, wake_handler),
	EVENT("wait4", set_child, wait_child, 1, wake_pipe),
};

#endif /* WAITS_H */
