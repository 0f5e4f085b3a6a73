// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of the description to addresses in the target and in the patch.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libulp.h"
#include "packer.h"

/* Symbols of one name, one for each address. */
struct found {
	const struct symbol **symbols;
	size_t nr;
};

typedef bool (*fits_fn)(const struct object *object, const struct symbol *symbol);

static bool is_code(const struct object *object, const struct symbol *symbol)
{
	const struct section *section;

	if (!symbol->defined)
		return false;
	if (symbol->type == STT_FUNC || symbol->type == STT_GNU_IFUNC)
		return true;
	section = object_section(object, symbol->value);
	return symbol->type == STT_NOTYPE && section && section->flags & SHF_EXECINSTR;
}

static bool is_thread_local(const struct object *object, const struct symbol *symbol)
{
	(void)object;
	return symbol->defined && symbol->type == STT_TLS;
}

static bool is_addressable(const struct object *object, const struct symbol *symbol)
{
	return symbol->defined && symbol->type != STT_TLS &&
	       object_segment(object, symbol->value, 1);
}

/* Of two symbols for the same address the one that says more. */
static bool says_more(const struct symbol *symbol, const struct symbol *than)
{
	if (!symbol->size != !than->size)
		return symbol->size;
	return symbol->type != STT_NOTYPE && than->type == STT_NOTYPE;
}

static struct found find(const struct object *object, const char *name, const char *version,
			 fits_fn fits)
{
	struct found found = { NULL, 0 };

	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];
		size_t n;

		if (strcmp(symbol->name, name) != 0 || !fits(object, symbol) ||
		    (version && (!symbol->version || strcmp(symbol->version, version) != 0)))
			continue;
		for (n = 0; n < found.nr && found.symbols[n]->value != symbol->value; n++)
			;
		if (n == found.nr)	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
			append(found.symbols, found.nr) = symbol;
		else if (says_more(symbol, found.symbols[n]))
			found.symbols[n] = symbol;
	}
	return found;
}

/* Keeps the one at @value, if it is among them. */
static void keep_at(struct found *found, uint64_t value)
{
	for (size_t i = 0; i < found->nr; i++)
		if (found->symbols[i]->value == value) {
			found->symbols[0] = found->symbols[i];
			found->nr = 1;
			return;
		}
	found->nr = 0;
}

static void list(const struct plan *plan, const struct field *field, const struct found *found)
{
	for (size_t i = 0; i < found->nr; i++) {
		const struct symbol *symbol = found->symbols[i];

		message_at(MESSAGE_NOTE, plan->desc, field, "candidate: 0x%" PRIx64 ", %s%s%s%s",
			   symbol->value, symbol->name, symbol->version ? "@" : "",
			   symbol->version ? symbol->version : "",
			   symbol->file ? xasprintf(" of %s", symbol->file) : "");
	}
}

/* Nothing fits: say what there is instead. */
static void not_found(const struct plan *plan, const struct object *object,
		      const struct field *field, const char *what)
{
	const char *name = field->text;

	for (size_t i = 0; i < object->nr_symbols; i++) {
		const struct symbol *symbol = &object->symbols[i];

		if (strcmp(symbol->name, name) != 0)
			continue;
		if (!symbol->defined)
			error_at(plan->desc, field, "'%s' is not defined in %s, only used there",
				 name, object->path);
		else
			error_at(plan->desc, field, "'%s' of %s is not %s", name, object->path,
				 what);
		return;
	}
	error_at(plan->desc, field, "'%s' not found in %s", name, object->path);
	if (object == plan->target && !object->has_symtab)
		message_at(MESSAGE_NOTE, plan->desc, field,
			   "the target is stripped: its debug file tells what it does not export: install it, or use --debug FILE");
	if (object == plan->patch && !strcmp(what, "a variable"))
		message_at(MESSAGE_NOTE, plan->desc, field,
			   "a static variable that nothing writes is optimised away: make it volatile or global");
}

/* Variants of an IFUNC, as glibc names them: __memcpy_avx_unaligned */
static void list_variants(const struct plan *plan, const struct field *field)
{
	char *prefix = xasprintf("__%s_", field->text);
	size_t left = 8;

	for (size_t i = 0; i < plan->target->nr_symbols && left; i++) {
		const struct symbol *symbol = &plan->target->symbols[i];

		if (symbol->defined && symbol->type == STT_FUNC &&
		    !strncmp(symbol->name, prefix, strlen(prefix))) {
			message_at(MESSAGE_NOTE, plan->desc, field, "maybe one of them: %s",
				   symbol->name);
			left--;
		}
	}
}

/* The size of code that begins at @value, as .eh_frame has it, or 0. */
static uint64_t frame_size(const struct object *object, uint64_t value)
{
	const struct frame *frame = frame_at(object, value);

	return frame && frame->code.start == value ? frame->code.end - value : 0;
}

static bool resolve_old(const struct plan *plan, const struct described_function *described,
			struct function *out)
{
	const struct field *field = &described->old_name;
	struct object *target = plan->target;
	struct found all = find(target, field->text, NULL, is_code);
	struct found found = find(target, field->text, described->version, is_code);

	if (described->address.text)
		keep_at(&found, described->value);
	if (found.nr > 1) {
		error_at(plan->desc, field, "'%s' is ambiguous: %s has %zu functions of this name",
			 field->text, target->path, found.nr);
		list(plan, field, &found);
		message_at(MESSAGE_NOTE, plan->desc, field, "choose one as %s:%s:ADDRESS",
			   field->text, described->new_name.text);
		return false;
	}
	out->old_name = field->text;
	if (found.nr) {
		out->old_value = found.symbols[0]->value;
		out->old_size = found.symbols[0]->size;
	} else if (all.nr) {
		if (described->address.text)
			error_at(plan->desc, &described->address, "'%s' is not at 0x%" PRIx64,
				 field->text, described->value);
		else
			error_at(plan->desc, field, "'%s' has no version %s", field->text,
				 described->version);
		list(plan, field, &all);
		return false;
	} else if (described->address.text) {
		/* Its name was stripped off: the address has to be enough. */
		out->old_value = described->value;
		if (!frame_size(target, described->value)) {
			error_at(plan->desc, &described->address,
				 "%s has no '%s', and no function begins at 0x%" PRIx64,
				 target->path, field->text, described->value);
			return false;
		}
	} else {
		not_found(plan, target, field, "a function");
		return false;
	}
	if (found.nr && found.symbols[0]->type == STT_GNU_IFUNC) {
		error_at(plan->desc, field,
			 "'%s' is chosen at run time among variants (IFUNC): replace the variants, by their own names",
			 field->text);
		list_variants(plan, field);
		return false;
	}
	if (!out->old_size)
		out->old_size = frame_size(target, out->old_value);
	if (!out->old_size) {
		error_at(plan->desc, field,
			 "the size of '%s' is unknown: neither its symbol nor .eh_frame has it",
			 field->text);
		return false;
	}
	if (!object_at(target, out->old_value, out->old_size) ||
	    !extent_has(target->text, out->old_value)) {
		error_at(plan->desc, field, "'%s' is outside the code of %s", field->text,
			 target->path);
		return false;
	}
	return true;
}

static bool resolve_new(const struct plan *plan, const struct described_function *described,
			struct function *out)
{
	const struct field *field = &described->new_name;
	const struct object *patch = plan->patch;
	struct found found = find(patch, field->text, NULL, is_code);
	const struct symbol *symbol;

	if (!found.nr) {
		not_found(plan, patch, field, "a function");
		return false;
	}
	if (found.nr > 1) {
		error_at(plan->desc, field, "'%s' is ambiguous: %s has %zu functions of this name",
			 field->text, patch->path, found.nr);
		list(plan, field, &found);
		return false;
	}
	symbol = found.symbols[0];
	out->new_name = field->text;
	out->new_value = symbol->value;
	out->new_size = symbol->size ? symbol->size : frame_size(patch, symbol->value);
	if (symbol->type == STT_GNU_IFUNC) {
		error_at(plan->desc, field,
			 "'%s' is chosen at run time (IFUNC), which a patch cannot have",
			 field->text);
		return false;
	}
	if (!out->new_size || !object_at(patch, out->new_value, out->new_size)) {
		error_at(plan->desc, field, "the size of '%s' is unknown or wrong", field->text);
		return false;
	}
	return true;
}

bool resolve_function(const struct plan *plan, const struct described_function *described,
		      struct function *out)
{
	bool good;

	memset(out, 0, sizeof(*out));
	out->described = described;
	good = resolve_old(plan, described, out);
	good &= resolve_new(plan, described, out);
	for (size_t i = 0; i < plan->nr_functions && good; i++)
		if (plan->functions[i].old_value == out->old_value) {
			error_at(plan->desc, &described->old_name,
				 "'%s' and '%s' are the same function at 0x%" PRIx64
				 ": replace it once", plan->functions[i].old_name, out->old_name,
				 out->old_value);
			good = false;
		}
	return good;
}

static bool resolve_variable(const struct plan *plan, struct described_reference *reference)
{
	const struct field *field = &reference->target_name;
	const struct object *target = plan->target;
	struct found found = find(target, field->text, NULL,
				  reference->tls ? is_thread_local : is_addressable);
	size_t nr = found.nr;

	if (reference->target_offset.text) {
		keep_at(&found, reference->target_value);
		if (nr && !found.nr) {
			error_at(plan->desc, &reference->target_offset,
				 "'%s' is not at 0x%" PRIx64, field->text,
				 reference->target_value);
			return false;
		}
		if (!nr && !reference->tls &&
		    !object_segment(target, reference->target_value, 1)) {
			error_at(plan->desc, &reference->target_offset,
				 "0x%" PRIx64 " is not in %s", reference->target_value,
				 target->path);
			return false;
		}
		return true;
	}
	if (!found.nr) {
		not_found(plan, target, field, reference->tls ?
			  "thread-local; write #variable:slot, without %" :
			  "a variable or function; if it is thread-local write #%variable:slot");
		return false;
	}
	if (found.nr > 1) {
		error_at(plan->desc, field, "'%s' is ambiguous: %s has %zu of this name",
			 field->text, target->path, found.nr);
		list(plan, field, &found);
		message_at(MESSAGE_NOTE, plan->desc, field,
			   "choose one as #%s%s:%s:ADDRESS:ADDRESS_OF_SLOT",
			   reference->tls ? "%" : "", field->text, reference->slot_name.text);
		return false;
	}
	if (found.symbols[0]->type == STT_GNU_IFUNC) {
		error_at(plan->desc, field,
			 "'%s' is chosen at run time among variants (IFUNC): declare it extern and call it by name",
			 field->text);
		return false;
	}
	if (found.symbols[0]->exported && found.symbols[0]->type == STT_OBJECT &&
	    target->header.e_type == ET_DYN && !(target->dynamic_flags & DF_SYMBOLIC))
		message_at(MESSAGE_WARNING, plan->desc, field,
			   "'%s' is exported: a program may have its own copy in use; declare it extern instead",
			   field->text);
	reference->target_value = found.symbols[0]->value;
	return true;
}

static bool is_variable(const struct object *object, const struct symbol *symbol)
{
	return is_addressable(object, symbol) &&
	       (symbol->type == STT_OBJECT || symbol->type == STT_NOTYPE);
}

static bool resolve_slot(const struct plan *plan, struct described_reference *reference)
{
	const struct field *field = &reference->slot_name;
	const struct object *patch = plan->patch;
	struct found found = find(patch, field->text, NULL, is_variable);
	uint64_t wanted = reference->tls ? 16 : 8;
	const GElf_Phdr *segment;
	size_t nr = found.nr;

	if (reference->slot_offset.text) {
		keep_at(&found, reference->slot_value);
		if (nr && !found.nr) {
			error_at(plan->desc, &reference->slot_offset,
				 "'%s' is not at 0x%" PRIx64, field->text, reference->slot_value);
			return false;
		}
	} else {
		if (!found.nr) {
			not_found(plan, patch, field, "a variable");
			return false;
		}
		if (found.nr > 1) {
			error_at(plan->desc, field, "'%s' is ambiguous: %s has %zu of this name",
				 field->text, patch->path, found.nr);
			list(plan, field, &found);
			return false;
		}
		reference->slot_value = found.symbols[0]->value;
	}
	if (found.nr && found.symbols[0]->size && found.symbols[0]->size < wanted) {
		error_at(plan->desc, field, "'%s' has %" PRIu64 " bytes, but %s needs %" PRIu64,
			 field->text, found.symbols[0]->size,
			 reference->tls ? "a tls_index" : "an address", wanted);
		return false;
	}
	segment = object_segment(patch, reference->slot_value, wanted);
	if (!segment || !(segment->p_flags & PF_W)) {
		error_at(plan->desc, field,
			 "'%s' at 0x%" PRIx64 " is not a writable variable of %s", field->text,
			 reference->slot_value, patch->path);
		return false;
	}
	return true;
}

/* A function of this patch, which are all resolved by now. */
static bool resolve_original(const struct plan *plan, struct described_reference *reference)
{
	const struct field *field = &reference->target_name;

	for (size_t i = 0; i < plan->nr_functions; i++) {
		const struct function *function = &plan->functions[i];

		if (strcmp(function->old_name, field->text) != 0 ||
		    (reference->target_offset.text &&
		     function->old_value != reference->target_value))
			continue;
		reference->target_value = function->old_value;
		return true;
	}
	error_at(plan->desc, field, "'%s' is not among the functions that are replaced",
		 field->text);
	return false;
}

bool resolve_reference(const struct plan *plan, struct described_reference *reference)
{
	bool good = reference->original ? resolve_original(plan, reference) :
		resolve_variable(plan, reference);

	good &= resolve_slot(plan, reference);
	for (size_t i = 0; good && &plan->desc->references[i] != reference; i++)
		if (plan->desc->references[i].slot_value == reference->slot_value) {
			error_at(plan->desc, &reference->slot_name, "the slot '%s' is used twice",
				 reference->slot_name.text);
			good = false;
		}
	return good;
}

bool resolve_dependency(const struct plan *plan, const struct field *field,
			uint8_t id[ULP_ID_SIZE])
{
	const char *text = field->text;
	struct ulp_context *ctx = NULL;
	struct ulp_patch *patch;
	bool good = true;

	if (strlen(text) != 2 * ULP_ID_SIZE || strspn(text, "0123456789abcdefABCDEF") !=
	    2 * ULP_ID_SIZE) {
		if (ulp_context_new(&ctx)) {
			error("out of memory");
			return false;
		}
		good = ulp_patch_open(ctx, description_find(plan->desc, text), &patch) >= 0;
		if (good) {
			text = xstrdup(ulp_patch_id(patch));
			ulp_patch_close(patch);
		} else {
			error_at(plan->desc, field, "%s", ulp_error(ctx));
		}
		ulp_context_free(ctx);
	}
	for (size_t i = 0; good && i < ULP_ID_SIZE; i++)
		id[i] = strtoul((char []){ text[2 * i], text[2 * i + 1], '\0' }, NULL, 16);
	return good;
}
