// SPDX-License-Identifier: LGPL-2.1-or-later
// timeout: 120
/*
 * Relocation of a patch's image: thread-local variables, references of the
 * container, what is refused, and damaged patches.
 */
#include <kselftest_harness.h>

#include "peer.h"

FIXTURE(relocate) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	struct peer peer;
	struct plain_patch patch;
	uint8_t *image;
	uint64_t bias;
};

FIXTURE_SETUP(relocate)
{
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
}

FIXTURE_TEARDOWN(relocate)
{
	free(self->image);
	plain_patch_close(&self->patch);
	ulp_target_close(self->target);
	peer_end(&self->peer);
	ulp_context_free(self->ctx);
}

#define ERROR_HAS(text) EXPECT_NE(NULL, strstr(ulp_error(self->ctx), text)) { \
	TH_LOG("\"%s\" is not in: %s", text, ulp_error(self->ctx)); \
}

static int relocate(FIXTURE_DATA(relocate) * self, const char *object)
{
	struct ulp_object *to;
	int ret;

	if (!self->target) {
		ret = ulp_target_open(self->ctx, self->peer.pid, &self->target);
		if (ret)
			return ret;
	}
	to = ulp_target_object_named(self->target, object);
	if (!to)
		return -ENOENT;
	free(self->image);
	self->image = plain_patch_relocate(&self->patch, self->target, to, &self->bias, &ret);
	return ret;
}

static bool map(FIXTURE_DATA(relocate) * self)
{
	return peer_map(&self->peer, self->bias, self->image, self->patch.patch.image_size);
}

static uint64_t symbol(FIXTURE_DATA(relocate) * self, const char *name)
{
	return self->bias + plain_patch_symbol(&self->patch, name);
}

/* A function of the patch and one of libasker give the same address in a thread. */
#define SAME_VARIABLE(how, patch_function, asker_function) do {				\
	uint64_t asker = peer_ask(&self->peer, "dlsym " asker_function);		\
											\
	EXPECT_EQ(peer_ask(&self->peer, how " %" PRIx64, asker),			\
		  peer_ask(&self->peer, how " %" PRIx64, symbol(self, patch_function)));	\
} while (0)

static void check_tls(struct __test_metadata *_metadata, FIXTURE_DATA(relocate) * self,
		      const char *patch)
{
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, patch));
	ASSERT_EQ(0, relocate(self, "libplain.so")) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
	ASSERT_TRUE(map(self));
	SAME_VARIABLE("call", "patch_program_tls", "asker_program_tls");
	SAME_VARIABLE("call", "patch_plain_tls", "asker_plain_tls");
}

TEST_F(relocate, tls_global_dynamic)
{
	check_tls(_metadata, self, "patch_tls.so");
}

TEST_F(relocate, tls_initial_exec)
{
	check_tls(_metadata, self, "patch_tls.ie.so");
}

/* Nobody in the process has a descriptor whose function could be used. */
TEST_F(relocate, tls_descriptor_refused)
{
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_tls.desc.so"));
	EXPECT_EQ(-ULP_E_TLS, relocate(self, "libplain.so"));
	ERROR_HAS("_tls");
	ERROR_HAS("-mtls-dialect=gnu");
}

/* As soon as one object has, it can. */
TEST_F(relocate, tls_descriptor)
{
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("patch_tls.desc.so")));
	check_tls(_metadata, self, "patch_tls.desc.so");
}

/* In a library loaded later the variables have no fixed place, but a module. */
TEST_F(relocate, tls_of_dlopened)
{
	uint64_t address;

	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	address = peer_ask(&self->peer, "dlsym plug_tls_address");
	ASSERT_NE(0, address);
	EXPECT_NE(0, peer_ask(&self->peer, "call %" PRIx64, address));
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_odd.plug_tls.so"));
	ASSERT_EQ(0, relocate(self, "libplug.so")) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
	ASSERT_TRUE(map(self));
	EXPECT_EQ(11, peer_ask(&self->peer, "thread %" PRIx64, symbol(self, "patch_odd")));
	EXPECT_EQ(11, peer_ask(&self->peer, "call %" PRIx64, symbol(self, "patch_odd")));
}

TEST_F(relocate, tls_without_fixed_place_refused)
{
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_odd.plug_ie.so"));
	EXPECT_EQ(-ULP_E_TLS, relocate(self, "libplug.so"));
	ERROR_HAS("plug_tls");
}

TEST_F(relocate, new_tls_refused)
{
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_odd.newtls.so"));
	EXPECT_EQ(-ULP_E_TLS, relocate(self, "libplain.so"));
	ERROR_HAS("patch_new_tls");
}

TEST_F(relocate, own_indirect_refused)
{
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_odd.ifunc.so"));
	EXPECT_EQ(-ULP_E_RELOCATION, relocate(self, "libplain.so"));
	ERROR_HAS("IFUNC");
}

/* ---- references of the container ---- */

static void set_reference(FIXTURE_DATA(relocate) * self, uint64_t value, bool tls)
{
	self->patch.target.nr_references = 1;
	self->patch.references[0] = (struct ulp_patch_reference){
		.target_name = "hidden", .slot_name = "patch_slots", .target_value = value,
		.slot_value = plain_patch_symbol(&self->patch, "patch_slots"), .tls = tls,
	};
}

TEST_F(relocate, reference)
{
	uint64_t truth = peer_ask(&self->peer, "dlsym plain_data"), slot;
	struct ulp_object *object;

	ASSERT_EQ(0, ulp_target_open(self->ctx, self->peer.pid, &self->target));
	object = ulp_target_object_named(self->target, "libplain.so");
	ASSERT_NE(NULL, object);
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_odd.so"));
	set_reference(self, truth - object->bias, false);
	ASSERT_EQ(0, relocate(self, "libplain.so"));
	memcpy(&slot, self->image + self->patch.references[0].slot_value, sizeof(slot));
	EXPECT_EQ(truth, slot);
	set_reference(self, object->end - object->bias + 0x1000, false);
	EXPECT_EQ(-ULP_E_SYMBOL, relocate(self, "libplain.so"));
	ERROR_HAS("hidden");
	set_reference(self, 0x7000000000ULL, false);
	EXPECT_EQ(-ULP_E_SYMBOL, relocate(self, "libplain.so"));
	/* outside of the writable data of the patch */
	set_reference(self, truth - object->bias, false);
	self->patch.references[0].slot_value = 0;
	EXPECT_EQ(-ULP_E_RELOCATION, relocate(self, "libplain.so"));
	self->patch.references[0].slot_value = self->patch.patch.image_size - 4;
	EXPECT_EQ(-ULP_E_RELOCATION, relocate(self, "libplain.so"));
	self->patch.references[0].slot_value = UINT64_MAX - 3;
	EXPECT_EQ(-ULP_E_RELOCATION, relocate(self, "libplain.so"));
}

/* {module, offset} lead __tls_get_addr() to the variable. */
TEST_F(relocate, reference_to_tls)
{
	static const struct {
		const char *object, *variable;
		uint64_t value;
	} cases[] = { { "libplain.so", "asker_plain_tls", 0 },
		      { "peer", "asker_program_tls", 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ulp_definition found;
		struct ulp_wanted wanted = { 0 };
		struct ulp_scope scope;
		struct ulp_object *object;
		uint64_t slots[2], address, block, truth;

		ulp_target_close(self->target);
		self->target = NULL;
		ASSERT_EQ(0, ulp_target_open(self->ctx, self->peer.pid, &self->target));
		object = ulp_target_object_named(self->target, cases[i].object);
		ASSERT_EQ(0, ulp_scope_build(self->target, object, &scope));
		wanted.name = i ? "program_tls" : "plain_tls";
		ASSERT_EQ(0, ulp_definition_find(self->target, &scope, &wanted, &found));
		ASSERT_EQ(object, found.object);
		ulp_scope_free(&scope);
		ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_odd.so"));
		set_reference(self, object->symbols->syms[found.index].st_value, true);
		ASSERT_EQ(0, relocate(self, cases[i].object)) {
			TH_LOG("%s", ulp_error(self->ctx));
		}
		memcpy(slots, self->image + self->patch.references[0].slot_value, sizeof(slots));
		EXPECT_EQ(self->patch.references[0].target_value, slots[1]);
		ASSERT_TRUE(map(self));
		address = peer_ask(&self->peer, "tls %" PRIx64, symbol(self, "patch_slots"));
		truth = peer_ask(&self->peer, "call %" PRIx64,
				 peer_ask(&self->peer, "dlsym %s", cases[i].variable));
		EXPECT_EQ(truth, address);
		block = object->tls_size;
		set_reference(self, block, true);
		EXPECT_EQ(-ULP_E_TLS, relocate(self, cases[i].object));
		plain_patch_close(&self->patch);
		memset(&self->patch, 0, sizeof(self->patch));
	}
}

/* An object whose block nobody accounts for: glibc tells its debuggers. */
TEST_F(relocate, tls_module_of_libc)
{
	struct ulp_object *libc;
	uint64_t module = 0, offset = 0;

	ASSERT_EQ(0, ulp_target_open(self->ctx, self->peer.pid, &self->target));
	libc = ulp_target_object_named(self->target, "libc.so.6");
	ASSERT_NE(NULL, libc);
	ASSERT_EQ(1, ulp_tls_module(self->target, libc, &module));
	EXPECT_GT(module, 1);
	ASSERT_EQ(1, ulp_tls_offset(self->target, libc, &offset));
	EXPECT_GE(offset, libc->tls_size);
}

/* ---- relocations that are refused by name ---- */

/* Changes the type of the first relocation that has @from. */
static bool change_type(FIXTURE_DATA(relocate) * self, uint32_t from, uint32_t to)
{
	uint8_t *data = self->patch.patch.data;
	const Elf64_Ehdr *header = (const void *)data;
	const Elf64_Shdr *sections = (const void *)(data + header->e_shoff);

	for (size_t i = 0; i < header->e_shnum; i++) {
		Elf64_Rela *relas = (void *)(data + sections[i].sh_offset);

		for (size_t k = 0; sections[i].sh_type == SHT_RELA &&
		     k < sections[i].sh_size / sizeof(*relas); k++) {
			if (ELF64_R_TYPE(relas[k].r_info) != from)
				continue;
			relas[k].r_info = ELF64_R_INFO(ELF64_R_SYM(relas[k].r_info), to);
			return true;
		}
	}
	return false;
}

TEST_F(relocate, types_refused)
{
	static const struct {
		uint32_t type;
		const char *name;
	} cases[] = {
		{ R_X86_64_COPY, "R_X86_64_COPY" },
		{ R_X86_64_IRELATIVE, "R_X86_64_IRELATIVE" },
		{ R_X86_64_PC32, "R_X86_64_PC32" },
		{ R_X86_64_SIZE64, "R_X86_64_SIZE64" },
		{ 1000, "1000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_symbols.so"));
		ASSERT_TRUE(change_type(self, R_X86_64_GLOB_DAT, cases[i].type));
		EXPECT_EQ(-ULP_E_RELOCATION, relocate(self, "libplain.so"));
		ERROR_HAS(cases[i].name);
		ERROR_HAS("patch_symbols.so");
		plain_patch_close(&self->patch);
		memset(&self->patch, 0, sizeof(self->patch));
	}
}

/* Anything may be refused; nothing may be read or written outside the patch. */
TEST_F(relocate, damaged_patches)
{
	static const char * const patches[] = { "patch_symbols.so", "patch_symbols.relr.so",
						"patch_tls.so" };
	uint32_t seed = 1;
	int refused = 0;

	for (int round = 0; round < 300; round++) {
		struct ulp_patch *patch = &self->patch.patch;

		ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx,
					     patches[round % ARRAY_SIZE(patches)]));
		for (int flip = 0; flip < 12; flip++) {
			uint64_t at;

			seed = seed * 1103515245 + 12345;
			/* the tables at the start, or the dynamic section */
			at = flip & 1 ? 64 + 56 * 12 + (seed >> 8) % 4096 :
				(seed >> 8) % patch->dynamic_size;
			if (!(flip & 1)) {
				for (size_t i = 0; i < patch->nr_segments; i++) {
					const struct ulp_patch_segment *s = &patch->segments[i];

					if (patch->dynamic >= s->vaddr &&
					    patch->dynamic - s->vaddr < s->filesz)
						at += patch->dynamic - s->vaddr + s->offset;
				}
			}
			if (at < patch->size)
				patch->data[at] ^= (uint8_t)(1 << (seed >> 29));
		}
		refused += relocate(self, "libplain.so") < 0;
		plain_patch_close(&self->patch);
		memset(&self->patch, 0, sizeof(self->patch));
	}
	EXPECT_GT(refused, 50);
}

TEST_HARNESS_MAIN
