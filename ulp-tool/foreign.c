// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Words that users of other live patching tools know: what another program of ours
 * does, and what there is nothing to do for.  Documentation/coming-from.rst has all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmds.h"

static const struct {
	const char *word, *answer;
} answers[] = {
	{ "extract",
	  "nothing needs it: a patch is made against the file itself, or its debug file; see "
	  "\"ulp-packer pack --help\"" },
	{ "livepatchable",
	  "any x86-64 program or library with a build-id is; \"ulp-packer pack\" names "
	  "functions that are not" },
	{ "pack", "stands first, before its options, which are ulp-packer's" },
	{ "packer", "stands first, before its options, which are ulp-packer's" },
	{ "post", "nothing to be done: libraries are patched as their compiler made them" },
	{ "reverse",
	  "nothing to be made: \"revert\" takes the file of the patch itself, or its id" },
};

const char *foreign_answer(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		if (!strcmp(word, answers[i].word))
			return answers[i].answer;
	return NULL;
}

/* The rest of the line is ulp-packer's, with options of its own. */
void foreign_packer(int argc, char **argv)
{
	char packer[] = "ulp-packer", pack[] = "pack";

	if (argc < 2 || (strcmp(argv[1], "pack") != 0 && strcmp(argv[1], "packer") != 0))
		return;
	argv[0] = packer;
	argv[1] = pack;
	execvp(packer, argv);
	fprintf(stderr, "ulp-tool: %s: %s; it is installed with ulp-tool, or build/packer/ulp-packer\n",
		packer, strerror(errno));
	exit(1);
}
