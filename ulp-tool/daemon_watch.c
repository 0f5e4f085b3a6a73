// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting until a thread that was in the way has run: the kernel's counter of its
 * context switches wakes who polls it.  A thread that sleeps in a function costs
 * nothing as long as it does.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon.h"

#define PAGE		4096UL
#define RING_SIZE	(2 * PAGE)	/* a head and one page, which nobody reads */
#define MS		1000000ULL

void watch_end(struct thread_watch *watch)
{
	if (watch->ring)
		munmap(watch->ring, RING_SIZE);
	if (watch->fd >= 0)
		close(watch->fd);
	*watch = (struct thread_watch)NO_WATCH;
}

int watch_begin(struct thread_watch *watch, pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CONTEXT_SWITCHES,
		.sample_period = 1,
		.wakeup_events = 1,
	};
	int err;

	watch_end(watch);
	watch->fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (watch->fd < 0)
		return -errno;
	/* without it poll() does not wait */
	watch->ring = mmap(NULL, RING_SIZE, PROT_READ, MAP_SHARED, watch->fd, 0);
	if (watch->ring != MAP_FAILED)
		return 0;
	err = -errno;
	watch->ring = NULL;
	watch_end(watch);
	return err;
}

void watch_wait(const struct thread_watch *watch, uint64_t at_least, uint64_t at_most)
{
	/* poll() passes over a descriptor that is negative */
	struct pollfd fd = { .fd = watch->fd, .events = POLLIN };
	uint64_t begin = daemon_now(), took;

	poll(&fd, 1, (int)((at_most + MS - 1) / MS));
	took = daemon_now() - begin;
	if (took < at_least)
		poll(NULL, 0, (int)((at_least - took + MS - 1) / MS));
}
