#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# A function that is shorter than a jump: a short jump into padding, or refused by its name.
. "$(dirname "$0")/../lib.sh"

test_padding() {
	start_victim lib "$VICTIMS/victim_lib"
	expect 0 short
	apply short
	expect 12345 short
	revert short
	expect 0 short
	apply short
	expect 12345 short
	expect old\ x\ errno=0\ counter=100,7\ tls=5,3 probe x
	revert short
	expect 0 short
	end_victim
}

# Without alignment there may be no room: then no patch is made, and the
# function is named; if one is made it has to work.
test_no_padding() {
	if "$ULP_PACKER" pack -o "$WORK/short.so" -l "$O/selftests/patches/short.so" \
		-t "$VICTIMS/libvictim.Os.so" "$SELFTESTS/patches/short.dsc" \
		>"$WORK/out" 2>"$WORK/err"; then
		export LD_PRELOAD=$VICTIMS/libvictim.Os.so
		start_victim lib "$VICTIMS/victim_lib"
		unset LD_PRELOAD
		expect 0 short
		apply "$WORK/short.so"
		expect 12345 short
		expect 37 secret 5
		expect 38 hidden 5
		revert "$WORK/short.so"
		expect 0 short
		end_victim
	else
		grep -q victim_short "$WORK/err" || fail "it is not named: $(cat "$WORK/err")"
	fi
}

# neighbours NUMBER FUNCTION... - a patch of these functions, which answer with the
# patch's number in front of their own
neighbours() {
	local name=$1 function
	shift
	printf '%s\n' "$WORK/$name.so" "@$WORK/libshort.so" >"$WORK/$name.dsc"
	for function; do
		echo "$function:new_$function" >>"$WORK/$name.dsc"
		echo "int new_$function(void) { return $name$(function_number "$function"); }"
	done >"$WORK/$name.c"
	gcc -O2 -shared -fPIC -o "$WORK/$name.so" "$WORK/$name.c" || fail gcc
	"$ULP_PACKER" pack -q "$WORK/$name.dsc" || fail "ulp-packer $name"
}

function_number() {
	case $1 in f) echo 1 ;; g) echo 2 ;; k) echo 3 ;; esac
}

# Several patches of functions that share one stretch of padding, alone and with
# their neighbours: all can be applied, on top of one another too, and be taken
# back in any order.
test_shared_padding() {
	cat >"$WORK/libshort.S" <<-'END'
	.macro fn name
	.globl \name
	.type \name, @function
	\name:
	.endm
	fn f
	mov $1, %al
	ret
	.size f, . - f
	fn g
	mov $2, %al
	ret
	.size g, . - g
	fn k
	mov $3, %al
	ret
	.size k, . - k
	.fill 17, 1, 0xcc
	.section .note.GNU-stack, ""
	END
	gcc -shared -Wl,--build-id -o "$WORK/libshort.so" "$WORK/libshort.S" || fail gcc
	neighbours 4 f
	neighbours 5 k f g
	neighbours 6 k
	neighbours 7 g f
	start_victim python /usr/bin/python3 -c '
import ctypes, sys
short = ctypes.CDLL(sys.argv[1])
print("ready", flush=True)
for line in iter(sys.stdin.readline, "quit\n"):
    print(*(getattr(short, name)() & 0xff for name in "fgk"), flush=True)
print("EXIT-SUCCESS", flush=True)
' "$WORK/libshort.so"
	expect "1 2 3" answers
	apply "$WORK/4.so"
	expect "41 2 3" answers
	apply "$WORK/5.so"
	expect "51 52 53" answers
	apply "$WORK/6.so"
	expect "51 52 63" answers
	apply "$WORK/7.so"
	expect "71 72 63" answers
	revert "$WORK/5.so"
	expect "71 72 63" answers
	revert "$WORK/7.so"
	expect "41 2 63" answers
	apply "$WORK/5.so"
	expect "51 52 53" answers
	revert "$WORK/4.so"
	revert "$WORK/5.so"
	expect "1 2 63" answers
	revert "$WORK/6.so"
	expect "1 2 3" answers
	end_victim
}

run_tests test_padding test_no_padding test_shared_padding
