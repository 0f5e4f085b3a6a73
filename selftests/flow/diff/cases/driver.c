// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What all cases are linked to.
 */
#include "case.h"

int main(void)
{
	char line[256];

	reply("ready");
	while (victim_line(line, sizeof(line))) {
		if (!strcmp(line, "quit")) {
			reply("EXIT-SUCCESS");
			return 0;
		}
		ask(line);
	}
	return 1;
}
