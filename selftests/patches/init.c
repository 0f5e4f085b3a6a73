// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For process 1.
 */
int new_answer(int x);

int new_answer(int x)
{
	return x + 1000;
}
