/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names whose addresses a patch must see as ld.so shows them: libasker.c asks
 * ld.so for each, patch_symbols.c leaves each to libulp.
 */
#ifndef PEER_NAMES_H
#define PEER_NAMES_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PEER_NAMES(X)							\
	X(environ)	/* copied into the program, aliases in libc */	\
	X(stdout)							\
	X(optarg)							\
	X(memcpy)	/* indirect, versions */			\
	X(strlen)	/* indirect */					\
	X(time)		/* indirect, out of the vDSO */			\
	X(malloc)							\
	X(pthread_cond_wait)	/* versions */				\
	X(interposed)	/* of the program and of libplain */		\
	X(preloaded)	/* of libpre, if preloaded, and of libplain */	\
	X(canonical)	/* its address is in the program's PLT */	\
	X(versioned)	/* the default one of two */			\
	X(plain_data)	/* of libplain itself */			\
	X(plain_protected)						\
	X(chosen)	/* indirect, of libver */			\
	X(nowhere)	/* weak, of nobody */

extern int plain_data, nowhere __attribute__((weak));
int interposed(void), preloaded(void), canonical(void), versioned(void);
int plain_protected(void), plain_calls(void), chosen(void), unused_chosen(void);
extern __thread int program_tls, plain_tls;

/* What a patch calls, and what libasker calls in the same words. */
static inline long peer_calls(void)
{
	char text[32];

	memcpy(text, "0123456789", 11);
	return interposed() + 10L * preloaded() + 100L * canonical() + 1000L * versioned() +
	       10000L * chosen() + 100000L * plain_protected() + 1000000L * (long)strlen(text) +
	       100000000L * (&nowhere ? 1 : 2);
}

#endif /* PEER_NAMES_H */
