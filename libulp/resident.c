// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Exceptions through the code of patches.
 *
 * An unwinder (libgcc_s, libunwind) asks libc for the unwind tables of an
 * address, and libc knows those of the objects that ld.so loaded.  So the slots
 * by which unwinders call libc are led to the resident, which answers for
 * images and passes everything else on.  The slots are written by the same
 * transaction as the entries of the functions, and stay: frames of reverted
 * code may still be on a stack.
 *
 * Nothing is needed from the target for that.  Not seen: an unwinder that is
 * loaded after the last apply, and one that is linked statically.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbol.h"

/* The code, linked by resident.lds. */
__asm__(".section .rodata\n"
	".balign 16\n"
	"resident_blob: .incbin \"" RESIDENT_BIN "\"\n"
	"resident_blob_end: .balign 8\n"
	"resident_blob_size: .quad resident_blob_end - resident_blob\n"
	".previous\n");
extern const uint8_t resident_blob[] __attribute__((visibility("hidden")));
extern const uint64_t resident_blob_size __attribute__((visibility("hidden")));

static const char *const hook_names[ULP_RESIDENT_HOOKS] = {
	[ULP_RESIDENT_FIND_OBJECT] = "_dl_find_object",
	[ULP_RESIDENT_ITERATE] = "dl_iterate_phdr",
};

/* Whoever throws in this process does it with one of these. */
static bool has_unwinder(const struct ulp_target *target)
{
	static const char *const names[] = { "libgcc_s.so.", "libunwind.so.", "libstdc++.so." };

	for (size_t i = 0; i < target->nr_objects; i++)
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			if (!strncmp(target->objects[i].soname, names[k], strlen(names[k])))
				return true;
	return false;
}

static bool is_resident(const struct ulp_mapping *mapping)
{
	return mapping->read && !mapping->write && !mapping->exec && !mapping->shared &&
	       !mapping->offset && !strcmp(mapping->path, "/memfd:" ULP_RESIDENT_NAME);
}

/* Whether the parts follow each other, and the hooks are in the code. */
static bool head_is_valid(const struct ulp_resident_head *head)
{
	bool valid = head->magic == ULP_RESIDENT_MAGIC &&
		     head->version == ULP_RESIDENT_VERSION && head->code < head->table &&
		     head->table <= head->size &&
		     head->size - head->table >= sizeof(struct ulp_resident_table);

	for (size_t k = 0; k < ULP_RESIDENT_HOOKS && valid; k++)
		valid = head->hooks[k] >= head->code && head->hooks[k] < head->table;
	return valid;
}

/*
 * The one that an earlier apply has left; resident->start stays 0 if none has.  One
 * that knows no image is what another tool has just mapped, and may take back.
 */
static void find_resident(const struct ulp_target *target, struct ulp_resident *resident)
{
	for (size_t i = 0; i < target->nr_mappings; i++) {
		const struct ulp_mapping *mapping = &target->mappings[i];
		struct ulp_resident found = { .start = mapping->start };
		uint64_t table;

		if (!is_resident(mapping) ||
		    ulp_memory_read(target, mapping->start, &found.head, sizeof(found.head)) ||
		    !head_is_valid(&found.head))
			continue;
		table = mapping->start + found.head.table;
		if (ulp_memory_read(target, table, found.originals, sizeof(found.originals)) ||
		    ulp_memory_read(target, table + offsetof(struct ulp_resident_table, nr),
				    &found.nr, sizeof(found.nr)) || !found.nr)
			continue;
		*resident = found;
		return;
	}
}

/* A place for a new one, near the object that needs it first. */
static int place_resident(struct ulp_target *target, const struct ulp_object *near,
			  struct ulp_resident *resident)
{
	int err;

	memcpy(&resident->head, resident_blob, sizeof(resident->head));
	err = ulp_target_hole(target, near->start, near->end, resident->head.size,
			      &resident->start);
	if (err)
		return err;
	resident->created = true;
	return ulp_target_reserve(target, resident->start,
				  resident->start + resident->head.size);
}

/* What the slot of @rela leads to: bound already, or by ld.so at the first call. */
static int slot_leads_to(struct ulp_target *target, struct ulp_object *object,
			 const Elf64_Rela *rela, enum ulp_resident_hook hook, uint64_t slot,
			 uint64_t *out)
{
	const struct ulp_wanted wanted = {
		.name = hook_names[hook],
		.version = ulp_reference_version(object, hook_names[hook]),
		.call = true,
	};
	struct ulp_scope scope = { 0 };
	struct ulp_binding binding = { 0 };
	int err;

	*out = slot;
	if (ELF64_R_TYPE(rela->r_info) != R_X86_64_JUMP_SLOT ||
	    !ulp_object_holds(object, slot, 1))
		return 0;
	err = ulp_scope_build(target, object, &scope);
	if (!err)
		err = ulp_symbol_bind(target, &scope, &wanted, &binding);
	ulp_scope_free(&scope);
	*out = !err && binding.found ? binding.value : 0;
	return err;
}

static int plan_slot(struct ulp_target *target, struct ulp_plan *plan,
		     struct ulp_resident *resident, struct ulp_object *object,
		     const Elf64_Rela *rela, enum ulp_resident_hook hook)
{
	uint64_t addr = object->bias + rela->r_offset, slot, leads_to, stand_in;
	int err;

	if (!ulp_slot_read(target, object, rela, &slot, 1))
		return 0;
	if (resident->start && slot == resident->start + resident->head.hooks[hook])
		return 0;
	err = slot_leads_to(target, object, rela, hook, slot, &leads_to);
	if (err || !leads_to)
		return err;
	if (!resident->start) {
		err = place_resident(target, object, resident);
		if (err)
			return err;
	}
	/* Another namespace's libc, or somebody who listens in: not ours to pass on to. */
	if (resident->originals[hook] && resident->originals[hook] != leads_to)
		return 0;
	if (!resident->originals[hook]) {
		if (!resident->created)
			err = ulp_plan_write(plan,
					     resident->start + resident->head.table +
					     hook * sizeof(leads_to), &resident->originals[hook],
					     &leads_to, sizeof(leads_to), "resident");
		resident->originals[hook] = leads_to;
	}
	stand_in = resident->start + resident->head.hooks[hook];
	return err ? err : ulp_plan_write(plan, addr, &slot, &stand_in, sizeof(slot),
					  "slot of %s", hook_names[hook]);
}

static int plan_slots(struct ulp_target *target, struct ulp_plan *plan,
		      struct ulp_resident *resident, struct ulp_object *object,
		      enum ulp_resident_hook hook)
{
	const struct ulp_symbols *symbols;
	int err = ulp_symbols_read(target, object);

	/* Damaged: ld.so could not have bound anything of it. */
	if (err == -ULP_E_SYMBOL)
		return 0;
	if (err)
		return err;
	symbols = object->symbols;
	if (!ulp_symbol_next(symbols, hook_names[hook], 0))
		return 0;
	for (size_t i = 0; i < symbols->nr_relas + symbols->nr_plt && !err; i++) {
		const Elf64_Rela *rela = i < symbols->nr_relas ? &symbols->relas[i] :
			&symbols->plt[i - symbols->nr_relas];
		uint32_t type = ELF64_R_TYPE(rela->r_info);

		if ((type == R_X86_64_GLOB_DAT || type == R_X86_64_JUMP_SLOT) &&
		    !strcmp(ulp_symbol_name(symbols, ELF64_R_SYM(rela->r_info)),
			    hook_names[hook]))
			err = plan_slot(target, plan, resident, object, rela, hook);
	}
	return err;
}

static bool is_listed(const struct ulp_target *target, const struct ulp_resident *resident,
		      uint64_t image_start)
{
	uint64_t at = resident->start + resident->head.table +
		      offsetof(struct ulp_resident_table, images);
	struct ulp_resident_image listed;

	if (resident->created)
		return false;
	for (uint64_t i = 0; i < resident->nr && i < ULP_RESIDENT_IMAGES; i++)
		if (!ulp_memory_read(target, at + i * sizeof(listed), &listed, sizeof(listed)) &&
		    listed.start == image_start)
			return true;
	return false;
}

static int plan_image(struct ulp_target *target, struct ulp_plan *plan,
		      struct ulp_resident *resident, const struct ulp_patch *patch,
		      const struct ulp_image *image)
{
	uint64_t table = resident->start + resident->head.table;
	static const struct ulp_resident_image none;
	struct ulp_resident_image entry = {
		.start = image->start,
		.end = image->end,
		.unwind = patch->unwind + image->bias,
		.object = image->objects[0]->start,
		.bias = image->bias,
	};
	int err;

	if (is_listed(target, resident, image->start))
		return 0;
	if (resident->nr >= ULP_RESIDENT_IMAGES)
		return ulp_err(target->ctx, -ULP_E_NO_ROOM,
			       "%s (pid %d): its unwinder can be told of %d patches, and was; restart it to go on",
			       target->name, target->pid, ULP_RESIDENT_IMAGES);
	if (patch->phdrs) {
		entry.phdr = patch->phdrs + image->bias;
		entry.nr_phdr = patch->nr_phdrs;
	}
	snprintf(entry.name, sizeof(entry.name), "%.*s", ULP_RESIDENT_NAME_MAX, patch->name);
	err = ulp_plan_write(plan, table + offsetof(struct ulp_resident_table, images) +
			     resident->nr * sizeof(entry), &none, &entry, sizeof(entry),
			     "resident");
	resident->nr++;
	return err;
}

int ulp_resident_plan(struct ulp_target *target, struct ulp_plan *plan,
		      const struct ulp_patch *patch, const struct ulp_image *images,
		      size_t nr_images, struct ulp_resident *resident)
{
	uint64_t known;
	int err = 0;

	memset(resident, 0, sizeof(*resident));
	if (!patch->unwind || !(patch->handles_exceptions || has_unwinder(target)))
		return 0;
	find_resident(target, resident);
	for (size_t i = 0; i < target->nr_objects && !err; i++) {
		struct ulp_object *object = &target->objects[i];

		/* few ask libc for unwind tables */
		if (!ulp_object_may_name(target, object, hook_names, ULP_RESIDENT_HOOKS))
			continue;
		for (int hook = 0; hook < ULP_RESIDENT_HOOKS && !err; hook++)
			err = plan_slots(target, plan, resident, object, hook);
	}
	/* No unwinder in the process: nothing can be thrown. */
	known = resident->nr;
	for (size_t i = 0; i < nr_images && !err && resident->start; i++)
		err = plan_image(target, plan, resident, patch, &images[i]);
	if (err || resident->nr == known)
		return err;
	/* once for all of them: no byte is written twice by a transaction */
	return ulp_plan_write(plan, resident->start + resident->head.table +
			      offsetof(struct ulp_resident_table, nr), &known, &resident->nr,
			      sizeof(known), "resident");
}

static int resident_file(const struct ulp_resident *resident)
{
	int fd = ulp_memfd_make(ULP_RESIDENT_NAME, resident->head.size);
	int err;

	if (fd < 0)
		return fd;
	err = ulp_memfd_write(fd, resident_blob, resident_blob_size, 0);
	if (!err)
		err = ulp_memfd_write(fd, resident->originals, sizeof(resident->originals),
				      resident->head.table);
	if (!err)
		err = ulp_memfd_seal(fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int ulp_resident_map(struct ulp_target *target, const struct ulp_resident *resident, int session)
{
	const struct ulp_resident_head *head = &resident->head;
	const struct {
		uint32_t flags;
		uint64_t start, end;
	} pieces[] = {
		{ 0, 0, head->code },
		{ ULP_MAP_EXEC, head->code, head->table },
		{ ULP_MAP_WRITE, head->table, head->size },
	};
	int fd, err = 0;

	if (!resident->created)
		return 0;
	fd = resident_file(resident);
	if (fd < 0)
		return ulp_err(target->ctx, fd, "cannot make the memory of the resident: %s",
			       strerror(-fd));
	for (size_t i = 0; i < ARRAY_SIZE(pieces) && !err; i++)
		err = ulp_map_piece(target, session, pieces[i].flags, fd, pieces[i].start,
				    resident->start + pieces[i].start,
				    pieces[i].end - pieces[i].start);
	close(fd);
	return err;
}
