// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A patch's image made ready for the address it will have in a target.
 *
 * The patch is relocated as ld.so would relocate a shared object in the place of
 * the object it changes: what the patch defines it uses itself, all else means
 * what it means to that object.  What ld.so would have to do at other times than
 * now, or in the target's threads, is refused by name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relocate.h"

struct table {
	uint64_t addr, size;
};

static const char *type_name(uint32_t type)
{
	static const char * const names[] = {
		[R_X86_64_64] = "R_X86_64_64",
		[R_X86_64_PC32] = "R_X86_64_PC32",
		[R_X86_64_GOT32] = "R_X86_64_GOT32",
		[R_X86_64_PLT32] = "R_X86_64_PLT32",
		[R_X86_64_COPY] = "R_X86_64_COPY",
		[R_X86_64_GLOB_DAT] = "R_X86_64_GLOB_DAT",
		[R_X86_64_JUMP_SLOT] = "R_X86_64_JUMP_SLOT",
		[R_X86_64_RELATIVE] = "R_X86_64_RELATIVE",
		[R_X86_64_32] = "R_X86_64_32",
		[R_X86_64_32S] = "R_X86_64_32S",
		[R_X86_64_16] = "R_X86_64_16",
		[R_X86_64_8] = "R_X86_64_8",
		[R_X86_64_DTPMOD64] = "R_X86_64_DTPMOD64",
		[R_X86_64_DTPOFF64] = "R_X86_64_DTPOFF64",
		[R_X86_64_TPOFF64] = "R_X86_64_TPOFF64",
		[R_X86_64_DTPOFF32] = "R_X86_64_DTPOFF32",
		[R_X86_64_TPOFF32] = "R_X86_64_TPOFF32",
		[R_X86_64_PC64] = "R_X86_64_PC64",
		[R_X86_64_SIZE32] = "R_X86_64_SIZE32",
		[R_X86_64_SIZE64] = "R_X86_64_SIZE64",
		[R_X86_64_TLSDESC] = "R_X86_64_TLSDESC",
		[R_X86_64_IRELATIVE] = "R_X86_64_IRELATIVE",
	};

	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "(unknown)";
}

int ulp_rela_refuse(const struct ulp_relocation *r, const Elf64_Rela *rela, const char *why)
{
	uint32_t type = ELF64_R_TYPE(rela->r_info);

	return ulp_err(r->target->ctx, -ULP_E_RELOCATION,
		       "patch %s: relocation %s (%u) at 0x%llx %s", r->patch->name,
		       type_name(type), type, (unsigned long long)rela->r_offset, why);
}

int ulp_rela_put(const struct ulp_relocation *r, const Elf64_Rela *rela, size_t word,
		 uint64_t value)
{
	uint64_t addr = rela->r_offset + word * sizeof(value);
	const struct ulp_patch_segment *segment = ulp_patch_segment(r->patch, addr, sizeof(value));

	if (!segment || !(segment->flags & PF_W))
		return ulp_rela_refuse(r, rela,
			      "is not in writable data: compile it with -fPIC, link it without text relocations");
	memcpy(r->image + addr, &value, sizeof(value));
	return 0;
}

int ulp_rela_own(const struct ulp_relocation *r, const Elf64_Rela *rela, uint64_t vaddr,
		 uint64_t *out)
{
	if (vaddr > r->patch->image_size)
		return ulp_rela_refuse(r, rela, "points outside the patch");
	*out = r->bias + vaddr;
	return 0;
}

uint64_t ulp_rela_dynamic(const struct ulp_relocation *r, int64_t tag)
{
	return ulp_dynamic_value(r->dynamic, r->nr_dynamic, tag);
}

static int apply_one(const struct ulp_relocation *r, const Elf64_Rela *rela)
{
	uint64_t value = 0;
	int ret;

	switch (ELF64_R_TYPE(rela->r_info)) {
	case R_X86_64_NONE:
		return 0;
	case R_X86_64_RELATIVE:
		ret = ulp_rela_own(r, rela, (uint64_t)rela->r_addend, &value);
		return ret ? ret : ulp_rela_put(r, rela, 0, value);
	case R_X86_64_64:
	case R_X86_64_GLOB_DAT:
	case R_X86_64_JUMP_SLOT:
		ret = ulp_rela_symbol(r, rela, &value);
		if (ret)
			return ret;
		/* ld.so adds no addend to a jump slot */
		if (ELF64_R_TYPE(rela->r_info) != R_X86_64_JUMP_SLOT)
			value += (uint64_t)rela->r_addend;
		return ulp_rela_put(r, rela, 0, value);
	case R_X86_64_DTPMOD64:
	case R_X86_64_DTPOFF64:
	case R_X86_64_TPOFF64:
	case R_X86_64_TLSDESC:
		return ulp_rela_tls(r, rela);
	case R_X86_64_COPY:
		return ulp_rela_refuse(r, rela,
			      "copies a variable: link the patch as a shared object (-shared)");
	case R_X86_64_IRELATIVE:
		return ulp_rela_refuse(r, rela,
			      "calls a resolver (IFUNC) in the process, which nothing of ulp does");
	default:
		return ulp_rela_refuse(r, rela, "is not supported: compile the patch with -fPIC");
	}
}

static int apply_table(const struct ulp_relocation *r, const struct table *table)
{
	for (uint64_t at = 0; table->size - at >= sizeof(Elf64_Rela); at += sizeof(Elf64_Rela)) {
		const void *entry = ulp_patch_at(r->patch, table->addr + at, sizeof(Elf64_Rela));
		Elf64_Rela rela;
		int ret;

		if (!entry)
			return ulp_rela_bad(r, "relocation table");
		memcpy(&rela, entry, sizeof(rela));
		ret = apply_one(r, &rela);
		if (ret)
			return ret;
	}
	return 0;
}

/* What stands at an address is an address of the patch itself. */
static int apply_relative(const struct ulp_relocation *r, uint64_t addr)
{
	Elf64_Rela rela = { .r_offset = addr, .r_info = R_X86_64_RELATIVE };
	uint64_t value;
	int ret;

	if (!ulp_patch_segment(r->patch, addr, sizeof(value)))
		return ulp_rela_refuse(r, &rela, "is outside the patch");
	memcpy(&value, r->image + addr, sizeof(value));
	ret = ulp_rela_own(r, &rela, value, &value);
	return ret ? ret : ulp_rela_put(r, &rela, 0, value);
}

/* DT_RELR: an even entry is an address, an odd one a bitmap of the 63 words behind. */
static int apply_relr(const struct ulp_relocation *r, const struct table *table)
{
	uint64_t base = 0, entry;
	int ret = 0;

	for (uint64_t at = 0; table->size - at >= sizeof(entry) && !ret; at += sizeof(entry)) {
		const void *from = ulp_patch_at(r->patch, table->addr + at, sizeof(entry));

		if (!from)
			return ulp_rela_bad(r, "relocation table (RELR)");
		memcpy(&entry, from, sizeof(entry));
		if (!(entry & 1)) {
			ret = apply_relative(r, entry);
			base = entry + sizeof(entry);
			continue;
		}
		for (unsigned int bit = 1; bit < 64 && !ret; bit++) {
			if (entry >> bit & 1)
				ret = apply_relative(r, base + (bit - 1) * sizeof(entry));
		}
		base += 63 * sizeof(entry);
	}
	return ret;
}

static int read_dynamic(struct ulp_relocation *r)
{
	const void *dynamic = ulp_patch_at(r->patch, r->patch->dynamic, r->patch->dynamic_size);

	if (!dynamic)
		return ulp_rela_bad(r, "dynamic section");
	/* A copy: the file does not promise alignment. */
	r->dynamic = malloc(r->patch->dynamic_size + 1);
	if (!r->dynamic)
		return ulp_err(r->target->ctx, -ENOMEM, "out of memory");
	memcpy(r->dynamic, dynamic, r->patch->dynamic_size);
	while (r->nr_dynamic < r->patch->dynamic_size / sizeof(Elf64_Dyn) &&
	       r->dynamic[r->nr_dynamic].d_tag != DT_NULL)
		r->nr_dynamic++;
	if (ulp_dynamic_value(r->dynamic, r->nr_dynamic, DT_REL) ||
	    (ulp_rela_dynamic(r, DT_RELAENT) &&
	     ulp_rela_dynamic(r, DT_RELAENT) != sizeof(Elf64_Rela)) ||
	    (ulp_rela_dynamic(r, DT_RELRENT) &&
	     ulp_rela_dynamic(r, DT_RELRENT) != sizeof(uint64_t)) ||
	    (ulp_rela_dynamic(r, DT_PLTRELSZ) && ulp_rela_dynamic(r, DT_PLTREL) != DT_RELA))
		return ulp_err(r->target->ctx, -ULP_E_RELOCATION,
			       "patch %s has relocations in a form that x86-64 does not use",
			       r->patch->name);
	r->symtab = ulp_rela_dynamic(r, DT_SYMTAB);
	r->versym = ulp_rela_dynamic(r, DT_VERSYM);
	r->strings_size = ulp_rela_dynamic(r, DT_STRSZ);
	r->strings = ulp_patch_at(r->patch, ulp_rela_dynamic(r, DT_STRTAB), r->strings_size);
	if (!r->strings)
		return ulp_rela_bad(r, "string table");
	return 0;
}

static int apply_dynamic(struct ulp_relocation *r)
{
	struct table table;
	int ret;

	ret = read_dynamic(r);
	if (ret)
		return ret;
	table = (struct table){ ulp_rela_dynamic(r, DT_RELR), ulp_rela_dynamic(r, DT_RELRSZ) };
	ret = apply_relr(r, &table);
	if (ret)
		return ret;
	table = (struct table){ ulp_rela_dynamic(r, DT_RELA), ulp_rela_dynamic(r, DT_RELASZ) };
	ret = apply_table(r, &table);
	if (ret)
		return ret;
	table = (struct table){ ulp_rela_dynamic(r, DT_JMPREL), ulp_rela_dynamic(r, DT_PLTRELSZ) };
	return apply_table(r, &table);
}

static int apply_references(const struct ulp_relocation *r, struct ulp_object *const *objects)
{
	const struct ulp_patch *patch = r->patch;

	for (size_t t = 0; t < patch->nr_targets; t++) {
		struct ulp_object *object = objects[t];

		for (size_t i = 0; i < patch->targets[t].nr_references; i++) {
			const struct ulp_patch_reference *ref = &patch->targets[t].references[i];
			Elf64_Rela rela = { .r_offset = ref->slot_value };
			uint64_t value = object->bias + ref->target_value, module;
			int ret;

			if (!ref->tls) {
				if (!ulp_object_holds(object, value, 1) ||
				    !ulp_target_mapping(r->target, value))
					return ulp_err(r->target->ctx, -ULP_E_SYMBOL,
						       "patch %s: %s is not inside %s in process %d (%s)",
						       patch->name, ref->target_name, object->path,
						       r->target->pid, r->target->name);
				ret = ulp_rela_put(r, &rela, 0, value);
				if (ret)
					return ret;
				continue;
			}
			ret = ref->target_value < object->tls_size ?
				ulp_tls_module(r->target, object, &module) : 0;
			if (ret < 0)
				return ret;
			if (!ret)
				return ulp_err(r->target->ctx, -ULP_E_TLS,
					       "patch %s: the thread-local variable %s of %s cannot be reached in process %d (%s)",
					       patch->name, ref->target_name, object->path,
					       r->target->pid, r->target->name);
			ret = ulp_rela_put(r, &rela, 0, module);
			if (!ret)
				ret = ulp_rela_put(r, &rela, 1, ref->target_value);
			if (ret)
				return ret;
		}
	}
	return 0;
}

int ulp_image_relocate(struct ulp_target *target, struct ulp_patch *patch,
		       struct ulp_object *const *objects, uint64_t bias, uint8_t *image)
{
	struct ulp_relocation r = {
		.target = target, .patch = patch, .bias = bias, .image = image,
	};
	int ret = 0;

	if (!patch->nr_targets)
		return ulp_rela_bad(&r, "list of targets");
	r.scopes = calloc(patch->nr_targets, sizeof(*r.scopes));
	if (!r.scopes)
		return ulp_err(target->ctx, -ENOMEM, "out of memory");
	for (size_t i = 0; i < patch->nr_targets && !ret; i++) {
		ret = ulp_scope_build(target, objects[i], &r.scopes[r.nr_scopes]);
		if (!ret)
			r.nr_scopes++;
	}
	if (!ret && patch->dynamic)
		ret = apply_dynamic(&r);
	if (!ret)
		ret = ulp_rela_imports(&r);
	if (!ret)
		ret = apply_references(&r, objects);
	for (size_t i = 0; i < r.nr_scopes; i++)
		ulp_scope_free(&r.scopes[i]);
	free(r.scopes);
	free(r.dynamic);
	return ret;
}
