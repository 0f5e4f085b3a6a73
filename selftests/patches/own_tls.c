// SPDX-License-Identifier: LGPL-2.1-or-later
/* A new thread-local variable: there is no room for it in running threads. */
int new_answer(int x);

static __thread int own_tls;

int new_answer(int x)
{
	volatile int *own = &own_tls;

	*own += x;
	return *own + 1000;
}
