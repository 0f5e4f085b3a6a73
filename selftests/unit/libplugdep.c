// SPDX-License-Identifier: LGPL-2.1-or-later
/* Needed by libplug alone. */
int plug_twice(void);
int plug_dep(void);
int plug_new(void);

int plug_twice(void)
{
	return 2;
}

/* A call by name: who has plug_twice() first is called. */
int plug_dep(void)
{
	return 1 + plug_twice();
}

/* libplug does not use it, a patch for libplug does. */
int plug_new(void)
{
	return 4;
}
