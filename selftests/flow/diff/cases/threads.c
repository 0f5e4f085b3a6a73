// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thread-local variables that are there, each thread's own, by all ways of access;
 * errno, which is libc's, and one of another library.  In programs the linker relaxes
 * how code for libraries reaches them.
 *
 * FLAVOURS lib pie nopie static desc ie noplt staticpie picexe picnopie nopltexe O0 gold lld
 * VM lib picexe
 * ASK 1 | 10 20 31 51 0 | 1011 1021 1032 152 9 | 12 22 33 53 0
 * ASK 2 | 11 21 31 51 0 | 1011 1021 1031 151 9 | 11 21 31 51 0
 */
#include <pthread.h>
#include "case.h"
#include "support.h"

static __thread int of_file = 9;
__thread int global = 19;
static __thread struct { long filler[20]; int value; } zero;

static NOINLINE int step(int *value)
{
	return ++*value;
}

static NOINLINE void turn(char *out, size_t size)
{
	errno = 0;
#ifdef FIXED
	if (close(-1))
		of_file += 0;
	snprintf(out, size, "%d %d %d %d %d", step(&of_file) + 1000, step(&global) + 1000,
		 step(&zero.value) + 1030 - (int)zero.filler[3], step(&support_tls) + 100, errno);
#else
	snprintf(out, size, "%d %d %d %d %d", step(&of_file), step(&global),
		 step(&zero.value) + 30, step(&support_tls), errno);
#endif
}

static void *run(void *out)
{
	of_file++;
	global++;
	turn(out, 64);
	return NULL;
}

void ask(const char *arg)
{
	char out[64] = "";
	pthread_t thread;
	static int asked;

	if (*arg == '2') {
		if (pthread_create(&thread, NULL, run, out))
			die("pthread_create");
		pthread_join(thread, NULL);
	} else {
		turn(out, sizeof(out));
	}
	asked++;
	reply("%s", out);
}
