// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The process that is patched, and that measures what it feels of it.
 *
 *	bench_victim SHARED THREADS SPINNING [pin] [inside]
 *
 * SHARED is a file descriptor with a struct bench_shared.  There are THREADS
 * threads with the main thread, of which SPINNING never sleep; the middle one of
 * these is the probe that measures the gap: neither the first to be stopped and
 * released, nor the last.  "pin" gives the probe processor 0
 * for itself and leaves the others to the rest, so that what it feels is the
 * patching and not the other threads.  With "inside", one more thread sleeps in
 * old_sleep() for ever, and one more spins in old_spin().
 *
 * Prints "ready", then answers lines from standard input until they end:
 *
 *	calls N		call old_100() N times; answers the nanoseconds it took
 *	counted N	the same of counted_100(), which asks a counter of its thread
 *	malloc N	malloc() and free() N times, of several sizes; nanoseconds, too
 *	value		answers what old_100(1) returns
 */
#include <err.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench.h"

#define KEEP __attribute__((noipa, used))

/*
 * The functions have pages of their own: an emulated processor pays for each
 * write to a page of which it is executing something.
 */
#define REPLACED ".text_replaced"
__asm__(".pushsection " REPLACED ", \"ax\", @progbits\n\t.balign 4096\n\t.popsection");

/* Both versions do the same work: what a patched call costs more is the jump. */
#define FUNCTIONS(n) \
	int old_##n(int x); \
	int new_##n(int x); \
	KEEP __attribute__((section(REPLACED))) int old_##n(int x) { return x * 3 + (n); } \
	KEEP int new_##n(int x) { return x * 3 + (n) + 1000; }
BENCH_HUNDRED(FUNCTIONS)

/*
 * What a patched entry would cost if each thread had a counter of its switches, in a
 * library that it was started with: the counter is compared, then the new code entered.
 */
static __thread unsigned int thread_switches __attribute__((tls_model("initial-exec")));
unsigned int process_switches = 1;

int counted_100(int x);
KEEP int counted_100(int x)
{
	if (__builtin_expect(thread_switches == process_switches, 1))
		return new_100(x);
	return x * 3 + 100;
}

static struct bench_shared *shared;
static bool pinned;

int old_sleep(void);
int new_sleep(void);
int old_spin(void);
int new_spin(void);

/* The loop keeps the call from being the last thing, a jump. */
KEEP int old_sleep(void)
{
	int n = 0;

	while (poll(NULL, 0, -1) != 1)
		n++;
	return n;
}

KEEP int new_sleep(void)
{
	return 1;
}

KEEP int old_spin(void)
{
	volatile int n = 0;

	while (n >= 0)
		n = !n;
	return n;
}

KEEP int new_spin(void)
{
	return 2;
}

static void pin_to(bool probe)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	if (!pinned || cpus < 2)
		return;
	CPU_ZERO(&set);
	for (int cpu = probe ? 0 : 1; cpu < (probe ? 1 : cpus); cpu++)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

static void *probe(void *arg)
{
	uint64_t last, longest = 0;
	uint32_t seen = 0;

	pin_to(true);
	last = bench_now();
	for (;;) {
		uint64_t now = bench_now();
		uint32_t generation = atomic_load_explicit(&shared->generation,
							   memory_order_relaxed);

		if (now - last > longest)
			longest = now - last;
		if (generation != seen) {
			seen = generation;
			atomic_store(&shared->longest_gap_ns, longest);
			atomic_store(&shared->seen, seen);
			longest = 0;
		}
		last = now;
	}
	return arg;
}

static void *spin(void *arg)
{
	volatile unsigned long turns = 0;

	pin_to(false);
	for (;;)
		turns++;
	return arg;
}

static void *sleep_for_ever(void *arg)
{
	pin_to(false);
	for (;;)
		poll(NULL, 0, -1);
	return arg;
}

static void *sleep_inside(void *arg)
{
	pin_to(false);
	old_sleep();
	return arg;
}

static void *spin_inside(void *arg)
{
	pin_to(false);
	old_spin();
	return arg;
}

static void start(void *(*run)(void *))
{
	pthread_t thread;
	int status = pthread_create(&thread, NULL, run, NULL);

	if (status)
		errx(1, "pthread_create: %s", strerror(status));
}

static uint64_t call(int (*volatile function)(int), unsigned long count)
{
	uint64_t begin = bench_now();

	while (count--)
		function(1);
	return bench_now() - begin;
}

static uint64_t allocate(unsigned long count)
{
	void *volatile blocks[64] = { NULL };
	uint64_t begin = bench_now();

	for (unsigned long i = 0; i < count; i++) {
		free(blocks[i % 64]);
		blocks[i % 64] = malloc(16 + i * 7919 % 3000);
	}
	for (int i = 0; i < 64; i++)
		free(blocks[i]);
	return bench_now() - begin;
}

static void answer(const char *line)
{
	unsigned long count;
	uint64_t said;

	if (sscanf(line, "calls %lu", &count) == 1)
		said = call(old_100, count);
	else if (sscanf(line, "counted %lu", &count) == 1)
		said = call(counted_100, count);
	else if (sscanf(line, "malloc %lu", &count) == 1)
		said = allocate(count);
	else
		said = (uint64_t)old_100(1);
	printf("%llu\n", (unsigned long long)said);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	bool inside = false;
	int threads, spinning;
	char line[64];

	if (argc < 4)
		errx(2, "usage: bench_victim SHARED THREADS SPINNING [pin] [inside]");
	threads = atoi(argv[2]);
	spinning = atoi(argv[3]);
	for (int i = 4; i < argc; i++) {
		pinned |= !strcmp(argv[i], "pin");
		inside |= !strcmp(argv[i], "inside");
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[1]), 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	pin_to(false);
	thread_switches = process_switches;
	for (int i = 1; i < threads; i++) {
		if (i <= spinning)
			start(i == (spinning + 1) / 2 ? probe : spin);
		else
			start(sleep_for_ever);
	}
	if (inside) {
		start(sleep_inside);
		start(spin_inside);
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		answer(line);
	return 0;
}
