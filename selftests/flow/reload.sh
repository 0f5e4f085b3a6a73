#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# The module can go and come while patched processes live on.
. "$(dirname "$0")/../lib.sh"

test_reload() {
	start_victim lib "$VICTIMS/victim_lib"
	start_victim stack "$VICTIMS/victim_stack"
	ask enter wait
	VICTIM=lib
	apply answer
	VICTIM=stack
	apply answer
	rmmod ulp || fail "rmmod"
	[ ! -e /dev/ulp ] || fail "/dev/ulp is still there"
	VICTIM=lib expect 1000 answer 0
	# looking needs no module
	tool 0 patches --json -p "${PID[lib]}"
	json processes.0.objects.0.patches.0.active=true
	tool 0 check --json -p "${PID[lib]}" "$PATCHES/answer.so"
	VICTIM=lib refused revert 1 module-missing answer
	VICTIM=lib expect 1000 answer 0
	insmod "$ULP_KO" || fail "insmod"
	loop_until test -c /dev/ulp
	VICTIM=lib revert answer
	VICTIM=lib expect 42 answer 0
	VICTIM=lib apply answer
	VICTIM=lib expect 1000 answer 0
	VICTIM=stack revert answer
	VICTIM=stack expect 42 answer 0
	VICTIM=stack expect 1120 leave
	VICTIM=stack end_victim
	VICTIM=lib end_victim
}

run_tests test_reload
