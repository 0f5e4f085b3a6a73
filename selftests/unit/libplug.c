// SPDX-License-Identifier: LGPL-2.1-or-later
/* Loaded by dlopen(): what it sees, others do not. */
int plug_twice(void);
int plug_dep(void);
int *plug_tls_address(void);

__thread int plug_tls = 11;

/* libplugdep has it too, but comes later in the scope. */
int plug_twice(void)
{
	return 1;
}

int *plug_tls_address(void)
{
	return &plug_tls;
}

int plug_calls(void)
{
	return plug_dep();
}
