// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The dynamic symbol table of an object, copied from the target's memory.
 *
 * All of it is the word of a hostile process: tables must lie inside the object,
 * indices inside the tables, and whatever does not end is cut off by these.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol.h"

#define SYMBOLS_MAX	(8U << 20)
#define STRINGS_MAX	(256U << 20)
#define RELAS_MAX	(16U << 20)
#define BUCKETS_MAX	(8U << 20)
#define HASHED_MAX	512		/* bytes of a name */
#define VERSION_INDEX	0x7fff		/* the rest of a versym is "hidden" */

struct reader {
	const struct ulp_target *target;
	const struct ulp_object *object;
	struct ulp_symbols *symbols;
	Elf64_Dyn *dynamic;
	size_t nr_dynamic;
	const char *what;		/* that is being read */
};

static uint64_t dyn_value(const struct reader *reader, int64_t tag)
{
	return ulp_dynamic_value(reader->dynamic, reader->nr_dynamic, tag);
}

static uint64_t dyn_address(const struct reader *reader, int64_t tag)
{
	return ulp_dynamic_address(reader->object, reader->dynamic, reader->nr_dynamic, tag);
}

/* -EFAULT unless all of it lies in the object. */
static int fetch(const struct reader *reader, uint64_t addr, void *out, uint64_t size)
{
	if (!ulp_object_holds(reader->object, addr, size))
		return -EFAULT;
	return ulp_memory_read(reader->target, addr, out, size);
}

/* A table of its own, to be freed. */
static int fetch_new(const struct reader *reader, uint64_t addr, uint64_t size, void *out)
{
	void *table;
	int ret;

	if (!ulp_object_holds(reader->object, addr, size))
		return -EFAULT;
	table = malloc(size ? size : 1);
	if (!table)
		return -ENOMEM;
	ret = fetch(reader, addr, table, size);
	if (ret)
		free(table);
	else
		memcpy(out, &table, sizeof(table));
	return ret;
}

static int read_strings(struct reader *reader)
{
	uint64_t addr = dyn_address(reader, DT_STRTAB), size = dyn_value(reader, DT_STRSZ);
	struct ulp_symbols *symbols = reader->symbols;

	reader->what = "string table";
	if (!size || size > STRINGS_MAX || !ulp_object_holds(reader->object, addr, size))
		return -EFAULT;
	symbols->strings = malloc(size + 1);
	if (!symbols->strings)
		return -ENOMEM;
	symbols->strings[size] = '\0';
	symbols->strings_size = size;
	return fetch(reader, addr, symbols->strings, size);
}

/* DT_GNU_HASH does not say how many symbols there are: its last chain does. */
static int count_gnu_hash(const struct reader *reader, uint64_t addr, uint64_t *count)
{
	uint32_t header[4], *buckets, chain[256], last = 0;
	uint64_t table, index, end;
	int ret;

	ret = fetch(reader, addr, header, sizeof(header));
	if (ret)
		return ret;
	if (header[0] > BUCKETS_MAX || header[2] > BUCKETS_MAX)
		return -EFAULT;
	table = addr + sizeof(header) + 8ULL * header[2];
	ret = fetch_new(reader, table, 4ULL * header[0], &buckets);
	if (ret)
		return ret;
	for (size_t i = 0; i < header[0]; i++) {
		if (buckets[i] > last)
			last = buckets[i];
	}
	free(buckets);
	*count = header[1];
	if (last < header[1])
		return 0;	/* none is hashed */
	table += 4ULL * header[0];
	for (index = last; index < SYMBOLS_MAX; ) {
		size_t step = ARRAY_SIZE(chain);

		addr = table + 4 * (index - header[1]);
		end = reader->object->end;
		if (addr >= end || end - addr < 4)
			return -EFAULT;
		if (step > (end - addr) / 4)
			step = (end - addr) / 4;
		ret = fetch(reader, addr, chain, step * 4);
		if (ret && step > 1) {
			step = 1;	/* it may end right before a hole */
			ret = fetch(reader, addr, chain, 4);
		}
		if (ret)
			return ret;
		for (size_t i = 0; i < step; i++, index++) {
			if (chain[i] & 1) {
				*count = index + 1;
				return 0;
			}
		}
	}
	return -EFAULT;
}

static int count_symbols(struct reader *reader, uint64_t *count)
{
	uint64_t gnu = dyn_address(reader, DT_GNU_HASH), hash = dyn_address(reader, DT_HASH);
	uint32_t header[2];
	int ret = 0;

	reader->what = "symbol hash table";
	*count = 0;
	if (hash) {
		ret = fetch(reader, hash, header, sizeof(header));
		if (!ret)
			*count = header[1];
	} else if (gnu) {
		ret = count_gnu_hash(reader, gnu, count);
	}
	if (ret)
		return ret;
	/*
	 * The hash tables need not count what is not defined here, but the
	 * relocations use it.
	 */
	for (size_t i = 0; i < reader->symbols->nr_relas; i++) {
		if (ELF64_R_SYM(reader->symbols->relas[i].r_info) >= *count)
			*count = ELF64_R_SYM(reader->symbols->relas[i].r_info) + 1;
	}
	for (size_t i = 0; i < reader->symbols->nr_plt; i++) {
		if (ELF64_R_SYM(reader->symbols->plt[i].r_info) >= *count)
			*count = ELF64_R_SYM(reader->symbols->plt[i].r_info) + 1;
	}
	return 0;
}

static int read_symbols(struct reader *reader)
{
	struct ulp_symbols *symbols = reader->symbols;
	uint64_t count, addr = dyn_address(reader, DT_SYMTAB);
	int ret;

	ret = count_symbols(reader, &count);
	if (ret)
		return ret;
	reader->what = "symbol table";
	if (count > SYMBOLS_MAX)
		return -EFAULT;
	ret = fetch_new(reader, addr, count * sizeof(Elf64_Sym), &symbols->syms);
	if (ret)
		return ret;
	symbols->nr = count;
	addr = dyn_address(reader, DT_VERSYM);
	if (!addr)
		return 0;
	reader->what = "version table";
	return fetch_new(reader, addr, count * sizeof(uint16_t), &symbols->versym);
}

static int set_version(struct ulp_symbols *symbols, uint16_t index, enum ulp_version_kind kind,
		       uint32_t name)
{
	index &= VERSION_INDEX;
	if (index >= symbols->nr_versions) {
		size_t nr = (size_t)index + 1;
		struct ulp_version *grown = reallocarray(symbols->versions, nr, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memset(grown + symbols->nr_versions, 0,
		       (nr - symbols->nr_versions) * sizeof(*grown));
		symbols->versions = grown;
		symbols->nr_versions = nr;
	}
	symbols->versions[index] = (struct ulp_version){ .kind = kind, .name = name };
	return 0;
}

static int read_defined_versions(struct reader *reader)
{
	uint64_t addr = dyn_address(reader, DT_VERDEF), nr = dyn_value(reader, DT_VERDEFNUM);
	int ret = 0;

	reader->what = "table of defined versions";
	for (uint64_t i = 0; addr && i < nr && i <= VERSION_INDEX && !ret; i++) {
		enum ulp_version_kind kind;
		Elf64_Verdef def;
		Elf64_Verdaux aux;

		ret = fetch(reader, addr, &def, sizeof(def));
		if (!ret)
			ret = fetch(reader, addr + def.vd_aux, &aux, sizeof(aux));
		if (ret)
			break;
		kind = def.vd_flags & VER_FLG_BASE ? ULP_VERSION_BASE : ULP_VERSION_DEFINED;
		ret = set_version(reader->symbols, def.vd_ndx, kind, aux.vda_name);
		if (!def.vd_next)
			break;
		addr += def.vd_next;
	}
	return ret;
}

static int read_needed_versions(struct reader *reader)
{
	uint64_t addr = dyn_address(reader, DT_VERNEED), nr = dyn_value(reader, DT_VERNEEDNUM);
	size_t left = VERSION_INDEX;
	int ret = 0;

	reader->what = "table of needed versions";
	for (uint64_t i = 0; addr && i < nr && left && !ret; i++) {
		Elf64_Verneed need;
		Elf64_Vernaux aux;
		uint64_t at;

		ret = fetch(reader, addr, &need, sizeof(need));
		if (ret)
			break;
		at = addr + need.vn_aux;
		for (size_t k = 0; !ret && k < need.vn_cnt && left; k++, left--) {
			ret = fetch(reader, at, &aux, sizeof(aux));
			if (!ret)
				ret = set_version(reader->symbols, aux.vna_other,
						  ULP_VERSION_NEEDED, aux.vna_name);
			if (ret || !aux.vna_next)
				break;
			at += aux.vna_next;
		}
		if (!need.vn_next)
			break;
		addr += need.vn_next;
	}
	return ret;
}

/* Most relocations of most objects are relative: they are not kept. */
static int read_relas(struct reader *reader)
{
	uint64_t addr = dyn_address(reader, DT_RELA), size = dyn_value(reader, DT_RELASZ);
	uint64_t skip = dyn_value(reader, DT_RELACOUNT), nr = size / sizeof(Elf64_Rela);
	struct ulp_symbols *symbols = reader->symbols;
	int ret;

	reader->what = "relocations";
	if (!nr)
		return 0;
	if (skip > nr)
		return -EFAULT;
	nr -= skip;
	if (nr > RELAS_MAX)
		return -EFAULT;
	ret = fetch_new(reader, addr + skip * sizeof(Elf64_Rela), nr * sizeof(Elf64_Rela),
			&symbols->relas);
	if (nr && ret)
		return ret;
	for (size_t i = 0; i < nr; i++) {
		if (ELF64_R_TYPE(symbols->relas[i].r_info) != R_X86_64_RELATIVE)
			symbols->relas[symbols->nr_relas++] = symbols->relas[i];
	}
	return 0;
}

static int read_plt_relas(struct reader *reader)
{
	uint64_t addr = dyn_address(reader, DT_JMPREL), size = dyn_value(reader, DT_PLTRELSZ);
	uint64_t nr = size / sizeof(Elf64_Rela);
	int ret;

	reader->what = "relocations of the PLT";
	if (!nr)
		return 0;
	if (nr > RELAS_MAX || dyn_value(reader, DT_PLTREL) != DT_RELA)
		return -EFAULT;
	ret = fetch_new(reader, addr, nr * sizeof(Elf64_Rela), &reader->symbols->plt);
	if (!ret)
		reader->symbols->nr_plt = nr;
	return ret;
}

/* Only of the beginning: millions of symbols may all have one name that does not end. */
static uint32_t hash_name(const char *name)
{
	uint32_t hash = 5381;

	for (size_t i = 0; i < HASHED_MAX && name[i]; i++)
		hash = hash * 33 + (uint8_t)name[i];
	return hash;
}

static int index_names(struct ulp_symbols *symbols)
{
	symbols->nr_buckets = symbols->nr + 1;
	symbols->buckets = calloc(symbols->nr_buckets, sizeof(*symbols->buckets));
	symbols->chain = calloc(symbols->nr + 1, sizeof(*symbols->chain));
	if (!symbols->buckets || !symbols->chain)
		return -ENOMEM;
	/* Backwards, so that a chain ascends; symbol 0 is no symbol. */
	for (size_t i = symbols->nr; i-- > 1; ) {
		uint32_t *bucket = &symbols->buckets[hash_name(ulp_symbol_name(symbols, i)) %
						     symbols->nr_buckets];

		symbols->chain[i] = *bucket;
		*bucket = (uint32_t)i;
	}
	return 0;
}

/*
 * Libraries linked with -Bsymbolic-functions, or that call their own functions
 * by hidden names, have no relocation for a function they define.
 */
static void note_own_functions(struct ulp_symbols *symbols)
{
	symbols->own_functions = true;
	for (size_t i = 0; i < symbols->nr_plt + symbols->nr_relas; i++) {
		const Elf64_Rela *rela = i < symbols->nr_plt ? &symbols->plt[i] :
			&symbols->relas[i - symbols->nr_plt];
		uint32_t index = ELF64_R_SYM(rela->r_info);
		const Elf64_Sym *sym;

		if (!index || index >= symbols->nr)
			continue;
		sym = &symbols->syms[index];
		if (sym->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(sym->st_info) == STT_FUNC)
			symbols->own_functions = false;
	}
}

static int read_all(struct reader *reader)
{
	struct ulp_symbols *symbols = reader->symbols;
	int ret;

	reader->what = "dynamic section";
	ret = ulp_dynamic_read(reader->target, reader->object, &reader->dynamic,
			       &reader->nr_dynamic);
	if (ret || !dyn_value(reader, DT_SYMTAB))
		return ret ? ret : index_names(symbols);	/* static: no symbols */
	symbols->symbolic = dyn_value(reader, DT_FLAGS) & DF_SYMBOLIC;
	for (size_t i = 0; i < reader->nr_dynamic; i++)
		symbols->symbolic |= reader->dynamic[i].d_tag == DT_SYMBOLIC;
	ret = read_strings(reader);
	if (!ret)
		ret = read_relas(reader);
	if (!ret)
		ret = read_plt_relas(reader);
	if (!ret)
		ret = read_symbols(reader);
	if (!ret)
		ret = read_defined_versions(reader);
	if (!ret)
		ret = read_needed_versions(reader);
	if (!ret)
		ret = index_names(symbols);
	note_own_functions(symbols);
	return ret;
}

int ulp_symbols_read(const struct ulp_target *target, struct ulp_object *object)
{
	struct reader reader = { .target = target, .object = object };
	int ret;

	if (object->symbols)
		return 0;
	reader.symbols = calloc(1, sizeof(*reader.symbols));
	if (!reader.symbols)
		return ulp_err(target->ctx, -ENOMEM, "out of memory");
	ret = read_all(&reader);
	free(reader.dynamic);
	if (!ret) {
		object->symbols = reader.symbols;
		return 0;
	}
	ulp_symbols_free(reader.symbols);
	if (ret == -ENOMEM)
		return ulp_err(target->ctx, ret, "out of memory");
	if (!ulp_memory_alive(target))
		return ulp_target_gone(target);
	return ulp_err(target->ctx, -ULP_E_SYMBOL,
		       "process %d (%s): the %s of %s is damaged in its memory, or unmapped",
		       target->pid, target->name, reader.what, object->path);
}

void ulp_symbols_free(struct ulp_symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->syms);
	free(symbols->versym);
	free(symbols->strings);
	free(symbols->versions);
	free(symbols->relas);
	free(symbols->plt);
	free(symbols->buckets);
	free(symbols->chain);
	free(symbols);
}

const char *ulp_symbol_name(const struct ulp_symbols *symbols, size_t index)
{
	if (index >= symbols->nr || symbols->syms[index].st_name >= symbols->strings_size)
		return "";
	return symbols->strings + symbols->syms[index].st_name;
}

const char *ulp_symbol_version(const struct ulp_symbols *symbols, size_t index)
{
	const struct ulp_version *version;
	uint16_t at;

	if (!symbols->versym || index >= symbols->nr)
		return NULL;
	at = symbols->versym[index] & VERSION_INDEX;
	if (at >= symbols->nr_versions)
		return NULL;
	version = &symbols->versions[at];
	if ((version->kind != ULP_VERSION_DEFINED && version->kind != ULP_VERSION_NEEDED) ||
	    version->name >= symbols->strings_size)
		return NULL;
	return symbols->strings + version->name;
}

size_t ulp_symbol_next(const struct ulp_symbols *symbols, const char *name, size_t index)
{
	if (!symbols->nr)
		return 0;
	index = index ? symbols->chain[index] :
		symbols->buckets[hash_name(name) % symbols->nr_buckets];
	while (index && strcmp(ulp_symbol_name(symbols, index), name) != 0)
		index = symbols->chain[index];
	return index;
}
