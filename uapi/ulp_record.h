/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The record: what is applied to a process, kept in the process itself.
 */
#ifndef _UAPI_ULP_RECORD_H
#define _UAPI_ULP_RECORD_H

#include <linux/types.h>
#include "ulp_container.h"

/**
 * DOC: The record in the target
 *
 * Each applied patch has an image in the target: private mappings of one sealed
 * memfd, seen in /proc/PID/maps as "/memfd:ulp-NAME".  The lowest mapping of the
 * image is read-only and holds the record: struct ulp_record followed by its
 * tables, 8-byte aligned, offsets from the start of the record.
 *
 * Everything but @state, @uid, @sequence and @applied is written before the
 * image is mapped, and covered by @digest (SHA-256 of the first @size bytes,
 * with these four fields and the digest itself zero).  The four are changed
 * only by a transaction, together with the entries of the functions: what they
 * say and what the process executes change at the same instant.
 *
 * The tool that wrote the record may be gone, and the process may have lied to
 * it since: a reader checks every length, and acts only on addresses whose
 * present bytes are what the record says they are.  Texts share no bytes: their
 * lengths add up to less than the record's.
 */

/** define ULP_RECORD_MAGIC - first 8 bytes of a record: "ULPrecrd" */
#define ULP_RECORD_MAGIC	0x6472636572504c55ULL
#define ULP_RECORD_VERSION	1
/** define ULP_RECORD_MAX - a record is never larger than this many bytes */
#define ULP_RECORD_MAX		(16U << 20)
/** define ULP_RECORD_FUNCTIONS_MAX - a record never has more functions */
#define ULP_RECORD_FUNCTIONS_MAX	16384
/** define ULP_MEMFD_PREFIX - name of every memfd that backs an image */
#define ULP_MEMFD_PREFIX	"ulp-"

/**
 * enum ulp_record_state - whether the entries lead into the image
 * @ULP_RECORD_PREPARED: mapped, never entered
 * @ULP_RECORD_ACTIVE: applied
 * @ULP_RECORD_REVERTED: was applied, reverted; the image stays, since a pointer
 *	to its code may be anywhere in the target's data, and is used again by
 *	the next apply of the same patch
 * @ULP_RECORD_SWITCHING: being applied thread by thread: the entries lead to the
 *	stubs ulp_record_switch.forth, threads in the table run the old code, all
 *	others the new
 * @ULP_RECORD_RETURNING: being reverted thread by thread: the entries lead to
 *	ulp_record_switch.back, threads in the table run the new code, all others
 *	the old
 */
enum ulp_record_state {
	ULP_RECORD_PREPARED	= 0,
	ULP_RECORD_ACTIVE	= 1,
	ULP_RECORD_REVERTED	= 2,
	ULP_RECORD_SWITCHING	= 3,
	ULP_RECORD_RETURNING	= 4,
};

/** ulp_record_state_moves() - threads switch one by one: the entries lead to stubs */
static inline int ulp_record_state_moves(__u32 state)
{
	return state == ULP_RECORD_SWITCHING || state == ULP_RECORD_RETURNING;
}

/** ulp_record_state_leads() - the entries lead into the image, to its code or its stubs */
static inline int ulp_record_state_leads(__u32 state)
{
	return state == ULP_RECORD_ACTIVE || ulp_record_state_moves(state);
}

/**
 * enum ulp_record_flags - flags of a record
 * @ULP_RECORD_SCAN_MEMORY: as %ULP_CONTAINER_SCAN_MEMORY: for a revert, too
 */
enum ulp_record_flags {
	ULP_RECORD_SCAN_MEMORY	= 1 << 0,
};

/**
 * struct ulp_record - head of the record
 * @magic: %ULP_RECORD_MAGIC
 * @version: %ULP_RECORD_VERSION
 * @header_size: sizeof(struct ulp_record) of the writer
 * @size: bytes of the record, at most %ULP_RECORD_MAX
 * @digest: see above
 * @id: of the patch
 * @state: enum ulp_record_state
 * @uid: who changed @state last (loginuid if set, else real uid)
 * @sequence: position in the stack of this process: an active patch with a
 *	higher one is newer
 * @applied: seconds since the epoch, of the last change of @state
 * @image_start: address of the record itself, lowest of the image
 * @image_end: behind the image's last mapping
 * @bias: what is added to a container address to get the run-time address
 * @text_start: run-time address of the patch's code
 * @text_end: behind it
 * @name: text, offset from the record's start
 * @tool: text: version of the writer
 * @functions: offset of struct ulp_record_function[]
 * @nr_functions: their number
 * @objects: offset of struct ulp_record_object[]
 * @nr_objects: their number, at most @nr_functions
 * @labels: offset of struct ulp_span[] (offsets from the record's start)
 * @requires: offset of the ids (32 bytes each) of the patches it depends on
 * @nr_labels: their number
 * @nr_requires: their number
 * @container_digest: digest of the container it was made from
 * @table: run-time address of the threads that have not switched yet (see
 *	ulp_universe.h), 0: there is none, the patch is for all threads at once
 * @switches: offset of struct ulp_record_switch[], one for each function
 * @leaves: offset of struct ulp_record_leave[]: code of the old functions
 * @nr_leaves: their number
 * @flags: bits of enum ulp_record_flags; unknown ones mean nothing
 *
 * The fields from @table on are missing in records of earlier versions: see
 * @header_size.
 */
struct ulp_record {
	__aligned_u64 magic;
	__u32 version;
	__u32 header_size;
	__aligned_u64 size;
	__u8 digest[32];
	__u8 id[ULP_ID_SIZE];
	__u32 state;
	__u32 uid;
	__aligned_u64 sequence;
	__aligned_u64 applied;
	__aligned_u64 image_start;
	__aligned_u64 image_end;
	__aligned_u64 bias;
	__aligned_u64 text_start;
	__aligned_u64 text_end;
	struct ulp_span name;
	struct ulp_span tool;
	__aligned_u64 functions;
	__aligned_u64 objects;
	__aligned_u64 labels;
	__aligned_u64 requires;
	__u32 nr_functions;
	__u32 nr_objects;
	__u32 nr_labels;
	__u32 nr_requires;
	__u8 container_digest[32];
	__aligned_u64 table;
	__aligned_u64 switches;
	__aligned_u64 leaves;
	__u32 nr_leaves;
	__u32 flags;
};

/**
 * struct ulp_record_object - an object of the target that the patch changes
 * @path: as /proc/PID/maps showed it
 * @build_id: bytes, offset from the record's start
 * @bias: load address: what is added to its st_value
 * @start: its lowest mapped address
 * @end: behind its highest
 */
struct ulp_record_object {
	struct ulp_span path;
	struct ulp_span build_id;
	__aligned_u64 bias;
	__aligned_u64 start;
	__aligned_u64 end;
};

/** define ULP_RECORD_CODE - most bytes of one write of an entry or island */
#define ULP_RECORD_CODE		8

/**
 * struct ulp_record_function - one replaced function; run-time addresses
 * @name: of the old function
 * @object: index of the object it is in
 * @entry_length: bytes at @entry that are replaced (2 or 5)
 * @island_length: bytes at @island that are replaced (0 or 5)
 * @__reserved: must be 0
 * @old_start: old function
 * @old_end: behind it
 * @new_start: new function
 * @new_end: behind it
 * @entry: address of the jump
 * @island: address of the long jump behind a short one, or 0
 * @entry_saved: the object's own bytes at @entry, no patch applied
 * @entry_jump: the bytes at @entry when this patch is the newest active one
 * @island_saved: the same for @island
 * @island_jump: the same for @island
 */
struct ulp_record_function {
	struct ulp_span name;
	__u32 object;
	__u32 entry_length;
	__u32 island_length;
	__u32 __reserved;
	__aligned_u64 old_start;
	__aligned_u64 old_end;
	__aligned_u64 new_start;
	__aligned_u64 new_end;
	__aligned_u64 entry;
	__aligned_u64 island;
	__u8 entry_saved[ULP_RECORD_CODE];
	__u8 entry_jump[ULP_RECORD_CODE];
	__u8 island_saved[ULP_RECORD_CODE];
	__u8 island_jump[ULP_RECORD_CODE];
};

/**
 * struct ulp_record_switch - code that sends each thread where it belongs; run-time
 *	addresses, all 0 if the function has none
 * @forth: for %ULP_RECORD_SWITCHING: in the table to the old function, else the new
 * @back: for %ULP_RECORD_RETURNING: in the table to the new function, else the old
 * @original: the old function: its displaced instructions and a jump behind them
 * @forth_old: the 4 bytes of @forth that say where the old code is
 * @back_old: the same of @back
 *
 * @forth_old and @back_old lead to @original, or into the next older patch of
 * the same function: transactions that begin a switch set them.
 */
struct ulp_record_switch {
	__aligned_u64 forth;
	__aligned_u64 back;
	__aligned_u64 original;
	__aligned_u64 forth_old;
	__aligned_u64 back_old;
};

/** struct ulp_record_leave - code of an old function, with its fragments */
struct ulp_record_leave {
	__aligned_u64 start;
	__aligned_u64 end;
};

#endif /* _UAPI_ULP_RECORD_H */
