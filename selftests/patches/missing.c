// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls what is nowhere. */
int new_answer(int x);
int victim_is_not_there(int x);

int new_answer(int x)
{
	return victim_is_not_there(x);
}
