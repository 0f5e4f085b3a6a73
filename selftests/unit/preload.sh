#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 180
#
# The preload library in programs that nobody patches: what it consists of, that they do
# not notice it, and who opts out.
. "$(dirname "$0")/../lib.sh"

PRELOAD=$O/preload/libulp-preload.so

# What is in the file: nothing that could keep a program from starting.
test_file() {
	nm -D --defined-only "$PRELOAD" | awk '{ print $NF }' >"$WORK/exported"
	[ "$(cat "$WORK/exported")" = dlclose ] || fail "exports $(cat "$WORK/exported")"
	nm -D --undefined-only "$PRELOAD" >"$WORK/undefined"
	grep -q ' w dlsym$' "$WORK/undefined" || fail "no undefined symbols: $(cat "$WORK/undefined")"
	! grep -v '^ *w ' "$WORK/undefined" || fail "needs these"
	readelf -dW "$PRELOAD" >"$WORK/dynamic"
	grep -q SONAME "$WORK/dynamic" || fail "no dynamic section: $(cat "$WORK/dynamic")"
	! grep -E 'NEEDED|TEXTREL|VERNEED|RPATH|RUNPATH' "$WORK/dynamic" || fail "has these"
	# of libc's private symbols none
	while read -r _ name; do
		! nm -D --with-symbol-versions "$(ldconfig_of libc.so.6)" |
			grep -q " $name@*GLIBC_PRIVATE" || fail "$name is private"
	done <"$WORK/undefined"
	readelf -lW "$PRELOAD" | awk '$1 == "LOAD" { print $7, $8 }' >"$WORK/segments"
	! grep 'W.*E' "$WORK/segments" || fail "writable code"
	[ "$(wc -l <"$WORK/segments")" -eq 2 ] || fail "$(wc -l <"$WORK/segments") segments"
}

ldconfig_of() {
	/sbin/ldconfig -p | sed -n "s/.*$1 (.*x86-64.*) => //p" | head -n 1
}

# same COMMAND... - says and returns the same with the library and without
same() {
	local status=0 preloaded=0
	"$@" >"$WORK/without" 2>&1 || status=$?
	LD_PRELOAD=$PRELOAD "$@" >"$WORK/with" 2>&1 || preloaded=$?
	[ $status -eq $preloaded ] || fail "$*: status $preloaded, not $status"
	diff "$WORK/without" "$WORK/with" || fail "$*: other output"
}

test_libc_banner() {
	same "$(ldconfig_of libc.so.6)"
	grep -q 'GNU C Library' "$WORK/with" || fail "$(cat "$WORK/with")"
}

# A library that is found only by the RUNPATH of the library that asks for it.
test_runpath() {
	mkdir "$WORK/hidden"
	echo 'int found(void) { return 7; }' >"$WORK/hidden.c"
	cat >"$WORK/asker.c" <<-'END'
	#include <dlfcn.h>
	#include <stdio.h>
	int ask(void)
	{
		void *handle = dlopen("libhidden.so", RTLD_NOW);
		int (*found)(void) = handle ? (int (*)(void))dlsym(handle, "found") : 0;
		int value = found ? found() : -1;
		if (!handle)
			puts(dlerror());
		else if (dlclose(handle))
			return -2;
		return value;
	}
	END
	cat >"$WORK/main.c" <<-'END'
	#include <dlfcn.h>
	#include <stdio.h>
	int ask(void);
	int main(void)
	{
		if (dlopen("libhidden.so", RTLD_NOW))
			puts("found by the program too");
		printf("%d\n", ask());
		return 0;
	}
	END
	cd "$WORK" || fail cd
	gcc -shared -fPIC -o hidden/libhidden.so hidden.c || fail gcc
	# shellcheck disable=SC2016 # for ld.so
	gcc -shared -fPIC -o libasker.so asker.c -Wl,-rpath,'$ORIGIN/hidden' \
		-Wl,--enable-new-dtags || fail gcc
	gcc -o main main.c -L. -lasker || fail gcc
	readelf -dW libasker.so | grep -q RUNPATH || fail "no RUNPATH"
	LD_LIBRARY_PATH=$WORK same ./main
	[ "$(cat with)" = 7 ] || fail "$(cat with)"
}

# dlclose() says what it always said, errno and dlerror() included.
test_dlclose() {
	cat >"$WORK/close.c" <<-'END'
	#include <dlfcn.h>
	#include <errno.h>
	#include <stdio.h>
	int main(void)
	{
		void *handle = dlopen("libz.so.1", RTLD_NOW), *again;
		errno = 42;
		again = dlopen("libz.so.1", RTLD_NOW);
		printf("%d\n", again == handle);
		errno = 42;
		printf("%d %d\n", dlclose(again), errno);
		printf("%d\n", dlsym(handle, "no such symbol") != 0);
		printf("%d %d\n", dlclose(handle), errno);
		printf("%s\n", dlerror() ? "error" : "no error");
		handle = dlopen("libz.so.1", RTLD_NOLOAD | RTLD_NOW);
		printf("%s\n", handle ? "still there" : "gone");
		return 0;
	}
	END
	gcc -w -o "$WORK/close" "$WORK/close.c" || fail gcc
	same "$WORK/close"
	grep -qx gone "$WORK/with" || fail "$(cat "$WORK/with")"
}

# Programs of all kinds, and those that cannot have it.
test_programs() {
	same /bin/true
	same /bin/sh -c 'echo a | cat; exit 3'
	same python3 -c 'import ctypes, ssl, threading; print(sum(range(9)))'
	same "$O/selftests/unit/peer_static" </dev/null
	if [ -e "$VICTIMS/victim_32" ]; then
		LD_PRELOAD=$PRELOAD "$VICTIMS/victim_32" </dev/null >"$WORK/with" 2>&1
		! grep -q 'cannot be loaded' "$WORK/with" || fail "$(cat "$WORK/with")"
	fi
}

# A set-uid program has no preload by the environment; by ld.so.preload it would, and
# does not listen then.
test_set_uid() {
	[ "$(id -u)" = 0 ] || skip "not root"
	idle_as nobody
	tool 1 messages --json -p "$IDLE"
	json errors.0.reason=no-preload
}

idle_as() {
	chmod 755 "$RUN" "$WORK"
	cp "$(command -v sleep)" "$WORK/sleep"
	chown "$1" "$WORK/sleep"
	chmod 4755 "$WORK/sleep"
	case $(findmnt -no OPTIONS -T "$WORK") in *nosuid*) skip "no set-uid in /tmp" ;; esac
	LD_PRELOAD=$PRELOAD "$WORK/sleep" 1000 &
	IDLE=$!
	STARTED+=($!)
	loop_until is_idle
}

is_idle() {
	[ "$(cat "/proc/$IDLE/comm")" = sleep ] && is_state "$IDLE" S
}

# opts CAUSE VARIABLE=LIST... - the program has that, and so opts out; "" it does not
opts() {
	local cause=$1 patchable=false
	shift
	[ -n "$cause" ] || patchable=true
	env "$@" LD_PRELOAD="$PRELOAD" sleep 1000 &
	IDLE=$!
	STARTED+=($!)
	loop_until is_idle
	tool 0 patches --json -p "$IDLE"
	json processes.0.preload.patchable=$patchable "processes.0.preload.cause=$cause"
	kill $IDLE
	wait $IDLE 2>/dev/null || :
}

test_opt_out_path() {
	local path
	path=$(realpath "$(command -v sleep)")
	opts "" LIBULP_DISABLE_ON_PATH=
	opts "" LIBULP_DISABLE_ON_PATH=sleep
	opts "" LIBULP_DISABLE_ON_PATH="$path/"
	opts "" LIBULP_DISABLE_ON_PATHS='*'
	opts "" LIBULP_DISABLE_ON="*" DISABLE_ON_PATH='*'
	opts path LIBULP_DISABLE_ON_PATH="$path"
	opts path LIBULP_DISABLE_ON_PATH="::/nowhere:*/sl?ep"
	opts path LIBULP_DISABLE_ON_PATH="/usr/@(sbin|bin)/+(s|l|e|p):"
	opts path LIBULP_DISABLE_ON_PATH=/nowhere LIBPULP_DISABLE_ON_PATH="$path"
	# longer than any path
	opts "" LIBULP_DISABLE_ON_PATH="$(printf '*%.0s' $(seq 5000))"
	opts path LIBULP_DISABLE_ON_PATH="$(printf '*%.0s' $(seq 5000)):*"
}

test_opt_out_user() {
	local name number
	name=$(id -un) number=$(id -u)
	opts "" LIBULP_DISABLE_ON_USERS="1$number:no$name:${number}x"
	opts user LIBULP_DISABLE_ON_USERS="x:$number"
	opts user LIBULP_DISABLE_ON_USERS="$name"
	opts user LIBPULP_DISABLE_ON_USERS="${name:0:2}*:"
	opts "" LIBULP_DISABLE_ON_USERS="4294967296$number:$((4294967296 + number))"
}

test_opt_out_group() {
	local name number
	name=$(id -gn) number=$(id -g)
	opts "" LIBULP_DISABLE_ON_GROUPS="1$number:no$name"
	opts group LIBULP_DISABLE_ON_GROUPS="$number"
	opts group LIBULP_DISABLE_ON_GROUPS="x:$name"
	opts path LIBULP_DISABLE_ON_GROUPS="$name" LIBULP_DISABLE_ON_PATH='*'
}

# musl has neither _dl_find_object nor dlinfo; the library stays away.
test_musl() {
	command -v musl-gcc >/dev/null || skip "no musl-gcc"
	printf '#include <stdio.h>\nint main(void) { puts("musl"); return 5; }\n' >"$WORK/musl.c"
	musl-gcc -o "$WORK/musl" "$WORK/musl.c" || fail musl-gcc
	same "$WORK/musl"
}

run_tests test_file test_libc_banner test_runpath test_dlclose test_programs test_set_uid \
	test_opt_out_path test_opt_out_user test_opt_out_group test_musl
