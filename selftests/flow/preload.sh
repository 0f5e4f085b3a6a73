#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# The preload library: opting out, messages, and libraries that are not unloaded under
# their patches.
. "$(dirname "$0")/../lib.sh"

PRELOAD=$O/preload/libulp-preload.so
LIB=$VICTIMS/libvictim.so

# start_preloaded NAME COMMAND... - with the library
start_preloaded() {
	local name=$1
	shift
	start_victim "$name" env LD_PRELOAD="$PRELOAD" "$@"
}

# messages - of the victim, as "kind text" lines in $WORK/messages
messages() {
	tool 0 messages --json -p "${PID[$VICTIM]}"
	python3 -c 'import json, sys
for message in json.load(sys.stdin)["processes"][0]["messages"]:
    print(message["kind"], message["text"])' <"$WORK/out" >"$WORK/messages" || fail "no JSON"
}

# said COUNT LINE - so many messages are exactly this
said() {
	messages
	[ "$(grep -cFx "$2" "$WORK/messages")" -eq "$1" ] ||
		fail "not $1 times '$2': $(cat "$WORK/messages")"
}

test_opt_out() {
	start_preloaded lib LIBULP_DISABLE_ON_PATH='/nowhere/*:*/victim_l?b' "$VICTIMS/victim_lib"
	said 1 "opt-out LIBULP_DISABLE_ON_PATH has */victim_l?b"
	tool 0 patches --json -p "${PID[lib]}"
	json processes.0.preload.patchable=false processes.0.preload.cause=path
	refused apply 1 opted-out answer
	expect 42 answer 0
	# nobody named this very process: it is passed over, and shown
	tool 0 apply --json -p 'victim_l?b' "$PATCHES/answer.so"
	json results.0.status=skipped results.0.reason=opted-out summary.failed=0
	expect 42 answer 0
	apply answer --ignore-opt-out
	expect 1000 answer 0
	# what is applied may be taken back
	revert answer
	expect 42 answer 0
	refused apply 1 opted-out answer
	end_victim
}

test_set_patchable() {
	start_preloaded lib "$VICTIMS/victim_lib"
	tool 0 patches --json -p "${PID[lib]}"
	json processes.0.preload.version=1 processes.0.preload.patchable=true \
		processes.0.preload.cause=
	tool 0 set-patchable disable -p "${PID[lib]}"
	grep -q "SUCCESS takes no patches" "$WORK/out" || fail "$(cat "$WORK/out")"
	refused apply 1 opted-out answer
	tool 0 patches --json -p "${PID[lib]}"
	json processes.0.preload.patchable=false processes.0.preload.cause=set-patchable
	# a child is as its parent was
	ask fork
	tool 1 apply --json -p "$REPLY" "$PATCHES/answer.so"
	json results.0.reason=opted-out
	ask leave
	# the manual's name; again is no error
	for _ in 1 2; do
		tool 0 set_patchable --json enable -p "${PID[lib]}"
		json results.0.status=success results.0.reason=success summary.success=1
	done
	apply answer
	expect 1000 answer 0
	tool 0 set-patchable disable -p "${PID[lib]}"
	refused apply 0 already-applied answer
	revert answer
	expect 42 answer 0
	# what the program executes begins anew
	ask exec
	apply answer
	end_victim
}

# Without the library the environment is nobody's business.
test_without() {
	start_victim lib env LIBULP_DISABLE_ON_PATH='*' "$VICTIMS/victim_lib"
	tool 1 set-patchable --json disable -p "${PID[lib]}"
	json results.0.status=failed results.0.reason=no-preload summary.failed=1
	tool 1 messages --json -p "${PID[lib]}"
	json errors.0.reason=no-preload
	tool 0 patches --json -p "${PID[lib]}"
	json processes.0.preload=null
	apply answer
	expect 1000 answer 0
	end_victim
}

# is_inside - its other thread is in read()
is_inside() {
	local task
	for task in "/proc/${PID[$VICTIM]}/task/"*; do
		[ "${task##*/}" = "${PID[$VICTIM]}" ] ||
			[ "$(cut -d ' ' -f 1 "$task/syscall")" != 0 ] || return 0
	done
	return 1
}

# So does what is patched for some threads only, on the way there and back.
test_kept_while_switching() {
	start_preloaded open "$VICTIMS/victim_dlopen"
	expect "$LIB" open a "$LIB"
	expect started enter a
	loop_until is_inside
	tool 4 apply -p "${PID[open]}" --consistency=thread --timeout=0.3 "$PATCHES/busy.so"
	expect "0 errno=77" close a
	said 1 "keep $LIB"
	expect 1 loaded libvictim.so
	expect 1120 leave
	tool 0 finish -p "${PID[open]}"

	expect "$LIB" open a "$LIB"
	expect started enter a
	loop_until is_inside
	tool 4 revert -p "${PID[open]}" --consistency=thread --timeout=0.3 "$PATCHES/busy.so"
	expect "0 errno=77" close a
	said 0 "release $LIB"
	expect 2120 leave
	tool 0 finish -p "${PID[open]}"
	end_victim
}

# What is patched stays, however often it is closed, until the patch is taken back.
test_kept() {
	start_preloaded open "$VICTIMS/victim_dlopen"
	expect "$LIB" open a "$LIB"
	expect 42 answer a 0
	expect "0 errno=77" close a
	expect 0 loaded libvictim.so
	said 1 "close $LIB"
	said 0 "keep $LIB"

	expect "$LIB" open a "$LIB"
	apply answer
	expect 1000 answer a 0
	expect "0 errno=77" close a
	expect 1 loaded libvictim.so
	said 1 "keep $LIB"
	for _ in 1 2 3; do
		expect "$LIB" open a "$LIB"
		expect 1000 answer a 0
		expect "0 errno=77" close a
	done
	said 1 "keep $LIB"
	said 5 "close $LIB"

	expect "$LIB" open a "$LIB"
	revert answer
	expect 42 answer a 0
	said 0 "release $LIB"
	expect "0 errno=77" close a
	expect 0 loaded libvictim.so
	said 1 "release $LIB"

	# anew, at whatever address
	expect "$LIB" open a "$LIB"
	apply answer
	expect 1000 answer a 0
	expect "0 errno=77" close a
	expect 1 loaded libvictim.so
	end_victim
}

# Without it the library goes, and its patch with it.
test_not_kept() {
	start_victim open "$VICTIMS/victim_dlopen"
	expect "$LIB" open a "$LIB"
	apply answer
	expect "0 errno=77" close a
	expect 0 loaded libvictim.so
	expect "$LIB" open a "$LIB"
	expect 42 answer a 0
	end_victim
}

# A second copy in a namespace of its own is another object: both are kept.
test_kept_apart() {
	start_preloaded open "$VICTIMS/victim_dlopen"
	expect "$LIB" open a "$LIB"
	expect "$LIB" mopen b "$LIB"
	expect 42 answer b 0
	tool 0 apply --json -p "${PID[open]}" "$PATCHES/answer.so"
	json summary.success=1 summary.failed=0
	expect 1000 answer a 0
	expect 1000 answer b 0
	expect "0 errno=77" close a
	expect "0 errno=77" close b
	said 2 "keep $LIB"
	[ "$(grep -c 'r-xp.*libvictim\.so' "/proc/${PID[open]}/maps")" -eq 2 ] ||
		fail "a copy is gone"
	revert answer
	expect "$LIB" open a "$LIB"
	expect "0 errno=77" close a
	said 2 "release $LIB"
	! grep libvictim "/proc/${PID[open]}/maps" || fail "a copy is still there"
	end_victim
}

# Preload and resident (exceptions.rst) know nothing of each other.
test_exceptions() {
	start_preloaded cxx "$VICTIMS/victim_cxx"
	expect 4 risk 4
	apply exceptions
	expect "caught new" risk 20
	expect "caught callback, cleaned 1" pass 20
	expect 1005 trace 5
	expect 1 listed exceptions
	revert exceptions
	expect "caught old" risk 200
	end_victim
}

# What is enabled comes before the library has run: its rules are asked all the same.
test_enabled() {
	enable answer
	start_daemon
	start_preloaded lib "$VICTIMS/victim_lib"
	expect 1000 answer 0
	end_victim
	for rule in "PATH=/x:*/victim_lib" "USERS=$(id -un)" "GROUPS=x:$(id -g)"; do
		start_preloaded "out_${rule%%=*}" "LIBULP_DISABLE_ON_$rule" "$VICTIMS/victim_lib"
		expect 42 answer 0
		tool 0 patches --json -p "${PID[$VICTIM]}"
		json processes.0.preload.patchable=false
		end_victim
	done
	start_preloaded other LIBULP_DISABLE_ON_PATH=/x "$VICTIMS/victim_lib"
	expect 1000 answer 0
	end_victim
	end_daemon
	tool 0 disable --list="$(enabled_list)" answer
}

# A library that is closed and opened by threads all the time, patched meanwhile.
test_threads() {
	start_preloaded open "$VICTIMS/victim_dlopen"
	expect "$LIB" open a "$LIB"
	expect started churn "$LIB"
	for _ in 1 2 3 4 5; do
		apply answer --retries 500
		expect 1000 answer a 0
		revert answer --retries 500
		expect 42 answer a 0
	done
	expect stopped calm
	expect "0 errno=77" close a
	expect 0 loaded libvictim.so
	end_victim
}

# no_preload - the victim is as if it had no such library, and patched like any other
no_preload() {
	tool 1 set-patchable --json disable -p "${PID[$VICTIM]}"
	json results.0.reason=no-preload
	expect 42 answer 1
	apply "$WORK/fix_$VICTIM.so"
	expect 1001 answer 1
	revert "$WORK/fix_$VICTIM.so"
	expect 42 answer 1
	apply "$WORK/fix_$VICTIM.so"
}

# With another libc the library is loaded and does nothing; it is in no static program.
test_musl() {
	local kind
	local -A how=([dynamic]=-pie [static]=-static)
	command -v musl-gcc >/dev/null || skip "no musl-gcc"
	cat >"$WORK/fix.c" <<-'END'
	int new_answer(int n);
	int new_answer(int n) { return n + 1000; }
	END
	cat >"$WORK/musl.c" <<-'END'
	#include <dlfcn.h>
	#include <stdio.h>

	__attribute__((noipa)) int musl_answer(int n) { return n * 2 + 40; }

	int main(void)
	{
		char line[256], path[256];
		int n;

		setvbuf(stdout, NULL, _IOLBF, 0);
		puts("ready");
		while (fgets(line, sizeof(line), stdin)) {
			if (sscanf(line, "answer %d", &n) == 1) {
				printf("%d\n", musl_answer(n));
			} else if (sscanf(line, "open %255s", path) == 1) {
				void *handle = dlopen(path, RTLD_NOW);

				printf("%d\n", handle ? dlclose(handle) : -1);
			} else {
				puts("EXIT-SUCCESS");
				return 0;
			}
		}
		return 1;
	}
	END
	for kind in dynamic static; do
		musl-gcc -O2 -fPIE -Wl,--build-id "${how[$kind]}" -o "$WORK/$kind" "$WORK/musl.c" ||
			fail musl-gcc
		gcc -O2 -shared -fPIC -nostdlib -o "$WORK/fix_$kind.so" "$WORK/fix.c" || fail gcc
		printf '%s\n' "fix_$kind.so" "@$WORK/$kind" musl_answer:new_answer >"$WORK/$kind.dsc"
		"$ULP_PACKER" pack -q "$WORK/$kind.dsc" || fail ulp-packer
		start_preloaded "$kind" "$WORK/$kind"
		no_preload
	done
	VICTIM=dynamic
	grep -q libulp-preload "/proc/${PID[dynamic]}/maps" || fail "it is not loaded"
	expect 0 open "$WORK/fix_dynamic.so"
	end_victim
	VICTIM=static
	! grep libulp-preload "/proc/${PID[static]}/maps" || fail "it is in a static program"
	end_victim
}

# A big program with many libraries and threads of its own: Debian's python3.
test_python() {
	cat >"$WORK/victim.py" <<-'END'
	import ssl, sqlite3, sys, threading, zlib
	threads = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(3)]
	for thread in threads:
	    thread.start()
	print("ready", flush=True)
	for line in sys.stdin:
	    words = line.split()
	    if words[0] == "quit":
	        break
	    print(zlib.crc32(words[1].encode()), flush=True)
	print("EXIT-SUCCESS", flush=True)
	END
	start_preloaded python python3 "$WORK/victim.py"
	tool 0 patches --json -p "${PID[python]}"
	json processes.0.preload.patchable=true
	expect 891568578 crc32 abc
	apply zlib
	expect 4714 crc32 abc
	revert zlib
	expect 891568578 crc32 abc
	apply zlib
	tool 0 set-patchable disable -p "${PID[python]}"
	refused apply 0 already-applied zlib
	revert zlib
	refused apply 1 opted-out zlib
	end_victim
}

# The ring is read while threads write into it, and forgets the oldest.
test_ring() {
	local last
	start_preloaded open "$VICTIMS/victim_dlopen"
	for _ in $(seq 150); do
		expect "$LIB" open a "$LIB"
		expect "0 errno=77" close a
	done
	tool 0 messages --json -p "${PID[open]}"
	last=$(json_value processes.0.messages.127.number)
	json "processes.0.lost=$((last - 128))"
	[ "$last" -eq 150 ] || fail "the last message has number $last"
	end_victim
}

run_tests test_opt_out test_set_patchable test_without test_kept test_kept_while_switching \
	test_not_kept test_kept_apart test_exceptions test_enabled test_threads test_ring test_musl \
	test_python
