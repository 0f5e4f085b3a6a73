// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Two versions of one name, of which one changes or both; a version other than the
 * default that is imported.
 *
 * FLAVOURS lib noplt symbolic
 * VM lib
 * FLAGS -D_GNU_SOURCE
 * LINK -Wl,--version-script=@versions.map -rdynamic
 * ASK 1 | 11 21 2 3 | 111 221 2 103 | 11 21 2 3
 */
#include <dlfcn.h>
#include "case.h"
#include "support.h"

int old_version(int x);
__asm__(".symver old_version, support_version@V1");
__asm__(".symver api_1, api@CASE_1");
__asm__(".symver api_2, api@@CASE_2");

#ifdef FIXED
#define MORE 100
#else
#define MORE 0
#endif

int api_1(int x);
int api_2(int x);

NOINLINE int api_1(int x)
{
	return x + 10 + MORE;
}

NOINLINE int api_2(int x)
{
	return x + 20 + 2 * MORE;
}

void ask(const char *arg)
{
	int (*first)(int) = (int (*)(int))dlvsym(RTLD_DEFAULT, "api", "CASE_1");
	int (*second)(int) = (int (*)(int))dlvsym(RTLD_DEFAULT, "api", "CASE_2");
	int x = atoi(arg);

	if (!first || !second)
		reply("%s", dlerror());
	else
		reply("%d %d %d %d", first(x), second(x), old_version(x),
		      support_version(x) + MORE);
}
