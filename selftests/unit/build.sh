#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 300
#
# ulp-packer build: builds of all kinds, and what it leaves behind.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/build.lib"

# ---- builds ----

test_build_fails() {
	project
	ship
	fix fix.diff <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	build 1 --diff fix.diff -o out.so -- sh -c 'echo "something is wrong"; exit 3'
	says "the build fails: sh ended with exit status 3" "something is wrong"
	build 1 --diff fix.diff -o out.so -- sh -c 'kill -9 $$'
	says "ended by signal 9"
	build 1 --diff fix.diff -o out.so -- no-such-command
	says "cannot run no-such-command"
	build 1 --diff fix.diff -o out.so -- true
	says "no call of a compiler was seen"
	build 1 --diff fix.diff -o out.so -- make CC="$(command -v gcc)"
	says "no call of a compiler was seen"
	fix fix.diff <<<"sed -i 's/calls++/calls += two/' src/a.c"
	build 1 --diff fix.diff -o out.so -- make
	says "src/a.c: does not compile" "two"
}

# Before minutes of building are for nothing.
test_no_place() {
	local out
	project
	ship
	fix fix.diff <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	install -m 755 /dev/null "$WORK/file"
	for out in "$WORK/none/out.so" "$WORK/none/out/" "$WORK/file/out.so" "$WORK/file/"; do
		build 1 --diff fix.diff -o "$out" -- touch "$WORK/built"
		says "$out: cannot be written to"
	done
	[ ! -e "$WORK/built" ] || fail "built first"
}

# In the place of the source, so that absolute paths lead into the copy.
test_built_source() {
	project
	sed -i "s|-c -o \$@ \$<|-c -o $PROJ/\$@ $PROJ/\$<|" "$PROJ/Makefile"
	ship
	make -s -C "$PROJ" >/dev/null || fail "make"
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 0 --diff fix.diff -o out.so -- make
	functions other
}

test_parallel() {
	local n
	project
	for n in $(seq 40); do
		echo "int f$n(int x); int f$n(int x) { return x + $n; }" >"$PROJ/src/f$n.c"
		sed -i "s/^OBJECTS = /&src\/f$n.o /" "$PROJ/Makefile"
	done
	ship make -j8
	fix fix.diff <<<"sed -i 's/return x/return 2 * x/' src/f[1-9].c"
	build 0 --diff fix.diff -j 8 -o out.so -- make -j8
	tells "43 translation units, 9 changed"
	functions f1 f2 f3 f4 f5 f6 f7 f8 f9
}

test_odd_paths() {
	project 'with space, Ünïcode -and $dollar'
	cat >"$PROJ/Makefile" <<-'END'
	.RECIPEPREFIX = >
	prog: src/a.c src/b.c src/main.c
	>mkdir -p "out dir"
	>for n in a b main; do $(CC) -O2 -fno-inline -Isrc "-DTEXT=\"a b\"" -c "src/$$n.c" -o "out dir/-$$n ü.o" || exit; done
	>$(CC) -Wl,--build-id -o "$@" "out dir"/-*
	clean:
	>rm -rf prog "out dir"
	END
	ship
	fix 'a fix.diff' <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 0 --diff 'a fix.diff' -o out.so -- make
	functions other
}

test_calls_of_all_kinds() {
	local flags="-O2 -fno-inline -Isrc" step
	project
	# compiled and linked at once; sources named twice; a response file that is gone
	# again; by name, version, triplet and as "ccache gcc"
	for step in "gcc $flags -Wl,--build-id src/a.c src/b.c src/main.c -o prog" \
		"cc -o prog src/*.c $flags -Wl,--build-id" \
		"mkdir o; cd o; gcc-12 $flags -I../src -c ../src/a.c ../src/b.c ../src/main.c; x86_64-linux-gnu-gcc -Wl,--build-id -o ../prog *.o" \
		"echo '$flags -Wl,--build-id -DX=\"a\\ b\" \"src/a.c\"' >r; gcc @r src/b.c src/main.c -o prog; rm r" \
		"gcc $flags -c src/a.c src/b.c; ar rc libx.a a.o b.o; rm a.o b.o; gcc $flags -Wl,--build-id -o prog src/main.c -L. -lx" \
		"gcc $flags -c src/a.c src/b.c; ld -r -o ab.o a.o b.o; gcc $flags -Wl,--build-id -o prog src/main.c ab.o" \
		"gcc $flags -save-temps -MD -c src/a.c src/b.c src/main.c; gcc -Wl,--build-id -o prog a.o b.o main.o" \
		"cp src/a.c a.inc; gcc $flags -Wl,--build-id -x c a.inc -x none src/b.c src/main.c -o prog" \
		"env -i PATH=\"\$PATH\" gcc $flags -pipe -Wl,--build-id src/a.c src/b.c src/main.c -o prog"; do
		printf 'prog: clean\n\t%s\nclean:\n\trm -rf prog o *.o *.a *.d *.i *.s r a.inc\n' \
			"set -e; ${step//\$/\$\$}" >"$PROJ/Makefile"
		ship
		fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
		build 0 --diff fix.diff -o out.so -- make
		changed src/b.c
		functions other
	done
}

test_ccache() {
	command -v ccache >/dev/null || skip "no ccache"
	export CCACHE_DIR=$WORK/ccache
	project
	for _ in cold warm; do
		ship make CC="ccache gcc"
		fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
		build 0 --diff fix.diff -o out.so -- make CC="ccache gcc"
		functions other
	done
	PATH=/usr/lib/ccache:$PATH build 0 --diff fix.diff -o out.so -- make
	functions other
}

test_cmake() {
	command -v cmake >/dev/null || skip "no cmake"
	command -v ninja >/dev/null || skip "no ninja"
	project
	rm "$PROJ/Makefile"
	cat >"$PROJ/CMakeLists.txt" <<-'END'
	cmake_minimum_required(VERSION 3.10)
	project(prog C)
	set(CMAKE_C_FLAGS "-O2 -fno-inline -Wl,--build-id")
	add_library(ab STATIC src/a.c src/b.c)
	add_executable(prog src/main.c)
	target_link_libraries(prog ab)
	END
	printf 'clean:\n\trm -rf build\n' >"$PROJ/Makefile"
	MADE=build/prog ship sh -c 'cmake -G Ninja -B build . && ninja -C build'
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 0 --diff fix.diff -o out.so -- sh -c 'cmake -G Ninja -B build . && ninja -C build'
	changed src/b.c
	functions other
}

# libtool compiles twice: with -fPIC for the library, without for the archive; and it
# names the start files when it links C++.
test_compiled_twice() {
	project
	# one function is the same in both, one is not
	sed -i 's/^int other/int others = 1;\n&/; s/+ 1;/+ others++;/' "$PROJ/src/b.c"
	echo 'int plain(int x) { return x * 7 + 2; }' >>"$PROJ/src/b.c"
	cat >"$PROJ/Makefile" <<-'END'
	.RECIPEPREFIX = >
	CFLAGS = -O2 -fno-inline -Isrc
	startfile = $(shell $(CC) -print-file-name=$(1))
	all: libab.so prog
	libab.so:
	>mkdir -p .libs
	>for n in a b; do $(CC) $(CFLAGS) -fPIC -DPIC -c src/$$n.c -o .libs/$$n.o; done
	>for n in a b; do $(CC) $(CFLAGS) -c src/$$n.c -o $$n.o; done
	>$(CC) -shared -nostdlib $(call startfile,crti.o) $(call startfile,crtbeginS.o) .libs/a.o .libs/b.o \
	> -Wl,--build-id -lc $(call startfile,crtendS.o) $(call startfile,crtn.o) -o $@
	>ar rc libab.a a.o b.o
	prog: libab.so
	>$(CC) $(CFLAGS) -DMAIN -Wl,--build-id -o $@ src/main.c libab.a
	clean:
	>rm -rf prog *.so *.a *.o .libs
	END
	MADE=libab.so ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 0 --diff fix.diff -o out.so -- make
	tells "2 changed"
	functions other
	# and all that it is in, each of its own kind
	ship
	mkdir "$WORK/both"
	build 0 --target "$WORK/bin/libab.so" --diff fix.diff -o both/ -- make
	[ "$(find "$WORK/both" -name '*.so' | wc -l)" = 2 ] || fail "made: $(ls "$WORK/both")"
}

test_lto_is_refused() {
	project
	ship make CC="gcc -flto"
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 1 --diff fix.diff -o out.so -- make CC="gcc -flto"
	says "src/b.c: it is built with -flto"
}

test_cxx() {
	project
	cat >"$PROJ/src/b.cc" <<-'END'
	#include <string>
	extern "C" {
	#include "b.h"
	}
	namespace {
	struct counter { std::string text; int next(int x) { text += 'x'; return x * STEP; } };
	counter c;
	}
	extern "C" int other(int x) { return c.next(x) + (int)c.text.size(); }
	END
	printf 'prog:\n\tgcc -O2 -c src/a.c src/main.c\n\tg++ -O2 -fno-inline -c src/b.cc\n\tc++ -Wl,--build-id -o prog *.o\nclean:\n\trm -f prog *.o\n' >"$PROJ/Makefile"
	ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 0 --diff fix.diff -o out.so -- make
	changed src/b.cc
}

# Another compiler or other flags: it is said which.
test_other_build() {
	project
	ship make CFLAGS="-O1 -g -fno-inline"
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	(cd "$PROJ" && make -s CFLAGS="-O1 -g -fno-inline") >/dev/null
	objcopy --only-keep-debug "$PROJ/prog" "$WORK/prog.debug"
	make -s -C "$PROJ" clean
	"$ULP_PACKER" build --source "$PROJ" --target "$SHIPPED" --debug "$WORK/prog.debug" \
		--diff "$WORK/fix.diff" -o "$WORK/out.so" -- make >"$WORK/out" 2>"$WORK/err"
	says "not reproduced by this build" "was made by 'GNU C17" "-O1" "this build is by 'GNU C17" "-O2"
	ship make CC=clang CFLAGS="-O2 -fno-inline"
	"$ULP_PACKER" build --source "$PROJ" --target "$SHIPPED" \
		--diff "$WORK/fix.diff" -o "$WORK/out.so" -- make >"$WORK/out" 2>"$WORK/err"
	says "was made by 'Debian clang" "this build is by 'GCC: "
	# and clang's own builds
	build 0 --diff fix.diff -o out.so -- make CC=clang CFLAGS="-O2 -fno-inline"
	changed src/b.c
	functions other
}

# ---- make ----

one_click() {
	local want=$1 status
	shift
	(cd "$PROJ" && exec "$ULP_PACKER" make "$@") >"$WORK/out" 2>"$WORK/err"
	status=$?
	[ $status -eq "$want" ] && return
	note "$(head -c 3000 "$WORK/out" "$WORK/err")"
	fail "ulp-packer make $*: exit status $status, not $want"
}

# made FILE... - patchroot has a patch for each of them, and no other
made() {
	local file want
	want=$(for file; do
		echo "$(readelf -n "$file" | awk '/Build ID/ { print $3 }').so"
	done | sort | xargs)
	[ "$(cd "$PROJ/patchroot" && echo *)" = "$want" ] ||
		fail "patchroot has '$(ls "$PROJ/patchroot")', not '$want'"
}

# A build that is not the target's: what is too small to be known by its looks has a name
# in the debug file beside the target.
test_debug_file() {
	local other="make CFLAGS=-O2\ -fno-inline\ -g\ -Wl,-z,lazy"
	project
	make -s -C "$PROJ" CFLAGS="-O2 -fno-inline -g -Wl,-z,now" >/dev/null || fail make
	mkdir -p "$WORK/bin/.debug"
	objcopy --only-keep-debug "$PROJ/prog" "$WORK/bin/.debug/prog.debug"
	strip -o "$WORK/bin/prog" "$PROJ/prog"
	objcopy --add-gnu-debuglink="$WORK/bin/.debug/prog.debug" "$WORK/bin/prog"
	SHIPPED=$WORK/bin/prog
	make -s -C "$PROJ" clean
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 1 --debug= --diff fix.diff -o out.so -- sh -c "$other"
	says "'other' changed, but its original code is not in" "too small"
	build 0 --diff fix.diff -o out.so --explain -- sh -c "$other"
	tells "symbols of the debug file $WORK/bin/.debug/prog.debug" "named by its debug file"
	functions other
}

# A library that is bound to its own functions, of which nothing but its link tells.
test_symbolic() {
	project
	printf 'libab.so:\n\tgcc -O2 -fPIC -shared -Wl,--build-id,-Bsymbolic-functions -o $@ src/a.c src/b.c\nclean:\n\trm -f *.so\n' \
		>"$PROJ/Makefile"
	MADE=libab.so ship
	fix fix.diff <<<"sed -i 's/x \* FACTOR/other(x)/; s/^#include \"a.h\"/&\nint other(int x);/' src/a.c"
	build 0 --diff fix.diff -o out.so -- make
	functions answer
	[ -z "$(nm -D "$WORK/out.so" 2>/dev/null | grep other)" ] || fail "$(nm -D "$WORK/out.so")"
	sed -i 's/,-Bsymbolic-functions//' "$PROJ/Makefile"
	MADE=libab.so ship
	build 0 --diff fix.diff -o out.so -- make
	nm -D "$WORK/out.so" | grep -q 'U other' || fail "$(nm -D "$WORK/out.so")"
}

test_make() {
	local file
	project
	# two programs and a library; one of the programs has nothing of the change
	cat >>"$PROJ/Makefile" <<-'END'
	all: prog plain libb.so
	plain: src/plain.o
	>$(CC) -Wl,--build-id -o $@ $^
	libb.so: src/b.c src/b.h
	>$(CC) $(CFLAGS) -shared -fPIC -Wl,--build-id -o $@ $<
	END
	sed -i 's/^prog:/all:\n&/' "$PROJ/Makefile"
	echo 'int main(void) { return 0; }' >"$PROJ/src/plain.c"
	make -s -C "$PROJ" all >/dev/null || fail make
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	# built already, and from nothing
	one_click 0 -j2 "$WORK/fix.diff"
	made "$PROJ/prog" "$PROJ/libb.so"
	cp "$PROJ/prog" "$PROJ/libb.so" "$WORK"
	rm -rf "$PROJ/patchroot" "$PROJ/plain" "$PROJ/libb.so"
	make -s -C "$PROJ" clean
	one_click 0 -i an-id "$WORK/fix.diff"
	made "$WORK/prog" "$WORK/libb.so"
	for file in "$PROJ"/patchroot/*.so; do
		"$SHOW" "$file" | grep -qx "name an-id" || fail "$file: no id"
	done
	rm -rf "$PROJ/patchroot"
	fix fix.diff <<<"echo '/* nothing */' >>src/b.h"
	one_click 3 "$WORK/fix.diff"
	[ ! -e "$PROJ/patchroot" ] || fail "patchroot: $(ls "$PROJ/patchroot")"
}

test_usage() {
	local args
	project
	: >"$WORK/fix.diff"
	while read -r args; do
		# shellcheck disable=SC2086
		(cd "$WORK" && eval "\"\$ULP_PACKER\" $args") >"$WORK/out" 2>"$WORK/err"
		[ $? = 2 ] || fail "$args: exit status not 2"
		grep -q "Try 'ulp-packer" "$WORK/err" || fail "$args: $(cat "$WORK/err")"
	done <<-'END'
	build
	build --target x -- make
	build --diff fix.diff -- make
	build --target x --diff fix.diff
	build --target x --diff fix.diff --
	build --debug y --target x --diff fix.diff -- make
	build --target x --diff fix.diff -j 0 -- make
	build --target x --diff fix.diff -j 2x -- make
	build --target x --diff fix.diff -i 'a b' -- make
	build --target x --diff fix.diff -i '' -- make
	build --target x --diff fix.diff -o '' -- make
	build --no-such-option
	make
	make -j fix.diff
	END
	"$ULP_PACKER" build --help | grep -q -- --keep || fail "no help"
	"$ULP_PACKER" make --help | grep -q patchroot || fail "no help"
}

# ---- the scratch copy ----

test_nothing_is_left() {
	export TMPDIR=$WORK/tmp
	mkdir "$TMPDIR"
	project
	ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 0 --diff fix.diff -o out.so -- make
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left: $(ls -A "$TMPDIR")"
	build 1 --diff fix.diff -o out.so -- sh -c 'mkdir -m 0 closed; touch x; chmod 0 x; exit 1'
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left: $(ls -A "$TMPDIR")"
	build 0 --diff fix.diff --keep "$WORK/kept dir" -o out.so -- make
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left: $(ls -A "$TMPDIR")"
	[ -x "$WORK/kept dir/original/prog" ] || fail "not kept"
	mkdir "$WORK/full"
	touch "$WORK/full/mine"
	build 1 --diff fix.diff --keep "$WORK/full" -o out.so -- make
	says "new or empty"
	[ -e "$WORK/full/mine" ] || fail "what was there is gone"
	build 1 --diff fix.diff --keep "$PROJ/src/kept" -o out.so -- make
	says "cannot be inside"
}

# kept BUILDS STATUS ARG... - the original was built so many times by now
kept() {
	local want=$1 status=$2
	shift 2
	build "$status" --keep "$WORK/kept" -o out.so "$@" -- \
		sh -c 'echo >>"$0"; exec make' "$WORK/count"
	[ "$(wc -l <"$WORK/count")" -eq "$want" ] ||
		fail "built $(wc -l <"$WORK/count") times, not $want"
}

# A build that --keep left is used again, unless it would be another one now.
test_kept_build() {
	project
	ship
	fix one.diff <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	fix two.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	fix three.diff <<<"sed -i 's/^CFLAGS =/& -DFACTOR_/' Makefile; sed -i 's/FACTOR 3/FACTOR 3+1/' src/a.h"
	fix none.diff <<<"echo '/* a comment */' >>src/a.c"
	kept 1 0 --diff one.diff
	functions answer
	kept 1 0 --diff two.diff
	tells "used again" reproduced
	changed src/b.c
	functions other
	kept 1 3 --diff none.diff
	kept 1 0 --diff one.diff --diff two.diff
	functions answer other
	# what the build read is known of a build that was not made now
	kept 2 0 --diff three.diff
	tells "used again" "building with it"
	kept 2 0 --diff two.diff
	functions other
	(export SOME_VARIABLE=1 && kept 3 0 --diff two.diff) || exit
	says "another environment"
	kept 4 0 --diff two.diff
	sed -i 's/x + 1/x + 2/' "$PROJ/src/a.c"
	kept 5 1 --diff two.diff
	says "something else" "not reproduced"
	kept 5 1 --diff two.diff
	tells "used again"
	# one that failed is not taken for one that is there
	build 1 --keep "$WORK/kept" --diff two.diff -o out.so -- sh -c 'make; exit 1'
	build 1 --keep "$WORK/kept" --diff two.diff -o out.so -- sh -c 'make; exit 1'
	says "the build fails"
	# nor one that another packer is at
	flock --no-fork "$WORK/kept/.ulp-build" sh -c 'echo; exec sleep 1000' >"$WORK/locked" &
	STARTED+=($!)
	loop_until test -s "$WORK/locked"
	build 1 --keep "$WORK/kept" --diff two.diff -o out.so -- make
	says "another ulp-packer"
}

is_empty() {
	[ -z "$(ls -A "$1")" ]
}

is_gone() {
	! kill -0 "$1" 2>/dev/null
}

test_killed() {
	local signal pid child
	export TMPDIR=$WORK/tmp
	mkdir "$TMPDIR"
	project
	ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	for signal in INT TERM HUP KILL; do
		rm -f "$WORK/child"
		# a shell's background commands ignore SIGINT
		env --default-signal=INT "$ULP_PACKER" build --source "$PROJ" --target "$SHIPPED" \
			--diff "$WORK/fix.diff" -o "$WORK/out.so" -- sh -c "echo \$\$ >'$WORK/part'; mv '$WORK/part' '$WORK/child'; sleep 1000; true" \
			>"$WORK/out" 2>"$WORK/err" &
		pid=$!
		disown $pid
		STARTED+=("$pid")
		loop_until test -e "$WORK/child"
		child=$(cat "$WORK/child")
		STARTED+=("$child")
		kill -$signal "$pid"
		loop_until is_empty "$TMPDIR"
		loop_until is_gone "$child"
	done
}

# Without namespaces the copy is built where it is.
test_without_namespaces() {
	project
	ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_mnt_namespaces' 2>/dev/null ||
		skip "no user namespaces"
	cat >"$WORK/alone" <<-END
	#!/bin/sh
	echo 0 >/proc/sys/user/max_mnt_namespaces
	echo 0 >/proc/sys/user/max_user_namespaces
	exec "$ULP_PACKER" "\$@"
	END
	chmod +x "$WORK/alone"
	ULP_PACKER="unshare -Ur $WORK/alone"
	build() {
		(cd "$WORK" && exec $ULP_PACKER build --source "$PROJ" --target "$SHIPPED" "$@") \
			>"$WORK/out" 2>"$WORK/err" || fail "$(cat "$WORK/out" "$WORK/err")"
	}
	build --diff fix.diff -o out.so -- make
	says "no mount namespaces"
	changed src/b.c
	functions other
	fix fix.diff <<-'END'
	echo 'int helper(int x); int helper(int x) { return x + 7; }' >src/c.c
	sed -i 's/^OBJECTS = /&src\/c.o /' Makefile
	sed -i 's/return x . STEP/int helper(int); return helper(x) * STEP/' src/b.c
	END
	build --diff fix.diff -o out.so -- make
	changed src/b.c src/c.c
	build --diff fix.diff --keep "$WORK/kept" -o out.so -- make
	build --diff fix.diff --keep "$WORK/kept" -o out.so -- make
	tells "used again"
	changed src/b.c src/c.c
}

run_tests test_build_fails test_no_place test_built_source test_parallel test_odd_paths \
	test_calls_of_all_kinds test_ccache test_cmake test_compiled_twice test_lto_is_refused \
	test_cxx test_other_build test_debug_file test_symbolic test_make test_usage \
	test_nothing_is_left test_kept_build test_killed test_without_namespaces
