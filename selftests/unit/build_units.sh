#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 120
#
# ulp-packer build: units that are not one source, one language, one object.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/build.lib"

# All sources in one unit, with static functions and variables of one name in both.
test_unity() {
	project
	sed -i 's/^int other/static int total;\n&/; s/x \* STEP/(total += x) * STEP/' "$PROJ/src/b.c"
	printf '#include "a.c"\n#include "b.c"\n#include "main.c"\n' >"$PROJ/src/all.c"
	sed -i 's/^OBJECTS.*/OBJECTS = src\/all.o/' "$PROJ/Makefile"
	ship
	fix fix.diff <<<"sed -i 's/+ 1;/+ total;/' src/b.c"
	build 0 --diff fix.diff -o out.so -- make
	changed src/all.c
	functions other
}

# One source in one program, compiled with two definitions.
test_two_definitions() {
	project
	sed -i 's/int other(int x)/int NAME(int x)/; s/+ 1;/+ ADD;/' "$PROJ/src/b.c"
	sed -i 's/other(argc)/other(argc) + another(argc)/; s/^#include "a.h"/&\nint another(int x);/' \
		"$PROJ/src/main.c"
	cat >"$PROJ/Makefile" <<-'END'
	.RECIPEPREFIX = >
	CFLAGS = -O2 -fno-inline -Isrc
	prog:
	>$(CC) $(CFLAGS) -DNAME=other -DADD=1 -c -o src/b1.o src/b.c
	>$(CC) $(CFLAGS) -DNAME=another -DADD=2 -c -o src/b2.o src/b.c
	>$(CC) $(CFLAGS) -Wl,--build-id -o $@ src/a.c src/main.c src/b1.o src/b2.o
	clean:
	>rm -f prog src/*.o
	END
	ship
	fix fix.diff <<<"sed -i 's/x \* STEP/(x + 1) * STEP/' src/b.c"
	build 0 --diff fix.diff -o out.so -- make
	functions another other
	# what reaches one of them only
	fix fix.diff <<<"sed -i 's/^int NAME/#if ADD == 2\n#define MORE 77\n#else\n#define MORE 0\n#endif\n&/; s/ADD;/ADD + MORE;/' src/b.c"
	build 0 --diff fix.diff -o out.so -- make
	functions another
}

# What a compiler tells of place and time moves with the diff, or not; it is no change.
test_place_and_time() {
	project
	cat >>"$PROJ/src/b.c" <<-'END'
	const char *when(void);
	const char *when(void)
	{
		return __FILE__ " " __DATE__ " " __TIME__;
	}
	END
	ship
	# the second is one more than the first
	fix fix.diff <<<"sed -i 's/x \* STEP/(x + 1 + __COUNTER__ - __COUNTER__) * STEP/; s/^int other/\n\n&/' src/b.c"
	build 3 --diff fix.diff -o out.so -- make
	changed src/b.c
	fix fix.diff <<<"sed -i 's/x \* STEP/(x + __COUNTER__ + __COUNTER__) * STEP/; s/^int other/\n\n&/' src/b.c"
	build 0 --diff fix.diff -o out.so -- make
	changed src/b.c
	functions other
	# in a function that changes it has to be that of the target, and that is said
	fix fix.diff <<<"sed -i 's/return __FILE__/return \"at \" __FILE__/' src/b.c"
	build 1 --diff fix.diff -o out.so -- make
	says "'when' changed, but its original code is not in" "another content"
}

# C, C++ and assembly in one program, and a diff that changes all.
test_languages() {
	project
	cat >"$PROJ/src/c.cc" <<-'END'
	#include "b.h"
	template <typename T> static T times(T x) { return x * STEP; }
	extern "C" int in_cxx(int x);
	extern "C" int in_cxx(int x) { return times(x) + 1; }
	END
	cat >"$PROJ/src/d.S" <<-'END'
	#include "d.h"
		.section .text.in_asm, "ax"
		.globl in_asm
		.type in_asm, @function
	in_asm:	.cfi_startproc
		imul $VALUE, %edi, %eax
		add $1, %eax
		ret
		.cfi_endproc
		.size in_asm, . - in_asm
		.section .note.GNU-stack, ""
	END
	echo '#define VALUE 1000' >"$PROJ/src/d.h"
	sed -i 's/other(argc)/other(argc) + in_cxx(argc) + in_asm(argc)/; s/^#include "a.h"/&\nint in_cxx(int x);\nint in_asm(int x);/' \
		"$PROJ/src/main.c"
	cat >"$PROJ/Makefile" <<-'END'
	.RECIPEPREFIX = >
	CFLAGS = -O2 -fno-inline -Isrc
	prog:
	>cd src && $(CC) $(CFLAGS) -c a.c b.c main.c d.S && $(CXX) $(CFLAGS) -c c.cc
	>$(CXX) -Wl,--build-id -o $@ src/*.o
	clean:
	>rm -f prog src/*.o
	END
	ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h; sed -i 's/1000/1001/' src/d.h"
	build 0 --diff fix.diff -o out.so -- make
	changed src/b.c src/d.S src/c.cc
	functions _Z5timesIiET_S0_ in_asm other
}

run_tests test_unity test_two_definitions test_place_and_time test_languages
