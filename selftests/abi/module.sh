#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The module on kernels that have less to offer, by the parameters of the debug
# build, and its unloading while gates are pending.
#
# timeout: 400
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || { echo "not root"; exit 4; }
DEBUG_KO=${DEBUG_KO:-${ULP_KO%/kmod/*}/kmod-debug/ulp.ko}
ABI=$O/selftests/abi

unload() {
	[ ! -e /sys/module/ulp ] || rmmod ulp
}

load() {
	unload || fail "rmmod ulp"
	insmod "$DEBUG_KO" "$@" || fail "insmod $DEBUG_KO $*"
	loop_until test -c /dev/ulp
}

passes() {
	"$@" >"$WORK/log" 2>&1 || fail "$* fails: $(grep -v '^ok' "$WORK/log")"
}

test_look_up() {
	load force_no_task_work_export=1
	start_victim pending "$ABI/pending"
	expect 0 patch
	expect 1 backend
	end_victim
	passes "$ABI/test_freeze"
	unload || fail "rmmod"
}

test_no_gate() {
	load force_no_gate=1
	start_victim pending "$ABI/pending"
	expect 0 patch
	expect 2 backend
	end_victim
	passes "$ABI/test_plan"
	passes "$ABI/test_universe"
	unload || fail "rmmod"
}

# Gates that were cancelled keep nothing.
test_unload_with_sleepers() {
	load
	start_victim pending "$ABI/pending"
	expect 0 patch
	expect 1 backend
	unload || fail "rmmod while threads sleep"
	expect awake wake
	end_victim
}

# Where they cannot be cancelled the module stays until the threads woke up.
test_unload_without_cancel() {
	load force_no_cancel=1
	start_victim pending "$ABI/pending"
	expect 0 patch
	expect 0 patch
	rmmod ulp 2>/dev/null && fail "unloaded under pending gates"
	expect awake wake
	end_victim
	loop_until unload 2>/dev/null
}

# still_used WHY - it cannot be unloaded
still_used() {
	! rmmod ulp 2>"$WORK/log" || fail "unloaded $1"
	grep -q 'in use' "$WORK/log" || fail "rmmod $1: $(cat "$WORK/log")"
}

# Sessions and held threads keep it.
test_unload_in_use() {
	load "$@"
	start_victim pending "$ABI/pending"
	expect 0 session
	still_used "under a session"
	expect held hold
	still_used "under a thread that is held"
	expect closed close
	expect awake wake
	end_victim
	loop_until unload 2>/dev/null
}

test_unload_in_use_without_cancel() {
	test_unload_in_use force_no_cancel=1
}

# Killed with gates that wait for it.
test_death_without_cancel() {
	load force_no_cancel=1
	start_victim pending "$ABI/pending"
	expect 0 patch
	end_victim
	loop_until unload 2>/dev/null
}

run_tests test_look_up test_no_gate test_unload_with_sleepers test_unload_without_cancel \
	test_unload_in_use test_unload_in_use_without_cancel test_death_without_cancel
