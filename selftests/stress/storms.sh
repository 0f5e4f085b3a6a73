#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# Patching while the target creates threads, forks, executes, allocates, loads libraries, asks for the time.
. "$(dirname "$0")/../lib.sh"

COUNT=$(scaled 30)

# saw old|new - some thread of the storm has called that code
saw() {
	ask report
	[[ $REPLY == *"$1=1"* ]]
}

# storm NAME - all operations succeed, the program notices nothing
storm() {
	start_victim storm "$VICTIMS/victim_storm" "$1"
	cycles outer "$COUNT"
	# eight threads, one after the other, on an emulated machine
	apply outer --max-hold 5000000 --timeout 60 --retries 1000
	expect 0x20304 outer
	# on a busy machine none may have had a turn while it was patched
	loop_until saw new
	revert outer --max-hold 5000000 --timeout 60 --retries 1000
	expect "old=1 new=1 mixed=0 failed=0 busy=1" end
	expect 0x10102 outer
	end_victim
}

test_clone() { storm clone; }
test_fork() { storm fork; }
test_malloc() { storm malloc; }
test_dlopen() { storm dlopen; }
test_localtime() { storm localtime; }

# A process that executes itself all the time loses its patches all the time.
# Whatever is said about an operation, the process goes on undisturbed.
test_exec() {
	local pid
	"$VICTIMS/victim_storm" exec "$(scaled 150)" </dev/null >"$WORK/exec.out" 2>"$WORK/exec.err" &
	pid=$!
	STARTED+=("$pid")
	PID[exec]=$pid
	VICTIM="exec"
	while ! grep -q ready "$WORK/exec.out"; do
		alive || break
		cycles outer 3 any
	done
	wait $pid
	grep -q ready "$WORK/exec.out" || fail "it died: $(cat "$WORK/exec.err")"
}

run_tests test_clone test_fork test_malloc test_dlopen test_localtime test_exec
