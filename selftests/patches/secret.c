// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A static and a hidden function, which use a static variable: nothing of it
 * is exported.
 */
int new_secret(int x);
int new_hidden(int x);

int *ref_counter = (int *)1;

int new_secret(int x)
{
	return x * *ref_counter + 5000;
}

int new_hidden(int x)
{
	return x * *ref_counter + 6000;
}
