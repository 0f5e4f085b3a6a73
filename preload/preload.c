// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libulp-preload.so: the block, the note that leads to it, and the start.
 */
#include <gnu/libc-version.h>
#include <sys/auxv.h>

#include "preload.h"

WEAK(gnu_get_libc_version);
WEAK(getauxval);

struct block ulp_preload_block __attribute__((aligned(4096)));

#define TEXT(x)		#x
#define TEXT_OF(x)	TEXT(x)

/* struct ulp_preload_note; its distance is known to the linker: nothing to relocate */
asm(".pushsection .note.ulp, \"a\", @note\n\t"
    ".balign 4\n\t"
    ".long 4, 8, " TEXT_OF(ULP_PRELOAD_NOTE_TYPE) "\n\t"
    ".asciz \"" ULP_PRELOAD_NOTE_OWNER "\"\n"
    "1:\t.quad ulp_preload_block - 1b\n\t"
    ".popsection");

/* Only glibc hands the environment to constructors; elsewhere we stay away. */
static void __attribute__((constructor)) start(int argc, char **argv, char **environment)
{
	struct ulp_preload *head = &ulp_preload_block.head;

	if (!gnu_get_libc_version || !getauxval)
		return;
	head->version = ULP_PRELOAD_VERSION;
	head->size = sizeof(ulp_preload_block);
	head->state = ULP_PRELOAD_PATCHABLE;
	head->messages = offsetof(struct block, messages);
	head->room_messages = NR_MESSAGES;
	head->message_size = sizeof(struct ulp_preload_message);
	head->images = offsetof(struct block, images);
	head->room_images = NR_IMAGES;
	/* whoever starts a set-uid program has no say in whether it is patched */
	if (!getauxval(AT_SECURE))
		decide(environment);
	__atomic_store_n(&head->magic, ULP_PRELOAD_MAGIC, __ATOMIC_RELEASE);
}
