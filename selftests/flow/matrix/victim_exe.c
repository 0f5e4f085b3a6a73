// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A program that is itself patched: built as PIE, non-PIE, static and
 * static-PIE, with all optimisation levels.  Its functions are exported by
 * nothing; one is static.
 */
#include "victims/victim.h"

int exe_counter = 100;
static int exe_hidden = 7;

WHOLE int exe_answer(int x)
{
	return x + exe_counter - 58;
}

WHOLE static int exe_static(int x)
{
	return x * exe_hidden + 1;
}

static void answer(const char *arg)
{
	reply("%d", exe_answer(atoi(arg)));
}

static void secret(const char *arg)
{
	reply("%d", exe_static(atoi(arg)));
}

static void set(const char *arg)
{
	exe_hidden = atoi(arg);
	reply("set");
}

static void uids(const char *arg)
{
	(void)arg;
	reply("uid=%d euid=%d", (int)getuid(), (int)geteuid());
}

int main(void)
{
	static const struct victim_command commands[] = {
		{ "answer", answer },
		{ "static", secret },
		{ "set", set },
		{ "uids", uids },
		{ NULL, NULL },
	};

	return victim_talk(commands);
}
