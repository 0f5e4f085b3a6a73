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

#include "container.h"
#include "symbol.h"

struct table {
	uint64_t addr, size;
};

struct relocation {
	struct ulp_target *target;
	const struct ulp_patch *patch;
	uint64_t bias;
	uint8_t *image;
	Elf64_Dyn *dynamic;
	size_t nr_dynamic;
	uint64_t symtab, versym;
	const char *strings;
	uint64_t strings_size;
	size_t nr_scopes;
	struct ulp_scope *scopes;	/* of each object the patch goes to */
};

/* A symbol of the patch, as a relocation names it. */
struct symbol {
	Elf64_Sym sym;
	const char *name;
	const char *version;
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

static int refuse(const struct relocation *r, const Elf64_Rela *rela, const char *why)
{
	uint32_t type = ELF64_R_TYPE(rela->r_info);

	return ulp_err(r->target->ctx, -ULP_E_RELOCATION,
		       "patch %s: relocation %s (%u) at 0x%llx %s", r->patch->name,
		       type_name(type), type, (unsigned long long)rela->r_offset, why);
}

static int bad_container(const struct relocation *r, const char *what)
{
	return ulp_err(r->target->ctx, -ULP_E_CONTAINER,
		       "patch %s is damaged: its %s is outside the file", r->patch->name, what);
}

static int put(const struct relocation *r, const Elf64_Rela *rela, size_t word, uint64_t value)
{
	uint64_t addr = rela->r_offset + word * sizeof(value);
	const struct ulp_patch_segment *segment = ulp_patch_segment(r->patch, addr, sizeof(value));

	if (!segment || !(segment->flags & PF_W))
		return refuse(r, rela,
			      "is not in writable data: compile it with -fPIC, link it without text relocations");
	memcpy(r->image + addr, &value, sizeof(value));
	return 0;
}

/* An address inside the patch as the target will see it. */
static int own_address(const struct relocation *r, const Elf64_Rela *rela, uint64_t vaddr,
		       uint64_t *out)
{
	if (vaddr > r->patch->image_size)
		return refuse(r, rela, "points outside the patch");
	*out = r->bias + vaddr;
	return 0;
}

static uint64_t dyn_value(const struct relocation *r, int64_t tag)
{
	return ulp_dynamic_value(r->dynamic, r->nr_dynamic, tag);
}

static const char *string_at(const struct relocation *r, uint64_t offset)
{
	if (offset >= r->strings_size ||
	    !memchr(r->strings + offset, 0, r->strings_size - offset))
		return NULL;
	return r->strings + offset;
}

/* The version that the patch was linked to for a symbol; NULL: none. */
static const char *needed_version(const struct relocation *r, uint32_t index)
{
	const uint16_t *versym = ulp_patch_at(r->patch, r->versym + 2ULL * index, 2);
	uint64_t addr = dyn_value(r, DT_VERNEED), count = dyn_value(r, DT_VERNEEDNUM);
	Elf64_Verneed need;
	Elf64_Vernaux aux;
	uint16_t version;
	const void *at;

	if (!r->versym || !versym || !addr)
		return NULL;
	memcpy(&version, versym, sizeof(version));
	for (; count; count--, addr += need.vn_next) {
		uint64_t entry;

		at = ulp_patch_at(r->patch, addr, sizeof(need));
		if (!at)
			return NULL;
		memcpy(&need, at, sizeof(need));
		entry = addr + need.vn_aux;
		for (size_t i = 0; i < need.vn_cnt; i++, entry += aux.vna_next) {
			at = ulp_patch_at(r->patch, entry, sizeof(aux));
			if (!at)
				return NULL;
			memcpy(&aux, at, sizeof(aux));
			if (aux.vna_other == (version & 0x7fff))
				return string_at(r, aux.vna_name);
			if (!aux.vna_next)
				break;
		}
		if (!need.vn_next)
			break;
	}
	return NULL;
}

static int read_symbol(const struct relocation *r, const Elf64_Rela *rela, struct symbol *symbol)
{
	uint32_t index = ELF64_R_SYM(rela->r_info);
	const void *at = ulp_patch_at(r->patch, r->symtab + 24ULL * index, sizeof(Elf64_Sym));

	if (!r->symtab || !at)
		return bad_container(r, "symbol table");
	memcpy(&symbol->sym, at, sizeof(symbol->sym));
	symbol->name = string_at(r, symbol->sym.st_name);
	if (!symbol->name)
		return bad_container(r, "string table");
	symbol->version = needed_version(r, index);
	return 0;
}

static int cannot_resolve(const struct relocation *r, const struct symbol *symbol, int code,
			  const struct ulp_scope *scope, const char *why)
{
	return ulp_err(r->target->ctx, code,
		       "patch %s uses %s%s%s, which in process %d (%s) %s%s%s", r->patch->name,
		       symbol->name, symbol->version ? "@" : "",
		       symbol->version ? symbol->version : "", r->target->pid, r->target->name,
		       why, scope ? " from " : "", scope ? scope->object->path : "");
}

/*
 * What to look for in the place of one of the objects the patch goes to: the
 * version the patch was linked to, else the one this object uses.
 */
static void want(const struct ulp_scope *scope, const struct symbol *symbol, uint32_t type,
		 struct ulp_wanted *wanted)
{
	*wanted = (struct ulp_wanted){
		.name = symbol->name,
		.version = symbol->version,
		.call = type == R_X86_64_JUMP_SLOT,
		.weak = ELF64_ST_BIND(symbol->sym.st_info) == STB_WEAK,
	};
	if (!wanted->version)
		wanted->version = ulp_reference_version(scope->object, symbol->name);
}

static int outside_value(const struct relocation *r, const Elf64_Rela *rela,
			 const struct symbol *symbol, uint64_t *value)
{
	struct ulp_binding binding = { 0 };
	struct ulp_wanted wanted = { 0 };

	/* With several objects the first one that knows the name. */
	for (size_t i = 0; i < r->nr_scopes; i++) {
		int ret;

		want(&r->scopes[i], symbol, ELF64_R_TYPE(rela->r_info), &wanted);
		ret = ulp_symbol_bind(r->target, &r->scopes[i], &wanted, &binding);
		if (ret)
			return ret;
		if (binding.found && (binding.value || i + 1 == r->nr_scopes))
			break;
	}
	if (!binding.found)
		return cannot_resolve(r, symbol, -ULP_E_SYMBOL, &r->scopes[0], binding.why);
	*value = binding.value;
	return 0;
}

static int symbol_value(const struct relocation *r, const Elf64_Rela *rela, uint64_t *value)
{
	struct symbol symbol;
	int ret;

	if (!ELF64_R_SYM(rela->r_info))
		return refuse(r, rela, "has no symbol");
	ret = read_symbol(r, rela, &symbol);
	if (ret)
		return ret;
	if (symbol.sym.st_shndx == SHN_UNDEF)
		return outside_value(r, rela, &symbol, value);
	if (ELF64_ST_TYPE(symbol.sym.st_info) == STT_GNU_IFUNC)
		return refuse(r, rela,
			      "is for an indirect function (IFUNC) of the patch itself: call the variant you want");
	if (ELF64_ST_TYPE(symbol.sym.st_info) == STT_TLS)
		return refuse(r, rela, "treats a thread-local variable as an ordinary one");
	if (symbol.sym.st_shndx == SHN_ABS) {
		*value = symbol.sym.st_value;
		return 0;
	}
	return own_address(r, rela, symbol.sym.st_value, value);
}

static int find_variable(const struct relocation *r, const struct symbol *symbol, uint32_t type,
			 struct ulp_definition *found, const struct ulp_scope **scope)
{
	found->object = NULL;
	for (size_t i = 0; i < r->nr_scopes && !found->object; i++) {
		struct ulp_wanted wanted;
		int ret;

		*scope = &r->scopes[i];
		want(*scope, symbol, type, &wanted);
		ret = ulp_definition_find(r->target, *scope, &wanted, found);
		if (ret)
			return ret;
	}
	if (!found->object)
		return cannot_resolve(r, symbol, -ULP_E_SYMBOL, *scope,
				      "is not defined by anything it can see");
	if (ELF64_ST_TYPE(found->object->symbols->syms[found->index].st_info) != STT_TLS)
		return cannot_resolve(r, symbol, -ULP_E_TLS, NULL,
				      "is an ordinary variable, not a thread-local one");
	return 0;
}

static int apply_variable(const struct relocation *r, const Elf64_Rela *rela,
			  const struct symbol *symbol)
{
	uint32_t type = ELF64_R_TYPE(rela->r_info);
	struct ulp_definition found = { 0 };
	const struct ulp_scope *scope = NULL;
	uint64_t words[2] = { 0 }, value;
	int ret;

	ret = find_variable(r, symbol, type, &found, &scope);
	if (ret)
		return ret;
	value = found.object->symbols->syms[found.index].st_value + (uint64_t)rela->r_addend;
	switch (type) {
	case R_X86_64_DTPMOD64:
		ret = ulp_tls_module(r->target, found.object, &words[0]);
		break;
	case R_X86_64_DTPOFF64:
		words[0] = value;
		ret = 1;
		break;
	case R_X86_64_TPOFF64:
		ret = ulp_tls_offset(r->target, found.object, &words[0]);
		words[0] = value - words[0];
		break;
	default:
		ret = ulp_tls_descriptor(r->target, scope, &found, rela->r_addend, words);
		break;
	}
	if (ret < 0)
		return ret;
	if (!ret)
		return cannot_resolve(r, symbol, -ULP_E_TLS, NULL, type == R_X86_64_DTPMOD64 ?
				      "is in a module whose number cannot be found out" :
				      "has no fixed place in each thread: compile the patch with -ftls-model=global-dynamic -mtls-dialect=gnu");
	ret = put(r, rela, 0, words[0]);
	if (!ret && type == R_X86_64_TLSDESC)
		ret = put(r, rela, 1, words[1]);
	return ret;
}

static int apply_tls(const struct relocation *r, const Elf64_Rela *rela)
{
	struct symbol symbol;
	int ret = read_symbol(r, rela, &symbol);

	if (ret)
		return ret;
	if (!ELF64_R_SYM(rela->r_info) || symbol.sym.st_shndx != SHN_UNDEF)
		return ulp_err(r->target->ctx, -ULP_E_TLS,
			       "patch %s adds a thread-local variable%s%s: threads that run already have no room for it",
			       r->patch->name, symbol.name[0] ? " " : "", symbol.name);
	return apply_variable(r, rela, &symbol);
}

static int apply_one(const struct relocation *r, const Elf64_Rela *rela)
{
	uint64_t value = 0;
	int ret;

	switch (ELF64_R_TYPE(rela->r_info)) {
	case R_X86_64_NONE:
		return 0;
	case R_X86_64_RELATIVE:
		ret = own_address(r, rela, (uint64_t)rela->r_addend, &value);
		return ret ? ret : put(r, rela, 0, value);
	case R_X86_64_64:
	case R_X86_64_GLOB_DAT:
	case R_X86_64_JUMP_SLOT:
		ret = symbol_value(r, rela, &value);
		if (ret)
			return ret;
		/* ld.so adds no addend to a jump slot */
		if (ELF64_R_TYPE(rela->r_info) != R_X86_64_JUMP_SLOT)
			value += (uint64_t)rela->r_addend;
		return put(r, rela, 0, value);
	case R_X86_64_DTPMOD64:
	case R_X86_64_DTPOFF64:
	case R_X86_64_TPOFF64:
	case R_X86_64_TLSDESC:
		return apply_tls(r, rela);
	case R_X86_64_COPY:
		return refuse(r, rela,
			      "copies a variable: link the patch as a shared object (-shared)");
	case R_X86_64_IRELATIVE:
		return refuse(r, rela,
			      "calls a resolver (IFUNC) in the process, which nothing of ulp does");
	default:
		return refuse(r, rela, "is not supported: compile the patch with -fPIC");
	}
}

static int apply_table(const struct relocation *r, const struct table *table)
{
	for (uint64_t at = 0; table->size - at >= sizeof(Elf64_Rela); at += sizeof(Elf64_Rela)) {
		const void *entry = ulp_patch_at(r->patch, table->addr + at, sizeof(Elf64_Rela));
		Elf64_Rela rela;
		int ret;

		if (!entry)
			return bad_container(r, "relocation table");
		memcpy(&rela, entry, sizeof(rela));
		ret = apply_one(r, &rela);
		if (ret)
			return ret;
	}
	return 0;
}

/* What stands at an address is an address of the patch itself. */
static int apply_relative(const struct relocation *r, uint64_t addr)
{
	Elf64_Rela rela = { .r_offset = addr, .r_info = R_X86_64_RELATIVE };
	uint64_t value;
	int ret;

	if (!ulp_patch_segment(r->patch, addr, sizeof(value)))
		return refuse(r, &rela, "is outside the patch");
	memcpy(&value, r->image + addr, sizeof(value));
	ret = own_address(r, &rela, value, &value);
	return ret ? ret : put(r, &rela, 0, value);
}

/* DT_RELR: an even entry is an address, an odd one a bitmap of the 63 words behind. */
static int apply_relr(const struct relocation *r, const struct table *table)
{
	uint64_t base = 0, entry;
	int ret = 0;

	for (uint64_t at = 0; table->size - at >= sizeof(entry) && !ret; at += sizeof(entry)) {
		const void *from = ulp_patch_at(r->patch, table->addr + at, sizeof(entry));

		if (!from)
			return bad_container(r, "relocation table (RELR)");
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

static int apply_references(const struct relocation *r, struct ulp_object *const *objects)
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
				ret = put(r, &rela, 0, value);
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
			ret = put(r, &rela, 0, module);
			if (!ret)
				ret = put(r, &rela, 1, ref->target_value);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static int apply_import(const struct relocation *r,
			const struct ulp_container_relocation *raw, struct symbol *symbol)
{
	struct relocation one = *r;
	Elf64_Rela rela = { .r_offset = raw->place, .r_info = raw->type,
			    .r_addend = (int64_t)raw->addend };
	uint64_t value;
	int ret;

	one.scopes = &r->scopes[raw->target];
	one.nr_scopes = 1;
	symbol->sym.st_info = ELF64_ST_INFO(raw->flags & ULP_RELOCATION_WEAK ? STB_WEAK :
					    STB_GLOBAL, STT_NOTYPE);
	if (raw->type != R_X86_64_64)
		return apply_variable(&one, &rela, symbol);
	ret = outside_value(&one, &rela, symbol, &value);
	return ret ? ret : put(&one, &rela, 0, value + raw->addend);
}

/* Names that one of the objects binds for itself, or in a version of their own. */
static int apply_imports(const struct relocation *r)
{
	int ret = 0;

	for (size_t i = 0; i < r->patch->nr_relocations && !ret; i++) {
		char *name, *version;

		if (!(r->patch->raw_relocations[i].flags & ULP_RELOCATION_IMPORT))
			continue;
		name = strdup(r->patch->relocations[i].name);
		if (!name)
			return ulp_err(r->target->ctx, -ENOMEM, "out of memory");
		version = strchr(name, '@');
		if (version)
			*version++ = '\0';
		ret = apply_import(r, &r->patch->raw_relocations[i],
				   &(struct symbol){ .name = name, .version = version });
		free(name);
	}
	return ret;
}

static int read_dynamic(struct relocation *r)
{
	const void *dynamic = ulp_patch_at(r->patch, r->patch->dynamic, r->patch->dynamic_size);

	if (!dynamic)
		return bad_container(r, "dynamic section");
	/* A copy: the file does not promise alignment. */
	r->dynamic = malloc(r->patch->dynamic_size + 1);
	if (!r->dynamic)
		return ulp_err(r->target->ctx, -ENOMEM, "out of memory");
	memcpy(r->dynamic, dynamic, r->patch->dynamic_size);
	while (r->nr_dynamic < r->patch->dynamic_size / sizeof(Elf64_Dyn) &&
	       r->dynamic[r->nr_dynamic].d_tag != DT_NULL)
		r->nr_dynamic++;
	if (ulp_dynamic_value(r->dynamic, r->nr_dynamic, DT_REL) ||
	    (dyn_value(r, DT_RELAENT) && dyn_value(r, DT_RELAENT) != sizeof(Elf64_Rela)) ||
	    (dyn_value(r, DT_RELRENT) && dyn_value(r, DT_RELRENT) != sizeof(uint64_t)) ||
	    (dyn_value(r, DT_PLTRELSZ) && dyn_value(r, DT_PLTREL) != DT_RELA))
		return ulp_err(r->target->ctx, -ULP_E_RELOCATION,
			       "patch %s has relocations in a form that x86-64 does not use",
			       r->patch->name);
	r->symtab = dyn_value(r, DT_SYMTAB);
	r->versym = dyn_value(r, DT_VERSYM);
	r->strings_size = dyn_value(r, DT_STRSZ);
	r->strings = ulp_patch_at(r->patch, dyn_value(r, DT_STRTAB), r->strings_size);
	if (!r->strings)
		return bad_container(r, "string table");
	return 0;
}

static int apply_dynamic(struct relocation *r)
{
	struct table table;
	int ret;

	ret = read_dynamic(r);
	if (ret)
		return ret;
	table = (struct table){ dyn_value(r, DT_RELR), dyn_value(r, DT_RELRSZ) };
	ret = apply_relr(r, &table);
	if (ret)
		return ret;
	table = (struct table){ dyn_value(r, DT_RELA), dyn_value(r, DT_RELASZ) };
	ret = apply_table(r, &table);
	if (ret)
		return ret;
	table = (struct table){ dyn_value(r, DT_JMPREL), dyn_value(r, DT_PLTRELSZ) };
	return apply_table(r, &table);
}

int ulp_image_relocate(struct ulp_target *target, struct ulp_patch *patch,
		       struct ulp_object *const *objects, uint64_t bias, uint8_t *image)
{
	struct relocation r = { .target = target, .patch = patch, .bias = bias, .image = image };
	int ret = 0;

	if (!patch->nr_targets)
		return bad_container(&r, "list of targets");
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
		ret = apply_imports(&r);
	if (!ret)
		ret = apply_references(&r, objects);
	for (size_t i = 0; i < r.nr_scopes; i++)
		ulp_scope_free(&r.scopes[i]);
	free(r.scopes);
	free(r.dynamic);
	return ret;
}
