#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The module comes and goes, as release and as debug build.  That the kernel
# log stays clean is looked after by selftests/run.
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || { echo "not root"; exit 4; }

gone() {
	[ ! -e /sys/module/ulp ] && [ ! -e /dev/ulp ]
}

unload() {
	[ ! -e /sys/module/ulp ] || rmmod ulp || fail "rmmod ulp"
	loop_until gone
}

# load FILE - and look at what it has made
load() {
	insmod "$1" || fail "insmod $1"
	loop_until test -c /dev/ulp
	[ "$(stat -c '%U %a' /dev/ulp)" = "root 600" ] || fail "/dev/ulp: $(stat -c '%U %a' /dev/ulp)"
	tool 0 status --json
}

test_release() {
	unload
	load "$ULP_KO"
	insmod "$ULP_KO" 2>/dev/null && fail "loaded twice"
	unload
}

test_debug() {
	unload
	load "${ULP_KO%/kmod/*}/kmod-debug/ulp.ko"
	unload
}

test_again_and_again() {
	for _ in $(seq "$(scaled 5)"); do
		load "$ULP_KO"
		unload
	done
}

test_in_use() {
	load "$ULP_KO"
	exec {device}<>/dev/ulp
	rmmod ulp 2>/dev/null && fail "unloaded under an open file"
	exec {device}>&-
	unload
}

test_missing() {
	unload
	tool 1 status
	start_victim lib "$VICTIMS/victim_lib"
	refused apply 1 module-missing answer
	expect 42 answer 0
	end_victim
}

run_tests test_release test_debug test_again_and_again test_in_use test_missing
