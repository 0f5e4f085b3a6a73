#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 300
#
# A suspended coroutine is on no thread's stack: its memory is scanned for it.
. "$(dirname "$0")/../lib.sh"

# an emulated machine is slow, and the scan is in the frozen window
LONG=(--max-freeze 5000000 --retries 2)

test_inside() {
	start_victim coroutine "$VICTIMS/victim_coroutine"
	expect suspended enter inside
	refused apply 3 busy busy "${LONG[@]}"
	json results.0.blocker.function=victim_call results.0.blocker.slot
	grep -q 'suspended context' "$WORK/out" || fail "$(cat "$WORK/out")"
	refused apply 3 busy busy "${LONG[@]}" --scan-memory always
	expect 7 leave
	apply busy "${LONG[@]}"
	expect suspended enter inside
	refused revert 3 busy busy "${LONG[@]}"
	expect 2007 leave
	revert busy "${LONG[@]}"
	end_victim
}

test_inside_stop_machine() {
	start_victim coroutine "$VICTIMS/victim_coroutine"
	expect suspended enter inside
	refused apply 3 busy busy "${LONG[@]}" --backend stop-machine
	expect 7 leave
	apply busy "${LONG[@]}" --backend stop-machine
	end_victim
}

# A thread's stack without a guard page does not hide what is below it.
test_below_a_stack() {
	start_victim coroutine "$VICTIMS/victim_coroutine"
	expect started thread
	expect suspended enter inside
	refused apply 3 busy busy "${LONG[@]}"
	json results.0.blocker.function=victim_call
	expect 7 leave
	apply busy "${LONG[@]}"
	end_victim
}

test_elsewhere() {
	start_victim coroutine "$VICTIMS/victim_coroutine"
	expect suspended enter elsewhere
	apply busy "${LONG[@]}"
	expect 0 leave
	revert busy "${LONG[@]}"
	end_victim
}

# Who knows better may say so; the coroutine goes on in the old function.
test_never() {
	start_victim coroutine "$VICTIMS/victim_coroutine"
	expect suspended enter inside
	apply busy "${LONG[@]}" --scan-memory=never
	expect 7 leave
	expect suspended enter inside
	expect 2007 leave
	end_victim
}

# A program without contexts is not scanned unless that is asked for.
test_always() {
	start_victim lib "$VICTIMS/victim_lib"
	apply answer
	revert answer
	apply answer "${LONG[@]}" --scan-memory always
	expect 1000 answer 0
	end_victim
}

# Contexts that do not show in the program: then the patch says so, and it counts for the
# apply as for the revert, unless the user knows better.
test_patch_says_so() {
	start_victim own "$VICTIMS/victim_coroutine.own"
	expect suspended enter inside
	apply busy "${LONG[@]}"
	expect 7 leave
	revert busy "${LONG[@]}"

	expect suspended enter inside
	refused apply 3 busy busy.scan "${LONG[@]}"
	json results.0.blocker.function=victim_call results.0.blocker.slot
	refused apply 1 consistency busy.scan --consistency=thread
	expect 7 leave
	apply busy.scan "${LONG[@]}"
	expect suspended enter inside
	refused revert 3 busy busy.scan "${LONG[@]}"
	revert busy.scan "${LONG[@]}" --scan-memory=never
	expect 2007 leave
	end_victim
}

run_tests test_inside test_inside_stop_machine test_below_a_stack test_elsewhere test_never \
	test_always test_patch_says_so
