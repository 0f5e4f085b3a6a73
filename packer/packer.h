/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ulp-packer - makes patch containers
 *
 * Functions that can fail print what is wrong and return false.  The packer
 * runs once: what it allocates lives until it exits.
 */
#ifndef PACKER_H
#define PACKER_H

#include <elf.h>
#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ulp_container.h"

#define JUMP_SIZE	5	/* jmp rel32 */
#define SHORT_SIZE	2	/* jmp rel8 */
#define ENDBR_SIZE	4	/* endbr64 */

/* main.c: one file per command */
int cmd_diff(int argc, char **argv);
int cmd_pack(int argc, char **argv);
int cmd_build(int argc, char **argv);
int cmd_make(int argc, char **argv);

enum { EXIT_MADE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOTHING = 3 };

/* [@start, @end) */
struct extent {
	uint64_t start, end;
};

static inline bool extent_has(struct extent extent, uint64_t addr)
{
	return addr >= extent.start && addr < extent.end;
}

static inline bool extents_overlap(struct extent a, struct extent b)
{
	return a.start < b.end && b.start < a.end;
}

/* util.c: memory that is there or the program ends */
void *xcalloc(size_t nr, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* @text, allocated, of *@length bytes, with @more behind it */
char *xappend(char *text, size_t *length, const char *more);
/* @array with room for at least one more entry than @nr, which is zero */
void *grow(void *array, size_t nr, size_t size);
#define append(array, nr) \
	(*({ (array) = grow(array, nr, sizeof(*(array))); &(array)[(nr)++]; }))
/* The last part of a path. */
const char *base_name(const char *path);
char *hex(const uint8_t *bytes, size_t size);

/* A word of a description and where it stands; text NULL: not there. */
struct field {
	const char *text;
	unsigned int line, column;	/* from 1 */
};

/* util.c: messages.  With a field: FILE:LINE:COLUMN, the line and a caret. */
struct description;
enum message { MESSAGE_ERROR, MESSAGE_WARNING, MESSAGE_NOTE };
void message_at(enum message kind, const struct description *desc, const struct field *field,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
void message(enum message kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define error(...)	message(MESSAGE_ERROR, __VA_ARGS__)
#define error_at(...)	message_at(MESSAGE_ERROR, __VA_ARGS__)
/* -1: errors only, 0, 1: what was decided about each function */
extern int verbosity;

/* describe.c: the description, a .dsc file */
struct described_function {
	struct field old_name;		/* without version */
	const char *version;		/* NULL: any */
	struct field new_name;
	struct field address;		/* third field: which of several */
	uint64_t value;			/* the same as number */
};

struct described_reference {
	struct field target_name, slot_name;
	struct field target_offset, slot_offset;	/* both or none */
	uint64_t target_value, slot_value;
	bool tls;
	bool original;			/* a function that is replaced, as it was */
};

struct description {
	const char *path;
	char **lines;
	size_t nr_lines;
	struct field livepatch;
	struct field target;
	struct described_function *functions;
	size_t nr_functions;
	struct described_reference *references;
	size_t nr_references;
	struct field *dependencies;
	size_t nr_dependencies;
	char *comment;
	size_t comment_length;
	char **labels;
	size_t nr_labels;
	bool scan_memory;		/* coroutines may be inside */
};

/* @has_livepatch: -l was given, line 1 may be left out */
bool describe(const char *path, bool has_livepatch, struct description *desc);
/* Adds a line of comment, and the labels in it. */
void description_comment(struct description *desc, const char *text);
void description_label(struct description *desc, const char *label);
/* A path of the description: relative to its own directory, then to the cwd. */
char *description_find(const struct description *desc, const char *path);

/* elf.c: an ELF file with its symbols */
struct symbol {
	const char *name;		/* without version */
	const char *version;		/* NULL: none */
	const char *file;		/* static: of its source, else NULL */
	size_t source;			/* the same as a number: sources can share a name */
	unsigned int table;		/* which of the tables it is of */
	uint64_t value, size;
	unsigned char type, bind;	/* STT_*, STB_* */
	bool defined, exported;
};

/* What .eh_frame says of one piece of code. */
struct frame {
	struct extent code;
	uint64_t lsda;			/* how exceptions go on in it, 0: they do not */
};

struct section {
	const char *name;
	uint64_t addr, size, flags, offset;
	uint32_t type;
};

struct object {
	const char *path;
	const char *name;		/* DT_SONAME or base name */
	int fd;
	Elf *elf;
	GElf_Ehdr header;
	const uint8_t *file;		/* all of it */
	size_t file_size;
	GElf_Phdr *segments;
	size_t nr_segments;
	struct section *sections;
	size_t nr_sections;
	struct symbol *symbols;
	size_t nr_symbols;
	bool has_symtab;		/* its own or a debug file's */
	unsigned int nr_tables;
	const char **sources;		/* STT_FILE of all of them, from number 1 */
	size_t nr_sources;
	bool sources_end;		/* global symbols that were made local are behind them */
	uint8_t build_id[ULP_BUILD_ID_MAX];
	size_t build_id_size;
	const char **needed;
	size_t nr_needed;
	uint64_t dynamic_flags;		/* DF_* */
	bool executable;		/* no library: nobody overrides its symbols */
	struct extent text;		/* all executable addresses */
	struct frame *frames;		/* of .eh_frame, ascending */
	size_t nr_frames;
};

bool object_open(const char *path, struct object *object);
/* Sections and build-id only; @kind: how it is told what is wrong with the file. */
bool object_read(const char *path, enum message kind, struct object *object);
/* The file; names and bytes of it are gone. */
void object_close(struct object *object);
/* @size bytes of the file that are loaded at @addr, or NULL */
const uint8_t *object_at(const struct object *object, uint64_t addr, uint64_t size);
/* The PT_LOAD that has all of them in memory, or NULL */
const GElf_Phdr *object_segment(const struct object *object, uint64_t addr, uint64_t size);
const struct section *object_section(const struct object *object, uint64_t addr);
const struct section *object_section_named(const struct object *object, const char *name);
/* symbols.c: adds those of @elf, the object itself or its debug file */
bool symbols_read(struct object *object, Elf *elf);
/* The defined function that covers @addr, smallest first, or NULL */
const struct symbol *object_function_at(const struct object *object, uint64_t addr);

/* debug.c: the debug file that a debugger would find for a stripped object, or NULL */
const char *debug_find(const struct object *object);
/*
 * Adds the symbols of the debug file @given; NULL: of the one that is found, if the
 * object is stripped; "": of none.
 */
struct options;
bool debug_add(struct object *object, const char *given, const struct options *options,
	       bool *added);

/* frames.c: the extents of functions as .eh_frame has them */
void frames_read(struct object *object);
const struct frame *frame_at(const struct object *object, uint64_t addr);

/* encoding.c: numbers as .eh_frame and .gcc_except_table write them */
struct cursor {
	const uint8_t *pos, *end;
	uint64_t addr;			/* of @pos */
};

bool read_encoded(struct cursor *cursor, uint8_t encoding, uint64_t *value);
bool read_uleb(struct cursor *cursor, uint64_t *value);

/* lsda.c: where exceptions go on in the code of @frame; returns how many */
size_t landing_pads(const struct object *object, const struct frame *frame, uint64_t **pads);

/* code.c: all code of the target, decoded once */
struct branch {
	uint64_t target, source;
	bool call;
};

struct code {
	const struct object *object;
	struct branch *branches;	/* direct ones, ascending by target */
	size_t nr_branches;
	struct extent *paddings;	/* nop and int3 that nothing runs into, ascending */
	size_t nr_paddings;
	uint64_t *pointers;		/* into the code, from data, ascending */
	size_t nr_pointers;
};

void code_read(const struct object *object, struct code *code);
/* A branch into [start, end), from @*index on; NULL when there are no more */
const struct branch *code_branch_into(const struct code *code, struct extent extent,
				      size_t *index);
/* Why the bytes (start, end) are somebody's way in: a text, or NULL if they are not */
const char *code_entered(const struct code *code, struct extent extent);
/* The instruction at @addr: its length, 0 if it is none; whether it is nop or int3 */
unsigned int code_instruction(const struct object *object, uint64_t addr, bool *padding);
/*
 * A jump table that the code in @ranges takes the address of and that leads into
 * (@extent.start, @extent.end): its address, else 0
 */
uint64_t code_table_into(const struct object *object, const struct extent *ranges,
			 size_t nr_ranges, struct extent extent);

/* A field that depends on where the target, or the patch, is in a process. */
struct fixup {
	uint64_t place, value;
	int64_t addend;
	uint32_t type;			/* R_X86_64_* */
	bool own;			/* @value is an address of the patch */
	bool import, weak;		/* what the target binds the name to */
	uint32_t target;		/* number of it */
	const char *name;
};

/* The plan of a container, one for each target. */
struct function {
	const struct described_function *described;
	const char *old_name, *new_name;
	uint64_t old_value, old_size, new_value, new_size;
	uint64_t entry, island;
	uint32_t kind;
	struct extent *ranges;
	size_t nr_ranges;
	struct ulp_container_original original;	/* but for its code; displaced 0: none */
	uint8_t original_code[ULP_ORIGINAL_CODE];
	const char *no_original;	/* why there is none */
};

struct plan {
	const struct description *desc;
	struct object *target, *patch;
	struct code code;
	const char *name;
	uint64_t created;
	struct function *functions;
	size_t nr_functions;
	uint8_t (*dependencies)[ULP_ID_SIZE];
	size_t nr_dependencies;
	struct extent *used;		/* padding that the entries take */
	size_t nr_used;
	struct reserved *reserved;	/* reserve.c, made when first needed */
	size_t nr_reserved;
	bool has_reserved;		/* they were made; there may be none */
	bool keep_off;			/* padding reserved for others is not free */
	const struct fixup *fixups;
	size_t nr_fixups;
};

static inline uint64_t entry_size(const struct function *function)
{
	return function->kind == ULP_ENTRY_JUMP ? JUMP_SIZE : SHORT_SIZE;
}

/* A container that is made, and not yet written to @out. */
struct container {
	const char *out;
	uint8_t *data;
	size_t size;
	mode_t mode;
	char id[65];
};

/* plan.c: what all ways to make a container share */
bool name_is_good(const char *name);
/* The base name of @path without @suffix, made of allowed characters. */
char *default_name(const char *path, const char *suffix);
bool is_directory_path(const char *path);
/* @path, with a slash behind it, once, if it is a directory. */
const char *output_path(const char *path);
bool read_created(uint64_t *created);
/* Where the jumps go; all that is refused is printed. */
bool place(struct plan *plan);
void print_plans(const struct plan *plans, size_t nr, const struct container *container);

/* check.c: what a patch or a target may not be */
bool check_target(const struct object *target);
bool check_patch(const struct object *patch, const struct object *target,
		 bool allow_exceptions);

/* resolve.c: names of the description to addresses */
bool resolve_function(const struct plan *plan, const struct described_function *described,
		      struct function *out);
/* Fills in the values that the description leaves open. */
bool resolve_reference(const struct plan *plan, struct described_reference *reference);
bool resolve_dependency(const struct plan *plan, const struct field *field,
			uint8_t id[ULP_ID_SIZE]);

/* fragments.c: all code that belongs to the old function */
void find_fragments(const struct plan *plan, struct function *function);
void add_range(struct function *function, struct extent range);
/* entry.c: where the jump goes */
bool choose_entry(struct plan *plan, struct function *function);
/* Sets kind and island; false, and both reasons, if there is no way. */
bool find_entry(struct plan *plan, struct function *function, const char **jump,
		const char **near);
/* NULL if @size bytes at the entry may be overwritten, else why not. */
const char *entry_blocked(const struct plan *plan, const struct function *function,
			  unsigned int size);
/* Padding of @size bytes from @extent.start on that may be overwritten. */
bool is_free(const struct plan *plan, struct extent extent);

/* original.c: the way into the old function behind the jump, if there can be one */
void find_original(const struct object *target, struct function *function);

/* reserve.c: which padding belongs to which function, in whatever patch */
struct reserved {
	struct extent function;
	uint32_t kind;
	uint64_t island;
	struct extent padding;
};

const struct reserved *find_reserved(struct plan *plan, const struct function *function);

/*
 * emit.c: makes the container, checked by reading it back.  All but target and
 * functions is that of the first plan.
 */
bool emit(const struct plan *plans, size_t nr, const char *out, struct container *container);
/* The ELF file as it was before it was packed; @size may shrink. */
bool emit_origin(const struct object *patch, uint8_t **file, size_t *size);

/*
 * write.c: all of them, or none.  Whoever reads one of the files meanwhile sees what was
 * there before or the new one, never a part.
 */
bool containers_write(const struct container *containers, size_t nr);
/* Before the work is done: whether there is a place for what @out names. */
bool may_be_written(const char *out);

#endif /* PACKER_H */
