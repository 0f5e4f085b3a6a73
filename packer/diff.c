// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pairs of relocatable objects to a patch container: the steps, in order.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static bool read_pairs(const struct diff_request *request, struct pairs *pairs)
{
	pairs->request = request;
	pairs->nr = request->nr_pairs;
	pairs->pairs = xcalloc(pairs->nr, sizeof(*pairs->pairs));
	for (size_t i = 0; i < pairs->nr; i++) {
		const struct diff_pair *pair = &request->pairs[i];
		const char *name = pair->name;

		if (!name)
			name = pair->patched ? pair->patched : pair->orig;
		pairs->pairs[i].request = pair;
		if (!unit_read(pair->orig, name, &pairs->pairs[i].orig) ||
		    !unit_read(pair->patched, name, &pairs->pairs[i].patched))
			return false;
	}
	return true;
}

/* Whether the code of both is the same, byte for byte. */
static bool same_code(const struct object *a, const struct object *b)
{
	for (size_t i = 0; i < a->nr_sections; i++) {
		const struct section *ours = &a->sections[i], *theirs;

		if (!(ours->flags & SHF_EXECINSTR) || ours->type != SHT_PROGBITS)
			continue;
		theirs = object_section_named(b, ours->name);
		if (!theirs || theirs->addr != ours->addr || theirs->size != ours->size ||
		    theirs->type != SHT_PROGBITS ||
		    memcmp(a->file + ours->offset, b->file + theirs->offset, ours->size) != 0)
			return false;
	}
	return true;
}

/* The unstripped output of the build is the target's symbol table, if it is its twin. */
static bool add_twin(struct object *target, const char *path, bool *used)
{
	struct object *twin = xcalloc(1, sizeof(*twin));

	*used = false;
	if (!object_open(path, twin))
		return false;
	if (!same_code(target, twin)) {
		message(MESSAGE_NOTE, "%s is not what %s was built from: its symbols are not used",
			path, target->path);
		return true;
	}
	*used = true;
	return symbols_read(target, twin->elf);
}

static bool open_target(const struct diff_request *request, struct object *target,
			const char **symbols_are)
{
	bool used = false;

	if (!object_open(request->target, target) || !check_target(target))
		return false;
	*symbols_are = "named by its own symbol table";
	if (request->debug) {
		if (!object_add_debug(target, request->debug))
			return false;
		*symbols_are = "named by its debug file";
	}
	if (request->twin && !add_twin(target, request->twin, &used))
		return false;
	if (used)
		*symbols_are = "reproduced: named by the build's own output";
	return true;
}

/* The parts that the compiler split off the old function. */
static void add_parts(struct function *function, const struct piece *orig)
{
	for (size_t i = 0; i < orig->nr_references; i++) {
		const struct piece *part = orig->references[i].piece;

		if (part && part->kind == PIECE_CODE && part->found && is_split_off(part->name))
			add_range(function, (struct extent){ part->addr, part->end });
	}
}

static void add_function(struct plan *plan, const struct piece *piece)
{
	struct function *function = &append(plan->functions, plan->nr_functions);
	struct described_function *described = xcalloc(1, sizeof(*described));
	const struct piece *orig = piece->twin;
	const struct frame *frame = frame_at(plan->target, orig->addr);

	described->old_name.text = orig->name;
	described->new_name.text = piece->name;
	function->described = described;
	function->old_name = orig->name;
	function->new_name = piece->name;
	function->old_value = orig->addr;
	function->old_size = frame && frame->code.start == orig->addr ?
		frame->code.end - orig->addr : orig->end - orig->addr;
	function->new_value = piece->value;
	function->new_size = piece->size;
	add_range(function, (struct extent){ orig->addr, orig->addr + function->old_size });
	add_parts(function, orig);
}

static bool is_replaced(const struct piece *piece)
{
	return piece->kind == PIECE_CODE && piece->twin && piece->changed &&
	       !is_split_off(piece->name);
}

static bool add_functions(struct plan *plan, const struct patch *patch)
{
	for (size_t i = 0; i < patch->nr_pieces; i++) {
		const struct piece *piece = patch->pieces[i];

		if (!is_replaced(piece))
			continue;
		for (size_t k = 0; k < plan->nr_functions; k++)
			if (plan->functions[k].old_value == piece->twin->addr) {
				error("'%s' and '%s' are the same code at 0x%" PRIx64
				      " of %s, and both changed", plan->functions[k].old_name,
				      piece->name, piece->twin->addr, plan->target->path);
				return false;
			}
		add_function(plan, piece);
	}
	return true;
}

static bool fill_description(const struct diff_request *request, struct description *desc)
{
	const char *text = request->comment ? request->comment : "", *end;

	memset(desc, 0, sizeof(*desc));
	desc->path = request->target;
	desc->comment = xstrdup("");
	for (size_t i = 0; text[i]; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') {
			error("control character 0x%02x in the comment", text[i]);
			return false;
		}
	for (; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		description_comment(desc, xstrndup(text, end - text));
	}
	for (size_t i = 0; i < request->nr_labels; i++)
		description_label(desc, request->labels[i]);
	return true;
}

static const char *what(const struct piece *piece)
{
	switch (piece->kind) {
	case PIECE_CODE:
		return "function";
	case PIECE_DATA:
		return "variable";
	default:
		return "constant";
	}
}

/* Every function and named piece of data: why it is in, and where the old one is. */
static void explain(const struct patch *patch)
{
	for (size_t i = 0; i < patch->nr_pieces; i++) {
		const struct piece *piece = patch->pieces[i];

		if (!piece->symbol || is_compiler_made(piece))
			continue;
		printf("%s: %s %s: %s\n", piece->unit->name, what(piece), piece->name, piece->why);
		if (is_replaced(piece))
			printf("    replaces 0x%" PRIx64 ": %s\n", piece->twin->addr,
			       piece->twin->proof);
	}
	for (size_t i = 0; i < patch->pairs->nr; i++) {
		const struct unit *orig = &patch->pairs->pairs[i].orig;

		for (size_t k = 0; k < orig->nr_pieces; k++)
			if (orig->pieces[k]->kind == PIECE_CODE && orig->pieces[k]->symbol &&
			    !orig->pieces[k]->twin && !is_split_off(orig->pieces[k]->name))
				printf("%s: function %s: gone, its code stays for those who are in it\n",
				       orig->name, orig->pieces[k]->name);
	}
}

/* The linked patch as a file that emit() can take. */
static bool open_patch(int fd, struct object *object)
{
	mode_t mask = umask(0);

	umask(mask);
	fchmod(fd, 0644 & ~mask);
	if (!object_open(xasprintf("/proc/self/fd/%d", fd), object))
		return false;
	object->path = "the patch";
	return true;
}

static int make(const struct diff_request *request, struct patch *patch)
{
	struct object *object = xcalloc(1, sizeof(*object));
	struct description desc;
	struct plan plan = { .desc = &desc, .target = patch->target, .patch = object };
	struct fixup *fixups;
	char id[65];
	int fd;

	plan.name = request->options->name;
	if (!plan.name)
		plan.name = default_name(request->out, ".so");
	if (!fill_description(request, &desc) || !read_created(&plan.created) ||
	    !link_patch(patch, &fd, &fixups, &plan.nr_fixups) || !open_patch(fd, object) ||
	    !check_patch(object, patch->target, request->options->allow_exceptions) ||
	    !add_functions(&plan, patch))
		return EXIT_FAILED;
	plan.fixups = fixups;
	if (!place(&plan) || !emit(&plan, request->out, id))
		return EXIT_FAILED;
	close(fd);
	print_plan(&plan, request->out, id);
	return EXIT_MADE;
}

int diff_make(const struct diff_request *request)
{
	struct object *target = xcalloc(1, sizeof(*target));
	struct pairs pairs = { .target = target };
	struct patch patch = { .pairs = &pairs, .target = target };
	const char *symbols_are;
	struct slots slots;
	bool any;
	int ret;

	if (!read_pairs(request, &pairs))
		return EXIT_FAILED;
	twins_pair(&pairs);
	if (!changes_find(&pairs, &any))
		return EXIT_FAILED;
	if (!any) {
		message(MESSAGE_NOTE, "%s: no code that a patch could replace differs",
			request->target);
		return EXIT_NOTHING;
	}
	if (!open_target(request, target, &symbols_are))
		return EXIT_FAILED;
	slots_read(target, &slots);
	patch.slots = &slots;
	if (!locate(&pairs, &slots, symbols_are) || !select_pieces(&patch) ||
	    !check_users(&patch) || !check_layouts(&patch))
		return EXIT_FAILED;
	if (!patch.nr_pieces)
		return EXIT_NOTHING;
	ret = make(request, &patch);
	if (ret == EXIT_MADE && request->options->explain)
		explain(&patch);
	return ret;
}
