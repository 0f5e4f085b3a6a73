/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Proofs: is the word that was found on a thread's stack a return address?
 */
#ifndef LIBULP_PROVE_H
#define LIBULP_PROVE_H

#include "unwind.h"

#define ULP_PROOF_STACK		(32 * 1024)	/* bytes copied by the module */
#define ULP_PROOF_STALE		4096		/* most words of one transaction */

/**
 * struct ulp_proof - what is known of the threads that were in the way
 * @cfi: unwind tables, NULL until needed
 * @nr_stale: of @stale
 * @stale: for the next transaction
 * @regs: of the last thread in the way, filled by the module
 * @stack: copy of its stack
 * @unwind: its frames
 * @walked: @unwind is of the last thread in the way
 * @live: index of the frame that is in a range, -1 none
 */
struct ulp_proof {
	struct ulp_cfi *cfi;
	size_t nr_stale;
	struct ulp_stale *stale;
	struct ulp_regs regs;
	uint8_t *stack;
	struct ulp_unwind unwind;
	bool walked;
	ssize_t live;
};

int ulp_proof_init(struct ulp_proof *proof);
void ulp_proof_free(struct ulp_proof *proof);
/* Unwinds the thread that @t was refused for, if the module gave its registers. */
int ulp_proof_walk(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t);
/*
 * Return: 1 the words in its way are proven stale, a transaction with
 * proof->stale may succeed; 0 they are not; -ESTALE the target has to be looked
 * at again; -errno.
 */
int ulp_proof_make(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t);
/* Whether @t was refused for a thread that was proven before and has run since. */
bool ulp_proof_is_lost(const struct ulp_proof *proof, const struct ulp_transact *t);

/* blocker.c: fills the result and says it in words; -ULP_E_BUSY */
int ulp_plan_blocked(struct ulp_plan *plan, struct ulp_proof *proof, const struct ulp_transact *t);

#endif /* LIBULP_PROVE_H */
