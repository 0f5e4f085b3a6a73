// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Types that changed and cross the border between what the patch replaces and what
 * stays: memory that is there already has the old layout, code that stays may
 * expect it.  Only a structure that lives in local variables of replaced functions,
 * which hand it on to each other by arguments, may change.
 */
#include <dwarf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "types.h"
#include "unit.h"

struct checked {
	const struct part *part;
	const struct pair *pair;
	struct types orig, patched;
};

/* ---- what changed in a type ---- */

static const struct member *member_named(const struct type *type, const char *name)
{
	for (size_t i = 0; i < type->nr_members; i++)
		if (!strcmp(type->members[i].name, name))
			return &type->members[i];
	return NULL;
}

/* Something else is there now, of the same type: it was renamed. */
static bool is_renamed(const struct type *from, const struct type *to, const struct member *member)
{
	for (size_t i = 0; i < to->nr_members; i++)
		if (to->members[i].at == member->at &&
		    !strcmp(to->members[i].type, member->type) &&
		    !member_named(from, to->members[i].name))
			return true;
	return false;
}

static const char *place_text(int64_t bits)
{
	if (bits % 8)
		return xasprintf("bit %" PRId64, bits);
	return xasprintf("byte %" PRId64, bits / 8);
}

/* The first thing of @orig that is another one in @patched, or NULL. */
static const char *difference(const struct type *orig, const struct type *patched)
{
	for (size_t i = 0; i < orig->nr_members; i++) {
		const struct member *before = &orig->members[i];
		const struct member *after = member_named(patched, before->name);

		if (orig->enumeration) {
			if (after && after->at != before->at)
				return xasprintf("'%s' is %" PRId64 " instead of %" PRId64,
						 before->name, after->at, before->at);
			continue;
		}
		if (!after && is_renamed(orig, patched, before))
			continue;
		if (!after)
			return xasprintf("its member '%s' is gone", before->name);
		if (after->at != before->at)
			return xasprintf("its member '%s' is at %s instead of %s", before->name,
					 place_text(after->at), place_text(before->at));
		if (strcmp(after->type, before->type) != 0)
			return xasprintf("its member '%s' is '%s' instead of '%s'", before->name,
					 after->type, before->type);
	}
	for (size_t i = 0; i < patched->nr_members && !orig->enumeration; i++) {
		const struct member *after = &patched->members[i];

		if (!member_named(orig, after->name) && !is_renamed(patched, orig, after))
			return xasprintf("its member '%s' at %s is new", after->name,
					 place_text(after->at));
	}
	if (orig->size != patched->size)
		return xasprintf("it has %" PRIu64 " bytes instead of %" PRIu64, patched->size,
				 orig->size);
	return NULL;
}

/* ---- who has such a type ---- */

static bool is_allowed(const struct part *part, const char *what, const char *name)
{
	const struct options *options = part->pairs->options;

	for (size_t i = 0; i < options->nr_new_layouts; i++)
		if (!strcmp(options->new_layouts[i], name)) {
			message(MESSAGE_WARNING,
				"the layout of the %s '%s' changed, and you say that nothing with the old one is used by the new code, or the other way round",
				what, name);
			return true;
		}
	return false;
}

/* What the target has of a function or variable of the patched object. */
enum fate { FATE_NONE, FATE_NEW, FATE_STAYS, FATE_REPLACED };

static bool is_named(const struct piece *piece, const char *name)
{
	return piece->symbol && (!strcmp(piece->name, name) ||
				 (piece->plain && !strcmp(piece->plain, name)));
}

static enum fate piece_fate(const struct piece *piece)
{
	if (!piece->twin)
		return FATE_NEW;
	return piece->changed ? FATE_REPLACED : FATE_STAYS;
}

/* Of several copies the one that stays; else that of another unit. */
static enum fate fate_of(const struct checked *checked, const char *name, struct piece **out)
{
	const struct unit *unit = &checked->pair->patched;
	enum fate fate = FATE_NONE;

	*out = NULL;
	for (size_t i = 0; i < unit->nr_pieces; i++) {
		if (!is_named(unit->pieces[i], name) || is_split_off(unit->pieces[i]->name))
			continue;
		*out = unit->pieces[i];
		fate = piece_fate(*out);
		if (fate == FATE_STAYS)
			return fate;
	}
	if (!*out) {
		*out = global_piece(checked->part->pairs, true, name);
		fate = *out ? piece_fate(*out) : FATE_NONE;
	}
	return fate;
}

/* What a function has of the type in its frame. */
struct frame_use {
	struct reach any, direct;
	const char *pointer;		/* a variable that is not an argument */
	bool reached, local;
};

static void see(Dwarf_Die *variable, void *data)
{
	struct frame_use *use = data;
	Dwarf_Die type;

	if (!type_of(variable, &type) || !reaches(&use->any, &type))
		return;
	use->reached = true;
	if (dwarf_tag(variable) == DW_TAG_formal_parameter)
		return;
	if (reaches(&use->direct, &type))
		use->local = true;
	else if (!use->pointer)
		use->pointer = dwarf_diename(variable) ? dwarf_diename(variable) : "?";
}

static bool has_argument(struct reach *reach, Dwarf_Die *function)
{
	bool found = false;
	Dwarf_Die type, child;

	if (!dwarf_child(function, &child))
		do {
			found = dwarf_tag(&child) == DW_TAG_formal_parameter &&
				type_of(&child, &type) && reaches(reach, &type);
		} while (!found && !dwarf_siblingof(&child, &child));
	return found;
}

/*
 * How a function uses the type that does not let it change, NULL: not.  @stays: one that
 * is not replaced; else one that is.
 */
static const char *use_in_function(const struct checked *checked, struct entity *function,
				   struct frame_use *use, bool stays)
{
	struct piece *piece;
	enum fate fate = fate_of(checked, function->name, &piece);
	const char *user;
	Dwarf_Die type;
	bool result;

	if (!function->body || fate == FATE_NONE || (fate == FATE_STAYS) != stays)
		return NULL;
	use->pointer = NULL;
	use->reached = false;
	types_in_function(&function->die, see, use);
	result = type_of(&function->die, &type) && reaches(&use->any, &type);
	if (!use->reached && !result)
		return NULL;
	if (stays)
		return xasprintf("the function '%s', which does not change, uses it",
				 function->name);
	if (use->pointer)
		return xasprintf("'%s' of the function '%s' points to it: to one that was made before, maybe",
				 use->pointer, function->name);
	if (result && !reaches(&use->direct, &type))
		return xasprintf("the function '%s' returns a pointer to it: to one that was made before, maybe",
				 function->name);
	user = fate == FATE_REPLACED && (result || has_argument(&use->any, &function->die)) ?
		function_user(checked->part, piece) : NULL;
	return user ? xasprintf("the function '%s' has it as argument or result, and %s",
				function->name, user) : NULL;
}

/* A variable that the process has already. */
static const char *use_in_variable(const struct checked *checked, struct entity *variable,
				   struct frame_use *use)
{
	struct piece *piece;
	enum fate fate = fate_of(checked, variable->name, &piece);
	Dwarf_Die type;

	if (!type_of(&variable->die, &type) || !reaches(&use->any, &type))
		return NULL;
	if (fate == FATE_NEW || (!piece && !dwarf_hasattr(&variable->die, DW_AT_declaration)))
		return NULL;
	/* Constants come anew, with all who use them. */
	if (piece && piece->kind == PIECE_CONST && reaches(&use->direct, &type))
		return NULL;
	return xasprintf("the variable '%s' has it, or leads to it", variable->name);
}

/* Why the type may not change, NULL: it may. */
static const char *use_of(const struct checked *checked, struct frame_use *use)
{
	const struct types *types = &checked->patched;
	const char *why = NULL;

	for (size_t i = 0; i < types->nr_functions && !why; i++)
		why = use_in_function(checked, &types->functions[i], use, true);
	for (size_t i = 0; i < types->nr_variables && !why; i++)
		why = use_in_variable(checked, &types->variables[i], use);
	use->local = false;
	for (size_t i = 0; i < types->nr_functions && !why; i++)
		why = use_in_function(checked, &types->functions[i], use, false);
	if (!why && !use->local)
		why = "where those that it is used for come from cannot be seen";
	return why;
}

static bool check_type(struct checked *checked, const struct type *orig,
		       const struct type *patched)
{
	const char *what = difference(orig, patched), *why;
	struct frame_use use = { .any = { .type = patched, .by_pointers = true },
				 .direct = { .type = patched } };

	if (!what || is_allowed(checked->part, "type", orig->name))
		return true;
	why = use_of(checked, &use);
	free(use.any.marks);
	free(use.direct.marks);
	if (!why)
		return true;
	error("%s: the layout of the type '%s' changed: %s; and %s", checked->pair->patched.name,
	      orig->name, what, why);
	message(MESSAGE_NOTE,
		"keep the layout, or --new-layout='%s' if none with the old layout is left when the patch is applied",
		orig->name);
	return false;
}

/* ---- functions and variables themselves ---- */

static const struct entity *entity_named(const struct entity *entities, size_t nr,
					 const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(entities[i].name, name))
			return &entities[i];
	return NULL;
}

/* All code that was compiled anew knows the new arguments. */
static bool check_function(const struct checked *checked, const struct entity *patched)
{
	const struct entity *orig = entity_named(checked->orig.functions,
						 checked->orig.nr_functions, patched->name);
	struct piece *piece;
	const char *user;

	if (!patched->body || !orig || !strcmp(orig->type, patched->type) ||
	    fate_of(checked, patched->name, &piece) != FATE_REPLACED)
		return true;
	user = function_user_outside(checked->part, piece);
	if (!user || is_allowed(checked->part, "function", patched->name))
		return true;
	error("%s: '%s' is '%s' instead of '%s', and %s", checked->pair->patched.name,
	      patched->name, patched->type, orig->type, user);
	message(MESSAGE_NOTE,
		"keep the old function for them and give the new one another name, give the objects of all that use it, or --new-layout='%s' if they go on to work with it",
		patched->name);
	return false;
}

/* What is in the patch and uses a function that is not compiled with it, or NULL. */
static const struct piece *user_of_other(const struct checked *checked,
					 const struct unit_symbol *symbol)
{
	const struct patch *patch = checked->part->patch;

	for (size_t i = 0; i < patch->nr; i++)
		if (global_piece(patch->parts[i].pairs, true, symbol->name))
			return NULL;
	for (size_t i = 0; i < checked->part->nr_pieces; i++) {
		const struct piece *piece = checked->part->pieces[i];

		for (size_t k = 0; k < piece->nr_references; k++)
			if (piece->references[k].symbol == symbol)
				return piece;
	}
	return NULL;
}

/* The diff changes a function of another program or library, which goes on as it is. */
static bool check_undefined(const struct checked *checked, const struct unit_symbol *symbol)
{
	const struct types *types = &checked->patched;
	const struct entity *orig, *patched = NULL;
	const struct piece *user;

	orig = entity_named(checked->orig.declared, checked->orig.nr_declared, symbol->name);
	for (size_t i = 0; i < types->nr_declared && orig && !patched; i++)
		if (!strcmp(types->declared[i].name, symbol->name) &&
		    strcmp(types->declared[i].type, orig->type) != 0)
			patched = &types->declared[i];
	user = patched ? user_of_other(checked, symbol) : NULL;
	if (!user || is_allowed(checked->part, "function", symbol->name))
		return true;
	error("%s: '%s' uses '%s' as '%s' instead of '%s', and this patch does not change that function",
	      checked->pair->patched.name, user->name, symbol->name, patched->type, orig->type);
	message(MESSAGE_NOTE,
		"make one patch for all targets that the diff changes, or --new-layout='%s' if it works with the old one",
		symbol->name);
	return false;
}

static bool check_variable(const struct checked *checked, const struct entity *patched)
{
	const struct entity *orig = types_same_variable(&checked->orig, patched);
	struct piece *piece;

	if (!orig || !strcmp(orig->type, patched->type))
		return true;
	fate_of(checked, patched->name, &piece);
	if (!piece || !piece->twin || piece->kind == PIECE_CONST ||
	    is_allowed(checked->part, "variable", patched->name))
		return true;
	error("%s: the variable '%s' is '%s' instead of '%s': a running process has the old one",
	      checked->pair->patched.name, patched->name, patched->type, orig->type);
	message(MESSAGE_NOTE,
		"give the new one another name, or --new-layout='%s' if what is in it can be taken for the new type",
		patched->name);
	return false;
}

static bool check_pair(struct checked *checked)
{
	const struct types *patched = &checked->patched;
	const struct unit *unit = &checked->pair->patched;
	bool good = true;

	for (size_t i = 0; i < checked->orig.nr_types; i++) {
		const struct type *type = types_find(patched, checked->orig.types[i].name);

		if (type)
			good &= check_type(checked, &checked->orig.types[i], type);
	}
	for (size_t i = 0; i < patched->nr_functions; i++)
		good &= check_function(checked, &patched->functions[i]);
	for (size_t i = 1; i < unit->nr_symbols; i++)
		if (!unit->symbols[i].piece)
			good &= check_undefined(checked, &unit->symbols[i]);
	for (size_t i = 0; i < patched->nr_variables; i++)
		good &= check_variable(checked, &patched->variables[i]);
	return good;
}

static bool refuse_hidden(const struct checked *checked)
{
	const char *flag = checked->orig.hidden ? checked->orig.hidden : checked->patched.hidden;

	error("%s: the types of its debug information are in other places (%s): whether they changed is not seen",
	      checked->pair->patched.name, flag);
	message(MESSAGE_NOTE,
		"compile both versions with -fno-debug-types-section -gno-split-dwarf");
	return false;
}

bool check_layouts(const struct part *part)
{
	struct checked checked = { .part = part };
	const char *without = NULL;
	bool good = true, both;

	for (size_t i = 0; i < part->pairs->nr; i++) {
		checked.pair = &part->pairs->pairs[i];
		if (checked.pair->absent || checked.pair->same || !checked.pair->orig.path ||
		    !checked.pair->patched.path)
			continue;
		both = true;
		if (!types_read(checked.pair->orig.path, &checked.orig)) {
			without = checked.pair->orig.path;
			both = false;
		}
		if (!types_read(checked.pair->patched.path, &checked.patched)) {
			without = checked.pair->patched.path;
			both = false;
		}
		if (checked.orig.hidden || checked.patched.hidden)
			good &= refuse_hidden(&checked);
		else if (both)
			good &= check_pair(&checked);
		types_free(&checked.orig);
		types_free(&checked.patched);
	}
	if (without)
		message(MESSAGE_WARNING,
			"%s: no debug information: whether types change that code or memory of the process has is not seen; compile both versions with -g",
			without);
	return good;
}
