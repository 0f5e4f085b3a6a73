// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What ld.so would bind a reference of an object to.
 *
 * Best evidence is what it did bind: the object's own slot for the same symbol
 * has interposition, auditing, global dlopen()s and indirect functions decided.
 * Only references the object does not have yet, or has not used yet, are looked
 * up by name.
 */
#include <string.h>

#include "symbol.h"

bool ulp_slot_read(const struct ulp_target *target, const struct ulp_object *object,
		   const Elf64_Rela *rela, uint64_t *out, size_t words)
{
	uint64_t addr = object->bias + rela->r_offset;

	return ulp_object_holds(object, addr, words * sizeof(*out)) &&
	       !ulp_memory_read(target, addr, out, words * sizeof(*out));
}

static bool is_code(const struct ulp_target *target, uint64_t addr)
{
	const struct ulp_mapping *map = ulp_target_mapping(target, addr);

	return map && map->exec;
}

/*
 * Whether @addr is the lazy half of PLT entry @index, which a slot points to
 * until the first call: "[endbr64]; push $index; [bnd] jmp PLT0".
 */
static bool is_lazy_stub(const struct ulp_target *target, const struct ulp_object *object,
			 uint64_t addr, uint32_t index)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint8_t code[16], *at = code;
	uint32_t pushed;

	if (!ulp_object_holds(object, addr, sizeof(code)) ||
	    ulp_memory_read(target, addr, code, sizeof(code)))
		return false;
	if (!memcmp(at, endbr64, sizeof(endbr64)))
		at += sizeof(endbr64);
	memcpy(&pushed, at + 1, sizeof(pushed));
	if (at[0] != 0x68 || pushed != index)
		return false;
	return at[5] == 0xe9 || (at[5] == 0xf2 && at[6] == 0xe9);
}

static uint64_t symbol_address(const struct ulp_object *object, const Elf64_Sym *sym)
{
	return sym->st_value + (sym->st_shndx == SHN_ABS ? 0 : object->bias);
}

/* Whether a slot of @object may hold @addr inside itself: its own definition. */
static bool is_own(const struct ulp_object *object, const char *name, uint64_t addr)
{
	const struct ulp_symbols *symbols = object->symbols;

	for (size_t i = ulp_symbol_next(symbols, name, 0); i;
	     i = ulp_symbol_next(symbols, name, i)) {
		const Elf64_Sym *sym = &symbols->syms[i];

		if (sym->st_shndx != SHN_UNDEF &&
		    (ELF64_ST_TYPE(sym->st_info) == STT_GNU_IFUNC ||
		     symbol_address(object, sym) == addr))
			return true;
	}
	return false;
}

struct slots {
	bool jump, data;	/* there is a bound one */
	uint64_t jump_value, data_value;
	uint64_t stub;		/* the lazy stub of an unbound one, else 0 */
};

static bool is_reference(const struct ulp_symbols *symbols, uint32_t index, const char *name,
			 const char *version)
{
	const char *own;

	if (!index || strcmp(ulp_symbol_name(symbols, index), name) != 0)
		return false;
	if (!version)
		return true;
	own = ulp_symbol_version(symbols, index);
	return own && !strcmp(own, version);
}

/*
 * Whether a slot holds an address that all agree on, and still what ld.so put
 * there: a pointer in data that the program may write says nothing.
 */
static bool is_data_slot(const struct ulp_target *target, const struct ulp_object *object,
			 const Elf64_Rela *rela)
{
	const struct ulp_mapping *map;

	if (ELF64_R_TYPE(rela->r_info) == R_X86_64_GLOB_DAT)
		return true;
	if (ELF64_R_TYPE(rela->r_info) != R_X86_64_64)
		return false;
	map = ulp_target_mapping(target, object->bias + rela->r_offset);
	return map && !map->write;
}

/* Collects what the slots of one object say about a symbol. */
static void read_slots(const struct ulp_target *target, const struct ulp_object *object,
		       const char *name, const char *version, struct slots *slots)
{
	const struct ulp_symbols *symbols = object->symbols;

	memset(slots, 0, sizeof(*slots));
	if (!ulp_symbol_next(symbols, name, 0))
		return;
	for (size_t i = 0; i < symbols->nr_relas && !slots->data; i++) {
		const Elf64_Rela *rela = &symbols->relas[i];

		if (is_reference(symbols, ELF64_R_SYM(rela->r_info), name, version) &&
		    is_data_slot(target, object, rela) &&
		    ulp_slot_read(target, object, rela, &slots->data_value, 1)) {
			slots->data = true;
			slots->data_value -= (uint64_t)rela->r_addend;
		}
	}
	for (size_t i = 0; i < symbols->nr_plt && !slots->jump && !slots->stub; i++) {
		const Elf64_Rela *rela = &symbols->plt[i];
		uint64_t value;

		if (ELF64_R_TYPE(rela->r_info) != R_X86_64_JUMP_SLOT ||
		    !is_reference(symbols, ELF64_R_SYM(rela->r_info), name, version) ||
		    !ulp_slot_read(target, object, rela, &value, 1) || !is_code(target, value))
			continue;
		if (is_lazy_stub(target, object, value, (uint32_t)i)) {
			slots->stub = value;
		} else if (!ulp_object_holds(object, value, 1) || is_own(object, name, value)) {
			/* Else a linker's own kind of lazy binding: says nothing. */
			slots->jump = true;
			slots->jump_value = value;
		}
	}
}

/* An object that resolves its own indirect function has the result in a slot. */
static bool find_irelative(const struct ulp_target *target, const struct ulp_definition *found,
			   uint64_t *value)
{
	const struct ulp_object *object = found->object;
	const struct ulp_symbols *symbols = object->symbols;
	uint64_t resolver = symbols->syms[found->index].st_value;

	for (size_t i = 0; i < symbols->nr_plt + symbols->nr_relas; i++) {
		const Elf64_Rela *rela = i < symbols->nr_plt ? &symbols->plt[i] :
			&symbols->relas[i - symbols->nr_plt];

		if (ELF64_R_TYPE(rela->r_info) == R_X86_64_IRELATIVE &&
		    (uint64_t)rela->r_addend == resolver &&
		    ulp_slot_read(target, object, rela, value, 1) &&
		    ulp_object_holds(object, *value, 1) && is_code(target, *value))
			return true;
	}
	return false;
}

/* Whether @value is what a definition like @found can be bound to. */
static bool is_bound_to(const struct ulp_target *target, const struct ulp_definition *found,
			uint64_t value)
{
	const struct ulp_symbols *symbols = found->object->symbols;
	const struct ulp_mapping *map = ulp_target_mapping(target, value);

	if (ELF64_ST_BIND(symbols->syms[found->index].st_info) == STB_GNU_UNIQUE)
		return map;
	/* libc resolves time() and the like to functions of the vDSO */
	return map && map->exec &&
	       (ulp_object_holds(found->object, value, 1) || !strcmp(map->path, ULP_VDSO));
}

/*
 * The slot of any object of the same list that was bound to this definition:
 * for an indirect function the result of its resolver, which we never call; for
 * a unique symbol the one that the whole process uses.
 */
static int find_bound(const struct ulp_target *target, const struct ulp_scope *scope,
		      const struct ulp_definition *found, uint64_t *value)
{
	const struct ulp_symbols *symbols = found->object->symbols;
	const char *name = ulp_symbol_name(symbols, found->index);
	const char *version = ulp_symbol_version(symbols, found->index);

	for (size_t i = 0; i < target->nr_links; i++) {
		struct ulp_object *object = &target->objects[target->links[i].object];
		struct slots slots;
		int ret;

		if (target->links[i].list != scope->list)
			continue;
		ret = ulp_symbols_read(target, object);
		if (ret)
			return ret;
		read_slots(target, object, name, version, &slots);
		if (slots.data && is_bound_to(target, found, slots.data_value)) {
			*value = slots.data_value;
			return 1;
		}
		if (slots.jump && is_bound_to(target, found, slots.jump_value)) {
			*value = slots.jump_value;
			return 1;
		}
	}
	return 0;
}

static int bind_indirect(const struct ulp_target *target, const struct ulp_scope *scope,
			 const struct ulp_definition *found, uint64_t stub,
			 struct ulp_binding *binding)
{
	int ret;

	binding->found = find_irelative(target, found, &binding->value);
	if (binding->found)
		return 0;
	ret = find_bound(target, scope, found, &binding->value);
	if (ret < 0)
		return ret;
	binding->found = ret > 0;
	if (!binding->found && stub) {
		/*
		 * The stub names the object and its slot to ld.so by itself, so it
		 * may be entered from anywhere: each call through it is looked up
		 * again, and reaches the right function.
		 */
		binding->found = true;
		binding->value = stub;
	}
	binding->why =
		"is an indirect function (IFUNC) that nothing in the process has resolved yet";
	return 0;
}

static int bind_definition(const struct ulp_target *target, const struct ulp_scope *scope,
			   const struct ulp_definition *found, uint64_t stub,
			   struct ulp_binding *binding)
{
	const Elf64_Sym *sym = &found->object->symbols->syms[found->index];
	int ret;

	switch (ELF64_ST_TYPE(sym->st_info)) {
	case STT_TLS:
		binding->why = "is thread-local, and the patch uses it as if it were not";
		return 0;
	case STT_GNU_IFUNC:
		return bind_indirect(target, scope, found, stub, binding);
	}
	binding->found = true;
	binding->value = symbol_address(found->object, sym);
	if (ELF64_ST_BIND(sym->st_info) == STB_GNU_UNIQUE) {
		ret = find_bound(target, scope, found, &binding->value);
		if (ret < 0)
			return ret;
	}
	if (!ulp_target_mapping(target, binding->value) && sym->st_shndx != SHN_ABS) {
		binding->found = false;
		binding->why = "is defined at an address where nothing is mapped";
	}
	return 0;
}

int ulp_symbol_bind(const struct ulp_target *target, const struct ulp_scope *scope,
		    const struct ulp_wanted *wanted, struct ulp_binding *binding)
{
	struct ulp_definition found;
	struct slots slots;
	int ret;

	memset(binding, 0, sizeof(*binding));
	read_slots(target, scope->object, wanted->name, wanted->version, &slots);
	/*
	 * A slot for jumps has the function itself; one for data has the address
	 * that all agree on, which may be a PLT entry of the program.  The latter
	 * is good for both.
	 */
	if (wanted->call && slots.jump) {
		*binding = (struct ulp_binding){ .found = true, .value = slots.jump_value };
		return 0;
	}
	if (slots.data && (slots.data_value ? !!ulp_target_mapping(target, slots.data_value) :
			   wanted->weak) &&
	    (!wanted->call || !slots.data_value || is_code(target, slots.data_value))) {
		*binding = (struct ulp_binding){ .found = true, .value = slots.data_value };
		return 0;
	}
	ret = ulp_definition_find(target, scope, wanted, &found);
	if (ret)
		return ret;
	if (found.object)
		return bind_definition(target, scope, &found, wanted->call ? slots.stub : 0,
				       binding);
	binding->found = wanted->weak;
	binding->why = "is not defined by anything it can see";
	return 0;
}
