// SPDX-License-Identifier: LGPL-2.1-or-later
/* The library that patches of the unit tests go to: it asks ld.so for little. */
#include "peer_names.h"

int plain_data = 1;
__thread int plain_tls = 7;
static __thread int plain_hidden_tls = 8;

int interposed(void)
{
	return 3;
}

int preloaded(void)
{
	return 4;
}

__attribute__((visibility("protected"))) int plain_protected(void)
{
	return 5;
}

/* So that a reference to an own function is there: it may be interposed. */
int plain_calls(void)
{
	return interposed();
}

/* Bound at the first call, which no test makes. */
int plain_never(void)
{
	return unused_chosen();
}

/* A local variable: its place in the block is what a container would say. */
int *plain_hidden_address(void)
{
	return &plain_hidden_tls;
}
