// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the references of a piece of the patch mean in its target: a piece of the
 * patch, a place of the target, or a name for the dynamic linker.
 */
#include <inttypes.h>
#include <string.h>

#include "meaning.h"

bool is_thread_local(uint32_t type)
{
	switch (type) {
	case R_X86_64_TPOFF32:
	case R_X86_64_TPOFF64:
	case R_X86_64_GOTTPOFF:
	case R_X86_64_TLSGD:
	case R_X86_64_TLSLD:
	case R_X86_64_DTPOFF32:
	case R_X86_64_DTPOFF64:
	case R_X86_64_GOTPC32_TLSDESC:
	case R_X86_64_TLSDESC_CALL:
		return true;
	default:
		return false;
	}
}

static bool own(struct part *part, const struct piece *user, struct piece *piece,
		struct meaning *meaning)
{
	meaning->kind = MEANS_OWN;
	meaning->piece = piece;
	select_piece(part, piece, xasprintf(is_split_off(piece->name) ? "split off '%s'" :
					"new, '%s' uses it", user->name));
	return true;
}

static bool target(struct meaning *meaning, uint64_t value)
{
	meaning->kind = MEANS_TARGET;
	meaning->value = value;
	return true;
}

static bool import(struct meaning *meaning)
{
	meaning->kind = MEANS_IMPORT;
	return true;
}

/* What the name means to the target; @version: not the one that it has of it, or NULL. */
static bool import_version(const struct part *part, struct meaning *meaning,
			   const struct unit_symbol *symbol, const char *version)
{
	const char *named = name_version(symbol->name);

	if (named)
		meaning->name = xstrndup(symbol->name,
					 strchr(symbol->name + 1, '@') - symbol->name);
	if (named || slots_versions(part->slots, meaning->name))
		meaning->version = version ? version : named;
	return import(meaning);
}

static bool target_function(struct part *part, const struct piece *piece, uint64_t addr,
			    struct meaning *meaning)
{
	if (!piece->symbol || piece->symbol->type != STT_GNU_IFUNC)
		return target(meaning, addr);
	if (names_stub(part, addr, &addr))
		return target(meaning, addr);
	error("%s: '%s' is chosen at run time (IFUNC), and %s has no entry by which it could be called",
	      unit_name(piece), piece->name, part->target->path);
	return false;
}

/* Another symbol has the name, and may be another thing. */
static void note_doubt(const struct symbol *doubt, const struct piece *piece)
{
	if (piece && piece_is_local(piece))
		message(MESSAGE_NOTE,
			"'%s' of %s at 0x%" PRIx64 " may be that of another source of this name: nothing that was found of '%s' is among its symbols",
			doubt->name, doubt->file, doubt->value, piece->unit->name);
	else
		message(MESSAGE_NOTE,
			"'%s' of %s at 0x%" PRIx64 " may be static there: gold or lld do not tell; give the object that defines it, as --orig and as --patched",
			doubt->name, doubt->file, doubt->value);
}

/*
 * The target's own piece, by the evidence there is: found code that refers to it,
 * else the symbol table.
 */
static bool target_piece(struct part *part, const struct piece *user, const struct piece *piece,
			 const struct unit_symbol *symbol, struct meaning *meaning)
{
	const struct piece *twin = piece->twin;
	struct named named;

	if (symbol && twin->symbol && names_interposable(part, symbol)) {
		struct unit_symbol *before = unit_symbol_named(twin->unit, symbol->name);

		if (!before || before->imported || !before->bound)
			return import(meaning);
	}
	if (twin->found)
		return target_function(part, piece, twin->addr, meaning);
	if (twin->kind == PIECE_CODE && twin->hint)
		return target_function(part, piece, twin->hint, meaning);
	named = piece_is_local(twin) ? names_static(part, twin) :
		names_global(part, twin->name, piece->kind == PIECE_TLS);
	if (named.symbol)
		return target_function(part, piece, named.symbol->value, meaning);
	error("%s: '%s' uses '%s', and where that is in %s is not known%s%s", unit_name(user),
	      user->name, piece->name, part->target->path, twin->missed ? ": " : "",
	      twin->missed ? twin->missed : "");
	if (named.several)
		message(MESSAGE_NOTE, "several symbols have this name");
	else if (named.doubt)
		note_doubt(named.doubt, twin);
	else if (!part->target->has_symtab)
		message(MESSAGE_NOTE,
			"the target is stripped: its debug file tells: install it, or use --debug FILE");
	return false;
}

static bool uses(const struct piece *user, const struct piece *piece)
{
	for (size_t i = 0; i < user->nr_references; i++)
		if (user->references[i].piece == piece)
			return true;
	return false;
}

/* A variable that is gone and looks like @piece: same users, same size. */
static const struct piece *renamed_from(const struct pairs *pairs, const struct piece *piece)
{
	for (size_t i = 0; i < piece->unit->nr_pieces; i++) {
		const struct piece *user = piece->unit->pieces[i];
		const struct unit *orig;

		if (!user->twin || user->kind != PIECE_CODE || !uses(user, piece))
			continue;
		orig = user->twin->unit;
		for (size_t k = 0; k < orig->nr_pieces; k++) {
			const struct piece *gone = orig->pieces[k];

			if (gone->kind == piece->kind && !gone->twin && gone->symbol &&
			    gone->size == piece->size && uses(user->twin, gone))
				return gone;
		}
	}
	(void)pairs;
	return NULL;
}

/* Of a header: all sources that use it have it, and the linker keeps one. */
static bool is_shared(const struct piece *piece)
{
	return piece->symbol && (piece->symbol->bind == STB_WEAK ||
				 piece->symbol->bind == STB_GNU_UNIQUE);
}

static bool new_variable(struct part *part, const struct piece *user, struct piece *piece,
			 struct meaning *meaning)
{
	const struct options *options = part->pairs->options;
	const struct piece *gone;

	if (piece->why)
		return own(part, user, piece, meaning);
	for (size_t i = 0; i < options->nr_new_data; i++)
		if (!strcmp(options->new_data[i], piece->name))
			return own(part, user, piece, meaning);
	if (piece->ambiguous) {
		error("%s: cannot tell whether '%s' is the original's '%s', or which of several",
		      unit_name(piece), piece->name, piece->ambiguous);
		message(MESSAGE_NOTE,
			"give the variables different names, or --new-data=%s if it may begin with its initial value",
			piece->name);
		return false;
	}
	if (is_shared(piece) && !part->target->has_symtab &&
	    (!part->output || names_kept(part, piece->name))) {
		error("%s: '%s' uses the variable '%s', which its source did not: whether %s has it from another one is not known",
		      unit_name(piece), user->name, piece->name, part->target->path);
		message(MESSAGE_NOTE,
			"its debug file tells: install it, or use --debug FILE; or the objects that use it, as --orig and as --patched; or --new-data=%s if none does",
			piece->name);
		return false;
	}
	gone = renamed_from(part->pairs, piece);
	if (gone) {
		error("%s: the variable '%s' is new and '%s' is gone: if it was renamed its value would be lost",
		      unit_name(piece), piece->name, gone->name);
		message(MESSAGE_NOTE,
			"keep the old name, or --new-data=%s if it may begin with its initial value",
			piece->name);
		return false;
	}
	return own(part, user, piece, meaning);
}

/* A global that this unit's original did not have, but the target has from another. */
static bool elsewhere(struct part *part, const struct piece *piece, struct meaning *meaning)
{
	const struct piece *other;
	struct named named;

	if (piece_is_local(piece))
		return false;
	named = names_global(part, piece->name, piece->kind == PIECE_TLS);
	if (named.symbol)
		return names_interposable(part, piece->symbol) ? import(meaning) :
			target(meaning, named.symbol->value);
	other = global_piece(part->pairs, false, piece->name);
	return other && other->found && target(meaning, other->addr);
}

/* Code of the user itself, or a part that was split off. */
static bool is_same_function(const struct piece *user, const struct reference *reference)
{
	const struct piece *piece = reference->piece;

	if (user == piece || is_split_off(piece->name) || user->kind == PIECE_FRAME)
		return true;
	if (is_split_off(user->name))
		return reference->to;
	return leads_inside(user, reference);
}

static bool resolve_code(struct part *part, const struct piece *user,
			 const struct reference *reference, struct piece *piece,
			 struct meaning *meaning)
{
	if (reference->piece == piece && is_same_function(user, reference))
		return own(part, user, piece, meaning);
	if (reference->piece == piece && inside_thunk(reference, piece, meaning))
		return true;
	if (piece->twin && reference->piece == piece && reference->to)
		return inside_code(part, user, reference, piece, meaning);
	if (piece->twin)
		return target_piece(part, user, piece, reference->symbol, meaning);
	if (!piece->why && elsewhere(part, piece, meaning))
		return true;
	if (piece->joined) {
		error("%s: '%s' uses '%s', which shares its section with other code",
		      unit_name(user), user->name, piece->name);
		message(MESSAGE_NOTE, "compile it with -ffunction-sections");
		return false;
	}
	return own(part, user, piece, meaning);
}

static bool resolve_piece(struct part *part, const struct piece *user,
			  const struct reference *reference, struct piece *piece,
			  struct meaning *meaning)
{
	switch (piece->kind) {
	case PIECE_CODE:
		return resolve_code(part, user, reference, piece, meaning);
	case PIECE_CONST:
		if (is_compiler_made(piece) || piece->changed)
			return own(part, user, piece, meaning);
		break;
	case PIECE_DATA:
		if (is_compiler_made(piece))
			return own(part, user, piece, meaning);
		break;
	case PIECE_TLS:
		break;
	case PIECE_ANONYMOUS:
	case PIECE_LITERAL:
	case PIECE_FRAME:
		return own(part, user, piece, meaning);
	case PIECE_OTHER:
		error("%s: '%s' uses section %s, which is not part of the program",
		      unit_name(user), user->name, piece->name);
		return false;
	}
	if (piece->twin)
		return target_piece(part, user, piece, reference->symbol, meaning);
	if (elsewhere(part, piece, meaning))
		return true;
	if (piece->kind == PIECE_TLS) {
		error("%s: '%s' uses the new thread-local variable '%s': threads that run already have no room for it",
		      unit_name(user), user->name, piece->name);
		message(MESSAGE_NOTE, "keep the value in a map by thread, or in a structure that is there already");
		return false;
	}
	return piece->kind == PIECE_DATA ? new_variable(part, user, piece, meaning) :
					   own(part, user, piece, meaning);
}

/* What the original of the user's unit found out about a name. */
static const struct unit_symbol *known_name(const struct part *part, const struct piece *user,
					    const char *name)
{
	const struct unit_symbol *symbol;

	for (size_t i = 0; i < part->pairs->nr; i++) {
		const struct pair *pair = &part->pairs->pairs[i];

		if (&pair->patched != user->unit)
			continue;
		symbol = unit_symbol_named(&pair->orig, name);
		if (symbol && (symbol->bound || symbol->imported))
			return symbol;
	}
	/* Any other unit's: a global name means the same to all of them. */
	for (size_t i = 0; i < part->pairs->nr; i++) {
		symbol = unit_symbol_named(&part->pairs->pairs[i].orig, name);
		if (symbol && symbol->bind != STB_LOCAL && (symbol->bound || symbol->imported))
			return symbol;
	}
	return NULL;
}

static bool is_dynamic(const struct object *object)
{
	for (size_t i = 0; i < object->nr_segments; i++)
		if (object->segments[i].p_type == PT_INTERP)
			return true;
	return !object->executable;
}

/* What the patch adds to another one of its targets. */
static bool new_in_other_part(struct part *part, const struct piece *user,
			      const struct unit_symbol *symbol, struct meaning *meaning)
{
	for (size_t i = 0; i < part->patch->nr; i++) {
		struct part *other = &part->patch->parts[i];
		struct piece *piece = other == part ? NULL :
				      global_piece(other->pairs, true, symbol->name);

		if (piece && !piece->twin && piece->kind != PIECE_TLS && !piece->joined &&
		    piece->symbol->visibility == STV_DEFAULT)
			return own(other, user, piece, meaning);
	}
	return false;
}

static bool refuse_kept(const struct part *part, const struct piece *user, const char *name)
{
	error("%s: '%s' uses '%s', which %s does not export, and where that is in it is not known",
	      unit_name(user), user->name, name, part->target->path);
	message(MESSAGE_NOTE,
		"its debug file tells: install it, or use --debug FILE; or the object that defines it, as --orig and as --patched");
	return false;
}

static bool resolve_name(struct part *part, const struct piece *user,
			 const struct unit_symbol *symbol, bool tls, struct meaning *meaning)
{
	const struct unit_symbol *before = known_name(part, user, symbol->name);
	const struct symbol *known;
	struct named named;

	meaning->weak = symbol->bind == STB_WEAK;
	/* The linker found nobody who defines it, and wrote so: that is no address. */
	if (before && before->bound && !before->imported && meaning->weak && !before->addr) {
		meaning->kind = MEANS_NUMBER;
		meaning->value = 0;
		return true;
	}
	if (before && before->bound && !before->imported)
		return target(meaning, before->addr);
	if (before && before->imported)
		return import_version(part, meaning, symbol, before->version);
	named = names_global(part, symbol->name, tls);
	known = named.symbol;
	if (known && known->type == STT_GNU_IFUNC && !names_interposable(part, symbol)) {
		uint64_t stub;

		if (names_stub(part, known->value, &stub))
			return target(meaning, stub);
		known = NULL;
	}
	if (known)
		return names_interposable(part, symbol) ? import(meaning) :
							target(meaning, known->value);
	if (new_in_other_part(part, user, symbol, meaning))
		return true;
	if (named.several) {
		error("%s: '%s' uses '%s', and %s has several of this name", unit_name(user),
		      user->name, symbol->name, part->target->path);
		return false;
	}
	if (named.doubt) {
		error("%s: '%s' uses '%s', and where that is in %s is not known", unit_name(user),
		      user->name, symbol->name, part->target->path);
		note_doubt(named.doubt, NULL);
		return false;
	}
	if (symbol->visibility != STV_DEFAULT || !is_dynamic(part->target)) {
		if (meaning->weak) {
			meaning->kind = MEANS_NUMBER;
			meaning->value = 0;
			return true;
		}
		error("%s: '%s' uses '%s', which is not found in %s", unit_name(user), user->name,
		      symbol->name, part->target->path);
		if (!part->target->has_symtab)
			message(MESSAGE_NOTE,
				"the target is stripped: its debug file tells: install it, or use --debug FILE");
		return false;
	}
	if (names_kept(part, symbol->name))
		return refuse_kept(part, user, symbol->name);
	return import_version(part, meaning, symbol, NULL);
}

bool resolve_meaning(struct part *part, const struct piece *user,
		     const struct reference *reference, struct meaning *meaning)
{
	const struct unit_symbol *symbol = reference->symbol;
	struct piece *piece = reference->piece;

	memset(meaning, 0, sizeof(*meaning));
	meaning->part = part;
	meaning->name = symbol ? symbol->name : piece ? piece->name : "?";
	if (piece)
		return resolve_piece(part, user, reference, piece, meaning);
	if (!symbol || symbol->absolute || !*symbol->name) {
		meaning->kind = MEANS_NUMBER;
		meaning->value = symbol ? symbol->value : 0;
		return true;
	}
	if (symbol->section != SHN_UNDEF) {
		error("%s: '%s' uses '%s', which is in no section of the program", unit_name(user),
		      user->name, symbol->name);
		return false;
	}
	if (!strcmp(symbol->name, "_GLOBAL_OFFSET_TABLE_")) {
		error("%s: '%s' is compiled for another code model (-mcmodel): the global offset table of the patch is elsewhere",
		      unit_name(user), user->name);
		return false;
	}
	piece = global_piece(part->pairs, true, symbol->name);
	if (piece)
		return resolve_piece(part, user, reference, piece, meaning) &&
		       inside_named(part, user, symbol->name, piece, meaning);
	return resolve_name(part, user, symbol, is_thread_local(reference->type), meaning);
}
