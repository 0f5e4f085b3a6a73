#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 120
#
# What ulp-packer finds by name, and what it refuses: patches that could not
# work, targets that are not the right ones, names that mean two things.
#
# shellcheck disable=SC2016 # a dollar is assembly here
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"

old_library() {
	build old <<<'int f(void) { return 1; }'
}

# ---- names ----

test_debug_file() {
	new_function
	build old -g <<-END
	__attribute__((noinline, noipa)) static int hidden(int x) { return x * 3; }
	static int counter = 5;
	int f(int x) { counter += x; return hidden(x) + counter; }
	END
	cp "$WORK/old.so" "$WORK/whole.so"
	objcopy --only-keep-debug "$WORK/whole.so" "$WORK/old.debug"
	strip "$WORK/old.so"
	describe "$WORK/new.so" "@$WORK/old.so" hidden:new_f
	pack 1 -o "$WORK/out.so" "$WORK/x.dsc"
	says "x.dsc:3:1: error: 'hidden' not found" "--debug FILE"
	pack 0 -o "$WORK/out.so" --debug "$WORK/old.debug" "$WORK/x.dsc"
	show "$WORK/out.so"
	shows "function hidden new_f old $(value "$WORK/whole.so" hidden) $(
		size "$WORK/whole.so" hidden) .*"
	# without names an address will do, if a function begins there
	packed "hidden:new_f:$(value "$WORK/whole.so" hidden)"
	shows "function hidden new_f old $(value "$WORK/whole.so" hidden) $(
		size "$WORK/whole.so" hidden) .*"
	refused_pack "no function begins at" \
		"hidden:new_f:$(printf '%x' $(($(value "$WORK/whole.so" hidden) + 1)))"
	# the debug file of another build
	build other -g <<<'int f(int x) { return x; }'
	pack 1 -o "$WORK/out.so" --debug "$WORK/other.so" "$WORK/x.dsc"
	says "its build-id is another one"
	pack 1 -o "$WORK/out.so" --debug "$WORK/old.so" "$WORK/x.dsc"
	says "no symbol table"
}

test_ambiguous_names() {
	local first second
	new_function
	echo 'static __attribute__((noipa)) int twin(int x) { return x * 3; }
		int f(int x) { return twin(x); }' >"$WORK/first.c"
	echo 'static __attribute__((noipa)) int twin(int x) { return x * 5; }
		int g(int x) { return twin(x); }' >"$WORK/second.c"
	$CC -O2 -fPIC -shared -Wl,--build-id -o "$WORK/old.so" "$WORK/first.c" "$WORK/second.c"
	refused_pack "'twin' is ambiguous" twin:new_f
	first=$(nm "$WORK/old.so" | awk '$3 == "twin" { print "0x" $1; exit }')
	second=$(nm "$WORK/old.so" | awk '$3 == "twin" { at = $1 } END { print "0x" at }')
	says "$(printf 'candidate: 0x%x, twin of first.c' "$first")" \
		"$(printf 'candidate: 0x%x, twin of second.c' "$second")" "choose one as twin:new_f:ADDRESS"
	packed "twin:new_f:$second"
	shows "function twin new_f old $(printf '0x%x' "$second") .*"
}

test_versions() {
	local one two
	new_function
	printf 'V1 { global: f; local: *; };\nV2 { global: f; } V1;\n' >"$WORK/map"
	build old -Wl,--version-script="$WORK/map" <<-END
	int f_one(int x) { return x * 3; }
	int f_two(int x) { return x * 5; }
	__asm__(".symver f_one,f@V1");
	__asm__(".symver f_two,f@@V2");
	END
	one=$(readelf -W --dyn-syms "$WORK/old.so" | awk '$8 == "f@V1" { print $2 }')
	two=$(readelf -W --dyn-syms "$WORK/old.so" | awk '$8 == "f@@V2" { print $2 }')
	packed f@V1:new_f
	shows "function f new_f old $(printf '0x%x' "0x$one") .*"
	packed f@@V2:new_f
	shows "function f new_f old $(printf '0x%x' "0x$two") .*"
	refused_pack "'f' is ambiguous" f:new_f
	says "f@V1" "f@V2"
	refused_pack "'f' has no version V3" f@V3:new_f
	refused_pack "no version behind '@'" f@:new_f
	strip "$WORK/old.so"
	packed f@V2:new_f f@V1:new_g
}

test_ifunc() {
	new_function
	build old <<-END
	int __f_fast(int x) { return x * 3; }
	static void *choose(void) { return __f_fast; }
	int f(int x) __attribute__((ifunc("choose")));
	END
	refused_pack "'f' is chosen at run time among variants (IFUNC)" f:new_f
	says "maybe one of them: __f_fast"
	packed __f_fast:new_f
	build old <<<'int f(void) { return 1; }'
	build new <<-END
	static int one(int x) { return x * 3; }
	static void *choose(void) { return one; }
	int new_f(int x) __attribute__((ifunc("choose")));
	int new_g(int x) { return new_f(x) + 1; }
	END
	refused_pack "run time" f:new_f
	refused_pack "run time" f:new_g
}

# A size that the symbol does not have comes from .eh_frame, or it is refused.
test_sizes() {
	new_function
	LANGUAGE=assembler build old <<<'.globl f; .type f,@function
		f: .cfi_startproc; mov $1,%eax; ret; .cfi_endproc'
	packed f:new_f
	shows "function f new_f old .* 6 new .*"
	LANGUAGE=assembler build old <<<'.globl f; .type f,@function; f: mov $1,%eax; ret'
	refused_pack "the size of 'f' is unknown" f:new_f
}

test_references() {
	build old <<-END
	static int counter = 5;
	static __thread int local = 3;
	__attribute__((noipa)) static int hidden(int x) { return x * counter + local; }
	int f(int x) { counter++; local++; return hidden(x); }
	END
	build new <<-END
	struct { unsigned long module, offset; } local_index;
	int *counter_slot, (*hidden_slot)(int);
	static int *volatile static_slot;
	const int *const fixed = (int *)8;
	short small;
	int new_f(int x) { return *counter_slot + hidden_slot(x) + *static_slot + small; }
	END
	packed f:new_f '#counter:counter_slot' '#hidden:hidden_slot' '#%local:local_index'
	shows "reference counter counter_slot $(value "$WORK/old.so" counter) $(
		value "$WORK/new.so" counter_slot) address"
	shows "reference hidden hidden_slot $(value "$WORK/old.so" hidden) $(
		value "$WORK/new.so" hidden_slot) address"
	shows "reference local local_index $(value "$WORK/old.so" local) $(
		value "$WORK/new.so" local_index) tls"
	packed f:new_f '#counter:static_slot'
	# given addresses must be right ones
	packed f:new_f "#counter:counter_slot:$(value "$WORK/old.so" counter):$(
		value "$WORK/new.so" counter_slot)"
	packed f:new_f "#no_name:also_none:$(value "$WORK/old.so" counter):$(
		value "$WORK/new.so" counter_slot)"
	refused_pack "'counter' is not at 0x1" f:new_f \
		"#counter:counter_slot:1:$(value "$WORK/new.so" counter_slot)"
	refused_pack "'counter_slot' is not at 0x8" f:new_f \
		"#counter:counter_slot:$(value "$WORK/old.so" counter):8"
	refused_pack "is not in" f:new_f "#no_name:counter_slot:ffffff00:$(
		value "$WORK/new.so" counter_slot)"
	refused_pack "not a writable variable" f:new_f "#no_name:also_none:$(
		value "$WORK/old.so" counter):0"
	refused_pack "'small' has 2 bytes, but an address needs 8" f:new_f '#counter:small'
	refused_pack "'counter_slot' has 8 bytes, but a tls_index needs 16" f:new_f \
		'#%local:counter_slot'
	refused_pack "the slot 'counter_slot' is used twice" f:new_f '#counter:counter_slot' \
		'#hidden:counter_slot'
	refused_pack "'new_f' of" f:new_f '#counter:new_f'
	# an exported variable may live elsewhere
	build old <<<'int counter = 5; int f(void) { return counter++; }'
	packed f:new_f '#counter:counter_slot'
	says "x.dsc:4:2: warning: 'counter' is exported"
}

test_dependencies() {
	local id
	new_function
	old_library
	packed f:new_f
	id=$(sed -n 's/^id //p' "$WORK/shown")
	cp "$WORK/out.so" "$WORK/first.so"
	packed '*first.so' "*${id^^}" f:new_g
	[ "$(grep -c "^dependency $id\$" "$WORK/shown")" = 2 ] || fail "$(cat "$WORK/shown")"
	refused_pack "first.s: No such file" '*first.s' f:new_g
	refused_pack "$WORK/x.dsc: not an ELF file" '*x.dsc' f:new_g
}

# ---- what a patch may not be ----

# no_patch TEXT FLAG... <source - built, but never packed
no_patch() {
	local text=$1
	shift
	build new "$@"
	refused_pack "$text" f:new_f
}

test_refused_patches() {
	local plain='int new_f(void) { return 2; }'
	old_library
	no_patch "thread-local" <<<'__thread int own; int new_f(void) { return own++; }'
	no_patch "'setup' is a constructor" \
		<<<"__attribute__((constructor)) static void setup(void) { __asm__(\"nop\"); } $plain"
	no_patch "'done' is a constructor or destructor" \
		<<<"__attribute__((destructor)) static void done(void) { __asm__(\"nop\"); } $plain"
	no_patch "cannot tell if .init_array has constructors" -s <<<"$plain"
	no_patch "executable stack" -Wl,-z,execstack <<<"$plain"
	LANGUAGE=assembler no_patch "writable and executable" -Wl,--no-warn-rwx-segments <<-END
	.section .both,"awx"
	.globl new_f
	.type new_f,@function
	new_f: ret
	.size new_f,.-new_f
	END
	no_patch "packed relocations" -Wl,-z,pack-relative-relocs \
		<<<'static int a; int *p[] = { &a, &a }; int new_f(void) { return *p[a]; }'
	LANGUAGE=assembler no_patch "relocations in its code" -Wl,-z,notext \
		<<<'.globl new_f; .type new_f,@function; new_f: .quad new_f; ret; .size new_f,.-new_f'
	$CC -O2 -fPIE -pie -Wl,-E -o "$WORK/new.so" -x c - <<-END
	extern char **environ;
	int new_f(void) { return environ != 0; }
	int main(void) { return new_f(); }
	END
	refused_pack "a copy of a variable" f:new_f
}

# Its unwinder can be told of the patch's tables, unless it is linked into the target.
test_exceptions() {
	local how
	old_library
	LANGUAGE=c++ build new <<-END
	int ext(int);
	extern "C" int new_f(int x) { try { return ext(x); } catch (int) { return 7; } }
	END
	packed f:new_f
	for how in -static -static-pie "-static -no-pie"; do
		# shellcheck disable=SC2086
		$CC -O2 $how -Wl,--build-id -o "$WORK/old.so" -x c - <<-END
		__attribute__((noipa)) int f(void) { return 1; }
		int main(void) { return f(); }
		END
		refused_pack "is linked statically" f:new_f
		says "handles exceptions" "old.so"
		pack 0 --allow-exceptions -o "$WORK/out.so" "$WORK/x.dsc"
	done
	$CC -O2 -no-pie -Wl,--build-id -o "$WORK/old.so" -x c - <<-END
	__attribute__((noipa)) int f(void) { return 1; }
	int main(void) { return f(); }
	END
	packed f:new_f
}

# Linked with -s nothing needs constructors: a stripped patch is all right.
test_stripped_patch() {
	old_library
	build new -nostartfiles -s <<<'int new_f(void) { return 2; }'
	packed f:new_f
}

test_refused_files() {
	new_function
	old_library
	echo '.globl f; .type f,@function; f: ret; .size f,.-f' >"$WORK/f.s"
	as --32 -o "$WORK/f.o" "$WORK/f.s" || fail "no 32-bit assembler"
	ld -m elf_i386 -shared -o "$WORK/32.so" "$WORK/f.o" || fail "no 32-bit linker"
	echo "f:new_f" >"$WORK/x.dsc"
	pack 1 -l "$WORK/new.so" -t "$WORK/32.so" "$WORK/x.dsc"
	says "32.so: a 32-bit file"
	pack 1 -l "$WORK/32.so" -t "$WORK/old.so" "$WORK/x.dsc"
	says "32.so: a 32-bit file"
	as --64 -o "$WORK/f.o" "$WORK/f.s"
	pack 1 -l "$WORK/new.so" -t "$WORK/f.o" "$WORK/x.dsc"
	says "neither an executable nor a shared library"
	pack 1 -l "$WORK/f.o" -t "$WORK/old.so" "$WORK/x.dsc"
	says "link the patch with -shared"
	$CC -O2 -fPIC -shared -Wl,--build-id=none -o "$WORK/no-id.so" -x c - <<<'int f(void) { return 1; }'
	pack 1 -l "$WORK/new.so" -t "$WORK/no-id.so" "$WORK/x.dsc"
	says "no build-id" "--build-id"
	cp "$WORK/old.so" "$WORK/arm.so"
	printf '\xb7' | dd of="$WORK/arm.so" bs=1 seek=18 conv=notrunc 2>/dev/null
	pack 1 -l "$WORK/new.so" -t "$WORK/arm.so" "$WORK/x.dsc"
	says "not for x86-64 (ELF machine 183)"
}

# A damaged object is an error, not a crash.
test_damaged_objects() {
	local size i status
	new_function
	build old -g <<<'int f(void) { return 1; }'
	echo "f:new_f" >"$WORK/x.dsc"
	size=$(stat -c %s "$WORK/old.so")
	for ((i = 0; i < 150; i++)); do
		cp "$WORK/old.so" "$WORK/bad.so"
		if ((i % 3)); then
			# the same bytes each time, all over the file and its headers
			printf '%b' "\\x$(printf %x $((i * 37 % 256)))" | dd of="$WORK/bad.so" bs=1 \
				seek=$((i % 3 == 1 ? i * 7 % 4096 : i * 9973 % size)) conv=notrunc 2>/dev/null
		else
			truncate -s $((size * i / 150)) "$WORK/bad.so"
		fi
		for role in "-t $WORK/bad.so -l $WORK/new.so" "-t $WORK/old.so -l $WORK/bad.so"; do
			# shellcheck disable=SC2086
			timeout 60 "$ULP_PACKER" pack $role -o "$WORK/out.so" "$WORK/x.dsc" \
				>"$WORK/out" 2>"$WORK/err"
			status=$?
			[ "$status" -le 1 ] || fail "damage $i: status $status: $(cat "$WORK/err")"
			[ "$status" -eq 0 ] || grep -q 'error: ' "$WORK/err" || fail "damage $i: no word"
		done
	done
}

test_needed() {
	old_library
	build new -Wl,--no-as-needed -lm <<<'int new_f(void) { return 2; }'
	packed f:new_f
	says "note: $WORK/new.so: it needs libm.so.6, which old.so does not"
	pack 0 -q -o "$WORK/out.so" "$WORK/x.dsc"
	[ ! -s "$WORK/err" ] || fail "-q, but: $(cat "$WORK/err")"
}

run_tests test_debug_file test_ambiguous_names test_versions test_ifunc test_sizes \
	test_references test_dependencies test_refused_patches test_stripped_patch \
	test_refused_files test_damaged_objects test_needed
