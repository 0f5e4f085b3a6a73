// SPDX-License-Identifier: LGPL-2.1-or-later
/* Loaded and unloaded all the time by victim_storm. */
int storm_answer(void);

int storm_answer(void)
{
	return 4711;
}
