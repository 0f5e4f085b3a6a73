// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A library that is there to be patched: exported, hidden and static
 * functions, variables, thread-local variables, and functions to be busy in.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "libvictim.h"

#define WHOLE	__attribute__((noipa))
#define HIDDEN	__attribute__((visibility("hidden")))

int victim_counter = 100;
static int hidden_counter = 7;
__thread int victim_tls = 5;
static __thread int hidden_tls = 3;

/* What the variables are now, as this library sees them. */
int victim_read_counter(void)
{
	return hidden_counter;
}

int victim_read_tls(void)
{
	return hidden_tls;
}

void victim_set(int counter, int tls)
{
	hidden_counter = counter;
	hidden_tls = tls;
}

int victim_answer(int x)
{
	return x + victim_counter - 58;
}

int victim_second(int x)
{
	return x * 2 + victim_counter;
}

WHOLE static int secret(int x)
{
	return x * hidden_counter + 1;
}

int victim_secret(int x)
{
	return secret(x) + 1;
}

HIDDEN WHOLE int hidden_answer(int x)
{
	return x * hidden_counter + 2;
}

int victim_hidden(int x)
{
	return hidden_answer(x) + 1;
}

/* 3 bytes at -O2: shorter than a jump */
int victim_short(void)
{
	return 0;
}

void victim_probe(const char *what, char *out, size_t size)
{
	snprintf(out, size, "old %s", what);
}

/* Three functions that change together: outer is wholly old or wholly new. */
int victim_left(void)
{
	return victim_counter - 99;
}

int victim_right(void)
{
	return victim_counter - 98;
}

long victim_outer(void)
{
	long sum = 0x10000 + victim_left() * 0x100;

	for (volatile int i = 0; i < 20; i++)
		;
	return sum + victim_right();
}

/* Functions to be found inside of; the code behind the call keeps the frame. */
int victim_wait(int fd)
{
	char c = 0;

	if (read(fd, &c, 1) != 1)
		return -1;
	return c + 1000;
}

int victim_deep(int depth, int fd)
{
	volatile char page[3000];

	page[depth & 7] = 1;
	if (depth == 0)
		return victim_wait(fd);
	return victim_deep(depth - 1, fd) + page[depth & 7];
}

int victim_callee(int fd)
{
	return victim_wait(fd) + 1;
}

int victim_caller(int fd)
{
	return victim_callee(fd) + 10;
}

int victim_spin(volatile int *stop)
{
	int n = 0;

	while (!*stop)
		n |= 1;
	return n + 1;
}

long victim_clock(volatile int *stop)
{
	struct timespec ts;
	long n = 0;

	while (!*stop) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		n += ts.tv_nsec >= 0;
	}
	return n;
}

int victim_call(void (*fn)(void))
{
	fn();
	return 7;
}

/*
 * What leads to a cold function is split off at -O2: of these two all but the
 * first instructions are in a part of their own, far away.
 */
__attribute__((noipa, cold)) static int seldom(int fd)
{
	return victim_wait(fd);
}

int victim_cold(int fd)
{
	if (fd >= 0)
		return seldom(fd) + 1;
	return fd;
}

int victim_cold_spin(volatile int *stop)
{
	int n = 0;

	if (!*stop) {
		n = seldom(-1);
		while (!*stop)
			n |= 1;
	}
	return n + 3;
}

WHOLE static int pointed_at(int x)
{
	return x + hidden_counter;
}

/* A caller may keep this pointer as long as it likes. */
int (*victim_pointer(void))(int)
{
	return pointed_at;
}

struct victim_part {
	int a, b;
};

WHOLE int victim_part(const struct victim_part *part)
{
	return part->a * 10 + part->b;
}

int victim_trip(void)
{
	struct victim_part part = { 1, 2 };

	return victim_part(&part);
}

/* Stays inside until it reads an 'x': 'p' is a call of victim_part(), 'f' a fork(). */
int victim_stay(int in, int out)
{
	struct victim_part part = { 1, 2 };
	char c = 0;
	int answer;

	while (read(in, &c, 1) == 1 && c != 'x') {
		answer = c == 'f' ? fork() : victim_part(&part);
		if (write(out, &answer, sizeof(answer)) != sizeof(answer))
			return -1;
	}
	return 100;
}
