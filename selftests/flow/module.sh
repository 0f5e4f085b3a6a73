#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The module comes and goes, as release and as debug build.  That the kernel
# log stays clean is looked after by selftests/run.
#
# timeout: 120
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || { echo "not root"; exit 4; }

gone() {
	[ ! -e /sys/module/ulp ] && [ ! -e /dev/ulp ]
}

unload() {
	[ ! -e /sys/module/ulp ] || rmmod ulp || fail "rmmod ulp"
	loop_until gone
}

# load FILE [PARAMETER...] - and look at what it has made
load() {
	insmod "$@" || fail "insmod $*"
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

# on_poorer_kernel BACKEND PARAMETER - where that parameter holds, which leaves
# BACKEND as the default
on_poorer_kernel() {
	unload
	load "${ULP_KO%/kmod/*}/kmod-debug/ulp.ko" "$2"
	json "module.default_backend=$1"
	start_victim lib "$VICTIMS/victim_lib"
	expect "hammering 8" hammer 8
	apply outer
	revert outer
	apply outer --backend stop-machine
	revert outer
	expect "old=1 new=1 mixed=0" unhammer
	expect 0x10102 outer
	end_victim
	# gates that cannot be cancelled die with the victim's threads
	loop_until rmmod ulp 2>/dev/null
	unload
}

test_task_work_add_looked_up() {
	on_poorer_kernel gate force_no_task_work_export=1
}

test_no_cancel() {
	on_poorer_kernel gate force_no_cancel=1
}

test_no_gate() {
	on_poorer_kernel stop-machine force_no_gate=1
}

# What the sensor is made of is missing: told so, and nothing is held.
test_no_sensor() {
	unload
	load "${ULP_KO%/kmod/*}/kmod-debug/ulp.ko" force_no_gate=1
	! grep -q '"sensor"' "$WORK/out" || fail "status lists a sensor"
	tool 1 daemon --list="$WORK/enabled"
	grep -q "no sensor" "$WORK/err" || fail "$(cat "$WORK/err")"
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

run_tests test_release test_debug test_task_work_add_looked_up test_no_cancel test_no_gate \
	test_no_sensor test_again_and_again test_in_use test_missing
