// SPDX-License-Identifier: GPL-2.0
/*
 * Page-table walk without locks, the way of the kernel's fast
 * get_user_pages(): each entry is read once.  No reference is taken to what is
 * found; who reads the memory asks afterwards whether the entry is still the
 * same.
 */
#include <linux/pgtable.h>
#include "walk.h"

enum { ULP_LEVEL_PTE, ULP_LEVEL_PMD, ULP_LEVEL_PUD };

static enum ulp_walk ulp_walk_none(unsigned long addr, unsigned long size,
				   struct ulp_spot *spot)
{
	spot->end = (addr & ~(size - 1)) + size;
	return ULP_WALK_NONE;
}

static enum ulp_walk ulp_walk_here(unsigned long addr, unsigned long pfn, void *entry,
				   int level, struct ulp_spot *spot)
{
	if (!pfn_valid(pfn))
		return ULP_WALK_BAD;
	spot->end = (addr & PAGE_MASK) + PAGE_SIZE;
	spot->pfn = pfn;
	spot->memory = pfn_to_kaddr(pfn) + offset_in_page(addr);
	spot->entry = entry;
	spot->level = level;
	return ULP_WALK_HERE;
}

enum ulp_walk ulp_walk(struct mm_struct *mm, unsigned long addr, struct ulp_spot *spot)
{
	pgd_t *pgdp = pgd_offset(mm, addr);
	p4d_t *p4dp;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep, pte;

	spot->end = addr;
	if (pgd_none(READ_ONCE(*pgdp)))
		return ulp_walk_none(addr, PGDIR_SIZE, spot);
	p4dp = p4d_offset(pgdp, addr);
	if (p4d_none(READ_ONCE(*p4dp)))
		return ulp_walk_none(addr, P4D_SIZE, spot);

	pudp = pud_offset(p4dp, addr);
	pud = READ_ONCE(*pudp);
	if (pud_none(pud))
		return ulp_walk_none(addr, PUD_SIZE, spot);
	if (!pud_present(pud))
		return ULP_WALK_AWAY;
	if (pud_leaf(pud))
		return ulp_walk_here(addr, pud_pfn(pud) + ((addr & ~PUD_MASK) >> PAGE_SHIFT),
				     pudp, ULP_LEVEL_PUD, spot);
	if (pud_bad(pud))
		return ULP_WALK_BAD;

	pmdp = pmd_offset(&pud, addr);
	pmd = READ_ONCE(*pmdp);
	if (pmd_none(pmd))
		return ulp_walk_none(addr, PMD_SIZE, spot);
	if (!pmd_present(pmd))
		return ULP_WALK_AWAY;
	if (pmd_leaf(pmd))
		return ulp_walk_here(addr, pmd_pfn(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT),
				     pmdp, ULP_LEVEL_PMD, spot);
	if (pmd_bad(pmd))
		return ULP_WALK_BAD;

	ptep = pte_offset_kernel(&pmd, addr);
	pte = READ_ONCE(*ptep);
	if (pte_none(pte))
		return ulp_walk_none(addr, PAGE_SIZE, spot);
	if (!pte_present(pte))
		return ULP_WALK_AWAY;
	if (pte_special(pte) && !is_zero_pfn(pte_pfn(pte)))
		return ULP_WALK_BAD;
	return ulp_walk_here(addr, pte_pfn(pte), ptep, ULP_LEVEL_PTE, spot);
}

/*
 * Whether the page that was found is still mapped there, so that what was read
 * from it was the user's memory.
 */
bool ulp_walk_same(const struct ulp_spot *spot)
{
	pud_t pud;
	pmd_t pmd;
	pte_t pte;

	/* The memory was read before the entry is read again. */
	smp_rmb();
	switch (spot->level) {
	case ULP_LEVEL_PUD:
		pud = READ_ONCE(*(pud_t *)spot->entry);
		return pud_present(pud) && pud_leaf(pud) &&
		       spot->pfn - pud_pfn(pud) < PTRS_PER_PMD * PTRS_PER_PTE;
	case ULP_LEVEL_PMD:
		pmd = READ_ONCE(*(pmd_t *)spot->entry);
		return pmd_present(pmd) && pmd_leaf(pmd) &&
		       spot->pfn - pmd_pfn(pmd) < PTRS_PER_PTE;
	default:
		pte = READ_ONCE(*(pte_t *)spot->entry);
		return pte_present(pte) && pte_pfn(pte) == spot->pfn;
	}
}
