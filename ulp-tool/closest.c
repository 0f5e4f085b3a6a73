// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which of the words that there are was probably meant.
 */
#include <stdint.h>
#include <string.h>

#include "cmds.h"

static size_t distance(const char *a, const char *b)
{
	size_t row[64], diagonal, above, n = strlen(b);

	if (n >= ARRAY_SIZE(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; *a; a++, i++) {
		diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			above = row[j];
			row[j] = diagonal + (*a != b[j - 1]);
			if (row[j] > above + 1)
				row[j] = above + 1;
			if (row[j] > row[j - 1] + 1)
				row[j] = row[j - 1] + 1;
			diagonal = above;
		}
	}
	return row[n];
}

void closest(const char *word, const char *candidate, const char **best)
{
	size_t at = distance(word, candidate);

	if (at <= strlen(word) / 3 + 1 && (!*best || at < distance(word, *best)))
		*best = candidate;
}
