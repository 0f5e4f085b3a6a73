// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Another layout of a struct that a caller and a callee agree about: a thread that
 * has one of them old and the other new says -1, or something odd.
 */
#include <unistd.h>
#include "victims/libvictim.h"

#define MAGIC	0x5a5a1234

struct new_part {
	int magic, b, a;
};

int new_part(const struct new_part *part);
int new_trip(void);
int new_stay(int in, int out);

int new_part(const struct new_part *part)
{
	if (part->magic != MAGIC)
		return -1;
	return 2000 + part->a * 10 + part->b;
}

int new_trip(void)
{
	struct new_part part = { MAGIC, 2, 1 };

	return victim_part((const struct victim_part *)&part);
}

int new_stay(int in, int out)
{
	struct new_part part = { MAGIC, 2, 1 };
	char c = 0;
	int answer;

	while (read(in, &c, 1) == 1 && c != 'x') {
		answer = c == 'f' ? fork() : victim_part((const struct victim_part *)&part);
		if (write(out, &answer, sizeof(answer)) != sizeof(answer))
			return -1;
	}
	return 2100;
}
