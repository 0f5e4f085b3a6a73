#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# No system call notices anything: no EINTR, none ends early, none starts its time again.
. "$(dirname "$0")/../lib.sh"

COUNT=$(scaled 20)

# waits COMMAND... - run it while all wait; afterwards none may have noticed: a wait
# with a timeout may be too short by what those of the controls are, give or take
# (some jiffies, where the processor that counts them is kept from it)
waits() {
	local kind word count early pid bad=0 kinds=0 most=0 control=0 kind_of_most=none
	ask pids
	options=()
	for pid in $REPLY; do
		options+=(-p "$pid")
	done
	"$@"
	echo finish >&"${TO[$VICTIM]}"
	while hear; do
		[ "$REPLY" != end ] || break
		read -r kind word count early <<<"$REPLY"
		if [ "$word" = control ]; then
			((control >= early)) || control=$early
			continue
		fi
		kinds=$((kinds + 1))
		if [ "$word" = ok ] && [ "$count" -ge 2 ]; then
			((most >= early)) || most=$early kind_of_most=$kind
			continue
		fi
		note "$REPLY"
		bad=$((bad + 1))
	done
	[ $kinds -eq $((${#options[@]} / 2)) ] || fail "$kinds kinds of ${#options[@]} / 2"
	note "too short by at most $most us, $kind_of_most; without ulp $control us"
	[ $most -le $((2 * control + 40000)) ] || fail "$kind_of_most ended early"
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
