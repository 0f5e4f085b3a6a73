// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The resident in a target: which one is used again.
 */
#include <dlfcn.h>
#include <kselftest_harness.h>
#include <sys/mman.h>

#include "peer.h"

#define CODE	4096
#define TABLE	8192
#define SIZE	(TABLE + 4096 + sizeof(struct ulp_resident_table))

FIXTURE(resident) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	pid_t child;
	uint8_t *mapped;
};

/* What a tool maps, that knows of @nr images, in a copy of this process. */
static int map_one(FIXTURE_DATA(resident) * self, uint64_t nr)
{
	struct ulp_resident_head head = {
		.magic = ULP_RESIDENT_MAGIC, .version = ULP_RESIDENT_VERSION,
		.code = CODE, .table = TABLE, .size = SIZE,
	};
	int fd = memfd_create(ULP_RESIDENT_NAME, MFD_CLOEXEC);

	for (int i = 0; i < ULP_RESIDENT_HOOKS; i++)
		head.hooks[i] = CODE + 16 * i;
	if (ftruncate(fd, SIZE) || pwrite(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    pwrite(fd, &nr, sizeof(nr), TABLE + offsetof(struct ulp_resident_table, nr)) !=
	    sizeof(nr))
		return -errno;
	self->mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (self->mapped == MAP_FAILED || mprotect(self->mapped, CODE, PROT_READ))
		return -errno;
	close(fd);
	self->child = peer_copy();
	return ulp_target_open(self->ctx, self->child, &self->target);
}

FIXTURE_SETUP(resident)
{
	/* somebody who asks for unwind tables */
	ASSERT_NE(NULL, dlopen("libgcc_s.so.1", RTLD_NOW));
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
}

FIXTURE_TEARDOWN(resident)
{
	ulp_target_close(self->target);
	kill(self->child, SIGKILL);
	waitpid(self->child, NULL, 0);
	ulp_context_free(self->ctx);
}

static int plan_for(FIXTURE_DATA(resident) * self, struct ulp_resident *out)
{
	struct ulp_patch patch = {
		.name = (char *)"patch", .unwind = 1, .handles_exceptions = true,
	};
	struct ulp_object *objects[] = { &self->target->objects[0] };
	struct ulp_image image = { .start = 0x10000, .end = 0x20000, .objects = objects };
	struct ulp_plan plan = { .target = self->target };
	int err = ulp_resident_plan(self->target, &plan, &patch, &image, 1, out);

	ulp_plan_free(&plan);
	return err;
}

TEST_F(resident, used_again)
{
	struct ulp_resident resident;

	ASSERT_EQ(0, map_one(self, 1));
	ASSERT_EQ(0, plan_for(self, &resident));
	EXPECT_FALSE(resident.created);
	EXPECT_EQ((uintptr_t)self->mapped, resident.start);
	EXPECT_EQ(2, resident.nr);
}

/* Mapped and not committed: it goes when its tool closes the session. */
TEST_F(resident, not_committed)
{
	struct ulp_resident resident;

	ASSERT_EQ(0, map_one(self, 0));
	ASSERT_EQ(0, plan_for(self, &resident));
	EXPECT_TRUE(resident.created);
	EXPECT_NE((uintptr_t)self->mapped, resident.start);
	EXPECT_EQ(1, resident.nr);
}

TEST_HARNESS_MAIN
