/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the fuzzer's arguments lie: in good memory, across its end, where it
 * can only be read, and where another thread unmaps and protects it meanwhile.
 */
#ifndef FUZZ_ARENA_H
#define FUZZ_ARENA_H

#include <linux/falloc.h>
#include "fuzz.h"

#define FUZZ_GOOD	0UL			/* offsets in the view */
#define FUZZ_END	(80 * RAW_PAGE)		/* behind it nothing is mapped */
#define FUZZ_READONLY	(81 * RAW_PAGE)
#define FUZZ_RACING	(83 * RAW_PAGE)
#define FUZZ_ARENA	(85 * RAW_PAGE)
#define FUZZ_HEAD	1024UL		/* of the racing page: arguments of ioctls */

/**
 * struct fuzz_arena - of one thread
 * @random: its thread's
 * @view: what the kernel is told
 * @alias: the same memory, always there
 * @fd: of it
 * @used: bytes of the good part, of this call
 * @odd_used: bytes of each other part
 * @steady: nothing of this call is in memory that changes or is not there
 */
struct fuzz_arena {
	struct fuzz_random *random;
	char *view;
	char *alias;
	int fd;
	size_t used, odd_used;
	bool steady;
};

static bool fuzz_arena_make(struct fuzz_arena *arena, struct fuzz_random *random)
{
	arena->random = random;
	arena->fd = memfd_create("fuzz-arena", MFD_CLOEXEC);
	if (arena->fd < 0 || ftruncate(arena->fd, FUZZ_ARENA))
		return false;
	arena->alias = mmap(NULL, FUZZ_ARENA, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
	arena->view = mmap(NULL, FUZZ_ARENA, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
	return arena->alias != MAP_FAILED && arena->view != MAP_FAILED &&
	       !munmap(arena->view + FUZZ_END, RAW_PAGE) &&
	       !munmap(arena->view + FUZZ_RACING - RAW_PAGE, RAW_PAGE) &&
	       !mprotect(arena->view + FUZZ_READONLY, RAW_PAGE, PROT_READ);
}

static void fuzz_arena_begin(struct fuzz_arena *arena)
{
	arena->used = 0;
	arena->odd_used = 0;
	arena->steady = true;
}

/* Good memory for @size bytes; its offset. */
static size_t fuzz_arena_good(struct fuzz_arena *arena, size_t size)
{
	size_t at = arena->used;

	arena->used += (size + 15) & ~15UL;
	if (arena->used > FUZZ_END)
		abort();
	return at;
}

/* The same, or some place that is not so good. */
static size_t fuzz_arena_place(struct fuzz_arena *arena, size_t size)
{
	unsigned int where = fuzz_below(arena->random, 60);
	size_t at = arena->odd_used;

	if (!size || where > 4 || at + size > RAW_PAGE - FUZZ_HEAD)
		return fuzz_arena_good(arena, size);
	arena->steady = false;
	if (!where)
		return FUZZ_END - fuzz_below(arena->random, size);
	arena->odd_used += (size + 15) & ~15UL;
	return (where == 1 ? FUZZ_READONLY : FUZZ_RACING + FUZZ_HEAD) + at;
}

/*
 * An argument for the kernel: a copy of @data, or a pointer to nothing.  @good:
 * no other bytes will do.
 */
static uint64_t fuzz_arena_put(struct fuzz_arena *arena, const void *data, size_t size, bool good)
{
	/* the last page below 0x7ffffffff000 is the stack's: addresses are not random */
	static const uint64_t nowhere[] = {
		0, 1, 0xfff, RAW_PAGE, 0x7ffffffffff8, 0x800000000000,
		0xffff888000000000, 0xffffffff81000000, 0xffffffffff600000, -RAW_PAGE, -8,
	};
	size_t at;

	if (fuzz_once_in(arena->random, 60)) {
		arena->steady = false;
		return FUZZ_PICK(arena->random, nowhere);
	}
	at = good ? fuzz_arena_good(arena, size) : fuzz_arena_place(arena, size);
	memcpy(arena->alias + at, data, size);
	return (uintptr_t)arena->view + at;
}

/* Where the argument of an ioctl itself is put. */
static size_t fuzz_arena_args(struct fuzz_arena *arena, const void *args, size_t size)
{
	size_t at;

	if (fuzz_once_in(arena->random, 30)) {
		arena->steady = false;
		at = FUZZ_RACING;
	} else {
		at = fuzz_arena_place(arena, size);
	}
	memcpy(arena->alias + at, args, size);
	return at;
}

/* Another thread: what is racing is there, or not, or something else. */
static void fuzz_arena_race(struct fuzz_arena *arena, struct fuzz_random *random)
{
	static const uint32_t sizes[] = { 0, 4, 16, 4096, 4097, 0xffffffff };
	char *view = arena->view + FUZZ_RACING;
	uint32_t *head = (uint32_t *)(arena->alias + FUZZ_RACING);

	switch (fuzz_below(random, 6)) {
	case 0:
		mprotect(view, RAW_PAGE, PROT_NONE);
		mprotect(view, RAW_PAGE, PROT_READ);
		break;
	case 1:
		munmap(view, RAW_PAGE);
		break;
	case 2:
		madvise(view, RAW_PAGE, MADV_DONTNEED);
		break;
	case 3:
		fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FUZZ_RACING,
			  RAW_PAGE);
		break;
	case 4:
		head[0] = FUZZ_PICK(random, sizes);
		break;
	default:
		head[1] = fuzz_once_in(random, 2) ? 0 : 0x80000000;
	}
	mmap(view, RAW_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, arena->fd,
	     FUZZ_RACING);
}

#endif /* FUZZ_ARENA_H */
