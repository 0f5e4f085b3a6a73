# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the test scripts share.  Sourced, not run:
#
#	. "$(dirname "$0")/../lib.sh"
#	test_something() { ...; }
#	run_tests test_something ...
#
# Each test is a function that run_tests runs in a subshell of its own: fail
# and skip leave it, and whatever it started is ended behind it.  Output is
# KTAP; the exit status is 0, 1 (a test failed) or 4 (all were skipped).
#
# Settings from outside:
#	O	build directory
#	SCALE	multiplies the counts of the stress tests, in percent (100)
#	ONLY	patterns of the tests to run
#	TIMES	multiplies the time limits (1)

SELFTESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
O=$(realpath -m "${O:-$SELFTESTS/../build}")
PATH=$PATH:/usr/sbin:/sbin
ULP_TOOL=${ULP_TOOL:-$O/ulp-tool/ulp-tool}
ULP_PACKER=${ULP_PACKER:-$O/packer/ulp-packer}
ULP_KO=${ULP_KO:-$O/kmod/ulp.ko}
VICTIMS=$O/selftests/victims
PATCHES=$O/selftests/packed
JSON_GET=$O/selftests/json_get
SCALE=${SCALE:-100}
LIMIT=$((120 * ${TIMES:-1})) # seconds that nothing of ours may take, however busy the machine is
export LD_LIBRARY_PATH=$VICTIMS${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# ---- results ----

note() {
	echo "# $*"
}

fail() {
	note "FAILED: $*"
	exit 1
}

# skip REASON - leave the test: this machine cannot do it
skip() {
	echo "$*" >"$RUN/skip"
	exit 4
}

# scaled N - the count for this run: N at SCALE=100, at least 1
scaled() {
	local n=$(($1 * SCALE / 100))
	echo $((n > 0 ? n : 1))
}

# least NUMBER... - the one that was disturbed least
least() {
	local n min=$1
	for n; do
		((n >= min)) || min=$n
	done
	echo "$min"
}

# chosen NAME - does it match one of the patterns of ONLY?
chosen() {
	local pattern
	local -
	set -f
	for pattern in ${ONLY:-'*'}; do
		# shellcheck disable=SC2254
		case $1 in $pattern) return 0 ;; esac
	done
	return 1
}

run_tests() {
	local number=0 failed=0 skipped=0 status name
	local -a names=()
	for name; do
		chosen "$name" && names+=("$name")
	done
	RUN=$(mktemp -d /tmp/ulp-test.XXXXXX) || exit 1
	trap 'rm -rf "$RUN"' EXIT
	echo "TAP version 13"
	echo "1..${#names[@]}"
	for name in "${names[@]}"; do
		number=$((number + 1))
		WORK=$RUN/$number
		mkdir "$WORK"
		(
			trap end_all EXIT
			"$name"
		)
		status=$?
		case $status in
		0)
			echo "ok $number ${name#test_}"
			;;
		4)
			skipped=$((skipped + 1))
			echo "ok $number ${name#test_} # SKIP $(cat "$RUN/skip")"
			;;
		*)
			failed=$((failed + 1))
			echo "not ok $number ${name#test_}"
			;;
		esac
	done
	echo "# Totals: pass:$((number - failed - skipped)) fail:$failed skip:$skipped"
	[ $failed -eq 0 ] || exit 1
	[ $number -eq 0 ] || [ $skipped -lt $number ] || exit 4
	exit 0
}

# Processes to end when the test is over, whatever became of it.
STARTED=()

end_all() {
	local pid
	for pid in "${STARTED[@]}"; do
		kill -CONT "$pid" 2>/dev/null
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
}

# loop_until COMMAND... - try it until it succeeds, within LIMIT
loop_until() {
	local end=$((SECONDS + LIMIT))
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "still not true after $LIMIT s: $*"
		sleep 0.02
	done
}

need_module() {
	[ "$(id -u)" = 0 ] || skip "not root"
	[ -e /dev/ulp ] || insmod "$ULP_KO" || fail "insmod $ULP_KO"
	[ -c /dev/ulp ] || loop_until test -c /dev/ulp
}

# ---- victims ----
#
# A victim prints "ready" first, then answers each line with one line, and ends
# with EXIT-SUCCESS after "quit".  There may be several; VICTIM names the one
# that is spoken to, PID[$VICTIM] its process.

declare -A PID TO FROM
VICTIM=

# start_victim NAME COMMAND [ARG...]
start_victim() {
	local name=$1 to from
	shift
	mkfifo "$WORK/$name.to" "$WORK/$name.from"
	# opened for both so that neither side waits for the other
	exec {to}<>"$WORK/$name.to" {from}<>"$WORK/$name.from"
	"$@" <"$WORK/$name.to" >"$WORK/$name.from" 2>"$WORK/$name.err" {to}>&- {from}<&- &
	PID[$name]=$!
	STARTED+=($!)
	TO[$name]=$to
	FROM[$name]=$from
	VICTIM=$name
	hear
	[ "$REPLY" = ready ] || fail "$name said '$REPLY', not ready: $(cat "$WORK/$name.err")"
}

# hear - the victim's next line, in REPLY
hear() {
	read -r -t $LIMIT -u "${FROM[$VICTIM]}" REPLY && return
	kill -0 "${PID[$VICTIM]}" 2>/dev/null || wait "${PID[$VICTIM]}"
	fail "$VICTIM (pid ${PID[$VICTIM]}) is silent, status $?: $(cat "$WORK/$VICTIM.err")"
}

# ask LINE - the victim's answer, in REPLY
ask() {
	echo "$*" >&"${TO[$VICTIM]}"
	hear
}

# expect ANSWER QUESTION... - the victim must say exactly that
expect() {
	local want=$1
	shift
	ask "$@"
	[ "$REPLY" = "$want" ] || fail "$VICTIM answers '$REPLY' to '$*', not '$want'"
}

# end_victim - it must end by itself, of its own free will and in good health
end_victim() {
	local status
	expect EXIT-SUCCESS quit
	wait "${PID[$VICTIM]}"
	status=$?
	[ $status -eq 0 ] || fail "$VICTIM ended with status $status"
}

alive() {
	kill -0 "${1:-${PID[$VICTIM]}}" 2>/dev/null
}

# state PID - the letter of /proc/PID/status
state() {
	sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status"
}

is_state() {
	[ "$(state "$1")" = "$2" ]
}

# ---- the tool ----

# tool STATUS ARG... - run ulp-tool; standard output goes to $WORK/out
tool() {
	local want=$1 status
	shift
	"$ULP_TOOL" "$@" >"$WORK/out" 2>"$WORK/err"
	status=$?
	[ $status -eq "$want" ] && return
	note "$(head -c 3000 "$WORK/out")"
	note "$(head -c 3000 "$WORK/err")"
	fail "ulp-tool $*: exit status $status, not $want"
}

# json PATH=VALUE... - what the tool printed; PATH is like results.0.reason,
# PATH alone must only be there
json() {
	"$JSON_GET" "$WORK/out" "$@" >"$WORK/json" 2>&1 && return
	note "$(head -c 3000 "$WORK/out")"
	fail "$(cat "$WORK/json")"
}

# json_value PATH - print it
json_value() {
	"$JSON_GET" -p "$WORK/out" "$1"
}

# patch_path NAME|PATH - where the patch is, in FILE
patch_path() {
	case $1 in
	*/*) FILE=$1 ;;
	*) FILE=$PATCHES/$1.so ;;
	esac
}

# apply PATCH [OPTION...] - to the victim; must succeed
apply() {
	local FILE
	patch_path "$1"
	shift
	tool 0 apply --json -p "${PID[$VICTIM]}" --timeout "$LIMIT" "$@" "$FILE"
	json results.0.status=success results.0.reason=success "results.0.pid=${PID[$VICTIM]}" \
		results.0.freeze_ns results.0.attempts results.0.threads \
		summary.success=1 summary.failed=0 summary.skipped=0
}

revert() {
	local FILE
	patch_path "$1"
	shift
	tool 0 revert --json -p "${PID[$VICTIM]}" --timeout "$LIMIT" "$@" "$FILE"
	json results.0.status=success results.0.reason=success "results.0.pid=${PID[$VICTIM]}" \
		summary.success=1 summary.failed=0 summary.skipped=0
}

# refused apply|revert STATUS REASON PATCH [OPTION...] - the exit status, and
# the reason with it: 0 is "skipped", all else is "failed"
refused() {
	local verb=$1 status=$2 reason=$3 FILE result=failed
	patch_path "$4"
	shift 4
	[ "$status" != 0 ] || result=skipped
	tool "$status" "$verb" --json -p "${PID[$VICTIM]}" "$@" "$FILE"
	json results.0.status=$result "results.0.reason=$reason" summary.success=0 \
		"summary.$result=1"
}

# ---- patches for what is not loaded yet ----

# the list of this test
enabled_list() {
	echo "$WORK/enabled"
}

# enable PATCH [OPTION...]
enable() {
	local FILE
	patch_path "$1"
	shift
	tool 0 enable --json --list="$(enabled_list)" "$@" "$FILE"
	json enabled.0.status=enabled enabled.0.id enabled.0.file
}

# start_daemon [OPTION...] - returns when it is ready; it may take its time, the
# machine may be emulated
start_daemon() {
	"$ULP_TOOL" daemon --list="$(enabled_list)" --hold 60 "$@" 2>"$WORK/daemon" &
	DAEMON=$!
	STARTED+=($!)
	loop_until daemon_is_ready
}

daemon_is_ready() {
	alive $DAEMON || fail "daemon: $(cat "$WORK/daemon")"
	grep -q 'ulp-tool: ready' "$WORK/daemon"
}

# end_daemon - as systemd ends it
end_daemon() {
	kill -TERM $DAEMON
	wait $DAEMON || fail "daemon: status $?: $(cat "$WORK/daemon")"
}

# daemon_said TEXT
daemon_said() {
	grep -q -- "$1" "$WORK/daemon"
}

# start_answers N - what a program that is started now answers
start_answers() {
	[ "$(printf 'answer 0\nquit\n' | "$VICTIMS/victim_lib" | sed -n 2p)" = "$1" ]
}

# poke ADDRESS BYTES - into the victim; BYTES like \\xcc
poke() {
	# shellcheck disable=SC2059
	printf "$2" | "$O/selftests/flow/poke" "${PID[$VICTIM]}" "$1" || fail "cannot write to the victim"
}

# images - how many mappings of patch images the victim has
images() {
	grep -c 'memfd:ulp-' "/proc/${PID[$VICTIM]}/maps"
}

# cycles PATCH COUNT [any] - apply and revert often, see stress/cycle.c; what it
# says goes into the log and into $WORK/out
cycles() {
	local FILE
	patch_path "$1"
	shift
	"$O/selftests/stress/cycle" "${PID[$VICTIM]}" "$FILE" "$@" >"$WORK/out" 2>"$WORK/err" ||
		fail "$(cat "$WORK/err" "$WORK/out")"
	note "$(cat "$WORK/out")"
}
