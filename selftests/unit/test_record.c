// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Records that make no sense, or too much work: they are read from the memory of a
 * process, which may have written there what it likes, with the right digest.
 */
#include <kselftest_harness.h>

#include "peer.h"

#define FUNCTIONS	3
#define LABELS		1000

FIXTURE(record) {
	struct ulp_record head;
	struct ulp_record_object objects[FUNCTIONS + 1];
	struct ulp_record_function functions[FUNCTIONS];
	struct ulp_span labels[LABELS];
	char texts[4096];
};

#define AT(member)	offsetof(FIXTURE_DATA(record), member)

FIXTURE_SETUP(record)
{
	self->head = (struct ulp_record){
		.magic = ULP_RECORD_MAGIC, .version = ULP_RECORD_VERSION,
		.header_size = sizeof(self->head), .size = sizeof(*self),
		.state = ULP_RECORD_ACTIVE, .image_start = 0x10000, .image_end = 0x30000,
		.text_start = 0x20000, .text_end = 0x21000, .name = { AT(texts), 4 },
		.functions = AT(functions), .nr_functions = FUNCTIONS,
		.objects = AT(objects), .nr_objects = 1,
		.labels = AT(labels), .nr_labels = 2,
	};
	memset(self->texts, 'x', sizeof(self->texts));
	for (uint32_t i = 0; i < ARRAY_SIZE(self->objects); i++)
		self->objects[i] = (struct ulp_record_object){
			.path = { AT(texts) + 4, 4 }, .start = 0x40000, .end = 0x50000,
		};
	for (uint32_t i = 0; i < FUNCTIONS; i++)
		self->functions[i] = (struct ulp_record_function){
			.name = { AT(texts) + 8 + 4 * i, 4 }, .entry_length = 5,
			.old_start = 0x40000 + 64 * i, .old_end = 0x40000 + 64 * i + 32,
			.entry = 0x40000 + 64 * i, .new_start = 0x20000, .new_end = 0x20010,
		};
	self->labels[0] = (struct ulp_span){ AT(texts) + 100, 8 };
	self->labels[1] = (struct ulp_span){ AT(texts) + 108, 8 };
}

FIXTURE_TEARDOWN(record)
{
}

static const char *wrong(FIXTURE_DATA(record) * self)
{
	ulp_record_digest(&self->head, self->head.digest);
	return ulp_record_check(&self->head, 0x10000);
}

TEST_F(record, good)
{
	EXPECT_EQ(NULL, wrong(self)) {
		TH_LOG("%s", wrong(self));
	}
	self->head.image_start++;
	EXPECT_STREQ("its addresses are not where it is", wrong(self));
}

TEST_F(record, text_outside)
{
	self->functions[1].name.length = sizeof(*self);
	EXPECT_STREQ("a function is damaged", wrong(self));
	self->functions[1].name = (struct ulp_span){ UINT32_MAX, 4 };
	EXPECT_STREQ("a function is damaged", wrong(self));
}

/* Each of them alone is inside. */
TEST_F(record, one_text_said_often)
{
	self->head.nr_labels = LABELS;
	for (size_t i = 0; i < LABELS; i++)
		self->labels[i] = (struct ulp_span){ AT(texts), sizeof(self->texts) };
	EXPECT_STREQ("a label is outside of it", wrong(self));
	self->head.nr_labels = 0;
	for (size_t i = 0; i < FUNCTIONS; i++)
		self->functions[i].name = (struct ulp_span){ AT(labels), sizeof(self->labels) };
	memset(self->labels, 'x', sizeof(self->labels));
	EXPECT_STREQ("a function is damaged", wrong(self));
}

TEST_F(record, more_objects_than_functions)
{
	self->head.nr_objects = FUNCTIONS;
	EXPECT_EQ(NULL, wrong(self));
	self->head.nr_objects = FUNCTIONS + 1;
	EXPECT_STREQ("a count is out of bounds", wrong(self));
}

TEST_HARNESS_MAIN
