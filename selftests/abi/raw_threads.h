/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the threads of raw victims (ulp_raw.h) do, and how a test starts them.
 */
#ifndef RAW_THREADS_H
#define RAW_THREADS_H

#include "ulp_raw.h"

/* The victim's; a thread has no other way to it. */
static struct raw_shared *the_shared;

static inline void raw_is_there(void)
{
	__atomic_add_fetch(&the_shared->ready, 1, __ATOMIC_SEQ_CST);
}

/* One call of raw_answer(), which must be wholly old (1) or wholly new (2). */
static inline void raw_look(volatile uint64_t *turns)
{
	unsigned int answer = raw_answer();

	if (answer == 1 || answer == 2)
		the_shared->seen[answer]++;
	else
		the_shared->wrong++;
	++*turns;
}

static inline void *raw_hammers(void *arg)
{
	raw_is_there();
	for (;;)
		raw_look(arg);
	return NULL;
}

static inline void *raw_born(void *arg)
{
	raw_look(arg);
	return NULL;
}

/* Threads, one after the other, each of which looks once. */
static inline void *raw_creates(void *arg)
{
	pthread_t thread;

	raw_is_there();
	for (;;)
		if (!pthread_create(&thread, NULL, raw_born, arg))
			pthread_join(thread, NULL);
	return NULL;
}

/* @nr threads do @fn for ever, each with a counter of its own; this is one of them. */
static inline void raw_crowd(struct raw_shared *shared, void *(*fn)(void *arg), int nr)
{
	pthread_t thread;
	int i;

	the_shared = shared;
	for (i = 1; i < nr; i++)
		if (pthread_create(&thread, NULL, fn, (void *)&shared->count[i]))
			_exit(1);
	fn((void *)&shared->count[0]);
}

/* In a test: victim @fn, as soon as @threads of its threads are there; a session. */
#define START(fn, threads) do {							\
	self->pid = raw_victim(fn, self->shared);				\
	ASSERT_TRUE(RAW_WAIT(self->shared->ready == (threads)));		\
	self->session = raw_session(self->pid);					\
	ASSERT_LE(0, self->session);						\
} while (0)

#endif /* RAW_THREADS_H */
