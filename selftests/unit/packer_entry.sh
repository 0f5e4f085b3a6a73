#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 300
#
# Where ulp-packer puts the jump, and which code it takes for the function's:
# made objects with all the traps, and all functions of Debian's own libraries.
#
# shellcheck disable=SC2016 # a dollar is assembly here
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
export SOURCE_DATE_EPOCH=1700000000

# assemble NAME <source - $WORK/NAME.so of assembly
assemble() {
	LANGUAGE=assembler build "$@" -nostdlib
}

# begin NAME, end NAME - a global function in assembly
begin() {
	printf '.globl %s\n.type %s,@function\n%s:\n' "$1" "$1" "$1"
}

end() {
	printf '.size %s,.-%s\n' "$1" "$1"
}

at() {
	printf '0x%x' $(($(value "$WORK/old.so" "$1") + $2))
}

test_endbr64() {
	new_function
	build old -fcf-protection=full <<<'int f(int x) { return x * 3 + 1; }'
	packed f:new_f
	shows "function f .* entry $(at f 4) island 0x0 kind 1 expected f30f1efa.{10} at-island "
	# nothing behind it
	{ begin f; echo 'endbr64'; end f; begin g; echo ret; end g; } | assemble old
	refused_pack "'f' cannot be patched: it has only 4 bytes" f:new_f
}

test_patchable_nops() {
	new_function
	# room at the entry
	build old -fpatchable-function-entry=5 <<<'int f(int x) { return x * 3; }'
	packed f:new_f
	shows "function f .* entry $(at f 0) island 0x0 kind 1 expected 9090909090 at-island "
	# room before the function: its own code stays whole
	build old -fpatchable-function-entry=16,14 <<<'int f(int x) { return x * 3; }'
	packed f:new_f
	shows "function f .* entry $(at f 0) island $(at f -5) kind 2 expected 9090 at-island 9090909090"
	build old -fpatchable-function-entry=16,14 -fcf-protection=full <<<'int f(int x) { return x * 3; }'
	packed f:new_f
	shows "function f .* entry $(at f 4) island $(at f -5) kind 2 expected f30f1efa9090 at-.*"
}

test_short_functions() {
	new_function
	# into the padding behind it
	{ begin f; echo ret; end f; echo '.p2align 4'; begin g; echo 'ret'; end g; } | assemble old
	packed f:new_f
	shows "function f .* old .* 1 new .* entry $(at f 0) island 0x0 kind 1 expected c3.{8} at-.*"
	# padding further away, first behind, then before
	{ begin f; echo 'xor %eax,%eax; ret'; end f; begin g; echo 'mov $5,%eax; ret'; end g
		echo '.p2align 4'; begin h; echo ret; end h; } | assemble old
	packed f:new_f
	shows "function f .* entry $(at f 0) island $(at g 6) kind 2 expected 31c0 at-island .{10}"
	{ begin g; echo 'mov $5,%eax; ret'; end g; echo '.p2align 4'; begin f; echo 'nop; ret'; end f
		begin h; echo 'mov $1,%eax; ret'; end h; } | assemble old
	packed f:new_f
	shows "function f .* entry $(at f 0) island $(at g 6) kind 2 .*"
	# no two of a patch in the same
	{ begin f; echo 'nop; ret'; end f; begin g; echo 'nop; ret'; end g
		echo '.fill 11,1,0xcc'; begin h; echo 'mov $1,%eax; ret'; end h; } | assemble old
	packed f:new_f g:new_g
	shows "function f .* entry $(at f 0) island $(at g 2) kind 2 .*"
	shows "function g .* entry $(at g 0) island $(at g 7) kind 2 .*"
	# only room for one
	{ begin f; echo 'nop; ret'; end f; begin g; echo 'nop; ret'; end g
		echo '.fill 6,1,0xcc'; begin h; echo 'mov $1,%eax; ret'; end h; } | assemble old
	refused_pack "'g' cannot be patched: it has 2 bytes, the jump 5" f:new_f g:new_g
	says "no free padding of 5 bytes" "x.dsc:4:1:"
	# none within reach
	{ begin f; echo 'nop; ret'; end f; begin g; echo '.fill 140,1,0x55; ret'; end g
		echo '.p2align 4; nop; nop'; } | assemble old
	refused_pack "'f' cannot be patched" f:new_f
}

# way NAME - how the function is entered, as the last container has it
way() {
	sed -n "s/^function $1 .* \(entry .* kind [0-9]\).*/\1/p" "$WORK/shown"
}

# A function gets the same padding whatever else the patch changes, so that two
# patches of it can be stacked; and two patches of neighbours do not want the same.
test_same_in_each_patch() {
	local f g k
	new_function
	{ begin f; echo 'nop; ret'; end f; begin g; echo 'nop; ret'; end g
		begin k; echo 'xor %eax,%eax; 1: inc %eax; cmp $9,%eax; jb 1b; ret'; end k
		echo '.fill 17,1,0xcc'; begin h; echo 'mov $1,%eax; ret'; end h; } | assemble old
	packed f:new_f g:new_g k:new_f
	f=$(way f) g=$(way g) k=$(way k)
	for way in "$f" "$g" "$k"; do
		[ -n "$way" ] || fail "not found: $(cat "$WORK/shown")"
	done
	packed k:new_f g:new_g f:new_f
	[ "$(way f) $(way g) $(way k)" = "$f $g $k" ] || fail "not: $f $g $k: $(cat "$WORK/shown")"
	packed f:new_f
	[ "$(way f)" = "$f" ] || fail "f alone, not $f: $(cat "$WORK/shown")"
	packed g:new_g
	[ "$(way g)" = "$g" ] || fail "g alone, not $g: $(cat "$WORK/shown")"
	packed k:new_f
	[ "$(way k)" = "$k" ] || fail "k alone, not $k: $(cat "$WORK/shown")"
}

# Padding is what nothing runs into: not what only looks like it.
test_false_padding() {
	new_function
	# the code before runs on through it
	{ begin f; echo 'nop; nop'; end f; echo '.p2align 4'; begin g; echo 'ret'; end g; } |
		assemble old
	refused_pack "'f' cannot be patched: it has 2 bytes" f:new_f
	# or may: a call can return
	{ begin f; echo 'call g; nop'; end f; echo '.fill 8,1,0x90'; begin g; echo 'ret'; end g
		begin h; echo 'ret'; end h; } | assemble old
	refused_pack "'h' cannot be patched" h:new_f
	# a jump leads into it
	{ begin f; echo 'nop; ret'; end f; echo '.fill 2,1,0x90; inside: .fill 3,1,0x90'
		begin g; echo 'mov $1,%eax; jmp inside'; end g; } | assemble old
	refused_pack "'f' cannot be patched" f:new_f
	# a symbol covers it, or begins in it
	{ begin f; echo 'nop; ret'; end f; begin table; echo '.fill 9,1,0x90'; end table
		begin g; echo 'mov $1,%eax; ret'; end g; } | assemble old
	refused_pack "'f' cannot be patched" f:new_f
	# data points to it
	{ begin f; echo 'nop; ret'; end f; echo '.fill 2,1,0x90; .Linside: .fill 4,1,0x90'
		begin g; echo 'mov $1,%eax; ret'; end g
		echo '.data; .quad .Linside'; } | assemble old
	refused_pack "'f' cannot be patched" f:new_f
}

# Nothing but the function's first byte may lead into what is overwritten.
test_ways_in() {
	new_function
	# a loop back to the third byte: a short jump still fits
	{ begin f; echo 'xor %eax,%eax; 1: inc %eax; cmp $9,%eax; jb 1b; ret'; end f
		echo '.p2align 4'; begin g; echo ret; end g; } | assemble old
	packed f:new_f
	shows "function f .* entry $(at f 0) island 0x[0-9a-f]* kind 2 expected 31c0 at-island .*"
	# to the second: nothing fits
	{ begin f; echo 'nop; 1: inc %eax; cmp $9,%eax; jb 1b; ret'; end f; echo '.p2align 4'; } |
		assemble old
	refused_pack "the jump would cover a way in: the code at $(at f 6) jumps to $(at f 1)" \
		f:new_f
	# to the first byte: that is the way in
	{ begin f; echo '1: inc %eax; cmp $9,%eax; jb 1b; ret'; end f; } | assemble old
	packed f:new_f
	shows "function f .* entry $(at f 0) island 0x0 kind 1 .*"
	# a call from elsewhere, and another symbol
	{ begin f; echo 'nop; 1: mov $9,%eax; ret'; end f; echo '.p2align 4'
		begin g; echo 'call 1b; ret'; end g; } | assemble old
	refused_pack "calls $(at f 1)" f:new_f
	{ begin f; echo 'nop'; begin second; echo 'mov $9,%eax; ret'; end second; end f; } |
		assemble old
	refused_pack "'second' begins at $(at f 1)" f:new_f
	# a pointer in data, an address taken by code
	{ begin f; echo 'nop; .Lin: mov $9,%eax; ret'; end f; echo '.data; .quad .Lin'; } |
		assemble old
	refused_pack "keeps the address $(at f 1)" f:new_f
	{ begin f; echo 'nop; .Lin: mov $9,%eax; ret'; end f
		begin g; echo 'lea .Lin(%rip),%rax; jmp *%rax'; end g; } | assemble old
	refused_pack "keeps the address $(at f 1)" f:new_f
	# a jump table of offsets, as compilers make them
	{ begin f; echo 'nop; .Lin: lea .Ltable(%rip),%rdx; movslq (%rdx,%rdi,4),%rax'
		echo 'add %rdx,%rax; jmp *%rax; .Lout: ret'; end f
		echo '.section .rodata; .Ltable: .long .Lout-.Ltable, .Lin-.Ltable'; } | assemble old
	refused_pack "jump table at 0x" f:new_f
	# a table in the code that looks like the start of an instruction hides nothing
	{ begin f; echo 'nop; 1: mov $9,%eax; ret'; end f; echo '.byte 0x48,0xb8,1,2,3'
		begin g; echo 'jmp 1b'; end g; } | assemble old
	refused_pack "jumps to $(at f 1)" f:new_f
}

# ranges NAME - those in the container, without the function itself
ranges() {
	sed -n "s/^range $1 //p" "$WORK/shown" | tail -n +2 | sort
}

# pieces NAME... - "start end" of symbols of the object with symbols
pieces() {
	local name start
	for name; do
		start=$(value "$WORK/old.so" "$name")
		printf '0x%x 0x%x\n' "$start" $((start + $(size "$WORK/old.so" "$name")))
	done | sort
}

# Code split off is found by name, and in a stripped object without.
test_fragments() {
	new_function
	build old -fno-inline <<-END
	#include <stdlib.h>
	extern void ext(int) __attribute__((cold));
	extern int warm(int);
	__attribute__((noinline)) static int tail(int x) { return warm(x) + warm(x + 1); }
	int f(int x)
	{
		if (__builtin_expect(x == 77, 0)) { ext(1); ext(x); ext(3); x += warm(2); }
		return warm(x) + 1;
	}
	int g(int x)
	{
		if (__builtin_expect(x == 78, 0)) { ext(2); abort(); }
		return tail(x + 1);
	}
	int h(int x) { return tail(x + 2); }
	END
	nm "$WORK/old.so" | grep -q ' f\.cold' || skip "this compiler splits nothing off"
	packed f:new_f g:new_g
	[ "$(ranges f)" = "$(pieces f.cold)" ] || fail "f: $(cat "$WORK/shown")"
	[ "$(ranges g)" = "$(pieces g.cold)" ] || fail "g: $(cat "$WORK/shown")"
	cp "$WORK/shown" "$WORK/before"
	cp "$WORK/old.so" "$WORK/whole.so"
	strip "$WORK/old.so"
	packed f:new_f g:new_g
	diff <(grep -v ^id "$WORK/before") <(grep -v ^id "$WORK/shown") || fail "stripped"
}

# Exceptions enter a cold part without any jump to it.
test_exception_fragments() {
	new_function
	LANGUAGE=c++ build old <<-END
	#include <map>
	#include <string>
	int ext(int);
	int f(int x) { std::map<int, std::string> m; m[x] = "q"; ext(m.size()); return ext(x); }
	END
	nm "$WORK/old.so" | grep -q ' _Z1fi\.cold' || skip "this compiler splits nothing off"
	packed _Z1fi:new_f
	[ "$(ranges _Z1fi)" = "$(pieces _Z1fi.cold)" ] || fail "$(cat "$WORK/shown")"
	cp "$WORK/shown" "$WORK/before"
	strip "$WORK/old.so"
	packed _Z1fi:new_f
	diff <(grep -v ^id "$WORK/before") <(grep -v ^id "$WORK/shown") || fail "stripped"
}

# branches_into CONTAINER OBJECT - direct branches, by objdump, into bytes that
# the container overwrites; an entry's own first byte does not count
branches_into() {
	"$SHOW" "$1" | awk '/^function/ {
		entry = $10; island = $12; size = $14 == 1 ? 5 : 2
		print entry, 1, size
		if (island != "0x0") print island, 0, 5
	}' | while read -r start first size; do
		for ((i = first; i < size; i++)); do printf '%x\n' $((start + i)); done
	done >"$WORK/written"
	objdump -dw --no-show-raw-insn "$2" | grep -E '\s(j[a-z]+|call|loop[a-z]*|xbegin)\s' |
		sed -nE 's/.*\s(j[a-z]+|call|loop[a-z]*|xbegin)(,p[nt])?\s+([0-9a-f]+)\b.*/\3/p' |
		sort -u >"$WORK/branched"
	[ -s "$WORK/branched" ] || fail "objdump of $2 shows no branches"
	sort -u "$WORK/written" | comm -12 - "$WORK/branched"
}

# Every exported function of real libraries, hand-written assembly included.
test_debian_libraries() {
	local lib into count all=0
	new_function
	for lib in libz.so.1 libc.so.6 libssl.so.3 libm.so.6; do
		lib=/lib/x86_64-linux-gnu/$lib
		[ -e "$lib" ] || lib=/usr$lib
		[ -e "$lib" ] || continue
		describe "$WORK/new.so" "@$lib"
		readelf -W --dyn-syms "$lib" | awk '$4 == "FUNC" && $7 != "UND" && !seen[$2]++ {
			sub("@@", "@", $8); print $8 ":new_f" }' >>"$WORK/x.dsc"
		count=$(($(wc -l <"$WORK/x.dsc") - 2))
		pack 0 -o "$WORK/out.so" "$WORK/x.dsc"
		grep -q "for $(basename "$lib"): $count function" "$WORK/out" || fail "$(cat "$WORK/out")"
		into=$(branches_into "$WORK/out.so" "$lib")
		[ -z "$into" ] || fail "$lib: overwritten, but jumped to: $into"
		all=$((all + count))
	done
	note "$all functions"
	[ "$all" -gt 100 ] || skip "no libraries"
}

run_tests test_endbr64 test_patchable_nops test_short_functions test_same_in_each_patch test_false_padding test_ways_in \
	test_fragments test_exception_fragments test_debian_libraries
