// SPDX-License-Identifier: LGPL-2.1-or-later
/* Too short for a jump. */
int new_short(void);

int new_short(void)
{
	return 12345;
}
