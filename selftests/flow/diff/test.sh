#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 900
#
# Patches made of object pairs: each case answers as its source says, without the
# patch, with it, and after the revert.  See cases/case.h; build made them.
. "$(dirname "$0")/../../lib.sh"

CASES=$O/selftests/flow/diff

# asked CASE COLUMN - all questions of a case, and its answers of that column
asked() {
	local line question
	local -a fields
	while IFS= read -r line; do
		IFS='|' read -r -a fields <<<"${line# \* ASK }"
		question=${fields[0]}
		line=${fields[$2]# }
		# shellcheck disable=SC2086
		expect "${line%"${line##*[! ]}"}" ${question}
	done < <(grep -h '^ \* ASK ' "$SELFTESTS/flow/diff/cases/$1".c*)
}

answers() {
	local case=${1%%.*}
	[ -e "$CASES/$1/patch.so" ] || fail "$1: there is no patch: $(cat "$CASES/$1/said")"
	start_victim "$case" "$CASES/$1/victim"
	asked "$case" 1
	apply "$CASES/$1/patch.so"
	asked "$case" 2
	revert "$CASES/$1/patch.so"
	asked "$case" 3
	end_victim
}

all=()
for dir in "$CASES"/*/; do
	dir=$(basename "$dir")
	name=test_${dir//[.-]/_}
	eval "$name() { answers $dir; }"
	all+=("$name")
done
[ ${#all[@]} -gt 0 ] || { echo "no cases in $CASES: make selftests" >&2; exit 1; }

run_tests "${all[@]}"
