/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ulp-packer diff: pairs of relocatable objects to a patch container.  "build"
 * makes the pairs by compiling.
 */
#ifndef PACKER_DIFF_H
#define PACKER_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

/*
 * struct diff_pair - one translation unit, compiled before and after the change,
 *	both with -ffunction-sections -fdata-sections and else as it was shipped
 * @name: for messages: the source file; NULL: @patched, or else @orig
 * @orig: path of the object as shipped; NULL: the change adds this unit
 * @patched: path of the object with the change; NULL: the change removes it; the path
 *	@orig: the unit does not change, and tells where things are that others use
 * @maybe: it is not known whether the target has this unit: left out, with a note,
 *	if nothing of it is found there
 */
struct diff_pair {
	const char *name;
	const char *orig, *patched;
	bool maybe;
};

/*
 * struct diff_target - one object that is patched
 * @path: of the binary that runs
 * @debug: path of its separate debug file; NULL: what a debugger would find; "": none
 * @twin: path of the unstripped output of the recorded build, or NULL.  It is
 *	used if it is the target's twin (same build-id, or the same code at the
 *	same addresses), else it only tells what the target keeps to itself.
 * @pairs: its units that the change reaches
 * @nr_pairs: number of them
 * @symbolic: it was linked with -Bsymbolic-functions; what the target tells comes first
 */
struct diff_target {
	const char *path, *debug, *twin;
	const struct diff_pair *pairs;
	size_t nr_pairs;
	bool symbolic;
};

/*
 * struct diff_request - what to make
 * @targets: all that the patch is for; those in which nothing changes are left out,
 *	with a note
 * @nr_targets: number of them, not 0
 * @out: path of the container; "DIR/": one for each target, DIR/BUILD-ID.so
 * @comment: lines for people; CVE-..., bsc#... and jsc#... in them become labels;
 *	NULL: none
 * @labels: more labels (at most 64 characters each, no control characters)
 * @nr_labels: number of them
 * @options: how; without a name it is that of @out
 */
struct diff_request {
	const struct diff_target *targets;
	size_t nr_targets;
	const char *out, *comment;
	const char *const *labels;
	size_t nr_labels;
	const struct options *options;
};

/*
 * Returns EXIT_MADE, EXIT_FAILED (the reason was printed), or EXIT_NOTHING when
 * no pairs differ in code.  May be called several times.
 */
int diff_make(const struct diff_request *request);

#endif /* PACKER_DIFF_H */
