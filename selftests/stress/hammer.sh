#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# Apply and revert 200 times under 8 threads that call the functions all the time.
. "$(dirname "$0")/../lib.sh"

test_hammer() {
	local before
	start_victim lib "$VICTIMS/victim_lib"
	cycles outer 1
	before=$(images)
	expect "hammering 8" hammer 8
	cycles outer "$(scaled 200)"
	expect "old=1 new=1 mixed=0" unhammer
	[ "$(images)" -eq "$before" ] || fail "$before mappings of images became $(images)"
	expect 0x10102 outer
	end_victim
}

# The same memory after one cycle and after many.
test_maps_do_not_grow() {
	local before after
	start_victim lib "$VICTIMS/victim_lib"
	cycles outer 1
	before=$(wc -l <"/proc/${PID[lib]}/maps")
	cycles outer "$(scaled 50)"
	after=$(wc -l <"/proc/${PID[lib]}/maps")
	[ "$after" -eq "$before" ] || fail "$before mappings became $after"
	end_victim
}

test_hammer_stop_machine() {
	start_victim lib "$VICTIMS/victim_lib"
	expect "hammering 8" hammer 8
	for _ in $(seq "$(scaled 10)"); do
		apply outer --backend stop-machine
		revert outer --backend stop-machine
	done
	expect "old=1 new=1 mixed=0" unhammer
	end_victim
}

run_tests test_hammer test_maps_do_not_grow test_hammer_stop_machine
