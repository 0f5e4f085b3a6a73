#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 300
#
# ulp-packer pack: what it says about real objects is what readelf, nm and
# objdump say; what it cannot do it refuses, at line and column.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
ZLIB=/lib/x86_64-linux-gnu/libz.so.1

# ---- what it makes ----

test_zlib() {
	local function old new
	build new <<-END
	unsigned long new_flags(void) { return 42; }
	const char *new_version(void) { return "none"; }
	unsigned long new_crc(unsigned long crc) { return crc; }
	END
	describe '! For cve-2024-0001, BSC#12 and (jsc#Ped-34); CVE-2024-0001 again' \
		'! not: xCVE-2024-0001 CVE-24-1 CVE-2024-123 bsc# jsc#12' \
		"$WORK/new.so" "@$ZLIB" zlibCompileFlags:new_flags zlibVersion:new_version \
		crc32_z:new_crc
	pack 0 -o "$WORK/out.so" "$WORK/x.dsc"
	show "$WORK/out.so"
	shows "name x"
	shows "target libz.so.1 $(readelf -n "$ZLIB" | awk '/Build ID/ { print $3 }') text .*"
	for function in zlibCompileFlags:new_flags zlibVersion:new_version crc32_z:new_crc; do
		old=${function%:*} new=${function#*:}
		shows "function $old $new old $(value "$ZLIB" "$old") $(size "$ZLIB" "$old") new $(
			value "$WORK/new.so" "$new") $(size "$WORK/new.so" "$new") entry $(
			value "$ZLIB" "$old") island 0x0 kind 1 expected $(
			code "$ZLIB" "$(value "$ZLIB" "$old")" 5)[0-9a-f]* at-island "
	done
	[ "$(grep -c ^label "$WORK/shown")" = 3 ] || fail "labels: $(cat "$WORK/shown")"
	shows "label CVE-2024-0001"
	shows "label bsc#12"
	shows "label jsc#PED-34"
	# the executable segment
	# shellcheck disable=SC2046
	set -- $(readelf -lW "$ZLIB" | awk '/LOAD/ && / R E / { print $3, $6 }')
	shows "target .* text $(printf '0x%x 0x%x' "$1" $(($1 + $2)))"
}

# The object itself is as it was: for ld.so, gdb and readelf.
test_object_is_unchanged() {
	new_function
	build old <<<'int f(void) { return 1; }'
	packed f:new_f
	readelf -SW "$WORK/out.so" >"$WORK/sections" 2>"$WORK/err"
	grep -q ' \.ulp ' "$WORK/sections" || fail "no .ulp"
	grep -q ' \.ulp\.rev ' "$WORK/sections" || fail "no .ulp.rev"
	readelf -aW "$WORK/out.so" >/dev/null 2>"$WORK/err"
	[ ! -s "$WORK/err" ] || fail "readelf: $(cat "$WORK/err")"
	diff <(readelf -lW "$WORK/new.so" | sed '/Section to/,$d') \
		<(readelf -lW "$WORK/out.so" | sed '/Section to/,$d') || fail "other segments"
	diff <(objdump -sd -j .text -j .dynsym -j .dynamic "$WORK/new.so" | tail -n +4) \
		<(objdump -sd -j .text -j .dynsym -j .dynamic "$WORK/out.so" | tail -n +4) ||
		fail "other contents"
	# but for e_shoff, e_shnum and e_shstrndx the old file is where it was
	cmp <(tail -c +65 "$WORK/new.so") \
		<(tail -c +65 "$WORK/out.so" | head -c $(($(stat -c %s "$WORK/new.so") - 64))) ||
		fail "the file was moved"
	cat >"$WORK/main.c" <<-END
	int new_f(void);
	int main(void) { return new_f() == 4711 ? 0 : 1; }
	END
	$CC -o "$WORK/main" "$WORK/main.c" "$WORK/out.so" && "$WORK/main" 2>/dev/null ||
		LD_LIBRARY_PATH=$WORK LD_PRELOAD=$WORK/out.so "$WORK/main" || fail "ld.so cannot load it"
}

test_deterministic() {
	local first
	new_function
	build old <<<'int f(void) { return 1; }'
	describe "$WORK/new.so" "@$WORK/old.so" f:new_f
	SOURCE_DATE_EPOCH=1700000000 pack 0 -o "$WORK/1.so" "$WORK/x.dsc"
	SOURCE_DATE_EPOCH=1700000000 pack 0 -o "$WORK/2.so" "$WORK/x.dsc"
	cmp "$WORK/1.so" "$WORK/2.so" || fail "not the same twice"
	show "$WORK/1.so"
	shows "created 1700000000"
	first=$(grep ^id "$WORK/shown")
	# another time is not another patch, another description is
	pack 0 -o "$WORK/3.so" "$WORK/x.dsc"
	show "$WORK/3.so"
	shows "$first"
	[ "$(sed -n 's/^created //p' "$WORK/shown")" -gt 1700000000 ] || fail "time of packing"
	describe "$WORK/new.so" "@$WORK/old.so" f:new_g
	pack 0 -o "$WORK/4.so" "$WORK/x.dsc"
	show "$WORK/4.so"
	! grep -q "$first" "$WORK/shown" || fail "same id for another patch"
	SOURCE_DATE_EPOCH=yesterday pack 1 -o "$WORK/5.so" "$WORK/x.dsc"
	says "SOURCE_DATE_EPOCH is 'yesterday'"
}

# Without -o the object itself becomes the container, and may do so again.
test_embedded() {
	new_function
	build old <<<'int f(void) { return 1; }'
	cp "$WORK/new.so" "$WORK/original.so"
	chmod 640 "$WORK/new.so"
	ln -s new.so "$WORK/link.so"
	describe link.so @old.so f:new_f
	export SOURCE_DATE_EPOCH=1700000000
	pack 0 "$WORK/x.dsc"
	cp "$WORK/new.so" "$WORK/once.so"
	pack 0 "$WORK/x.dsc"
	cmp "$WORK/new.so" "$WORK/once.so" || fail "packing again changes it"
	[ "$(stat -c %a "$WORK/new.so")" = 640 ] || fail "mode $(stat -c %a "$WORK/new.so")"
	[ -h "$WORK/link.so" ] || fail "the symbolic link was replaced"
	pack 0 -l "$WORK/original.so" -o "$WORK/apart.so" "$WORK/x.dsc"
	cmp "$WORK/new.so" "$WORK/apart.so" || fail "embedded is not what -o makes"
	# another description for the packed one
	describe link.so @old.so f:new_g
	pack 0 "$WORK/x.dsc"
	[ "$(readelf -SW "$WORK/new.so" | grep -c ' \.ulp')" = 2 ] || fail "sections twice"
	show "$WORK/new.so"
	shows 'function f new_g .*'
	# nothing is left beside it, and what is damaged is not packed again
	[ -z "$(find "$WORK" -name '*.so.??????')" ] || fail "a temporary file stays"
	printf x | dd of="$WORK/new.so" bs=1 seek=2000 conv=notrunc 2>/dev/null
	pack 1 "$WORK/x.dsc"
	says "it was packed before, but" "changed after it was packed"
}

test_paths_and_options() {
	new_function
	build old <<<'int f(void) { return 1; }'
	mkdir "$WORK/sub" "$WORK/cwd"
	cp "$WORK/new.so" "$WORK/sub"
	cp "$WORK/old.so" "$WORK/cwd"
	printf '%s\r\n' '  new.so ' '' ' @ old.so' ' f : new_f ' >"$WORK/sub/a fix!.dsc"
	cd "$WORK/cwd" || exit
	# beside the description, then here; options before and after
	pack 0 "../sub/a fix!.dsc" -o ../out.so -v
	grep -q "^../out.so: patch a_fix_, id [0-9a-f]\{12\}, for old.so: 1 function, 0 ref" \
		"$WORK/out" || fail "says $(cat "$WORK/out")"
	grep -q "^  f -> new_f: 0x[0-9a-f]*, [0-9]* bytes, jump at 0x" "$WORK/out" || fail "-v"
	pack 0 -q --name=other.name --output ../out.so "../sub/a fix!.dsc"
	[ ! -s "$WORK/out" ] || fail "-q says $(cat "$WORK/out")"
	show ../out.so
	shows "name other.name"
	echo "f:new_f" >"$WORK/bare.dsc"
	pack 0 -o ../out.so -l ../new.so -t ../old.so ../bare.dsc
	pack 1 -o ../out.so -t ../old.so ../bare.dsc
	pack 1 -o ../out.so -l ../new.so ../bare.dsc
	says "names no target"
	pack 1 -o /does/not/exist/out.so -l ../new.so -t ../old.so ../bare.dsc
	says "/does/not/exist/out.so: No such file"
}

# Time and memory grow with the description, not with its square.
test_long_comment() {
	local line
	new_function
	build old <<<'int f(void) { return 1; }'
	describe "$WORK/new.so" "@$WORK/old.so" f:new_f
	for ((line = 0; line < 20000; line++)); do
		echo "! line $line is as long as what is written to a change usually is: $line"
	done >>"$WORK/x.dsc"
	(ulimit -v 1000000 && pack 0 -o "$WORK/out.so" "$WORK/x.dsc") || exit
	"$ULP_TOOL" dump --json "$WORK/out.so" | grep -q "line 19999 is" || fail "no line 19999"
}

# Coroutines: a line of the description, or an option; the id tells them apart.
test_scan_memory() {
	new_function
	build old <<<'int f(void) { return 1; }'
	describe "$WORK/new.so" "@$WORK/old.so" f:new_f
	pack 0 -o "$WORK/without.so" "$WORK/x.dsc"
	pack 0 -o "$WORK/option.so" --scan-memory "$WORK/x.dsc"
	describe "$WORK/new.so" "@$WORK/old.so" f:new_f '%scan-memory'
	pack 0 -o "$WORK/line.so" "$WORK/x.dsc"
	"$ULP_TOOL" dump --json "$WORK/without.so" >"$WORK/out" || fail dump
	json patches.0.scan_memory=false
	for name in option line; do
		"$ULP_TOOL" dump --json "$WORK/$name.so" >"$WORK/out" || fail dump
		json patches.0.scan_memory=true
	done
	cmp "$WORK/option.so" "$WORK/line.so" || fail "option and line differ"
	"$ULP_TOOL" dump "$WORK/line.so" | grep -q "memory.*coroutines" || fail "not shown"
}

test_usage() {
	pack 2
	says "no description given" "--help"
	pack 2 a.dsc b.dsc
	says "more than one description"
	pack 2 --frobnicate a.dsc
	says "frobnicate" "--help"
	pack 2 --name 'a/b' a.dsc
	pack 2 --name '' a.dsc
	pack 2 a.dsc -o
	pack 0 --help
	grep -q '^Usage: ulp-packer pack' "$WORK/out" || fail "--help"
	pack 0 '-?'
	pack 0 --version
	grep -q '^ulp-packer [0-9]' "$WORK/out" || fail "--version"
	"$ULP_PACKER" >/dev/null 2>&1
	[ $? -eq 2 ] || fail "no command"
	"$ULP_PACKER" frobnicate 2>"$WORK/err"
	[ $? -eq 2 ] || fail "unknown command"
	says "unknown command 'frobnicate'"
	pack 1 "$WORK/nothing.dsc"
	says "$WORK/nothing.dsc: No such file"
	pack 1 "$WORK"
	says "Is a directory"
}

# ---- errors point at line and column ----

# at LINE:COLUMN TEXT CARETS LINE... - of a description with these lines
at() {
	local place=$1 text=$2 caret=$3
	shift 3
	describe "$@"
	pack 1 -o "$WORK/out.so" "$WORK/x.dsc"
	says "$WORK/x.dsc:$place: error: $text"
	grep -qE "^ +\| +$caret\$" "$WORK/err" || fail "no '$caret' below: $(cat "$WORK/err")"
}

test_lines_and_columns() {
	local head
	new_function
	build old <<-END
	int f(void) { return 1; }
	int variable;
	__thread int local;
	extern int puts(const char *);
	int g(void) { return puts(""); }
	END
	head=("$WORK/new.so" "@$WORK/old.so")
	at 3:1 "'nothing' not found in $WORK/old.so" '\^~{6}' "${head[@]}" nothing:new_f
	at 4:3 "'nothing' not found in $WORK/new.so" '\^~{6}' "${head[@]}" '' f:nothing
	at 3:1 "expected old_function:new_function, found no ':'" '\^' "${head[@]}" f
	at 3:1 "the name of the old function is missing" '\^' "${head[@]}" :new_f
	at 3:3 "the name of the new function is missing" '\^' "${head[@]}" f:
	at 3:2 "blank or control character inside the name of the old" '\^' "${head[@]}" 'f f:x'
	at 3:9 "'12x' is not an address in hexadecimal" '\^~~' "${head[@]}" f:new_f:12x
	at 3:9 "'f' is not at 0x12" '\^~~~' "${head[@]}" f:new_f:0x12
	at 3:9 "'' is not an address" '\^' "${head[@]}" f:new_f:
	at 3:12 "too many fields" '\^' "${head[@]}" f:new_f:12:4
	at 3:1 "'variable' of $WORK/old.so is not a function" '\^~+' "${head[@]}" variable:new_f
	at 3:1 "'puts' is not defined in $WORK/old.so, only used there" '\^~~~' \
		"${head[@]}" puts:new_f
	at 4:1 "'f' and 'f' are the same function" '\^' "${head[@]}" f:new_f f:new_g
	at 3:2 "the path of the target is missing" '\^' "${head[@]}" @
	at 3:2 "a second target" '\^~+' "${head[@]}" "@$WORK/old.so" f:new_f
	at 3:2 "the id or path of a patch is missing" '\^' "${head[@]}" '*' f:new_f
	at 3:2 "$WORK/new.so: no live patch" '\^~+' "${head[@]}" "*$WORK/new.so" f:new_f
	at 3:2 "nothing.so: No such file" '\^~+' "${head[@]}" "*nothing.so" f:new_f
	at 4:2 "expected #variable:slot, found no ':'" '\^~+' "${head[@]}" f:new_f '#variable'
	at 4:3 "expected #%variable:slot, found no ':'" '\^~+' "${head[@]}" f:new_f '#%local'
	at 4:16 "expected two addresses" '\^~' "${head[@]}" f:new_f '#variable:slot:12'
	at 4:2 "'local' of $WORK/old.so is not a variable or function" '\^~+' \
		"${head[@]}" f:new_f '#local:slot'
	at 4:3 "'variable' of $WORK/old.so is not thread-local" '\^~+' \
		"${head[@]}" f:new_f '#%variable:slot'
	at 4:11 "'slot' not found in $WORK/new.so" '\^~~~' "${head[@]}" f:new_f '#variable:slot'
	says "make it volatile or global"
	at 4:2 "unknown setting behind '%': there is %scan-memory" '\^~+' "${head[@]}" f:new_f \
		'%scan'
	describe "${head[@]}" "$(printf 'f\001:new_f')"
	pack 1 "$WORK/x.dsc"
	says "line 3, column 2: control character 0x01"
	describe "${head[@]}"
	pack 1 "$WORK/x.dsc"
	says "replaces nothing"
	: >"$WORK/x.dsc"
	pack 1 "$WORK/x.dsc"
	says "names no patch"
	# several at once
	describe "${head[@]}" nothing:new_f f:nothing
	pack 1 "$WORK/x.dsc"
	says "x.dsc:3:1:" "x.dsc:4:3:"
	describe "$WORK/none.so" "@$WORK/old.so" f:new_f
	pack 1 "$WORK/x.dsc"
	says "none.so: No such file" "x.dsc:1:1: note: named here"
	describe "$WORK/new.so" "@$WORK/x.dsc" f:new_f
	pack 1 "$WORK/x.dsc"
	says "not an ELF file" "x.dsc:2:2: note: named here"
}

run_tests test_zlib test_object_is_unchanged test_deterministic test_embedded \
	test_paths_and_options test_long_comment test_scan_memory test_usage \
	test_lines_and_columns
