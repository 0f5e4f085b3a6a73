#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# Apply, look, revert, apply again: an exported function of a shared library.
. "$(dirname "$0")/../lib.sh"

lib() {
	start_victim lib "$VICTIMS/victim_lib"
}

# what patches says about the one patch of the victim
listed() {
	tool 0 patches --json -p "${PID[$VICTIM]}"
	json "processes.0.pid=${PID[$VICTIM]}" processes.0.name=victim_lib
	"$JSON_GET" "$WORK/out" "processes.0.objects.0.patches.0.active=$1" >/dev/null
}

test_cycle() {
	lib
	expect 42 answer 0
	apply answer
	json "results.0.name=victim_lib" results.0.patch results.0.id results.0.proof=scan
	expect 1000 answer 0
	expect 1007 answer 7
	expect 100 second 0
	listed true || fail "patches does not list it: $(cat "$WORK/out")"
	json processes.0.objects.0.patches.0.functions.0=victim_answer \
		processes.0.objects.0.patches.0.labels.0=CVE-2026-0001 \
		processes.0.objects.0.build_id
	revert answer
	expect 42 answer 0
	if listed true; then
		fail "it is reverted and listed as active"
	fi
	apply answer
	expect 1000 answer 0
	revert answer
	expect 42 answer 0
	end_victim
}

# One patch again and again needs no more memory than once.
test_no_growth() {
	local lines
	lib
	apply answer
	revert answer
	lines=$(wc -l <"/proc/${PID[lib]}/maps")
	for _ in 1 2 3 4 5; do
		apply answer
		expect 1000 answer 0
		revert answer
		expect 42 answer 0
	done
	[ "$(wc -l <"/proc/${PID[lib]}/maps")" -eq "$lines" ] ||
		fail "$lines mappings became $(wc -l <"/proc/${PID[lib]}/maps")"
	end_victim
}

test_nothing_to_do() {
	lib
	refused revert 0 not-applied answer
	apply answer
	refused apply 0 already-applied answer
	expect 1000 answer 0
	revert answer
	refused revert 0 not-applied answer
	expect 42 answer 0
	end_victim
}

test_dry_run() {
	local lines
	lib
	lines=$(wc -l <"/proc/${PID[lib]}/maps")
	apply answer --dry-run
	expect 42 answer 0
	[ "$(images)" -eq 0 ] || fail "a dry run left $(images) mappings"
	[ "$(wc -l <"/proc/${PID[lib]}/maps")" -eq "$lines" ] || fail "a dry run left something"
	end_victim
}

test_check() {
	lib
	tool 1 check --json -p "${PID[lib]}" "$PATCHES/answer.so"
	apply answer
	tool 0 check --json -p "${PID[lib]}" "$PATCHES/answer.so"
	revert answer
	tool 1 check --json -p "${PID[lib]}" "$PATCHES/answer.so"
	end_victim
}

# By id, by its first digits, by the library.
test_revert_by_name() {
	local id
	lib
	apply answer
	id=$(json_value results.0.id)
	tool 0 revert --json -p "${PID[lib]}" --id "${id:0:12}"
	json results.0.status=success
	expect 42 answer 0
	apply answer
	apply second
	expect 7000 second 0
	tool 0 revert --json -p "${PID[lib]}" --all-of libvictim.so
	json summary.failed=0
	expect 42 answer 0
	expect 100 second 0
	end_victim
}

# Text stays private: nothing is ever writable and executable, no other process
# of the same library is changed.
test_only_this_process() {
	lib
	start_victim other "$VICTIMS/victim_lib"
	VICTIM=lib
	apply answer
	if grep ' .wx' "/proc/${PID[lib]}/maps"; then
		fail "writable and executable memory"
	fi
	expect 1000 answer 0
	VICTIM=other
	expect 42 answer 0
	[ "$(images)" -eq 0 ] || fail "images in a process that was not asked for"
	end_victim
	VICTIM=lib
	end_victim
}

# Without -p: all processes that use the library, and only they.
test_all_processes() {
	lib
	start_victim other "$VICTIMS/victim_lib"
	start_victim exe "$O/selftests/flow/matrix/victim_exe.pie"
	tool 0 apply --json "$PATCHES/answer.so"
	json summary.failed=0 summary.success=2
	VICTIM=lib expect 1000 answer 0
	VICTIM=other expect 1000 answer 0
	VICTIM=exe expect 42 answer 0
	tool 0 revert --json "$PATCHES/answer.so"
	json summary.failed=0 summary.success=2
	VICTIM=lib expect 42 answer 0
	VICTIM=other expect 42 answer 0
	VICTIM=lib end_victim
	VICTIM=other end_victim
	VICTIM=exe end_victim
}

test_no_such_process() {
	tool 1 apply --json -p 4194303 "$PATCHES/answer.so"
	json results.0.status=failed results.0.reason=no-such-process
	tool 2 apply --no-such-option
	tool 1 apply "$WORK/no-such-patch.so"
}

test_two_patches_at_once() {
	lib
	tool 0 apply --json -p "${PID[lib]}" "$PATCHES/answer.so" "$PATCHES/second.so"
	json summary.success=2 summary.failed=0
	expect 1000 answer 0
	expect 7000 second 0
	revert answer
	expect 42 answer 0
	expect 7000 second 0
	revert second
	expect 100 second 0
	end_victim
}

# A program may keep pointers into a patch: its code outlives the revert.
test_kept_pointer() {
	lib
	expect kept keep
	expect 10 kept 3
	apply pointer
	expect 10 kept 3
	expect kept keep
	expect 9003 kept 3
	revert pointer
	expect 9004 kept 3
	expect kept keep
	expect 10 kept 3
	apply pointer
	expect kept keep
	expect 9005 kept 3
	end_victim
}

run_tests test_cycle test_no_growth test_nothing_to_do test_dry_run test_check \
	test_revert_by_name test_only_this_process test_all_processes test_no_such_process \
	test_two_patches_at_once test_kept_pointer
