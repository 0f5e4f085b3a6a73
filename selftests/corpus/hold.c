// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Preloaded into the programs of the corpus: stops them before main(), when all their
 * libraries are there, so that even one that does little can be patched before it does.
 */
#include <signal.h>
#include <stdlib.h>

__attribute__((constructor)) static void hold(void)
{
	if (!getenv("ULP_HOLD"))
		return;
	/* not the programs that it starts */
	unsetenv("ULP_HOLD");
	unsetenv("LD_PRELOAD");
	raise(SIGSTOP);
}
