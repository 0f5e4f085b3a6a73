#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 120
#
# The command line of ulp-tool, as far as it goes without the module: usage,
# selection, files, output, and that help, manual page and completion agree.
. "$(dirname "$0")/../lib.sh"

TOP=$(dirname "$SELFTESTS")
MAN=$TOP/Documentation/man/ulp-tool.8
COMPLETION=$TOP/ulp-tool/ulp-tool.bash-completion
COMMANDS='apply revert patches check dump messages set-patchable status monitor enable disable enabled daemon'

# says PATTERN - on standard error
says() {
	grep -qE -- "$1" "$WORK/err" || fail "standard error has no '$1': $(cat "$WORK/err")"
}

prints() {
	grep -qE -- "$1" "$WORK/out" || fail "standard output has no '$1': $(cat "$WORK/out")"
}

silent() {
	[ ! -s "$WORK/$1" ] || fail "not silent: $(cat "$WORK/$1")"
}

# usage PATTERN ARG... - wrong usage: status 2, one sentence and a hint
usage() {
	local pattern=$1
	shift
	tool 2 "$@"
	silent out
	says "$pattern"
	says "^Try '.* --help'"
	[ "$(wc -l <"$WORK/err")" -eq 2 ] || fail "more than a sentence: $(cat "$WORK/err")"
}

# valid_json - the whole output is one JSON text, for a parser that is not ours
valid_json() {
	python3 -m json.tool "$WORK/out" >/dev/null 2>"$WORK/json" ||
		fail "no JSON: $(cat "$WORK/json" "$WORK/out")"
}

# no_module - for tests of what happens without it
no_module() {
	[ ! -e /dev/ulp ] || skip "/dev/ulp exists here"
}

# free_pid - one that no process has, nor will soon
free_pid() {
	local pid
	pid=$(cat /proc/sys/kernel/pid_max)
	while [ -e "/proc/$((--pid))" ]; do :; done
	echo "$pid"
}

# idle NAME [UID] - a process of that name, in IDLE; it lives as long as the test
idle() {
	[ -e "$WORK/$1" ] || cp "$(command -v sleep)" "$WORK/$1"
	chmod 711 "$RUN" "$WORK"
	${2:+setpriv --reuid "$2"} "$WORK/$1" 1000 &
	IDLE=$!
	STARTED+=("$IDLE")
	loop_until grep -qx "$1" "/proc/$IDLE/comm"
}

test_usage() {
	local command
	usage 'no command'
	usage "unknown command 'aply'; did you mean 'apply'" aply
	usage "unknown command 'patchs'; did you mean 'patches'" patchs -p 1
	usage "unknown command 'xyzzy'\$" xyzzy
	usage "unknown option '--retrys'; did you mean '--retries'" apply --retrys 3 fix.so
	usage "unknown option '-x'" apply -x fix.so
	usage 'ambiguous option .*--revert, --revert-all' apply --rever fix.so
	usage 'needs a value' apply --timeout
	usage 'takes no value' apply --json=yes fix.so
	usage 'status has no option --timeout' --timeout 3 status
	usage 'no patch FILE' apply -p 1
	usage 'no patch FILE; only to revert: revert --all-of' apply --revert-all libz.so.1
	usage 'exclude each other' apply --revert --revert-all=target fix.so
	usage 'no patch FILE, ID or NAME' revert -p 1
	usage 'no patch FILE, ID or NAME' apply --revert -p 1
	usage 'nothing else to name' revert --all fix.so
	usage 'no patch FILE, ID or NAME' check -p 1
	usage 'add -p' check abcdef
	usage 'no patch FILE' dump
	usage "no argument 'x'" patches x
	usage "no argument 'x'" status x
	usage "unknown command 'aply'" help aply
	# "$patch" of a script that has not set it is no patch that needs no revert
	for command in apply revert check dump enable disable; do
		usage "$command: argument 1 is empty" "$command" -p 1 ''
		usage "$command: argument 2 is empty" "$command" x ''
	done
}

test_values() {
	local value
	for value in '' x 1x -1 1.5 18446744073709551616; do
		usage '--retries: ' apply --retries="$value" fix.so
		usage '--max-freeze: ' apply --max-freeze="$value" fix.so
		usage '--jobs: ' apply --jobs="$value" fix.so
	done
	for value in '' x 0 -1 nan inf 1e99; do
		usage '--timeout: ' apply --timeout="$value" fix.so
	done
	usage '--jobs: ' apply --jobs=0 fix.so
	usage '--backend: .*gate' apply --backend=fast fix.so
	usage '--build-id: ' patches -b xyz
	usage '--process: ' patches -p ''
	usage '--process: ' patches -p ' , '
}

# Options mean the same on both sides of the command, whoever permutes.
test_option_order() {
	local pid
	pid=$(free_pid)
	tool 1 patches --json -p "$pid"
	cp "$WORK/out" "$WORK/after"
	tool 1 --json -p "$pid" patches
	cmp -s "$WORK/after" "$WORK/out" || fail "not the same before the command"
	POSIXLY_CORRECT=1 tool 1 patches -p "$pid" --json
	cmp -s "$WORK/after" "$WORK/out" || fail "not the same with POSIXLY_CORRECT"
	tool 1 dump -- --json
	says '^ulp-tool: --json: No such file'
}

test_names() {
	ln -s "$ULP_TOOL" "$WORK/ulp"
	ULP_TOOL=$WORK/ulp tool 1 trigger "$WORK/none.so"
	says '^ulp: .*none.so'
	usage 'no patch FILE' patch
	usage 'no patch FILE, ID or NAME' unpatch -p 1
	usage "no argument 'x'" info x
}

# Words of other tools: what is done instead, or by whom.
test_foreign_words() {
	usage 'post: nothing to be done' post lib.so
	usage 'reverse: nothing to be made: "revert"' reverse fix.so
	usage 'livepatchable: any .*build-id' livepatchable lib.so
	usage 'extract: nothing needs it' extract lib.so
	usage 'packer: stands first' -v packer fix.dsc
	usage "'yellow' is none of auto, always and never" patches --color yellow
	tool 0 patches -p $$ --disable-seccomp --color=never
	mkdir "$WORK/bin"
	printf '%s\n' '#!/bin/sh' 'printf "<%s>" "$@"' 'exit 7' >"$WORK/bin/ulp-packer"
	chmod 755 "$WORK/bin/ulp-packer"
	PATH=$WORK/bin:$PATH tool 7 packer -o out.so 'a b.dsc'
	prints '^<pack><-o><out.so><a b.dsc>$'
	PATH=$WORK/bin:$PATH tool 7 pack --help
	prints '^<pack><--help>$'
	PATH=$WORK tool 1 pack a.dsc
	says 'ulp-packer: No such file'
}

test_color() {
	local when
	for when in always yes; do
		"$ULP_TOOL" check --color=$when -p $$ "$PATCHES/answer.so" >"$WORK/out" 2>"$WORK/err"
		grep -q $'\033' "$WORK/out" || fail "no colours: $(cat "$WORK/out" "$WORK/err")"
	done
	for when in auto never no; do
		"$ULP_TOOL" check --color=$when -p $$ "$PATCHES/answer.so" >"$WORK/out" 2>"$WORK/err"
		! grep -q $'\033' "$WORK/out" || fail "colours with $when"
	done
}

test_help() {
	local command
	for command in $COMMANDS; do
		tool 0 --help
		prints "^  $command "
		"$ULP_TOOL" "$command" -h >"$WORK/h" || fail "$command -h: status $?"
		tool 0 help "$command"
		cmp -s "$WORK/h" "$WORK/out" || fail "help $command is not $command --help"
		tool 0 "$command" '-?'
		cmp -s "$WORK/h" "$WORK/out" || fail "$command -? is not $command --help"
		prints "^Usage: ulp-tool $command "
		silent err
	done
	"$ULP_TOOL" revert -h >"$WORK/h" || fail "revert -h: status $?"
	tool 0 help unpatch
	cmp -s "$WORK/h" "$WORK/out" || fail "help does not know aliases"
	tool 0 -V
	prints '^ulp-tool [0-9]+\.[0-9]+\.[0-9]+$'
	tool 0 -V --json
	valid_json
	json "version=$(sed 's/ulp-tool //' <<<"$("$ULP_TOOL" -V)")"
	# help is for people
	tool 0 help revert --json
	cmp -s "$WORK/h" "$WORK/out" || fail "help revert --json is not revert --help"
}

# options TEXT - the long ones in it, sorted
options() {
	grep -oE -- '--[a-z][a-z-]+' | sort -u
}

test_help_is_documented() {
	local command
	sed 's/\\-/-/g' "$MAN" >"$WORK/man"
	: >"$WORK/all"
	# shellcheck source=/dev/null
	. "$COMPLETION"
	for command in $COMMANDS; do
		tool 0 "$command" --help
		grep -E '^  ( |-)' "$WORK/out" | sed -E 's/^(.{30}).*/\1/' | options >"$WORK/help"
		[ -s "$WORK/help" ] || fail "$command --help lists no options"
		_ulp_tool_options "$command" | options >"$WORK/completion"
		diff "$WORK/help" "$WORK/completion" >"$WORK/diff" ||
			fail "help and completion of $command differ: $(cat "$WORK/diff")"
		cat "$WORK/help" >>"$WORK/all"
		grep -qE "^\.(B|BR) $command" "$WORK/man" || fail "the manual page has no $command"
	done
	sed -n '/^\.SH OPTIONS/,/^\.SH OUTPUT/p' "$WORK/man" | grep -A1 '^\.TP' | options >"$WORK/manual"
	sort -u "$WORK/all" >"$WORK/help"
	diff "$WORK/help" "$WORK/manual" >"$WORK/diff" ||
		fail "help and manual page differ: $(cat "$WORK/diff")"
}

test_completion() {
	# shellcheck source=/dev/null
	. "$COMPLETION"
	COMP_WORDS=(ulp-tool pat) COMP_CWORD=1
	_ulp_tool
	[ "${COMPREPLY[*]}" = patches ] || fail "pat: ${COMPREPLY[*]}"
	COMP_WORDS=(ulp-tool apply --backend '=' st) COMP_CWORD=4
	_ulp_tool
	[ "${COMPREPLY[*]}" = stop-machine ] || fail "--backend=st: ${COMPREPLY[*]}"
	COMP_WORDS=(ulp-tool apply -p $$) COMP_CWORD=3
	_ulp_tool
	[[ " ${COMPREPLY[*]} " = *" $$ "* ]] || fail "-p $$: ${COMPREPLY[*]}"
	touch "$WORK/a.so" "$WORK/a.c"
	COMP_WORDS=(ulp-tool apply "$WORK/a") COMP_CWORD=2
	_ulp_tool
	[ "${COMPREPLY[*]}" = "$WORK/a.so" ] || fail "files: ${COMPREPLY[*]}"
}

# Each word that libulp has for a reason is in the manual page.
test_reasons_are_documented() {
	local word
	sed 's/\\-/-/g' "$MAN" >"$WORK/man"
	sed -n 's/.*ULP_E_[A-Z_]*[ \t]*= 5[0-9]*,[ \t]*\/\* \([a-z-]*\):.*/\1/p' \
		"$TOP/libulp/libulp.h" | sort -u >"$WORK/words"
	[ "$(wc -l <"$WORK/words")" -ge 20 ] || fail "words not found: $(cat "$WORK/words")"
	while read -r word; do
		grep -qE "^$word"$'\t' "$WORK/man" || fail "the manual page has no reason $word"
	done <"$WORK/words"
}

test_manual_page() {
	command -v man >/dev/null || skip "no man"
	man --warnings=w -l "$MAN" >"$WORK/out" 2>"$WORK/err" </dev/null
	silent err
	prints 'EXIT STATUS'
}

test_no_such_process() {
	local pid
	pid=$(free_pid)
	tool 1 patches -p "$pid"
	says "no process $pid"
	tool 1 patches --json -p "$pid"
	json errors.0.reason=no-such-process processes.#=0
	tool 1 check --json -p "$pid" some-patch
	json "results.0.pid=$pid" results.0.applied=false results.0.reason=no-such-process \
		applied=false
	tool 1 revert --json -p "$pid" some-patch
	json "results.0.pid=$pid" results.0.status=failed results.0.reason=no-such-process \
		summary.failed=1 summary.skipped=0
	tool 1 revert -p "$pid" some-patch
	prints "\(pid: $pid\): FAILED some-patch: no-such-process: "
	tool 1 patches -p 'no-such*name'
	says "named 'no-such\*name'"
	tool 1 patches -p a-name-of-far-more-than-15-characters
	says "try 'a-name-of-far-m'"
	tool 1 patches -p 99999999999999999999
	says 'cannot be the pid'
	tool 1 patches -u no-such-user
	says "no user 'no-such-user'"
}

test_select() {
	local first second
	idle ulp-cli-a
	first=$IDLE
	idle ulp-cli-b
	second=$IDLE
	tool 0 patches --json -p 'ulp-cli-?'
	json processes.#=2 "processes.0.pid=$first" processes.0.name=ulp-cli-a \
		"processes.1.pid=$second"
	tool 0 patches --json -p "$first,$second $first" -p ulp-cli-b
	json processes.#=2
	tool 0 patches --json -p ulp-cli-b -u "$(id -u)" --disable-threading
	json processes.#=1 "processes.0.pid=$second"
	# the others are done all the same
	tool 1 patches --json -p "$first" -p "$(free_pid)" -p no-such-name
	json processes.#=1 errors.#=2
	tool 1 patches -p "$first" -u nobody
	says 'not one of user nobody'
}

# Users that only getent(1) knows; each is asked for once, in whatever order processes come.
test_users_asked_once() {
	local uid
	[ "$(id -u)" = 0 ] || skip "not root"
	command -v setpriv >/dev/null || skip "no setpriv"
	mkdir "$WORK/bin"
	cat >"$WORK/bin/getent" <<-END
	#!/bin/sh
	echo "\$3" >>"$WORK/asked"
	echo "ulp-\$3:x:\$3:\$3::/:/bin/sh"
	END
	chmod +x "$WORK/bin/getent"
	for uid in 654321 654322 654321 654322; do
		idle ulp-cli-user $uid
	done
	PATH=$WORK/bin:$PATH tool 0 patches -u 'ulp-65432[12]' -p ulp-cli-user
	[ "$(grep -c '^ulp-cli-user' "$WORK/out")" -eq 4 ] || fail "$(cat "$WORK/out" "$WORK/err")"
	[ "$(sort "$WORK/asked" | tr '\n' ' ')" = '654321 654322 ' ] || fail "asked: $(cat "$WORK/asked")"
	PATH=$WORK/bin:$PATH tool 0 patches -u 654322 -p ulp-cli-user
	[ "$(grep -c '^ulp-cli-user' "$WORK/out")" -eq 2 ] || fail "$(cat "$WORK/out" "$WORK/err")"
}

test_all_processes_twice_the_same() {
	idle ulp-cli-all
	"$ULP_TOOL" patches --json -v --jobs 8 -p 'ulp-cli-*' >"$WORK/8" || fail "status $?"
	tool 0 patches --json -v --jobs 1 -p 'ulp-cli-*'
	cmp -s "$WORK/8" "$WORK/out" || fail "the order depends on the number of workers"
	"$ULP_TOOL" patches --json -v >"$WORK/out" 2>"$WORK/err"
	valid_json
	grep -q '"name": "ulp-cli-all"' "$WORK/out" || fail "all processes, but not ours"
	! grep -q '"name": "ulp-tool"' "$WORK/out" || fail "it lists itself"
}

# Names are bytes that a process chose: not for a terminal, not for a JSON parser.
test_hostile_names() {
	command -v python3 >/dev/null || skip "no python3"
	python3 - <<-'END' &
		import signal
		with open("/proc/self/comm", "wb") as comm:
		    comm.write(b"\x1b[31m\n\xff\xc3\xa9\"\\x")
		signal.pause()
	END
	IDLE=$!
	STARTED+=("$IDLE")
	loop_until grep -q '\[31m' "/proc/$IDLE/comm"
	tool 0 patches -p "$IDLE"
	prints '^\\x1b\[31m\\x0a\\xff'
	tool 0 patches --json -p "$IDLE"
	valid_json
	python3 - "$WORK/out" <<-'END' || fail "the name is not what it was: $(cat "$WORK/out")"
		import json, sys
		name = json.load(open(sys.argv[1]))["processes"][0]["name"]
		sys.exit(name != "\x1b[31m\n\ufffd\xe9\"\\x")
	END
}

test_objects() {
	local id
	idle ulp-cli-obj
	tool 0 patches -p ulp-cli-obj
	prints "^ulp-cli-obj \(pid: $IDLE\): no patches$"
	tool 0 patches --json -v -p ulp-cli-obj
	json "processes.0.objects.0.path=$WORK/ulp-cli-obj" processes.0.objects.0.patches.#=0
	id=$(json_value processes.0.objects.0.build_id)
	[ ${#id} -eq 40 ] || fail "build-id '$id'"
	readelf -n "$WORK/ulp-cli-obj" | grep -q "$id" || fail "readelf knows no $id"
	tool 0 patches --json -b "${id:0:10}" -p ulp-cli-obj
	json processes.#=1 processes.0.objects.#=1 "processes.0.objects.0.build_id=$id"
	tool 0 patches --json -b "${id:0:10}" --only-livepatched -p ulp-cli-obj
	json processes.#=0
}

test_check_and_revert_nothing() {
	idle ulp-cli-no
	tool 1 check -p "$IDLE" some-patch
	prints 'NOT APPLIED some-patch: not-applied'
	tool 1 check -q -p "$IDLE" some-patch
	silent out
	tool 0 revert --json -p "$IDLE" some-patch
	json results.0.status=skipped results.0.reason=not-applied summary.skipped=1
	tool 0 revert --json -p "$IDLE" --all
	json results.0.status=skipped results.0.reason=not-applied
	tool 0 revert --json -p "$IDLE" --all-of libc.so.6
	json results.0.object=libc.so.6 results.0.reason=not-applied
	tool 0 revert -q -p "$IDLE" --all
	silent out
	silent err
}

# files: what is missing, what is none, what is damaged
test_files() {
	local command
	echo "no patch" >"$WORK/text.so"
	cp /proc/self/exe "$WORK/elf.so"
	for command in apply revert check dump; do
		tool 1 "$command" "$WORK/missing.so"
		says 'missing.so: No such file'
		tool 1 "$command" --json "$WORK/missing.so"
		json errors.0.reason=no-such-file
		valid_json
		tool 1 "$command" --json "$WORK/text.so"
		json errors.0.reason=container
		tool 1 "$command" --json "$WORK/elf.so"
		json errors.0.reason=container
		tool 1 "$command" "$WORK"
		says 'is a directory'
		tool 1 "$command" "$WORK/*.so"
		says 'no live patch like that'
		tool 1 "$command" --recursive "$WORK"
		says 'no live patch like that'
		tool 1 "$command" "$WORK/*.none"
		says 'no live patch like that'
		tool 1 -v "$command" "$WORK/*.so"
		says 'passed over: .*text.so'
	done
}

# Needs a patch, of whatever: those of the flow tests.
test_patch_files() {
	local dir=$WORK/dir
	[ -f "$PATCHES/answer.so" ] || skip "no patches built"
	mkdir -p "$dir/sub"
	cp "$PATCHES/answer.so" "$dir/b.so"
	cp "$PATCHES/second.so" "$dir/sub/a.so"
	echo none >"$dir/none.so"
	tool 0 dump --json "$dir/b.so"
	json patches.#=1 "patches.0.file=$dir/b.so" patches.0.id patches.0.targets.0.build_id \
		patches.0.targets.0.functions.0.old_name=victim_answer \
		patches.0.labels.0=CVE-2026-0001
	valid_json
	tool 0 dump "$dir/b.so"
	prints '^id: [0-9a-f]{64}$'
	prints 'function victim_answer: '
	tool 0 dump --json "$dir/*.so"
	json patches.#=1
	tool 0 dump --json --recursive "$dir"
	json patches.#=2 "patches.0.file=$dir/b.so" "patches.1.file=$dir/sub/a.so"
	tool 0 dump --json --recursive "$dir/a*"
	json patches.#=1
	# a damaged one is not passed over
	head -c 3000 "$PATCHES/answer.so" >"$dir/cut.so"
	tool 1 dump "$dir/*.so"
	says 'cut.so: '
	idle ulp-cli-file
	tool 1 apply --json -p "$IDLE" "$dir/*.so"
	json results.#=0 errors.0.reason=container
	tool 0 apply --json -p "$IDLE" "$dir/b.so"
	json results.0.status=skipped results.0.reason=not-target summary.skipped=1
	tool 1 check --json -p "$IDLE" "$dir/b.so"
	json results.0.reason=not-target
	tool 0 revert --json -p "$IDLE" "$dir/b.so"
	json results.0.reason=not-applied
}

test_no_module() {
	no_module
	tool 1 status
	prints '^module: +not loaded'
	prints 'modprobe ulp'
	tool 1 status --json
	json ready=false module.loaded=false module.answers=false lacks.0.do version
	valid_json
	tool 1 status -q
	silent out
	tool 1 revert --json --all
	json errors.0.reason=module-missing results.#=0
	says '/dev/ulp: .*modprobe ulp'
}

test_unwritable_output() {
	local reader writer
	[ -w /dev/full ] || skip "no /dev/full"
	"$ULP_TOOL" --help >/dev/full 2>"$WORK/err"
	[ $? -eq 1 ] || fail "output lost, status not 1"
	says 'No space left'
	# lost long before the end: what errno was then nobody knows any more
	"$ULP_TOOL" patches -v -p $$ >/dev/full 2>"$WORK/err"
	[ $? -eq 1 ] || fail "output lost, status not 1"
	says 'standard output: not all of it was written: Input/output error'
	# a reader that has gone knows
	mkfifo "$WORK/pipe"
	exec {reader}<>"$WORK/pipe" {writer}>"$WORK/pipe" {reader}<&-
	"$ULP_TOOL" patches -v -p $$ 1>&"$writer" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "output lost, status not 1"
	silent err
}

test_not_root() {
	[ "$(id -u)" = 0 ] || skip "not root"
	command -v setpriv >/dev/null || skip "no setpriv"
	idle ulp-cli-root
	setpriv --reuid 65534 --regid 65534 --clear-groups "$ULP_TOOL" --version >/dev/null 2>&1 ||
		skip "uid 65534 cannot run $ULP_TOOL"
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$ULP_TOOL" patches -p "$IDLE" >"$WORK/out" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "status not 1"
	says 'root'
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$ULP_TOOL" check --json -p "$IDLE" some-patch >"$WORK/out" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "status not 1"
	json results.0.reason=permission
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$ULP_TOOL" patches --json >"$WORK/out" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "status not 1"
	json errors.0.reason=permission errors.#=1
}

# A file stands for its patch, also in this directory; one that is none is no success.
test_disable_file() {
	local list=$WORK/enabled
	[ -f "$PATCHES/answer.so" ] || skip "no patches built"
	cd "$WORK" || fail "cd"
	cp "$PATCHES/answer.so" fix.so
	tool 0 enable --list="$list" fix.so
	tool 0 disable --list="$list" fix.so
	[ -z "$(ls -A "$list")" ] || fail "still enabled: $(cat "$WORK/out" "$WORK/err")"
	tool 0 disable --list="$list" fix.so
	tool 1 disable --list="$list" none.so
	tool 1 disable --list="$list" ./none
	tool 0 disable --list="$list" none
}

run_tests test_usage test_values test_option_order test_names test_foreign_words test_color test_help \
	test_help_is_documented test_completion test_reasons_are_documented test_manual_page \
	test_no_such_process test_select test_users_asked_once test_all_processes_twice_the_same test_hostile_names \
	test_objects test_check_and_revert_nothing test_files test_patch_files test_no_module \
	test_disable_file test_unwritable_output test_not_root
