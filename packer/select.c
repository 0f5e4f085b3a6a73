// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What goes into the patch, and what everything else that it refers to is.
 *
 * Changed functions go in, what is new and used by them, and constants that have
 * no identity.  All else stays the target's: its variables keep their values,
 * and a function is always reached by its entry in the target, changed or not,
 * so that its address stays the same and patches can be stacked.
 */
#include <inttypes.h>
#include <string.h>

#include "unit.h"

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

static void include(struct part *part, struct piece *piece, const char *why)
{
	if (piece->why)
		return;
	piece->why = why;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	append(part->pieces, part->nr_pieces) = piece;
}

static bool own(struct part *part, const struct piece *user, struct piece *piece,
		struct meaning *meaning)
{
	meaning->kind = MEANS_OWN;
	meaning->piece = piece;
	include(part, piece, xasprintf(is_split_off(piece->name) ? "split off '%s'" :
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

static const char *unit_name(const struct piece *piece)
{
	return piece->unit->name;
}

static bool is_thread_symbol(const struct symbol *symbol)
{
	return symbol->type == STT_TLS;
}

/* All defined symbols of this name are at one place; false if none, or several. */
static const struct symbol *target_symbol(const struct part *part, const char *name, bool tls,
					  const char *file, bool *several)
{
	const struct object *object = part->target;
	const struct symbol *found = NULL;

	*several = false;
	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (!symbol->defined || is_thread_symbol(symbol) != tls ||
		    strcmp(symbol->name, name) != 0 ||
		    (file && symbol->file && strcmp(symbol->file, file) != 0))
			continue;
		if (found && found->value != symbol->value)
			*several = true;
		if (!found || symbol->exported)
			found = symbol;
	}
	return *several ? NULL : found;
}

static const struct symbol *exported_symbol(const struct part *part, const char *name)
{
	const struct object *object = part->target;

	for (size_t i = 0; i < object->nr_symbols; i++)
		if (object->symbols[i].exported && !strcmp(object->symbols[i].name, name))
			return &object->symbols[i];
	return NULL;
}

/* Whether another object may define what @symbol means in the target's place. */
static bool is_interposable(const struct part *part, const struct unit_symbol *symbol)
{
	return symbol && symbol->bind != STB_LOCAL && symbol->visibility == STV_DEFAULT &&
	       !part->target->executable && !(part->target->dynamic_flags & DF_SYMBOLIC) &&
	       exported_symbol(part, symbol->name);
}

/* The stub by which the program's own code calls its indirect function. */
static bool stub_of_resolver(const struct part *part, uint64_t resolver, uint64_t *stub)
{
	const struct object *object = part->target;

	for (size_t i = 0; i < object->nr_sections; i++) {
		const struct section *section = &object->sections[i];
		const uint64_t end = section->addr + section->size;

		if (strncmp(section->name, ".plt", 4) != 0)
			continue;
		for (uint64_t at = section->addr; at + 8 <= end; at += 8) {
			const struct slot *slot = slot_of_stub(part->slots, at);

			if (slot && slot->type == R_X86_64_IRELATIVE && slot->value == resolver) {
				*stub = at;
				return true;
			}
		}
	}
	return false;
}

static bool target_function(struct part *part, const struct piece *piece, uint64_t addr,
			    struct meaning *meaning)
{
	if (!piece->symbol || piece->symbol->type != STT_GNU_IFUNC)
		return target(meaning, addr);
	if (stub_of_resolver(part, addr, &addr))
		return target(meaning, addr);
	error("%s: '%s' is chosen at run time (IFUNC), and %s has no entry by which it could be called",
	      unit_name(piece), piece->name, part->target->path);
	return false;
}

/*
 * The target's own piece, by the evidence there is: found code that refers to it,
 * else the symbol table.
 */
static bool target_piece(struct part *part, const struct piece *user, const struct piece *piece,
			 const struct unit_symbol *symbol, struct meaning *meaning)
{
	const struct piece *twin = piece->twin;
	const struct symbol *known;
	bool several;

	if (symbol && twin->symbol && is_interposable(part, symbol)) {
		struct unit_symbol *before = unit_symbol_named(twin->unit, symbol->name);

		if (!before || before->imported || !before->bound)
			return import(meaning);
	}
	if (twin->found)
		return target_function(part, piece, twin->addr, meaning);
	known = target_symbol(part, twin->name, piece->kind == PIECE_TLS,
			      piece_is_local(twin) ? twin->unit->file : NULL, &several);
	if (known)
		return target_function(part, piece, known->value, meaning);
	if (twin->kind == PIECE_CODE && twin->hint)
		return target_function(part, piece, twin->hint, meaning);
	error("%s: '%s' uses '%s', and where that is in %s is not known%s%s", unit_name(user),
	      user->name, piece->name, part->target->path, twin->missed ? ": " : "",
	      twin->missed ? twin->missed : "");
	if (several)
		message(MESSAGE_NOTE, "several symbols have this name");
	else if (!part->target->has_symtab)
		message(MESSAGE_NOTE,
			"the target is stripped: its debug file tells, use --debug FILE");
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
	const struct symbol *known;
	bool several;

	if (piece_is_local(piece))
		return false;
	known = target_symbol(part, piece->name, piece->kind == PIECE_TLS, NULL, &several);
	if (!known || known->bind == STB_LOCAL)
		return false;
	return is_interposable(part, piece->symbol) ? import(meaning) :
						       target(meaning, known->value);
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

/* A thunk that is behind a function of the target. */
static bool target_thunk(const struct reference *reference, const struct piece *piece,
			 struct meaning *meaning)
{
	const struct unit_symbol *thunk = piece_thunk(piece, reference->to), *old;

	if (!thunk || !piece->twin)
		return false;
	old = unit_symbol_named(piece->twin->unit, thunk->name);
	if (!old || !old->bound)
		return false;
	return target(meaning, old->addr - (thunk->value - piece->start));
}

static bool resolve_code(struct part *part, const struct piece *user,
			 const struct reference *reference, struct piece *piece,
			 struct meaning *meaning)
{
	if (reference->piece == piece && is_same_function(user, reference))
		return own(part, user, piece, meaning);
	if (reference->piece == piece && target_thunk(reference, piece, meaning))
		return true;
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

/*
 * The build's own output, though it is not the target's twin, defines the name and does
 * not export it: so does the target.  Static symbols have their source's name; those
 * that a version script or visibility made local have none.
 */
static bool is_kept(const struct part *part, const char *name)
{
	bool kept = false;

	for (size_t i = 0; part->output && i < part->output->nr_symbols; i++) {
		const struct symbol *symbol = &part->output->symbols[i];

		if (!symbol->defined || symbol->file || strcmp(symbol->name, name) != 0)
			continue;
		if (symbol->exported)
			return false;
		kept = true;
	}
	return kept;
}

static bool refuse_kept(const struct part *part, const struct piece *user, const char *name)
{
	error("%s: '%s' uses '%s', which %s does not export, and where that is in it is not known",
	      unit_name(user), user->name, name, part->target->path);
	message(MESSAGE_NOTE,
		"its debug file tells, use --debug FILE; or the object that defines it, as --orig and as --patched");
	return false;
}

static bool resolve_name(struct part *part, const struct piece *user,
			 const struct unit_symbol *symbol, bool tls, struct meaning *meaning)
{
	const struct unit_symbol *before = known_name(part, user, symbol->name);
	const struct symbol *known;
	bool several;

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
	known = target_symbol(part, symbol->name, tls, NULL, &several);
	if (known && known->type == STT_GNU_IFUNC && !is_interposable(part, symbol)) {
		uint64_t stub;

		if (stub_of_resolver(part, known->value, &stub))
			return target(meaning, stub);
		known = NULL;
	}
	if (known)
		return is_interposable(part, symbol) ? import(meaning) :
							target(meaning, known->value);
	if (new_in_other_part(part, user, symbol, meaning))
		return true;
	if (several) {
		error("%s: '%s' uses '%s', and %s has several of this name", unit_name(user),
		      user->name, symbol->name, part->target->path);
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
				"the target is stripped: its debug file tells, use --debug FILE");
		return false;
	}
	if (is_kept(part, symbol->name))
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
		return resolve_piece(part, user, reference, piece, meaning);
	return resolve_name(part, user, symbol, is_thread_local(reference->type), meaning);
}

/* Why a function that has to be replaced is not found, and what to do. */
static bool refuse_missing(const struct part *part, const struct piece *piece)
{
	const struct piece *twin = piece->twin;
	const struct section *comment = object_section_named(part->target, ".comment");
	const char *compiler = NULL;

	error("%s: '%s' changed, but its original code is not in %s", unit_name(piece), piece->name,
	      part->target->path);
	message(MESSAGE_NOTE, "%s", twin->missed ? twin->missed : "nothing there is like it");
	if (comment && comment->size && comment->type == SHT_PROGBITS &&
	    memchr(part->target->file + comment->offset, 0, comment->size))
		compiler = (const char *)part->target->file + comment->offset;
	if (compiler && twin->unit->compiler && strcmp(compiler, twin->unit->compiler) != 0)
		message(MESSAGE_NOTE, "the target was compiled by \"%s\", the object by \"%s\"",
			compiler, twin->unit->compiler);
	else
		message(MESSAGE_NOTE,
			"the object has to be compiled from the same source with the same compiler and flags");
	return false;
}

static bool select_changed(struct part *part, struct piece *piece)
{
	if (piece->kind != PIECE_CODE || !piece->changed || !piece->twin ||
	    is_split_off(piece->name))
		return true;
	if (!piece->twin->found)
		return refuse_missing(part, piece);
	include(part, piece, piece->changed);
	return true;
}

/* The CIE that an FDE names by its distance; NULL for a CIE. */
static struct piece *cie_of(const struct piece *frame)
{
	const struct unit_section *section = &frame->unit->sections[frame->section];
	uint32_t distance;

	memcpy(&distance, frame->bytes + 4, sizeof(distance));
	for (size_t i = 0; distance && i < section->nr_pieces; i++)
		if (section->pieces[i]->start == frame->start + 4 - distance)
			return section->pieces[i];
	return NULL;
}

/* Unwind tables go with their code. */
static void select_frames(struct part *part)
{
	for (size_t i = 0; i < part->pairs->nr; i++) {
		struct unit *unit = &part->pairs->pairs[i].patched;

		for (size_t k = 0; k < unit->nr_pieces; k++) {
			struct piece *frame = unit->pieces[k], *cie;

			if (frame->kind != PIECE_FRAME || !frame->nr_references ||
			    !frame->references[0].piece || !frame->references[0].piece->why)
				continue;
			cie = cie_of(frame);
			if (!cie)
				continue;
			frame->parent = cie;
			include(part, cie, "unwind table");
			include(part, frame, "unwind table");
		}
	}
}

static bool close_over(struct part *part, size_t *done)
{
	struct meaning meaning;
	bool good = true;

	for (; *done < part->nr_pieces && good; ++*done)
		for (size_t r = 0; r < part->pieces[*done]->nr_references; r++)
			good &= resolve_meaning(part, part->pieces[*done],
						&part->pieces[*done]->references[r], &meaning);
	return good;
}

/* What they refer to, and what that refers to, in whichever part. */
static bool close_all(struct patch *patch, size_t *done)
{
	bool good = true, more = true;

	while (good && more) {
		more = false;
		for (size_t i = 0; i < patch->nr; i++) {
			good &= close_over(&patch->parts[i], &done[i]);
			for (size_t k = 0; k < patch->nr; k++)
				more |= done[k] < patch->parts[k].nr_pieces;
		}
	}
	return good;
}

bool select_pieces(struct patch *patch)
{
	size_t *done = xcalloc(patch->nr, sizeof(*done));
	bool good = true;

	for (size_t p = 0; p < patch->nr; p++) {
		struct part *part = &patch->parts[p];

		for (size_t i = 0; i < part->pairs->nr; i++) {
			struct unit *unit = &part->pairs->pairs[i].patched;

			if (part->pairs->pairs[i].absent)
				continue;
			for (size_t k = 0; k < unit->nr_pieces; k++)
				good &= select_changed(part, unit->pieces[k]);
		}
	}
	good = good && close_all(patch, done);
	for (size_t p = 0; p < patch->nr && good; p++)
		select_frames(&patch->parts[p]);
	return good && close_all(patch, done);
}
