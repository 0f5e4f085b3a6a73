#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# ulp-tool as people and scripts meet it: lines, summaries, JSON, exit
# statuses, several processes and patches.  What a patch does is for the others.
. "$(dirname "$0")/../lib.sh"

ANSWER=$PATCHES/answer.so
SECOND=$PATCHES/second.so
BUSY=$PATCHES/busy.so

lib() {
	start_victim "${1:-lib}" "$VICTIMS/victim_lib"
}

# prints PATTERN [FILE] - a whole line
prints() {
	grep -qxE -- "$1" "$WORK/${2:-out}" ||
		fail "no line '$1': $(head -c 3000 "$WORK/${2:-out}")"
}

lines() {
	[ "$(wc -l <"$WORK/out")" -eq "$1" ] || fail "not $1 lines: $(cat "$WORK/out")"
}

test_lines() {
	local who
	lib
	who="victim_lib \(pid: ${PID[lib]}\)"
	tool 0 apply -p "${PID[lib]}" --max-freeze 5000000 "$ANSWER"
	prints "$who: SUCCESS $ANSWER applied \([0-9]+\.[0-9]{3} ms frozen, 1 thread, attempt 1, proof: scan\)"
	prints 'ulp-tool: 1 succeeded, 0 skipped, 0 failed'
	lines 2
	tool 0 apply -p "${PID[lib]}" "$ANSWER"
	prints "$who: SKIPPED $ANSWER: already-applied: .*"
	prints 'ulp-tool: 0 succeeded, 1 skipped, 0 failed'
	tool 0 check -p "${PID[lib]}" "$ANSWER"
	prints "$who: APPLIED $ANSWER"
	tool 0 revert -p "${PID[lib]}" answer
	prints "$who: SUCCESS answer reverted .*"
	tool 1 check -p "${PID[lib]}" "$ANSWER"
	prints "$who: NOT APPLIED $ANSWER: not-applied"
	tool 0 apply --dry-run -p "${PID[lib]}" "$ANSWER"
	prints "$who: SUCCESS $ANSWER would be applied .*"
	prints 'ulp-tool: 1 would succeed, 0 skipped, 0 failed'
	expect 42 answer 0
	end_victim
}

# No escape sequences unless somebody looks.
test_no_colours_in_a_file() {
	lib
	tool 0 apply -p "${PID[lib]}" "$ANSWER"
	! grep -q $'\033' "$WORK/out" || fail "escape sequences in a file"
	if command -v script >/dev/null; then
		TERM=xterm script -qec "$ULP_TOOL check -p ${PID[lib]} $ANSWER" /dev/null \
			>"$WORK/out" </dev/null
		grep -q $'\033' "$WORK/out" || fail "no colours on a terminal"
		TERM=xterm NO_COLOR=1 script -qec "$ULP_TOOL check -p ${PID[lib]} $ANSWER" \
			/dev/null >"$WORK/out" </dev/null
		! grep -q $'\033' "$WORK/out" || fail "colours in spite of NO_COLOR"
	fi
	end_victim
}

test_quiet() {
	lib
	tool 0 apply -q -p "${PID[lib]}" "$ANSWER"
	tool 0 apply -q -p "${PID[lib]}" "$ANSWER"
	lines 0
	[ ! -s "$WORK/err" ] || fail "not quiet: $(cat "$WORK/err")"
	tool 1 apply -q -p 4194303 "$ANSWER"
	lines 0
	prints '.*\(pid: 4194303\): FAILED .*: no-such-process: .*' err
	tool 0 revert --quiet --json -p "${PID[lib]}" "$ANSWER"
	json results.0.status=success
	end_victim
}

test_all_keys() {
	lib
	tool 0 apply --json -p "${PID[lib]}" --max-freeze 5000000 "$ANSWER"
	json "results.0.pid=${PID[lib]}" results.0.name=victim_lib results.0.action=apply \
		results.0.dry_run=false results.0.patch=answer results.0.id \
		"results.0.file=$ANSWER" results.0.status=success results.0.reason=success \
		results.0.freeze_ns results.0.max_freeze_ns results.0.attempts=1 \
		results.0.threads=1 results.0.backend=gate results.0.proof=scan \
		results.#=1 summary.success=1 summary.skipped=0 summary.failed=0 errors.#=0
	[ "$(json_value results.0.freeze_ns)" -gt 0 ] || fail "frozen for no time at all"
	tool 0 patches --json -p "${PID[lib]}"
	json processes.#=1 processes.0.objects.#=1 \
		"processes.0.objects.0.path=$VICTIMS/libvictim.so" \
		processes.0.objects.0.build_id processes.0.objects.0.patches.0.id \
		processes.0.objects.0.patches.0.file=answer \
		processes.0.objects.0.patches.0.labels.0=CVE-2026-0001 \
		processes.0.objects.0.patches.0.functions.0=victim_answer \
		processes.0.objects.0.patches.0.active=true \
		processes.0.objects.0.patches.0.sequence \
		processes.0.objects.0.patches.0.changed \
		"processes.0.objects.0.patches.0.uid=$(id -u)"
	tool 0 check --json -p "${PID[lib]}" "$ANSWER"
	json applied=true results.0.applied=true results.0.reason=success
	end_victim
}

test_status() {
	tool 0 status
	prints 'module: +loaded, version .*, ABI 1'
	prints 'ready'
	tool 0 status --json
	json ready=true module.answers=true module.abi=1 module.backends.0=gate lacks.#=0
}

# Busy is not failed: 3 says that trying again may help; 1 that it will not.
test_busy() {
	local tid
	start_victim stack "$VICTIMS/victim_stack"
	ask enter wait
	tid=$REPLY
	tool 3 apply -p "${PID[stack]}" --retries 1 "$BUSY"
	prints "victim_stack \(pid: ${PID[stack]}\): FAILED $BUSY: busy: thread $tid .*victim_wait.* 0x[0-9a-f]+[ ;].*"
	prints 'ulp-tool: 0 succeeded, 0 skipped, 1 failed \(1 busy: try again later\)'
	lib
	tool 3 apply --json -p 'victim_[!i]*' --retries 0 --max-freeze 5000000 --disable-threading "$BUSY"
	json results.#=2 summary.failed=1
	tool 1 apply -p "${PID[stack]}" -p 4194303 --retries 1 "$BUSY"
	prints 'ulp-tool: 0 succeeded, 0 skipped, 2 failed \(1 busy: try again later\)'
	VICTIM=stack
	expect 1120 leave
	end_victim
	VICTIM=lib
	end_victim
}

# --retries 0 is one attempt, N are N more; --timeout ends them early
test_attempts() {
	start_victim stack "$VICTIMS/victim_stack"
	ask enter wait
	tool 3 apply --json -p "${PID[stack]}" --retries 0 "$BUSY"
	json results.0.attempts=1
	tool 3 apply --json -p "${PID[stack]}" --retries 6 "$BUSY"
	json results.0.attempts=7
	tool 3 apply --json -p "${PID[stack]}" --retries 1000000 --timeout 0.2 "$BUSY"
	[ "$(json_value results.0.attempts)" -lt 1000 ] || fail "no end after --timeout"
	expect 1120 leave
	end_victim
}

test_backends() {
	local backend
	lib
	for backend in gate stop-machine; do
		apply answer --backend $backend
		json results.0.backend=$backend
		revert answer --backend=$backend
		json results.0.backend=$backend
	done
	end_victim
}

# Several processes, in the order of their pids whoever was ready first.
test_many() {
	local i
	for i in 1 2 3 4 5 6; do
		lib "lib$i"
	done
	tool 0 apply --jobs 6 -p 'victim_l?b' "$ANSWER" "$SECOND"
	prints 'ulp-tool: 12 succeeded, 0 skipped, 0 failed'
	grep -o 'pid: [0-9]*' "$WORK/out" >"$WORK/pids"
	sort -c -k2n "$WORK/pids" || fail "not in order: $(cat "$WORK/out")"
	tool 0 check "$ANSWER"
	prints "ulp-tool: 6 applied, 0 not applied, [0-9]+ without the patch's target"
	VICTIM=lib3 revert answer
	tool 1 check --json "$ANSWER" "$SECOND"
	json applied=false results.#=12
	tool 0 revert --all -p victim_lib
	prints 'ulp-tool: 11 succeeded, 0 skipped, 0 failed'
	for i in 1 2 3 4 5 6; do
		VICTIM=lib$i
		expect 42 answer 0
		expect 100 second 0
		end_victim
	done
}

# Of all processes only those that matter are listed, the others counted.
test_summarization() {
	lib
	tool 0 apply "$ANSWER"
	lines 2
	prints 'ulp-tool: 1 succeeded, [0-9]+ skipped \([0-9]+ not listed: nothing to do there\), 0 failed'
	tool 0 apply --disable-summarization "$ANSWER"
	grep -q ': SKIPPED .*: not-target: ' "$WORK/out" || fail "nothing more: $(cat "$WORK/out")"
	tool 0 patches
	prints "victim_lib \(pid: ${PID[lib]}\)"
	prints 'ulp-tool: processes with patches: 1, without: [0-9]+'
	tool 0 revert "$ANSWER"
	lines 2
	end_victim
}

# Another build of the target may need a patch of its own: it is listed.
test_other_build_is_listed() {
	mkdir "$WORK/lib"
	cp "$VICTIMS/libvictim.O3.so" "$WORK/lib/libvictim.so"
	cp "$VICTIMS/libvictim.O3.so" "$WORK/lib/libvictim.O3.so"
	start_victim lib env LD_LIBRARY_PATH="$WORK/lib" "$VICTIMS/victim_lib"
	tool 0 apply "$ANSWER"
	grep -q "(pid: ${PID[lib]}): SKIPPED .*: build-id: " "$WORK/out" ||
		fail "not listed: $(cat "$WORK/out")"
	tool 0 check --json "$ANSWER"
	json results.0.reason=build-id applied=true
	tool 1 check --json -p "${PID[lib]}" "$ANSWER"
	json results.0.reason=build-id applied=false
	end_victim
}

test_revert_all() {
	lib
	tool 0 apply -q -p "${PID[lib]}" "$ANSWER"
	tool 0 apply --json -p "${PID[lib]}" --revert-all=target "$SECOND"
	json results.0.action=revert results.0.object=libvictim.so results.0.status=success \
		results.1.action=apply results.1.patch=second results.1.status=success
	expect 42 answer 0
	expect 7000 second 0
	# nothing to revert is nothing to tell
	tool 0 revert -q -p "${PID[lib]}" --all
	tool 0 trigger --json -p "${PID[lib]}" --revert-all=libvictim.so "$ANSWER"
	json results.#=1 results.0.action=apply
	tool 0 trigger --json -p "${PID[lib]}" --revert "$ANSWER"
	json results.0.action=revert results.0.status=success
	expect 42 answer 0
	end_victim
}

# If the first step is refused, the second is not tried.
test_revert_all_busy() {
	start_victim stack "$VICTIMS/victim_stack"
	apply busy
	ask enter wait
	tool 3 apply --json -p "${PID[stack]}" --retries 1 --revert-all=target "$ANSWER"
	json results.#=1 results.0.action=revert results.0.reason=busy
	expect 42 answer 0
	ask leave
	end_victim
}

test_revert_names() {
	local id
	lib
	tool 0 apply --json -p "${PID[lib]}" "$ANSWER" "$SECOND"
	id=$(json_value results.0.id)
	tool 0 unpatch --json -p "${PID[lib]}" -i "${id:0:8}" second
	json results.#=2 results.0.patch=answer results.0.status=success \
		results.1.patch=second results.1.status=success
	tool 0 revert --json -p "${PID[lib]}" "$id"
	json results.0.reason=not-applied
	tool 0 apply -q -p "${PID[lib]}" "$ANSWER" "$SECOND"
	tool 0 revert --json -p "${PID[lib]}" "$PATCHES/*.so"
	json summary.success=2 summary.failed=0
	tool 0 patches --json --only-livepatched -p "${PID[lib]}"
	json processes.#=0
	end_victim
}

# Processes that come and go while the tool looks at all of them.
test_passing_processes() {
	local i
	lib
	(
		trap 'exit 0' TERM
		while :; do
			for i in 1 2 3 4; do
				"$VICTIMS/victim_lib" </dev/null >/dev/null 2>&1 &
			done
			wait
		done
	) &
	STARTED+=($!)
	for i in 1 2 3 4 5 6 7 8; do
		tool 0 apply "$ANSWER"
		expect 1000 answer 0
		tool 0 revert "$ANSWER"
		expect 42 answer 0
	done
	end_victim
}

# A reader that goes away does not stop the work half way.
test_closed_pipe() {
	local status
	lib one
	lib two
	{
		"$ULP_TOOL" apply --jobs 1 -p victim_lib "$ANSWER" 2>"$WORK/err"
		echo $? >"$WORK/status"
	} | true
	status=$(cat "$WORK/status")
	[ "$status" = 1 ] || [ "$status" = 0 ] || fail "status $status"
	VICTIM=one expect 1000 answer 0
	VICTIM=two expect 1000 answer 0
	VICTIM=one end_victim
	VICTIM=two end_victim
}

# With the device in his hands a user patches what is his, and nothing else.
test_user() {
	local user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	command -v setpriv >/dev/null || skip "no setpriv"
	[ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" = 0 ] ||
		skip "yama forbids it"
	lib root
	start_victim his "${user[@]}" "$VICTIMS/victim_lib"
	chown 65534 /dev/ulp
	trap 'chown 0 /dev/ulp; end_all' EXIT
	"${user[@]}" "$ULP_TOOL" apply --json -p "${PID[his]}" "$ANSWER" >"$WORK/out" 2>"$WORK/err" ||
		fail "not applied: $(cat "$WORK/err" "$WORK/out")"
	json results.0.status=success
	expect 1000 answer 0
	"${user[@]}" "$ULP_TOOL" apply --json -p "${PID[root]}" "$ANSWER" >"$WORK/out" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "root's process: status not 1"
	json results.0.reason=permission
	VICTIM=root expect 42 answer 0
	"${user[@]}" "$ULP_TOOL" status --json >"$WORK/out"
	json ready=true root=false
	VICTIM=his end_victim
	VICTIM=root end_victim
}

run_tests test_lines test_no_colours_in_a_file test_quiet test_all_keys test_status test_busy \
	test_attempts test_backends test_many test_summarization test_other_build_is_listed \
	test_revert_all test_revert_all_busy test_revert_names test_passing_processes \
	test_closed_pipe test_user
