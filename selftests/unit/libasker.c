// SPDX-License-Identifier: LGPL-2.1-or-later
/* Says what ld.so has bound for a library: the truth that libulp must find. */
#include "peer_names.h"

#define ENTRY(name) { #name, (void *)&(name) },

static const struct {
	const char *name;
	void *address;
} entries[] = {
	PEER_NAMES(ENTRY)
};

uint64_t asker_address(const char *name)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		if (!strcmp(entries[i].name, name))
			return (uint64_t)(uintptr_t)entries[i].address;
	}
	return 0;
}

long asker_calls(void)
{
	return peer_calls();
}

void *asker_program_tls(void)
{
	return &program_tls;
}

void *asker_plain_tls(void)
{
	return &plain_tls;
}
