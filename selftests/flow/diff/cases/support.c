// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A library that all cases are linked with: what is imported from it is reached by
 * slots, stubs, copies and thread-local accesses of all kinds.
 */
#include "support.h"

__thread int support_tls = 50;
int support_data[4] = { 1, 2, 3, 4 };
int support_protected = 9;

int support_present(int x)
{
	return x + 3;
}

#ifdef __PIC__
int support_version_1(int x);
int support_version_2(int x);
__asm__(".symver support_version_1, support_version@V1");
__asm__(".symver support_version_2, support_version@@V2");

int support_version_1(int x)
{
	return x + 1;
}

int support_version_2(int x)
{
	return x + 2;
}
#else
int support_version(int x)
{
	return x + 2;
}
#endif
