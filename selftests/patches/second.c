// SPDX-License-Identifier: LGPL-2.1-or-later
/* Not the same function as the others: for two patches side by side. */
int new_second(int x);

int new_second(int x)
{
	return x + 7000;
}
