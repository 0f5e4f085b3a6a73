// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool dump
 */
#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../uapi/ulp_container.h"
#include "cmds.h"

static const char *kind_name(uint32_t kind)
{
	switch (kind) {
	case ULP_ENTRY_JUMP:
		return "jump";
	case ULP_ENTRY_SHORT:
		return "short";
	}
	return "unknown";
}

static char *hex(const uint8_t *bytes, size_t size)
{
	char *text = malloc(2 * size + 1);

	if (!text)
		out_of_memory();
	for (size_t i = 0; i < size; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	text[2 * size] = '\0';
	return text;
}

static void put_field(const char *name, const char *text)
{
	printf("%s: ", name);
	put_text(stdout, text);
	putchar('\n');
}

/* Each line of @text on its own, all behind the same margin. */
static void put_lines(const char *text)
{
	char *copy = strdup(text), *save = NULL;

	if (!copy)
		out_of_memory();
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		fputs("  ", stdout);
		put_text(stdout, line);
		putchar('\n');
	}
	free(copy);
}

static void put_created(int64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm parts;
	char text[64];

	if (seconds > 0 && gmtime_r(&when, &parts) &&
	    strftime(text, sizeof(text), "%FT%TZ", &parts))
		put_field("created", text);
	else
		put_field("created", "unknown");
}

static void put_function(const struct ulp_patch_function *f)
{
	char *expected = hex(f->expected, f->expected_size);

	fputs("  function ", stdout);
	put_text(stdout, f->old_name);
	printf(": 0x%" PRIx64 ", %" PRIu64 " bytes\n    replaced by ", f->old_value, f->old_size);
	put_text(stdout, f->new_name);
	printf(": 0x%" PRIx64 ", %" PRIu64 " bytes\n", f->new_value, f->new_size);
	printf("    entry 0x%" PRIx64 ", %s", f->entry, kind_name(f->kind));
	if (f->island)
		printf(", island 0x%" PRIx64, f->island);
	printf("\n    expected %s\n", expected);
	free(expected);
}

static void put_reference(const struct ulp_patch_reference *r)
{
	fputs("  reference ", stdout);
	put_text(stdout, r->target_name);
	printf(": %s 0x%" PRIx64 " through ", r->tls ? "thread-local offset" : "address",
	       r->target_value);
	put_text(stdout, r->slot_name);
	printf(" at 0x%" PRIx64 "\n", r->slot_value);
}

static const char *relocation_name(uint32_t type)
{
	switch (type) {
	case R_X86_64_64:
		return "R_X86_64_64";
	case R_X86_64_PC32:
		return "R_X86_64_PC32";
	case R_X86_64_32:
		return "R_X86_64_32";
	case R_X86_64_32S:
		return "R_X86_64_32S";
	case R_X86_64_DTPMOD64:
		return "R_X86_64_DTPMOD64";
	case R_X86_64_DTPOFF64:
		return "R_X86_64_DTPOFF64";
	case R_X86_64_TPOFF64:
		return "R_X86_64_TPOFF64";
	case R_X86_64_TLSDESC:
		return "R_X86_64_TLSDESC";
	default:
		return "unknown";
	}
}

static void put_relocation(const struct ulp_patch_relocation *r)
{
	printf("relocation: 0x%" PRIx64 " %s ", r->place, relocation_name(r->type));
	put_text(stdout, r->name);
	if (!r->import)
		printf(" 0x%" PRIx64, r->value);
	printf("%s0x%" PRIx64 " %s ", r->addend < 0 ? "-" : "+",
	       r->addend < 0 ? -(uint64_t)r->addend : (uint64_t)r->addend,
	       r->import ? "as bound for" : "of");
	put_text(stdout, r->target ? r->target->name : "the patch");
	putchar('\n');
}

static void put_patch(const struct patch_file *file)
{
	const struct ulp_patch_relocation *relocations;
	const struct ulp_patch_target *targets;
	const char *const *labels;
	size_t nr = ulp_patch_labels(file->patch, &labels);

	put_field("file", file->path);
	put_field("name", file->name);
	put_field("id", file->id);
	put_created(ulp_patch_created(file->patch));
	if (ulp_patch_scans_memory(file->patch))
		put_field("memory", "to be scanned for coroutines");
	for (size_t i = 0; i < nr; i++)
		put_field("label", labels[i]);
	for (size_t i = 0; i < file->nr_dependencies; i++)
		put_field("depends on", file->dependencies[i]);
	if (*ulp_patch_comment(file->patch)) {
		puts("comment:");
		put_lines(ulp_patch_comment(file->patch));
	}
	nr = ulp_patch_targets(file->patch, &targets);
	for (size_t i = 0; i < nr; i++) {
		fputs("target: ", stdout);
		put_text(stdout, targets[i].name);
		printf(", build-id %s\n", targets[i].build_id);
		for (size_t k = 0; k < targets[i].nr_functions; k++)
			put_function(&targets[i].functions[k]);
		for (size_t k = 0; k < targets[i].nr_references; k++)
			put_reference(&targets[i].references[k]);
	}
	nr = ulp_patch_relocations(file->patch, &relocations);
	for (size_t i = 0; i < nr; i++)
		put_relocation(&relocations[i]);
}

static json_object *json_function(const struct ulp_patch_function *f)
{
	char *expected = hex(f->expected, f->expected_size);
	json_object *object = json_new();

	json_put(object, "old_name", json_text(f->old_name));
	json_put(object, "old_address", json_address(f->old_value));
	json_put(object, "old_size", json_object_new_int64((int64_t)f->old_size));
	json_put(object, "new_name", json_text(f->new_name));
	json_put(object, "new_address", json_address(f->new_value));
	json_put(object, "new_size", json_object_new_int64((int64_t)f->new_size));
	json_put(object, "entry", json_address(f->entry));
	json_put(object, "kind", json_text(kind_name(f->kind)));
	json_put(object, "island", f->island ? json_address(f->island) : NULL);
	json_put(object, "expected", json_text(expected));
	free(expected);
	return object;
}

static json_object *json_reference(const struct ulp_patch_reference *r)
{
	json_object *object = json_new();

	json_put(object, "target_name", json_text(r->target_name));
	json_put(object, "target_address", json_address(r->target_value));
	json_put(object, "slot_name", json_text(r->slot_name));
	json_put(object, "slot_address", json_address(r->slot_value));
	json_put(object, "tls", json_object_new_boolean(r->tls));
	return object;
}

static json_object *json_relocation(const struct ulp_patch_relocation *r)
{
	json_object *object = json_new();

	json_put(object, "place", json_address(r->place));
	json_put(object, "type", json_text(relocation_name(r->type)));
	json_put(object, "name", json_text(r->name));
	json_put(object, "address", json_address(r->value));
	json_put(object, "import", json_object_new_boolean(r->import));
	json_put(object, "addend", json_object_new_int64(r->addend));
	json_put(object, "target", r->target ? json_text(r->target->name) : NULL);
	return object;
}

static json_object *json_target(const struct ulp_patch_target *target)
{
	json_object *object = json_new();
	json_object *functions, *references;

	json_put(object, "name", json_text(target->name));
	json_put(object, "build_id", json_text(target->build_id));
	functions = json_list(object, "functions");
	for (size_t i = 0; i < target->nr_functions; i++)
		json_object_array_add(functions, json_function(&target->functions[i]));
	references = json_list(object, "references");
	for (size_t i = 0; i < target->nr_references; i++)
		json_object_array_add(references, json_reference(&target->references[i]));
	return object;
}

static json_object *json_patch(const struct patch_file *file)
{
	const struct ulp_patch_relocation *relocations;
	const struct ulp_patch_target *targets;
	const char *const *texts;
	json_object *object = json_new(), *list;
	size_t nr;

	json_put(object, "file", json_text(file->path));
	json_put(object, "name", json_text(file->name));
	json_put(object, "id", json_text(file->id));
	json_put(object, "created", json_object_new_int64(ulp_patch_created(file->patch)));
	json_put(object, "scan_memory",
		 json_object_new_boolean(ulp_patch_scans_memory(file->patch)));
	nr = ulp_patch_labels(file->patch, &texts);
	json_put(object, "labels", json_texts(texts, nr));
	nr = ulp_patch_dependencies(file->patch, &texts);
	json_put(object, "dependencies", json_texts(texts, nr));
	json_put(object, "comment", json_text(ulp_patch_comment(file->patch)));
	list = json_list(object, "targets");
	nr = ulp_patch_targets(file->patch, &targets);
	for (size_t i = 0; i < nr; i++)
		json_object_array_add(list, json_target(&targets[i]));
	list = json_list(object, "relocations");
	nr = ulp_patch_relocations(file->patch, &relocations);
	for (size_t i = 0; i < nr; i++)
		json_object_array_add(list, json_relocation(&relocations[i]));
	return object;
}

void cmd_dump(struct tool *tool)
{
	if (!tool->nr_args) {
		p_usage(tool, "dump: no patch FILE");
		return;
	}
	if (tool->document)
		json_list(tool->document, "patches");
	/* the good ones are shown even if others are bad */
	patches_open(tool, tool->args, tool->nr_args);
	for (size_t i = 0; i < tool->nr_patches; i++) {
		if (tool->document) {
			json_object_array_add(json_list(tool->document, "patches"),
					      json_patch(&tool->patches[i]));
		} else if (!tool->options.quiet) {
			if (i)
				putchar('\n');
			put_patch(&tool->patches[i]);
		}
	}
}
