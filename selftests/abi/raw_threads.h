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

/*
 * A plan with something of everything: two writes, stale words, a subject.  @args
 * brings flags and limits.
 */
static inline int raw_change(int session, uint32_t backend, uint32_t from, uint32_t to,
			     struct ulp_transact *args)
{
	static char stack[256];
	struct ulp_subject subject = {
		.size = sizeof(subject), .action = ULP_ACTION_APPLY, .name = "fault",
		.nr_functions = 1, .functions_size = 2, .functions = (uintptr_t)"f",
	};
	/* not on our stack, of which a victim has a copy */
	static struct ulp_range range = { (uintptr_t)raw_spin + 1, (uintptr_t)raw_spin + 2 };
	struct ulp_stale stale = { };
	struct ulp_write writes[2];
	int i;

	for (i = 0; i < 2; i++)
		writes[i] = (struct ulp_write) {
			.addr = RAW_ANSWER_AT(i ? raw_answer2 : raw_answer), .len = 4,
			.expected = (uintptr_t)&from, .bytes = (uintptr_t)&to,
		};
	args->backend = backend;
	args->flags |= ULP_TRANSACT_NO_STAMPS;
	args->ranges = (uintptr_t)&range;
	args->nr_ranges = 1;
	args->writes = (uintptr_t)writes;
	args->nr_writes = 2;
	args->stale = (uintptr_t)&stale;
	args->nr_stale = 1;
	args->stack = (uintptr_t)stack;
	args->stack_size = sizeof(stack);
	args->subject = (uintptr_t)&subject;
	return raw_transact(session, args);
}

/* In a test: victim @fn, as soon as @threads of its threads are there; a session. */
#define START(fn, threads) do {							\
	self->pid = raw_victim(fn, self->shared);				\
	ASSERT_TRUE(RAW_WAIT(self->shared->ready == (threads)));		\
	self->session = raw_session(self->pid);					\
	ASSERT_LE(0, self->session);						\
} while (0)

#endif /* RAW_THREADS_H */
