// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For libloaded.so.
 */
int new_loaded(void);

int new_loaded(void)
{
	return 2;
}
