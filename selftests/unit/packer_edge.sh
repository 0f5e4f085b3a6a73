#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 240
#
# ulp-packer diff: what linkers, compilers and other tools do to targets; several
# targets of one patch.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
. "$(dirname "$0")/diff.lib"

# Functions of the same code at one place, of which one changes.
test_folded() {
	local linker
	objects x <<-END
	#ifdef FIXED
	int f(int x) { return x * 77 + 2; }
	#else
	int f(int x) { return x * 77 + 1; }
	#endif
	int g(int x) { return x * 77 + 1; }
	int h(int x) { return x * 78; }
	END
	for linker in gold lld; do
		$CC -shared -O2 -fPIC -ffunction-sections -fuse-ld=$linker -Wl,--icf=all \
			-Wl,--build-id=sha1 -x c -o "$WORK/target.so" "$WORK/x.src" || fail "cannot link"
		[ "$(value "$WORK/target.so" f)" = "$(value "$WORK/target.so" g)" ] || fail "not folded"
		refused_diff "'f' changed, but in" "'g' is the same code at" "--icf"
		strip "$WORK/target.so"
		refused_diff "'f' changed, but in" "'g' is the same code at"
	done
}

# Static functions of two sources at one place, of which gold names one, or a stripped
# target none: the other source's calls tell.
test_folded_static() {
	local linker
	objects x <<-END
	#ifdef FIXED
	static __attribute__((noipa)) int f(int x) { return x * 1234567 + (x >> 3) + 2; }
	#else
	static __attribute__((noipa)) int f(int x) { return x * 1234567 + (x >> 3) + 1; }
	#endif
	int fx(int x) { return f(x) * 3; }
	END
	cat >"$WORK/y.src" <<-END
	static __attribute__((noipa)) int g(int x) { return x * 1234567 + (x >> 3) + 1; }
	int gy(int x) { return g(x) * 5; }
	END
	FLAGS=-ffunction-sections target x y
	pair x
	differ 0 "${PAIRS[@]}"
	# a static function that others use by another name
	(
		WORK=$WORK/alias
		mkdir "$WORK"
		objects x <<-END
		#ifdef FIXED
		static __attribute__((noipa)) int f(int x) { return x * 1234567 + 2; }
		#else
		static __attribute__((noipa)) int f(int x) { return x * 1234567 + 1; }
		#endif
		extern int other(int x) __attribute__((alias("f"), visibility("hidden")));
		int fx(int x) { return f(x) * 3; }
		END
		echo 'int other(int x); int gy(int x) { return other(x) * 5; }' >"$WORK/y.src"
		target x y
		pair x
		differ 0 "${PAIRS[@]}"
	) || exit
	FLAGS=-ffunction-sections target x y -fuse-ld=gold -Wl,--icf=all
	refused_diff "'f' changed" "of $WORK/target.so uses it, though it is static" "--icf"
	for linker in gold lld; do
		FLAGS=-ffunction-sections target x y -fuse-ld=$linker -Wl,--icf=all
		strip "$WORK/target.so"
		refused_diff "'f' changed" "of $WORK/target.so uses it, though it is static" "--icf"
	done
}

# Other names of one function are no other functions.
test_aliases_are_one() {
	objects x <<-END
	#ifdef FIXED
	int f(int x) { return x * 77 + 2; }
	#else
	int f(int x) { return x * 77 + 1; }
	#endif
	int g(int x) __attribute__((alias("f")));
	int h(int x) __attribute__((alias("f"), weak));
	END
	target x
	made
	replaces f
}

test_instrumented() {
	local flag
	for flag in -fsanitize=address -fsanitize=thread --coverage; do
		objects x $flag <<-END
		#ifdef FIXED
		int f(int *x) { return *x * 77 + 2; }
		#else
		int f(int *x) { return *x * 77 + 1; }
		#endif
		END
		FLAGS=$flag target x $flag
		refused_diff "it is compiled with" "is set up when a program starts"
	done
	# what only calls functions when something is wrong is ordinary code
	objects x -fsanitize=undefined <<-END
	#ifdef FIXED
	int f(int *x) { return *x * 77 + 2; }
	#else
	int f(int *x) { return *x * 77 + 1; }
	#endif
	END
	FLAGS=-fsanitize=undefined target x -fsanitize=undefined
	made
	replaces f
}

# A debug file that dwz has compressed; the parts that several share are not needed.
test_dwz() {
	changed_static
	objcopy --only-keep-debug "$WORK/target.so" "$WORK/x.debug"
	cp "$WORK/x.debug" "$WORK/y.debug"
	strip "$WORK/target.so"
	dwz -m "$WORK/common.debug" "$WORK/x.debug" "$WORK/y.debug" 2>"$WORK/dwz" ||
		dwz "$WORK/x.debug" || fail "dwz: $(cat "$WORK/dwz")"
	made --debug "$WORK/x.debug"
	grep -q 'debug file' "$WORK/out" || fail "$(cat "$WORK/out")"
}

# Debug information changes no code: in all that the cases are made of.
test_debug_changes_no_code() {
	local file compile flags level
	for file in "$SELFTESTS"/flow/diff/cases/*.c "$SELFTESTS"/flow/diff/cases/*.cc; do
		compile=$CC
		[ "${file%.cc}" = "$file" ] || compile=g++
		flags=$(sed -n 's/^ \* FLAGS //p' "$file")
		for level in -O2 "-Os -fPIC"; do
			# shellcheck disable=SC2086
			$compile $flags $level -ffunction-sections -fdata-sections -c -o "$WORK/a.o" "$file" &&
				$compile $flags $level -ffunction-sections -fdata-sections -g -c \
					-o "$WORK/b.o" "$file" || fail "cannot compile $file"
			objcopy -g "$WORK/b.o" "$WORK/b.o"
			objcopy -g "$WORK/a.o" "$WORK/a.o"
			cmp <(objdump -sr "$WORK/a.o" | tail -n +3) <(objdump -sr "$WORK/b.o" | tail -n +3) ||
				fail "$file, $level: another object with -g"
		done
	done
}

# A new object with a destructor is registered with a name that only the linker knows.
test_new_destructor() {
	LANGUAGE=c++ CC=g++ objects x <<-END
	struct counter { int n = 0; ~counter() { n = -1; } };
	int f(int x)
	{
	#ifdef FIXED
		static counter all;
		return all.n += x;
	#else
		return x;
	#endif
	}
	END
	LANGUAGE=c++ CC=g++ target x
	made
	strip "$WORK/target.so"
	refused_diff "'_Z1fi' uses '__dso_handle', which is not found in" "--debug"
}

# A label whose address a variable has, and that a changed function moved.
test_label_in_variable() {
	objects x <<-END
	#ifdef FIXED
	#define MORE x += 7
	#else
	#define MORE
	#endif
	int f(int x)
	{
		static void *next = &&first;
		goto *next;
	first:
		next = &&second;
		MORE;
		return x;
	second:
		next = &&first;
		return -x;
	}
	END
	target x
	refused_diff "the variable 'next" "points into 'f', which changed"
}

test_code_models() {
	objects x -mcmodel=medium -mlarge-data-threshold=16 <<-END
	static int table[100];
	#ifdef FIXED
	int f(int x) { return table[x & 63]++ + 1; }
	#else
	int f(int x) { return table[x & 63]++; }
	#endif
	END
	FLAGS="-mcmodel=medium -mlarge-data-threshold=16" target x
	pair x
	differ 1 "${PAIRS[@]}"
}

# Descriptors of thread-local variables, which the linker took away in a program.
test_relaxed_descriptors() {
	objects x -mtls-dialect=gnu2 <<-END
	static __thread int mine = 5;
	__thread int ours = 7;
	#ifdef FIXED
	int f(int x) { mine += x; return mine + ours + 1; }
	#else
	int f(int x) { mine += x; return mine + ours; }
	#endif
	int main(int argc, char **argv) { (void)argv; return f(argc); }
	END
	$CC -pie -Wl,--build-id=sha1 -O2 -fPIC -mtls-dialect=gnu2 -x c -o "$WORK/target.so" \
		"$WORK/x.src" || fail "cannot link"
	strip "$WORK/target.so"
	made
	replaces f
}

# two_libraries - a.so and b.so, which uses it; objects a and b
two_libraries() {
	objects a <<-END
	int count;
	int a(int x)
	{
		count += x;
	#ifdef FIXED
		return count + 100;
	#else
		return count;
	#endif
	}
	#ifdef FIXED
	int fresh(int x) { return x * 1000; }
	#endif
	END
	objects b <<-END
	int a(int x);
	#ifdef FIXED
	int fresh(int x);
	int b(int x) { return a(x) + fresh(x); }
	#else
	int b(int x) { return a(x); }
	#endif
	END
	target a
	mv "$WORK/target.so" "$WORK/liba.so"
	target b "$WORK/liba.so"
	mv "$WORK/target.so" "$WORK/libb.so"
}

# differ_two STATUS ARG... - both libraries
differ_two() {
	local want=$1
	shift
	"$ULP_PACKER" diff -o "$WORK/patch.so" "$@" >"$WORK/out" 2>"$WORK/err"
	[ $? -eq "$want" ] || fail "not $want: $(cat "$WORK/out" "$WORK/err")"
}

test_two_targets() {
	local preload
	two_libraries
	differ_two 0 --target "$WORK/liba.so" --orig "$WORK/a.o" --patched "$WORK/a.fixed.o" \
		--target "$WORK/libb.so" --orig "$WORK/b.o" --patched "$WORK/b.fixed.o"
	show "$WORK/patch.so"
	functions
	replaces a b
	grep -q "for liba.so, libb.so: 2 functions\|for target.so" "$WORK/out" || fail "$(cat "$WORK/out")"
	# it goes to both or to none, and is missing only where both are
	for preload in liba.so "liba.so $WORK/libb.so"; do
		LD_PRELOAD="$WORK/$preload" sleep 1000 &
		STARTED+=($!)
		loop_until grep -q "${preload##*/}" "/proc/$!/maps"
		tool 1 check --json -p $! "$WORK/patch.so"
		json results.0.reason="$([ "$preload" = liba.so ] && echo not-target || echo not-applied)"
	done
	# one of them has nothing of it
	differ_two 0 --target "$WORK/liba.so" --orig "$WORK/a.o" --patched "$WORK/a.fixed.o" \
		--target "$WORK/libb.so" --orig "$WORK/b.o" --patched "$WORK/b.o"
	says "libb.so: no code that a patch could replace differs"
	show "$WORK/patch.so"
	functions
	replaces a
	differ_two 2 --target "$WORK/liba.so" --target "$WORK/libb.so" --orig "$WORK/b.o" \
		--patched "$WORK/b.fixed.o"
}

test_directory() {
	two_libraries
	mkdir "$WORK/two"
	"$ULP_PACKER" diff -o "$WORK/two/" --target "$WORK/liba.so" --orig "$WORK/a.o" \
		--patched "$WORK/a.fixed.o" --target "$WORK/libb.so" --orig "$WORK/b.o" \
		--patched "$WORK/b.fixed.o" >"$WORK/out" 2>"$WORK/err" || fail "$(cat "$WORK/err")"
	[ "$(find "$WORK/two" -name '*.so' | wc -l)" = 2 ] || fail "$(ls "$WORK/two")"
	! grep -q // "$WORK/out" || fail "$(cat "$WORK/out")"
	# the same file by another name
	rm "$WORK/two"/*.so
	cp "$WORK/liba.so" "$WORK/other.so"
	"$ULP_PACKER" diff -o "$WORK/two" --target "$WORK/liba.so" --orig "$WORK/a.o" \
		--patched "$WORK/a.fixed.o" --target "$WORK/other.so" --orig "$WORK/a.o" \
		--patched "$WORK/a.fixed.o" >"$WORK/out" 2>"$WORK/err" || fail "$(cat "$WORK/err")"
	says "other.so: has the build-id of $WORK/liba.so, and the same patch"
	[ "$(wc -l <"$WORK/out")" = 1 ] || fail "made again: $(cat "$WORK/out")"
	differ_two 1 --target "$WORK/liba.so" --orig "$WORK/a.o" --patched "$WORK/a.fixed.o" \
		--target "$WORK/other.so" --orig "$WORK/a.o" --patched "$WORK/a.fixed.o"
	says "other.so: it has the build-id of $WORK/liba.so: name one of them only"
}

# One patch for each, of which one is refused: there is none, and what was there stays.
test_all_or_none() {
	local -a both
	two_libraries
	objects b <<-END
	int a(int x);
	#ifdef FIXED
	__thread int mine;
	int b(int x) { return a(x) + mine++; }
	#else
	int b(int x) { return a(x); }
	#endif
	END
	both=(--target "$WORK/liba.so" --orig "$WORK/a.o" --patched "$WORK/a.fixed.o"
		--target "$WORK/libb.so" --orig "$WORK/b.o" --patched "$WORK/b.fixed.o")
	differ_two 1 -o "$WORK/new/" "${both[@]}"
	says "new thread-local variable 'mine'" \
		"no patch is written to $WORK/new/: refused for $WORK/libb.so" \
		"to have their patches: $WORK/liba.so"
	[ ! -e "$WORK/new" ] || fail "made: $(ls "$WORK/new")"
	! grep -q "patch" "$WORK/out" || fail "told to be made: $(cat "$WORK/out")"
	# the others are looked at whichever comes first
	differ_two 1 -o "$WORK/new/" "${both[@]:6}" "${both[@]:0:6}"
	says "refused for $WORK/libb.so" "to have their patches: $WORK/liba.so"
	differ_two 0 -o "$WORK/old/" "${both[@]:0:6}"
	stat -c '%n %i %z' "$WORK"/old/* >"$WORK/before"
	differ_two 1 -o "$WORK/old/" "${both[@]}" --explain
	stat -c '%n %i %z' "$WORK"/old/* | cmp - "$WORK/before" || fail "touched: $(ls "$WORK/old")"
	# nor if a file cannot be written
	two_libraries
	mkdir -p "$WORK/full/$(readelf -n "$WORK/libb.so" | awk '/Build ID/ { print $3 }').so"
	differ_two 1 -o "$WORK/full/" "${both[@]}"
	says "Is a directory"
	[ "$(find "$WORK/full" | wc -l)" = 2 ] || fail "made: $(ls "$WORK/full")"
}

# imports NAME... - the patch has these bound by the dynamic linker, and no others
imports() {
	local got
	got=$(nm -D "$WORK/patch.so" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort | xargs)
	[ "$got" = "$*" ] || fail "it imports '$got', not '$*'"
}

# A library that its linker bound to itself goes on to use its own functions; variables of
# it may be a program's copies all the same, and what no option is about goes by its name.
test_symbolic() {
	local option
	objects y <<-END
	int used(int x) { return x * 1234567 + 1; }
	int fresh(int x) { return x * 1234567 + 2; }
	int variable = 3;
	__attribute__((weak)) int weak_one(int x) { return x * 1234567 + 4; }
	END
	objects x <<-END
	int used(int x), fresh(int x), weak_one(int x);
	extern int variable;
	#ifdef FIXED
	int own(int x) { return x * 1234567 + 6; }
	int f(int x) { return used(x) * 7 + fresh(x) + own(x) + variable; }
	int g(int x) { return weak_one(x) * 7 + 1; }
	#else
	int own(int x) { return x * 1234567 + 5; }
	int f(int x) { return used(x) * 7; }
	int g(int x) { return x * 7; }
	#endif
	END
	for option in '' -Wl,-Bsymbolic-functions -Wl,-Bsymbolic \
		"-fuse-ld=gold -Wl,-Bsymbolic-functions" \
		"-fuse-ld=lld -Wl,-Bsymbolic-non-weak-functions"; do
		# shellcheck disable=SC2086
		target x y $option
		strip "$WORK/target.so"
		made
		replaces f g own
		case $option in
		'') imports fresh own used variable weak_one ;;
		*symbolic) imports ;;
		*weak-functions) imports variable weak_one ;;
		*) imports variable ;;
		esac
	done
}

# Variables of headers, which a program and its libraries have one of: the patch of a
# library means the one that its code uses, whichever that is in a process.
test_inline_variables() {
	local option new=_ZZ5countvE3all
	LANGUAGE=c++ CC=g++ objects y <<-END
	inline int second = 4;
	inline int &count() { static int all = 6; return all; }
	int y(int x) { return second++ * x + count()++; }
	END
	LANGUAGE=c++ CC=g++ objects x <<-END
	inline int first = 3;
	inline int second = 4;
	template <typename T> struct table { static T last; };
	template <typename T> T table<T>::last = 5;
	inline int &count() { static int all = 6; return all; }
	#ifdef FIXED
	int f(int x) { return x * first++ + table<int>::last++ + second++ + count()++; }
	#else
	int f(int x) { return x * 1234567 + first++ + table<int>::last++; }
	#endif
	END
	for option in '' -Wl,-Bsymbolic-functions; do
		LANGUAGE=c++ CC=g++ target x y $option
		strip "$WORK/target.so"
		made
		replaces _Z1fi
		imports _ZN5tableIiE4lastE $new first second
	done
	# of -Bsymbolic those that a process has one of are not bound to the library
	LANGUAGE=c++ CC=g++ target x y -Wl,-Bsymbolic
	strip "$WORK/target.so"
	made
	imports _ZN5tableIiE4lastE $new first second
	# hidden ones are the library's
	cp "$WORK/x.src" "$WORK/x.cc"
	LANGUAGE=c++ CC=g++ objects x -fvisibility=hidden <"$WORK/x.cc"
	LANGUAGE=c++ CC=g++ FLAGS=-fvisibility=hidden target x y
	made
	imports
}

# A program is far away from its libraries.
test_program_and_library() {
	two_libraries
	objects main <<-END
	int a(int x);
	#ifdef FIXED
	int main(int argc, char **argv) { (void)argv; return a(argc) + 1; }
	#else
	int main(int argc, char **argv) { (void)argv; return a(argc); }
	#endif
	END
	$CC -pie -Wl,--build-id=sha1 -o "$WORK/main" "$WORK/main.o" "$WORK/liba.so"
	differ_two 1 --target "$WORK/main" --orig "$WORK/main.o" --patched "$WORK/main.fixed.o" \
		--target "$WORK/liba.so" --orig "$WORK/a.o" --patched "$WORK/a.fixed.o"
	says "is a program, and more than 2 GiB from any library" "-o DIR/"
	[ ! -e "$WORK/patch.so" ] || fail "a patch"
}

# What another unit has for the library only, in a target that tells of nothing: found
# with its object, and refused by name without, if the build's output is there to tell.
test_kept_by_another_unit() {
	objects y <<-END
	__attribute__((visibility("hidden"))) int kept_limit = 20;
	__attribute__((visibility("hidden"), noipa)) int kept(int x) { return x * 1234567 + kept_limit; }
	int g(int x) { return kept(x) + 1; }
	END
	objects x <<-END
	int kept(int x);
	int getpid(void);
	#ifdef FIXED
	int f(int x) { return kept(x) + getpid() + 2; }
	#else
	int f(int x) { return x * 1234567 + 3; }
	#endif
	END
	target x y
	mv "$WORK/target.so" "$WORK/built.so"
	target y x
	strip "$WORK/target.so"
	pair x
	differ 1 "${PAIRS[@]}" --reproduced "$WORK/built.so"
	says "'f' uses 'kept', which $WORK/target.so does not export" \
		"use --debug FILE; or the object that defines it"
	differ 0 "${PAIRS[@]}" --reproduced "$WORK/built.so" --orig "$WORK/y.o" --patched "$WORK/y.o"
	show "$WORK/patch.so"
	functions
	replaces f
	[ "$(nm -D "$WORK/patch.so" | awk '$1 == "U" { print $2 }' | xargs)" = getpid ] ||
		fail "it imports $(nm -D "$WORK/patch.so")"
}

run_tests test_folded test_folded_static test_aliases_are_one test_instrumented test_dwz \
	test_debug_changes_no_code test_new_destructor test_label_in_variable test_code_models test_relaxed_descriptors \
	test_kept_by_another_unit test_two_targets test_directory test_all_or_none \
	test_symbolic test_inline_variables test_program_and_library
