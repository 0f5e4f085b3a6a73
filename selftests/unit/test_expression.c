// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Expressions of unwind tables: values, and those that make no sense.
 */
#include <dwarf.h>
#include <kselftest_harness.h>

#include "unwind.h"

#define INT(value)	((uint64_t)(int64_t)(value))

struct sample {
	const char *name;
	uint8_t code[16];
	uint64_t length;
	uint64_t value;
};

static const struct sample good[] = {
	{ "lit", { DW_OP_lit31 }, 1, 31 },
	{ "const1s", { DW_OP_const1s, 0xff }, 2, INT(-1) },
	{ "const2u", { DW_OP_const2u, 0xff, 0x80 }, 3, 0x80ff },
	{ "consts", { DW_OP_consts, 0x80, 0x7f }, 3, INT(-128) },
	{ "breg", { DW_OP_breg7, 8 }, 2, 0x7008 },
	{ "bregx", { DW_OP_bregx, 7, 0x78 }, 3, 0x6ff8 },
	{ "pick", { DW_OP_lit5, DW_OP_lit6, DW_OP_pick, 1 }, 4, 5 },
	{ "over", { DW_OP_lit5, DW_OP_lit6, DW_OP_over, DW_OP_minus }, 4, 1 },
	{ "plt", { DW_OP_lit16, DW_OP_lit15, DW_OP_and, DW_OP_lit11, DW_OP_ge,
		   DW_OP_lit3, DW_OP_shl }, 7, 0 },
	{ "shr", { DW_OP_const1s, 0xf0, DW_OP_lit4, DW_OP_shr }, 4, INT(-1) >> 4 },
	{ "shra", { DW_OP_const1s, 0xf0, DW_OP_lit4, DW_OP_shra }, 4, INT(-1) },
	{ "shra of a positive", { DW_OP_const1u, 0xf0, DW_OP_lit4, DW_OP_shra }, 4, 15 },
	{ "shra by none", { DW_OP_const1s, 0xf0, DW_OP_lit0, DW_OP_shra }, 4, INT(-16) },
	{ "shra by 64", { DW_OP_const1s, 0xf0, DW_OP_const1u, 64, DW_OP_shra }, 5, INT(-1) },
	{ "shl by 64", { DW_OP_lit1, DW_OP_const1u, 64, DW_OP_shl }, 4, 0 },
	{ "signed lt", { DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_lt }, 4, 1 },
	{ "skip", { DW_OP_lit1, DW_OP_skip, 1, 0, DW_OP_lit2 }, 5, 1 },
	{ "bra", { DW_OP_lit7, DW_OP_lit0, DW_OP_bra, 1, 0, DW_OP_lit2 }, 6, 2 },
	{ "to the end", { DW_OP_lit7, DW_OP_skip, 0, 0 }, 4, 7 },
};

static const struct sample bad[] = {
	{ "nothing", { 0 }, 0, 0 },
	{ "no operand", { DW_OP_lit1, DW_OP_plus }, 2, 0 },
	{ "cut off", { DW_OP_const4u, 1, 2 }, 3, 0 },
	{ "unknown register", { DW_OP_breg3, 0 }, 2, 0 },
	{ "register beyond all", { DW_OP_bregx, 0xff, 0x7f, 0 }, 4, 0 },
	{ "unknown operation", { DW_OP_lit1, DW_OP_lit1, DW_OP_hi_user }, 3, 0 },
	{ "pick too deep", { DW_OP_lit1, DW_OP_pick, 1 }, 3, 0 },
	{ "before the start", { DW_OP_lit1, DW_OP_skip, 0xfb, 0xff }, 4, 0 },
	{ "behind the end", { DW_OP_lit1, DW_OP_skip, 1, 0 }, 4, 0 },
	{ "without end", { DW_OP_skip, 0xfd, 0xff }, 3, 0 },
	{ "stack without end", { DW_OP_lit1, DW_OP_skip, 0xfc, 0xff }, 4, 0 },
	{ "deref of no size", { DW_OP_lit1, DW_OP_deref_size, 0 }, 3, 0 },
	{ "deref of a large size", { DW_OP_lit1, DW_OP_deref_size, 9 }, 3, 0 },
};

static bool value_of(const struct sample *sample, const uint64_t *cfa, uint64_t *out)
{
	struct ulp_cfi_rule rule = { .expression = sample->code, .length = sample->length };
	struct ulp_walk walk = { .regs[7] = { .known = true, .value = 0x7000 } };

	return ulp_expression(&walk, &rule, cfa, out);
}

TEST(values)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t value = ~good[i].value;

		EXPECT_TRUE(value_of(&good[i], NULL, &value))
			TH_LOG("%s", good[i].name);
		EXPECT_EQ(good[i].value, value)
			TH_LOG("%s", good[i].name);
	}
}

TEST(no_sense)
{
	uint64_t value;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_FALSE(value_of(&bad[i], NULL, &value))
			TH_LOG("%s", bad[i].name);
	}
}

/* all rules but the CFA's own start with the CFA */
TEST(cfa_is_first)
{
	static const struct sample offset = { "offset", { DW_OP_plus_uconst, 16 }, 2, 0 };
	uint64_t cfa = 0x1000, value;

	ASSERT_TRUE(value_of(&offset, &cfa, &value));
	EXPECT_EQ(0x1010, value);
	EXPECT_FALSE(value_of(&offset, NULL, &value));
}

/* A pointer to what is meant, and what does not exist, are not the number itself. */
TEST(encodings)
{
	static const struct {
		uint8_t encoding;
		uint64_t value;		/* 0: not understood */
	} encodings[] = {
		{ DW_EH_PE_udata4, 0x10 },
		{ DW_EH_PE_pcrel | DW_EH_PE_sdata4, 0x1010 },
		{ DW_EH_PE_datarel | DW_EH_PE_sdata4, 0x2010 },
		{ DW_EH_PE_textrel | DW_EH_PE_sdata4, 0 },
		{ DW_EH_PE_indirect | DW_EH_PE_pcrel | DW_EH_PE_sdata4, 0 },
		{ DW_EH_PE_indirect, 0 },
		{ DW_EH_PE_omit, 0 },
	};
	static const uint8_t number[8] = { 0x10 };

	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		struct ulp_bytes bytes = { .at = number, .end = number + sizeof(number) };
		uint64_t value = ulp_bytes_encoded(&bytes, encodings[i].encoding, 0x1000, 0x2000);

		EXPECT_EQ(encodings[i].value, value)
			TH_LOG("0x%02x", encodings[i].encoding);
		EXPECT_EQ(!encodings[i].value, bytes.bad)
			TH_LOG("0x%02x", encodings[i].encoding);
	}
}

TEST_HARNESS_MAIN
