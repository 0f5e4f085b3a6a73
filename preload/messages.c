// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The ring of messages.  Any thread may say something at any time, a signal handler as
 * well: a place is taken by one atomic addition, and no one waits for anyone.
 */
#include <time.h>

#include "preload.h"

WEAK(clock_gettime);

void line_put(struct line *line, const char *text)
{
	while (*text && line->length < sizeof(line->text))
		line->text[line->length++] = *text++;
}

void line_put_number(struct line *line, uint64_t number)
{
	char digits[21];
	int at = sizeof(digits) - 1;

	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	line_put(line, digits + at);
}

/* The coarse clock is read without a system call, which might be forbidden. */
static uint64_t now(void)
{
	struct timespec time;

	if (!clock_gettime || clock_gettime(CLOCK_REALTIME_COARSE, &time))
		return 0;
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void say(enum ulp_preload_kind kind, const struct line *line)
{
	uint64_t number = __atomic_add_fetch(&ulp_preload_block.head.next, 1, __ATOMIC_RELAXED);
	struct ulp_preload_message *message =
		&ulp_preload_block.messages[(number - 1) % NR_MESSAGES];

	__atomic_store_n(&message->number, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	message->time = now();
	message->kind = kind;
	message->length = line->length;
	for (uint32_t i = 0; i < line->length; i++)
		message->text[i] = line->text[i];
	__atomic_store_n(&message->number, number, __ATOMIC_RELEASE);
}
