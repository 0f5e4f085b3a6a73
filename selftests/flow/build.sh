#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# From a source diff to a running process: its program is stripped, its state stays,
# and it is what it was after the revert.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../unit/build.lib"

test_program() {
	project
	ship
	start_victim prog "$SHIPPED"
	expect "31 2 6" 10
	expect "32 2 6" 10
	fix CVE-2026-4711.diff <<-'END'
	sed -i 's/return x . FACTOR/if (x > 10)\n\t\treturn -calls;\n\t&/' src/a.c
	sed -i 's/STEP 5/STEP 6/' src/b.h
	END
	build 0 --diff CVE-2026-4711.diff -o out.so -- make -j2
	functions answer other
	apply "$WORK/out.so"
	expect "33 2 7" 10
	expect "-4 2 7" 11
	tool 0 patches --json -p "${PID[$VICTIM]}"
	json processes.0.objects.0.patches.0.labels.0=CVE-2026-4711
	revert "$WORK/out.so"
	expect "38 2 6" 11
	apply "$WORK/out.so"
	expect "-6 2 7" 11
	end_victim
}

# The one-click way: the program that make left here is the one that runs.
test_make() {
	local patch
	project
	make -s -C "$PROJ" >/dev/null || fail "make"
	start_victim prog "$PROJ/prog"
	expect "31 2 6" 10
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
	(cd "$PROJ" && "$ULP_PACKER" make -i fix "$WORK/fix.diff") >"$WORK/out" 2>"$WORK/err" ||
		fail "$(cat "$WORK/out" "$WORK/err")"
	patch=$(echo "$PROJ"/patchroot/*.so)
	apply "$patch"
	expect "32 2 7" 10
	revert "$patch"
	expect "33 2 6" 10
	end_victim
}

# libraries - the same as a program and two libraries, which runs
libraries() {
	local file
	project
	cat >"$PROJ/Makefile" <<-'END'
	.RECIPEPREFIX = >
	CFLAGS = -O2 -g -fno-inline -fPIC
	prog: src/main.c libone.so libtwo.so
	>$(CC) $(CFLAGS) -Wl,--build-id -o $@ $^ -Wl,-rpath,'$$ORIGIN'
	libone.so: src/a.c src/a.h
	>$(CC) $(CFLAGS) -shared -Wl,--build-id -o $@ $<
	libtwo.so: src/b.c src/b.h
	>$(CC) $(CFLAGS) -shared -Wl,--build-id -o $@ $<
	clean:
	>rm -f prog *.so
	END
	make -s -C "$PROJ" >/dev/null || fail "make"
	mkdir "$WORK/bin"
	for file in prog libone.so libtwo.so; do
		strip -o "$WORK/bin/$file" "$PROJ/$file"
	done
	make -s -C "$PROJ" clean
	start_victim prog "$WORK/bin/prog"
	expect "31 2 6" 10
}

# One patch for two libraries: both change at once, or none.
test_two_libraries() {
	libraries
	SHIPPED=$WORK/bin/libone.so
	fix fix.diff <<-'END'
	sed -i 's/FACTOR 3/FACTOR 4/' src/a.h
	sed -i 's/int other/int assisted(int x);\n&/' src/b.h
	sed -i 's/return x . STEP/return assisted(x) * STEP/' src/b.c
	echo 'int assisted(int x); int assisted(int x) { return x + 1; }' >>src/a.c
	END
	build 0 --target "$WORK/bin/libtwo.so" --diff fix.diff -o out.so -- make -j2
	functions answer other
	tells "for libone.so, libtwo.so: 2 functions"
	apply "$WORK/out.so"
	expect "42 2 11" 10
	tool 0 patches --json -p "${PID[$VICTIM]}"
	json processes.0.objects.0.patches.0.active=true processes.0.objects.1.patches.0.active=true
	revert "$WORK/out.so"
	expect "33 2 6" 10
	apply "$WORK/out.so"
	expect "44 2 11" 10
	end_victim
}

# A program and a library: one patch each.
test_program_and_library() {
	local patch
	libraries
	SHIPPED=$WORK/bin/prog
	fix fix.diff <<-'END'
	sed -i 's/FACTOR 3/FACTOR 4/' src/a.h
	sed -i 's/line.0. == .q./line[0] == 0x71 || line[0] == 0x78/; s/other(argc))/other(argc) * FACTOR)/' src/main.c
	END
	build 1 --target "$WORK/bin/libone.so" --diff fix.diff -o out.so -- make
	says "is a program, and more than 2 GiB from any library" "-o DIR/"
	build 0 --target "$WORK/bin/libone.so" --target "$WORK/bin/libtwo.so" --diff fix.diff \
		-o both/ -- make
	says "libtwo.so: none of the changed sources is in it"
	[ "$(find "$WORK/both" -name '*.so' | wc -l)" = 2 ] || fail "$(ls "$WORK/both")"
	# main() never returns, so that the program's patch waits for its end
	for patch in "$WORK"/both/*.so; do
		if [ "$("$SHOW" "$patch" | awk '$1 == "function" { print $2 }')" = main ]; then
			refused apply 3 busy "$patch" -r 0
		else
			apply "$patch"
		fi
	done
	expect "42 2 6" 10
	end_victim
}

run_tests test_program test_make test_two_libraries test_program_and_library
