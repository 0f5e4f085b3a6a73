#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
#
# Process 1 of the machine is patched like any other.
. "$(dirname "$0")/../lib.sh"

test_process_1() {
	[ "$(readlink /proc/1/exe)" = "$VICTIMS/victim_init" ] ||
		skip "process 1 is $(readlink /proc/1/exe)"
	VICTIM=init
	PID[init]=1
	exec {to}<>/run/ulp/init.to {from}<>/run/ulp/init.from
	TO[init]=$to
	FROM[init]=$from
	# what it said when the machine was started is there still
	hear
	[ "$REPLY" = ready ] || fail "process 1 said '$REPLY'"
	for _ in 1 2 3; do
		expect 42 answer 0
		apply init
		expect 1000 answer 0
		refused apply 0 already-applied init
		tool 0 patches --json -p 1
		json processes.0.pid=1 processes.0.objects.0.patches.0.file=init \
			processes.0.objects.0.patches.0.active=true
		revert init
	done
	expect 42 answer 0
	# and it goes on with its job
	(sh -c 'exit 3 & echo $!' >"$WORK/orphan")
	loop_until test ! -e "/proc/$(cat "$WORK/orphan")"
}

run_tests test_process_1
