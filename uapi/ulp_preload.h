/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The block of libulp-preload.so: what the library and the tools tell each other.
 */
#ifndef _UAPI_ULP_PRELOAD_H
#define _UAPI_ULP_PRELOAD_H

#include <linux/types.h>

/**
 * DOC: The block of the preload library
 *
 * libulp-preload.so is optional.  Where a process has it, its writable data holds one
 * struct ulp_preload, the block.  An ELF note of the library leads to it: owner
 * %ULP_PRELOAD_NOTE_OWNER, type %ULP_PRELOAD_NOTE_TYPE, and as description a
 * struct ulp_preload_note.
 *
 * The library fills the block at the start of the process; until then @magic is 0, and
 * the process counts as one without the library.  Afterwards the library writes
 * messages and @next.  Tools write @state and @cause (ulp-tool set-patchable), and
 * @nr_images and the table of images (an apply), by transactions only: no thread of the
 * process runs meanwhile.
 *
 * The block grows at its end, and by new tables: @size is that of the writer.  @version
 * changes only if what is here changes its meaning.  A tool reads the block as anything
 * else in a process: as hostile.
 */

#define ULP_PRELOAD_NOTE_OWNER	"ulp"
#define ULP_PRELOAD_NOTE_TYPE	0x504c5501

/**
 * struct ulp_preload_note - the description of the note
 * @distance: from the first byte of this struct to the block, both in memory
 */
struct ulp_preload_note {
	__s64 distance;
};

/** define ULP_PRELOAD_MAGIC - first 8 bytes of the block: "ULPprelo" */
#define ULP_PRELOAD_MAGIC	0x6f6c657270504c55ULL
#define ULP_PRELOAD_VERSION	1
/** define ULP_PRELOAD_MAX - the block is never larger than this many bytes */
#define ULP_PRELOAD_MAX		0x100000

/**
 * enum ulp_preload_state - whether patches may be applied
 * @ULP_PRELOAD_PATCHABLE: yes
 * @ULP_PRELOAD_OPTED_OUT: the process does not want them
 */
enum ulp_preload_state {
	ULP_PRELOAD_PATCHABLE	= 1,
	ULP_PRELOAD_OPTED_OUT	= 2,
};

/**
 * enum ulp_preload_cause - who decided on the state
 * @ULP_PRELOAD_CAUSE_NONE: nobody, it is the default
 * @ULP_PRELOAD_CAUSE_PATH: LIBULP_DISABLE_ON_PATH
 * @ULP_PRELOAD_CAUSE_USER: LIBULP_DISABLE_ON_USERS
 * @ULP_PRELOAD_CAUSE_GROUP: LIBULP_DISABLE_ON_GROUPS
 * @ULP_PRELOAD_CAUSE_TOOL: ulp-tool set-patchable
 */
enum ulp_preload_cause {
	ULP_PRELOAD_CAUSE_NONE	= 0,
	ULP_PRELOAD_CAUSE_PATH	= 1,
	ULP_PRELOAD_CAUSE_USER	= 2,
	ULP_PRELOAD_CAUSE_GROUP	= 3,
	ULP_PRELOAD_CAUSE_TOOL	= 4,
};

/**
 * enum ulp_preload_kind - what a message is about
 * @ULP_PRELOAD_OPT_OUT: the process opted out, and by which rule
 * @ULP_PRELOAD_CLOSE: dlclose() was called for an object
 * @ULP_PRELOAD_KEEP: an object is kept, because a patch of it is applied
 * @ULP_PRELOAD_RELEASE: an object is not kept any more
 * @ULP_PRELOAD_PROBLEM: something that the library could not do
 */
enum ulp_preload_kind {
	ULP_PRELOAD_OPT_OUT	= 1,
	ULP_PRELOAD_CLOSE	= 2,
	ULP_PRELOAD_KEEP	= 3,
	ULP_PRELOAD_RELEASE	= 4,
	ULP_PRELOAD_PROBLEM	= 5,
};

/** define ULP_PRELOAD_TEXT - most bytes of a message's text */
#define ULP_PRELOAD_TEXT	232

/**
 * struct ulp_preload_message - one message
 * @number: counts from 1; 0 while it is written
 * @time: nanoseconds since the epoch, as coarse as the kernel's tick
 * @kind: enum ulp_preload_kind
 * @length: bytes of @text
 * @text: without NUL
 */
struct ulp_preload_message {
	__aligned_u64 number;
	__aligned_u64 time;
	__u32 kind;
	__u32 length;
	char text[ULP_PRELOAD_TEXT];
};

/**
 * struct ulp_preload - the block
 * @magic: %ULP_PRELOAD_MAGIC, once all else is valid
 * @version: %ULP_PRELOAD_VERSION
 * @size: bytes of the block, tables included
 * @state: enum ulp_preload_state
 * @cause: enum ulp_preload_cause
 * @messages: offset of struct ulp_preload_message[], a ring: message N is in place
 *	(N - 1) modulo @room_messages
 * @room_messages: places of the ring
 * @message_size: bytes from one place to the next
 * @images: offset of __u64[]: where the records of images are (ulp_record.h)
 * @room_images: most entries of it
 * @nr_images: entries of it
 * @next: messages begun so far
 */
struct ulp_preload {
	__aligned_u64 magic;
	__u32 version;
	__u32 size;
	__u32 state;
	__u32 cause;
	__u32 messages;
	__u32 room_messages;
	__u32 message_size;
	__u32 images;
	__u32 room_images;
	__u32 nr_images;
	__aligned_u64 next;
};

#endif /* _UAPI_ULP_PRELOAD_H */
