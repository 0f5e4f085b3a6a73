#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# SIGKILL the tool at random moments: the target lives, wholly old or wholly new, and the next operation works.
. "$(dirname "$0")/../lib.sh"

COUNT=$(scaled 200)
KILL_AFTER=$O/selftests/stress/kill_after

# is_new - what the victim does now; it must be one of the two
is_new() {
	ask outer
	case $REPLY in
	0x20304) return 0 ;;
	0x10102) return 1 ;;
	*) fail "a mixture: $REPLY" ;;
	esac
}

# finish VERB - to its end; the killed one may have done it
finish() {
	tool 0 "$1" --json -p "${PID[lib]}" "$PATCHES/outer.so"
	case $(json_value results.0.reason) in
	success | already-applied | not-applied) ;;
	*) fail "$1 after a killed $1: $(cat "$WORK/out")" ;;
	esac
}

test_kill() {
	local i span=0 verb killed=0 took=0 before
	start_victim lib "$VICTIMS/victim_lib"
	apply outer
	revert outer
	before=$(images)
	expect "hammering 2" hammer 2
	# how long one takes here and now: kill within that time
	for verb in apply revert apply revert apply revert; do
		"$KILL_AFTER" 60000000 "$ULP_TOOL" $verb -q -p "${PID[lib]}" "$PATCHES/outer.so" \
			2>"$WORK/took" || fail "$verb: $(cat "$WORK/took")"
		took=$(tail -n 1 "$WORK/took")
		[ "$span" -gt "$took" ] || span=$took
	done
	RANDOM=$$
	note "an operation takes up to $span us; seed $$"
	for i in $(seq "$COUNT"); do
		verb=apply
		! is_new || verb=revert
		"$KILL_AFTER" $((span * RANDOM / 32768)) "$ULP_TOOL" $verb -q -p "${PID[lib]}" \
			"$PATCHES/outer.so" 2>/dev/null
		if [ $? -eq 137 ]; then
			killed=$((killed + 1)) span=$((span * 21 / 20 + 1))
		else
			# too late: times change with the machine's load
			span=$((span * 9 / 10))
		fi
		alive || fail "kill $i took the target along"
		is_state "${PID[lib]}" T && fail "kill $i left the target stopped"
		finish $verb
		if is_new; then
			[ $verb = apply ] || fail "still new after revert $i"
		else
			[ $verb = revert ] || fail "still old after apply $i"
		fi
	done
	note "killed $killed of $COUNT before their end"
	[ $killed -ge $((COUNT / 3)) ] || fail "only $killed of $COUNT were killed"
	expect "old=1 new=1 mixed=0" unhammer
	! is_new || finish revert
	[ "$(images)" -eq "$before" ] || fail "$before mappings of images became $(images)"
	end_victim
}

run_tests test_kill
