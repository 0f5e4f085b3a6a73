#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 120
#
# Exceptions, cancellation and backtraces from, to and through the code of a
# patch, in a process that knows nothing of it.
. "$(dirname "$0")/../lib.sh"

old_answers() {
	expect 4 risk 4
	expect "caught old" risk 200
	expect "$1" pass 20
	expect 6 trace 5
	expect -9 guard 11
}

new_answers() {
	expect 8 risk 4
	expect "caught new" risk 20
	expect 1005 pass 5
	expect "caught callback, cleaned $1" pass 20
	expect 1006 guard 3
	expect -2000 guard 11
	expect -1000 guard -1
	expect 1005 trace 5
	expect "cancelled, cleaned 1" cancel
	expect 1 listed exceptions
}

# residents - how many mappings of it the victim has
residents() {
	grep -c 'memfd:ulp\.resident' "/proc/${PID[$VICTIM]}/maps"
}

# Nothing was thrown yet: ld.so has not bound what the unwinder calls.
test_never_thrown() {
	start_victim cxx "$VICTIMS/victim_cxx"
	apply exceptions
	new_answers 2
	[ "$(residents)" -eq 3 ] || fail "$(residents) mappings of the resident"
	end_victim
}

test_reverted() {
	start_victim cxx "$VICTIMS/victim_cxx"
	old_answers "caught callback, cleaned 0"
	expect "cancelled, cleaned 0" cancel
	expect 0 listed exceptions
	apply exceptions
	new_answers 2
	revert exceptions
	old_answers "caught callback, cleaned 7"
	# the image stays, is known already, and is used again
	apply exceptions
	new_answers 9
	expect 0 listed other
	[ "$(residents)" -eq 3 ] || fail "$(residents) mappings of the resident"
	end_victim
}

# A second patch finds the resident that the first has left.
test_second_patch() {
	start_victim cxx "$VICTIMS/victim_cxx"
	apply cxx
	expect "402 16000 32000 2" area 4
	expect 1 listed cxx
	expect -9 guard 11
	apply exceptions
	new_answers 2
	expect 1 listed cxx
	[ "$(residents)" -eq 3 ] || fail "$(residents) mappings of the resident"
	end_victim
}

# The resident is data of a process that may lie: damaged, it is not believed.
test_damaged_resident() {
	local at
	start_victim cxx "$VICTIMS/victim_cxx"
	apply cxx
	at=$(sed -n 's/^\([0-9a-f]*\)-.* r--p .*memfd:ulp\.resident.*/\1/p' \
		"/proc/${PID[$VICTIM]}/maps" | head -n 1)
	# head.table, behind magic, version, size and code
	poke $((0x$at + 24)) '\xff\xff\xff\xff'
	apply exceptions
	expect 8 risk 4
	expect "caught new" risk 20
	[ "$(residents)" -eq 6 ] || fail "$(residents) mappings of the resident"
	end_victim
}

# A library that is loaded twice has two images, which one apply tells the resident.
test_loaded_twice() {
	local lib=$VICTIMS/libvictim_cxx.so
	start_victim open "$VICTIMS/victim_dlopen"
	expect "$lib" open a "$lib"
	expect "$lib" mopen b "$lib"
	tool 0 apply --json -p "${PID[open]}" "$PATCHES/cxx.so"
	json results.0.status=success
	[ "$(residents)" -eq 3 ] || fail "$(residents) mappings of the resident"
	# each has its stubs and its code
	[ "$(grep -c 'r-xp.*memfd:ulp-cxx' "/proc/${PID[open]}/maps")" -eq 4 ] ||
		fail "not two images"
	revert cxx
	end_victim
}

# Programs without exceptions get nothing of it.
test_not_needed() {
	start_victim lib "$VICTIMS/victim_lib"
	apply answer
	expect 1000 answer 0
	[ "$(residents)" -eq 0 ] || fail "$(residents) mappings of the resident"
	end_victim
}

run_tests test_never_thrown test_reverted test_second_patch test_damaged_resident \
	test_loaded_twice test_not_needed
