/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A library that is there to be patched.
 */
#ifndef LIBVICTIM_H
#define LIBVICTIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

extern int victim_counter;
extern __thread int victim_tls;

int victim_answer(int x);
int victim_second(int x);
int victim_secret(int x);
int victim_hidden(int x);
int victim_short(void);
void victim_probe(const char *what, char *out, size_t size);
int victim_read_counter(void);
int victim_read_tls(void);
void victim_set(int counter, int tls);

long victim_outer(void);
int victim_left(void);
int victim_right(void);

int victim_wait(int fd);
int victim_deep(int depth, int fd);
int victim_caller(int fd);
int victim_callee(int fd);
int victim_spin(volatile int *stop);
long victim_clock(volatile int *stop);
int victim_call(void (*fn)(void));
int victim_cold(int fd);
int victim_cold_spin(volatile int *stop);

int (*victim_pointer(void))(int);

/* A caller and a callee that agree about a struct, which the patch changes. */
struct victim_part;
int victim_part(const struct victim_part *part);
int victim_trip(void);
int victim_stay(int in, int out);

#ifdef __cplusplus
}
#endif

#endif /* LIBVICTIM_H */
