#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# No system call notices anything: no EINTR, none ends early, none starts its time again.
. "$(dirname "$0")/../lib.sh"

COUNT=$(scaled 20)

# waits COMMAND... - run it while all wait; afterwards none may have noticed
waits() {
	local kind word rest pid bad=0 kinds=0
	ask pids
	options=()
	for pid in $REPLY; do
		options+=(-p "$pid")
	done
	"$@"
	echo finish >&"${TO[$VICTIM]}"
	while hear; do
		[ "$REPLY" != end ] || break
		read -r kind word rest <<<"$REPLY"
		kinds=$((kinds + 1))
		[ "$word" = ok ] && [ "$rest" -ge 2 ] && continue
		note "$REPLY"
		bad=$((bad + 1))
	done
	[ $kinds -eq $((${#options[@]} / 2)) ] || fail "$kinds kinds of ${#options[@]} / 2"
	[ $bad -eq 0 ] || fail "$bad of $kinds kinds of waiting were disturbed"
	note "$kinds kinds of waiting, main thread and another one, are undisturbed"
	end_victim
}

change_all() {
	local all=$((${#options[@]} / 2))
	for _ in $(seq "$COUNT"); do
		tool 0 apply --json "${options[@]}" "$PATCHES/answer.so"
		json summary.success=$all summary.failed=0 summary.skipped=0
		tool 0 revert --json "${options[@]}" "$PATCHES/answer.so"
		json summary.success=$all summary.failed=0 summary.skipped=0
	done
}

look_all() {
	for _ in $(seq $((COUNT / 4 + 1))); do
		tool 0 patches --json "${options[@]}"
		tool 1 check --json "${options[@]}" "$PATCHES/answer.so"
	done
}

test_apply_and_revert() {
	start_victim wait "$VICTIMS/victim_wait"
	waits change_all
}

test_read_only_commands() {
	start_victim wait "$VICTIMS/victim_wait"
	waits look_all
}

run_tests test_apply_and_revert test_read_only_commands
