// SPDX-License-Identifier: LGPL-2.1-or-later
/* The smallest patch that has all kinds of entries, to be damaged bit by bit. */
int tiny_answer(int x);
int tiny_short(void);
int tiny_secret(int x);

int *tiny_counter;
struct {
	unsigned long module, offset;
} tiny_tls;

int tiny_answer(int x)
{
	return x + *tiny_counter;
}

int tiny_short(void)
{
	return 1;
}

int tiny_secret(int x)
{
	return x + (int)tiny_tls.offset;
}
