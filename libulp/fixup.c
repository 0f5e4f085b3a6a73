// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Relocations of section .ulp: fields of a patch, in its code as well, that lead
 * to what the patched object does not export.  They are bound by address, which
 * the build-id vouches for.
 */
#include <elf.h>
#include <string.h>

#include "container.h"
#include "symbol.h"

struct fixup {
	struct ulp_target *target;
	const struct ulp_patch *patch;
	const struct ulp_container_relocation *relocation;
	const char *name;
	struct ulp_object *object;	/* NULL: the patch's own */
	uint64_t bias;			/* of the patch */
	uint8_t *field;
};

static int write_address(const struct fixup *fixup, uint64_t address)
{
	uint64_t value = address + fixup->relocation->addend;
	bool fits = true;

	switch (fixup->relocation->type) {
	case R_X86_64_64:
		memcpy(fixup->field, &value, 8);
		return 0;
	case R_X86_64_PC32:
		value -= fixup->bias + fixup->relocation->place;
		fits = (int64_t)value == (int32_t)value;
		break;
	case R_X86_64_32S:
		fits = (int64_t)value == (int32_t)value;
		break;
	default:
		fits = value == (uint32_t)value;
		break;
	}
	if (!fits)
		return ulp_err(fixup->target->ctx, -ULP_E_NO_ROOM,
			       "patch %s: no free address in process %d (%s) from which %s can be reached by 32 bits",
			       fixup->patch->name, fixup->target->pid, fixup->target->name,
			       fixup->name);
	memcpy(fixup->field, &value, 4);
	return 0;
}

static int write_tls(const struct fixup *fixup)
{
	uint64_t offset = fixup->relocation->value + fixup->relocation->addend;
	uint64_t words[2] = { 0, 0 };
	int ret = 0;

	switch (fixup->relocation->type) {
	case R_X86_64_DTPMOD64:
		ret = ulp_tls_module(fixup->target, fixup->object, &words[0]);
		break;
	case R_X86_64_TPOFF64:
		ret = ulp_tls_offset(fixup->target, fixup->object, &words[0]);
		words[0] = offset - words[0];
		break;
	default:
		ret = ulp_tls_static_descriptor(fixup->target, fixup->object, offset, words);
		break;
	}
	if (ret < 0)
		return ret;
	if (!ret)
		return ulp_err(fixup->target->ctx, -ULP_E_TLS,
			       "patch %s: the thread-local variable %s of %s cannot be reached in process %d (%s)",
			       fixup->patch->name, fixup->name, fixup->object->path,
			       fixup->target->pid, fixup->target->name);
	memcpy(fixup->field, words, fixup->relocation->type == R_X86_64_TLSDESC ? 16 : 8);
	return 0;
}

static int fix(const struct fixup *fixup)
{
	const struct ulp_container_relocation *relocation = fixup->relocation;
	struct ulp_object *object = fixup->object;
	uint64_t address;

	if (!object)
		return write_address(fixup, fixup->bias + relocation->value);
	switch (relocation->type) {
	case R_X86_64_TPOFF64:
	case R_X86_64_DTPMOD64:
	case R_X86_64_TLSDESC:
		return write_tls(fixup);
	}
	address = object->bias + relocation->value;
	if (!ulp_object_holds(object, address, 1) || !ulp_target_mapping(fixup->target, address))
		return ulp_err(fixup->target->ctx, -ULP_E_SYMBOL,
			       "patch %s: %s is not inside %s in process %d (%s)",
			       fixup->patch->name, fixup->name, object->path, fixup->target->pid,
			       fixup->target->name);
	return write_address(fixup, address);
}

int ulp_image_fix(struct ulp_target *target, const struct ulp_patch *patch,
		  struct ulp_object *const *objects, uint64_t bias, uint8_t *image)
{
	struct fixup fixup = { .target = target, .patch = patch, .bias = bias };
	int ret = 0;

	for (size_t i = 0; i < patch->nr_relocations && !ret; i++) {
		fixup.relocation = &patch->raw_relocations[i];
		if (fixup.relocation->flags & ULP_RELOCATION_IMPORT)
			continue;	/* relocate.c */
		fixup.name = patch->relocations[i].name;
		fixup.object = fixup.relocation->flags & ULP_RELOCATION_OWN ? NULL :
			objects[fixup.relocation->target];
		fixup.field = image + fixup.relocation->place;
		ret = fix(&fixup);
	}
	return ret;
}
