// SPDX-License-Identifier: GPL-2.0
/*
 * Switching thread by thread.  While that lasts, code in the target asks a table
 * which of its threads have not switched yet; the format is in ulp_universe.h.
 *
 * The table is filled in a window in which all are held, together with the
 * entries of the functions; afterwards words are only struck off, one by one,
 * each while its thread cannot run user code.  Between two calls nothing of it is
 * known here: the module may go, and another one go on.
 */
#include <linux/const.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "freeze.h"
#include "session.h"
#include "stopm.h"
#include "universe.h"
#include "write.h"
#include "x86_64.h"

static u32 ulp_bucket_1(u64 fs_base)
{
	return ((fs_base * _AC(ULP_UNIVERSE_HASH_1, ULL)) >> ULP_UNIVERSE_SHIFT) *
	       ULP_UNIVERSE_BUCKET;
}

static u32 ulp_bucket_2(u64 fs_base)
{
	return ((fs_base * _AC(ULP_UNIVERSE_HASH_2, ULL)) >> ULP_UNIVERSE_SHIFT) *
	       ULP_UNIVERSE_BUCKET;
}

/* A word of the table in the target. */
static u64 *ulp_universe_word(const struct ulp_plan_universe *universe, u32 index)
{
	u64 *page = page_address(universe->pages[index * sizeof(u64) / PAGE_SIZE].page);

	return page + index % (PAGE_SIZE / sizeof(u64));
}

/* Each range lies within one of the code that is left: who is clear of that is clear. */
static bool ulp_universe_covers(const struct ulp_plan *leaving, const struct ulp_plan *plan)
{
	u32 i, k = 0;

	for (i = 0; i < plan->nr_ranges; i++) {
		while (k < leaving->nr_ranges && leaving->ranges[k].end < plan->ranges[i].end)
			k++;
		if (k == leaving->nr_ranges || leaving->ranges[k].start > plan->ranges[i].start)
			return false;
	}
	return true;
}

/* What is written to what is there is but a condition. */
static bool ulp_universe_only_compares(const struct ulp_plan *plan)
{
	u32 i;

	for (i = 0; i < plan->nr_writes; i++)
		if (memcmp(plan->writes[i].bytes, plan->writes[i].expected, plan->writes[i].len))
			return false;
	return true;
}

/* With the plan's ranges and writes read. */
int ulp_universe_read(struct ulp_plan *plan, u64 user)
{
	void __user *from = u64_to_user_ptr(user);
	struct ulp_plan_universe *universe;
	struct ulp_universe said;
	bool one;
	u32 size;
	int err;

	if (!user)
		return 0;
	if (get_user(size, (u32 __user *)from))
		return -EFAULT;
	if (size < sizeof(said))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(&said, sizeof(said), from, size);
	if (err)
		return err;
	one = said.op == ULP_UNIVERSE_ADVANCE;
	if (said.op < ULP_UNIVERSE_BEGIN || said.op > ULP_UNIVERSE_ADVANCE ||
	    !PAGE_ALIGNED(said.table) || said.table > TASK_SIZE_MAX - ULP_UNIVERSE_BYTES ||
	    one != !said.nr_ranges || one != !!said.tid ||
	    (plan->flags & ULP_TRANSACT_SCAN_MEMORY))
		return -EINVAL;
	if (one && !ulp_universe_only_compares(plan))
		return -EINVAL;
	if (said.nr_ranges > ULP_MAX_RANGES)
		return -E2BIG;
	universe = ulp_fault(plan->faults, ULP_FAULT_ALLOC) ? NULL :
		kvzalloc(sizeof(*universe), GFP_KERNEL);
	if (!universe)
		return -ENOMEM;
	plan->universe = universe;
	universe->op = said.op;
	universe->tid = said.tid;
	universe->table = said.table;
	universe->leaving.faults = plan->faults;
	universe->leaving.pid_ns = plan->pid_ns;
	err = ulp_plan_read_ranges(&universe->leaving, said.ranges, said.nr_ranges);
	if (!err && said.nr_ranges && !ulp_universe_covers(&universe->leaving, plan))
		err = -EINVAL;
	return err;
}

void ulp_universe_free(struct ulp_plan_universe *universe)
{
	if (!universe)
		return;
	ulp_plan_free(&universe->leaving);
	kvfree(universe);
}

/* Whether the plan fills the table, for all threads. */
bool ulp_universe_begins(const struct ulp_plan *plan)
{
	return plan->universe && plan->universe->op != ULP_UNIVERSE_ADVANCE;
}

void ulp_universe_clear(struct ulp_plan_universe *universe)
{
	memset(universe->words, 0, sizeof(universe->words));
	universe->members = 0;
}

static u64 *ulp_universe_find(const struct ulp_plan_universe *universe, u64 fs_base)
{
	const u32 buckets[] = { ulp_bucket_1(fs_base), ulp_bucket_2(fs_base) };
	u64 *word;
	u32 i;

	for (i = 0; fs_base > ULP_UNIVERSE_STRUCK && i < 2 * ULP_UNIVERSE_BUCKET; i++) {
		word = ulp_universe_word(universe, buckets[i / ULP_UNIVERSE_BUCKET] +
					 i % ULP_UNIVERSE_BUCKET);
		if (READ_ONCE(*word) == fs_base)
			return word;
	}
	return NULL;
}

/* Whether it is in the table as the target has it. */
bool ulp_universe_has(const struct ulp_plan_universe *universe, u64 fs_base)
{
	return ulp_universe_find(universe, fs_base);
}

/* The word of the bucket that has it or can take it, NULL if there is none. */
static u64 *ulp_bucket_word(u64 *bucket, u64 fs_base)
{
	u32 i;

	for (i = 0; i < ULP_UNIVERSE_BUCKET; i++)
		if (!bucket[i] || bucket[i] == fs_base)
			return &bucket[i];
	return NULL;
}

/**
 * ulp_universe_note() - put a thread that is inside into the table to be
 * @plan: its universe begins
 * @task: may not run user code
 * @verdict: tells why not
 *
 * Return: enum ulp_reason.
 */
u32 ulp_universe_note(const struct ulp_plan *plan, struct task_struct *task,
		      struct ulp_verdict *verdict)
{
	struct ulp_plan_universe *universe = plan->universe;
	u64 fs_base = ulp_arch_fs_base(task);
	u64 *word;

	word = ulp_bucket_word(&universe->words[ulp_bucket_1(fs_base)], fs_base) ?:
	       ulp_bucket_word(&universe->words[ulp_bucket_2(fs_base)], fs_base);
	verdict->reason = ULP_REASON_NONE;
	if (fs_base <= ULP_UNIVERSE_STRUCK)
		verdict->reason = ULP_REASON_NO_POINTER;
	else if (!word)
		verdict->reason = ULP_REASON_TABLE;
	if (verdict->reason) {
		verdict->tid = __task_pid_nr_ns(task, PIDTYPE_PID, plan->pid_ns);
		verdict->init_tid = task_pid_nr(task);
	} else if (!*word) {
		*word = fs_base;
		universe->members++;
	}
	return verdict->reason;
}

/* One aligned word: who reads it meanwhile sees it or does not. */
void ulp_universe_strike(struct ulp_plan_universe *universe, u64 fs_base)
{
	u64 *word = ulp_universe_find(universe, fs_base);

	if (word)
		WRITE_ONCE(*word, ULP_UNIVERSE_STRUCK);
}

/* In the window, behind ulp_write_verify(). */
void ulp_universe_write(struct ulp_plan_universe *universe)
{
	u32 i;

	for (i = 0; i < ULP_UNIVERSE_WORDS; i++)
		WRITE_ONCE(*ulp_universe_word(universe, i), universe->words[i]);
}

/**
 * struct ulp_roll - one reading of the table
 * @universe: with its pages pinned
 * @target: the threads; none is born into user mode meanwhile
 * @members: receives them, args->nr_threads of them
 * @args: receives the numbers
 */
struct ulp_roll {
	struct ulp_plan_universe *universe;
	struct ulp_target *target;
	struct ulp_member *members;
	struct ulp_members *args;
};

/*
 * A word that is nobody's goes: else it would be that of the next thread that is
 * started at the same place.  universe->words are those that live.
 */
static void ulp_roll_strike_dead(struct ulp_plan_universe *universe)
{
	u32 i, k, nr = min_t(u32, universe->members, ULP_UNIVERSE_WORDS);
	u64 *word, fs_base;

	for (i = 0; i < ULP_UNIVERSE_WORDS; i++) {
		word = ulp_universe_word(universe, i);
		fs_base = READ_ONCE(*word);
		if (fs_base <= ULP_UNIVERSE_STRUCK)
			continue;
		for (k = 0; k < nr && universe->words[k] != fs_base; k++)
			;
		if (k == nr)
			WRITE_ONCE(*word, ULP_UNIVERSE_STRUCK);
	}
}

static void ulp_roll_call(void *data)
{
	struct ulp_roll *roll = data;
	struct ulp_plan_universe *universe = roll->universe;
	struct pid_namespace *ns = universe->leaving.pid_ns;
	struct ulp_members *args = roll->args;
	struct task_struct *task;
	u64 *word;
	u32 i;

	for (i = 0; i < ulp_target_size(roll->target); i++) {
		task = roll->target->threads[i].task;
		if (!ulp_task_lives_in(task, roll->target->mm))
			continue;
		word = ulp_universe_find(universe, ulp_arch_fs_base(task));
		args->out_members += !!word;
		if (word && universe->members < ULP_UNIVERSE_WORDS)
			universe->words[universe->members++] = *word;
		if (args->out_threads < args->nr_threads)
			roll->members[args->out_threads] = (struct ulp_member){
				__task_pid_nr_ns(task, PIDTYPE_PID, ns), !!word
			};
		args->out_threads++;
	}
	/* With one that shares its word they may be more than there is room for. */
	if (universe->members < ULP_UNIVERSE_WORDS && !READ_ONCE(roll->target->overflow))
		ulp_roll_strike_dead(universe);
}

/*
 * Who is born while the words of the dead are struck off may have one of those,
 * and must not read it before: it waits before its first instruction.
 */
static void ulp_roll_gated(struct ulp_roll *roll)
{
	ulp_freeze_newborn(roll->target);
	ulp_sync_cores(roll->target->mm);
	ulp_roll_call(roll);
	ulp_thaw(roll->target, NULL);
	ulp_target_unwatch(roll->target);
	ulp_freeze_clear(roll->target);
}

static int ulp_universe_look(struct mm_struct *mm, struct ulp_plan *plan,
			     struct ulp_member *members, struct ulp_members *args)
{
	u32 room = 2 * atomic_read(&mm->mm_users) + 64;
	struct ulp_roll roll = {
		.universe = plan->universe, .members = members, .args = args,
	};
	int err = ulp_write_pin(plan, mm);

	if (err)
		return err;
	err = -ENOMEM;
	roll.target = ulp_target_enrol(mm, plan->faults, room);
	if (!roll.target)
		goto out;
	err = -EAGAIN;
	if (READ_ONCE(roll.target->overflow))
		goto out_target;
	if (ulp_plan_backend(ULP_BACKEND_AUTO) == ULP_BACKEND_GATE)
		ulp_roll_gated(&roll);
	else
		ulp_stopm(ulp_roll_call, &roll);
	/* the last one has gone, the memory has not yet */
	err = args->out_threads ? 0 : -ESRCH;
out_target:
	ulp_target_unwatch(roll.target);
	ulp_target_put(roll.target);
out:
	ulp_write_unpin(plan);
	return err;
}

/* ioctl(ULP_MEMBERS); the session is locked. */
int ulp_universe_members(struct ulp_session *session, struct ulp_members *args)
{
	struct ulp_plan plan = { .faults = &session->faults };
	struct ulp_member *members = NULL;
	struct mm_struct *mm;
	int err = -ENOMEM;

	args->out_threads = 0;
	args->out_members = 0;
	if (args->flags || args->__reserved || !PAGE_ALIGNED(args->table) ||
	    args->table > TASK_SIZE_MAX - ULP_UNIVERSE_BYTES)
		return -EINVAL;
	if (args->nr_threads > ULP_MEMBERS_MAX)
		return -E2BIG;
	if (!ulp_plan_may_use(ulp_plan_backend(ULP_BACKEND_AUTO)))
		return -EPERM;
	plan.universe = kvzalloc(sizeof(*plan.universe), GFP_KERNEL);
	if (args->nr_threads)
		members = kvcalloc(args->nr_threads, sizeof(*members), GFP_KERNEL);
	if (!plan.universe || (args->nr_threads && !members))
		goto out;
	plan.universe->table = args->table;
	plan.universe->leaving.pid_ns = task_active_pid_ns(current);
	err = ulp_session_claim(session, &mm);
	if (err)
		goto out;
	err = ulp_universe_look(mm, &plan, members, args);
	ulp_session_unclaim(session, mm);
	if (!err && members &&
	    copy_to_user(u64_to_user_ptr(args->threads), members,
			 min(args->out_threads, args->nr_threads) * sizeof(*members)))
		err = -EFAULT;
out:
	kvfree(members);
	ulp_universe_free(plan.universe);
	return err;
}
