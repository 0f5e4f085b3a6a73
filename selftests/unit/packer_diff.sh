#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 300
#
# ulp-packer diff: what it finds to have changed, where it finds the original in
# a target, and what it refuses, by which words.  flow/diff applies its patches.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
. "$(dirname "$0")/diff.lib"

# ---- what changed ----

test_nothing() {
	objects x <<-END
	int used = 5;
	int f(void) { return __LINE__ + used; }
	END
	target x
	pair x
	differ 3 "${PAIRS[@]}"
	says "no code"
	# other comments and names of arguments are no code
	objects x <<-END
	#ifdef FIXED
	int f(int argument) { /* fixed */ return argument; }
	#else
	int f(int a) { return a; }
	#endif
	END
	target x
	pair x
	differ 3 "${PAIRS[@]}"
}

test_inlined_everywhere() {
	objects x <<-END
	static inline int limit(void)
	{
	#ifdef FIXED
		return 11;
	#else
		return 10;
	#endif
	}
	int f(int x) { return x > limit(); }
	int g(int x) { return x * 2; }
	int h(int x) { return x - limit(); }
	END
	target x
	made
	replaces f h
}

# A table with new content takes all who use it along; others stay.
test_constants() {
	objects x <<-END
	#ifdef FIXED
	static const int table[] = { 1, 2, 4, 9 };
	#else
	static const int table[] = { 1, 2, 4, 8 };
	#endif
	static const char *const names[] = { "a", "b", "c", "d" };
	int f(int x) { return table[x & 3]; }
	const char *g(int x) { return names[x & 3]; }
	int h(int x) { return f(x) + table[x & 1]; }
	END
	target x
	made
	replaces f h
	grep -q "uses 'table', whose content changed" "$WORK/out" || fail "$(cat "$WORK/out")"
}

# What a function copies into an array on the stack has no name, and is writable.
test_nameless() {
	objects x <<-END
	#define SOME "one", "two", "three", "four", "five", "six", "seven", "eight"
	void out(const char **names);
	int f(int x)
	{
	#ifdef FIXED
		return x * 1234567 + (x >> 3) + 1;
	#else
		return x * 1234567 + (x >> 3);
	#endif
	}
	void g(void)
	{
		const char *names[] = { SOME, SOME, SOME, SOME, SOME, SOME, SOME, SOME, 0 };

		out(names);
	}
	END
	readelf -rW "$WORK/x.o" | grep -q "R_X86_64_PC32 .* \.data" ||
		fail "the compiler does not copy it from memory without a name"
	target x -Wl,-z,undefs
	made
	replaces f
}

# In assembly it is a variable, with a value that must not be lost.
test_nameless_variable() {
	LANGUAGE=assembler-with-cpp
	local asm='
	.section .note.GNU-stack,"",@progbits
	.data
	.Lcount: .long 5
	#ifdef MORE
	.long MORE
	#endif
	.section .text.f,"ax",@progbits
	.globl f
	.type f, @function
	f:
	#ifdef FIXED
	addl $2, .Lcount(%rip)
	#else
	addl $1, .Lcount(%rip)
	#endif
	movl .Lcount(%rip), %eax
	ret
	.size f, .-f'
	objects x <<<"$asm"
	target x
	made
	replaces f
	readelf -SW "$WORK/patch.so" | grep -qE ' \.data +PROGBITS +[0-9a-f]+ [0-9a-f]+ 000000 ' ||
		fail "the patch has the variable itself"
	$CC -x assembler-with-cpp -DFIXED -DMORE=1 -c -o "$WORK/x.fixed.o" "$WORK/x.src"
	pair x
	differ 1 "${PAIRS[@]}"
	says "cannot tell whether '.data' is the original's '.data'"
	LANGUAGE=
}

test_two_units() {
	objects x -DUNIT=1 <<-END
	static int count = UNIT;
	static __attribute__((noinline)) int step(int x) { count += x; return count; }
	#if UNIT == 1
	int f1(int x) { return step(x) + 1; }
	#else
	#ifdef FIXED
	int f2(int x) { return step(x) + 20; }
	#else
	int f2(int x) { return step(x) + 2; }
	#endif
	#endif
	END
	objects y -DUNIT=2 <"$WORK/x.src"
	$CC -x c -O2 -fPIC -DUNIT=1 -c -o "$WORK/1.o" "$WORK/x.src"
	$CC -x c -O2 -fPIC -DUNIT=2 -c -o "$WORK/2.o" "$WORK/x.src"
	$CC -shared -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/1.o" "$WORK/2.o"
	for strip in no yes; do
		[ "$strip" = no ] || strip "$WORK/target.so"
		pair x y
		differ 0 "${PAIRS[@]}" --explain
		show "$WORK/patch.so"
		functions
		replaces f2
		# its own unit's step, not the other one's
		grep -q 'new, ' "$WORK/out" && fail "$(cat "$WORK/out")"
	done
	return 0
}

# A file that the change adds, and a function that moves to it.
test_new_unit() {
	objects x <<-END
	int helper(int x);
	int moved(int x);
	#ifdef FIXED
	int f(int x) { return helper(x) + moved(x); }
	#else
	int moved(int x) { return 3 * x + 1; }
	int f(int x) { return x; }
	#endif
	END
	target x
	objects new <<-END
	static int calls;
	int helper(int x) { return x + ++calls; }
	int moved(int x) { return 3 * x + 1; }
	END
	pair x
	differ 0 "${PAIRS[@]}" --orig= --patched "$WORK/new.o" --explain
	show "$WORK/patch.so"
	functions
	replaces f
	grep -q "function helper: new, 'f' uses it" "$WORK/out" || fail "$(cat "$WORK/out")"
	grep -q "function moved" "$WORK/out" && fail "moved is in the target: $(cat "$WORK/out")"
	return 0
}

# ---- where it is ----

# All functions of a unit are found, however the target was built.
test_found() {
	local flags total='[1-9][0-9]*'
	for flags in "-fPIC" "-fPIC -fcf-protection=full" "-fPIC -fpatchable-function-entry=16,14" \
		"-fPIC -O3" "-fPIC -Os" "-fPIC -fno-plt" "-fPIC -D_FORTIFY_SOURCE=2 -fstack-protector-strong"; do
		cp "$SELFTESTS/unit/peer.c" "$WORK/x.c"
		# shellcheck disable=SC2086
		{
			$CC -I"$SELFTESTS/unit" -I"$SELFTESTS/../uapi" -I"$SELFTESTS/../libulp" \
				-D_GNU_SOURCE -O2 -g $flags -c -o "$WORK/s.o" \
				"$SELFTESTS/flow/diff/cases/tables.c" &&
				$CC -O2 -g $flags $SECTIONS -c -o "$WORK/x.o" \
					"$SELFTESTS/flow/diff/cases/tables.c" &&
				$CC -O2 -g $flags $SECTIONS -DFIXED -c -o "$WORK/x.fixed.o" \
					"$SELFTESTS/flow/diff/cases/tables.c"
		} || fail "cannot compile"
		$CC -shared -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/s.o"
		strip "$WORK/target.so"
		made -v
		grep -qE "($total) of \1 functions" <(sed -E 's/([0-9]+) of/\1 of/' "$WORK/out") ||
			fail "$flags: $(grep functions "$WORK/out")"
	done
}

# Which proof there is, and that a wrong one is no proof.
test_proofs() {
	changed_static
	made
	grep -q 'named by its own' "$WORK/out" || fail "$(cat "$WORK/out")"
	cp "$WORK/target.so" "$WORK/full.so"
	objcopy --only-keep-debug "$WORK/full.so" "$WORK/x.debug"
	strip "$WORK/target.so"
	made --debug "$WORK/x.debug"
	grep -q 'debug file' "$WORK/out" || fail "$(cat "$WORK/out")"
	made --reproduced "$WORK/full.so"
	grep -q 'reproduced' "$WORK/out" || fail "$(cat "$WORK/out")"
	made
	grep -q 'matched' "$WORK/out" || fail "$(cat "$WORK/out")"
	# another build's symbols
	$CC -shared -Wl,--build-id=sha1 -o "$WORK/other.so" "$WORK/x.shipped.o" -x c - \
		<<<"int more(void) { return 1; }"
	made --reproduced "$WORK/other.so"
	says "not what"
	grep -q 'matched' "$WORK/out" || fail "$(cat "$WORK/out")"
	differ 1 "${PAIRS[@]}" --debug "$WORK/other.so"
	says "build-id"
}

# Several of the same looks: who calls them tells, or nobody does.
test_same_looks() {
	objects x <<-END
	static int a = 1, b = 2;
	static __attribute__((noinline)) int one(int x) { a += x; return a * 77 + x; }
	static __attribute__((noinline)) int two(int x) { b += x; return b * 77 + x; }
	#ifdef FIXED
	int f(int x) { return one(x + 1) - 7; }
	#else
	int f(int x) { return one(x) - 7; }
	#endif
	int g(int x) { return two(x) - 8; }
	END
	target x
	strip "$WORK/target.so"
	made
	replaces f
}

test_not_the_same_source() {
	objects x <<-END
	#ifdef FIXED
	int f(int x) { return x * 3 + 7; }
	#else
	int f(int x) { return x * 3 + 6; }
	#endif
	END
	FLAGS=-DFIXED target x
	refused_diff "'f' changed, but its original code is not in" "at +0x" "same compiler and flags"
	FLAGS=-O0 target x
	refused_diff "'f' changed, but its original code is not in"
}

# ---- what is refused ----

test_variables() {
	objects x <<-END
	#ifdef FIXED
	static int value = 6;
	#else
	static int value = 5;
	#endif
	int f(int x) { value += x; return value; }
	END
	target x
	refused_diff "initial value of the variable 'value' changed"
	objects x <<-END
	#ifdef FIXED
	static char text[20];
	#else
	static char text[10];
	#endif
	char *f(int x) { text[x & 7]++; return text; }
	END
	target x
	refused_diff "'text' has 20 bytes instead of 10"
	objects x <<-END
	#ifdef FIXED
	static int counter;
	int f(int x) { counter += x; return counter + 1; }
	#else
	static int count;
	int f(int x) { count += x; return count; }
	#endif
	END
	target x
	refused_diff "'counter' is new and 'count' is gone" "--new-data=counter"
	made --new-data counter
	replaces f
}

# Two static variables of one name and one function, and a third.
test_ambiguous() {
	objects x <<-END
	int f(int x)
	{
		int sum = 0;
		#ifdef FIXED
		{ static int n; n += 3 * x; sum += n; }
		#endif
		{ static int n; n += x; sum += n; }
		{ static int n; n -= x; sum ^= n; }
		return sum;
	}
	END
	target x
	refused_diff "cannot tell whether"
}

test_pointed_to() {
	objects x <<-END
	struct s { int a; const char *name; };
	#ifdef FIXED
	static const struct s table = { 2, "two" };
	#else
	static const struct s table = { 1, "one" };
	#endif
	const struct s *current = &table;
	int f(void) { return current->a + table.a; }
	END
	target x
	refused_diff "content of 'table' changed" "'current'"
}

# A constant that code of another unit uses: its old content would live on there.
test_used_elsewhere() {
	cat >"$WORK/y.c" <<-END
	extern const int table[4];
	int other(int x) { return table[x & 3] + 2; }
	END
	objects x -fvisibility=hidden <<-END
	extern const int table[4];
	int g(int);
	__attribute__((visibility("default"))) int f(int x) { return table[x & 3] + g(x); }
	int g(int x) { return x; }
	#ifdef FIXED
	const int table[4] = { 1, 2, 3, 5 };
	#else
	const int table[4] = { 1, 2, 3, 4 };
	#endif
	END
	FLAGS=-fvisibility=hidden target x
	made
	replaces f
	$CC -O2 -fPIC -fvisibility=hidden -c -o "$WORK/y.o" "$WORK/y.c"
	$CC -shared -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/x.shipped.o" "$WORK/y.o"
	refused_diff "content of 'table' changed" "the code at 0x"
}

# ... or that others find by its name, as this library's own code does.
test_exported_constant() {
	objects x <<-END
	static int zero(int x) { return 0; }
	static int same(int x) { return x; }
	struct calls { int (*call)(int); };
	#ifdef FIXED
	const struct calls calls = { same };
	#else
	const struct calls calls = { zero };
	#endif
	const struct calls *f(void) { return &calls; }
	int g(int x) { return f()->call(x) + zero(x) + same(x); }
	END
	target x
	refused_diff "content of 'calls' changed, and it is exported"
}

# ... by another name of it, though its own is hidden.
test_constant_exported_as_another() {
	objects x <<-END
	#ifdef FIXED
	const int table[] = { 1, 2, 3, 5 };
	#else
	const int table[] = { 1, 2, 3, 4 };
	#endif
	extern const int other[4] __attribute__((alias("table")));
	int f(int x) { return table[x & 3]; }
	END
	echo '{ global: f; other; local: *; };' >"$WORK/x.map"
	target x -Wl,--version-script="$WORK/x.map"
	refused_diff "content of 'table' changed, and it is exported"
}

test_thread_local() {
	objects x <<-END
	#ifdef FIXED
	static __thread int mine;
	int f(int x) { return mine += x; }
	#else
	int f(int x) { return x; }
	#endif
	END
	target x
	refused_diff "new thread-local variable 'mine'"
}

test_constructors() {
	objects x <<-END
	int value;
	#ifdef FIXED
	__attribute__((constructor)) static void start(void) { value = 3; }
	#endif
	int f(void) { return value; }
	END
	target x
	refused_diff "'start' is a constructor"
	objects x <<-END
	static int one(void) { return 1; }
	static int two(void) { return 2; }
	#ifdef FIXED
	static void *choose(void) { return two; }
	#else
	static void *choose(void) { return one; }
	#endif
	int chosen(void) __attribute__((ifunc("choose")));
	int f(void) { return (int)(long)two + one(); }
	END
	target x
	refused_diff "IFUNC"
}

test_no_sections() {
	SECTIONS='' objects x <<-END
	int f(int x) { return x; }
	#ifdef FIXED
	int g(int x) { return f(x) + 1; }
	#else
	int g(int x) { return f(x); }
	#endif
	END
	target x
	refused_diff "-ffunction-sections"
	cp "$WORK/x.src" "$WORK/x.c"
	objects x -flto -fno-fat-lto-objects <"$WORK/x.c"
	refused_diff "-flto"
}

# A program that has no copy of a library's variable cannot get one now.
test_new_copy() {
	cat >"$WORK/x.c" <<-END
	extern char **environ;
	#ifdef FIXED
	int main(int argc, char **argv) { return argc + (environ[0] != argv[0]); }
	#else
	int main(int argc, char **argv) { (void)argv; return argc; }
	#endif
	END
	objects x -fno-pie -fno-pic <"$WORK/x.c"
	$CC -x c -O2 -fno-pie -no-pie -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/x.src"
	refused_diff "'environ'" "-mno-direct-extern-access"
	objects x -mcmodel=large <"$WORK/x.c"
	differ 1 "${PAIRS[@]}"
}

test_exceptions() {
	LANGUAGE=c++ CC=g++ objects x <<-END
	void may_throw(int x);
	int f(int x)
	{
		try {
			may_throw(x);
		} catch (int y) {
	#ifdef FIXED
			return y + 1;
	#else
			return y;
	#endif
		}
		return 0;
	}
	END
	LANGUAGE=c++ CC=g++ target x
	made
	readelf -SW "$WORK/patch.so" | grep -q gcc_except_table || fail "no tables"
	readelf --debug-dump=frames "$WORK/patch.so" 2>&1 | grep -q 'FDE' || fail "no frames"
	# an unwinder that cannot be told of more code
	cp "$WORK/x.src" "$WORK/x.cc"
	g++ -O2 -fno-pie -static -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/x.cc" -x c++ - \
		<<<'int f(int); void may_throw(int x) { if (x) throw x; } int main(int c, char **) { return f(c); }'
	LANGUAGE=c++ CC=g++ objects x -fno-pie -fno-pic <"$WORK/x.cc"
	refused_diff "exceptions"
	made --allow-exceptions
}

test_usage() {
	objects x <<<'int f(void) { return 1; }'
	target x
	differ 2
	differ 2 --orig "$WORK/x.o"
	differ 2 --orig "$WORK/x.o" --patched "$WORK/x.o" extra
	differ 2 --orig= --patched=
	differ 2 --orig "$WORK/x.o" --patched "$WORK/x.o" -i 'a b'
	differ 1 --orig "$WORK/none.o" --patched "$WORK/x.o"
	differ 1 --orig "$WORK/target.so" --patched "$WORK/x.o"
	says "not a relocatable object"
}

# Damaged objects: an error or not, but never a crash.
test_damaged() {
	local size n status
	objects x <<-END
	static const char *const t[] = { "a", "b" };
	#ifdef FIXED
	const char *f(int x) { switch (x) { case 1: return "x"; } return t[x & 1]; }
	#else
	const char *f(int x) { return t[x & 1]; }
	#endif
	END
	target x
	size=$(stat -c %s "$WORK/x.fixed.o")
	for ((n = 0; n < 60; n++)); do
		cp "$WORK/x.fixed.o" "$WORK/bad.o"
		if ((n % 3)); then
			printf '\xff\x80\xff\xff' | dd of="$WORK/bad.o" conv=notrunc bs=1 status=none \
				seek=$((size - 1 - n * size / 61))
		else
			truncate -s $((n * size / 60)) "$WORK/bad.o"
		fi
		timeout "$LIMIT" "$ULP_PACKER" diff -q -t "$WORK/target.so" -o "$WORK/patch.so" \
			--orig "$WORK/x.o" --patched "$WORK/bad.o" >"$WORK/out" 2>"$WORK/err"
		status=$?
		[ "$status" -le 3 ] || fail "byte $n: status $status: $(head -c 1000 "$WORK/err")"
	done
}

run_tests test_nothing test_inlined_everywhere test_constants test_nameless \
	test_nameless_variable test_two_units test_new_unit \
	test_found test_proofs test_same_looks test_not_the_same_source test_variables \
	test_ambiguous test_pointed_to test_used_elsewhere test_exported_constant \
	test_constant_exported_as_another test_thread_local test_constructors test_no_sections \
	test_new_copy test_exceptions test_usage test_damaged
