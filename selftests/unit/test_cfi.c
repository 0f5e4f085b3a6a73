// SPDX-License-Identifier: LGPL-2.1-or-later
// timeout: 180
/*
 * The unwind tables as libulp reads them, against libdw's reading of the same files.
 */
#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <inttypes.h>
#include <kselftest_harness.h>

#include "symbol.h"
#include "unwind.h"

FIXTURE(cfi) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	struct ulp_cfi *cfi;
};

FIXTURE_SETUP(cfi)
{
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	/* objects that other compilers and languages made */
	ASSERT_NE(NULL, dlopen("libstdc++.so.6", RTLD_NOW));
	dlopen("libcrypto.so.3", RTLD_NOW);
	ASSERT_EQ(0, ulp_target_open(self->ctx, getpid(), &self->target));
	self->cfi = ulp_cfi_new(self->target);
	ASSERT_NE(NULL, self->cfi);
}

FIXTURE_TEARDOWN(cfi)
{
	ulp_cfi_free(self->cfi);
	ulp_target_close(self->target);
	ulp_context_free(self->ctx);
}

static bool same_cfa(Dwarf_Frame *frame, const struct ulp_cfi_rule *rule)
{
	Dwarf_Op *ops;
	size_t nr;

	if (dwarf_frame_cfa(frame, &ops, &nr))
		return false;
	if (rule->how == ULP_CFI_OFFSET && nr == 1 && ops->atom == DW_OP_bregx)
		return ops->number == rule->reg && (int64_t)ops->number2 == rule->offset;
	if (rule->how == ULP_CFI_VAL_EXPRESSION)
		return nr && rule->length && ops->atom == rule->expression[0];
	return rule->how == ULP_CFI_UNSPECIFIED && !nr;
}

static bool same_rule(Dwarf_Frame *frame, int reg, const struct ulp_cfi_rule *rule)
{
	Dwarf_Op memory[3], *ops;
	int64_t offset;
	size_t nr;

	if (dwarf_frame_register(frame, reg, memory, &ops, &nr))
		return false;
	offset = nr > 1 && ops == memory ? (int64_t)ops[1].number : 0;
	switch (rule->how) {
	case ULP_CFI_UNSPECIFIED:
		/* libdw fills in the convention */
		return !nr || reg == ULP_DW_RSP;
	case ULP_CFI_UNDEFINED:
		return !nr && ops == memory;
	case ULP_CFI_SAME:
		return !nr && !ops;
	case ULP_CFI_OFFSET:
		return nr && ops == memory && ops[0].atom == DW_OP_call_frame_cfa &&
		       ops[nr - 1].atom != DW_OP_stack_value && offset == rule->offset;
	case ULP_CFI_REGISTER:
		return nr == 1 && ops[0].atom == DW_OP_regx &&
		       (int64_t)ops[0].number == rule->offset;
	case ULP_CFI_EXPRESSION:
	case ULP_CFI_VAL_EXPRESSION:
		return nr > 0 && rule->length > 0;
	default:
		return false;
	}
}

struct tally {
	size_t rows, functions, differ;
};

/* All rows of the function at @pc. */
static void compare_function(FIXTURE_DATA(cfi) * self, Dwarf_CFI *dw, uint64_t bias, uint64_t pc,
			     struct tally *tally)
{
	uint64_t first = pc;

	tally->functions++;
	for (;;) {
		struct ulp_cfi_row row;
		Dwarf_Addr start, end;
		Dwarf_Frame *frame;
		bool signal, good;
		int err;

		err = ulp_cfi_find(self->cfi, pc + bias, &row);
		if (dwarf_cfi_addrframe(dw, pc, &frame)) {
			tally->differ += !err && row.start == first + bias;
			return;
		}
		dwarf_frame_info(frame, &start, &end, &signal);
		good = !err && row.start == first + bias && signal == row.signal &&
		       same_cfa(frame, &row.cfa);
		for (int reg = 0; good && reg < ULP_DW_REGISTERS; reg++)
			good = same_rule(frame, reg, &row.regs[reg]);
		free(frame);
		tally->rows++;
		tally->differ += !good;
		if (!good && tally->differ < 5)
			printf("# row at %#" PRIx64 " differs (%d)\n", pc, err);
		/* the next row, while it is of this function */
		pc = end;
		if (ulp_cfi_find(self->cfi, pc + bias, &row) || row.start != first + bias)
			return;
	}
}

static bool compare_object(FIXTURE_DATA(cfi) * self, const struct ulp_object *object,
			   struct tally *tally)
{
	int fd = open(object->path, O_RDONLY | O_CLOEXEC);
	struct { int32_t pc, fde; } entry;
	uint8_t head[12];
	uint32_t nr;
	Elf *elf;
	Dwarf_CFI *dw;

	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	dw = dwarf_getcfi_elf(elf);
	if (fd < 0 || !dw || ulp_memory_read(self->target, object->frames, head, sizeof(head)))
		return false;
	memcpy(&nr, head + 8, sizeof(nr));
	for (uint32_t i = 0; i < nr; i++) {
		if (ulp_memory_read(self->target, object->frames + sizeof(head) +
				    i * sizeof(entry), &entry, sizeof(entry)))
			return false;
		compare_function(self, dw, object->bias,
				 object->frames + (int64_t)entry.pc - object->bias, tally);
	}
	dwarf_cfi_end(dw);
	elf_end(elf);
	close(fd);
	return true;
}

TEST_F_TIMEOUT(cfi, as_libdw_reads_it, 150)
{
	size_t objects = 0;

	elf_version(EV_CURRENT);
	for (size_t i = 0; i < self->target->nr_objects; i++) {
		const struct ulp_object *object = &self->target->objects[i];
		struct tally tally = { 0 };

		if (!object->frames || !strcmp(object->path, "[vdso]"))
			continue;
		ASSERT_TRUE(compare_object(self, object, &tally));
		TH_LOG("%s: %zu functions, %zu rows", object->path, tally.functions, tally.rows);
		EXPECT_EQ(0, tally.differ);
		EXPECT_LT(0, tally.rows);
		objects++;
	}
	EXPECT_LT(4, objects);
}

TEST_F(cfi, vdso)
{
	struct ulp_cfi_row row;
	struct ulp_object *vdso = ulp_target_object_named(self->target, "linux-vdso.so.1");
	const struct ulp_symbols *symbols;
	size_t found = 0;

	ASSERT_NE(NULL, vdso);
	ASSERT_EQ(0, ulp_symbols_read(self->target, vdso));
	symbols = vdso->symbols;
	for (size_t i = 1; i < symbols->nr; i++) {
		if (ELF64_ST_TYPE(symbols->syms[i].st_info) != STT_FUNC)
			continue;
		EXPECT_EQ(0, ulp_cfi_find(self->cfi, vdso->bias + symbols->syms[i].st_value,
					  &row));
		EXPECT_EQ(ULP_CFI_OFFSET, row.cfa.how);
		EXPECT_EQ(ULP_DW_RSP, row.cfa.reg);
		found++;
	}
	EXPECT_LT(0, found);
}

TEST_HARNESS_MAIN
