#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# --consistency=thread: each thread gets the new code by itself, and keeps the old
# one for as long as it is inside.
. "$(dirname "$0")/../lib.sh"

OLD=12 NEW=2012		# what victim_part() says, to callers who agree with it
STAY_OLD=100 STAY_NEW=2100

begin_victim() {
	start_victim universe "$VICTIMS/victim_universe"
}

# new_thread N - it becomes number N; its tid in TID[N]
declare -A TID
new_thread() {
	ask new
	[ "${REPLY% *}" = "$1" ] || fail "thread $REPLY, not $1"
	TID[$1]=${REPLY#* }
}

# switching apply|revert [OPTION...] - it is done, but threads have not switched
switching() {
	local verb=$1 FILE
	shift
	patch_path universe
	tool 4 "$verb" --json -p "${PID[$VICTIM]}" --consistency=thread --timeout=0.3 "$@" "$FILE"
	json results.0.status=switching results.0.reason=switching summary.switching=1 \
		summary.failed=0 summary.success=0
}

# finish [OPTION...]
finish() {
	tool 0 finish --json -p "${PID[$VICTIM]}" "$@"
	json results.0.status=success results.0.waiting=0 summary.success=1
}

# state_is STATE WAITING - as "patches" shows it
state_is() {
	tool 0 patches --json -p "${PID[$VICTIM]}"
	json "processes.0.objects.0.patches.0.state=$1" "processes.0.objects.0.patches.0.waiting=$2"
}

# thread_is TID old|new [FUNCTION] - as the last "patches" showed it
thread_is() {
	local i=0 tid
	while tid=$(json_value "processes.0.threads.$i.tid"); do
		if [ "$tid" = "$1" ]; then
			json "processes.0.threads.$i.universe=$2"
			[ -z "$3" ] || json "processes.0.threads.$i.function=$3" \
				"processes.0.threads.$i.frame"
			return
		fi
		i=$((i + 1))
	done
	fail "no thread $1"
}

# code ADDRESS BYTES - of the victim, disassembled, in $WORK/code
code() {
	dd if="/proc/${PID[$VICTIM]}/mem" of="$WORK/bytes" bs=1 skip=$(($1)) count="$2" \
		status=none || fail "cannot read memory at $1"
	objdump -D -b binary -m i386:x86-64 --adjust-vma="$1" "$WORK/bytes" >"$WORK/code"
}

# leads_to - where the jump at victim_part() leads, in REPLY
leads_to() {
	ask address
	code "$REPLY" 16
	# behind an endbr64, if there is one
	REPLY=$(sed -n 's/.*\tjmp *\(0x[0-9a-f]*\)$/\1/p' "$WORK/code" | head -n 1)
	[ -n "$REPLY" ] || fail "no jump: $(cat "$WORK/code")"
}

# entry_is stub|new - what the entry of victim_part() leads to
entry_is() {
	local want
	leads_to
	code "$REPLY" 16
	want=$(objdump -d "$PATCHES/universe.so" | sed -n '/<new_part>:/{n;p;}' | cut -f 3)
	case $1 in
	stub) want='mov    %rdx,-0x18(%rsp)' ;;
	esac
	grep -qF "$want" <(sed -n '/^ *[0-9a-f]*:/{p;q;}' "$WORK/code") ||
		fail "the entry leads to $(sed -n '/^ *[0-9a-f]*:/{p;q;}' "$WORK/code"), not to '$want'"
}

# Nobody is inside: all is done at once, and no trace of it is left in the code.
test_nobody_inside() {
	begin_victim
	new_thread 0
	expect "$OLD" part 0
	apply universe --consistency=thread
	expect "$NEW" part 0
	entry_is new
	revert universe --consistency=thread
	expect "$OLD" part 0
	apply universe
	expect "$NEW" part 0
	revert universe
	expect "$OLD" part 0
	end_victim
}

# One stays for ever: it keeps the old code, all others have the new; a caller of
# the old layout never meets a callee of the new one.
test_one_stays() {
	begin_victim
	new_thread 0
	new_thread 1
	expect "$OLD" stay 0
	switching apply
	json results.0.waiting=1 "results.0.blocker.tid=${TID[0]}" \
		results.0.blocker.function=victim_stay
	entry_is stub
	expect "$NEW" part 1
	expect "$OLD" part 0
	new_thread 2
	expect "$NEW" part 2
	expect "$NEW" stay 2
	expect "$NEW" part 2
	expect "$OLD" part 0
	state_is switching 1
	thread_is "${TID[0]}" old victim_stay
	thread_is "${TID[1]}" new
	thread_is "${TID[2]}" new
	tool 4 finish -p "${PID[$VICTIM]}" --timeout=0.2
	grep -q 'SWITCHING' "$WORK/out" || fail "$(cat "$WORK/out")"
	expect "$STAY_OLD" leave 0
	expect "$OLD" part 0
	finish
	expect "$NEW" part 0
	state_is active 0
	entry_is new
	expect "$STAY_NEW" leave 2
	tool 0 finish --json -p "${PID[$VICTIM]}"
	json results.0.reason=not-switching
	revert universe
	expect "$OLD" part 0
	end_victim
}

# The tool that waits sees it through by itself.
test_waits() {
	local pid
	begin_victim
	new_thread 0
	expect "$OLD" stay 0
	"$ULP_TOOL" apply --json -p "${PID[$VICTIM]}" --consistency=thread --timeout="$LIMIT" \
		"$PATCHES/universe.so" >"$WORK/out.bg" 2>&1 &
	pid=$!
	loop_until switching_seen 1
	expect "$OLD" part 0
	expect "$STAY_OLD" leave 0
	wait "$pid" || fail "exit status $?: $(cat "$WORK/out.bg")"
	expect "$NEW" part 0
	entry_is new
	end_victim
}

switching_seen() {
	"$ULP_TOOL" patches --json -p "${PID[$VICTIM]}" >"$WORK/out" 2>/dev/null &&
		"$JSON_GET" "$WORK/out" processes.0.objects.0.patches.0.state=switching \
			"processes.0.objects.0.patches.0.waiting=$1" >/dev/null 2>&1
}

# The same for a revert: the one that stays keeps the new code.
test_revert() {
	begin_victim
	new_thread 0
	new_thread 1
	apply universe
	expect "$NEW" stay 0
	switching revert
	state_is returning 1
	thread_is "${TID[0]}" new victim_stay
	thread_is "${TID[1]}" old
	expect "$OLD" part 1
	expect "$NEW" part 0
	expect "$STAY_NEW" leave 0
	finish
	expect "$OLD" part 0
	state_is reverted 0
	end_victim
}

# The machine is stopped instead of the target's threads.
test_stop_machine() {
	local by=--backend=stop-machine
	begin_victim
	new_thread 0
	new_thread 1
	expect "$OLD" stay 0
	switching apply $by
	json results.0.backend=stop-machine "results.0.blocker.tid=${TID[0]}"
	expect "$NEW" part 1
	expect "$OLD" part 0
	new_thread 2
	expect "$NEW" stay 2
	expect "$STAY_OLD" leave 0
	finish $by
	json results.0.backend=stop-machine results.0.threads=4
	expect "$NEW" part 0
	entry_is new
	switching revert $by
	json results.0.backend=stop-machine "results.0.blocker.tid=${TID[2]}"
	expect "$OLD" part 1
	expect "$NEW" part 2
	expect "$STAY_NEW" leave 2
	finish $by
	expect "$OLD" part 2
	state_is reverted 0
	end_victim
}

# Turned round while threads of both kinds are inside: each keeps what it has.
test_turned_round() {
	begin_victim
	new_thread 0
	new_thread 1
	new_thread 2
	expect "$OLD" stay 0
	switching apply
	expect "$NEW" stay 1
	switching revert
	json results.0.waiting=1 "results.0.blocker.tid=${TID[1]}"
	state_is returning 1
	thread_is "${TID[0]}" old
	thread_is "${TID[1]}" new victim_stay
	expect "$OLD" part 0
	expect "$NEW" part 1
	expect "$OLD" part 2
	# and round again
	switching apply
	state_is switching 1
	thread_is "${TID[0]}" old victim_stay
	expect "$NEW" part 1
	expect "$NEW" part 2
	expect "$OLD" part 0
	# mode atomic is no way out of it: it is turned all the same
	tool 4 revert -p "${PID[$VICTIM]}" --timeout=0.2 "$PATCHES/universe.so"
	expect "$STAY_NEW" leave 1
	finish
	expect "$OLD" part 1
	expect "$STAY_OLD" leave 0
	state_is reverted 0
	end_victim
}

# Nothing else is changed meanwhile.
test_one_at_a_time() {
	begin_victim
	new_thread 0
	expect "$OLD" stay 0
	switching apply
	refused apply 3 busy answer
	expect "$STAY_OLD" leave 0
	finish
	apply answer
	end_victim
}

# So what was to be applied after all else is reverted is not: that is said, too.
test_reverted_first() {
	begin_victim
	new_thread 0
	apply universe
	expect "$NEW" stay 0
	tool 3 apply --json -p "${PID[$VICTIM]}" --consistency=thread --timeout=0.3 \
		--revert-all=target "$PATCHES/answer.so"
	json results.0.action=revert results.0.status=switching \
		results.1.action=apply results.1.reason=busy summary.switching=1 summary.failed=1
	expect "$STAY_NEW" leave 0
	finish
	apply answer
	end_victim
}

# The child of a fork has the table and one thread, which is what it was.
test_fork() {
	begin_victim
	new_thread 0
	new_thread 1
	expect "$OLD" stay 0
	switching apply
	ask fork 0
	PID[child]=$REPLY
	STARTED+=("$REPLY")
	expect "$OLD" part 9
	VICTIM=child state_is switching 1
	VICTIM=child
	thread_is "${PID[child]}" old victim_stay
	VICTIM=universe
	expect "$STAY_OLD" leave 9
	VICTIM=child finish
	expect "$NEW" part 9
	VICTIM=child state_is active 0
	# the parent is as it was
	state_is switching 1
	expect "$OLD" part 0
	expect ended end 9
	ask fork 1
	PID[child]=$REPLY
	STARTED+=("$REPLY")
	expect "$NEW" part 9
	VICTIM=child finish
	expect "$NEW" part 9
	expect ended end 9
	expect "$STAY_OLD" leave 0
	finish
	end_victim
}

# The tool is killed and the module goes: nothing happens to anybody.
test_tool_and_module_go() {
	local pid
	begin_victim
	new_thread 0
	new_thread 1
	expect "$OLD" stay 0
	"$ULP_TOOL" apply -p "${PID[$VICTIM]}" --consistency=thread --timeout="$LIMIT" \
		"$PATCHES/universe.so" >/dev/null 2>&1 &
	pid=$!
	loop_until switching_seen 1
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	loop_until rmmod ulp 2>/dev/null
	expect "$NEW" part 1
	expect "$OLD" part 0
	# without the module there is the number of threads that are left
	state_is switching 1
	tool 1 finish -p "${PID[$VICTIM]}"
	expect "$STAY_OLD" leave 0
	expect "$OLD" part 0
	insmod "$ULP_KO" || fail "insmod"
	loop_until test -c /dev/ulp
	finish
	expect "$NEW" part 0
	entry_is new
	end_victim
}

# A thread that ended inside is not waited for.
test_ended() {
	begin_victim
	new_thread 0
	new_thread 1
	expect "$OLD" stay 0
	switching apply
	expect "$STAY_OLD" leave 0
	expect ended end 0
	finish
	expect "$NEW" part 1
	end_victim
}

# Two that share a thread pointer switch together.
test_shared_pointer() {
	start_victim stack "$VICTIMS/victim_stack"
	ask shared
	tool 4 apply --json -p "${PID[stack]}" --consistency=thread --timeout=0.3 \
		"$PATCHES/busy.so"
	tool 0 patches --json -p "${PID[stack]}"
	thread_is "${PID[stack]}" old
	thread_is "$REPLY" old victim_wait
	expect "1120 7" unshare
	finish
	expect 42 answer 0
	end_victim
}

# One without a thread pointer can be in no table: it is refused, and says so.
test_no_pointer() {
	begin_victim
	expect spinning raw
	refused apply 1 consistency busy --consistency=thread
	grep -q 'no thread pointer' "$WORK/out" || fail "$(cat "$WORK/out")"
	expect ended unraw
	apply busy --consistency=thread
	end_victim
}

# Interrupted by a signal in the middle of what the jump replaces: no thread may
# come back there.  Without optimisation the first instruction is one byte long.
test_interrupted_in_entry() {
	local library
	for library in '' .O0; do
		mkdir -p "$WORK/lib$library"
		ln -sf "$VICTIMS/libvictim$library.so" "$WORK/lib$library/libvictim.so"
		LD_LIBRARY_PATH=$WORK/lib$library start_victim "v$library" \
			"$VICTIMS/victim_universe"
		expect interrupted step
		refused apply 3 busy "outer$library" --consistency=thread --timeout=0.3
		refused apply 3 busy "outer$library" --timeout=0.3
		expect 0x10102 go
		apply "outer$library" --consistency=thread
		end_victim
	done
}

test_coroutines() {
	start_victim coroutine "$VICTIMS/victim_coroutine"
	refused apply 1 consistency universe --consistency=thread
	grep -q makecontext "$WORK/out" || fail "$(cat "$WORK/out")"
	end_victim
}

# On top of another patch "old" is that one's code.
test_stacked() {
	start_victim stack "$VICTIMS/victim_stack"
	apply callee
	ask enter caller
	tool 4 apply -p "${PID[stack]}" --consistency=thread --timeout=0.3 "$PATCHES/caller.so"
	expect 6130 leave
	finish
	ask enter caller
	expect 26120 leave
	end_victim
}

# A patch may call what it replaces.
test_original() {
	begin_victim
	new_thread 0
	apply original
	expect 3012 part 0
	revert original
	expect "$OLD" part 0
	apply original --consistency=thread
	expect 3012 part 0
	end_victim
}

# In every build of the library: forth and back under load, and never a mixture.
test_never_mixed() {
	local library patch
	for library in '' .O0 .O3 .Os .cet .nop16 .nop5 .cet-nop16; do
		mkdir -p "$WORK/lib$library"
		ln -sf "$VICTIMS/libvictim$library.so" "$WORK/lib$library/libvictim.so"
		patch=outer$library
		LD_LIBRARY_PATH=$WORK/lib$library start_victim "v$library" \
			"$VICTIMS/victim_universe"
		expect "hammering 3" hammer 3
		for _ in $(seq "$(scaled 2)"); do
			apply "$patch" --consistency=thread --timeout="$LIMIT"
			revert "$patch" --consistency=thread --timeout="$LIMIT"
		done
		ask unhammer
		[ "${REPLY#* }" = "new=1 mixed=0" ] || fail "library $library: $REPLY"
		end_victim
	done
}

need_module
run_tests test_nobody_inside test_one_stays test_waits test_revert test_stop_machine \
	test_turned_round test_one_at_a_time test_reverted_first test_fork test_tool_and_module_go test_ended \
	test_shared_pointer test_no_pointer test_interrupted_in_entry test_coroutines test_stacked \
	test_original test_never_mixed
