#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 900
#
# The tool while each step of the module fails, at many of its passings: the exit
# status and the reason, the target as it was, nothing left behind, and the next
# apply works.  With the gate, without it, and with what is looked up.
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || { echo "not root"; exit 4; }
PARAMETERS=/sys/module/ulp/parameters

# Fault points (enum ulp_fault), what the tool makes of each - status and reason,
# with one attempt - and the least number of passings that an apply has.  It acts
# in each session, so in each that the tool opens because of it.
points() {
	cat <<-END
	1  pin          1 bytes-differ 2
	2  copy-plan    1 bytes-differ 6
	3  alloc        1 no-memory    9
	4  map          1 no-memory    2
	5  freeze-limit 3 limit        $1
	6  check        3 busy         1
	7  stack        0 success      1
	8  bytes        3 changing     2
	9  page         0 success      2
	11 copy-result  1 bytes-differ 1
	END
}

# fault POINT PASSING - in each session from now on
fault() {
	echo 0 >"$PARAMETERS/fault_acted"
	echo "$2" >"$PARAMETERS/fault_passing"
	echo "$1" >"$PARAMETERS/fault_point"
}

# Whether one has acted; no more of them.
acted() {
	echo 0 >"$PARAMETERS/fault_point"
	[ "$(cat "$PARAMETERS/fault_acted")" -gt 0 ]
}

unreferenced() {
	[ "$(cat /sys/module/ulp/refcnt)" = 0 ]
}

# unchanged MAPS - the target is what it was
unchanged() {
	expect "$([ "$verb" = apply ] && echo 42 || echo 1000)" answer 0
	[ "$(wc -l <"/proc/${PID[$VICTIM]}/maps")" -eq "$1" ] ||
		fail "point $name, passing $passing of $verb: mappings: $(cat "/proc/${PID[$VICTIM]}/maps")"
	loop_until unreferenced
}

# one POINT STATUS REASON - the verb, with the point failing; false if it was not passed
one() {
	local before status
	before=$(wc -l <"/proc/${PID[$VICTIM]}/maps")
	fault "$1" "$passing"
	"$ULP_TOOL" "$verb" --json -p "${PID[$VICTIM]}" --retries 0 --max-freeze 10000000 \
		"$PATCHES/answer.so" >"$WORK/out" 2>"$WORK/err"
	status=$?
	if ! acted; then
		[ $status -eq 0 ] || fail "$verb without a fault: $status $(cat "$WORK/out")"
		return 1
	fi
	[ "$status $(json_value results.0.reason)" = "$2 $3" ] ||
		fail "point $name, passing $passing of $verb: $status $(cat "$WORK/out" "$WORK/err")"
	[ "$2" = 0 ] || unchanged "$before"
}

# passed POINT STATUS REASON LEAST - the point was passed; false if there is no such
# passing.  A thread is looked at in the window only if it has run since the look before:
# that is the scheduler's to say, so what must come is waited for.
passed() {
	local try
	for ((try = 0; try < 50; try++)); do
		if one "$1" "$2" "$3"; then
			return 0
		fi
		[ $passing -lt "$4" ] || return 1
		back
	done
	fail "$verb passes $name $passing times, in $try tries"
}

# each VERB POINT NAME STATUS REASON LEAST - passings of one point, until there is none:
# the first three, then fewer and fewer of the first twenty; abi/test_fault has them all
each() {
	local verb=$1 point=$2 name=$3 passing=0
	while passed "$point" "$4" "$5" "$6"; do
		[ "$4" != 0 ] || back
		passing=$((passing < 2 ? passing + 1 : passing * 2))
		# the answer to what was done is the second: nothing can be refused any more
		[ "$name" != copy-result ] || break
		[ "$passing" -lt "$(scaled 20)" ] || return 0
	done
	[ "$name" != copy-result ] || $verb answer
	back
}

# Undo what the verb did.
back() {
	if [ "$verb" = apply ]; then
		expect 1000 answer 0
		revert answer
		expect 42 answer 0
	else
		expect 42 answer 0
		apply answer
		expect 1000 answer 0
	fi
}

# victim NAME - threads of it run all the time: one is looked at in the window
victim() {
	start_victim "$1" "$VICTIMS/victim_lib"
	expect "hammering 2" hammer 2
}

# with TABLE GATES PARAMETER... - the whole table, of a module with the parameters
with() {
	local table=$1 gates=$2
	shift 2
	[ ! -e /sys/module/ulp ] || rmmod ulp || fail rmmod
	insmod "$O/kmod-debug/ulp.ko" "$@" || fail "insmod $*"
	loop_until test -c /dev/ulp
	$table "$gates"
	loop_until rmmod ulp
}

# applies GATES - each to a new victim: where a patch was once, its image is mapped
applies() {
	while read -r point name want reason least; do
		victim "lib$point"
		each apply "$point" "$name" "$want" "$reason" "$least"
		end_victim
	done < <(points "$1")
}

# reverts GATES - the same of a patch that is there
reverts() {
	victim lib
	apply answer
	while read -r point name want reason least; do
		[ "$name" != map ] || continue
		[ "$name" != alloc ] || least=7
		each revert "$point" "$name" "$want" "$reason" "$least"
	done < <(points "$1")
	end_victim
}

# Whoever starts goes on, with the daemon and without; another thread of it may still
# serve one.
ends_at_a_start() {
	start_answers 42 || start_answers 42 || fail "a start"
	! alive $DAEMON
}

# The daemon cannot read the sensor any more: it says so and ends, for systemd to start
# another.
sensor() {
	local status
	enable answer
	fault 16 0
	"$ULP_TOOL" daemon --list="$(enabled_list)" --hold 600 2>"$WORK/daemon" &
	DAEMON=$!
	STARTED+=($!)
	loop_until ends_at_a_start
	acted || fail "the sensor was read: $(cat "$WORK/daemon")"
	wait $DAEMON
	status=$?
	[ $status -eq 1 ] || fail "status $status: $(cat "$WORK/daemon")"
	daemon_said 'the sensor cannot be read: Bad address; the daemon ends' ||
		fail "$(cat "$WORK/daemon")"
	start_daemon
	start_answers 1000 || fail "another daemon does not patch"
	end_daemon
}

test_apply() { with applies 1; }
test_revert() { with reverts 1; }
test_stop_machine() { with applies 0 force_no_gate=1; }
test_looked_up() { with applies 1 force_no_task_work_export=1; }
# gates stay until their threads wake up: each answer is given by all of them
test_no_cancel() { with applies 1 force_no_cancel=1; }
test_sensor() { with sensor 1; }

run_tests test_apply test_revert test_stop_machine test_looked_up test_no_cancel test_sensor
