// SPDX-License-Identifier: LGPL-2.1-or-later
// timeout: 120
/*
 * What a name in a patch means: always what ld.so, asked by libasker in the same
 * place, has bound.
 */
#include <kselftest_harness.h>
#include <sys/mman.h>

#include "peer.h"
#include "peer_names.h"

#define NAME(name) #name,

static const char * const names[] = { PEER_NAMES(NAME) };

FIXTURE(symbol) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	struct peer peer;
	struct plain_patch patch;
};

FIXTURE_VARIANT(symbol) {
	const char *program, *preload;
	bool early;	/* before the program has bound its functions by use */
};

FIXTURE_VARIANT_ADD(symbol, pie) { .program = "peer" };
FIXTURE_VARIANT_ADD(symbol, pie_early) { .program = "peer", .early = true };
FIXTURE_VARIANT_ADD(symbol, nopie) { .program = "peer.nopie" };
FIXTURE_VARIANT_ADD(symbol, nopie_early) { .program = "peer.nopie", .early = true };
FIXTURE_VARIANT_ADD(symbol, now) { .program = "peer.now" };
FIXTURE_VARIANT_ADD(symbol, preload) { .program = "peer", .preload = "libpre.so" };

FIXTURE_SETUP(symbol)
{
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	ASSERT_TRUE(peer_start(&self->peer, variant->program, variant->preload));
	if (!variant->early) {
		uint64_t calls = peer_ask(&self->peer, "dlsym asker_calls");

		ASSERT_NE(0, calls);
		ASSERT_NE(0, peer_ask(&self->peer, "call %" PRIx64, calls));
	}
	ASSERT_EQ(0, ulp_target_open(self->ctx, self->peer.pid, &self->target)) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
}

FIXTURE_TEARDOWN(symbol)
{
	plain_patch_close(&self->patch);
	ulp_target_close(self->target);
	peer_end(&self->peer);
	ulp_context_free(self->ctx);
}

/* What the string tables say against the symbols themselves. */
TEST_F(symbol, names_without_symbols)
{
	static const char *const asked[] = {
		"dl_iterate_phdr", "_dl_find_object", "swapcontext", "malloc", "environ",
		"asker_calls", "no_such_name_anywhere",
	};
	size_t absent = 0;

	for (size_t i = 0; i < self->target->nr_objects; i++) {
		struct ulp_object *object = &self->target->objects[i];

		ASSERT_EQ(0, ulp_symbols_read(self->target, object));
		for (size_t k = 0; k < ARRAY_SIZE(asked); k++) {
			bool may = ulp_object_may_name(self->target, object, &asked[k], 1);

			EXPECT_TRUE(may || !ulp_symbol_next(object->symbols, asked[k], 0)) {
				TH_LOG("%s has %s", object->path, asked[k]);
			}
			absent += !may;
		}
		EXPECT_FALSE(ulp_object_may_name(self->target, object, &asked[6], 1));
		EXPECT_EQ(ulp_object_may_name(self->target, object, asked, ARRAY_SIZE(asked)),
			  ulp_object_may_name(self->target, object, asked, 6));
	}
	/* it is of no use if everything may be everywhere */
	EXPECT_GT(absent, 3 * self->target->nr_objects);
}

static void check_addresses(struct __test_metadata *_metadata, FIXTURE_DATA(symbol) * self,
			    const char *patch, const char *object_name)
{
	struct ulp_object *object = ulp_target_object_named(self->target, object_name);
	uint64_t bias, table;
	uint8_t *image;
	int ret;

	ASSERT_NE(NULL, object);
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, patch));
	table = plain_patch_symbol(&self->patch, "patch_addresses");
	ASSERT_NE(0, table);
	image = plain_patch_relocate(&self->patch, self->target, object, &bias, &ret);
	ASSERT_EQ(0, ret) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t address, truth = peer_ask(&self->peer, "ask %s", names[i]);

		memcpy(&address, image + table + 8 * i, sizeof(address));
		EXPECT_EQ(truth, address) {
			TH_LOG("%s from %s", names[i], object_name);
		}
	}
	free(image);
}

TEST_F(symbol, addresses_from_library)
{
	check_addresses(_metadata, self, "patch_symbols.so", "libplain.so");
}

TEST_F(symbol, addresses_from_library_that_asks_for_all)
{
	check_addresses(_metadata, self, "patch_symbols.so", "libasker.so");
}

TEST_F(symbol, addresses_from_program)
{
	check_addresses(_metadata, self, "patch_symbols.relr.so", variant->program);
}

/* The code runs in the process itself and must come to the same result. */
static void check_calls(struct __test_metadata *_metadata, FIXTURE_DATA(symbol) * self,
			const char *object_name)
{
	struct ulp_object *object = ulp_target_object_named(self->target, object_name);
	uint64_t bias, calls, truth, pointer;
	uint8_t *image;
	int ret;

	ASSERT_NE(NULL, object);
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_symbols.so"));
	image = plain_patch_relocate(&self->patch, self->target, object, &bias, &ret);
	ASSERT_EQ(0, ret) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
	ASSERT_TRUE(peer_map(&self->peer, bias, image, self->patch.patch.image_size));
	calls = plain_patch_symbol(&self->patch, "patch_calls");
	truth = peer_ask(&self->peer, "call %" PRIx64,
			 peer_ask(&self->peer, "dlsym asker_calls"));
	ASSERT_NE(0, truth);
	EXPECT_EQ(truth, peer_ask(&self->peer, "call %" PRIx64, bias + calls));
	/* What the patch defines it uses itself. */
	calls = plain_patch_symbol(&self->patch, "patch_own_call");
	EXPECT_EQ(21, peer_ask(&self->peer, "call %" PRIx64, bias + calls));
	memcpy(&pointer, image + plain_patch_symbol(&self->patch, "patch_own_pointer"), 8);
	EXPECT_EQ(bias + plain_patch_symbol(&self->patch, "patch_own"), pointer);
	free(image);
}

TEST_F(symbol, calls_from_library)
{
	check_calls(_metadata, self, "libplain.so");
}

TEST_F(symbol, calls_from_library_that_asks_for_all)
{
	check_calls(_metadata, self, "libasker.so");
}

TEST_F(symbol, calls_from_program)
{
	check_calls(_metadata, self, variant->program);
}

/* ---- tables that lie ---- */

#define NR_SYMBOLS	(1UL << 18)
#define NAME_SIZE	(16UL << 20)

/*
 * Many symbols with one long name: what it takes to read them is to grow with the tables,
 * not with the product of their sizes.
 */
TEST(one_endless_name)
{
	struct tables {
		Elf64_Dyn dynamic[8];
		uint32_t hash[2];
		Elf64_Sym syms[NR_SYMBOLS];
		char strings[NAME_SIZE];
	} *tables = mmap(NULL, sizeof(*tables), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t start = (uintptr_t)tables;
	struct ulp_object object = {
		.start = start, .end = start + sizeof(*tables), .bias = start,
		.dynamic = start, .dynamic_size = sizeof(tables->dynamic), .path = "endless",
	};
	struct ulp_target target = { .pid = getpid() };

	ASSERT_NE(MAP_FAILED, (void *)tables);
	ASSERT_EQ(0, ulp_context_new(&target.ctx));
	target.mem = open("/proc/self/mem", O_RDONLY);
	ASSERT_LE(0, target.mem);
	tables->dynamic[0].d_tag = DT_SYMTAB;
	tables->dynamic[0].d_un.d_ptr = (uintptr_t)tables->syms;
	tables->dynamic[1].d_tag = DT_STRTAB;
	tables->dynamic[1].d_un.d_ptr = (uintptr_t)tables->strings;
	tables->dynamic[2].d_tag = DT_STRSZ;
	tables->dynamic[2].d_un.d_val = NAME_SIZE;
	tables->dynamic[3].d_tag = DT_HASH;
	tables->dynamic[3].d_un.d_ptr = (uintptr_t)tables->hash;
	tables->hash[1] = NR_SYMBOLS;
	memset(tables->strings, 'a', NAME_SIZE);
	EXPECT_EQ(0, ulp_symbols_read(&target, &object));
	ASSERT_NE(NULL, object.symbols);
	EXPECT_EQ(0, ulp_symbol_next(object.symbols, "aaaa", 0));
	EXPECT_EQ(1, ulp_symbol_next(object.symbols, ulp_symbol_name(object.symbols, 1), 0));
	ulp_symbols_free(object.symbols);
	ulp_context_free(target.ctx);
	close(target.mem);
	munmap(tables, sizeof(*tables));
}

/* ---- single cases ---- */

FIXTURE(odd) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	struct peer peer;
	struct plain_patch patch;
	uint8_t *image;
};

FIXTURE_SETUP(odd)
{
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
}

FIXTURE_TEARDOWN(odd)
{
	free(self->image);
	plain_patch_close(&self->patch);
	ulp_target_close(self->target);
	peer_end(&self->peer);
	ulp_context_free(self->ctx);
}

/* Result of relocating; if that is 0, of calling patch_odd() in the peer. */
static int try_patch(struct __test_metadata *_metadata, FIXTURE_DATA(odd) * self,
		     const char *patch, struct ulp_object *object)
{
	uint64_t bias;
	int ret;

	if (!object || !plain_patch_open(&self->patch, self->ctx, patch))
		return -ENOENT;
	self->image = plain_patch_relocate(&self->patch, self->target, object, &bias, &ret);
	if (ret)
		return ret;
	if (!peer_map(&self->peer, bias, self->image, self->patch.patch.image_size))
		return -EFAULT;
	return (int)peer_ask(&self->peer, "call %" PRIx64,
			     bias + plain_patch_symbol(&self->patch, "patch_odd"));
}

static void look(struct __test_metadata *_metadata, FIXTURE_DATA(odd) * self)
{
	ASSERT_EQ(0, ulp_target_open(self->ctx, self->peer.pid, &self->target)) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
}

#define ERROR_HAS(text) EXPECT_NE(NULL, strstr(ulp_error(self->ctx), text)) { \
	TH_LOG("\"%s\" is not in: %s", text, ulp_error(self->ctx)); \
}

TEST_F(odd, missing_function_is_named)
{
	char pid[16];

	look(_metadata, self);
	ASSERT_EQ(-ULP_E_SYMBOL,
		  try_patch(_metadata, self, "patch_odd.missing.so",
			    ulp_target_object_named(self->target, "libplain.so")));
	snprintf(pid, sizeof(pid), "%d", self->peer.pid);
	ERROR_HAS("missing_function");
	ERROR_HAS("patch_odd.missing.so");
	ERROR_HAS("peer");
	ERROR_HAS(pid);
}

TEST_F(odd, old_version_by_name)
{
	look(_metadata, self);
	EXPECT_EQ(1, try_patch(_metadata, self, "patch_odd.oldver.so",
			       ulp_target_object_named(self->target, "libasker.so")));
}

TEST_F(odd, unknown_version_is_refused)
{
	struct ulp_object *object;
	uint64_t bias;
	int ret;

	look(_metadata, self);
	ASSERT_TRUE(plain_patch_open(&self->patch, self->ctx, "patch_odd.oldver.so"));
	for (size_t i = 0; i + 6 < self->patch.patch.size; i++) {
		if (!memcmp(self->patch.patch.data + i, "VER_1", 6))
			self->patch.patch.data[i + 4] = '7';
	}
	object = ulp_target_object_named(self->target, "libplain.so");
	self->image = plain_patch_relocate(&self->patch, self->target, object, &bias, &ret);
	EXPECT_EQ(-ULP_E_SYMBOL, ret);
	ERROR_HAS("versioned@VER_7");
}

/* libplain has a lazy slot for it, that nobody has used: it is good to call. */
TEST_F(odd, unresolved_indirect_called_through_stub)
{
	look(_metadata, self);
	EXPECT_EQ(8, try_patch(_metadata, self, "patch_odd.unused_call.so",
			       ulp_target_object_named(self->target, "libplain.so")));
}

TEST_F(odd, unresolved_indirect_address_is_refused)
{
	look(_metadata, self);
	ASSERT_EQ(-ULP_E_SYMBOL,
		  try_patch(_metadata, self, "patch_odd.unused_address.so",
			    ulp_target_object_named(self->target, "libplain.so")));
	ERROR_HAS("unused_chosen");
	ERROR_HAS("IFUNC");
}

TEST_F(odd, unresolved_indirect_of_others_is_refused)
{
	look(_metadata, self);
	ASSERT_EQ(-ULP_E_SYMBOL,
		  try_patch(_metadata, self, "patch_odd.unused_call.so",
			    ulp_target_object_named(self->target, "libasker.so")));
	ERROR_HAS("unused_chosen");
}

TEST_F(odd, dlopened_locally)
{
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	look(_metadata, self);
	/* plug_new() of libplugdep, plug_twice() of libplug, which comes first */
	EXPECT_EQ(41, try_patch(_metadata, self, "patch_odd.plug.so",
				ulp_target_object_named(self->target, "libplug.so")));
}

/* The library that dlopen() named comes first for what it needs, too. */
TEST_F(odd, dlopened_as_dependency)
{
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	look(_metadata, self);
	EXPECT_EQ(41, try_patch(_metadata, self, "patch_odd.plug.so",
				ulp_target_object_named(self->target, "libplugdep.so")));
}

/*
 * libplug has no reference to a function of its own: its code goes to its own
 * plug_twice() whoever else has one, and so does its patch's.
 */
TEST_F(odd, own_functions_stay_own)
{
	peer_end(&self->peer);
	ASSERT_TRUE(peer_start(&self->peer, "peer", "libplugdep.so"));
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	look(_metadata, self);
	EXPECT_EQ(41, try_patch(_metadata, self, "patch_odd.plug.so",
				ulp_target_object_named(self->target, "libplug.so")));
}

TEST_F(odd, dlopened_is_not_seen_by_others)
{
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	look(_metadata, self);
	ASSERT_EQ(-ULP_E_SYMBOL,
		  try_patch(_metadata, self, "patch_odd.plug.so",
			    ulp_target_object_named(self->target, "libplain.so")));
	ERROR_HAS("plug_");
}

TEST_F(odd, another_namespace)
{
	uint64_t twice;

	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	ASSERT_EQ(1, peer_ask(&self->peer, "space %s", beside("libplug.so")));
	twice = peer_ask(&self->peer, "dlsym plug_twice");
	look(_metadata, self);
	for (size_t i = 0; i < self->target->nr_objects; i++) {
		struct ulp_object *object = &self->target->objects[i];
		struct ulp_wanted wanted = { .name = "plug_twice" };
		struct ulp_binding binding;
		struct ulp_scope scope;

		if (strcmp(object->soname, "libplugdep.so"))
			continue;
		ASSERT_EQ(0, ulp_scope_build(self->target, object, &scope));
		ASSERT_EQ(0, ulp_symbol_bind(self->target, &scope, &wanted, &binding));
		EXPECT_TRUE(binding.found);
		/* Each copy of libplugdep sees the libplug of its own namespace. */
		EXPECT_EQ(object->link_order < 0, binding.value == twice);
		ulp_scope_free(&scope);
	}
}

TEST_F(odd, static_program_has_no_names)
{
	static const char * const programs[] = { "peer_static", "peer_static_pie" };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		peer_end(&self->peer);
		ASSERT_TRUE(peer_start(&self->peer, programs[i], NULL));
		look(_metadata, self);
		EXPECT_EQ(-ULP_E_SYMBOL,
			  try_patch(_metadata, self, "patch_odd.missing.so",
				    ulp_target_object_named(self->target, programs[i])));
		ERROR_HAS("missing_function");
		free(self->image);
		self->image = NULL;
		plain_patch_close(&self->patch);
		EXPECT_EQ(0, try_patch(_metadata, self, "patch_odd.so",
				       ulp_target_object_named(self->target, programs[i]))) {
			TH_LOG("%s", ulp_error(self->ctx));
		}
		ulp_target_close(self->target);
		self->target = NULL;
		free(self->image);
		self->image = NULL;
		plain_patch_close(&self->patch);
		memset(&self->patch, 0, sizeof(self->patch));
	}
}

TEST_F(odd, symbolize)
{
	uint64_t addr = peer_ask(&self->peer, "dlsym plain_calls");
	char name[64];

	look(_metadata, self);
	ulp_target_symbolize(self->target, addr + 2, name, sizeof(name));
	EXPECT_STREQ("plain_calls", name);
	ulp_target_symbolize(self->target, 0, name, sizeof(name));
	EXPECT_STREQ("", name);
}

TEST_HARNESS_MAIN
