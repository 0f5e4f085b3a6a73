/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Translation units as relocatable objects, taken apart into pieces: one function,
 * variable, string or constant each, with what it refers to.
 *
 * Steps of diff.c, in order:
 *   unit.c, pieces.c, references.c	read both objects of each pair
 *   twins.c				pairs their pieces
 *   change.c				finds what differs
 *   locate.c, places.c			find the original code in the target, by
 *					match.c, relaxed.c and bound.c
 *   select.c				takes together what goes into the patch;
 *					meaning.c, inside.c and names.c tell what all
 *					else is
 *   users.c, layout.c			look for what cannot be replaced alone
 *   link.c, fields.c			make a shared object of it
 */
#ifndef PACKER_UNIT_H
#define PACKER_UNIT_H

#include "diff.h"
#include "packer.h"

enum piece_kind {
	PIECE_CODE,		/* a function, or a part of one that was split off */
	PIECE_DATA,		/* a variable */
	PIECE_CONST,		/* data with a name that is never written */
	PIECE_ANONYMOUS,	/* the same without a name: jump tables */
	PIECE_LITERAL,		/* a string or number of a merged section */
	PIECE_TLS,		/* a thread-local variable */
	PIECE_FRAME,		/* a CIE or FDE of .eh_frame */
	PIECE_OTHER,		/* not part of the program: debug information, notes */
};

struct unit_symbol {
	const char *name;
	unsigned char type, bind, visibility;
	size_t section;			/* SHN_UNDEF, or an index of unit->sections */
	bool absolute;
	uint64_t value, size;
	struct piece *piece;		/* where it is, NULL: nowhere */
	/* The original's: what the target's code says. */
	bool bound;			/* something of the target's is at @addr */
	bool imported;			/* it goes through a slot for this name */
	const char *version;		/* ... in this version, NULL: any */
	uint64_t addr;
};

/* What one field of a piece refers to. */
struct reference {
	uint64_t offset;		/* of the field in the piece */
	uint32_t type;			/* R_X86_64_* */
	struct piece *piece;		/* what it means, NULL: it is undefined */
	struct unit_symbol *symbol;	/* that it names, NULL: a section's */
	int64_t addend;			/* for the formula of @type, from the piece's start */
	int64_t to;			/* place in the piece that is meant */
};

struct piece {
	struct unit *unit;
	struct unit_symbol *symbol;	/* NULL: it has no name */
	const char *name;		/* for messages, never NULL */
	enum piece_kind kind;
	size_t section;
	uint64_t start, size;		/* in the section */
	uint64_t align;
	const uint8_t *bytes;		/* NULL: zeros */
	bool writable;			/* until relocated, or always */
	bool joined;			/* code that shares its section with other code */
	struct reference *references;	/* ascending */
	size_t nr_references;
	/* twins.c */
	const char *plain;		/* the name without numbers */
	struct piece *twin;		/* the same thing in the other object */
	const char *ambiguous;		/* the one that it cannot be told from */
	/* change.c, of the patched object's */
	const char *changed;		/* how; NULL: it is as before */
	/* locate.c, of the original's */
	uint64_t hint;			/* where it must be, as found code says; 0: unknown */
	bool found;
	uint64_t addr, end;		/* in the target; @end for code */
	const char *proof;
	const char *missed;		/* why it was not found */
	/* select.c, of the patched object's */
	const char *why;		/* in the patch; NULL: it is not */
	struct piece *parent;		/* of an FDE: its CIE */
	/* link.c */
	uint64_t value;
};

struct unit_section {
	const char *name;
	uint64_t size, flags, align, entsize;
	uint32_t type;
	const uint8_t *bytes;		/* NULL: zeros */
	struct piece **pieces;		/* ascending */
	size_t nr_pieces;
};

struct unit {
	const char *path, *name;
	const char *file;		/* STT_FILE */
	const char *compiler;		/* of .comment, NULL: unknown */
	struct unit_section *sections;	/* by their ELF index */
	size_t nr_sections;
	struct unit_symbol *symbols;	/* by their ELF index */
	size_t nr_symbols;
	struct piece **pieces;
	size_t nr_pieces;
};

/* One pair; an object that is not there has no pieces. */
struct pair {
	const struct diff_pair *request;
	struct unit orig, patched;
	bool absent;			/* nothing of it is in the target */
	bool same;			/* one object: it only tells where things are */
};

struct pairs {
	struct pair *pairs;
	size_t nr;
	const struct options *options;
};

/* unit.c */
bool unit_read(const char *path, const char *name, struct unit *unit);
/* The piece a symbol of this name is in, any binding; NULL: none */
struct unit_symbol *unit_symbol_named(const struct unit *unit, const char *name);

/* pieces.c */
bool unit_split(struct unit *unit);
/* The piece with byte @at of a section, or else the last one before it. */
struct piece *piece_at(const struct unit_section *section, int64_t at);
/* The thunk that is at @at of a function, behind it, or NULL */
struct unit_symbol *piece_thunk(const struct piece *piece, int64_t at);

/* references.c */
bool unit_read_references(struct unit *unit, Elf *elf);
/* Bytes that a field of relocation type @type takes, 0 for unknown types */
unsigned int reference_size(uint32_t type);
const char *reference_name(uint32_t type);

/* unit.c: "name@version" taken apart; NULL: there is no version. */
const char *name_version(const char *name);
bool same_without_version(const char *name, const char *plain);

static inline bool piece_is_local(const struct piece *piece)
{
	return !piece->symbol || piece->symbol->bind == STB_LOCAL;
}

/* insn.c: instructions of a piece or of the target */
struct insn {
	unsigned int length;
	bool nop;			/* does nothing; not endbr64 */
	bool branch;			/* direct, with a relative target */
	bool call;
	unsigned int mnemonic;		/* of a branch */
	int64_t distance;		/* branch: from its end */
	unsigned int field, field_size;	/* branch: where that is written */
};

/* False if it is none. */
bool insn_decode(const uint8_t *bytes, size_t size, struct insn *insn);
/* As text, for messages. */
const char *insn_text(const uint8_t *bytes, size_t size, uint64_t addr);
/* Sets @ends[i] to @base + the end of the instruction that byte i of @bytes belongs to. */
bool insn_ends(const uint8_t *bytes, size_t size, uint32_t base, uint32_t *ends);

/* twins.c: fills in the twins of all units */
void twins_pair(struct pairs *pairs);
/* The name without what compilers number: "f.part.0" -> "f.part", "v.12" -> "v". */
char *plain_name(const char *name);
/* Made by the compiler for one function, equal content is as good. */
bool is_compiler_made(const struct piece *piece);
/* Part of a function that is entered from that function only ("f.cold"). */
bool is_split_off(const char *name);

/* slots.c: what the dynamic linker fills in the target */
struct slot {
	uint64_t addr;
	uint32_t type;			/* R_X86_64_* */
	const char *symbol;		/* NULL: none, or a section's */
	const char *version;		/* of it, NULL: none */
	bool own;			/* @symbol is one that the object has itself */
	unsigned char info;		/* its type and binding, as ELF has them */
	uint64_t value;			/* with the addend; without a symbol all there is */
};

struct slots {
	const struct object *object;
	struct slot *slots;		/* ascending */
	size_t nr;
	uint64_t tls_size;		/* of the program's block, up to the thread pointer */
};

void slots_read(const struct object *object, struct slots *slots);
const struct slot *slot_at(const struct slots *slots, uint64_t addr);
/* The slot that the PLT entry at @addr jumps through, or NULL if there is none. */
const struct slot *slot_of_stub(const struct slots *slots, uint64_t addr);
/* Whether the target imports several versions of the name. */
bool slots_versions(const struct slots *slots, const char *name);
/* The pointer at @addr; false if it is another object's, or not in the file. */
bool slots_pointer(const struct slots *slots, uint64_t addr, uint64_t *value);

/* match.c: the code of an original piece compared with the target at one place */
struct bound {			/* what the target has for one reference */
	bool known;
	bool imported;		/* a slot for the symbol of this name */
	const char *version;	/* of it, NULL: none */
	uint64_t addr;		/* of the piece or symbol; its offset if it is thread-local */
};

struct match {
	uint64_t addr, end;
	struct bound *bound;	/* one for each reference of the piece */
	uint64_t compared;	/* bytes that had to be equal */
	/* not equal: */
	uint64_t where;		/* offset in the piece */
	const char *why;
};

bool match_at(const struct slots *slots, const struct piece *piece, uint64_t addr,
	      struct match *match);

/* The place in the target of byte @at of a piece that matches at @addr. */
uint64_t match_place(const struct slots *slots, const struct piece *piece, uint64_t addr,
		     uint64_t at);

/* locate.c: finds the pieces of all originals; false on a contradiction */
bool locate(struct pairs *pairs, const struct slots *slots, const char *symbols_are);

/* meaning.c: what the fields of a patch mean in a target */
enum meaning_kind {
	MEANS_OWN,		/* a piece of the patch */
	MEANS_TARGET,		/* an address of the target, or offset of its TLS block */
	MEANS_IMPORT,		/* what the dynamic linker binds a name to */
	MEANS_NUMBER,		/* an absolute symbol */
};

struct meaning {
	enum meaning_kind kind;
	const struct part *part;	/* whose target it is */
	struct piece *piece;		/* MEANS_OWN */
	uint64_t value;			/* MEANS_TARGET, MEANS_NUMBER */
	const char *name;		/* MEANS_IMPORT; else for messages */
	const char *version;		/* MEANS_IMPORT: not the one the target has of it */
	bool weak;
};

/* Of exported symbols, as far as linkers treat them differently; a set of these. */
enum { KIND_FUNCTION = 1, KIND_WEAK = 2, NR_KINDS = 4 };

/* What one target gets. */
struct part {
	struct patch *patch;
	size_t number;
	struct pairs *pairs;
	struct object *target;
	const struct slots *slots;
	const struct object *output;	/* of the build, not the target's twin; or NULL */
	/* How the linker bound what the target exports and uses itself, by KIND_*. */
	bool by_name[NR_KINDS], directly[NR_KINDS];
	struct piece **pieces;	/* that go into it */
	size_t nr_pieces;
};

struct patch {
	struct part *parts;
	size_t nr;
};

#define for_each_patch_piece(patch, piece)						\
	for (struct part *part_ = (patch)->parts; part_ < (patch)->parts + (patch)->nr; part_++) \
		for (size_t i_ = 0; i_ < part_->nr_pieces && ((piece) = part_->pieces[i_]); i_++)

/*
 * names.c: how the target reaches what it exports, when all that can be found is found;
 * @symbolic: by the linker's options its functions directly
 */
void names_read_bindings(struct part *part, bool symbolic);

/* select.c: what goes into the patch */
bool select_pieces(struct patch *patch);

/* Adds the piece it means to the patch if need be; prints why it cannot be resolved. */
bool resolve_meaning(struct part *part, const struct piece *user,
		     const struct reference *reference, struct meaning *meaning);
bool is_thread_local(uint32_t type);

/* users.c: false if others use a constant that the patch has anew */
bool check_users(const struct part *part);
/* ... and whether others use a static function: gold does not name all that it folds. */
bool check_static(const struct part *part, const struct code *code, const struct piece *orig);
/*
 * Who calls a changed function, or may, and is not replaced; as a text, NULL: nobody.
 * Outside: only those that were not compiled anew.
 */
const char *function_user(const struct part *part, const struct piece *piece);
const char *function_user_outside(const struct part *part, const struct piece *piece);

/* layout.c: false if a type changed that memory or code which stays has */
bool check_layouts(const struct part *part);

/* fields.c: the fields of all pieces, and the slots and stubs that they need */
struct need {			/* a slot of the patch's GOT, or a stub with its slot */
	uint32_t type;		/* of the relocation that fills it */
	struct meaning meaning;
	int64_t to;		/* place in the own piece */
	uint64_t slot, stub;
};

struct fields {
	struct patch *patch;
	uint8_t *image;		/* of all addresses of the patch; NULL: only count */
	struct need *needs;
	size_t nr_needs, nr_stubs, got_size;
	const char **imports;	/* dynamic symbols, from number 1 */
	bool *weak;
	size_t nr_imports;
	Elf64_Rela *relas;
	size_t nr_relas;
	struct fixup *fixups;
	size_t nr_fixups;
};

#define STUB_SIZE	16

/* Finds out what slots, stubs and relocations there will be; then fills them in. */
bool fields_fill(struct fields *fields);

/* link.c: the patch as a shared object, in a file without a name */
bool link_patch(struct patch *patch, int *fd, struct fixup **fixups, size_t *nr_fixups);

/* change.c: false if what changed cannot be patched; @any: whether code changed */
bool changes_find(struct pairs *pairs, bool *any);
/* The piece of any unit's patched (@patched) or original object that defines @name for all. */
struct piece *global_piece(const struct pairs *pairs, bool patched, const char *name);
/* From a table into the middle of a function: a label, of a switch or taken by hand. */
bool leads_inside(const struct piece *user, const struct reference *reference);
/* Whether what the two refer to is the same thing, or as good. */
bool same_reference(const struct reference *orig, const struct reference *patched);
bool same_content(const struct piece *orig, const struct piece *patched);

#endif /* PACKER_UNIT_H */
