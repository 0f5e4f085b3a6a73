/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The patch container: an ELF64 shared object with two sections of our own,
 * ".ulp" (how to apply it) and ".ulp.rev" (enough to revert it).
 */
#ifndef _UAPI_ULP_CONTAINER_H
#define _UAPI_ULP_CONTAINER_H

#include <linux/types.h>

/**
 * DOC: Layout of section .ulp
 *
 *   struct ulp_container_header
 *   tables, in any order, each described by an entry of header.tables[]
 *
 * All numbers are little endian (the format names its byte order in the magic),
 * all offsets are from the start of the section, all tables are 8-byte
 * aligned and their entries of the size named in their table entry: a reader
 * steps by @entsize and ignores what it does not know behind the end of the
 * entry it knows.  Tables whose type it does not know are ignored if the type
 * has %ULP_TABLE_OPTIONAL, an error otherwise.
 *
 * Text is a struct ulp_span into the strings table; it is not NUL terminated
 * there and contains no NUL.  Addresses of the target and of the patch are
 * virtual addresses as in their ELF symbols (st_value), before relocation.
 *
 * The digest is SHA-256 over the whole ELF file with the 32 bytes of the
 * digest taken as zero: a container that was edited, stripped or cut off is
 * refused.  The id is SHA-256 over the ELF file before the sections were added
 * followed by the section .ulp with @id, @digest and @created zero: the same
 * code for the same targets with the same description has the same id.
 */

#define ULP_SECTION		".ulp"
#define ULP_SECTION_REVERT	".ulp.rev"

/** define ULP_CONTAINER_MAGIC - first 8 bytes of .ulp: "ULPpatch" */
#define ULP_CONTAINER_MAGIC	0x6863746170504c55ULL
/** define ULP_REVERT_MAGIC - first 8 bytes of .ulp.rev: "ULPrevrt" */
#define ULP_REVERT_MAGIC	0x7472766572504c55ULL
#define ULP_CONTAINER_VERSION	1

#define ULP_ID_SIZE		32
#define ULP_BUILD_ID_MAX	64

/** struct ulp_span - @length bytes at @offset of the strings or bytes table */
struct ulp_span {
	__u32 offset;
	__u32 length;
};

/**
 * enum ulp_table_type - what a table holds
 * @ULP_TABLE_TARGET: struct ulp_container_target
 * @ULP_TABLE_FUNCTION: struct ulp_container_function, grouped by target
 * @ULP_TABLE_RANGE: struct ulp_container_range
 * @ULP_TABLE_REFERENCE: struct ulp_container_reference
 * @ULP_TABLE_DEPENDENCY: ids (32 bytes each) that must be applied before
 * @ULP_TABLE_LABEL: struct ulp_span each, such as CVE-2024-1234 or bsc#1234
 * @ULP_TABLE_STRINGS: bytes, entsize 1
 * @ULP_TABLE_BYTES: bytes, entsize 1: code of the target
 * @ULP_TABLE_COMMENT: text of the description's comments, entsize 1
 * @ULP_TABLE_ORIGIN: one struct ulp_container_origin
 * @ULP_TABLE_RELOCATION: struct ulp_container_relocation; left out when empty
 * @ULP_TABLE_ORIGINAL: struct ulp_container_original, ascending by function; not
 *	each function has one
 * @ULP_TABLE_OPTIONAL: a reader that does not know the type may ignore it
 */
enum ulp_table_type {
	ULP_TABLE_TARGET	= 1,
	ULP_TABLE_FUNCTION	= 2,
	ULP_TABLE_RANGE		= 3,
	ULP_TABLE_REFERENCE	= 4,
	ULP_TABLE_DEPENDENCY	= 5,
	ULP_TABLE_LABEL		= 6,
	ULP_TABLE_STRINGS	= 7,
	ULP_TABLE_BYTES		= 8,
	ULP_TABLE_COMMENT	= (int)(9 | 0x80000000),
	ULP_TABLE_ORIGIN	= (int)(10 | 0x80000000),
	ULP_TABLE_RELOCATION	= 11,
	ULP_TABLE_ORIGINAL	= (int)(12 | 0x80000000),
	ULP_TABLE_OPTIONAL	= (int)0x80000000,
};

/** struct ulp_table - one table: @count entries of @entsize bytes at @offset */
struct ulp_table {
	__u32 type;
	__u32 entsize;
	__aligned_u64 offset;
	__aligned_u64 count;
};

/**
 * enum ulp_container_flags - flags of a container; an unknown one is refused
 * @ULP_CONTAINER_SCAN_MEMORY: the program may have suspended contexts of its own
 *	(coroutines) inside what is replaced: its other memory is to be scanned
 *	for their return addresses, unless the user says otherwise
 */
enum ulp_container_flags {
	ULP_CONTAINER_SCAN_MEMORY = 1 << 0,
};

/**
 * struct ulp_container_header - start of section .ulp
 * @magic: %ULP_CONTAINER_MAGIC
 * @version: %ULP_CONTAINER_VERSION; another one is refused
 * @header_size: bytes up to the end of tables[]
 * @total_size: bytes of the section
 * @flags: bits of enum ulp_container_flags
 * @nr_tables: entries of tables[]
 * @id: what this patch is called everywhere; shown by its first 12 hex digits
 * @digest: see above
 * @name: name for people, at most 64 bytes, [A-Za-z0-9._+-] only
 * @machine: ELF e_machine of the targets (EM_X86_64)
 * @__reserved: must be 0
 * @created: seconds since the epoch (SOURCE_DATE_EPOCH if set), 0 unknown
 * @tables: the tables
 */
struct ulp_container_header {
	__aligned_u64 magic;
	__u32 version;
	__u32 header_size;
	__aligned_u64 total_size;
	__u32 flags;
	__u32 nr_tables;
	__u8 id[ULP_ID_SIZE];
	__u8 digest[32];
	struct ulp_span name;
	__u32 machine;
	__u32 __reserved;
	__aligned_u64 created;
	struct ulp_table tables[];
};

/**
 * struct ulp_container_target - one object (executable or library) to patch
 * @name: its DT_SONAME, or else its file's base name; for people and messages
 * @build_id: span in the bytes table; never empty
 * @first_function: index into the function table
 * @nr_functions: number of functions, not 0
 * @first_reference: index into the reference table
 * @nr_references: number of references
 * @text_start: lowest executable address
 * @text_end: behind the highest
 * @flags: must be 0
 * @__reserved: must be 0
 *
 * The object is recognised by its build-id alone.
 */
struct ulp_container_target {
	struct ulp_span name;
	struct ulp_span build_id;
	__u32 first_function;
	__u32 nr_functions;
	__u32 first_reference;
	__u32 nr_references;
	__aligned_u64 text_start;
	__aligned_u64 text_end;
	__u32 flags;
	__u32 __reserved;
};

/**
 * enum ulp_entry_kind - how control gets from the old function to the new one
 * @ULP_ENTRY_JUMP: 5-byte "jmp rel32" at @entry
 * @ULP_ENTRY_SHORT: 2-byte "jmp rel8" at @entry to a "jmp rel32" at @island
 */
enum ulp_entry_kind {
	ULP_ENTRY_JUMP	= 1,
	ULP_ENTRY_SHORT	= 2,
};

/**
 * struct ulp_container_function - one function to replace
 * @old_name: name in the target
 * @new_name: name in the container
 * @old_value: st_value in the target
 * @old_size: bytes, not 0
 * @new_value: st_value in the container
 * @new_size: bytes, not 0
 * @entry: where the jump goes, >= @old_value (behind endbr64 if there is one)
 * @island: %ULP_ENTRY_SHORT: padding that takes the long jump; 0 otherwise
 * @kind: enum ulp_entry_kind
 * @first_range: index into the range table
 * @nr_ranges: ranges of the old function, at least one: [old_value, old_value +
 *	old_size) and the fragments the compiler split off it (.cold, .part)
 * @__reserved: must be 0
 * @expected: span in the bytes table: the target's bytes from @old_value
 *	on, at least up to the end of what is written at @entry
 * @island_expected: the same for @island, 5 bytes
 * @mask: span in the bytes table as long as @expected: bits of the expected
 *	bytes that count.  Empty: all
 */
struct ulp_container_function {
	struct ulp_span old_name;
	struct ulp_span new_name;
	__aligned_u64 old_value;
	__aligned_u64 old_size;
	__aligned_u64 new_value;
	__aligned_u64 new_size;
	__aligned_u64 entry;
	__aligned_u64 island;
	__u32 kind;
	__u32 first_range;
	__u32 nr_ranges;
	__u32 __reserved;
	struct ulp_span expected;
	struct ulp_span island_expected;
	struct ulp_span mask;
};

/** struct ulp_container_range - code of the target that belongs to a function */
struct ulp_container_range {
	__aligned_u64 start;
	__aligned_u64 end;
};

/**
 * enum ulp_reference_flags - flags of a reference
 * @ULP_REFERENCE_TLS: a thread-local variable; the slot is a tls_index
 * @ULP_REFERENCE_ORIGINAL: a function that the patch replaces and that has an
 *	original; the slot is its address as it was, not patched
 */
enum ulp_reference_flags {
	ULP_REFERENCE_TLS	= 1 << 0,
	ULP_REFERENCE_ORIGINAL	= 1 << 1,
};

/**
 * struct ulp_container_reference - a slot of the patch to be filled with the
 *	run-time address of something the target does not export
 * @target_name: name in the target
 * @slot_name: name of the variable in the container
 * @target_value: st_value in the target (offset in the TLS block for TLS)
 * @slot_value: st_value in the container: 8 writable bytes (address), or 16
 *	(module id, offset) for TLS
 * @flags: bits of enum ulp_reference_flags
 * @__reserved: must be 0
 */
struct ulp_container_reference {
	struct ulp_span target_name;
	struct ulp_span slot_name;
	__aligned_u64 target_value;
	__aligned_u64 slot_value;
	__u32 flags;
	__u32 __reserved;
};

/**
 * enum ulp_relocation_flags - flags of a relocation
 * @ULP_RELOCATION_OWN: @value is an address of the patch, not of the target
 * @ULP_RELOCATION_IMPORT: @name is a symbol, or "symbol@version", and means what the
 *	dynamic linker would bind it to for the target; @value is 0
 * @ULP_RELOCATION_WEAK: with %ULP_RELOCATION_IMPORT: it may mean nothing, then 0
 */
enum ulp_relocation_flags {
	ULP_RELOCATION_OWN	= 1 << 0,
	ULP_RELOCATION_IMPORT	= 1 << 1,
	ULP_RELOCATION_WEAK	= 1 << 2,
};

/**
 * struct ulp_container_relocation - a field of the patch that depends on where
 *	the target, or the patch itself, is in a process.  It may be in code, too:
 *	the patch is then written anew for each process.
 * @name: what it refers to; for people and messages
 * @place: st_value of the field in the container
 * @value: st_value in the target, or in the container (%ULP_RELOCATION_OWN), or
 *	offset in the target's TLS block
 * @addend: added to it, in two's complement
 * @type: how it is written, as the ABI defines these ELF relocations:
 *	R_X86_64_64, R_X86_64_32, R_X86_64_32S, R_X86_64_PC32 - an address;
 *	R_X86_64_TPOFF64, R_X86_64_DTPMOD64, R_X86_64_TLSDESC - of the target's TLS
 *	block (not with %ULP_RELOCATION_OWN); @value of R_X86_64_DTPMOD64 is 0.
 *	With %ULP_RELOCATION_IMPORT: R_X86_64_64, these three, or R_X86_64_DTPOFF64, in
 *	memory that the patch may write
 * @flags: bits of enum ulp_relocation_flags
 * @target: index into the target table; 0 with %ULP_RELOCATION_OWN
 * @__reserved: must be 0
 *
 * What does not fit into a field of 32 bits is refused when it is applied.
 */
struct ulp_container_relocation {
	struct ulp_span name;
	__aligned_u64 place;
	__aligned_u64 value;
	__aligned_u64 addend;
	__u32 type;
	__u32 flags;
	__u32 target;
	__u32 __reserved;
};

/** define ULP_ORIGINAL_CODE - most bytes of ulp_container_original.code */
#define ULP_ORIGINAL_CODE	64
/** define ULP_ORIGINAL_FIELDS - most fields in them */
#define ULP_ORIGINAL_FIELDS	4

/**
 * enum ulp_original_flags - flags of an original
 * @ULP_ORIGINAL_ENDS: the code ends in a jump or return, nothing is behind it.
 *	A call ends it, too: its return address is in the old function
 */
enum ulp_original_flags {
	ULP_ORIGINAL_ENDS	= 1 << 0,
};

/** define ULP_FIELD_LOW - ulp_container_field.next: the low half of an address */
#define ULP_FIELD_LOW	0U
/** define ULP_FIELD_HIGH - ulp_container_field.next: the high half of an address */
#define ULP_FIELD_HIGH	(~0U)

/**
 * struct ulp_container_field - 32 bits in code that is moved
 * @offset: of the field in the code
 * @next: it is a distance, counted from this offset, behind its instruction; or
 *	%ULP_FIELD_LOW or %ULP_FIELD_HIGH: half of the address itself
 * @value: st_value in the target that it leads to
 */
struct ulp_container_field {
	__u32 offset;
	__u32 next;
	__aligned_u64 value;
};

/**
 * struct ulp_container_original - the instructions that the jump at the entry of
 *	a function displaces, in a form that can run elsewhere: the way into the
 *	old function while it is patched
 * @function: index into the function table
 * @displaced: bytes they have at the entry, whole instructions; all of them
 *	are covered by the function's expected bytes
 * @code: span in the bytes table, at most %ULP_ORIGINAL_CODE
 * @flags: bits of enum ulp_original_flags.  Without %ULP_ORIGINAL_ENDS they are
 *	followed by a jump behind what was displaced
 * @nr_fields: of @fields
 * @fields: distances in @code
 */
struct ulp_container_original {
	__u32 function;
	__u32 displaced;
	struct ulp_span code;
	__u32 flags;
	__u32 nr_fields;
	struct ulp_container_field fields[ULP_ORIGINAL_FIELDS];
};

/**
 * struct ulp_container_origin - the ELF file before the sections were added
 * @file_size: its size; everything of ours is behind that, so that packing the
 *	same file again gives the same id
 * @shoff: its e_shoff
 * @shnum: its e_shnum
 * @shstrndx: its e_shstrndx
 */
struct ulp_container_origin {
	__aligned_u64 file_size;
	__aligned_u64 shoff;
	__u32 shnum;
	__u32 shstrndx;
};

/**
 * struct ulp_container_revert - the whole of section .ulp.rev
 * @magic: %ULP_REVERT_MAGIC
 * @version: %ULP_CONTAINER_VERSION
 * @size: sizeof(struct ulp_container_revert)
 * @id: the patch to revert: all else is read from the record in the target
 */
struct ulp_container_revert {
	__aligned_u64 magic;
	__u32 version;
	__u32 size;
	__u8 id[ULP_ID_SIZE];
};

#endif /* _UAPI_ULP_CONTAINER_H */
