#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# A function that is shorter than a jump: a short jump into padding, or refused by its name.
. "$(dirname "$0")/../lib.sh"

test_padding() {
	start_victim lib "$VICTIMS/victim_lib"
	expect 0 short
	apply short
	expect 12345 short
	revert short
	expect 0 short
	apply short
	expect 12345 short
	expect old\ x\ errno=0\ counter=100,7\ tls=5,3 probe x
	revert short
	expect 0 short
	end_victim
}

# Without alignment there may be no room: then no patch is made, and the
# function is named; if one is made it has to work.
test_no_padding() {
	if "$ULP_PACKER" pack -o "$WORK/short.so" -l "$O/selftests/patches/short.so" \
		-t "$VICTIMS/libvictim.Os.so" "$SELFTESTS/patches/short.dsc" \
		>"$WORK/out" 2>"$WORK/err"; then
		export LD_PRELOAD=$VICTIMS/libvictim.Os.so
		start_victim lib "$VICTIMS/victim_lib"
		unset LD_PRELOAD
		expect 0 short
		apply "$WORK/short.so"
		expect 12345 short
		expect 37 secret 5
		expect 38 hidden 5
		revert "$WORK/short.so"
		expect 0 short
		end_victim
	else
		grep -q victim_short "$WORK/err" || fail "it is not named: $(cat "$WORK/err")"
	fi
}

run_tests test_padding test_no_padding
