#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# Several tools at once on many processes at once.
. "$(dirname "$0")/../lib.sh"

COUNT=$(scaled 8)

# tools VERB PATCH... - one for each patch, all on all victims; with their threads
tools() {
	local verb=$1 patch i=0 pids=''
	shift
	for patch; do
		i=$((i + 1))
		"$ULP_TOOL" "$verb" --json --timeout $LIMIT --retries 1000 -p victim_lib \
			"$PATCHES/$patch.so" >"$WORK/out.$i" 2>"$WORK/err.$i" &
		pids="$pids $!"
	done
	i=0
	for pid in $pids; do
		i=$((i + 1))
		wait "$pid" || fail "$verb: exit status $?: $(cat "$WORK/out.$i" "$WORK/err.$i")"
	done
}

# said TOOL KEY - a number of its summary
said() {
	"$JSON_GET" -p "$WORK/out.$1" "summary.$2"
}

# all ANSWER QUESTION... - each victim must say that
all() {
	local i
	for i in $(seq "$COUNT"); do
		VICTIM=lib$i
		expect "$@"
	done
}

test_tools_and_targets() {
	local i
	for i in $(seq "$COUNT"); do
		start_victim "lib$i" "$VICTIMS/victim_lib"
		expect "hammering 1" hammer 1
	done
	for _ in $(seq "$(scaled 3)"); do
		# two tools with the same patch: one of them has nothing left to do
		tools apply answer second outer answer
		for i in 2 3; do
			[ "$(said $i success)" = "$COUNT" ] || fail "$(cat "$WORK/out.$i")"
		done
		[ $(($(said 1 success) + $(said 4 success))) -eq "$COUNT" ] ||
			fail "$(cat "$WORK/out.1" "$WORK/out.4")"
		[ $(($(said 1 skipped) + $(said 4 skipped))) -eq "$COUNT" ] ||
			fail "$(cat "$WORK/out.1" "$WORK/out.4")"
		all 1000 answer 0
		all 0x20304 outer
		tools revert answer outer second outer
		[ $(($(said 2 success) + $(said 4 success))) -eq "$COUNT" ] ||
			fail "$(cat "$WORK/out.2" "$WORK/out.4")"
		all 42 answer 0
		all 0x10102 outer
	done
	all "old=1 new=1 mixed=0" unhammer
	for i in $(seq "$COUNT"); do
		VICTIM=lib$i
		end_victim
	done
}

run_tests test_tools_and_targets
