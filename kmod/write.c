// SPDX-License-Identifier: GPL-2.0
/*
 * Writing to pages that were made the target's own and pinned before the
 * freeze: in the window it is a comparison and a memcpy.
 */
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/string.h>
#include "compat.h"
#include "universe.h"
#include "walk.h"
#include "write.h"

static int ulp_write_pin_page(struct mm_struct *mm, unsigned long addr, struct page **page)
{
	struct vm_area_struct *vma;
	int locked = 1, err = -EFAULT;
	long ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, addr);
	if (!vma || vma->vm_start > addr ||
	    (vma->vm_flags & (VM_SHARED | VM_HUGETLB | VM_IO | VM_PFNMAP)))
		goto out;
	/* As for a debugger: copy on write whatever the protection. */
	ret = ulp_pin_user_page(mm, addr, FOLL_WRITE | FOLL_FORCE, page, &locked);
	if (ret != 1) {
		err = ret ?: -EFAULT;
		goto out;
	}
	err = 0;
	if (!PageAnon(*page)) {
		unpin_user_page(*page);
		*page = NULL;
		err = -EFAULT;
	}
out:
	if (locked)
		mmap_read_unlock(mm);
	return err;
}

static int ulp_pages_pin(struct ulp_plan_page *pages, u32 nr, struct mm_struct *mm,
			 struct ulp_faults *faults)
{
	int err = 0;
	u32 i;

	for (i = 0; !err && i < nr; i++) {
		err = -EFAULT;
		if (!ulp_fault(faults, ULP_FAULT_PIN))
			err = ulp_write_pin_page(mm, pages[i].addr, &pages[i].page);
	}
	return err;
}

static void ulp_pages_unpin(struct ulp_plan_page *pages, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		if (pages[i].page)
			unpin_user_pages_dirty_lock(&pages[i].page, 1, true);
		pages[i].page = NULL;
	}
}

/**
 * ulp_write_pin() - make each page that is written to the target's own, and pin it
 * @plan: with no page pinned
 * @mm: the target's address space
 *
 * Sleeps.  Return: 0, or -EINTR, -EFAULT, -ENOMEM with no page pinned.
 */
int ulp_write_pin(struct ulp_plan *plan, struct mm_struct *mm)
{
	struct ulp_plan_universe *universe = plan->universe;
	int err = ulp_pages_pin(plan->pages, plan->nr_pages, mm, plan->faults);
	u32 i;

	for (i = 0; universe && i < ULP_UNIVERSE_PAGES; i++)
		universe->pages[i].addr = universe->table + i * PAGE_SIZE;
	if (!err && universe)
		err = ulp_pages_pin(universe->pages, ULP_UNIVERSE_PAGES, mm, plan->faults);
	if (err)
		ulp_write_unpin(plan);
	return err;
}

void ulp_write_unpin(struct ulp_plan *plan)
{
	ulp_pages_unpin(plan->pages, plan->nr_pages);
	if (plan->universe)
		ulp_pages_unpin(plan->universe->pages, ULP_UNIVERSE_PAGES);
}

/* Whether the target has still the pinned pages where they were; @at is the first not. */
static bool ulp_pages_check(const struct ulp_plan_page *pages, u32 nr, struct mm_struct *mm,
			    u32 *at)
{
	struct vm_area_struct *vma;
	struct ulp_spot spot;
	bool same = true;
	u32 i;

	rcu_read_lock();
	for (i = 0; same && i < nr; i++) {
		*at = i;
		vma = find_vma(mm, pages[i].addr);
		same = vma && vma->vm_start <= pages[i].addr &&
		       ulp_walk(mm, pages[i].addr, &spot) == ULP_WALK_HERE &&
		       spot.pfn == page_to_pfn(pages[i].page);
	}
	rcu_read_unlock();
	return same;
}

static u32 ulp_write_first_of_page(const struct ulp_plan *plan, u32 page)
{
	u32 i = 0;

	while (i < plan->nr_writes - 1 && plan->writes[i].page != page)
		i++;
	return plan->writes[i].index;
}

static u32 ulp_first_difference(const u8 *a, const u8 *b)
{
	u32 i = 0;

	while (a[i] == b[i])
		i++;
	return i;
}

/**
 * ulp_write_verify() - does every write find its page and its expected bytes?
 * @plan: with its pages pinned
 * @mm: with the mmap lock held for reading
 * @faults: fault points, NULL outside the window
 * @verdict: tells which does not
 *
 * Never faults, never sleeps.  Return: enum ulp_reason.
 */
u32 ulp_write_verify(const struct ulp_plan *plan, struct mm_struct *mm,
		     struct ulp_faults *faults, struct ulp_verdict *verdict)
{
	u32 i, page;

	verdict->reason = ULP_REASON_NONE;
	if (!ulp_pages_check(plan->pages, plan->nr_pages, mm, &page)) {
		verdict->reason = ULP_REASON_PAGE;
		verdict->write = ulp_write_first_of_page(plan, page);
		return verdict->reason;
	}
	if (plan->universe &&
	    !ulp_pages_check(plan->universe->pages, ULP_UNIVERSE_PAGES, mm, &page))
		return verdict->reason = ULP_REASON_PAGE;
	for (i = 0; i < plan->nr_writes; i++) {
		const struct ulp_plan_write *write = &plan->writes[i];
		const u8 *memory = page_address(plan->pages[write->page].page) +
				   offset_in_page(write->addr);

		verdict->write = write->index;
		if (ulp_fault(faults, ULP_FAULT_PAGE)) {
			verdict->reason = ULP_REASON_PAGE;
			break;
		}
		if (memcmp(memory, write->expected, write->len)) {
			verdict->reason = ULP_REASON_BYTES;
			verdict->value = ulp_first_difference(memory, write->expected);
			break;
		}
		if (ulp_fault(faults, ULP_FAULT_BYTES)) {
			verdict->reason = ULP_REASON_BYTES;
			verdict->value = 0;
			break;
		}
	}
	return verdict->reason;
}

/* In the window, after ulp_write_verify(): cannot fail. */
void ulp_write_all(const struct ulp_plan *plan)
{
	u32 i;

	for (i = 0; i < plan->nr_writes; i++) {
		const struct ulp_plan_write *write = &plan->writes[i];
		u8 *memory = page_address(plan->pages[write->page].page);

		memcpy(memory + offset_in_page(write->addr), write->bytes, write->len);
	}
}
