// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What all cases are linked to.
 */
#include "case.h"

/* Old return addresses below us would look like frames to who knows no better. */
static NOINLINE void forget_frames(void)
{
	volatile char all[32 * 1024];

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = 0;
}

static void ask_and_forget(const char *line)
{
	ask(line);
	forget_frames();
}

int main(void)
{
	static const struct victim_command table[] = { { "", ask_and_forget }, { NULL, NULL } };

	return victim_talk(table);
}
