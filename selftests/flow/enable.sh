#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# Patches for what is not loaded yet: the list, the sensor and the daemon.
. "$(dirname "$0")/../lib.sh"

EXE=$O/selftests/flow/matrix/victim_exe
LD=/lib64/ld-linux-x86-64.so.2
GCONV=/usr/lib/x86_64-linux-gnu/gconv

test_list() {
	local file
	tool 0 enabled --json --list="$(enabled_list)"
	json enabled
	enable answer
	file=$(json_value enabled.0.file)
	[ "$file" = "000001-$(sha256sum <"$PATCHES/answer.so" | cut -d ' ' -f 1).so" ] ||
		fail "the entry is called $file"
	cmp "$PATCHES/answer.so" "$(enabled_list)/$file" || fail "not the same file"
	tool 0 enable --json --list="$(enabled_list)" "$PATCHES/answer.so"
	json "enabled.0.status=enabled already" enabled.0.reason=already-applied
	enable loaded
	tool 0 enabled --json --list="$(enabled_list)"
	json enabled.0.name=answer enabled.1.name=loaded enabled.0.status=enabled \
		enabled.0.objects.0.name=libvictim.so enabled.0.labels.0=CVE-2026-0001
	tool 0 disable --json --list="$(enabled_list)" "$PATCHES/answer.so"
	json enabled.0.status=disabled enabled.0.name=answer
	tool 0 disable --list="$(enabled_list)" answer
	tool 0 enabled --json --list="$(enabled_list)"
	json enabled.0.name=loaded
	tool 0 disable --list="$(enabled_list)" loaded
	[ -z "$(ls -A "$(enabled_list)")" ] || fail "left: $(ls -A "$(enabled_list)")"
	tool 2 enable --list="$(enabled_list)"
	tool 2 disable
	tool 2 enabled what
	tool 2 daemon what
	tool 1 enable --list="$(enabled_list)" /etc/passwd
	tool 1 enable --list=/proc/no/such "$PATCHES/answer.so"
}

# What is damaged is named and not used; the others are.
test_damaged() {
	local file
	enable answer
	file=$(enabled_list)/$(json_value enabled.0.file)
	enable loaded
	printf x | dd of="$file" bs=1 seek=4000 conv=notrunc status=none
	tool 1 enabled --json --list="$(enabled_list)"
	json enabled.0.status=damaged enabled.0.reason=container "enabled.0.file=${file##*/}" \
		enabled.1.status=enabled errors.0.reason=container
	grep -q "${file##*/}.*SHA-256" "$WORK/err" || fail "$(cat "$WORK/err")"
	start_daemon
	daemon_said "warning: .*${file##*/}.*damaged" || fail "$(cat "$WORK/daemon")"
	start_victim lib "$VICTIMS/victim_lib"
	expect 42 answer 0
	end_victim
	start_victim load "$VICTIMS/victim_load"
	expect "first=2 now=2" load
	end_victim
	end_daemon
	tool 0 disable --list="$(enabled_list)" "${file##*/}"
	tool 0 enabled --list="$(enabled_list)"
}

# A patch that cannot be read for want of memory is not damaged: nothing is known of it.
test_memory() {
	enable answer
	truncate -s 60M "$(enabled_list)/000009-$(printf '%064d' 0).so"
	(
		ulimit -v 50000
		tool 1 enabled --list="$(enabled_list)"
	) || exit
	grep -q "$(enabled_list): Cannot allocate memory" "$WORK/err" || fail "$(cat "$WORK/err")"
	tool 1 enabled --list="$(enabled_list)"
	grep -q "damaged" "$WORK/err" || fail "$(cat "$WORK/err")"
}

# What others can write is not trusted.
test_writable() {
	local file
	enable loaded
	file=$(enabled_list)/$(json_value enabled.0.file)
	chmod 666 "$file"
	tool 1 enabled --json --list="$(enabled_list)"
	json enabled.0.status=damaged enabled.0.reason=permission
	chmod 644 "$file"
	chown 65534 "$file"
	tool 1 enabled --list="$(enabled_list)"
	chown 0 "$file"
	mv "$file" "$WORK/elsewhere"
	ln -s "$WORK/elsewhere" "$file"
	tool 1 enabled --list="$(enabled_list)"
	rm "$file"
	chmod 777 "$(enabled_list)"
	tool 1 enabled --json --list="$(enabled_list)"
	json errors.0.reason=permission
	tool 1 enable --list="$(enabled_list)" "$PATCHES/answer.so"
	tool 1 daemon --list="$(enabled_list)"
}

# What was enabled stays while the list cannot be read, also for a thread of the daemon
# that serves its first program then; and not each program is a warning.
test_unreadable() {
	local warnings i
	enable loaded
	start_victim asks python3 -uc "import ctypes, os, socket
ctypes.CDLL('$VICTIMS/libloaded.so')
print('ready')
input()
os.chmod('$(enabled_list)', 0o777)
s = socket.socket(socket.AF_UNIX)
s.connect('/run/ulp/daemon')
s.sendall(b'loaded\n')
print(s.makefile().read().strip())
input()
print('EXIT-SUCCESS')"
	start_daemon --only-new
	expect "done 1" go
	for ((i = 0; i < 20; i++)); do
		/bin/true || fail "/bin/true: status $?"
	done
	start_victim load "$VICTIMS/victim_load"
	expect "first=2 now=2" load
	end_victim
	# each change of the directory is a look at it
	warnings=$(grep -c "warning: .*$(enabled_list)" "$WORK/daemon")
	[[ $warnings -ge 1 && $warnings -le 2 ]] || fail "$warnings warnings: $(cat "$WORK/daemon")"
	chmod 755 "$(enabled_list)"
	enable answer
	start_victim lib "$VICTIMS/victim_lib"
	expect 1000 answer 0
	end_victim
	VICTIM=asks end_victim
	end_daemon
}

# The function is new when it is called first, in the constructor as well.
test_dlopen() {
	start_victim load "$VICTIMS/victim_load"
	start_daemon
	enable loaded
	loop_until daemon_said '1 patch enabled'
	expect "first=2 now=2" load
	expect 0 unload
	expect "first=2 now=2" thread
	tool 0 patches --json -p "${PID[load]}"
	json processes.0.objects.0.patches.0.file=loaded processes.0.objects.0.patches.0.active=true
	end_victim
	tool 0 disable --list="$(enabled_list)" loaded
	loop_until daemon_said '0 patches enabled'
	start_victim again "$VICTIMS/victim_load"
	expect "first=1 now=1" load
	end_victim
	end_daemon
}

test_start() {
	enable answer
	enable loaded
	start_daemon
	start_victim lib "$VICTIMS/victim_lib"
	expect 1000 answer 0
	end_victim
	start_victim load env LD_PRELOAD="$VICTIMS/libloaded.so" "$VICTIMS/victim_load"
	expect "first=2 now=2" linked
	end_victim
	# the dynamic linker as a program
	start_victim ld $LD "$VICTIMS/victim_lib"
	expect 1000 answer 0
	end_victim
	end_daemon
	start_victim without "$VICTIMS/victim_lib"
	expect 42 answer 0
	end_victim
}

# Those that run get it too, unless told otherwise.
test_running() {
	start_victim old "$VICTIMS/victim_lib"
	start_daemon
	expect 42 answer 0
	enable answer
	loop_until is_answer 1000
	end_victim
	end_daemon
	tool 0 disable --list="$(enabled_list)" answer
	start_victim left "$VICTIMS/victim_lib"
	start_daemon --only-new
	enable answer
	loop_until daemon_said '1 patch enabled'
	start_victim new "$VICTIMS/victim_lib"
	loop_until start_answers 1000
	VICTIM=left expect 42 answer 0
	end_daemon
}

is_answer() {
	ask answer 0
	[ "$REPLY" = "$1" ]
}

# A static program has no dynamic linker: it is patched at its start.
test_static() {
	local kind
	for kind in static static-pie static.stripped pie nopie; do
		enable "exe.$kind"
	done
	start_daemon
	for kind in static static-pie static.stripped pie nopie; do
		start_victim "$kind" "$EXE.$kind"
		expect 1000 answer 0
		expect 5021 static 3
		end_victim
	done
	end_daemon
}

# Another file, in another mount namespace: it is met at the start of its first
# program, and armed then.
test_namespace() {
	enable answer
	start_daemon
	cp "$(realpath $LD)" "$WORK/ld.so"
	start_victim ns unshare -m sh -c "mount --bind '$WORK/ld.so' '$(realpath $LD)' &&
		exec '$VICTIMS/victim_lib'"
	expect 1000 answer 0
	end_victim
	# one that runs when the daemon comes
	end_daemon
	start_victim ns2 unshare -m sh -c "mount --bind '$WORK/ld.so' '$(realpath $LD)' &&
		exec '$VICTIMS/victim_load'"
	enable loaded
	start_daemon
	expect "first=2 now=2" load
	end_victim
	end_daemon
}

test_setuid() {
	cp "$VICTIMS/victim_lib" "$WORK/setuid"
	chmod 755 "$RUN" "$WORK"
	# libvictim.so must be found without LD_LIBRARY_PATH there
	cp "$VICTIMS/libvictim.so" /usr/lib/x86_64-linux-gnu/libvictim.so
	chmod 4755 "$WORK/setuid"
	enable answer
	start_daemon
	start_victim setuid setpriv --reuid=65534 --clear-groups "$WORK/setuid"
	[ "$(awk '/^Uid:/ { print $2, $3 }' "/proc/${PID[setuid]}/status")" = "65534 0" ] ||
		fail "not setuid"
	expect 1000 answer 0
	end_victim
	end_daemon
	rm /usr/lib/x86_64-linux-gnu/libvictim.so
}

# A character set that is loaded by iconv().
test_gconv() {
	[ -e $GCONV/ISO8859-15.so ] || skip "no $GCONV/ISO8859-15.so"
	cat >"$WORK/gconv.c" <<-'END'
	int new_gconv(void);
	int new_gconv(void)
	{
		return 4;	/* __GCONV_EMPTY_INPUT: done, and nothing was written */
	}
	END
	printf '%s\n' gconv.so "@$GCONV/ISO8859-15.so" gconv:new_gconv >"$WORK/gconv.dsc"
	gcc -O2 -shared -fPIC -o "$WORK/gconv.so" "$WORK/gconv.c" || fail gcc
	"$ULP_PACKER" pack -q "$WORK/gconv.dsc" || fail ulp-packer
	[ "$(printf 'a\244b' | iconv -f ISO-8859-15 -t UTF-8)" = "a€b" ] || fail "before"
	enable "$WORK/gconv.so"
	start_daemon
	[ -z "$(printf 'a\244b' | iconv -f ISO-8859-15 -t UTF-8)" ] || fail "not patched"
	end_daemon
	[ "$(printf 'a\244b' | iconv -f ISO-8859-15 -t UTF-8)" = "a€b" ] || fail "after"
}

# ---- when the daemon is not well ----

# Nothing but what bash does itself: each program would be held, too.
ms() {
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# pause - likewise
pause() {
	read -r -t 0.02 <>"$WORK/idle"
}

is_stopped() {
	local stat line
	for stat in "/proc/$DAEMON/task/"*/stat; do
		read -r line <"$stat"
		[[ $line == *") T "* ]] || return 1
	done
}

# stop_daemon - returns when all of its threads have stopped
stop_daemon() {
	local end=$((SECONDS + LIMIT))
	mkfifo "$WORK/idle"
	kill -STOP $DAEMON
	until is_stopped; do
		[ $SECONDS -lt $end ] || fail "the daemon does not stop"
		pause
	done
}

# held - start a program that the stopped daemon does not answer for, in HELD;
# returns when it is held
held() {
	local end=$((SECONDS + LIMIT)) stack=
	stop_daemon
	printf 'answer 0\nquit\n' | "$VICTIMS/victim_lib" >"$WORK/held" 2>&1 &
	HELD=$!
	STARTED+=($!)
	until [[ $stack == *ulp_trip_end* ]]; do
		[ $SECONDS -lt $end ] || fail "it is not held: $stack"
		pause
		stack=$(<"/proc/$HELD/stack")
	done 2>/dev/null
}

# Killed: whoever is held goes on at once, and long before the time is up.
test_killed() {
	local began took
	enable answer
	start_daemon --hold 600
	held
	began=$(ms)
	kill -KILL $DAEMON
	wait $HELD || fail "status $?"
	took=$(($(ms) - began))
	note "went on $took ms after the daemon was killed"
	[ $took -lt 60000 ] || fail "it was held for $took ms"
	[ "$(sed -n 2p "$WORK/held")" = 42 ] || fail "$(cat "$WORK/held")"
	loop_until rmmod ulp
	insmod "$ULP_KO" || fail insmod
}

# Killed in the middle of many starts: none of them fails or hangs.
test_killed_in_the_middle() {
	local n i began longest=0 took
	n=$(scaled 20)
	enable answer
	start_daemon --hold 600
	for i in $(seq "$n"); do
		began=$(ms)
		if [ "$i" -eq $(((n + 1) / 2)) ]; then
			kill -KILL $DAEMON &
		fi
		start_answers 1000 || start_answers 42 || fail "start $i"
		took=$(($(ms) - began))
		[ $took -le $longest ] || longest=$took
	done
	note "$n times two starts, the longest took $longest ms"
	[ $longest -lt 60000 ] || fail "a program was held for $longest ms"
	start_answers 42 || fail "there is no daemon, and something is patched"
}

# Stopped: the time is up once, then nobody is held any more until it answers.
test_stopped() {
	local began
	enable answer
	start_daemon --hold 3
	"$ULP_TOOL" monitor --json -v --count 1 >"$WORK/out" 2>"$WORK/heard" &
	STARTED+=($!)
	loop_until grep -q listening "$WORK/heard"
	stop_daemon
	began=$(ms)
	start_answers 42 || fail "nobody patched it"
	note "a start took $(($(ms) - began)) ms with the daemon stopped"
	loop_until grep -q overdue "$WORK/out"
	json event=overdue "place" blocker.tid held_ns name
	began=$(ms)
	start_answers 42 || fail "nobody patched it"
	note "the next one $(($(ms) - began)) ms"
	start_victim missed "$VICTIMS/victim_lib"
	kill -CONT $DAEMON
	# it learns that it missed some, and looks at all
	loop_until is_answer 1000
	# and holds again: once is enough
	start_answers 1000 || fail "nobody is held any more: $(cat "$WORK/daemon")"
	end_victim
	end_daemon
}

# The sensor keeps the module; one daemon keeps the other.
test_module() {
	start_daemon
	rmmod ulp 2>/dev/null && fail "unloaded under the sensor"
	tool 1 daemon --list="$(enabled_list)"
	grep -q "in use" "$WORK/err" || fail "$(cat "$WORK/err")"
	end_daemon
	loop_until rmmod ulp
	tool 1 daemon --list="$(enabled_list)"
	insmod "$ULP_KO" || fail insmod
}

# Many at once, and those that die meanwhile.
test_many() {
	local n i
	n=$(scaled 20)
	enable answer
	start_daemon
	for i in $(seq "$n"); do
		(printf 'answer 0\nquit\n' | "$VICTIMS/victim_lib" >"$WORK/many.$i" 2>&1) &
		STARTED+=($!)
		(timeout -s KILL 0.05 "$VICTIMS/victim_lib" <"$WORK/daemon" &) >/dev/null 2>&1
	done
	for i in $(seq "$n"); do
		loop_until grep -q EXIT-SUCCESS "$WORK/many.$i"
		[ "$(sed -n 2p "$WORK/many.$i")" = 1000 ] || fail "$i: $(cat "$WORK/many.$i" "$WORK/daemon")"
	done
	alive $DAEMON || fail "$(cat "$WORK/daemon")"
	end_daemon
}

# has_patch NAME - it is active in the victim
has_patch() {
	"$ULP_TOOL" patches --json -p "${PID[$VICTIM]}" >"$WORK/has" &&
		python3 -c 'import json, sys
sys.exit(not any(patch["file"] == sys.argv[1] and patch["active"]
    for process in json.load(sys.stdin)["processes"]
    for object in process["objects"] for patch in object["patches"]))' "$1" <"$WORK/has"
}

# What was enabled first does not come on top of what was enabled later.
test_order() {
	enable answer
	enable answer.2
	start_victim lib "$VICTIMS/victim_lib"
	apply answer.2
	expect 2000 answer 0
	start_daemon
	daemon_said "is not applied: .* enabled later, is there .*replaces victim_answer" ||
		fail "$(cat "$WORK/daemon")"
	expect 2000 answer 0
	revert answer.2
	expect 42 answer 0
	kill -HUP $DAEMON
	loop_until is_answer 2000
	revert answer.2
	expect 1000 answer 0
	end_victim
	end_daemon
}

# What is busy when all are looked at is applied when whoever is in the way has gone;
# what was enabled after it for the same library does not come before it.
test_busy() {
	start_daemon
	start_victim stack "$VICTIMS/victim_stack"
	ask enter wait
	enable busy
	enable answer
	loop_until daemon_said "thread $REPLY .*victim_wait.*will be tried again"
	loop_until daemon_said '2 patches enabled'
	expect 42 answer 0
	expect 1120 leave
	loop_until has_patch answer
	has_patch busy || fail "the second patch came first"
	expect 1000 answer 0
	end_victim
	end_daemon
}

# A thread that is held waits for the one in the way, and goes on as soon as that has
# gone: long before the time is up.
test_busy_while_held() {
	start_victim stack "$VICTIMS/victim_stack"
	start_daemon --only-new --hold 600 -v
	enable busy
	enable loaded
	loop_until daemon_said '2 patches enabled'
	ask enter wait
	expect loading load
	loop_until daemon_said "victim_wait.*is held until it has gone on"
	! has_patch busy || fail "patched under a thread"
	expect 1120 leave
	expect "first=2 now=2" loaded
	has_patch busy || fail "it went on too early: $(cat "$WORK/daemon")"
	! daemon_said "will be tried again" || fail "$(cat "$WORK/daemon")"
	end_victim
	end_daemon
}

# A thread that is in the way itself is not held for that: the rest is applied, and
# this when it has gone on.
test_busy_by_itself() {
	start_victim stack "$VICTIMS/victim_stack"
	start_daemon --only-new --hold 600
	enable busy
	enable loaded
	loop_until daemon_said '2 patches enabled'
	expect "first=2 now=2" through
	daemon_said "victim_call.*will be tried again" || fail "$(cat "$WORK/daemon")"
	loop_until has_patch busy
	end_victim
	end_daemon
}

start_mute() {
	start_victim "$1" "$VICTIMS/victim_mute"
	ask map
	[ "$REPLY" != 0 ] || skip "no FUSE"
	SERVER[$1]=$REPLY
	# who looks at it keeps it from loading anything
	echo load >&"${TO[$1]}"
}

# A process with a library of a file system that does not answer keeps those that look
# at it, but others take their place.
test_mute() {
	local -A SERVER
	local name
	start_daemon --hold 5
	enable answer
	loop_until daemon_said '1 patch enabled'
	for name in one two; do
		start_mute $name
	done
	for name in one two; do
		loop_until daemon_said "process ${PID[$name]} does not let itself be looked at"
	done
	loop_until start_answers 1000
	start_answers 1000 || fail "$(cat "$WORK/daemon")"
	kill -KILL "${SERVER[@]}"
	for VICTIM in one two; do
		hear
		[ "$REPLY" = loaded ] || fail "$VICTIM says $REPLY"
		end_victim
	done
	end_daemon
}

notified_often() {
	[ "$(grep -cx "$1" "$WORK/notified")" -ge "$2" ]
}

# The socket, for who asks by itself; and what systemd is told.
test_sockets() {
	NOTIFY_SOCKET=$WORK/notify
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode(), flush=True)' "$NOTIFY_SOCKET" >"$WORK/notified" &
	STARTED+=($!)
	loop_until grep -q bound "$WORK/notified"
	export NOTIFY_SOCKET
	enable answer
	WATCHDOG_USEC=200000 start_daemon
	unset NOTIFY_SOCKET
	loop_until grep -q READY=1 "$WORK/notified"
	grep -q 'STATUS=1 patch enabled' "$WORK/notified" || fail "$(cat "$WORK/notified")"
	python3 -c '
import socket
for request, answer in (b"loaded\n", b"done 0\n"), (b"nonsense\n", b""):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/ulp/daemon")
    s.sendall(request)
    got = s.makefile("rb").read()
    assert got == answer, got' || fail "socket"
	loop_until notified_often WATCHDOG=1 3
	kill -HUP $DAEMON
	loop_until grep -q RELOADING=1 "$WORK/notified"
	loop_until notified_often READY=1 2
	end_daemon
	loop_until grep -q STOPPING=1 "$WORK/notified"
	[ ! -e /run/ulp/daemon ] || fail "the socket is left"
}

run_tests test_list test_damaged test_memory test_writable test_unreadable test_dlopen test_start \
	test_running test_static test_namespace test_setuid test_gconv test_killed \
	test_killed_in_the_middle test_stopped test_module test_many test_order test_busy \
	test_busy_while_held test_busy_by_itself test_mute test_sockets
