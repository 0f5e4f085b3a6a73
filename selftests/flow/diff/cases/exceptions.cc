// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Exceptions thrown by a patch, caught by one, and passing through one.
 *
 * FLAVOURS lib pie nopie O0
 * VM pie
 * ASK 1 | caught 1, cleaned 1 | caught 101, cleaned 12 | caught 1, cleaned 23
 * ASK 0 | none, cleaned 2 | nothing, cleaned 22 | none, cleaned 24
 */
#include <stdexcept>
#include <string>
#include "case.h"

static int cleaned;

struct cleaner {
	~cleaner()
	{
#ifdef FIXED
		cleaned += 9;
#endif
		cleaned++;
	}
};

/* not changed: thrown through by old and new code */
static NOINLINE void thrower(int x)
{
	if (x)
		throw std::runtime_error(std::to_string(x));
}

static NOINLINE void between(int x)
{
	cleaner all;

	thrower(x);
}

void ask(const char *arg)
{
	int x = atoi(arg);

	try {
#ifdef FIXED
		if (x)
			x += 100;
#endif
		between(x);
#ifdef FIXED
		reply("nothing, cleaned %d", cleaned);
#else
		reply("none, cleaned %d", cleaned);
#endif
	} catch (const std::exception &error) {
		reply("caught %s, cleaned %d", error.what(), cleaned);
	}
}
