// SPDX-License-Identifier: LGPL-2.1-or-later
/* Uses all the names that libasker uses. */
#include "peer_names.h"

#define ENTRY(name) (void *)&(name),

void *const patch_addresses[] = {
	PEER_NAMES(ENTRY)
};

int patch_own(void)
{
	return 21;
}

/* Its own definition, whatever others define. */
int patch_own_call(void)
{
	return patch_own();
}

int (*const patch_own_pointer)(void) = patch_own;

long patch_calls(void)
{
	return peer_calls();
}
