#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 600
#
# Patches made of object pairs: each case answers as its source says, without the
# patch, with it, and after the revert.  See flow/diff/cases/case.h.  What counts is
# what is in the patch, so it is applied by ptrace, on this machine, without the module.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../flow/diff/cases.lib"
ULP_TOOL=$O/selftests/bench/ulp-tool-ptrace

# processes that are no children of ours
if [ "$(id -u)" != 0 ] && [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null)" != 0 ]; then
	echo "1..0 # SKIP not root, and ptrace is for children only"
	exit 4
fi

mapfile -t all < <(cd "$CASES" && printf '%s\n' *.*/ | tr -d /)
run_cases "${all[@]}"
