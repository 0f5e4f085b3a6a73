// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Has workers of io_uring, which are among its threads and never run code of it: one
 * that is inside an operation, one that polls for more; and a thread that waits for the
 * operation to complete.
 *
 *	victim_uring FIFO
 *	waits		"yes" while the operation is not complete, nor the wait over
 *	finish		completes it; its result, and that of the wait
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include "libvictim.h"
#include "victim.h"

#define ENTRIES	4

/**
 * struct ring - one, mapped
 * @fd: of it
 * @params: what the kernel says of it
 * @submissions: the queue
 * @completions: the queue
 * @entries: of the first
 */
struct ring {
	int fd;
	struct io_uring_params params;
	char *submissions, *completions;
	struct io_uring_sqe *entries;
};

static struct ring ring;
static const char *fifo;
static atomic_int waited = 1;	/* result of the wait, 1 before */

static void *ring_map(const struct ring *r, size_t size, off_t what)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, what);

	if (at == MAP_FAILED)
		die("mmap of the ring");
	return at;
}

static void ring_make(struct ring *r)
{
	const struct io_uring_params *p = &r->params;

	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r->params);
	if (r->fd < 0)
		die("io_uring_setup");
	r->submissions = ring_map(r, p->sq_off.array + p->sq_entries * sizeof(uint32_t),
				  IORING_OFF_SQ_RING);
	r->completions = ring_map(r, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
				  IORING_OFF_CQ_RING);
	r->entries = ring_map(r, p->sq_entries * sizeof(*r->entries), IORING_OFF_SQES);
}

/* Opening it sleeps until somebody writes to it; a worker does that. */
static void ring_submit_open(struct ring *r)
{
	r->entries[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_OPENAT, .flags = IOSQE_ASYNC, .fd = AT_FDCWD,
		.addr = (uintptr_t)fifo, .open_flags = O_RDONLY,
	};
	*(uint32_t *)(r->submissions + r->params.sq_off.array) = 0;
	atomic_store((_Atomic uint32_t *)(r->submissions + r->params.sq_off.tail), 1);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) != 1)
		die("io_uring_enter");
}

static bool ring_is_complete(struct ring *r)
{
	return atomic_load((_Atomic uint32_t *)(r->completions + r->params.cq_off.tail)) > 0;
}

static void *waiter_main(void *arg)
{
	long ret = syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);

	(void)arg;
	atomic_store(&waited, ret < 0 ? -errno : 0);
	return NULL;
}

static pthread_t waiter;

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

static void waits(const char *arg)
{
	(void)arg;
	reply(ring_is_complete(&ring) || atomic_load(&waited) != 1 ? "no" : "yes");
}

static void finish(const char *arg)
{
	const struct io_uring_cqe *cqe = (void *)(ring.completions + ring.params.cq_off.cqes);
	int fd = open(fifo, O_WRONLY);

	(void)arg;
	pthread_join(waiter, NULL);
	close(fd);
	reply("opened=%d waited=%d", ring_is_complete(&ring) && cqe->res >= 0,
	      atomic_load(&waited));
}

static const struct victim_command commands[] = {
	{ "answer", answer },
	{ "waits", waits },
	{ "finish", finish },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	static struct ring polled = { .params = { .flags = IORING_SETUP_SQPOLL,
						  .sq_thread_idle = 1 } };

	fifo = argc > 1 ? argv[1] : "";
	ring_make(&ring);
	ring_make(&polled);
	ring_submit_open(&ring);
	if (pthread_create(&waiter, NULL, waiter_main, NULL))
		die("pthread_create");
	return victim_talk(commands);
}
