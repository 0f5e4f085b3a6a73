// SPDX-License-Identifier: LGPL-2.1-or-later
/* Gives out a pointer to its own code and data, which outlives the patch. */
int (*new_pointer(void))(int);

static int calls;

__attribute__((noipa)) static int patched_at(int x)
{
	return x + 9000 + calls++;
}

int (*new_pointer(void))(int)
{
	return patched_at;
}
