#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# vm: tcg-single
# timeout: 400
#
# Breakpoints and uprobes in the code of a running process: where they are nothing
# is patched, and elsewhere they go on working.
. "$(dirname "$0")/../lib.sh"

TRACING=/sys/kernel/tracing

# copied_victim [VARIANT] - uprobes want a file system with a page cache of its own
copied_victim() {
	COPY=/dev/shm/ulp-test.$$
	LIBRARY=$VICTIMS/libvictim${1:+.$1}.so
	mkdir -p "$COPY"
	cp "$LIBRARY" "$COPY/libvictim.so"
	start_victim lib env LD_LIBRARY_PATH="$COPY" "$VICTIMS/victim_lib"
}

# file_offset FUNCTION
file_offset() {
	local value
	value=$(nm -D "$LIBRARY" | awk -v name="$1" '$3 == name { print $1 }')
	readelf -lW "$LIBRARY" | while read -r type offset address _ _ size _; do
		[ "$type" = LOAD ] || continue
		if ((0x$value >= address && 0x$value < address + size)); then
			printf '%#x' $((0x$value - address + offset))
		fi
	done
}

# uprobe FUNCTION - set one there, for all processes
uprobe() {
	[ -e $TRACING/uprobe_events ] || skip "no uprobes in this kernel"
	trap 'no_uprobe; end_all; rm -rf "$COPY"' EXIT
	echo "p:ulp_test/$1 $COPY/libvictim.so:$(file_offset "$1")" >>$TRACING/uprobe_events ||
		fail "no uprobe at $1"
	echo 1 >$TRACING/events/ulp_test/enable
}

no_uprobe() {
	[ ! -e $TRACING/events/ulp_test ] || echo 0 >$TRACING/events/ulp_test/enable
	echo >$TRACING/uprobe_events
}

# hits FUNCTION - how often it was met
hits() {
	awk -v name="$1" '$2 == name { print $3 }' $TRACING/uprobe_profile
}

test_uprobe_in_the_function() {
	copied_victim
	uprobe victim_answer
	expect 42 answer 0
	[ "$(hits victim_answer)" = 1 ] || fail "the uprobe was met $(hits victim_answer) times"
	refused apply 1 foreign-hook answer
	[ "$(images)" -eq 0 ] || fail "it left $(images) mappings"
	expect 42 answer 0
	[ "$(hits victim_answer)" = 2 ] || fail "the uprobe was met $(hits victim_answer) times"
	no_uprobe
	apply answer
	expect 1000 answer 0
	revert answer
	expect 42 answer 0
	end_victim
}

# In the same page as what is written.
test_uprobe_elsewhere() {
	local before i
	copied_victim
	uprobe victim_second
	before=$(hits victim_second)
	for i in 1 2 3; do
		expect 100 second 0
		apply answer
		expect 1000 answer 0
		expect 100 second 0
		revert answer
		expect 42 answer 0
		[ "$(hits victim_second)" -eq $((before + 2 * i)) ] ||
			fail "the uprobe was met $(hits victim_second) times"
	done
	apply answer
	no_uprobe
	expect 100 second 0
	expect 1000 answer 0
	revert answer
	end_victim
}

# One that is set at a patched entry later: behind endbr64 the jump stays the jump.
test_uprobe_later() {
	copied_victim cet
	apply outer.cet
	expect 0x20304 outer
	uprobe victim_outer
	expect 0x20304 outer
	[ "$(hits victim_outer)" = 1 ] || fail "the uprobe was met $(hits victim_outer) times"
	no_uprobe
	expect 0x20304 outer
	revert outer.cet
	expect 0x10102 outer
	end_victim
}

# debug FUNCTION - a debugger that counts the calls of FUNCTION
debug() {
	command -v gdb >/dev/null || skip "no gdb"
	cat >"$WORK/script" <<-END
	set pagination off
	set confirm off
	break $1
	commands
	silent
	printf "met\\n"
	continue
	end
	printf "waiting\\n"
	continue
	END
	mkfifo "$WORK/gdb"
	exec {gdb}<>"$WORK/gdb"
	gdb -q -nx -p "${PID[$VICTIM]}" -x "$WORK/script" <"$WORK/gdb" >"$WORK/gdb.out" 2>&1 &
	GDB=$!
	STARTED+=("$GDB")
	loop_until grep -q waiting "$WORK/gdb.out"
}

# debugger_met TIMES
debugger_met() {
	loop_until met "$1"
}

met() {
	[ "$(grep -c '^met' "$WORK/gdb.out")" -eq "$1" ]
}

# It takes its breakpoints out and leaves.
no_debug() {
	kill -INT "$GDB"
	loop_until is_state "${PID[$VICTIM]}" t
	printf 'delete\ndetach\nquit\n' >&"$gdb"
	loop_until ended "$GDB"
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

test_breakpoint_in_the_function() {
	start_victim lib "$VICTIMS/victim_lib"
	debug victim_answer
	expect 42 answer 0
	debugger_met 1
	refused apply 1 foreign-hook answer
	[ "$(images)" -eq 0 ] || fail "it left $(images) mappings"
	expect 42 answer 0
	debugger_met 2
	no_debug
	apply answer
	expect 1000 answer 0
	end_victim
}

test_breakpoint_elsewhere() {
	start_victim lib "$VICTIMS/victim_lib"
	debug victim_second
	expect 100 second 0
	debugger_met 1
	apply answer
	expect 1000 answer 0
	expect 100 second 0
	debugger_met 2
	revert answer
	expect 42 answer 0
	expect 100 second 0
	debugger_met 3
	no_debug
	expect 100 second 0
	end_victim
}

run_tests test_uprobe_in_the_function test_uprobe_elsewhere test_uprobe_later \
	test_breakpoint_in_the_function test_breakpoint_elsewhere
