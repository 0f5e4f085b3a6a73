// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pairs of relocatable objects to a patch container: the steps, in order.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static bool read_pairs(const struct diff_target *request, struct pairs *pairs)
{
	pairs->nr = request->nr_pairs;
	pairs->pairs = xcalloc(pairs->nr, sizeof(*pairs->pairs));
	for (size_t i = 0; i < pairs->nr; i++) {
		const struct diff_pair *pair = &request->pairs[i];
		const char *name = pair->name;

		if (!name)
			name = pair->patched ? pair->patched : pair->orig;
		pairs->pairs[i].request = pair;
		pairs->pairs[i].same = pair->orig && pair->patched &&
				       !strcmp(pair->orig, pair->patched);
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
static bool add_twin(struct object *target, const char *path, const struct object **other)
{
	struct object *twin = xcalloc(1, sizeof(*twin));

	*other = NULL;
	if (!object_open(path, twin))
		return false;
	if (!same_code(target, twin)) {
		message(MESSAGE_NOTE, "%s is not what %s was built from: its symbols are not used",
			path, target->path);
		*other = twin;
		return true;
	}
	return symbols_read(target, twin->elf);
}

static bool open_target(const struct diff_target *request, const struct options *options,
			struct object *target, const struct object **output,
			const char **symbols_are)
{
	bool added;

	if (!object_open(request->path, target) || !check_target(target) ||
	    (request->twin && !add_twin(target, request->twin, output)) ||
	    !debug_add(target, request->debug, options, &added))
		return false;
	if (request->twin && !*output)
		*symbols_are = "reproduced: named by the build's own output";
	else
		*symbols_are = added ? "named by its debug file" : "named by its own symbol table";
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

/* Whether the symbol names this code in its own object, too: an alias, or a version. */
static bool is_alias(const struct piece *piece, const struct symbol *symbol)
{
	const struct unit *unit = piece->unit;

	for (size_t i = 1; i < unit->nr_symbols; i++) {
		const struct unit_symbol *ours = &unit->symbols[i];

		if (ours->piece == piece && same_without_version(ours->name, symbol->name) &&
		    (!symbol->file || ours->bind == STB_LOCAL))
			return true;
	}
	return false;
}

/* A static function of this name and place in another source. */
static bool is_of_two_sources(const struct object *target, const struct symbol *symbol)
{
	for (size_t i = 0; i < target->nr_symbols && symbol->file; i++) {
		const struct symbol *other = &target->symbols[i];

		if (other->table == symbol->table && other->file &&
		    other->source != symbol->source && other->value == symbol->value &&
		    other->type == STT_FUNC && !strcmp(other->name, symbol->name))
			return true;
	}
	return false;
}

static bool refuse_folded(const struct part *part, const struct piece *orig, const char *other)
{
	error("%s: '%s' changed, but in %s '%s' is the same code at 0x%" PRIx64
	      ": the linker folded them (--icf)", orig->unit->name, orig->name,
	      part->target->path, other, orig->addr);
	message(MESSAGE_NOTE, "what is at that place cannot be one function for some and another one for others");
	return false;
}

/* Other functions that are at the same place would be replaced as well. */
static bool check_folded(const struct part *part, const struct piece *orig)
{
	const struct object *target = part->target;

	for (size_t i = 0; i < target->nr_symbols; i++) {
		const struct symbol *symbol = &target->symbols[i];

		if (symbol->defined && symbol->type == STT_FUNC && symbol->value == orig->addr &&
		    (!is_alias(orig, symbol) || is_of_two_sources(target, symbol)))
			return refuse_folded(part, orig, symbol->name);
	}
	for (size_t i = 0; i < part->pairs->nr; i++) {
		const struct unit *unit = &part->pairs->pairs[i].orig;

		for (size_t k = 0; k < unit->nr_pieces; k++) {
			const struct piece *other = unit->pieces[k];

			if (other != orig && other->kind == PIECE_CODE && other->found &&
			    other->addr == orig->addr &&
			    (piece_is_local(other) || strcmp(other->name, orig->name) != 0))
				return refuse_folded(part, orig, other->name);
		}
	}
	return true;
}

static bool add_functions(struct plan *plan, const struct part *part)
{
	for (size_t i = 0; i < part->nr_pieces; i++) {
		const struct piece *piece = part->pieces[i];

		if (!is_replaced(piece))
			continue;
		if (!check_folded(part, piece->twin))
			return false;
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
	desc->path = request->targets[0].path;
	desc->comment = xstrdup("");
	desc->scan_memory = request->options->scan_memory;
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
static void explain(const struct part *part)
{
	for (size_t i = 0; i < part->nr_pieces; i++) {
		const struct piece *piece = part->pieces[i];

		if (!piece->symbol || is_compiler_made(piece))
			continue;
		printf("%s: %s %s: %s\n", piece->unit->name, what(piece), piece->name, piece->why);
		if (is_replaced(piece))
			printf("    replaces 0x%" PRIx64 ": %s\n", piece->twin->addr,
			       piece->twin->proof);
	}
	for (size_t i = 0; i < part->pairs->nr; i++) {
		const struct unit *orig = &part->pairs->pairs[i].orig;

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

static bool plan_part(const struct part *part, const struct plan *shared, struct plan *plan)
{
	const struct options *options = part->pairs->options;

	*plan = *shared;
	plan->target = part->target;
	if (!check_patch(plan->patch, plan->target, options->allow_exceptions) ||
	    !add_functions(plan, part) || !place(plan))
		return false;
	for (size_t i = 0; i < part->nr_pieces; i++)
		if (is_replaced(part->pieces[i]) &&
		    !check_static(part, &plan->code, part->pieces[i]->twin))
			return false;
	return true;
}

/* A patch, and the container made of it. */
struct made {
	struct patch patch;
	struct description desc;
	struct plan *plans;
	struct container container;
};

static bool make_container(const struct diff_request *request, const char *out,
			   struct made *made)
{
	struct object *object = xcalloc(1, sizeof(*object));
	struct patch *patch = &made->patch;
	struct plan shared = { .desc = &made->desc, .patch = object,
			       .name = request->options->name };
	struct fixup *fixups;
	int fd;

	if (!shared.name)
		shared.name = default_name(out, ".so");
	if (!fill_description(request, &made->desc) || !read_created(&shared.created) ||
	    !link_patch(patch, &fd, &fixups, &shared.nr_fixups) || !open_patch(fd, object))
		return false;
	close(fd);
	shared.fixups = fixups;
	made->plans = xcalloc(patch->nr, sizeof(*made->plans));
	for (size_t i = 0; i < patch->nr; i++)
		if (!plan_part(&patch->parts[i], &shared, &made->plans[i]))
			return false;
	return emit(made->plans, patch->nr, out, &made->container);
}

/* What changed of one target, and where that is in it; an exit status. */
static int read_part(const struct diff_target *request, const struct options *options,
		     struct part *part)
{
	struct pairs *pairs = xcalloc(1, sizeof(*pairs));
	struct object *target = xcalloc(1, sizeof(*target));
	struct slots *slots = xcalloc(1, sizeof(*slots));
	const char *symbols_are;
	bool any;

	*part = (struct part){ .pairs = pairs, .target = target, .slots = slots };
	pairs->options = options;
	if (!read_pairs(request, pairs))
		return EXIT_FAILED;
	twins_pair(pairs);
	if (!changes_find(pairs, &any))
		return EXIT_FAILED;
	if (!any) {
		message(MESSAGE_NOTE, "%s: no code that a patch could replace differs",
			request->path);
		return EXIT_NOTHING;
	}
	if (!open_target(request, options, target, &part->output, &symbols_are))
		return EXIT_FAILED;
	slots_read(target, slots);
	if (!locate(pairs, slots, symbols_are))
		return EXIT_FAILED;
	names_read_bindings(part, request->symbolic);
	return EXIT_MADE;
}

static bool check_twice(const struct patch *patch)
{
	for (size_t i = 0; i < patch->nr; i++)
		for (size_t k = 0; k < i; k++) {
			const struct object *a = patch->parts[i].target;
			const struct object *b = patch->parts[k].target;

			if (a->build_id_size != b->build_id_size ||
			    memcmp(a->build_id, b->build_id, a->build_id_size) != 0)
				continue;
			error("%s: it has the build-id of %s: name one of them only", a->path,
			      b->path);
			return false;
		}
	return true;
}

/* A patch is one piece of memory, from which all that it replaces can be reached. */
static bool check_distance(const struct patch *patch)
{
	for (size_t i = 0; i < patch->nr && patch->nr > 1; i++) {
		if (!patch->parts[i].target->executable)
			continue;
		error("%s is a program, and more than 2 GiB from any library in a process: one patch cannot be for both",
		      patch->parts[i].target->path);
		message(MESSAGE_NOTE, "-o DIR/ makes one patch for each");
		return false;
	}
	return true;
}

static int make_one(const struct diff_request *request, const struct diff_target *targets,
		    size_t nr, const char *out, struct made *made)
{
	struct patch *patch = &made->patch;
	bool good = true, any = false;
	int status;

	/* of one that was refused there may be a part */
	*made = (struct made){ 0 };
	patch->parts = xcalloc(nr, sizeof(*patch->parts));
	for (size_t i = 0; i < nr; i++) {
		struct part *part = &patch->parts[patch->nr];

		status = read_part(&targets[i], request->options, part);
		if (status == EXIT_FAILED)
			return status;
		part->number = patch->nr;
		part->patch = patch;
		patch->nr += status == EXIT_MADE;
	}
	if (!patch->nr)
		return EXIT_NOTHING;
	if (!check_twice(patch) || !check_distance(patch) || !select_pieces(patch))
		return EXIT_FAILED;
	for (size_t i = 0; i < patch->nr; i++) {
		good &= check_users(&patch->parts[i]) && check_layouts(&patch->parts[i]);
		any |= patch->parts[i].nr_pieces;
	}
	if (good && !any)
		return EXIT_NOTHING;
	return good && make_container(request, out, made) ? EXIT_MADE : EXIT_FAILED;
}

/* DIR/BUILD-ID.so */
static char *path_in(const char *dir, const char *target)
{
	struct object object;

	if (!object_open(target, &object) || !check_target(&object))
		return NULL;
	return xasprintf("%s%s.so", dir, hex(object.build_id, object.build_id_size));
}

/* A file has several names, in packages too; it has one build-id, and one patch. */
static bool is_again(const struct diff_request *request, char *const *outs, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (outs[k] && !strcmp(outs[k], outs[i])) {
			message(MESSAGE_NOTE, "%s: has the build-id of %s, and the same patch",
				request->targets[i].path, request->targets[k].path);
			return true;
		}
	return false;
}

/* "liba.so, libb.so": those of the targets whose patch came to @status */
static char *targets_with(const struct diff_request *request, const int *statuses, int status)
{
	char *names = NULL;

	for (size_t i = 0; i < request->nr_targets; i++)
		if (statuses[i] == status)
			names = xasprintf("%s%s%s", names ? names : "", names ? ", " : "",
					  request->targets[i].path);
	return names;
}

/* One patch for each target.  All targets are looked at, so that all refusals are told. */
static int make_each(const struct diff_request *request, struct made *made, size_t *nr)
{
	char **outs = xcalloc(request->nr_targets, sizeof(*outs));
	int *statuses = xcalloc(request->nr_targets, sizeof(*statuses));
	const char *refused, *good;

	for (size_t i = 0; i < request->nr_targets; i++) {
		outs[i] = path_in(request->out, request->targets[i].path);
		if (!outs[i])
			statuses[i] = EXIT_FAILED;
		else if (is_again(request, outs, i))
			statuses[i] = EXIT_NOTHING;
		else
			statuses[i] = make_one(request, &request->targets[i], 1, outs[i],
					       &made[*nr]);
		*nr += statuses[i] == EXIT_MADE;
	}
	refused = targets_with(request, statuses, EXIT_FAILED);
	good = targets_with(request, statuses, EXIT_MADE);
	if (refused && request->nr_targets > 1)
		error("no patch is written to %s: refused for %s", request->out, refused);
	if (refused && good)
		message(MESSAGE_NOTE, "name only the others as --target to have their patches: %s",
			good);
	if (refused)
		return EXIT_FAILED;
	return good ? EXIT_MADE : EXIT_NOTHING;
}

static bool write_all(const struct diff_request *request, const struct made *made, size_t nr)
{
	struct container *containers = xcalloc(nr, sizeof(*containers));
	bool new_dir = is_directory_path(request->out) && !mkdir(request->out, 0777);

	for (size_t i = 0; i < nr; i++)
		containers[i] = made[i].container;
	if (containers_write(containers, nr))
		return true;
	if (new_dir)
		rmdir(request->out);
	return false;
}

int diff_make(const struct diff_request *request)
{
	struct made *made = xcalloc(request->nr_targets, sizeof(*made));
	size_t nr = 1;
	int status;

	if (is_directory_path(request->out)) {
		nr = 0;
		status = make_each(request, made, &nr);
	} else {
		status = make_one(request, request->targets, request->nr_targets, request->out,
				  made);
	}
	if (status != EXIT_MADE)
		return status;
	if (!write_all(request, made, nr))
		return EXIT_FAILED;
	for (size_t i = 0; i < nr; i++) {
		print_plans(made[i].plans, made[i].patch.nr, &made[i].container);
		for (size_t k = 0; k < made[i].patch.nr && request->options->explain; k++)
			explain(&made[i].patch.parts[k]);
	}
	return EXIT_MADE;
}
