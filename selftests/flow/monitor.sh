#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 200
#
# ulp-tool monitor sees what others do, and ends as it should.
. "$(dirname "$0")/../lib.sh"

# listen ARG... - start the monitor; returns when it hears
listen() {
	"$ULP_TOOL" monitor -v "$@" >"$WORK/events" 2>"$WORK/heard" &
	MONITOR=$!
	STARTED+=($!)
	loop_until grep -q listening "$WORK/heard"
}

# heard STATUS - the monitor has ended by itself
heard() {
	wait $MONITOR
	local status=$?
	[ $status -eq "$1" ] || fail "monitor: status $status: $(cat "$WORK/heard" "$WORK/events")"
}

# event NUMBER PATH=VALUE... - of that line
event() {
	sed -n "$1p" "$WORK/events" >"$WORK/out"
	shift
	json "$@"
}

test_events() {
	local pid id blocker
	start_victim stack "$VICTIMS/victim_stack"
	pid=${PID[stack]}
	listen --json --count 4
	apply busy
	id=$(json_value results.0.id)
	ask enter wait
	blocker=$REPLY
	refused revert 3 busy busy --retries 2
	expect 2120 leave
	revert busy
	# not in the module: the tool sees by itself that there is nothing to do
	refused revert 0 not-applied busy
	apply busy --dry-run
	apply busy
	heard 0
	[ "$(wc -l <"$WORK/events")" -eq 4 ] || fail "not one event a line: $(cat "$WORK/events")"
	event 1 event=applied action=apply "pid=$pid" name=victim_stack patch=busy "id=$id" \
		functions.0=victim_wait nr_functions by_pid by_uid=0 max_freeze_ns attempts \
		threads backend errno=0 reason=none blocker=null time
	event 2 event=busy action=revert "pid=$pid" patch=busy "id=$id" "blocker.tid=$blocker" \
		blocker.ip blocker.slot blocker.value attempts=3
	case $(json_value reason) in
	stack | ip | register) ;;
	*) fail "busy because of $(json_value reason)" ;;
	esac
	event 3 event=reverted action=revert "pid=$pid" patch=busy "id=$id" functions.0=victim_wait
	event 4 event=applied patch=busy
	end_victim
}

test_text() {
	start_victim lib "$VICTIMS/victim_lib"
	listen
	apply answer
	tool 0 revert --json -p "${PID[lib]}" --all
	loop_until grep -q reverted "$WORK/events"
	kill -TERM $MONITOR
	heard 0
	grep -qE "^[0-9T:.+-]+ victim_lib \(pid: ${PID[lib]}\): applied answer \([0-9a-f]{12}\): victim_answer.*; [0-9]+\.[0-9]{3} ms frozen, .* by pid [0-9]+, uid 0$" \
		"$WORK/events" || fail "$(cat "$WORK/events")"
	grep -q ": reverted answer (" "$WORK/events" || fail "$(cat "$WORK/events")"
	end_victim
}

# Nobody listens to a module that is gone.
test_unloaded() {
	listen --json
	loop_until rmmod ulp
	heard 1
	mv "$WORK/events" "$WORK/out"
	json errors.0.reason=module-missing
	"$ULP_TOOL" monitor >"$WORK/out" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "no module, and the monitor does not say so"
	grep -q modprobe "$WORK/err" || fail "$(cat "$WORK/err")"
	insmod "$ULP_KO" || fail insmod
}

test_reader_gone() {
	"$ULP_TOOL" monitor 2>"$WORK/err" | head -n 0
	[ "${PIPESTATUS[0]}" -le 1 ] || fail "status ${PIPESTATUS[0]}"
}

test_interrupted() {
	listen
	kill -INT $MONITOR
	heard 0
	[ ! -s "$WORK/events" ] || fail "$(cat "$WORK/events")"
}

run_tests test_events test_text test_unloaded test_reader_gone test_interrupted
