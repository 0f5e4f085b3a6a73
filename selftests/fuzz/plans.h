/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fuzzer's transactions: a plan that makes sense, and one thing wrong with
 * it now and then.  What is called is only ever given one of its numbers, and
 * both halves of the pair the same one, under the conditions that keep threads
 * from being between them.
 */
#ifndef FUZZ_PLANS_H
#define FUZZ_PLANS_H

#include "universes.h"

#define FUZZ_MANY	4097	/* one more than the module takes */

/**
 * struct fuzz_plan - a transaction in the making
 * @args: of the ioctl
 * @ranges: of it
 * @writes: of it
 * @stale: of it
 * @universe: of it, if args.universe says so
 * @leaving: ranges of that
 * @nr_ranges: of @ranges
 * @nr_writes: of @writes
 * @nr_stale: of @stale
 * @expected: bytes of each write
 * @bytes: bytes of each write
 * @pair: it changes the pair: nothing may be left out
 * @must_fail: something is wrong with it
 * @must_not_write: it writes to what is not the target's own
 */
struct fuzz_plan {
	struct ulp_transact args;
	struct ulp_range ranges[16];
	struct ulp_write writes[16];
	struct ulp_stale stale[16];
	struct ulp_universe universe;
	struct ulp_range leaving[17];
	unsigned int nr_ranges, nr_writes, nr_stale;
	uint32_t expected[16], bytes[16];
	bool pair, must_fail, must_not_write;
};

static void fuzz_add_range(struct fuzz_plan *plan, uint64_t start, uint64_t end)
{
	plan->ranges[plan->nr_ranges++] = (struct ulp_range){ start, end };
}

/* Writes a number over the present one, or over one that may not be there. */
static void fuzz_add_write(struct fuzz_thread *t, struct fuzz_plan *plan, unsigned int target,
			   uint64_t addr, uint32_t value)
{
	uint32_t word = fuzz_value(1);
	unsigned int i = plan->nr_writes++;

	if (fuzz_once_in(&t->random, 20) ||
	    pread(t->caller->mem[target], &word, sizeof(word), addr) != sizeof(word))
		word = fuzz_value(fuzz_below(&t->random, FUZZ_VALUES));
	plan->expected[i] = word;
	plan->bytes[i] = value;
	plan->writes[i] = (struct ulp_write){ .addr = addr, .len = sizeof(value) };
}

static uint64_t fuzz_in_region(struct fuzz_thread *t, uint64_t region)
{
	return region + fuzz_below(&t->random, 2) * RAW_PAGE + FUZZ_AT + 1;
}

/* What is written, and where nobody may be. */
static void fuzz_plan_writes(struct fuzz_thread *t, struct fuzz_plan *plan, unsigned int target)
{
	uint32_t value = fuzz_value(fuzz_below(&t->random, FUZZ_VALUES));
	uint64_t scratch = FUZZ_SCRATCH + fuzz_below(&t->random, FUZZ_SCRATCH_SIZE - 4);
	unsigned int what = fuzz_below(&t->random, 16);

	if (what < 6 || what == 15) {
		plan->pair = true;
		fuzz_add_write(t, plan, target, RAW_ANSWER_AT(fuzz_half_a), value);
		fuzz_add_write(t, plan, target, RAW_ANSWER_AT(fuzz_half_b), value);
		fuzz_add_range(plan, (uintptr_t)fuzz_pair, (uintptr_t)fuzz_pair_end);
		fuzz_add_range(plan, (uintptr_t)fuzz_half_a,
			       (uintptr_t)fuzz_half_a + FUZZ_FUNCTION_SIZE);
		fuzz_add_range(plan, (uintptr_t)fuzz_half_b,
			       (uintptr_t)fuzz_half_b + FUZZ_FUNCTION_SIZE);
	}
	if (what == 6 || what == 7 || what == 15) {
		fuzz_add_write(t, plan, target, RAW_ANSWER_AT(fuzz_single), value);
		if (fuzz_below(&t->random, 2))
			fuzz_add_range(plan, (uintptr_t)fuzz_single,
				       (uintptr_t)fuzz_single + FUZZ_FUNCTION_SIZE);
	}
	if (what == 8 || what == 9 || what == 15) {
		fuzz_add_write(t, plan, target, fuzz_in_region(t, FUZZ_CALLED), value);
		fuzz_add_range(plan, FUZZ_CALLED, FUZZ_CALLED + FUZZ_REGION);
	}
	if (what == 10 || what == 11 || what == 15)
		fuzz_add_write(t, plan, target, fuzz_in_region(t, FUZZ_TORN), value);
	if (what == 12) {
		fuzz_add_write(t, plan, target, scratch, fuzz_next(&t->random));
		plan->must_fail = scratch % RAW_PAGE > RAW_PAGE - 4;
	}
	if (what == 13) {
		plan->must_not_write = true;
		fuzz_add_write(t, plan, target, fuzz_below(&t->random, 2) ?
			       fuzz_in_region(t, FUZZ_SHARED) : fuzz_in_region(t, FUZZ_HUGE),
			       value);
	}
	if (!fuzz_below(&t->random, 4))
		fuzz_add_range(plan, FUZZ_DROP, FUZZ_DROP + (1ULL << 40));
}

static void fuzz_plan_numbers(struct fuzz_thread *t, struct fuzz_plan *plan)
{
	static const uint32_t attempts[] = { 1, 1, 2, 2, 5, 5, 20, 0xffffffff };
	static const uint64_t pauses[] = { 0, 0, 1000, 100000, 1000000, 5000000 };
	static const uint64_t limits[] = {
		0, 1, 1000, 100000, 5000000, 50000000, 1000000000, 1000000000, (uint64_t)-1,
	};
	static const uint32_t sizes[] = { 0, 8, 64, 4096, 65536, 262144 };
	struct ulp_transact *args = &plan->args;

	args->size = sizeof(*args);
	args->attempts = FUZZ_PICK(&t->random, attempts);
	args->retry_ns = FUZZ_PICK(&t->random, pauses);
	args->max_freeze_ns = FUZZ_PICK(&t->random, limits);
	/* with many attempts it may be at it until it is killed */
	if (args->attempts > 100 && !fuzz_once_in(&t->random, 20))
		args->attempts = 10;
	if (fuzz_once_in(&t->random, 8))
		args->backend = fuzz_below(&t->random, 3);
	if (fuzz_once_in(&t->random, 6))
		args->flags |= ULP_TRANSACT_DRY_RUN;
	if (fuzz_once_in(&t->random, 6))
		args->flags |= ULP_TRANSACT_NO_STAMPS;
	if (fuzz_once_in(&t->random, 4)) {
		args->flags |= ULP_TRANSACT_HOLD;
		args->hold_ns = fuzz_below(&t->random, 20000000);
	}
	if (fuzz_once_in(&t->random, 8))
		args->flags |= ULP_TRANSACT_SCAN_MEMORY;
	if (fuzz_once_in(&t->random, 8))
		args->flags |= ULP_TRANSACT_UNCHANGED;
	if (t->caller->commits && fuzz_below(&t->random, 2))
		args->flags |= ULP_TRANSACT_COMMIT_MAPS;
	args->stack_size = FUZZ_PICK(&t->random, sizes);
}

/* What was in the way before is said to be stale; of the pair that would be a lie. */
static void fuzz_plan_stale(struct fuzz_thread *t, struct fuzz_plan *plan)
{
	unsigned int i;

	if (!plan->pair)
		for (i = 0; i < t->nr_stale; i++)
			plan->stale[plan->nr_stale++] = t->stale[i];
	for (i = fuzz_below(&t->random, 4); i > 0; i--)
		plan->stale[plan->nr_stale++] = (struct ulp_stale){
			.tid = fuzz_below(&t->random, 500), .ip = fuzz_next(&t->random),
			.sp = fuzz_next(&t->random), .slot = fuzz_next(&t->random),
			.value = fuzz_next(&t->random), .stamp = fuzz_next(&t->random),
		};
}

/*
 * Who advances changes nothing, and memory is not scanned meanwhile.  Who turns
 * round passes over the threads in the table, and they may be between the halves.
 */
static void fuzz_plan_universe(struct fuzz_thread *t, struct fuzz_plan *plan, unsigned int target)
{
	bool good = !fuzz_once_in(&t->random, 20);
	unsigned int i;

	plan->universe = fuzz_universe(t, target, plan->ranges, plan->nr_ranges, plan->leaving,
				       &plan->must_fail);
	plan->args.universe = 1;
	if (good)
		plan->args.flags &= ~ULP_TRANSACT_SCAN_MEMORY;
	plan->must_fail |= plan->args.flags & ULP_TRANSACT_SCAN_MEMORY;
	if (plan->universe.op == ULP_UNIVERSE_TURN && plan->pair)
		plan->nr_writes = 0;
	for (i = 0; plan->universe.op == ULP_UNIVERSE_ADVANCE && i < plan->nr_writes; i++) {
		if (good)
			plan->bytes[i] = plan->expected[i];
		plan->must_fail |= plan->bytes[i] != plan->expected[i];
	}
}

/* One thing that must be refused. */
static void fuzz_plan_spoil(struct fuzz_thread *t, struct fuzz_plan *plan)
{
	static const uint64_t far[] = {
		0x7ffffffff000, 0x800000000000, 0xffff800000000000, -RAW_PAGE, (uint64_t)-1,
	};
	struct ulp_transact *args = &plan->args;
	struct ulp_write *write = &plan->writes[0];
	uint64_t addr = FUZZ_PICK(&t->random, far);

	plan->must_fail = true;
	switch (fuzz_below(&t->random, 14)) {
	case 0:
		/* as long as it was in the first version is long enough */
		args->size = fuzz_below(&t->random, offsetof(struct ulp_transact, subject));
		return;
	case 1:
		args->flags |= 64U << fuzz_below(&t->random, 26);
		return;
	case 2:
		args->universe = 2 + fuzz_below(&t->random, 65000);
		return;
	case 3:
		args->attempts = 0;
		return;
	case 4:
		args->backend = 3 + fuzz_below(&t->random, 1U << 31);
		return;
	case 5:
		fuzz_add_range(plan, FUZZ_SCRATCH, FUZZ_SCRATCH - fuzz_below(&t->random, 8));
		return;
	case 6:
		fuzz_add_range(plan, FUZZ_SCRATCH, 1ULL << 63);
		return;
	case 7:
		fuzz_add_range(plan, FUZZ_SCRATCH, FUZZ_SCRATCH + 64);
		fuzz_add_range(plan, FUZZ_SCRATCH + fuzz_below(&t->random, 64), FUZZ_SCRATCH + 100);
		return;
	case 8:
		args->stack_size = 262145 + fuzz_below(&t->random, 1U << 31);
		return;
	case 9:
		args->flags &= ~ULP_TRANSACT_HOLD;
		args->hold_ns = 1;
		return;
	default:
		break;
	}
	if (!plan->nr_writes) {
		fuzz_add_write(t, plan, 0, addr, 0);
		return;
	}
	switch (fuzz_below(&t->random, 5)) {
	case 0:
		write->len = 0;
		break;
	case 1:
		write->len = 257 + fuzz_below(&t->random, 1U << 31);
		break;
	case 2:
		write->__reserved = 1;
		break;
	case 3:
		write->addr = addr;
		break;
	default:
		fuzz_add_write(t, plan, 0, write->addr + fuzz_below(&t->random, 4), 0);
	}
}

/* As many as there may be, and one more. */
static void fuzz_plan_many(struct fuzz_thread *t, struct fuzz_plan *plan)
{
	static struct ulp_range many[FUZZ_MANY];
	unsigned int nr = FUZZ_MANY - fuzz_below(&t->random, 2), i;

	for (i = 0; i < FUZZ_MANY; i++)
		many[i] = (struct ulp_range){ FUZZ_SCRATCH + 8 * i, FUZZ_SCRATCH + 8 * i + 8 };
	plan->args.nr_writes = 0;
	plan->args.nr_ranges = nr;
	plan->args.ranges = (uintptr_t)many;
	plan->must_fail = nr == FUZZ_MANY;
}

static void fuzz_plan_place(struct fuzz_thread *t, struct fuzz_plan *plan)
{
	struct fuzz_arena *arena = t->arena;
	struct ulp_transact *args = &plan->args;
	unsigned int i;

	for (i = 0; i < plan->nr_writes; i++) {
		plan->writes[i].expected = fuzz_arena_put(arena, &plan->expected[i], 4, false);
		plan->writes[i].bytes = fuzz_arena_put(arena, &plan->bytes[i], 4, true);
	}
	if (args->universe == 1) {
		plan->universe.ranges = fuzz_arena_put(arena, plan->leaving,
						       sizeof(plan->leaving), false);
		args->universe = fuzz_arena_put(arena, &plan->universe, sizeof(plan->universe),
						true);
	}
	args->nr_ranges = plan->nr_ranges;
	args->nr_writes = plan->nr_writes;
	args->nr_stale = plan->nr_stale;
	if (plan->nr_ranges)
		args->ranges = fuzz_arena_put(arena, plan->ranges,
					      plan->nr_ranges * sizeof(*plan->ranges), false);
	if (plan->nr_writes)
		args->writes = fuzz_arena_put(arena, plan->writes,
					      plan->nr_writes * sizeof(*plan->writes), false);
	if (plan->nr_stale)
		args->stale = fuzz_arena_put(arena, plan->stale,
					     plan->nr_stale * sizeof(*plan->stale), false);
	/* the good part has room for the largest stack there may be */
	if (args->stack_size <= 262144)
		args->stack = (uintptr_t)arena->view +
			      (fuzz_once_in(&t->random, 30) ? FUZZ_RACING :
			       fuzz_arena_good(arena, args->stack_size));
	if (fuzz_below(&t->random, 2))
		args->regs = (uintptr_t)arena->view +
			     fuzz_arena_place(arena, sizeof(struct ulp_regs));
}

/* What is reported as in the way, for the next time. */
static void fuzz_keep_stale(struct fuzz_thread *t, const struct ulp_transact *out)
{
	if (out->out_reason != ULP_REASON_STACK && out->out_reason != ULP_REASON_REGISTER)
		return;
	t->stale[t->nr_stale % 8] = (struct ulp_stale){
		.tid = out->out_tid, .ip = out->out_ip, .sp = out->out_sp, .slot = out->out_slot,
		.value = out->out_value, .stamp = out->out_stamp,
	};
	t->nr_stale = t->nr_stale < 8 ? t->nr_stale + 1 : 8;
}

static void fuzz_check_answer(struct fuzz_thread *t, const struct fuzz_plan *plan, int ret,
			      const struct ulp_transact *out)
{
	if (!ret && (plan->must_fail || (plan->must_not_write && plan->args.nr_writes)))
		fuzz_wrong("TRANSACT succeeds and must not: %u ranges, %u writes, first at %#lx",
			   plan->args.nr_ranges, plan->args.nr_writes,
			   (unsigned long)plan->writes[0].addr);
	if (t->caller->faults || plan->must_fail)
		return;
	fuzz_reason(FUZZ_OP_TRANSACT, ret, out->out_reason);
	fuzz_longest(out->out_max_freeze_ns);
	fuzz_keep_stale(t, out);
	if (out->out_attempts > plan->args.attempts ||
	    out->out_stack_size > plan->args.stack_size ||
	    out->out_freeze_ns > out->out_max_freeze_ns || out->out_parked > out->out_threads ||
	    out->out_asleep > out->out_threads || out->out_members > out->out_threads ||
	    out->out_rescanned > out->out_threads ||
	    (out->out_range && out->out_range >= plan->args.nr_ranges) ||
	    (out->out_write && out->out_write >= plan->args.nr_writes))
		fuzz_wrong("TRANSACT answers %s with impossible numbers: attempts %u, stack %u, freeze %lu of %lu, threads %u %u %u of %u, range %u, write %u",
			   strerror(-ret), out->out_attempts, out->out_stack_size,
			   (unsigned long)out->out_freeze_ns, (unsigned long)out->out_max_freeze_ns,
			   out->out_parked, out->out_asleep, out->out_rescanned, out->out_threads,
			   out->out_range, out->out_write);
}

static void fuzz_op_transact(struct fuzz_thread *t)
{
	unsigned int slot = fuzz_any_slot(t), target = t->caller->session_target[slot];
	int fd = fuzz_session(t, slot), ret;
	struct fuzz_plan plan = { };
	size_t at;

	fuzz_arena_begin(t->arena);
	fuzz_plan_numbers(t, &plan);
	fuzz_plan_writes(t, &plan, target);
	if (fuzz_below(&t->random, 2))
		fuzz_plan_stale(t, &plan);
	if (fuzz_once_in(&t->random, 5))
		fuzz_plan_universe(t, &plan, target);
	if (fuzz_once_in(&t->random, 8))
		fuzz_plan_spoil(t, &plan);
	fuzz_plan_place(t, &plan);
	if (!plan.must_fail && fuzz_once_in(&t->random, 100))
		fuzz_plan_many(t, &plan);
	at = fuzz_arena_args(t->arena, &plan.args, sizeof(plan.args));
	ret = fuzz_ioctl(FUZZ_OP_TRANSACT, fd, ULP_TRANSACT, (uintptr_t)t->arena->view + at);
	/* a session that became another one is none of the plan's target */
	if (t->arena->steady)
		fuzz_check_answer(t, &plan, ret, (const void *)(t->arena->alias + at));
}

#endif /* FUZZ_PLANS_H */
