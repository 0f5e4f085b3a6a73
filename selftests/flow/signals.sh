#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# Signals, parents and tracers: none is lost, none is told.
. "$(dirname "$0")/../lib.sh"

COUNT=$(scaled 30)

# A thousand signals a second from two sides; 60 operations, all succeed.
test_signal_storm() {
	start_victim signals "$VICTIMS/victim_signals"
	expect started start
	for _ in $(seq "$COUNT"); do
		apply answer
		revert answer
	done
	expect "sent=1 lost=0 wrong-order=0 ticks-lost=0" stop
	expect 42 answer 0
	end_victim
}

# watched ARG... - the child of the victim is changed, the victim told nothing
watched() {
	local child
	start_victim parent "$VICTIMS/victim_parent" "$@"
	ask pid
	child=$REPLY
	for _ in 1 2 3 4 5; do
		tool 0 apply --json -p "$child" "$PATCHES/answer.so"
		json results.0.status=success
		expect 1000 answer 0
		tool 0 patches --json -p "$child"
		tool 0 revert --json -p "$child" "$PATCHES/answer.so"
		json results.0.status=success
		expect 42 answer 0
	done
	expect nothing watched
	expect "exited 1" end
	end_victim
}

test_parent_sees_nothing() { watched; }
test_tracer_sees_nothing() { watched trace; }

run_tests test_signal_storm test_parent_sees_nothing test_tracer_sees_nothing
