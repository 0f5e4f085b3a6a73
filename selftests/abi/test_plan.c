// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Plans that are refused, and that a refusal changes nothing.
 *
 * module: debug
 * timeout: 180
 */
#include "kselftest_harness.h"
#include "ulp_raw.h"

#define NR_WRITES	8

/* A victim with memory of many kinds, at addresses that it shares. */
enum { PRIVATE, SHARED, HUGE_TLB, UNMAPPED, READ_ONLY, NO_ACCESS, NR_KINDS };

struct kinds {
	struct raw_shared raw;
	uint64_t at[NR_KINDS];
};

static void has_memory(struct raw_shared *shared)
{
	static const struct { int prot, flags; } how[NR_KINDS] = {
		[PRIVATE] = { PROT_READ | PROT_WRITE, MAP_PRIVATE },
		[SHARED] = { PROT_READ | PROT_WRITE, MAP_SHARED },
		[HUGE_TLB] = { PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_HUGETLB },
		[UNMAPPED] = { PROT_READ | PROT_WRITE, MAP_PRIVATE },
		[READ_ONLY] = { PROT_READ, MAP_PRIVATE },
		[NO_ACCESS] = { PROT_NONE, MAP_PRIVATE },
	};
	struct kinds *kinds = (void *)shared;
	unsigned int i;
	void *p;

	for (i = 0; i < NR_KINDS; i++) {
		p = mmap(NULL, i == HUGE_TLB ? 2 << 20 : 3 * RAW_PAGE, how[i].prot,
			 how[i].flags | MAP_ANONYMOUS, -1, 0);
		kinds->at[i] = p == MAP_FAILED ? 0 : (uintptr_t)p;
	}
	munmap((void *)kinds->at[UNMAPPED], 3 * RAW_PAGE);
	shared->ready = 1;
	pause();
}

FIXTURE(plan) {
	struct raw_shared *shared;
	struct kinds *kinds;
	pid_t pid;
	int session;
	struct ulp_transact args;
	struct ulp_range ranges[3];
	struct ulp_write writes[NR_WRITES];
	uint8_t expected[NR_WRITES][256];
	uint8_t bytes[NR_WRITES][256];
};

FIXTURE_SETUP(plan)
{
	unsigned int i;

	self->shared = raw_shared_new();
	self->kinds = (void *)self->shared;
	self->pid = raw_victim(has_memory, self->shared);
	ASSERT_TRUE(RAW_WAIT(self->shared->ready));
	self->session = raw_session(self->pid);
	ASSERT_LE(0, self->session);
	self->args = raw_transact_args();
	self->args.writes = (uintptr_t)self->writes;
	for (i = 0; i < NR_WRITES; i++) {
		memset(self->expected[i], 0, 256);
		memset(self->bytes[i], i + 1, 256);
		self->writes[i] = (struct ulp_write) {
			.addr = self->kinds->at[PRIVATE] + 512 * i, .len = 8,
			.expected = (uintptr_t)self->expected[i],
			.bytes = (uintptr_t)self->bytes[i],
		};
	}
}

FIXTURE_TEARDOWN(plan)
{
	close(self->session);
	raw_kill(self->pid);
}

/* How many of the first pages' bytes are not zero. */
static int touched(pid_t pid, uint64_t addr, size_t size)
{
	uint8_t *memory = malloc(size);
	int nr = 0;
	size_t i;

	if (raw_read_mem(pid, addr, memory, size))
		nr = -1;
	for (i = 0; nr >= 0 && i < size; i++)
		nr += !!memory[i];
	free(memory);
	return nr;
}

TEST_F(plan, ranges)
{
	struct ulp_transact *args = &self->args;
	struct ulp_query query;
	void *many;

	args->ranges = (uintptr_t)self->ranges;
	args->nr_ranges = 1;
	self->ranges[0] = (struct ulp_range) { 0x5000, 0x5000 };
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	self->ranges[0] = (struct ulp_range) { 0x5001, 0x5000 };
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	self->ranges[0] = (struct ulp_range) { 0x5000, -1ULL };
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	self->ranges[0] = (struct ulp_range) { 0xffffffff81000000, 0xffffffff81001000 };
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));

	/* in any order, touching, not overlapping */
	args->nr_ranges = 3;
	self->ranges[0] = (struct ulp_range) { 0x6000, 0x7000 };
	self->ranges[1] = (struct ulp_range) { 0x4000, 0x5000 };
	self->ranges[2] = (struct ulp_range) { 0x5000, 0x6000 };
	EXPECT_EQ(0, raw_transact(self->session, args));
	self->ranges[2].end++;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	self->ranges[2] = self->ranges[1];
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));

	ASSERT_EQ(0, raw_query(&query));
	args->nr_ranges = query.out_max_ranges + 1;
	EXPECT_EQ(-E2BIG, raw_transact(self->session, args));
	args->nr_ranges = ~0U;
	EXPECT_EQ(-E2BIG, raw_transact(self->session, args));
	many = calloc(query.out_max_ranges, sizeof(struct ulp_range));
	args->ranges = (uintptr_t)many;
	args->nr_ranges = query.out_max_ranges;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	free(many);
	args->nr_ranges = 1;
	args->ranges = 8;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	args->ranges = 0xffff800000000000;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
}

TEST_F(plan, writes)
{
	uint64_t page = self->kinds->at[PRIVATE];
	struct ulp_transact *args = &self->args;
	struct ulp_write *write = &self->writes[0];
	struct ulp_query query;

	args->nr_writes = 1;
	write->len = 0;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	write->len = 257;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	write->len = 8;
	write->__reserved = 1;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	write->__reserved = 0;
	write->addr = page + RAW_PAGE - 7;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	write->addr = -8ULL;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	write->addr = 0xffffffff81000000;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	write->addr = page;
	write->expected = 8;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	write->expected = (uintptr_t)self->expected[0];
	write->bytes = 8;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	write->bytes = (uintptr_t)self->bytes[0];

	/* overlapping, in both orders */
	args->nr_writes = 2;
	self->writes[1].addr = page + 7;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	write->addr = page + 14;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	self->writes[1].addr = write->addr;
	EXPECT_EQ(-EINVAL, raw_transact(self->session, args));
	EXPECT_EQ(0, touched(self->pid, page, RAW_PAGE));

	ASSERT_EQ(0, raw_query(&query));
	args->nr_writes = query.out_max_writes + 1;
	EXPECT_EQ(-E2BIG, raw_transact(self->session, args));
	args->nr_writes = 1;
	args->writes = 8;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));

	/* touching is fine, and the longest */
	args->writes = (uintptr_t)self->writes;
	args->nr_writes = 2;
	write->addr = page + RAW_PAGE - 256;
	write->len = 256;
	self->writes[1].addr = page + RAW_PAGE - 264;
	EXPECT_EQ(0, raw_transact(self->session, args));
	EXPECT_EQ(264, touched(self->pid, page, 2 * RAW_PAGE));
}

TEST_F(plan, too_many_bytes)
{
	struct ulp_transact *args = &self->args;
	struct ulp_write *writes;
	struct ulp_query query;
	unsigned int i, nr;

	ASSERT_EQ(0, raw_query(&query));
	nr = query.out_max_write_bytes / 256 + 1;
	ASSERT_GE(query.out_max_writes, nr);
	writes = calloc(nr, sizeof(*writes));
	for (i = 0; i < nr; i++) {
		writes[i] = self->writes[0];
		writes[i].addr += 256 * i;
		writes[i].len = 256;
	}
	args->writes = (uintptr_t)writes;
	args->nr_writes = nr;
	EXPECT_EQ(-E2BIG, raw_transact(self->session, args));
	free(writes);
}

TEST_F(plan, stale)
{
	struct ulp_stale stale = { .tid = 1 };
	struct ulp_transact *args = &self->args;
	struct ulp_query query;

	args->stale = (uintptr_t)&stale;
	args->nr_stale = 1;
	EXPECT_EQ(0, raw_transact(self->session, args));
	args->stale = 8;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	ASSERT_EQ(0, raw_query(&query));
	args->nr_stale = query.out_max_stale + 1;
	EXPECT_EQ(-E2BIG, raw_transact(self->session, args));
}

/* What cannot be answered to is not begun. */
TEST_F(plan, outputs)
{
	uint64_t page = self->kinds->at[PRIVATE];
	struct ulp_transact *args = &self->args, *read_only;
	struct ulp_query query;
	char stack[64];

	args->nr_writes = 1;
	args->regs = 8;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	args->regs = 0;
	args->stack = 8;
	args->stack_size = 64;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	ASSERT_EQ(0, raw_query(&query));
	args->stack = (uintptr_t)stack;
	args->stack_size = query.out_max_stack + 1;
	EXPECT_EQ(-E2BIG, raw_transact(self->session, args));
	args->stack_size = 0;
	read_only = mmap(NULL, RAW_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	*read_only = *args;
	ASSERT_EQ(0, mprotect(read_only, RAW_PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, raw_transact(self->session, read_only));
	EXPECT_EQ(0, touched(self->pid, page, RAW_PAGE));
	EXPECT_EQ(0, raw_transact(self->session, args));
	EXPECT_EQ(8, touched(self->pid, page, RAW_PAGE));
}

TEST_F(plan, memory)
{
	static const int results[NR_KINDS] = {
		[SHARED] = -EFAULT, [HUGE_TLB] = -EFAULT, [UNMAPPED] = -EFAULT,
	};
	struct ulp_transact *args = &self->args;
	unsigned int i;

	/* the second of two writes: the first one must not happen */
	args->nr_writes = 2;
	for (i = 0; i < NR_KINDS; i++) {
		if (!self->kinds->at[i] || !results[i])
			continue;
		self->writes[1].addr = self->kinds->at[i] + 64;
		EXPECT_EQ(results[i], raw_transact(self->session, args)) {
			TH_LOG("kind %u", i);
		}
		EXPECT_EQ(0, touched(self->pid, self->kinds->at[PRIVATE], 3 * RAW_PAGE));
	}
	self->writes[1].addr = 0x10;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	self->writes[1].addr = 0x7ffffffff000 - 64;
	EXPECT_EQ(-EFAULT, raw_transact(self->session, args));
	EXPECT_EQ(0, touched(self->pid, self->kinds->at[PRIVATE], 3 * RAW_PAGE));
}

/* Any protection, and it stays. */
TEST_F(plan, protection_stays)
{
	struct ulp_transact *args = &self->args;
	unsigned int found = 0, i;
	char path[64], line[512];
	FILE *maps;

	args->nr_writes = 2;
	self->writes[0].addr = self->kinds->at[READ_ONLY];
	self->writes[1].addr = self->kinds->at[NO_ACCESS] + RAW_PAGE;
	ASSERT_EQ(0, raw_transact(self->session, args));
	EXPECT_EQ(8, touched(self->pid, self->kinds->at[READ_ONLY], 3 * RAW_PAGE));
	/* read by the module: newer kernels may not let others (PROC_MEM_FORCE_PTRACE) */
	EXPECT_EQ(-ESTALE, raw_transact(self->session, args));
	for (i = 0; i < 2; i++)
		self->writes[i].expected = self->writes[i].bytes;
	EXPECT_EQ(0, raw_transact(self->session, args));
	snprintf(path, sizeof(path), "/proc/%d/maps", self->pid);
	maps = fopen(path, "r");
	ASSERT_NE(NULL, maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char permissions[8];

		if (sscanf(line, "%lx-%lx %7s", &start, &end, permissions) != 3)
			continue;
		if (self->kinds->at[READ_ONLY] >= start && self->kinds->at[READ_ONLY] < end) {
			EXPECT_STREQ("r--p", permissions);
			found++;
		}
		if (self->kinds->at[NO_ACCESS] >= start && self->kinds->at[NO_ACCESS] < end) {
			EXPECT_STREQ("---p", permissions);
			found++;
		}
	}
	fclose(maps);
	EXPECT_EQ(2, found);
}

TEST_F(plan, wrong_bytes_at_each)
{
	struct ulp_transact *args = &self->args;
	unsigned int i;

	args->nr_writes = NR_WRITES;
	args->attempts = 50;
	for (i = 0; i < NR_WRITES; i++) {
		self->expected[i][5] = 0xff;
		EXPECT_EQ(-ESTALE, raw_transact(self->session, args));
		EXPECT_EQ(ULP_REASON_BYTES, args->out_reason);
		EXPECT_EQ(i, args->out_write);
		EXPECT_EQ(5, args->out_value);
		/* seen before anything was held */
		EXPECT_EQ(0, args->out_max_freeze_ns);
		EXPECT_EQ(0, touched(self->pid, self->kinds->at[PRIVATE], 3 * RAW_PAGE));
		self->expected[i][5] = 0;
	}
	EXPECT_EQ(0, raw_transact(self->session, args));
	EXPECT_EQ(8 * NR_WRITES, touched(self->pid, self->kinds->at[PRIVATE], 3 * RAW_PAGE));
	/* once more: the bytes are others now */
	EXPECT_EQ(-ESTALE, raw_transact(self->session, args));
	EXPECT_EQ(0, args->out_write);
	EXPECT_EQ(0, args->out_value);
}

TEST_F(plan, dry_run)
{
	struct ulp_transact *args = &self->args;

	args->nr_writes = 3;
	args->flags = ULP_TRANSACT_DRY_RUN;
	EXPECT_EQ(0, raw_transact(self->session, args));
	EXPECT_LT(0, args->out_freeze_ns);
	EXPECT_EQ(0, touched(self->pid, self->kinds->at[PRIVATE], 3 * RAW_PAGE));
	self->expected[2][7] = 1;
	EXPECT_EQ(-ESTALE, raw_transact(self->session, args));
	EXPECT_EQ(2, args->out_write);
	EXPECT_EQ(7, args->out_value);
}

/* A plan that is to rest on what the session saw ends with the first write of another. */
TEST_F(plan, unchanged)
{
	struct ulp_transact *args = &self->args;
	int before = raw_session(self->pid), after;

	ASSERT_LE(0, before);
	args->nr_writes = 1;
	args->flags = ULP_TRANSACT_UNCHANGED | ULP_TRANSACT_DRY_RUN;
	EXPECT_EQ(0, raw_transact(self->session, args));
	EXPECT_EQ(0, raw_transact(before, args));
	args->nr_writes = 0;
	args->flags = ULP_TRANSACT_UNCHANGED;
	EXPECT_EQ(0, raw_transact(self->session, args));
	args->nr_writes = 1;
	EXPECT_EQ(0, raw_transact(self->session, args));
	/* of other bytes, too */
	self->writes[0] = self->writes[1];
	EXPECT_EQ(-ESTALE, raw_transact(before, args));
	EXPECT_EQ(ULP_REASON_NONE, args->out_reason);
	EXPECT_EQ(0, args->out_attempts);
	args->flags |= ULP_TRANSACT_DRY_RUN;
	EXPECT_EQ(-ESTALE, raw_transact(before, args));
	/* not its own */
	EXPECT_EQ(0, raw_transact(self->session, args));
	after = raw_session(self->pid);
	ASSERT_LE(0, after);
	args->flags = ULP_TRANSACT_UNCHANGED;
	EXPECT_EQ(0, raw_transact(after, args));
	EXPECT_EQ(-ESTALE, raw_transact(self->session, args));
	EXPECT_EQ(ULP_REASON_NONE, args->out_reason);
	/* who did not ask */
	args->flags = ULP_TRANSACT_DRY_RUN;
	self->writes[0] = self->writes[2];
	EXPECT_EQ(0, raw_transact(before, args));
	close(before);
	close(after);
}

/* The pages are the target's own: who maps the same file sees nothing. */
TEST_F(plan, copy_on_write)
{
	struct ulp_transact args = raw_transact_args();
	struct raw_shared *other = raw_shared_new();
	pid_t pid = raw_victim(has_memory, (void *)other);
	uint32_t value;

	ASSERT_TRUE(RAW_WAIT(other->ready));
	ASSERT_EQ(0, raw_set_answer(self->session, raw_answer, 1, 77, &args)) {
		TH_LOG("reason %u slot %llx", args.out_reason, args.out_slot);
	}
	ASSERT_EQ(0, raw_read_mem(self->pid, RAW_ANSWER_AT(raw_answer), &value, 4));
	EXPECT_EQ(77, value);
	ASSERT_EQ(0, raw_read_mem(pid, RAW_ANSWER_AT(raw_answer), &value, 4));
	EXPECT_EQ(1, value);
	EXPECT_EQ(1, raw_answer());
	raw_kill(pid);
}

TEST_F(plan, freeze_limit)
{
	struct ulp_transact *args = &self->args;

	args->nr_writes = 1;
	args->max_freeze_ns = 1;
	args->attempts = 3;
	EXPECT_EQ(-ETIME, raw_transact(self->session, args));
	EXPECT_EQ(ULP_REASON_FREEZE_LIMIT, args->out_reason);
	EXPECT_EQ(3, args->out_attempts);
	EXPECT_EQ(0, touched(self->pid, self->kinds->at[PRIVATE], 3 * RAW_PAGE));
	args->max_freeze_ns = ~0ULL;
	EXPECT_EQ(0, raw_transact(self->session, args));
}

TEST_HARNESS_MAIN
