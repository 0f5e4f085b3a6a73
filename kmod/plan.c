// SPDX-License-Identifier: GPL-2.0
/*
 * Copies a transaction's plan from the caller and checks it.
 */
#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include "compat.h"
#include "plan.h"
#include "universe.h"

#define ULP_TRANSACT_FLAGS \
	(ULP_TRANSACT_DRY_RUN | ULP_TRANSACT_COMMIT_MAPS | ULP_TRANSACT_NO_STAMPS | \
	 ULP_TRANSACT_HOLD | ULP_TRANSACT_SCAN_MEMORY | ULP_TRANSACT_UNCHANGED)

static void *ulp_plan_copy(struct ulp_plan *plan, u64 user, u32 nr, size_t size)
{
	if (nr && ulp_fault(plan->faults, ULP_FAULT_COPY_PLAN))
		return ERR_PTR(-EFAULT);
	return nr ? vmemdup_user(u64_to_user_ptr(user), array_size(nr, size)) : NULL;
}

static int ulp_plan_copy_bytes(struct ulp_plan *plan, void *to, u64 user, size_t size)
{
	return ulp_fault(plan->faults, ULP_FAULT_COPY_PLAN) ||
	       copy_from_user(to, u64_to_user_ptr(user), size) ? -EFAULT : 0;
}

static void *ulp_plan_alloc(struct ulp_plan *plan, size_t nr, size_t size)
{
	return ulp_fault(plan->faults, ULP_FAULT_ALLOC) ? NULL : kvcalloc(nr, size, GFP_KERNEL);
}

static int ulp_compare_ranges(const void *a, const void *b)
{
	const struct ulp_plan_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int ulp_compare_writes(const void *a, const void *b)
{
	const struct ulp_plan_write *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int ulp_compare_stale(const void *a, const void *b)
{
	const struct ulp_stale *x = a, *y = b;

	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/* At most %ULP_MAX_RANGES; empty and overlapping ones are refused. */
int ulp_plan_read_ranges(struct ulp_plan *plan, u64 ranges, u32 nr)
{
	struct ulp_range *user = ulp_plan_copy(plan, ranges, nr, sizeof(*user));
	int err = -EINVAL;
	u32 i;

	if (IS_ERR_OR_NULL(user))
		return PTR_ERR_OR_ZERO(user);
	plan->ranges = ulp_plan_alloc(plan, nr, sizeof(*plan->ranges));
	if (!plan->ranges) {
		err = -ENOMEM;
		goto out;
	}
	for (i = 0; i < nr; i++) {
		if (user[i].start >= user[i].end || user[i].end > TASK_SIZE_MAX)
			goto out;
		plan->ranges[i].start = user[i].start;
		plan->ranges[i].end = user[i].end;
		plan->ranges[i].index = i;
	}
	sort(plan->ranges, nr, sizeof(*plan->ranges), ulp_compare_ranges, NULL);
	for (i = 1; i < nr; i++)
		if (plan->ranges[i].start < plan->ranges[i - 1].end)
			goto out;
	plan->nr_ranges = nr;
	err = 0;
out:
	kvfree(user);
	return err;
}

/* Both byte strings of each write, one after the other, in plan->bytes. */
static int ulp_plan_read_bytes(struct ulp_plan *plan, const struct ulp_write *user, u32 nr)
{
	size_t total = 0, used = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!user[i].len || user[i].len > ULP_MAX_WRITE_LEN || user[i].__reserved ||
		    user[i].addr >= TASK_SIZE_MAX ||
		    offset_in_page(user[i].addr) + user[i].len > PAGE_SIZE)
			return -EINVAL;
		total += user[i].len;
	}
	if (total > ULP_MAX_WRITE_BYTES)
		return -E2BIG;
	plan->bytes = ulp_plan_alloc(plan, 2, total);
	if (!plan->bytes)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		struct ulp_plan_write *write = &plan->writes[i];
		u8 *expected = plan->bytes + used, *bytes = expected + user[i].len;

		if (ulp_plan_copy_bytes(plan, expected, user[i].expected, user[i].len) ||
		    ulp_plan_copy_bytes(plan, bytes, user[i].bytes, user[i].len))
			return -EFAULT;
		used += 2 * user[i].len;
		write->addr = user[i].addr;
		write->len = user[i].len;
		write->index = i;
		write->expected = expected;
		write->bytes = bytes;
	}
	return 0;
}

static int ulp_plan_read_writes(struct ulp_plan *plan, const struct ulp_transact *args)
{
	struct ulp_write *user = ulp_plan_copy(plan, args->writes, args->nr_writes, sizeof(*user));
	u32 i, nr = args->nr_writes;
	int err = -ENOMEM;

	if (IS_ERR_OR_NULL(user))
		return PTR_ERR_OR_ZERO(user);
	plan->writes = ulp_plan_alloc(plan, nr, sizeof(*plan->writes));
	plan->pages = ulp_plan_alloc(plan, nr, sizeof(*plan->pages));
	if (!plan->writes || !plan->pages)
		goto out;
	err = ulp_plan_read_bytes(plan, user, nr);
	if (err)
		goto out;

	sort(plan->writes, nr, sizeof(*plan->writes), ulp_compare_writes, NULL);
	for (i = 0; i < nr; i++) {
		struct ulp_plan_write *write = &plan->writes[i];
		unsigned long page = write->addr & PAGE_MASK;

		if (i && write->addr < write[-1].addr + write[-1].len) {
			err = -EINVAL;
			goto out;
		}
		if (!plan->nr_pages || plan->pages[plan->nr_pages - 1].addr != page)
			plan->pages[plan->nr_pages++].addr = page;
		write->page = plan->nr_pages - 1;
	}
	plan->nr_writes = nr;
out:
	kvfree(user);
	return err;
}

static int ulp_plan_read_stale(struct ulp_plan *plan, const struct ulp_transact *args)
{
	struct ulp_stale *stale = ulp_plan_copy(plan, args->stale, args->nr_stale, sizeof(*stale));

	if (IS_ERR_OR_NULL(stale))
		return PTR_ERR_OR_ZERO(stale);
	plan->stale = stale;
	plan->nr_stale = args->nr_stale;
	sort(stale, plan->nr_stale, sizeof(*stale), ulp_compare_stale, NULL);
	return 0;
}

static bool ulp_subject_is_valid(const struct ulp_plan_subject *subject)
{
	const struct ulp_subject *said = &subject->said;

	return (said->action == ULP_ACTION_APPLY || said->action == ULP_ACTION_REVERT) &&
	       strnlen(said->name, sizeof(said->name)) < sizeof(said->name) &&
	       (!said->functions_size || !subject->functions[said->functions_size - 1]);
}

static int ulp_plan_read_subject(struct ulp_plan *plan, const struct ulp_transact *args)
{
	void __user *user = u64_to_user_ptr(args->subject);
	struct ulp_plan_subject *subject;
	u32 size;
	int err;

	if (!args->subject)
		return 0;
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < sizeof(subject->said))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	subject = ulp_plan_alloc(plan, 1, sizeof(*subject));
	if (!subject)
		return -ENOMEM;
	plan->subject = subject;
	err = copy_struct_from_user(&subject->said, sizeof(subject->said), user, size);
	if (err)
		return err;
	if (subject->said.functions_size > ULP_SUBJECT_FUNCTIONS)
		return -E2BIG;
	err = ulp_plan_copy_bytes(plan, subject->functions, subject->said.functions,
				  subject->said.functions_size);
	if (err)
		return err;
	return ulp_subject_is_valid(subject) ? 0 : -EINVAL;
}

/* The backend to use, 0 if the machine cannot do what was asked for. */
u32 ulp_plan_backend(u32 asked)
{
	if (asked == ULP_BACKEND_AUTO)
		return ulp_compat.task_work_add ? ULP_BACKEND_GATE : ULP_BACKEND_STOP_MACHINE;
	if (asked == ULP_BACKEND_GATE && !ulp_compat.task_work_add)
		return 0;
	return asked;
}

/* stop_machine holds everybody, not only a target that one may write to. */
bool ulp_plan_may_use(u32 backend)
{
	return backend != ULP_BACKEND_STOP_MACHINE || capable(CAP_SYS_ADMIN);
}

u64 ulp_plan_freeze_limit(u64 asked)
{
	return asked ? min_t(u64, asked, ULP_MAX_FREEZE_NS) : ULP_DEFAULT_FREEZE_NS;
}

/**
 * ulp_plan_read() - copy and check
 * @plan: zeroed; ulp_plan_free() also after a failure
 * @args: from the caller
 * @faults: of the session
 */
int ulp_plan_read(struct ulp_plan *plan, const struct ulp_transact *args,
		  struct ulp_faults *faults)
{
	int err;

	plan->faults = faults;
	plan->pid_ns = task_active_pid_ns(current);
	if ((args->flags & ~ULP_TRANSACT_FLAGS) || !args->attempts ||
	    (args->hold_ns && !(args->flags & ULP_TRANSACT_HOLD)) ||
	    args->backend > ULP_BACKEND_STOP_MACHINE)
		return -EINVAL;
	if (args->nr_ranges > ULP_MAX_RANGES || args->nr_writes > ULP_MAX_WRITES ||
	    args->nr_stale > ULP_MAX_STALE || args->stack_size > ULP_MAX_STACK)
		return -E2BIG;
	plan->flags = args->flags;
	plan->attempts = args->attempts;
	plan->retry_ns = min_t(u64, args->retry_ns, KTIME_MAX);
	plan->max_freeze_ns = ulp_plan_freeze_limit(args->max_freeze_ns);
	plan->hold_ns = args->hold_ns ? min_t(u64, args->hold_ns, ULP_MAX_HOLD_NS) :
					ULP_DEFAULT_HOLD_NS;
	plan->backend = ulp_plan_backend(args->backend);
	if (!plan->backend)
		return -EOPNOTSUPP;
	if (!ulp_plan_may_use(plan->backend))
		return -EPERM;

	err = ulp_plan_read_ranges(plan, args->ranges, args->nr_ranges);
	if (!err)
		err = ulp_plan_read_writes(plan, args);
	if (!err)
		err = ulp_plan_read_stale(plan, args);
	if (!err)
		err = ulp_plan_read_subject(plan, args);
	if (!err)
		err = ulp_universe_read(plan, args->universe);
	if (!err && args->stack && args->stack_size) {
		plan->stack = ulp_plan_alloc(plan, 1, args->stack_size);
		plan->stack_size = args->stack_size;
		err = plan->stack ? 0 : -ENOMEM;
	}
	return err;
}

void ulp_plan_free(struct ulp_plan *plan)
{
	kvfree(plan->ranges);
	kvfree(plan->writes);
	kvfree(plan->pages);
	kvfree(plan->stale);
	kvfree(plan->bytes);
	kvfree(plan->stack);
	kvfree(plan->subject);
	ulp_universe_free(plan->universe);
}
