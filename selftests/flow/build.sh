#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# From a source diff to a running process: its program is stripped, its state stays,
# and it is what it was after the revert.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../unit/build.lib"

test_program() {
	project
	ship
	start_victim prog "$SHIPPED"
	expect "31 2 6" 10
	expect "32 2 6" 10
	fix CVE-2026-4711.diff <<-'END'
	sed -i 's/return x . FACTOR/if (x > 10)\n\t\treturn -calls;\n\t&/' src/a.c
	sed -i 's/STEP 5/STEP 6/' src/b.h
	END
	build 0 --diff CVE-2026-4711.diff -o out.so -- make -j2
	functions answer other
	apply "$WORK/out.so"
	expect "33 2 7" 10
	expect "-4 2 7" 11
	tool 0 patches --json -p "${PID[$VICTIM]}"
	json processes.0.objects.0.patches.0.labels.0=CVE-2026-4711
	revert "$WORK/out.so"
	expect "38 2 6" 11
	apply "$WORK/out.so"
	expect "-6 2 7" 11
	end_victim
}

# The one-click way: the program that make left here is the one that runs.
test_make() {
	local patch
	project
	make -s -C "$PROJ" >/dev/null || fail "make"
	start_victim prog "$PROJ/prog"
	expect "31 2 6" 10
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	(cd "$PROJ" && "$ULP_PACKER" make -i fix "$WORK/fix.diff") >"$WORK/out" 2>"$WORK/err" ||
		fail "$(cat "$WORK/out" "$WORK/err")"
	patch=$(echo "$PROJ"/patchroot/*.so)
	apply "$patch"
	expect "32 2 7" 10
	revert "$patch"
	expect "33 2 6" 10
	end_victim
}

run_tests test_program test_make
