// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A library that uses its own function when it is loaded, before anybody else
 * can: in its constructor.
 */
int loaded_first;

__attribute__((noipa)) int loaded_answer(void)
{
	return 1;
}

__attribute__((constructor)) static void construct(void)
{
	loaded_first = loaded_answer();
}
