// SPDX-License-Identifier: LGPL-2.1-or-later
/* One thing that each test of a refusal asks for: see flags.mk. */
#include "peer_names.h"

int missing_function(void);
int plug_twice(void);
int plug_new(void);
extern __thread int plug_tls;
int patch_odd(void);
int (*patch_odd_pointer)(void);
void *patch_slots[2];

#if defined(ODD_MISSING)
int patch_odd(void)
{
	return missing_function();
}
#elif defined(ODD_NEW_TLS)
__thread int patch_new_tls;

int patch_odd(void)
{
	return patch_new_tls++;
}
#elif defined(ODD_IFUNC)
static int one(void)
{
	return 1;
}

static int (*resolve(void))(void)
{
	return one;
}

int patch_indirect(void) __attribute__((ifunc("resolve")));

int patch_odd(void)
{
	return patch_indirect();
}
#elif defined(ODD_OLD_VERSION)
int old_versioned(void);
__asm__(".symver old_versioned, versioned@VER_1");

int patch_odd(void)
{
	return old_versioned();
}
#elif defined(ODD_UNUSED_CALL)
int patch_odd(void)
{
	return unused_chosen();
}
#elif defined(ODD_UNUSED_ADDRESS)
int (*const patch_pointer)(void) = unused_chosen;

int patch_odd(void)
{
	return 0;
}
#elif defined(ODD_PLUG)
int patch_odd(void)
{
	return 10 * plug_new() + plug_twice();
}
#elif defined(ODD_PLUG_TLS)
int patch_odd(void)
{
	return plug_tls;
}
#else
int patch_odd(void)
{
	return 0;
}
#endif
