// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-packer diff: pairs of relocatable objects to a patch container
 */
#include "diff.h"
#include "packer.h"

int diff_make(const struct diff_request *request)
{
	error("%s: this version cannot compare objects", request->target);
	return EXIT_FAILED;
}
