/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that call victim_outer() all the time and count what it says: wholly
 * old, wholly new, or, which must never be, a mixture of the two.
 */
#ifndef HAMMER_H
#define HAMMER_H

#include <pthread.h>
#include <sys/resource.h>
#include "libvictim.h"
#include "victim.h"

#define OUTER_OLD	0x10102
#define OUTER_NEW	0x20304
#define MAX_HAMMERS	64

struct hammer {
	pthread_t thread;
	uint64_t old_calls, new_calls, mixed_calls;
	uint64_t longest_gap;
	long wrong;
};

static struct hammer hammers[MAX_HAMMERS];
static int nr_hammers;
static volatile int hammer_stop;
/* loops between two calls: a thread is seldom inside the functions */
static int hammer_rest = 3000;

static void hammer_count(struct hammer *hammer, long value)
{
	if (value == OUTER_OLD) {
		hammer->old_calls++;
	} else if (value == OUTER_NEW) {
		hammer->new_calls++;
	} else {
		hammer->mixed_calls++;
		hammer->wrong = value;
	}
}

static void *hammer_main(void *arg)
{
	struct hammer *hammer = arg;
	uint64_t last = now_ns();

	/* the tool has to get a processor too */
	setpriority(PRIO_PROCESS, (id_t)tid_self(), 5);
	while (!hammer_stop) {
		uint64_t now;

		for (volatile int i = 0; i < hammer_rest; i++)
			;
		hammer_count(hammer, victim_outer());
		now = now_ns();
		if (now - last > hammer->longest_gap)
			hammer->longest_gap = now - last;
		last = now;
	}
	return NULL;
}

/* hammer N: start them */
__attribute__((unused))
static void hammer_start(const char *arg)
{
	int wanted = atoi(arg);

	hammer_stop = 0;
	for (nr_hammers = 0; nr_hammers < wanted && nr_hammers < MAX_HAMMERS; nr_hammers++) {
		struct hammer *hammer = &hammers[nr_hammers];

		memset(hammer, 0, sizeof(*hammer));
		if (pthread_create(&hammer->thread, NULL, hammer_main, hammer))
			die("pthread_create");
	}
	reply("hammering %d", nr_hammers);
}

/* hammered: "old=N new=N mixed=N" since they were started */
static void hammer_report(const char *arg)
{
	uint64_t old_calls = 0, new_calls = 0, mixed = 0;
	long wrong = 0;

	(void)arg;
	for (int i = 0; i < nr_hammers; i++) {
		old_calls += hammers[i].old_calls;
		new_calls += hammers[i].new_calls;
		mixed += hammers[i].mixed_calls;
		if (hammers[i].wrong)
			wrong = hammers[i].wrong;
	}
	if (wrong)
		fprintf(stderr, "a mixture: %#lx\n", wrong);
	reply("old=%d new=%d mixed=%llu", old_calls != 0, new_calls != 0,
	      (unsigned long long)mixed);
}

/* unhammer: stop them, report */
__attribute__((unused))
static void hammer_end(const char *arg)
{
	hammer_stop = 1;
	for (int i = 0; i < nr_hammers; i++)
		pthread_join(hammers[i].thread, NULL);
	hammer_report(arg);
	nr_hammers = 0;
}

/* gap: longest time, in ns, that any of them did not run, since the last asking */
__attribute__((unused))
static void hammer_gap(const char *arg)
{
	uint64_t longest = 0;

	(void)arg;
	for (int i = 0; i < nr_hammers; i++) {
		if (hammers[i].longest_gap > longest)
			longest = hammers[i].longest_gap;
		hammers[i].longest_gap = 0;
	}
	reply("%llu", (unsigned long long)longest);
}

#define HAMMER_COMMANDS			\
	{ "hammer", hammer_start },	\
	{ "hammered", hammer_report },	\
	{ "unhammer", hammer_end },	\
	{ "gap", hammer_gap }

#endif /* HAMMER_H */
