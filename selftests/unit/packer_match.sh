#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 240
#
# ulp-packer diff: original code and the target's that are the same, or look like it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
. "$(dirname "$0")/diff.lib"

# relaxed_target FORM REGISTER FLAG... - a target with it, after what the linker makes of it
relaxed_target() {
	local form=$1 reg=$2
	shift 2
	$CC -x assembler-with-cpp "-DFORM=$form" "-DREG=%$reg" "$@" -nostdlib -Wl,--build-id=sha1 -Wl,-e,f \
		-o "$WORK/target.so" "$WORK/x.src" || fail "cannot link $form $reg $*"
	! objdump -d "$WORK/target.so" | grep '(%rip)' | grep -qv lea || fail "$form $reg $*: not relaxed"
}

# FORM|FLAGS: an access through the GOT that the linker makes direct.  The register stays,
# in another field of the instruction, and with another bit of its prefix.
test_relaxed_register() {
	local form flags regs ours theirs
	while IFS='|' read -r form flags; do
		for regs in "rax r8" "rdx rcx" "r12 rsp"; do
			read -r ours theirs <<<"$regs"
			LANGUAGE=assembler-with-cpp objects x "-DFORM=$form" "-DREG=%$ours" <<-END
			.section .text.f,"ax"
			.globl f
			.type f,@function
			f:	.cfi_startproc
				push %rbx
				FORM, REG
				xor %ebx, %ebx
			#ifdef FIXED
				inc %ebx
			#endif
				pop %rbx
				ret
				.cfi_endproc
				.size f, .-f
			.data
			.hidden v
			.globl v
			v:	.quad 1
			.section .tdata,"awT"
			.hidden t
			.globl t
			t:	.quad 1
			.section .note.GNU-stack,""
			END
			# shellcheck disable=SC2086
			relaxed_target "$form" "$ours" $flags
			made
			replaces f
			# shellcheck disable=SC2086
			relaxed_target "$form" "$theirs" $flags
			refused_diff "'f' changed, but its original code is not in" "%$theirs" "%$ours"
		done
	done <<-END
	mov v@GOTPCREL(%rip)|-shared
	mov v@GOTPCREL(%rip)|-static-pie
	mov v@GOTPCREL(%rip)|-no-pie -static
	mov v@GOTPCREL(%rip)|-no-pie -static -fuse-ld=lld
	mov v@GOTPCREL(%rip)|-no-pie -static -fuse-ld=gold
	add v@GOTPCREL(%rip)|-no-pie -static
	cmp v@GOTPCREL(%rip)|-no-pie -static
	xor v@GOTPCREL(%rip)|-no-pie -static -fuse-ld=lld
	mov t@gottpoff(%rip)|-no-pie -static
	add t@gottpoff(%rip)|-no-pie -static
	mov t@gottpoff(%rip)|-no-pie -static -fuse-ld=lld
	add t@gottpoff(%rip)|-no-pie -static -fuse-ld=lld
	add t@gottpoff(%rip)|-no-pie -static -fuse-ld=gold
	END
}

# source_in DIR FLAG... <source - DIR/util.c, compiled twice and as shipped
source_in() {
	local dir=$WORK/$1
	shift
	mkdir -p "$dir"
	cat >"$dir/util.c"
	(cd "$dir" && $CC -O2 -g -fPIC $SECTIONS -c -o orig.o util.c &&
		$CC -O2 -g -fPIC $SECTIONS -DFIXED -c -o fixed.o util.c &&
		$CC -O2 -g -fPIC $SECTIONS "$@" -c -o shipped.o util.c) || fail "cannot compile $dir"
}

# sources FLAG... - target.so of a/util.c and b/util.c
sources() {
	$CC -shared -Wl,--build-id=sha1 "$@" -o "$WORK/target.so" "$WORK/a/shipped.o" \
		"$WORK/b/shipped.o" || fail "cannot link"
}

# refused_source TEXT... - of a/util.c
refused_source() {
	differ 1 --orig "$WORK/a/orig.o" --patched "$WORK/a/fixed.o"
	says "$@"
}

# made_source FUNCTION... - of a/util.c, and what is replaced
made_source() {
	differ 0 --orig "$WORK/a/orig.o" --patched "$WORK/a/fixed.o" --explain
	show "$WORK/patch.so"
	functions
	replaces "$@"
}

# relocated NAME ADDRESS - the patch uses the target's NAME that is there
relocated() {
	"$ULP_TOOL" dump "$WORK/patch.so" >"$WORK/dumped" || fail "cannot dump"
	grep -q "^relocation: .* $1 $(printf '0x%x' "0x${2#0x}")-0x4 of target.so" "$WORK/dumped" ||
		fail "not '$1' at $2: $(cat "$WORK/dumped")"
}

# Two sources of one name in two directories, each with a variable of one name.
two_counters() {
	source_in a "$@" <<-END
	static int counter = 1;
	#define HIDDEN __attribute__((visibility("hidden"), noipa))
	HIDDEN int mark(int x) { return x * 99 + 5; }
	#ifdef OTHER
	HIDDEN int bump(int x) { return counter += x << 3; }
	#else
	HIDDEN int bump(int x) { return counter += x; }
	#endif
	static __attribute__((noipa)) int local(int x) { return x * 991 + 3; }
	#ifdef FIXED
	int f(int x) { return local(x) + x / 7 + counter; }
	#else
	int f(int x) { return local(x) + x / 7; }
	#endif
	#ifdef USED
	int use(int x) { return bump(x); }
	#endif
	END
	source_in b <<-END
	static int counter = 2;
	int g(int x) { return counter += x; }
	END
}

test_static_of_a_source() {
	# nothing of the target uses that of the source that changes, so it is not there
	two_counters
	sources -Wl,--gc-sections
	[ "$(nm "$WORK/target.so" | grep -c ' counter')" = 1 ] || fail "$(nm "$WORK/target.so")"
	refused_source "'f' uses 'counter', and where that is in" "'counter' of util.c at 0x"
	# both are there, and code that uses the one is not as it was: the symbols of its
	# source are known by those that were found
	two_counters -DUSED -DOTHER
	sources -Wl,--gc-sections
	[ "$(nm "$WORK/target.so" | grep -c ' counter')" = 2 ] || fail "$(nm "$WORK/target.so")"
	made_source f

	# and without symbols of files there is no source that they could be of
	objcopy --strip-symbol util.c "$WORK/target.so" 2>"$WORK/err"
	[ -z "$(readelf -sW "$WORK/target.so" | grep 'FILE.*util')" ] || fail "$(readelf -sW "$WORK/target.so")"
	refused_source "'f' uses 'counter', and where that is in"
}

# Code that looks the same is not the function if its symbol is of another source.
test_same_code_of_another_source() {
	local same='static __attribute__((noipa)) int same(int *x) { return *x += 1234567; }'
	objects x <<-END
	static int total = 1;
	$same
	__attribute__((visibility("hidden"))) int unused(void) { return same(&total); }
	#ifdef FIXED
	int f(int x) { return same(&x) / 7; }
	#else
	int f(int x) { return x / 7; }
	#endif
	END
	objects y <<-END
	$same
	int g(int x) { return same(&x) / 5; }
	END
	FLAGS=$SECTIONS target x y -Wl,--gc-sections
	refused_diff "'f' uses 'same', and where that is in" "the target has no function of this name"
}

# What a global name means is not what another source has for itself.
test_static_of_another_source() {
	source_in a <<-END
	int record(int x);
	#ifdef FIXED
	int f(int x) { return record(x / 7) + 1; }
	#else
	int f(int x) { return x / 7; }
	#endif
	END
	source_in b <<-END
	static __attribute__((noipa)) int record(int x) { return x * 1234567; }
	int g(int x) { return record(x) + 1; }
	END
	# GNU ld tells static functions from those that it made local
	sources
	made_source f
	[ "$(nm -D "$WORK/patch.so" | awk '{ print $NF }' | xargs)" = record ] || fail "$(nm -D "$WORK/patch.so")"
	local linker
	for linker in gold lld; do
		sources -fuse-ld=$linker
		refused_source "'f' uses 'record'" "util.c" "gold or lld"
	done
}

# Functions of one name and the same code in two sources, folded by the linker.
test_folded_statics() {
	source_in a <<-END
	#ifdef FIXED
	static __attribute__((noipa)) int same(int x) { return x * 1234567 + 2; }
	#else
	static __attribute__((noipa)) int same(int x) { return x * 1234567 + 1; }
	#endif
	int f(int x) { return same(x) / 3; }
	END
	source_in b <<-END
	static __attribute__((noipa)) int same(int x) { return x * 1234567 + 1; }
	int g(int x) { return same(x) / 5; }
	END
	sources -fuse-ld=lld -Wl,--icf=all
	refused_source "'same' changed, but in" "is the same code at" "--icf"
	# gold drops the name of the one that it drops: its unit tells
	sources -fuse-ld=gold -Wl,--icf=all
	differ 1 --orig "$WORK/a/orig.o" --patched "$WORK/a/fixed.o" \
		--orig "$WORK/b/orig.o" --patched "$WORK/b/orig.o"
	says "'same' changed, but in" "is the same code at" "--icf"
	sources
	made_source same
}

# A variable of a header, which two sources share and the linker keeps one of: hidden, so
# that a stripped target tells nothing of it.
test_shared_variable() {
	local header='struct all { static inline int total = 1; };'
	LANGUAGE=c++ CC=g++ objects x -std=c++17 -fvisibility=hidden <<-END
	$header
	#define OUT __attribute__((visibility("default")))
	#ifdef FIXED
	OUT int f(int x) { return x / 7 + all::total; }
	#else
	OUT int f(int x) { return x / 7; }
	#endif
	END
	LANGUAGE=c++ CC=g++ objects y -std=c++17 -fvisibility=hidden <<-END
	$header
	__attribute__((visibility("default"))) int g(int x) { return all::total += x; }
	END
	FLAGS="-std=c++17 -fvisibility=hidden" LANGUAGE=c++ CC=g++ target x y
	made
	replaces _Z1fi
	relocated _ZN3all5totalE "$(value "$WORK/target.so" _ZN3all5totalE)"
	strip "$WORK/target.so"
	refused_diff "'_Z1fi' uses the variable '_ZN3all5totalE'" "--debug" "--new-data="
	pair x
	differ 0 "${PAIRS[@]}" --orig "$WORK/y.o" --patched "$WORK/y.o"
	made --new-data _ZN3all5totalE
}

# leads_to NAME - the only relocation of the patch is of that place of the target
leads_to() {
	local want place
	want=$(nm "$WORK/target.so" | awk -v name="$1" '$3 == name { print $1 }')
	"$ULP_TOOL" dump "$WORK/patch.so" >"$WORK/dumped" || fail "cannot dump"
	place=$(sed -n 's/^relocation: .* \(0x[^ ]*\) of target.so/\1/p' "$WORK/dumped")
	[ $((place + 4)) = $((16#$want)) ] || fail "$place is not $1, $want: $(cat "$WORK/dumped")"
}

# A function whose end another one has as its own, in its own unit or another one: that is
# at another distance in the target, where nops are more.
test_shared_tail() {
	local language=assembler-with-cpp define='
		#define FUNCTION(name) .section .text.name,"ax"; .globl name; .type name,@function; \
			name: .cfi_startproc
		#define END(name) .cfi_endproc; .size name, .-name
		.section .note.GNU-stack,""'
	local tail='
		FUNCTION(g)
			imul $77, %edi, %eax
		#ifdef SHIPPED
			nopw 0(%rax)
		#endif
			test %edi, %edi
			js tail
			add $1, %eax
		#if defined(FIXED) && defined(BOTH)
			add $2, %eax
		#endif
			.globl tail
			.hidden tail
		tail:	xor $99, %eax
			imul $1234567, %eax, %eax
			ret
			END(g)'
	local user='
		FUNCTION(f)
		#ifdef FIXED
			lea 2(%rdi), %eax
		#else
			lea 1(%rdi), %eax
		#endif
			.hidden tail
			jmp tail
			END(f)'
	LANGUAGE=$language objects x <<<"$define$tail$user"
	FLAGS=-DSHIPPED LANGUAGE=$language target x
	made
	replaces f
	leads_to tail
	LANGUAGE=$language objects x -DBOTH <<<"$define$tail$user"
	FLAGS=-DSHIPPED LANGUAGE=$language target x
	refused_diff "'f' leads into the middle of 'g', which the patch has anew"
	LANGUAGE=$language objects x <<<"$define$user"
	LANGUAGE=$language objects y <<<"$define$tail"
	FLAGS=-DSHIPPED LANGUAGE=$language target x y
	pair x y
	differ 0 "${PAIRS[@]}"
	leads_to tail
}

# A new class of one unit has the thunk of a function of another one, changed or not, in its
# table: not the function, which expects another object pointer.
test_thunk_of_another_unit() {
	local header='
		#define HIDDEN __attribute__((visibility("hidden")))
		struct HIDDEN named { virtual int name(int x) { return x; } int a = 1; };
		struct HIDDEN sized { virtual int size(int x) = 0; int b = 2; };
		struct HIDDEN square : named, sized { int size(int x) override; int c = 3; };' more
	LANGUAGE=c++ CC=g++ objects x <<-END
	$header
	static __attribute__((noipa)) int call(sized &any, int x) { return any.size(x); }
	#ifdef FIXED
	struct HIDDEN fresh : square { int name(int x) override { return x + 7; } };
	int f(int x) { fresh all; return call(all, x); }
	#else
	int f(int x) { square all; return call(all, x); }
	#endif
	END
	for more in "" "+ 1"; do
		LANGUAGE=c++ CC=g++ objects y <<-END
		$header
		#ifdef FIXED
		int square::size(int x) { return x * 99 + b + c $more; }
		#else
		int square::size(int x) { return x * 99 + b + c; }
		#endif
		END
		LANGUAGE=c++ CC=g++ target x y
		pair x y
		differ 0 "${PAIRS[@]}"
		"$ULP_TOOL" dump "$WORK/patch.so" >"$WORK/dumped" || fail "cannot dump"
		grep -q " 0x0*$(nm "$WORK/target.so" | awk '$3 ~ /^_ZThn.*size/ { sub("^0*", "", $1); print $1 }')+0x0 of target.so" \
			"$WORK/dumped" || fail "no thunk: $(nm -n "$WORK/target.so" | grep size; cat "$WORK/dumped")"
	done
}

# One function of a megabyte.
test_huge_function() {
	LANGUAGE=assembler-with-cpp objects x <<-END
		.section .text.f,"ax"
		.globl f
		.type f,@function
	f:	.cfi_startproc
		test %edi, %edi
		je 1f
		.rept 150000
		imul \$77, %eax, %eax
		xor %edi, %eax
		add %edi, %eax
		.endr
	1:
	#ifdef FIXED
		inc %eax
	#endif
		ret
		.cfi_endproc
		.size f, .-f
		.section .note.GNU-stack,""
	END
	LANGUAGE=assembler-with-cpp target x
	strip "$WORK/target.so"
	made
	shows "function f f old 0x[0-9a-f]* 10[0-9]{5} new .*"
}

# cold_part_is_compared - objects x: a patch of them is made for a target of the same
# source, stripped or not, and for one whose cold part differs (SHIPPED) it is refused
cold_part_is_compared() {
	local strip
	nm "$WORK/x.o" | grep -q ' f.cold$' || fail "no cold part"
	for strip in no yes; do
		target x
		[ $strip = no ] || strip "$WORK/target.so"
		made
		FLAGS=-DSHIPPED target x
		[ $strip = no ] || strip "$WORK/target.so"
		refused_diff "'f' changed, but its original code is not in" "f.cold"
	done
}

# The part of a function that was split off is its code as well: another one in the target
# is another source, which the patch would undo.
test_other_cold_part() {
	objects x <<-END
	__attribute__((cold)) int complain(int x);
	#ifdef SHIPPED
	#define LIMIT 4711
	#else
	#define LIMIT 4712
	#endif
	int f(int x)
	{
		if (__builtin_expect(x < 0, 0)) {

			complain(x * 77 + LIMIT);
			return complain(LIMIT);
		}
	#ifdef FIXED
		return x * 3 + 1;
	#else
		return x * 3;
	#endif
	}
	END
	cold_part_is_compared
}

# ... and where it goes on in its function.
test_other_way_back() {
	objects x <<-END
	__attribute__((cold)) int complain(int x);
	int first(int x), second(int x);
	#ifdef SHIPPED
	#define OUT out_second
	#else
	#define OUT out_first
	#endif
	int f(int x, int y)
	{
		if (__builtin_expect(x < 0, 0)) {
			complain(x);
			if (y == 11)
				goto out_second;
			if (y == 12)
				goto out_first;
			complain(y);
			goto OUT;
		}
		x *= 3;
	#ifdef FIXED
		x++;
	#endif
	out_first:
		x = first(x) ^ 99;
	out_second:
		return second(x) ^ 77;
	}
	END
	cold_part_is_compared
}

run_tests test_relaxed_register test_static_of_a_source test_static_of_another_source \
	test_same_code_of_another_source test_folded_statics test_shared_variable \
	test_shared_tail test_thunk_of_another_unit test_huge_function test_other_cold_part test_other_way_back
