#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 300
#
# ulp-packer build: which units a diff changes, and what of them is in the patch.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/build.lib"

test_source() {
	project
	ship
	fix fix.diff <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	build 0 --diff fix.diff -o out.so -- make
	changed src/a.c
	tells "reproduced"
	functions answer
}

# Each function that uses a changed header, and none that does not.
test_header() {
	project
	ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h; echo '#define NEVER 1' >>src/a.h"
	build 0 --diff fix.diff -o out.so -- make -j4
	changed src/b.c
	functions other
}

test_comment_changes_nothing() {
	project
	ship
	fix fix.diff <<<"sed -i '1i /* a comment */' src/a.c src/a.h; echo 'Read me.' >README"
	build 3 --diff fix.diff -o out.so -- make
	changed
	[ ! -e "$WORK/out.so" ] || fail "a container was made"
}

# Lines that move change what assert() says, and no code.
test_line_numbers() {
	project
	ship
	fix fix.diff <<-'END'
	sed -i 's/^static int calls;/&\n\n\n\n/; s/^int checked/\n&/' src/a.c
	sed -i 's/^#define FACTOR/\n\n&/' src/a.h
	END
	build 3 --diff fix.diff -o out.so -- make
	changed
	fix fix.diff <<<"sed -i 's/calls++;/calls += 2;\n\tcalls--;\n\tcalls++;/' src/a.c"
	build 0 --diff fix.diff -o out.so -- make
	functions answer
}

test_several_diffs() {
	project
	ship
	fix one.diff <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	# the second is made for what the first leaves, and its place has moved
	fix two.diff <<<"sed -i 's/return x + 1/return x + 2/' src/a.c"
	sed -i 's/^@@ -[0-9]*/@@ -1/' "$WORK/two.diff"
	build 0 --diff one.diff --diff two.diff -o out.so -- make
	changed src/a.c
	functions answer checked
}

test_new_file() {
	project
	ship
	fix fix.diff <<-'END'
	echo 'int helper(int x); int helper(int x) { return x + 7; }' >src/c.c
	sed -i 's/^OBJECTS = /&src\/c.o /' Makefile
	sed -i 's/return x . STEP/int helper(int); return helper(x) * STEP/' src/b.c
	END
	build 0 --diff fix.diff -o out.so -- make
	tells "building with it"
	changed src/b.c src/c.c
	functions other
}

# A header that is found before another one of that name.
test_new_header() {
	project
	mkdir "$PROJ/common"
	mv "$PROJ/src/b.h" "$PROJ/common"
	sed -i 's/^CFLAGS =/& -Isrc -Icommon/' "$PROJ/Makefile"
	ship
	fix fix.diff <<<"sed 's/STEP 5/STEP 6/' common/b.h >src/b.h"
	build 0 --diff fix.diff -o out.so -- make
	changed src/b.c
}

# Found under other names than its own, by links of all kinds.
test_linked_header() {
	project
	mkdir "$PROJ/include" "$PROJ/real" "$PROJ/real/deep"
	mv "$PROJ/src/b.h" "$PROJ/real/b-1.0.h"
	ln -s ../real/b-1.0.h "$PROJ/include/b.h"
	ln -s "$PROJ/real/deep" "$PROJ/include/deep"
	sed -i 's/^CFLAGS =/& -Iinclude/' "$PROJ/Makefile"
	sed -i 's/"a.h"/"deep\/..\/..\/src\/a.h"/' "$PROJ/src/a.c"
	sed -i 's/^clean:/&\n>true/' "$PROJ/Makefile"
	ship
	fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' real/b-1.0.h; sed -i 's/FACTOR 3/FACTOR 4/' src/a.h"
	build 0 --diff fix.diff -o out.so -- make
	changed src/a.c src/b.c
	functions answer other
}

test_makefile() {
	project
	ship
	fix fix.diff <<<"sed -i 's/^CFLAGS =/& -DFACTOR_=1/' Makefile; sed -i 's/^#define FACTOR 3/#ifdef FACTOR_\n#define FACTOR 4\n#else\n&\n#endif/' src/a.h"
	build 0 --diff fix.diff -o out.so -- make
	tells "building with it"
	functions answer
}

test_generated_source() {
	project
	cat >>"$PROJ/Makefile" <<-'END'
	src/table.h: src/table.in
	>awk '{ print "#define STEP", $$1 }' $< >$@
	src/b.o: src/table.h
	END
	echo 5 >"$PROJ/src/table.in"
	sed -i 's/^#define STEP.*/#include "table.h"/' "$PROJ/src/b.h"
	sed -i 's/rm -f/& src\/table.h/' "$PROJ/Makefile"
	ship
	fix fix.diff <<<"echo 6 >src/table.in"
	build 0 --diff fix.diff -o out.so -- make
	changed src/b.c
	functions other
}

# A probe as cmake makes it: of a source outside of the tree, in a directory that has
# another name each time and is gone again.
test_probe() {
	project
	ship
	echo 'int main(void) { return 0; }' >"$WORK/probe.c"
	fix fix.diff <<<"sed -i 's/^CFLAGS =/& -DUNUSED/' Makefile; sed -i 's/STEP 5/STEP 6/' src/b.h"
	build 0 --diff fix.diff -o out.so -- sh -c \
		"dir=\$(mktemp -d probe.XXXXXX) && (cd \$dir && cc -c -o probe.o '$WORK/probe.c') && rm -r \$dir && make"
	tells "building with it"
	functions other
}

test_removed_file() {
	project
	ship
	fix fix.diff <<-'END'
	rm src/b.c src/b.h
	sed -i 's/ src.b.o//' Makefile
	sed -i '/"b.h"/d; s/, other(argc)/, 3/' src/main.c
	END
	build 0 --diff fix.diff -o out.so -- make
	changed src/b.c src/main.c
	functions main
}

# What the build neither compiles nor reads.
test_unread_files() {
	project
	mkdir "$PROJ/tests" "$PROJ/doc"
	echo "a test" >"$PROJ/tests/a.tcl"
	echo "int unused;" >"$PROJ/tests/unused.c"
	ship
	fix fix.diff <<-'END'
	echo more >>tests/a.tcl
	echo 'int more;' >>tests/unused.c
	echo new >tests/b.tcl
	sed -i 's/calls++/calls += 2/' src/a.c
	END
	build 0 --diff fix.diff -o out.so -- make
	! grep -q "building with it" "$WORK/out" || fail "built again: $(cat "$WORK/out")"
	changed src/a.c
}

test_diff_does_not_apply() {
	project
	ship
	fix fix.diff <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	sed -i 's/calls++/calls--/' "$WORK/fix.diff"
	build 1 --diff fix.diff -o out.so -- make
	says "fix.diff: does not apply" "Hunk #1 FAILED" "calls += 2"
}

# Lines around the change that are others than the diff says, and at another place.
test_fuzz() {
	project
	ship
	fix fix.diff <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	sed -i 's/^@@ -4,/@@ -2,/; s/^ static int calls;/ static long calls;/' "$WORK/fix.diff"
	build 0 --diff fix.diff -o out.so -- make
	changed src/a.c
	functions answer
}

# A source that gets another name is another unit: its functions are the same.
test_renamed_file() {
	project
	ship
	fix fix.diff <<-'END'
	mv src/b.c src/bee.c
	sed -i 's/src.b.o/src\/bee.o/' Makefile
	sed -i 's/STEP 5/STEP 6/' src/b.h
	END
	build 0 --diff fix.diff -o out.so -- make
	functions other
}

# What the build's own flags make of debug information, and of libc's functions.
test_flags() {
	local flags
	project
	for flags in "-O2 -g3 -gdwarf-4 -fno-inline" "-O2 -gsplit-dwarf -fno-inline" \
		"-O2 -g0 -fno-inline -D_FORTIFY_SOURCE=2 -fstack-protector-strong" \
		"-O2 -gz -ggdb -fno-inline -fdebug-types-section -ffile-prefix-map=$PROJ=."; do
		ship make CFLAGS="$flags"
		fix fix.diff <<<"sed -i 's/STEP 5/STEP 6/' src/b.h"
		build 0 --diff fix.diff -o out.so -- make CFLAGS="$flags"
		tells "reproduced"
		functions other
	done
}

# A structure in a header gets one more member: in a program without debug information.
test_layout() {
	project
	sed -i 's/-g //' "$PROJ/Makefile"
	cat >>"$PROJ/src/b.h" <<-'END'
	struct step {
		int size;
		int count;
	};
	extern struct step last;
	END
	sed -i 's/^int other/struct step last;\n&/; s/return x/last.count++;\n\t&/' "$PROJ/src/b.c"
	ship
	fix fix.diff <<<"sed -i 's/int size;/&\n\tint more;/' src/b.h"
	build 1 --diff fix.diff -o out.so -- make
	says "'last' has 12 bytes instead of 8"
	fix fix.diff <<<"sed -i 's/int size;/short size;\n\tshort more;/; s/STEP 5/STEP 6/' src/b.h"
	build 1 --diff fix.diff -o out.so -- make
	says "layout of the type 'step' changed: its member 'size' is 'integer of 2 bytes' instead of 'integer of 4 bytes'" \
		"the variable 'last' has it"
	build 0 --diff fix.diff --new-layout step -o out.so -- make
	says "warning: the layout of the type 'step' changed"
	functions other
	# wherever the build has its types
	build 1 --diff fix.diff -o out.so -- make CFLAGS="-O2 -fno-inline -fdebug-types-section -gsplit-dwarf"
	says "layout of the type 'step' changed: its member 'size'"
}

# may_trace - processes that are no children of ours
may_trace() {
	[ "$(id -u)" = 0 ] || [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null)" = 0 ]
}

# library [FLAG...] - shipped with these flags: a library that keeps some of y.c to itself, and a program that uses it
library() {
	project library
	MADE=liblib.so
	cat >"$PROJ/src/x.c" <<-'END'
	int shared(int x);
	int ask(int x);
	int ask(int x)
	{
		return shared(x) + 1;
	}
	END
	cat >"$PROJ/src/y.c" <<-'END'
	int shared(int x);
	int kept_check(int x);
	extern int kept_limit;
	int kept_limit = 20;
	static int checks;
	int kept_check(int x)
	{
		checks++;
	#ifdef SHIPPED
		x ^= 77;
	#endif
		return x > kept_limit ? kept_limit * 3 + checks : x * 5 - checks;
	}
	int shared(int x)
	{
	#ifdef SHIPPED
		x ^= 55;
	#endif
		return kept_check(x) * 2 + (x ^ 0x1234567);
	}
	END
	# as another compiler would have it: nothing at the same place
	echo 'int first(int x); int first(int x) { return x * 99; }' >"$PROJ/src/first.c"
	echo '{ global: ask; shared; first; local: *; };' >"$PROJ/src/x.map"
	sed -i 's/#include "[ab].h"//; s/printf(.*/printf("%d\\n", ask(atoi(line)));/
		s/^int main/int ask(int x);\n&/' "$PROJ/src/main.c"
	cat >>"$PROJ/Makefile" <<-'END'
	SHAPE = src/x.o src/y.o src/first.o
	liblib.so: src/x.o src/y.o src/first.o src/x.map
	>$(CC) -shared -Wl,--build-id -Wl,--version-script=src/x.map -o $@ $(SHAPE)
	user: src/main.o liblib.so
	>$(CC) -o $@ $^ -Wl,-rpath,'$$ORIGIN'
	clean: clean-library
	clean-library:
	>rm -f liblib.so
	END
	sed -i 's/^CFLAGS = /&-fPIC /' "$PROJ/Makefile"
	ship make SHAPE="src/first.o src/y.o src/x.o" CFLAGS="-O2 -fPIC -fno-inline $*" user
	mv "$PROJ/user" "$WORK/bin"
}

# Functions and variables of a source that does not change, which what changes did not
# use before, in a stripped library that is not reproduced.
test_kept_by_another_unit() {
	library
	fix fix.diff <<-'END'
	cat >src/x.c <<-'EOF'
	int kept_check(int x);
	extern int kept_limit;
	int ask(int x);
	int ask(int x)
	{
		int (*volatile by)(int x) = kept_check;
		return by(x) + kept_check(x) + kept_limit;
	}
	EOF
	END
	build 0 --diff fix.diff -o out.so -- make liblib.so
	says "not reproduced"
	changed src/x.c
	functions ask
	may_trace || return 0
	ULP_TOOL=$O/selftests/bench/ulp-tool-ptrace
	start_victim user "$WORK/bin/user"
	expect 19088769 3
	apply "$WORK/out.so"
	expect 45 3
	revert "$WORK/out.so"
	expect 19088763 3
	end_victim
}

# It is not as the target has it: refused, and not taken for another library's.
test_kept_and_not_found() {
	library -DSHIPPED
	fix fix.diff <<<"sed -i 's/return shared/int kept_check(int x);\n\treturn kept_check(x) + shared/' src/x.c"
	build 1 --diff fix.diff -o out.so -- make liblib.so
	says "'ask' uses 'kept_check', and where that is in" "use --debug FILE"
	[ ! -e "$WORK/out.so" ] || fail "a patch"
}

test_empty_diff() {
	project
	ship
	: >"$WORK/fix.diff"
	build 3 --diff fix.diff -o out.so -- false
	says "changes no file"
	echo "no diff at all" >"$WORK/fix.diff"
	build 1 --diff fix.diff -o out.so -- make
	says "Only garbage"
	build 1 --diff missing.diff -o out.so -- make
	says "missing.diff: No such file"
}

test_labels() {
	project
	ship
	fix CVE-2026-12345.patch <<<"sed -i 's/calls++/calls += 2/' src/a.c"
	sed -i '1i Subject: [PATCH] fix bsc#123\n---\n src/a.c | 1 +' "$WORK/CVE-2026-12345.patch"
	sed -i 's/^+.*calls += 2.*/& \/* CVE-1999-0001 *\//' "$WORK/CVE-2026-12345.patch"
	build 0 --diff CVE-2026-12345.patch -o out.so -- make
	functions answer
	grep -qx "label CVE-2026-12345" "$WORK/shown" || fail "labels: $(cat "$WORK/shown")"
	grep -qx "label bsc#123" "$WORK/shown" || fail "labels: $(cat "$WORK/shown")"
	[ "$(grep -c ^label "$WORK/shown")" = 2 ] || fail "labels: $(cat "$WORK/shown")"
	grep -qx "name CVE-2026-12345" "$WORK/shown" || fail "name: $(cat "$WORK/shown")"
	build 0 --diff CVE-2026-12345.patch -i my-id -o out.so -- make
	functions answer
	grep -qx "name my-id" "$WORK/shown" || fail "name: $(cat "$WORK/shown")"
}

run_tests test_source test_header test_comment_changes_nothing test_line_numbers \
	test_several_diffs test_new_file test_new_header test_linked_header test_makefile \
	test_generated_source test_probe test_removed_file test_unread_files \
	test_diff_does_not_apply test_fuzz test_renamed_file test_flags test_layout \
	test_kept_by_another_unit test_kept_and_not_found test_empty_diff test_labels
