// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the symbols that a patch names mean in a target: those of its relocations,
 * and the imports of section .ulp.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relocate.h"

/* A symbol of the patch, as a relocation names it. */
struct symbol {
	Elf64_Sym sym;
	const char *name;
	const char *version;
};

static const char *string_at(const struct ulp_relocation *r, uint64_t offset)
{
	if (offset >= r->strings_size ||
	    !memchr(r->strings + offset, 0, r->strings_size - offset))
		return NULL;
	return r->strings + offset;
}

/* The version that the patch was linked to for a symbol; NULL: none. */
static const char *needed_version(const struct ulp_relocation *r, uint32_t index)
{
	const uint16_t *versym = ulp_patch_at(r->patch, r->versym + 2ULL * index, 2);
	uint64_t addr = ulp_rela_dynamic(r, DT_VERNEED), count = ulp_rela_dynamic(r, DT_VERNEEDNUM);
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

static int read_symbol(const struct ulp_relocation *r, const Elf64_Rela *rela,
		       struct symbol *symbol)
{
	uint32_t index = ELF64_R_SYM(rela->r_info);
	const void *at = ulp_patch_at(r->patch, r->symtab + 24ULL * index, sizeof(Elf64_Sym));

	if (!r->symtab || !at)
		return ulp_rela_bad(r, "symbol table");
	memcpy(&symbol->sym, at, sizeof(symbol->sym));
	symbol->name = string_at(r, symbol->sym.st_name);
	if (!symbol->name)
		return ulp_rela_bad(r, "string table");
	symbol->version = needed_version(r, index);
	return 0;
}

static int cannot_resolve(const struct ulp_relocation *r, const struct symbol *symbol, int code,
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

static int outside_value(const struct ulp_relocation *r, const Elf64_Rela *rela,
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

int ulp_rela_symbol(const struct ulp_relocation *r, const Elf64_Rela *rela, uint64_t *value)
{
	struct symbol symbol;
	int ret;

	if (!ELF64_R_SYM(rela->r_info))
		return ulp_rela_refuse(r, rela, "has no symbol");
	ret = read_symbol(r, rela, &symbol);
	if (ret)
		return ret;
	if (symbol.sym.st_shndx == SHN_UNDEF)
		return outside_value(r, rela, &symbol, value);
	if (ELF64_ST_TYPE(symbol.sym.st_info) == STT_GNU_IFUNC)
		return ulp_rela_refuse(r, rela,
			      "is for an indirect function (IFUNC) of the patch itself: call the variant you want");
	if (ELF64_ST_TYPE(symbol.sym.st_info) == STT_TLS)
		return ulp_rela_refuse(r, rela, "treats a thread-local variable as an ordinary one");
	if (symbol.sym.st_shndx == SHN_ABS) {
		*value = symbol.sym.st_value;
		return 0;
	}
	return ulp_rela_own(r, rela, symbol.sym.st_value, value);
}

static int find_variable(const struct ulp_relocation *r, const struct symbol *symbol,
			 uint32_t type, struct ulp_definition *found,
			 const struct ulp_scope **scope)
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

static int put_variable(const struct ulp_relocation *r, const Elf64_Rela *rela,
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
	ret = ulp_rela_put(r, rela, 0, words[0]);
	if (!ret && type == R_X86_64_TLSDESC)
		ret = ulp_rela_put(r, rela, 1, words[1]);
	return ret;
}

int ulp_rela_tls(const struct ulp_relocation *r, const Elf64_Rela *rela)
{
	struct symbol symbol;
	int ret = read_symbol(r, rela, &symbol);

	if (ret)
		return ret;
	if (!ELF64_R_SYM(rela->r_info) || symbol.sym.st_shndx != SHN_UNDEF)
		return ulp_err(r->target->ctx, -ULP_E_TLS,
			       "patch %s adds a thread-local variable%s%s: threads that run already have no room for it",
			       r->patch->name, symbol.name[0] ? " " : "", symbol.name);
	return put_variable(r, rela, &symbol);
}

static int put_import(const struct ulp_relocation *r,
		      const struct ulp_container_relocation *raw, struct symbol *symbol)
{
	struct ulp_relocation one = *r;
	Elf64_Rela rela = { .r_offset = raw->place, .r_info = raw->type,
			    .r_addend = (int64_t)raw->addend };
	uint64_t value = 0;
	int ret;

	one.scopes = &r->scopes[raw->target];
	one.nr_scopes = 1;
	symbol->sym.st_info = ELF64_ST_INFO(raw->flags & ULP_RELOCATION_WEAK ? STB_WEAK :
					    STB_GLOBAL, STT_NOTYPE);
	if (raw->type != R_X86_64_64)
		return put_variable(&one, &rela, symbol);
	ret = outside_value(&one, &rela, symbol, &value);
	return ret ? ret : ulp_rela_put(&one, &rela, 0, value + raw->addend);
}

int ulp_rela_imports(const struct ulp_relocation *r)
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
		ret = put_import(r, &r->patch->raw_relocations[i],
				 &(struct symbol){ .name = name, .version = version });
		free(name);
	}
	return ret;
}
