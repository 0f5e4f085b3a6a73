// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Another answer.  Built with several values of ADD, to be stacked.
 */
#ifndef ADD
#define ADD	1000
#endif

int new_answer(int x);

int new_answer(int x)
{
	return x + ADD;
}
