/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Looking at user memory through its page tables: no fault, no lock.
 */
#ifndef ULP_WALK_H
#define ULP_WALK_H

#include <linux/mm.h>

/**
 * enum ulp_walk - what the page tables say about an address
 * @ULP_WALK_NONE: nothing is there, up to ulp_spot.end
 * @ULP_WALK_AWAY: swapped out or being migrated
 * @ULP_WALK_HERE: ulp_spot.memory is its page, up to ulp_spot.end
 * @ULP_WALK_BAD: no normal memory
 */
enum ulp_walk {
	ULP_WALK_NONE,
	ULP_WALK_AWAY,
	ULP_WALK_HERE,
	ULP_WALK_BAD,
};

/**
 * struct ulp_spot - result of a walk
 * @end: first address it does not speak of; at most the end of the page if
 *	something is there
 * @pfn: page frame
 * @memory: the address asked for, in the kernel's direct mapping
 * @entry: page table entry, for ulp_walk_same()
 * @level: its level, 0 for the lowest
 */
struct ulp_spot {
	unsigned long end;
	unsigned long pfn;
	const void *memory;
	void *entry;
	int level;
};

/*
 * Both need an RCU read-side section, the mmap lock held, and the address in a
 * mapping that was found under it: munmap() frees the page tables of what it has
 * taken out of the tree with the lock held for reading only.
 */
enum ulp_walk ulp_walk(struct mm_struct *mm, unsigned long addr, struct ulp_spot *spot);
bool ulp_walk_same(const struct ulp_spot *spot);

#endif /* ULP_WALK_H */
