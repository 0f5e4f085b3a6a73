/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is patched in the fuzzer's victims, at the same addresses in all of
 * them: functions that answer with a number of four equal bytes, so that half
 * an answer shows.
 */
#ifndef FUZZ_PROBES_H
#define FUZZ_PROBES_H

#include "fuzz.h"

/* fuzz_pair() gives the answers of both halves, which change only together. */
extern uint64_t fuzz_pair(void);
extern uint32_t fuzz_half_a(void), fuzz_half_b(void), fuzz_single(void);
extern char fuzz_pair_end[];

__asm__(".pushsection .text.fuzz,\"ax\",@progbits\n"
	".balign 4096\n"
	".globl fuzz_half_a, fuzz_half_b, fuzz_single, fuzz_pair, fuzz_pair_end\n"
	"fuzz_half_a: mov $0x01010101, %eax\n ret\n"
	".balign 64\n"
	"fuzz_pair: push %rbx\n call fuzz_half_a\n mov %eax, %ebx\n call fuzz_half_b\n"
	"shl $32, %rax\n or %rbx, %rax\n pop %rbx\n ret\n"
	"fuzz_pair_end:\n"
	".balign 4096\n"
	"fuzz_half_b: mov $0x01010101, %eax\n ret\n"
	".balign 4096\n"
	"fuzz_single: mov $0x01010101, %eax\n ret\n"
	".balign 4096\n"
	".popsection\n");

#define FUZZ_FUNCTION_SIZE	6
#define FUZZ_VALUES		16	/* answers are 0 ... 15 in each byte */

/* Memory that all victims have. */
#define FUZZ_CALLED		0x1000000000ULL	/* called; dropped, replaced */
#define FUZZ_TORN		0x1100000000ULL	/* read; unmapped, moved */
#define FUZZ_SCRATCH		0x1200000000ULL	/* nobody cares for its contents */
#define FUZZ_SHARED		0x1300000000ULL	/* shared: never to be written to */
#define FUZZ_AWAY		0x1400000000ULL	/* where FUZZ_TORN is moved to */
#define FUZZ_HUGE		0x1500000000ULL	/* hugetlb, where there is any */
#define FUZZ_TABLE		0x1600000000ULL	/* of threads that have not switched */
#define FUZZ_REGION		(2 * RAW_PAGE)
#define FUZZ_TABLE_SIZE		(ULP_UNIVERSE_WORDS * sizeof(uint64_t))
#define FUZZ_SCRATCH_SIZE	(4 * RAW_PAGE)
#define FUZZ_AT			0x100UL		/* the function in each page */

/* Where the fuzzer maps: by callers that commit, and by those that never do. */
#define FUZZ_KEEP		0x200000000000ULL
#define FUZZ_DROP		0x300000000000ULL
#define FUZZ_SLOTS		64
#define FUZZ_LENGTH		(6 * RAW_PAGE)	/* of a mapping, at most */

static inline uint32_t fuzz_value(uint32_t number)
{
	return number * 0x01010101U;
}

static inline bool fuzz_is_value(uint32_t word)
{
	return word == fuzz_value(word & (FUZZ_VALUES - 1));
}

/**
 * struct fuzz_shared - what a victim and the fuzzer share
 * @ready: the victim is going
 * @calm: asked to stop disturbing, and to answer all page faults
 * @quiet: threads that have stopped disturbing
 * @disturbers: threads that disturb
 * @turns: of the threads that call
 * @execs: since its start
 * @wrong: answers that were neither old nor new
 * @mixed: answers that were both
 * @early: system calls that ended without cause
 * @inherited: children that have what was mapped and not committed
 * @value: the last wrong or mixed answer
 */
struct fuzz_shared {
	volatile uint32_t ready, calm, quiet, disturbers;
	uint64_t turns, execs, wrong, mixed, early, inherited, value;
};

static struct fuzz_shared *fuzz_shared;

static inline void fuzz_look_at(uint32_t word)
{
	if (fuzz_is_value(word))
		return;
	fuzz_shared->value = word;
	fuzz_count(&fuzz_shared->wrong);
}

/*
 * The frames of whoever comes next would lie over the return addresses of these
 * calls, and the scan takes a word for a frame.
 */
static __attribute__((noinline)) void fuzz_scrub(void)
{
	volatile char below[2048];
	size_t i;

	for (i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

/* Calls all that can be called. */
static __attribute__((noinline)) void fuzz_look(void)
{
	uint64_t pair = fuzz_pair();

	if ((uint32_t)pair != pair >> 32) {
		fuzz_shared->value = pair;
		fuzz_count(&fuzz_shared->mixed);
	}
	fuzz_look_at(pair);
	fuzz_look_at(fuzz_single());
	fuzz_look_at(((uint32_t (*)(void))(FUZZ_CALLED + FUZZ_AT))());
	fuzz_look_at(((uint32_t (*)(void))(FUZZ_CALLED + RAW_PAGE + FUZZ_AT))());
	fuzz_count(&fuzz_shared->turns);
	fuzz_scrub();
}

/* A file with the function in each of its pages. */
static inline int fuzz_code_file(void)
{
	static const uint8_t code[] = { 0xb8, 1, 1, 1, 1, 0xc3 };
	int fd = memfd_create("fuzz-code", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, FUZZ_REGION) ||
	    pwrite(fd, code, sizeof(code), FUZZ_AT) < 0 ||
	    pwrite(fd, code, sizeof(code), RAW_PAGE + FUZZ_AT) < 0)
		return -1;
	return fd;
}

static inline bool fuzz_map_at(uint64_t addr, size_t size, int prot, int flags, int fd)
{
	return mmap((void *)addr, size, prot, flags | MAP_FIXED, fd, 0) == (void *)addr;
}

#endif /* FUZZ_PROBES_H */
