#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# A function that a thread is inside of is neither replaced nor taken back.
. "$(dirname "$0")/../lib.sh"

# busy apply|revert PATCH FUNCTION TID - refused with 3, naming both
busy() {
	refused "$1" 3 busy "$2" --retries 2
	json "results.0.blocker.tid=$4" "results.0.blocker.function=$3" results.0.blocker.ip \
		results.0.blocker.slot
}

# inside WAY FUNCTION OLD [PATCH] - a thread goes in by WAY: FUNCTION cannot be
# replaced until it comes out; OLD is what the call returns, which it does undisturbed
inside() {
	local way=$1 function=$2 old=$3 patch=${4:-busy} lines
	start_victim stack "$VICTIMS/victim_stack"
	ask enter "$way"
	lines=$(wc -l <"/proc/${PID[stack]}/maps")
	busy apply "$patch" "$function" "$REPLY"
	[ "$(wc -l <"/proc/${PID[stack]}/maps")" -eq "$lines" ] ||
		fail "a refused patch left something in the process"
	expect 42 answer 0
	expect "$old" leave
	apply "$patch"
	end_victim
}

# in_cold_part WAY FUNCTION OLD PATCH - as above; the part has a range of its own
in_cold_part() {
	nm "$VICTIMS/libvictim.so" | grep -q " $2\.cold" || skip "this compiler splits nothing off"
	inside "$@"
}

test_cold_part() { in_cold_part cold victim_cold 1121 cold; }
test_spinning_in_cold_part() { in_cold_part cold_spin victim_cold_spin 2 cold; }

# The same where no symbol tells of the part.
test_cold_part_stripped() {
	mkdir "$WORK/lib"
	cp "$VICTIMS/libvictim.stripped.so" "$WORK/lib/libvictim.so"
	LD_LIBRARY_PATH=$WORK/lib in_cold_part cold victim_cold 1121 cold.stripped
}

test_waiting() { inside wait victim_wait 1120; }
test_spinning() { inside spin victim_spin 2; }
test_below_handler() { inside handler victim_spin 2; }
test_below_handler_on_other_stack() { inside altstack victim_spin 2; }
test_through_vdso() { inside vdso victim_clock 1; }

# 200 frames of 3 KB, and the innermost ones are of several functions
test_deep() {
	start_victim stack "$VICTIMS/victim_stack"
	ask enter deep
	refused apply 3 busy busy --retries 2
	json "results.0.blocker.tid=$REPLY"
	case $(json_value results.0.blocker.function) in
	victim_wait | victim_deep) ;;
	*) fail "blocked by $(json_value results.0.blocker.function)" ;;
	esac
	expect 1320 leave
	apply busy
	end_victim
}

# A word that is left of a frame that is gone does not count for ever.
test_longjmp() {
	start_victim stack "$VICTIMS/victim_stack"
	ask enter longjmp
	apply busy
	expect 1 leave
	end_victim
}

# A thread that is elsewhere does not count.
test_elsewhere() {
	start_victim stack "$VICTIMS/victim_stack"
	ask enter elsewhere
	apply busy
	revert busy
	expect 1 leave
	end_victim
}

test_process_sharing_memory() {
	start_victim stack "$VICTIMS/victim_stack"
	ask shared
	busy apply busy victim_wait "$REPLY"
	expect "1120 7" unshare
	apply busy
	end_victim
}

test_revert() {
	start_victim stack "$VICTIMS/victim_stack"
	apply busy
	ask enter wait
	busy revert busy victim_wait "$REPLY"
	expect 2120 leave
	revert busy
	ask enter wait
	expect 1120 leave
	end_victim
}

# The inner function is patched; the outer one is on the stack below its frame,
# which no unwind information of the program describes.
test_caller_of_patched() {
	start_victim stack "$VICTIMS/victim_stack"
	apply callee
	ask enter caller
	busy apply caller victim_caller "$REPLY"
	expect 6130 leave
	apply caller
	ask enter caller
	expect 26120 leave
	end_victim
}

# It waits for its turn: with enough patience the same apply succeeds.
test_patience() {
	local pid
	start_victim stack "$VICTIMS/victim_stack"
	ask enter wait
	"$ULP_TOOL" apply --json -p "${PID[stack]}" --retries 10000 --timeout $LIMIT \
		"$PATCHES/busy.so" >"$WORK/out" 2>"$WORK/err" &
	pid=$!
	# it has begun when its image is there
	loop_until grep -q memfd:ulp- "/proc/${PID[stack]}/maps"
	kill -0 $pid || fail "it did not wait: $(cat "$WORK/out" "$WORK/err")"
	expect 1120 leave
	wait $pid || fail "exit status $?: $(cat "$WORK/out" "$WORK/err")"
	json results.0.status=success
	end_victim
}

# The other threads of a process that cannot be patched are not held longer
# than by a patch that succeeds: as the module says, and as they see it.
test_innocent_threads() {
	local refused_ns='' refused_gap='' done_ns='' done_gap=''
	start_victim stack "$VICTIMS/victim_stack"
	expect "hammering 2" hammer 2
	ask enter wait
	for _ in 1 2 3 4 5; do
		ask gap
		refused apply 3 busy busy --retries 3
		refused_ns="$refused_ns $(json_value results.0.freeze_ns)"
		ask gap
		refused_gap="$refused_gap $REPLY"
	done
	expect 1120 leave
	ask enter elsewhere
	for _ in 1 2 3 4 5; do
		ask gap
		apply busy
		done_ns="$done_ns $(json_value results.0.freeze_ns)"
		ask gap
		done_gap="$done_gap $REPLY"
		revert busy
	done
	note "frozen ns, refused:$refused_ns; done:$done_ns"
	note "longest gap ns, refused:$refused_gap; done:$done_gap"
	# shellcheck disable=SC2086 # they are lists
	not_worse "frozen time" 400 "$(least $refused_ns)" "$(least $done_ns)"
	# shellcheck disable=SC2086
	not_worse "gap" 400 "$(least $refused_gap)" "$(least $done_gap)"
	expect 1 leave
	end_victim
}

# not_worse WHAT PERCENT REFUSED DONE - or no longer than a machine that has other work
# keeps anybody waiting
not_worse() {
	[ "$3" -le 100000000 ] || [ $(($3 * 100)) -le $(($4 * $2)) ] ||
		fail "$1 of a refusal: $3 ns, of a success: $4 ns"
}

run_tests test_waiting test_spinning test_cold_part test_spinning_in_cold_part \
	test_cold_part_stripped test_below_handler test_below_handler_on_other_stack \
	test_through_vdso test_deep test_longjmp test_elsewhere test_process_sharing_memory \
	test_revert test_caller_of_patched test_patience test_innocent_threads
