// SPDX-License-Identifier: LGPL-2.1-or-later
/* Two versions of one name, and indirect functions. */
int old_versioned(void);
int new_versioned(void);
int canonical(void);
int chosen(void);
int unused_chosen(void);

__asm__(".symver old_versioned, versioned@VER_1");
__asm__(".symver new_versioned, versioned@@VER_2");

int old_versioned(void)
{
	return 1;
}

int new_versioned(void)
{
	return 2;
}

int canonical(void)
{
	return 6;
}

static int variant(void)
{
	return 8;
}

static int (*resolve(void))(void)
{
	return variant;
}

int chosen(void) __attribute__((ifunc("resolve")));
int unused_chosen(void) __attribute__((ifunc("resolve")));
