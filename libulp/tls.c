// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thread-local variables that a target has already: the module id and, where
 * there is one, the fixed distance of an object's block from the thread pointer.
 *
 * The target is not asked, what ld.so has stored is read:
 *  - the program's block is module 1 and ends at the thread pointer (the TLS ABI);
 *  - relocations that were applied to slots for variables of the object;
 *  - glibc's struct link_map, at the offsets that glibc itself publishes in its
 *    symbol table for debuggers (_thread_db_*, read by libthread_db).
 * Nothing is guessed from the order of objects.
 */
#include <string.h>

#include "symbol.h"

#define MODULE_MAX	65536
#define OFFSET_MAX	(1ULL << 32)
#define DB_LIBRARY_VERSION	"GLIBC_PRIVATE"

static bool is_program(const struct ulp_target *target, const struct ulp_object *object)
{
	return target->nr_links ? object->link_order == 0 : object->program;
}

static bool on_same_list(const struct ulp_target *target, const struct ulp_object *a,
			 const struct ulp_object *b)
{
	for (size_t i = 0; i < target->nr_links; i++) {
		if (&target->objects[target->links[i].object] != a)
			continue;
		for (size_t k = 0; k < target->nr_links; k++) {
			if (target->links[k].list == target->links[i].list &&
			    &target->objects[target->links[k].object] == b)
				return true;
		}
	}
	return a == b;
}

static const Elf64_Rela *rela_at(const struct ulp_symbols *symbols, size_t i)
{
	if (i < symbols->nr_relas)
		return &symbols->relas[i];
	i -= symbols->nr_relas;
	return i < symbols->nr_plt ? &symbols->plt[i] : NULL;
}

/*
 * Whether a relocation of @user is for a variable of @owner; then its value in
 * the block, without the addend.
 */
static int refers_to(const struct ulp_target *target, struct ulp_object *user,
		     const Elf64_Rela *rela, struct ulp_object *owner, uint64_t *value)
{
	const struct ulp_symbols *symbols = user->symbols;
	uint32_t index = ELF64_R_SYM(rela->r_info);
	struct ulp_definition found;
	struct ulp_wanted wanted = { 0 };
	struct ulp_scope scope;
	int ret;

	*value = 0;
	if (!index)
		return user == owner;
	wanted.name = ulp_symbol_name(symbols, index);
	wanted.version = ulp_symbol_version(symbols, index);
	if (index >= symbols->nr || !ulp_symbol_next(owner->symbols, wanted.name, 0))
		return 0;
	if (ELF64_ST_BIND(symbols->syms[index].st_info) == STB_LOCAL) {
		*value = symbols->syms[index].st_value;
		return user == owner;
	}
	ret = ulp_scope_build(target, user, &scope);
	if (ret)
		return ret;
	ret = ulp_definition_find(target, &scope, &wanted, &found);
	ulp_scope_free(&scope);
	if (ret || found.object != owner)
		return ret;
	*value = owner->symbols->syms[found.index].st_value;
	return ELF64_ST_TYPE(owner->symbols->syms[found.index].st_info) == STT_TLS;
}

/* A descriptor's function that returns the second word: "mov 8(%rax),%rax; ret". */
static bool is_static_descriptor(const struct ulp_target *target, uint64_t entry)
{
	static const uint8_t code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8b, 0x40, 0x08, 0xc3 };
	const struct ulp_mapping *map = ulp_target_mapping(target, entry);
	uint8_t bytes[sizeof(code)];

	if (!map || !map->exec || ulp_memory_read(target, entry, bytes, sizeof(bytes)))
		return false;
	return !memcmp(bytes, code, sizeof(code)) || !memcmp(bytes, code + 4, sizeof(code) - 4);
}

/* What one slot of @user says about the block of @owner. */
static int read_evidence(const struct ulp_target *target, struct ulp_object *user,
			 const Elf64_Rela *rela, struct ulp_object *owner, uint32_t type,
			 uint64_t *out)
{
	bool descriptor = ELF64_R_TYPE(rela->r_info) == R_X86_64_TLSDESC;
	uint64_t words[2], value, known;
	int ret;

	if (ELF64_R_TYPE(rela->r_info) != type && !(descriptor && type == R_X86_64_TPOFF64))
		return 0;
	ret = refers_to(target, user, rela, owner, &value);
	if (ret <= 0 || !ulp_slot_read(target, user, rela, words, descriptor ? 2 : 1))
		return ret < 0 ? ret : 0;
	if (type == R_X86_64_DTPMOD64) {
		*out = words[0];
		return *out > 0 && *out < MODULE_MAX;
	}
	if (descriptor && !is_static_descriptor(target, words[0]))
		return 0;
	known = descriptor ? words[1] : words[0];
	*out = value + (uint64_t)rela->r_addend - known;
	return *out >= owner->tls_size && *out < OFFSET_MAX;
}

static int find_evidence(const struct ulp_target *target, struct ulp_object *owner, uint32_t type,
			 uint64_t *out)
{
	int ret = ulp_symbols_read(target, owner);

	/* Its own slots first, then those of all who may use its variables. */
	for (size_t i = 0; i <= target->nr_objects && !ret; i++) {
		struct ulp_object *user = i ? &target->objects[i - 1] : owner;
		const Elf64_Rela *rela;

		if (i && (user == owner || !on_same_list(target, owner, user)))
			continue;
		ret = ulp_symbols_read(target, user);
		for (size_t k = 0; !ret && (rela = rela_at(user->symbols, k)); k++)
			ret = read_evidence(target, user, rela, owner, type, out);
	}
	return ret;
}

/*
 * A field of the object's link_map, by the descriptor that glibc publishes:
 * {bits of an element, number of elements, offset}.
 */
static int read_link_map(const struct ulp_target *target, const struct ulp_object *object,
			 const char *descriptor, uint64_t *out)
{
	struct ulp_wanted wanted = { .name = descriptor, .version = DB_LIBRARY_VERSION };
	uint32_t layout[3];
	uint64_t map = 0;

	for (size_t i = 0; i < target->nr_links && !map; i++) {
		if (&target->objects[target->links[i].object] == object)
			map = target->links[i].map;
	}
	for (size_t i = 0; i < target->nr_objects && map; i++) {
		struct ulp_object *library = &target->objects[i];
		struct ulp_definition found;
		struct ulp_scope alone = { .object = library, .nr = 1, .objects = &library };
		const Elf64_Sym *sym;
		int ret;

		if (!on_same_list(target, object, library))
			continue;
		ret = ulp_symbols_read(target, library);
		if (!ret)
			ret = ulp_definition_find(target, &alone, &wanted, &found);
		if (ret)
			return ret;
		/* A library without versions would match as well. */
		if (!found.object || !ulp_symbol_version(library->symbols, found.index))
			continue;
		sym = &library->symbols->syms[found.index];
		return sym->st_size == sizeof(layout) &&
		       ulp_object_holds(library, library->bias + sym->st_value, sizeof(layout)) &&
		       !ulp_memory_read(target, library->bias + sym->st_value, layout,
					sizeof(layout)) &&
		       layout[0] == 8 * sizeof(*out) && layout[1] == 1 &&
		       !ulp_memory_read(target, map + layout[2], out, sizeof(*out));
	}
	return 0;
}

int ulp_tls_module(const struct ulp_target *target, struct ulp_object *object, uint64_t *module)
{
	int ret;

	if (!object->tls_size)
		return 0;
	if (is_program(target, object)) {
		*module = 1;
		return 1;
	}
	ret = find_evidence(target, object, R_X86_64_DTPMOD64, module);
	if (ret)
		return ret;
	ret = read_link_map(target, object, "_thread_db_link_map_l_tls_modid", module);
	return ret > 0 ? *module > 0 && *module < MODULE_MAX : ret;
}

int ulp_tls_offset(const struct ulp_target *target, struct ulp_object *object, uint64_t *offset)
{
	uint64_t align = object->tls_align;
	int ret;

	if (!object->tls_size)
		return 0;
	if (is_program(target, object) && !(align & (align - 1)) && align < OFFSET_MAX &&
	    !(object->tls_vaddr & (align - 1))) {
		*offset = (object->tls_size + align - 1) & ~(align - 1);
		return *offset < OFFSET_MAX;
	}
	ret = find_evidence(target, object, R_X86_64_TPOFF64, offset);
	if (ret)
		return ret;
	/* 0: not placed yet, -1: placed for each thread apart */
	ret = read_link_map(target, object, "_thread_db_link_map_l_tls_offset", offset);
	return ret > 0 ? *offset >= object->tls_size && *offset < OFFSET_MAX : ret;
}

/* The function of any static descriptor in the target. */
static int find_static_entry(const struct ulp_target *target, uint64_t *entry)
{
	for (size_t i = 0; i < target->nr_objects; i++) {
		struct ulp_object *object = &target->objects[i];
		const Elf64_Rela *rela;
		int ret = ulp_symbols_read(target, object);

		if (ret)
			return ret;
		for (size_t k = 0; (rela = rela_at(object->symbols, k)); k++) {
			if (ELF64_R_TYPE(rela->r_info) == R_X86_64_TLSDESC &&
			    ulp_slot_read(target, object, rela, entry, 1) &&
			    is_static_descriptor(target, *entry))
				return 1;
		}
	}
	return 0;
}

int ulp_tls_static_descriptor(const struct ulp_target *target, struct ulp_object *object,
			      uint64_t value, uint64_t words[2])
{
	uint64_t offset = 0;
	int ret = ulp_tls_offset(target, object, &offset);

	if (ret <= 0)
		return ret;
	words[1] = value - offset;
	return find_static_entry(target, &words[0]);
}

int ulp_tls_descriptor(const struct ulp_target *target, const struct ulp_scope *scope,
		       const struct ulp_definition *definition, int64_t addend,
		       uint64_t words[2])
{
	const struct ulp_object *object = scope->object;
	const struct ulp_symbols *owner = definition->object->symbols;
	uint64_t value = owner->syms[definition->index].st_value + (uint64_t)addend;
	const Elf64_Rela *rela;
	int ret;

	ret = ulp_tls_static_descriptor(target, definition->object, value, words);
	if (ret)
		return ret;
	/* Its own descriptor of the same variable: ld.so keeps that as long as it. */
	for (size_t k = 0; (rela = rela_at(object->symbols, k)); k++) {
		uint64_t at;

		if (ELF64_R_TYPE(rela->r_info) != R_X86_64_TLSDESC)
			continue;
		ret = refers_to(target, scope->object, rela, definition->object, &at);
		if (ret < 0)
			return ret;
		if (ret && at + (uint64_t)rela->r_addend == value &&
		    ulp_slot_read(target, object, rela, words, 2) &&
		    !ulp_object_holds(object, words[0], 1))
			return 1;	/* not its own PLT: bound already */
	}
	return 0;
}
