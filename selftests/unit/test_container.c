// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * timeout: 300
 *
 * Containers cut off at every byte, with every bit turned, and with every
 * field made hostile and the digest made right again: refused, and never more
 * than refused.  Built with the address and undefined behaviour sanitizers.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "internal.h"

/* What is packed of tiny.dsc, beside this program. */
static const char *tiny_path(void)
{
	static char path[4096];
	char *slash;

	if (readlink("/proc/self/exe", path, sizeof(path) - 40) < 0)
		return "";
	slash = strrchr(path, '/');
	strcpy(slash, "/../packed/tiny.so");
	return path;
}

FIXTURE(container)
{
	struct ulp_context *ctx;
	struct ulp_patch *patch;
	uint8_t *original, *data;
	size_t size;
	size_t ulp, revert;		/* offsets of the two sections */
};

FIXTURE_SETUP(container)
{
	FILE *file = fopen(tiny_path(), "re");
	const uint64_t magic = ULP_CONTAINER_MAGIC, revert_magic = ULP_REVERT_MAGIC;
	struct stat st;

	ASSERT_NE(file, NULL);
	ASSERT_EQ(fstat(fileno(file), &st), 0);
	self->size = st.st_size;
	self->original = malloc(self->size);
	self->data = malloc(self->size);
	ASSERT_EQ(fread(self->original, 1, self->size, file), self->size);
	fclose(file);
	memcpy(self->data, self->original, self->size);
	self->ulp = (uint8_t *)memmem(self->data, self->size, &magic, 8) - self->data;
	self->revert = (uint8_t *)memmem(self->data, self->size, &revert_magic, 8) - self->data;
	self->patch = NULL;
	ASSERT_LT(self->ulp, self->size);
	ASSERT_LT(self->revert, self->size);
	ASSERT_EQ(ulp_context_new(&self->ctx), 0);
}

FIXTURE_TEARDOWN(container)
{
	ulp_patch_close(self->patch);
	ulp_context_free(self->ctx);
	free(self->original);
	free(self->data);
}

typedef FIXTURE_DATA(container) box;

static struct ulp_container_header *header(box *b)
{
	return (struct ulp_container_header *)(b->data + b->ulp);
}

static struct ulp_table *table(box *b, uint32_t type)
{
	for (uint32_t i = 0; i < header(b)->nr_tables; i++)
		if (header(b)->tables[i].type == type)
			return &header(b)->tables[i];
	abort();
}

static void *entry(box *b, uint32_t type, unsigned int index)
{
	struct ulp_table *t = table(b, type);

	return b->data + b->ulp + t->offset + index * (size_t)t->entsize;
}

#define HEADER		header(self)
#define TABLE(t)	table(self, ULP_TABLE_##t)
#define TARGET		((struct ulp_container_target *)entry(self, ULP_TABLE_TARGET, 0))
#define FUNCTION(i)	((struct ulp_container_function *)entry(self, ULP_TABLE_FUNCTION, i))
#define RANGE(i)	((struct ulp_container_range *)entry(self, ULP_TABLE_RANGE, i))
#define REFERENCE(i)	((struct ulp_container_reference *)entry(self, ULP_TABLE_REFERENCE, i))
#define ORIGINAL(i)	((struct ulp_container_original *) \
			 entry(self, (uint32_t)ULP_TABLE_ORIGINAL, i))
#define LABEL(i)	((struct ulp_span *)entry(self, ULP_TABLE_LABEL, i))
#define STRINGS		((char *)entry(self, ULP_TABLE_STRINGS, 0))
#define EHDR		((Elf64_Ehdr *)self->data)
#define PHDR(i)		((Elf64_Phdr *)(self->data + EHDR->e_phoff) + (i))
#define SHDR(i)		((Elf64_Shdr *)(self->data + EHDR->e_shoff) + (i))

/* Makes the digest right again, as whoever forges a container can. */
static void reseal(box *b)
{
	uint8_t *digest = b->data + b->ulp + offsetof(struct ulp_container_header, digest);
	struct sha256_ctx sha;

	memset(digest, 0, 32);
	sha256_init(&sha);
	sha256_update(&sha, b->size, b->data);
	sha256_digest(&sha, 32, digest);
}

static int read_it(box *b)
{
	return ulp_patch_read(b->ctx, b->data, b->size, "it", &b->patch);
}

/* Touches all that an accepted patch shows. */
static size_t use(const struct ulp_patch *patch)
{
	const struct ulp_patch_target *targets;
	const char *const *texts;
	size_t sum = strlen(ulp_patch_name(patch)) + strlen(ulp_patch_id(patch)) +
		     strlen(ulp_patch_comment(patch)) + strlen(ulp_patch_path(patch));
	size_t nr = ulp_patch_targets(patch, &targets);

	for (size_t t = 0; t < nr; t++) {
		sum += strlen(targets[t].name) + strlen(targets[t].build_id);
		for (size_t i = 0; i < targets[t].nr_functions; i++) {
			const struct ulp_patch_function *f = &targets[t].functions[i];

			sum += strlen(f->old_name) + strlen(f->new_name);
			for (size_t n = 0; n < f->expected_size; n++)
				sum += f->expected[n];
			sum += *(const uint8_t *)ulp_patch_at(patch, f->new_value, f->new_size);
		}
		for (size_t i = 0; i < targets[t].nr_references; i++)
			sum += strlen(targets[t].references[i].target_name) +
			       strlen(targets[t].references[i].slot_name);
	}
	nr = ulp_patch_labels(patch, &texts);
	for (size_t i = 0; i < nr; i++)
		sum += strlen(texts[i]);
	nr = ulp_patch_dependencies(patch, &texts);
	for (size_t i = 0; i < nr; i++)
		sum += strlen(texts[i]);
	return sum;
}

TEST_F(container, says_what_was_described)
{
	const struct ulp_patch_target *targets;
	const char *const *texts;

	ASSERT_EQ(ulp_patch_open(self->ctx, tiny_path(), &self->patch), 0);
	EXPECT_STREQ(ulp_patch_name(self->patch), "tiny");
	EXPECT_STREQ(ulp_patch_path(self->patch), tiny_path());
	EXPECT_EQ(strlen(ulp_patch_id(self->patch)), 64);
	EXPECT_EQ(ulp_patch_created(self->patch), (int64_t)HEADER->created);
	ASSERT_EQ(ulp_patch_labels(self->patch, &texts), 3);
	EXPECT_STREQ(texts[0], "CVE-2026-12345");
	EXPECT_STREQ(texts[1], "bsc#99");
	EXPECT_STREQ(texts[2], "jsc#SLE-7");
	ASSERT_EQ(ulp_patch_dependencies(self->patch, &texts), 1);
	EXPECT_STREQ(texts[0], "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	EXPECT_NE(strstr(ulp_patch_comment(self->patch),
			 "\nThe smallest patch\n"
			 "For CVE-2026-12345 (bsc#99, BSC#99), see jsc#sle-7\n"), NULL);
	ASSERT_EQ(ulp_patch_targets(self->patch, &targets), 1);
	ASSERT_EQ(targets[0].nr_functions, 3);
	EXPECT_STREQ(targets[0].functions[0].old_name, "victim_answer");
	EXPECT_STREQ(targets[0].functions[0].new_name, "tiny_answer");
	EXPECT_STREQ(targets[0].functions[2].old_name, "secret");
	EXPECT_EQ(targets[0].functions[0].kind, ULP_ENTRY_SHORT);
	ASSERT_EQ(targets[0].nr_references, 2);
	EXPECT_STREQ(targets[0].references[0].target_name, "hidden_counter");
	EXPECT_STREQ(targets[0].references[0].slot_name, "tiny_counter");
	EXPECT_FALSE(targets[0].references[0].tls);
	EXPECT_TRUE(targets[0].references[1].tls);
	EXPECT_GT(self->patch->image_size, 0);
	EXPECT_EQ(self->patch->image_size % 4096, 0);
	EXPECT_NE(self->patch->dynamic, 0);
}

TEST_F(container, reads_from_memory_what_it_reads_from_a_file)
{
	struct ulp_patch *from_file;

	ASSERT_EQ(ulp_patch_open(self->ctx, tiny_path(), &from_file), 0);
	ASSERT_EQ(read_it(self), 0);
	EXPECT_STREQ(ulp_patch_id(self->patch), ulp_patch_id(from_file));
	EXPECT_STREQ(ulp_patch_path(self->patch), "it");
	EXPECT_EQ(use(self->patch), use(from_file) - strlen(tiny_path()) + 2);
	ulp_patch_close(from_file);
}

TEST_F_TIMEOUT(container, refuses_every_truncation, 200)
{
	size_t whole = self->size;

	for (size_t size = 0; size < whole; size++) {
		/* A copy of exactly this size: a read behind it is found. */
		uint8_t *cut = malloc(size ? size : 1);
		int err;

		memcpy(cut, self->data, size);
		err = ulp_patch_read(self->ctx, cut, size, "cut", &self->patch);
		free(cut);
		ASSERT_STREQ(ulp_reason(err), "container") {
			TH_LOG("cut to %zu bytes: %d", size, err);
		}
		ASSERT_EQ(self->patch, NULL);
	}
}

TEST_F_TIMEOUT(container, refuses_every_turned_bit, 200)
{
	for (size_t bit = 0; bit < 8 * self->size; bit++) {
		int err;

		self->data[bit / 8] ^= 1 << bit % 8;
		err = read_it(self);
		self->data[bit / 8] ^= 1 << bit % 8;
		ASSERT_STREQ(ulp_reason(err), "container") {
			TH_LOG("bit %zu of byte 0x%zx: %d", bit % 8, bit / 8, err);
		}
	}
	ASSERT_EQ(read_it(self), 0);
}

TEST_F_TIMEOUT(container, survives_every_turned_bit_with_the_right_digest, 200)
{
	size_t accepted = 0, refused = 0;

	for (size_t bit = 0; bit < 8 * self->size; bit++) {
		int err;

		self->data[bit / 8] ^= 1 << bit % 8;
		reseal(self);
		err = read_it(self);
		if (!err) {
			EXPECT_GT(use(self->patch), 0);
			accepted++;
		} else {
			ASSERT_STREQ(ulp_reason(err), "container") {
				TH_LOG("byte 0x%zx: %d %s", bit / 8, err, ulp_error(self->ctx));
			}
			refused++;
		}
		ulp_patch_close(self->patch);
		self->patch = NULL;
		self->data[bit / 8] = self->original[bit / 8];
	}
	/* Code and data may be anything; headers and tables may not. */
	EXPECT_GT(accepted, 0);
	EXPECT_GT(refused, 1000);
}

/* Does @change to a good container, seals it, and wants it refused with @text. */
#define REFUSED(text, change) do {						\
	memcpy(self->data, self->original, self->size);				\
	change;									\
	reseal(self);								\
	EXPECT_STREQ(ulp_reason(read_it(self)), "container") {			\
		TH_LOG("accepted: %s", #change);				\
		ulp_patch_close(self->patch);					\
	}									\
	EXPECT_NE(strstr(ulp_error(self->ctx), text), NULL) {			\
		TH_LOG("%s: says '%s', not '%s'", #change,			\
		       ulp_error(self->ctx), text);				\
	}									\
	self->patch = NULL;							\
} while (0)

TEST_F(container, refuses_a_hostile_header)
{
	REFUSED("no magic", HEADER->magic++);
	REFUSED("container version 2", HEADER->version = 2);
	REFUSED("container version 0", HEADER->version = 0);
	REFUSED("size of the header", HEADER->header_size = 8);
	REFUSED("size of the header", HEADER->header_size = ~0U);
	REFUSED("size of the header", HEADER->nr_tables = 65);
	REFUSED("size of the header", HEADER->nr_tables = ~0U);
	REFUSED("instead of", HEADER->total_size++);
	REFUSED("instead of", HEADER->total_size = ~0ULL);
	REFUSED("later version", HEADER->flags = 2);
	REFUSED("later version", HEADER->__reserved = 1);
	REFUSED("for machine 183", HEADER->machine = EM_AARCH64);
	REFUSED("has no id", memset(HEADER->id, 0, sizeof(HEADER->id)));
	REFUSED("does not belong", HEADER->id[0]++);
	REFUSED("its name", HEADER->name.length = 0);
	REFUSED("its name", HEADER->name.length = 65);
	REFUSED("its name", HEADER->name.offset = ~0U);
	REFUSED("its name", HEADER->name.length = ~0U);
	REFUSED("name is not of", STRINGS[HEADER->name.offset] = '/');
	REFUSED("name is not of", STRINGS[HEADER->name.offset] = ' ');
	REFUSED("its name", STRINGS[HEADER->name.offset] = 0);
}

TEST_F(container, refuses_hostile_tables)
{
	static const struct {
		uint32_t type;
		const char *text;
	} tables[] = {
		{ ULP_TABLE_TARGET, "the target table" },
		{ ULP_TABLE_FUNCTION, "the function table" },
		{ ULP_TABLE_RANGE, "the range table" },
		{ ULP_TABLE_REFERENCE, "the reference table" },
		{ ULP_TABLE_DEPENDENCY, "the dependency table" },
		{ ULP_TABLE_LABEL, "the label table" },
		{ ULP_TABLE_STRINGS, "the strings table" },
		{ ULP_TABLE_BYTES, "the bytes table" },
		{ (uint32_t)ULP_TABLE_COMMENT, "the comment table" },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		uint32_t type = tables[i].type;

		REFUSED(tables[i].text, table(self, type)->offset = HEADER->total_size + 8);
		REFUSED(tables[i].text, table(self, type)->offset = ~7ULL);
		REFUSED(tables[i].text, table(self, type)->offset = 0);
		REFUSED(tables[i].text, table(self, type)->offset += 4);
		REFUSED(tables[i].text, table(self, type)->count = ~0ULL);
		REFUSED(tables[i].text, table(self, type)->count = 1ULL << 61);
		REFUSED(tables[i].text, table(self, type)->count += 10000);
		REFUSED(tables[i].text, table(self, type)->entsize = 0);
	}
	REFUSED("two function tables", TABLE(RANGE)->type = ULP_TABLE_FUNCTION);
	REFUSED("needs a newer version", TABLE(LABEL)->type = 77);
	REFUSED("no strings table", TABLE(STRINGS)->type = 77 | 0x80000000);
	REFUSED("no function table", TABLE(FUNCTION)->count = 0);
	REFUSED("functions of target", TABLE(TARGET)->count = 2;
		TABLE(TARGET)->offset = TABLE(FUNCTION)->offset);
	REFUSED("control characters", *(char *)entry(self, (uint32_t)ULP_TABLE_COMMENT, 0) = 27);
}

TEST_F(container, ignores_what_may_be_ignored)
{
	TABLE(LABEL)->type = 77 | 0x80000000;
	reseal(self);
	ASSERT_EQ(read_it(self), 0);
	EXPECT_EQ(self->patch->nr_labels, 0);
}

TEST_F(container, refuses_hostile_targets)
{
	REFUSED("name of target", TARGET->name.offset = ~0U);
	REFUSED("name of target", TARGET->name.length = 0);
	REFUSED("name of target", STRINGS[TARGET->name.offset] = 0);
	REFUSED("name of target", STRINGS[TARGET->name.offset] = '\033');
	REFUSED("build-id", TARGET->build_id.length = 0);
	REFUSED("build-id", TARGET->build_id.length = ULP_BUILD_ID_MAX + 1);
	REFUSED("build-id", TARGET->build_id.offset = ~0U);
	REFUSED("functions of target", TARGET->first_function = 1);
	REFUSED("functions of target", TARGET->nr_functions = 0);
	REFUSED("number of functions", TARGET->nr_functions = 2);
	REFUSED("number of functions", TARGET->nr_functions = ~0U);
	REFUSED("functions of target", TARGET->first_reference = ~0U);
	REFUSED("number of functions", TARGET->nr_references = ~0U);
	REFUSED("code addresses", TARGET->text_end = TARGET->text_start);
	REFUSED("code addresses", TARGET->text_end = ~0ULL);
	REFUSED("outside the target's code", TARGET->text_start = TARGET->text_end - 1);
	REFUSED("later version", TARGET->flags = 1);
	REFUSED("later version", TARGET->__reserved = 1);
}

TEST_F(container, refuses_hostile_functions)
{
	uint64_t vaddr;

	REFUSED("name of function", FUNCTION(0)->old_name.length = 0);
	REFUSED("name of function", FUNCTION(0)->new_name.length = 0x7fffffff);
	REFUSED("name of function", STRINGS[FUNCTION(1)->old_name.offset + 1] = '\0');
	REFUSED("name of function", STRINGS[FUNCTION(1)->old_name.offset + 1] = '\n');
	REFUSED("later version", FUNCTION(0)->__reserved = 1);
	REFUSED("outside the target's code", FUNCTION(0)->old_size = 0);
	REFUSED("outside the target's code", FUNCTION(0)->old_size = ~0ULL);
	REFUSED("outside the target's code", FUNCTION(0)->old_value = ~0ULL);
	REFUSED("outside the target's code", FUNCTION(0)->old_value = TARGET->text_end);
	REFUSED("not code of the patch", FUNCTION(0)->new_size = 0);
	REFUSED("not code of the patch", FUNCTION(0)->new_size = ~0ULL);
	REFUSED("not code of the patch", FUNCTION(0)->new_value = ~0ULL);
	REFUSED("not code of the patch", FUNCTION(0)->new_value = REFERENCE(0)->slot_value);
	REFUSED("unknown kind", FUNCTION(0)->kind = 0);
	REFUSED("unknown kind", FUNCTION(0)->kind = 3);
	REFUSED("not in the function", FUNCTION(0)->entry = FUNCTION(0)->old_value - 1);
	REFUSED("not in the function",
		FUNCTION(0)->entry = FUNCTION(0)->old_value + FUNCTION(0)->old_size);
	REFUSED("do not cover", FUNCTION(0)->expected.length--);
	REFUSED("do not cover", FUNCTION(0)->expected.offset = ~0U);
	REFUSED("do not cover", FUNCTION(0)->expected.length = ~0U);
	REFUSED("mask", FUNCTION(0)->mask.length = 1);
	REFUSED("mask", FUNCTION(0)->mask.length = FUNCTION(0)->expected.length;
		FUNCTION(0)->mask.offset = ~0U);
	/* number 0 has a short jump */
	vaddr = FUNCTION(0)->island;
	ASSERT_NE(vaddr, 0);
	REFUSED("cannot reach", FUNCTION(0)->island += 0x100);
	REFUSED("island", FUNCTION(0)->island = ~0ULL);
	REFUSED("island", FUNCTION(0)->island = 0);
	REFUSED("island", FUNCTION(0)->island_expected.length = 4);
	REFUSED("island", FUNCTION(0)->island_expected.offset = ~0U);
	REFUSED("same bytes", FUNCTION(0)->island = FUNCTION(0)->entry);
	REFUSED("an island, but no short jump", FUNCTION(0)->expected.length = 5;
		FUNCTION(0)->kind = ULP_ENTRY_JUMP);
	REFUSED("ranges of function", FUNCTION(0)->nr_ranges = 0);
	REFUSED("ranges of function", FUNCTION(1)->first_range = ~0U);
	REFUSED("ranges of function", FUNCTION(0)->nr_ranges = ~0U);
	REFUSED("number of ranges", FUNCTION(2)->nr_ranges = ~0U);
	REFUSED("is not code", RANGE(0)->end = RANGE(0)->start);
	REFUSED("is not code", RANGE(0)->start = 0);
	REFUSED("is not code", RANGE(0)->end = ~0ULL);
	REFUSED("first range is not the function", RANGE(0)->end++);
	REFUSED("same bytes", FUNCTION(1)->old_value = FUNCTION(0)->old_value;
		FUNCTION(1)->old_size = FUNCTION(0)->old_size;
		FUNCTION(1)->entry = FUNCTION(0)->entry;
		FUNCTION(1)->island = FUNCTION(0)->island;
		*RANGE(1) = *RANGE(0));
}

TEST_F(container, refuses_hostile_originals)
{
	ASSERT_EQ(0, ORIGINAL(0)->function);
	REFUSED("function of original", ORIGINAL(0)->function = ~0U);
	REFUSED("function of original", ORIGINAL(1)->function = 0);
	REFUSED("later version", ORIGINAL(0)->flags = 2);
	REFUSED("code of original", ORIGINAL(0)->code.length = 0);
	REFUSED("code of original", ORIGINAL(0)->code.length = ULP_ORIGINAL_CODE + 1);
	REFUSED("code of original", ORIGINAL(0)->code.offset = ~0U);
	REFUSED("code of original", ORIGINAL(0)->displaced = 0);
	REFUSED("code of original", ORIGINAL(0)->displaced = FUNCTION(0)->expected.length + 1);
	REFUSED("fields of original", ORIGINAL(0)->nr_fields = ULP_ORIGINAL_FIELDS + 1);
	REFUSED("field 0 of original", ORIGINAL(0)->nr_fields = 1;
		ORIGINAL(0)->fields[0].offset = ORIGINAL(0)->code.length - 3);
	REFUSED("field 0 of original", ORIGINAL(0)->nr_fields = 1;
		ORIGINAL(0)->fields[0].offset = ~0U;
		ORIGINAL(0)->fields[0].next = 4);
	REFUSED("field 0 of original", ORIGINAL(0)->nr_fields = 1;
		ORIGINAL(0)->code.length = 8;
		ORIGINAL(0)->fields[0].offset = 0;
		ORIGINAL(0)->fields[0].next = 4;
		ORIGINAL(0)->fields[0].value = 1ULL << 47);
}

TEST_F(container, refuses_hostile_references)
{
	REFUSED("name of reference", REFERENCE(0)->target_name.length = 0);
	REFUSED("name of reference", REFERENCE(0)->slot_name.offset = ~0U);
	REFUSED("later version", REFERENCE(0)->flags = 4);
	REFUSED("no such original", REFERENCE(0)->flags = ULP_REFERENCE_ORIGINAL);
	REFUSED("address", REFERENCE(0)->flags = ULP_REFERENCE_ORIGINAL | ULP_REFERENCE_TLS);
	REFUSED("later version", REFERENCE(0)->__reserved = 1);
	REFUSED("address", REFERENCE(0)->target_value = 1ULL << 47);
	REFUSED("not writable data", REFERENCE(0)->slot_value = FUNCTION(0)->new_value);
	REFUSED("not writable data", REFERENCE(0)->slot_value = ~0ULL);
	REFUSED("not writable data", REFERENCE(0)->slot_value = ~0ULL - 7);
	REFUSED("label", LABEL(0)->length = 0);
	REFUSED("label", LABEL(0)->length = 65);
	REFUSED("label", LABEL(2)->offset = ~0U);
}

/* The table of references taken for one of relocations, with a good one in it. */
static struct ulp_container_relocation *relocation(box *b)
{
	struct ulp_container_reference *reference = entry(b, ULP_TABLE_REFERENCE, 0);
	struct ulp_container_relocation good = {
		.name = reference->target_name,
		.place = reference->slot_value,
		.value = reference->target_value,
		.type = R_X86_64_64,
	};
	struct ulp_container_target *target = entry(b, ULP_TABLE_TARGET, 0);
	struct ulp_table *t = table(b, ULP_TABLE_REFERENCE);

	t->type = ULP_TABLE_RELOCATION;
	t->entsize = sizeof(good);
	t->count = 1;
	target->nr_references = 0;
	memcpy(reference, &good, sizeof(good));
	return (struct ulp_container_relocation *)reference;
}

TEST_F(container, reads_relocations)
{
	const struct ulp_patch_relocation *relocations;
	const struct ulp_patch_target *targets;
	struct ulp_container_relocation *raw = relocation(self);

	raw->type = R_X86_64_PC32;
	raw->addend = (uint64_t)-4;
	raw->place = FUNCTION(0)->new_value;
	reseal(self);
	ASSERT_EQ(read_it(self), 0);
	ASSERT_EQ(ulp_patch_relocations(self->patch, &relocations), 1);
	ASSERT_EQ(ulp_patch_targets(self->patch, &targets), 1);
	EXPECT_STREQ(relocations[0].name, "hidden_counter");
	EXPECT_EQ(relocations[0].addend, -4);
	EXPECT_EQ(relocations[0].type, R_X86_64_PC32);
	EXPECT_EQ(relocations[0].target, targets);
}

#define RELOCATION	((struct ulp_container_relocation *)entry(self, ULP_TABLE_RELOCATION, 0))
#define REFUSED_RELOCATION(text, change)	REFUSED(text, relocation(self); change)

TEST_F(container, refuses_hostile_relocations)
{
	REFUSED_RELOCATION("name of relocation", RELOCATION->name.length = 0);
	REFUSED_RELOCATION("name of relocation", RELOCATION->name.offset = ~0U);
	REFUSED_RELOCATION("later version", RELOCATION->flags = 8);
	REFUSED_RELOCATION("later version", RELOCATION->__reserved = 1);
	REFUSED_RELOCATION("needs a newer version", RELOCATION->type = R_X86_64_COPY);
	REFUSED_RELOCATION("needs a newer version", RELOCATION->type = ~0U);
	REFUSED_RELOCATION("target of relocation", RELOCATION->target = 1);
	REFUSED_RELOCATION("target of relocation", RELOCATION->target = ~0U);
	REFUSED_RELOCATION("no thread-local", RELOCATION->flags = ULP_RELOCATION_OWN;
			   RELOCATION->type = R_X86_64_TPOFF64);
	REFUSED_RELOCATION("address", RELOCATION->value = 1ULL << 47);
	REFUSED_RELOCATION("address", RELOCATION->flags = ULP_RELOCATION_OWN;
			   RELOCATION->value = 1ULL << 46);
	REFUSED_RELOCATION("not in the patch", RELOCATION->place = ~0ULL);
	REFUSED_RELOCATION("not in the patch", RELOCATION->place = ~0ULL - 7);
	REFUSED_RELOCATION("not in the patch", RELOCATION->place = 1ULL << 40);
	REFUSED_RELOCATION("needs a newer version", RELOCATION->type = R_X86_64_DTPOFF64);
	REFUSED_RELOCATION("bounds of the relocation table", TABLE(RELOCATION)->count = ~0U);
}

static Elf64_Phdr *phdr_of(box *b, uint32_t type, uint32_t flags)
{
	Elf64_Ehdr *ehdr = (Elf64_Ehdr *)b->data;
	Elf64_Phdr *phdr = (Elf64_Phdr *)(b->data + ehdr->e_phoff);

	for (unsigned int i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == type && (phdr[i].p_flags & flags) == flags)
			return &phdr[i];
	abort();
}

#define PHDR_OF(type, flags)	phdr_of(self, type, flags)
/* A relocation that is bound by a name, into the first writable bytes. */
static struct ulp_container_relocation *bound_by_name(box *b)
{
	struct ulp_container_relocation *raw = relocation(b);

	raw->place = phdr_of(b, PT_LOAD, PF_W)->p_vaddr;
	raw->flags = ULP_RELOCATION_IMPORT;
	raw->value = 0;
	return raw;
}

TEST_F(container, reads_imports)
{
	const struct ulp_patch_relocation *relocations;

	bound_by_name(self)->flags |= ULP_RELOCATION_WEAK;
	reseal(self);
	ASSERT_EQ(read_it(self), 0);
	ASSERT_EQ(ulp_patch_relocations(self->patch, &relocations), 1);
	EXPECT_TRUE(relocations[0].import);
}

#define REFUSED_IMPORT(change)	\
	REFUSED("bound by a name", bound_by_name(self); change)

/* In data, without an address, and not the patch's own. */
TEST_F(container, refuses_hostile_imports)
{
	REFUSED_IMPORT(RELOCATION->value = 8);
	REFUSED_IMPORT(RELOCATION->flags = ULP_RELOCATION_WEAK);
	REFUSED_IMPORT(RELOCATION->flags |= ULP_RELOCATION_OWN);
	REFUSED_IMPORT(RELOCATION->place = FUNCTION(0)->new_value);
	REFUSED_IMPORT(RELOCATION->type = R_X86_64_PC32);
}

#define LAST_SHDR		SHDR(EHDR->e_shnum - 1)

TEST_F(container, refuses_a_hostile_object)
{
	REFUSED("not an ELF file", EHDR->e_ident[0] = 0);
	REFUSED("not an ELF file for x86-64", EHDR->e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED("not an ELF file for x86-64", EHDR->e_ident[EI_DATA] = ELFDATA2MSB);
	REFUSED("not an ELF file for x86-64", EHDR->e_machine = EM_386);
	REFUSED("not a shared object", EHDR->e_type = ET_EXEC);
	REFUSED("program headers", EHDR->e_phnum = 0);
	REFUSED("program headers", EHDR->e_phnum = 0xffff);
	REFUSED("program headers", EHDR->e_phoff = ~0ULL);
	REFUSED("program headers", EHDR->e_phentsize = 8);
	REFUSED("section headers", EHDR->e_shnum = 0);
	REFUSED("section headers", EHDR->e_shnum = 0xfeff);
	REFUSED("section headers", EHDR->e_shoff = ~0ULL);
	REFUSED("section headers", EHDR->e_shoff = self->size - 1);
	REFUSED("section headers", EHDR->e_shstrndx = EHDR->e_shnum);
	REFUSED("section headers", EHDR->e_shentsize = 1);
	REFUSED("section names", SHDR(EHDR->e_shstrndx)->sh_offset = ~0ULL);
	REFUSED("section names", SHDR(EHDR->e_shstrndx)->sh_size = ~0ULL);
	REFUSED("section names", SHDR(EHDR->e_shstrndx)->sh_type = SHT_PROGBITS);
	REFUSED("no section .ulp", SHDR(EHDR->e_shstrndx)->sh_size = 1);
	REFUSED("no section .ulp.rev", LAST_SHDR->sh_name = ~0U);
	REFUSED("no section .ulp.rev", LAST_SHDR->sh_type = SHT_NOBITS);
	REFUSED("two sections .ulp", *SHDR(1) = *(LAST_SHDR - 1));
	REFUSED(".ulp.rev is cut off", LAST_SHDR->sh_offset = ~0ULL);
	REFUSED(".ulp is cut off", (LAST_SHDR - 1)->sh_size = ~0ULL);
	REFUSED("has only", (LAST_SHDR - 1)->sh_size = 16);
	REFUSED("size of section .ulp.rev", LAST_SHDR->sh_size--);
	REFUSED("does not belong", self->data[self->revert]++);
	REFUSED("does not belong", self->data[self->revert + 8]++);
	REFUSED("outside the file", PHDR_OF(PT_LOAD, PF_X)->p_offset = ~0xfffULL);
	REFUSED("outside the file", PHDR_OF(PT_LOAD, PF_X)->p_filesz = ~0ULL);
	REFUSED("outside the file", PHDR_OF(PT_LOAD, PF_X)->p_memsz = 1);
	REFUSED("more than 256 MiB", PHDR_OF(PT_LOAD, PF_W)->p_memsz = ~0ULL);
	REFUSED("more than 256 MiB", PHDR_OF(PT_LOAD, PF_W)->p_vaddr = ~0xfffULL);
	REFUSED("writable and executable", PHDR_OF(PT_LOAD, PF_X)->p_flags |= PF_W);
	REFUSED("alignment", PHDR_OF(PT_LOAD, PF_X)->p_align = 3);
	REFUSED("alignment", PHDR_OF(PT_LOAD, PF_X)->p_vaddr++);
	REFUSED("overlap", PHDR_OF(PT_LOAD, PF_W)->p_vaddr &= 0xfff);
	REFUSED("PT_DYNAMIC", PHDR_OF(PT_DYNAMIC, 0)->p_vaddr = ~0ULL);
	REFUSED("PT_DYNAMIC", PHDR_OF(PT_DYNAMIC, 0)->p_memsz = 1 << 20);
	REFUSED("PT_GNU_RELRO", PHDR_OF(PT_GNU_RELRO, 0)->p_vaddr = 0);
	REFUSED("PT_GNU_RELRO", PHDR_OF(PT_GNU_RELRO, 0)->p_memsz = ~0ULL);
	REFUSED("thread-local", PHDR_OF(PT_GNU_STACK, 0)->p_memsz = 8;
		PHDR_OF(PT_GNU_STACK, 0)->p_type = PT_TLS);
}

TEST_F(container, refuses_what_is_no_container)
{
	static const char text[] = "not an ELF file at all, but longer than its header: ..........";

	EXPECT_EQ(ulp_patch_open(self->ctx, "/does/not/exist", &self->patch), -ENOENT);
	EXPECT_NE(strstr(ulp_error(self->ctx), "/does/not/exist"), NULL);
	EXPECT_EQ(ulp_patch_open(self->ctx, "/dev/zero", &self->patch), -ULP_E_CONTAINER);
	EXPECT_NE(strstr(ulp_error(self->ctx), "not a regular file"), NULL);
	EXPECT_EQ(ulp_patch_open(self->ctx, "/", &self->patch), -ULP_E_CONTAINER);
	EXPECT_EQ(ulp_patch_open(self->ctx, "/proc/self/exe", &self->patch), -ULP_E_NOT_PATCH);
	EXPECT_NE(strstr(ulp_error(self->ctx), "ulp-packer"), NULL);
	EXPECT_EQ(ulp_patch_read(self->ctx, text, sizeof(text), "it", &self->patch),
		  -ULP_E_NOT_PATCH);
	EXPECT_NE(strstr(ulp_error(self->ctx), "not an ELF file"), NULL);
	EXPECT_EQ(ulp_patch_read(self->ctx, "", 0, "it", &self->patch), -ULP_E_NOT_PATCH);
	EXPECT_EQ(self->patch, NULL);
}

/* Spans of labels may all mean the same bytes: a small file, and more than there is room for. */
TEST(record_is_no_larger_than_is_read_back)
{
	static const size_t nr = ULP_RECORD_MAX / ULP_NAME_MAX + 1;
	char label[ULP_NAME_MAX + 1] = "";
	struct ulp_image image = { .fd = -1 };
	struct ulp_patch patch = { .name = label, .nr_labels = 1 };

	memset(label, 'x', ULP_NAME_MAX);
	patch.labels = calloc(nr, sizeof(*patch.labels));
	ASSERT_NE(NULL, patch.labels);
	for (size_t i = 0; i < nr; i++)
		patch.labels[i] = label;
	EXPECT_EQ(0, ulp_record_build(&patch, &image));
	patch.nr_labels = nr;
	EXPECT_EQ(-E2BIG, ulp_record_build(&patch, &image));
	free(image.record);
	free(patch.labels);
}

TEST_HARNESS_MAIN
