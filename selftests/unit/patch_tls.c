// SPDX-License-Identifier: LGPL-2.1-or-later
/* Uses thread-local variables that are there; built for each way of access. */
#include "peer_names.h"

void *patch_program_tls(void)
{
	return &program_tls;
}

void *patch_plain_tls(void)
{
	return &plain_tls;
}
