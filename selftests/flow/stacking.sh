#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# Several patches of one function, reverted in every order.
. "$(dirname "$0")/../lib.sh"

# order A B C: three patches are applied, 1 2 3, and reverted in this order;
# the newest that is left answers
order() {
	local n name top left='1 2 3'
	declare -A names=([1]=answer [2]=answer.2 [3]=answer.3)
	start_victim lib "$VICTIMS/victim_lib"
	for n in 1 2 3; do
		apply "${names[$n]}"
		expect "${n}000" answer 0
	done
	tool 0 patches --json -p "${PID[lib]}"
	json "processes.0.objects.0.patches.#=3"
	for n; do
		revert "${names[$n]}"
		left=${left/$n/}
		top=42
		for name in $left; do
			top=${name}000
		done
		expect "$top" answer 0
	done
	expect 42 answer 0
	apply answer.2
	expect 2000 answer 0
	end_victim
}

test_order_123() { order 1 2 3; }
test_order_132() { order 1 3 2; }
test_order_213() { order 2 1 3; }
test_order_231() { order 2 3 1; }
test_order_312() { order 3 1 2; }
test_order_321() { order 3 2 1; }

# One that is applied again comes on top.
test_again_on_top() {
	start_victim lib "$VICTIMS/victim_lib"
	apply answer
	apply answer.2
	revert answer
	expect 2000 answer 0
	apply answer
	expect 1000 answer 0
	revert answer
	expect 2000 answer 0
	end_victim
}

# Four tools at once: one does it, for the others there is nothing to do.
test_four_tools() {
	local i pids='' statuses='' success=0
	start_victim lib "$VICTIMS/victim_lib"
	for _ in $(seq "$(scaled 5)"); do
		pids='' statuses='' success=0
		for i in 1 2 3 4; do
			timeout $LIMIT "$ULP_TOOL" apply --json -p "${PID[lib]}" \
				"$PATCHES/answer.so" >"$WORK/out.$i" 2>"$WORK/err.$i" &
			pids="$pids $!"
		done
		for i in $pids; do
			wait "$i"
			statuses="$statuses $?"
		done
		expect 1000 answer 0
		for i in 1 2 3 4; do
			cp "$WORK/out.$i" "$WORK/out"
			case $(json_value results.0.reason) in
			success) success=$((success + 1)) ;;
			already-applied) ;;
			*) fail "statuses$statuses: $(cat "$WORK/out.$i" "$WORK/err.$i")" ;;
			esac
		done
		[ "$statuses" = " 0 0 0 0" ] || fail "exit statuses$statuses"
		[ $success -eq 1 ] || fail "$success of four tools say that they did it"
		revert answer
		expect 42 answer 0
	done
	[ "$(images)" -le 7 ] || fail "$(images) mappings for one patch"
	end_victim
}

# in_background VERB PATCH - a tool that is in the way of none, and waits for a thread
in_background() {
	local verb=$1 FILE
	patch_path "$2"
	"$ULP_TOOL" "$verb" -p "${PID[$VICTIM]}" --retries=100000 --timeout="$LIMIT" "$FILE" \
		>"$WORK/out.bg" 2>&1 &
	STARTED+=("$!")
	TOOL=$!
}

at_work() {
	local fd
	for fd in "/proc/$TOOL/fd/"*; do
		case $(readlink "$fd") in
		*'[ulp]'*) return 0 ;;
		esac
	done
	return 1
}

# While a tool waits to take the upper patch back another one takes the lower one back:
# the entry may not lead to that again.
test_two_revert() {
	start_victim stack "$VICTIMS/victim_stack"
	apply callee
	apply callee.2
	ask enter caller
	in_background revert callee.2
	loop_until at_work
	revert callee
	expect 7130 leave
	wait "$TOOL" || fail "exit status $?: $(cat "$WORK/out.bg")"
	ask enter caller
	expect 1131 leave
	apply callee.2
	revert callee.2
	end_victim
}

applied_by_thread() {
	"$ULP_TOOL" apply -p "${PID[stack]}" --consistency=thread --timeout=5 "$PATCHES/$1.so" \
		>"$WORK/out" 2>"$WORK/err"
	[ $? -eq 4 ]
}

# What a tool that waits has mapped is not there for others: it goes with that tool.
test_two_apply() {
	start_victim stack "$VICTIMS/victim_stack"
	ask enter wait
	in_background apply busy
	loop_until at_work
	loop_until images
	# it waits for a moment in which the other one is not at it
	loop_until applied_by_thread busy
	expect 1120 leave
	wait "$TOOL" || fail "exit status $?: $(cat "$WORK/out.bg")"
	tool 0 patches --json -p "${PID[stack]}"
	json processes.0.objects.0.patches.#=1 processes.0.objects.0.patches.0.state=active
	ask enter wait
	ask leave
	[ "$REPLY" != 1120 ] || fail "the old function: $REPLY"
	end_victim
}

run_tests test_order_123 test_order_132 test_order_213 test_order_231 test_order_312 \
	test_order_321 test_again_on_top test_two_revert test_two_apply \
	test_four_tools
