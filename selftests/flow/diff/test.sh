#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# Patches made of object pairs, applied by the module: a flavour or two of each case,
# those that its source names by "VM".  unit/diff_cases.sh has them all.
. "$(dirname "$0")/../../lib.sh"
. "$(dirname "$0")/cases.lib"

chosen_cases() {
	local file flavour
	for file in "$SELFTESTS"/flow/diff/cases/*.c*; do
		for flavour in $(sed -n 's/^ \* VM //p' "$file"); do
			file=$(basename "$file")
			echo "${file%.*}.$flavour"
		done
	done
}

mapfile -t all < <(chosen_cases)
run_cases "${all[@]}"
