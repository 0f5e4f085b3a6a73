#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# vm: tcg-single
# timeout: 400
#
# Targets in every state: stopped, traced, frozen, throttled, confined, of others, half dead.
. "$(dirname "$0")/../lib.sh"

# cycle - apply and revert with the answers in between
cycle() {
	expect 42 answer 0
	apply answer
	expect 1000 answer 0
	revert answer
	expect 42 answer 0
}

# window - remember how long the last change held the target
window() {
	WINDOWS+=("$(json_value results.0.freeze_ns)")
}

# windows_in_limit - none of this waits for the target: it could be for ever.  The
# least is what counts, the others may have waited for this machine
windows_in_limit() {
	note "held for ns: ${WINDOWS[*]}"
	[ "$(least "${WINDOWS[@]}")" -le $((MAX_FREEZE * 1000)) ] ||
		fail "held for ns: ${WINDOWS[*]}, with a limit of $MAX_FREEZE us"
}
MAX_FREEZE=50000
WINDOWS=()

# state NAME [ARG] - a victim in it
state_cycle() {
	start_victim "$1" "$VICTIMS/victim_state" "$@"
	cycle
	end_victim
}

test_seccomp() { state_cycle seccomp; }
test_nondumpable() { state_cycle nondumpable; }
test_other_user() { state_cycle uid 65534; }
test_zombie_leader() { state_cycle zombie; }
test_vfork_child() { state_cycle vfork; }

# has_workers PID - one in an operation, one that polls
has_workers() {
	local comms
	comms=$(cat /proc/"$1"/task/*/comm 2>/dev/null)
	[[ $comms == *iou-wrk* && $comms == *iou-sqp* ]]
}

# Workers of io_uring have the memory and no user mode; their operations go on.
test_io_uring() {
	mkfifo "$WORK/fifo"
	start_victim uring "$VICTIMS/victim_uring" "$WORK/fifo"
	loop_until has_workers "${PID[uring]}"
	cycle
	apply answer --backend=stop-machine
	expect 1000 answer 0
	has_workers "${PID[uring]}" || fail "no workers any more"
	expect yes waits
	expect "opened=1 waited=0" finish
	end_victim
}

test_no_executable_memory() {
	start_victim noexec "$VICTIMS/victim_state" noexec
	expect no executable
	cycle
	expect no executable
	end_victim
}

test_chroot() {
	mkdir "$WORK/root"
	state_cycle chroot "$WORK/root"
}

# Is the process group still what it was: stopped, and not awake in between?
test_stopped() {
	local pid
	start_victim lib "$VICTIMS/victim_lib"
	pid=${PID[lib]}
	kill -STOP "$pid"
	loop_until is_state "$pid" T
	apply answer --max-freeze $MAX_FREEZE
	window
	is_state "$pid" T || fail "apply made it $(state "$pid")"
	kill -CONT "$pid"
	expect 1000 answer 0
	kill -STOP "$pid"
	loop_until is_state "$pid" T
	revert answer --max-freeze $MAX_FREEZE
	window
	is_state "$pid" T || fail "revert made it $(state "$pid")"
	kill -CONT "$pid"
	expect 42 answer 0
	windows_in_limit
	end_victim
}

cgroup() {
	[ -e /sys/fs/cgroup/cgroup.controllers ] || skip "no cgroup v2"
	CGROUP=/sys/fs/cgroup/ulp-test.$$
	mkdir -p "$CGROUP"
	trap 'echo 0 >$CGROUP/cgroup.freeze; end_all; loop_until rmdir $CGROUP' EXIT
	echo "${PID[$VICTIM]}" >"$CGROUP/cgroup.procs"
}

test_cgroup_frozen() {
	start_victim lib "$VICTIMS/victim_lib"
	cgroup
	expect 42 answer 0
	echo 1 >"$CGROUP/cgroup.freeze"
	loop_until grep -q 'frozen 1' "$CGROUP/cgroup.events"
	apply answer --max-freeze $MAX_FREEZE
	window
	echo 0 >"$CGROUP/cgroup.freeze"
	expect 1000 answer 0
	echo 1 >"$CGROUP/cgroup.freeze"
	loop_until grep -q 'frozen 1' "$CGROUP/cgroup.events"
	revert answer --max-freeze $MAX_FREEZE
	window
	loop_until grep -q 'frozen 1' "$CGROUP/cgroup.events"
	echo 0 >"$CGROUP/cgroup.freeze"
	expect 42 answer 0
	windows_in_limit
	end_victim
}

# It gets 2 ms of 100: the window must not wait for it to run.  The first limit of the
# machine makes the kernel rewrite code of its scheduler, with breakpoints: tcg-single.
test_throttled() {
	start_victim spin "$VICTIMS/victim_state" spin
	grep -qw cpu /sys/fs/cgroup/cgroup.controllers || skip "no cpu controller"
	echo +cpu >/sys/fs/cgroup/cgroup.subtree_control || skip "no cpu controller to give on"
	cgroup
	echo "2000 100000" >"$CGROUP/cpu.max" || skip "no cpu.max"
	loop_until grep -q 'nr_throttled [1-9]' "$CGROUP/cpu.stat"
	for _ in 1 2; do
		expect 42 answer 0
		apply answer --max-freeze $MAX_FREEZE
		window
		expect 1000 answer 0
		revert answer --max-freeze $MAX_FREEZE
		window
	done
	expect 42 answer 0
	windows_in_limit
	end_victim
}

# Stopped by a tracer, and stays so.
test_trace_stopped() {
	command -v gdb >/dev/null || skip "no gdb"
	start_victim lib "$VICTIMS/victim_lib"
	mkfifo "$WORK/gdb"
	exec {gdb}<>"$WORK/gdb"
	gdb -q -nx -p "${PID[lib]}" <"$WORK/gdb" >"$WORK/gdb.out" 2>&1 &
	STARTED+=($!)
	loop_until is_state "${PID[lib]}" t
	apply answer
	is_state "${PID[lib]}" t || fail "apply made it $(state "${PID[lib]}")"
	echo detach >&"$gdb"
	echo quit >&"$gdb"
	expect 1000 answer 0
	revert answer
	expect 42 answer 0
	end_victim
}

test_pid_namespace() {
	local inner
	start_victim ns unshare --pid --fork --kill-child "$VICTIMS/victim_lib"
	inner=$(pgrep -P "${PID[ns]}")
	expect 42 answer 0
	tool 0 apply --json -p "$inner" "$PATCHES/answer.so"
	json results.0.status=success "results.0.pid=$inner"
	expect 1000 answer 0
	tool 0 revert --json -p "$inner" "$PATCHES/answer.so"
	json results.0.status=success
	expect 42 answer 0
	end_victim
}

# Threads are named as the tool's namespace knows them.
test_pid_namespace_blocker() {
	local inner tid
	start_victim ns unshare --pid --mount-proc --fork --kill-child \
		"$VICTIMS/victim_stack"
	inner=$(pgrep -P "${PID[ns]}")
	ask enter wait
	tool 3 apply --json -p "$inner" --retries 1 "$PATCHES/busy.so"
	json results.0.reason=busy results.0.blocker.function=victim_wait
	tid=$(json_value results.0.blocker.tid)
	[ -e "/proc/$inner/task/$tid" ] || fail "there is no thread $tid in $inner"
	expect 1120 leave
	end_victim
}

# In a mount namespace where nothing of ours can be seen.
test_mount_namespace() {
	start_victim ns unshare --mount sh -c \
		"mkdir -p '$WORK/lib' && mount -t tmpfs none '$WORK/lib' &&
		cp '$VICTIMS/libvictim.so' '$WORK/lib' &&
		LD_LIBRARY_PATH='$WORK/lib' exec '$VICTIMS/victim_lib'"
	grep -q "$WORK/lib/libvictim.so" "/proc/${PID[ns]}/maps" || fail "it uses another library"
	cycle
	end_victim
}

test_deleted_library() {
	mkdir "$WORK/lib"
	cp "$VICTIMS/libvictim.so" "$WORK/lib"
	start_victim lib env LD_LIBRARY_PATH="$WORK/lib" "$VICTIMS/victim_lib"
	rm "$WORK/lib/libvictim.so"
	grep -q 'libvictim.so (deleted)' "/proc/${PID[lib]}/maps" || fail "it is not deleted"
	cycle
	# replaced by something else, as an upgrade does
	echo "not a library" >"$WORK/lib/libvictim.so"
	cycle
	end_victim
}

# A program that runs with more rights than its user: no preloading there.
test_setuid() {
	command -v setpriv >/dev/null || skip "no setpriv"
	cp "$O/selftests/flow/matrix/victim_exe.pie" "$WORK/setuid"
	chmod 4755 "$WORK/setuid"
	chmod 755 "$RUN" "$WORK"
	start_victim setuid setpriv --reuid 65534 --clear-groups "$WORK/setuid"
	ask uids
	[ "$REPLY" = "uid=65534 euid=0" ] || skip "set-user-id does not work here: $REPLY"
	expect 42 answer 0
	apply exe.pie
	expect 1000 answer 0
	revert exe.pie
	expect 42 answer 0
	end_victim
}

test_32_bit() {
	start_victim thirtytwo "$VICTIMS/victim_32"
	tool 1 apply --json -p "${PID[thirtytwo]}" "$PATCHES/answer.so"
	json results.0.status=failed results.0.reason=arch
	alive || fail "it died of it"
}

# Not root: one's own processes are refused for want of /dev/ulp, those of
# others for want of permission; neither is a success.
test_unprivileged() {
	command -v setpriv >/dev/null || skip "no setpriv"
	start_victim lib "$VICTIMS/victim_lib"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$ULP_TOOL" apply --json \
		-p "${PID[lib]}" "$PATCHES/answer.so" >"$WORK/out" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "exit status $?"
	json results.0.status=failed results.0.reason=permission
	expect 42 answer 0
	end_victim
}

run_tests test_seccomp test_nondumpable test_other_user test_zombie_leader test_vfork_child \
	test_io_uring test_no_executable_memory test_chroot test_stopped test_cgroup_frozen \
	test_throttled test_trace_stopped test_pid_namespace test_pid_namespace_blocker \
	test_mount_namespace test_deleted_library test_setuid test_32_bit test_unprivileged
