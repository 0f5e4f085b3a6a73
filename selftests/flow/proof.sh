#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# Words on a stack that look like returns into a function are proven stale, or not.
. "$(dirname "$0")/../lib.sh"

# an emulated machine is slow, and so is one with others on it
HOLD=(--max-hold 5000000)

# stale WAY [OPTION...] - a thread is elsewhere, its stack has old words: patched
stale() {
	local way=$1
	shift
	start_victim stale "$VICTIMS/victim_stale"
	ask enter "$way"
	apply busy "${HOLD[@]}" --retries 100 "$@"
	json results.0.proof=unwound
	expect 0 leave
	revert busy
	expect 42 answer 0
	end_victim
}

# live WAY FUNCTION VALUE - a thread is inside, at the same place: refused by name
live() {
	start_victim stale "$VICTIMS/victim_stale"
	ask enter "$1"
	refused apply 3 busy busy --retries 2 "${HOLD[@]}"
	json results.0.proof= "results.0.blocker.tid=$REPLY" "results.0.blocker.function=$2" \
		results.0.blocker.ip results.0.blocker.backtrace.0
	grep -q "\"#[0-9]* 0x[0-9a-f]* $2 (libvictim.so)\"" "$WORK/out" ||
		fail "no $2 in the backtrace: $(cat "$WORK/out")"
	expect 42 answer 0
	expect "$3" leave
	apply busy
	end_victim
}

# unproven WAY TEXT VALUE - what cannot be unwound is refused, and says why
unproven() {
	start_victim stale "$VICTIMS/victim_stale"
	[ -z "${DAMAGE:-}" ] || expect damaged damage
	ask enter "$1"
	refused apply 3 busy busy --retries 2 "${HOLD[@]}"
	json "results.0.blocker.tid=$REPLY"
	grep -q "$2" "$WORK/out" || fail "'$2' is not in: $(cat "$WORK/out")"
	expect 42 answer 0
	expect "$3" leave
	apply busy
	end_victim
}

test_sleeping() { stale sleeping; }
test_sleeping_stop_machine() { stale sleeping --backend stop-machine; }
test_spinning() { stale spinning; }
test_below_handler() { stale handler; }
test_below_handler_on_other_stack() { stale altstack; }
test_words_on_both_stacks() { stale altstack_words; }
test_through_vdso() { stale vdso; }
test_leftover() { stale leftover; }

test_live() { live live victim_wait 1120; }
test_live_spinning() { live live_spinning victim_spin 2; }
test_live_below_handler() { live handler_live victim_spin 2; }
test_live_below_handler_on_other_stack() { live altstack_live victim_spin 2; }

test_no_table() { unproven bare "no unwind information covers" 0; }
test_no_table_and_live() { unproven bare_live "nothing was changed" 0; }
test_damaged_tables() { DAMAGE=1 unproven sleeping "unwind information" 0; }

# Old words below the frame of a replacement, which has tables of its own.
test_in_patch() {
	start_victim stale "$VICTIMS/victim_stale"
	apply busy
	ask enter live
	refused revert 3 busy busy --retries 2 "${HOLD[@]}"
	json results.0.blocker.function=victim_wait
	grep -q 'victim_wait (patch busy)' "$WORK/out" || fail "$(cat "$WORK/out")"
	expect 2120 leave
	revert busy
	end_victim
}

# Old words above the frame of a replacement.
test_under_patched_frame() {
	start_victim stale "$VICTIMS/victim_stale"
	apply callee
	ask enter callee
	apply outer "${HOLD[@]}"
	json results.0.proof=unwound
	refused apply 3 busy busy --retries 2 "${HOLD[@]}"
	json results.0.blocker.function=victim_wait
	grep -q 'victim_callee (patch callee)' "$WORK/out" || fail "$(cat "$WORK/out")"
	expect 0 leave
	end_victim
}

# A thread that cannot be held can only be waited for, unless it happened not to run
# from the one attempt to the next.
test_spinning_stop_machine() {
	start_victim stale "$VICTIMS/victim_stale"
	ask enter spinning
	"$ULP_TOOL" apply --json -p "${PID[stale]}" --retries 2 --backend stop-machine \
		"$PATCHES/busy.so" >"$WORK/out" 2>"$WORK/err"
	case $? in
	0)
		json results.0.proof=unwound
		expect 0 leave
		;;
	3)
		json results.0.reason=busy
		expect 0 leave
		apply busy
		;;
	*)
		fail "$(cat "$WORK/err")"
		;;
	esac
	end_victim
}

# --check-stack: being anywhere in the library is too much.
test_check_stack() {
	start_victim stack "$VICTIMS/victim_stack"
	ask enter wait
	apply answer
	revert answer
	refused apply 3 busy answer --check-stack --retries 2
	json results.0.blocker.function=victim_wait "results.0.blocker.tid=$REPLY"
	expect 1120 leave
	apply answer -c
	ask enter wait
	refused revert 3 busy answer -c --retries 2
	json results.0.blocker.function=victim_wait
	revert answer
	expect 1120 leave
	end_victim
}

test_check_stack_stale() {
	start_victim stale "$VICTIMS/victim_stale"
	ask enter sleeping
	apply answer -c "${HOLD[@]}" --retries 100
	json results.0.proof=unwound
	expect 0 leave
	end_victim
}

# People see the frames, too.
test_text() {
	start_victim stale "$VICTIMS/victim_stale"
	ask enter live
	tool 3 apply -p "${PID[stale]}" --retries 2 "$PATCHES/busy.so"
	grep -q '^    #1 0x[0-9a-f]* victim_wait (libvictim.so)$' "$WORK/out" ||
		fail "$(cat "$WORK/out")"
	expect 1120 leave
	end_victim
}

run_tests test_sleeping test_sleeping_stop_machine test_spinning test_below_handler \
	test_below_handler_on_other_stack test_words_on_both_stacks test_through_vdso \
	test_leftover test_live test_live_spinning test_live_below_handler \
	test_live_below_handler_on_other_stack test_no_table test_no_table_and_live \
	test_damaged_tables test_in_patch test_under_patched_frame test_spinning_stop_machine test_check_stack \
	test_check_stack_stale test_text
