// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For all variants of victim_exe.  It needs nothing from outside: a static
 * program has no dynamic linker that could say where it is.
 */
int new_answer(int x);
int new_static(int x);

int *ref_hidden = (int *)1;

int new_answer(int x)
{
	return x + 1000;
}

int new_static(int x)
{
	return x * *ref_hidden + 5000;
}
