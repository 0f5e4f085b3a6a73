#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# What the code of a patch may use: imports, weak symbols, thread-local and static variables, tables.
. "$(dirname "$0")/../lib.sh"

test_not_exported() {
	start_victim lib "$VICTIMS/victim_lib"
	expect 37 secret 5
	apply secret
	expect 5036 secret 5
	expect 6036 hidden 5
	revert secret
	expect 37 secret 5
	expect 38 hidden 5
	end_victim
}

# probe WANT WHAT - the patched function's text, and that nothing else changed
probe() {
	expect "$1 errno=0 counter=100,7 tls=5,3" probe "$2"
}

test_code() {
	start_victim lib "$VICTIMS/victim_lib"
	probe "old x" x
	apply probe
	probe "new x" x
	# errno is the thread's own
	expect "close says -1 errno=9 counter=100,7 tls=5,3" probe errno
	# stdout and environ live in the program, which has its own copy of them
	ask probe stdout
	[ "$REPLY" = "from the patch" ] || fail "stdout: '$REPLY'"
	hear
	[ "$REPLY" = "descriptor 1 errno=0 counter=100,7 tls=5,3" ] || fail "stdout: '$REPLY'"
	probe "VICTIM_MARK=here here" environ
	probe "malloc 99992" malloc
	probe "absent absent 102" weak
	end_victim
}

test_tables() {
	start_victim lib "$VICTIMS/victim_lib"
	apply probe
	probe "16" own
	probe "zero two 1060500" tables
	probe "123" sort
	probe "three one many" switch
	probe "1001.625" double
	end_victim
}

# Variables: the patch's own, the library's exported and static ones.
test_variables() {
	start_victim lib "$VICTIMS/victim_lib"
	apply probe
	probe "500 0 1" static
	probe "501 0 2" static
	expect "101 errno=0 counter=101,7 tls=5,3" probe exported
	expect "8 errno=0 counter=101,8 tls=5,3" probe reference
	# reverted and applied again: own variables keep their values, as others do
	revert probe
	expect "old static errno=0 counter=101,8 tls=5,3" probe static
	apply probe
	expect "502 0 3 errno=0 counter=101,8 tls=5,3" probe static
	end_victim
}

test_thread_local() {
	start_victim lib "$VICTIMS/victim_lib"
	apply probe
	expect "15 errno=0 counter=100,7 tls=15,3" probe tls
	expect "60 errno=0 counter=100,7 tls=60,30" thread tls
	expect "25 errno=0 counter=100,7 tls=25,3" probe tls
	expect "103 errno=0 counter=100,7 tls=25,103" probe tls-reference
	expect "130 errno=0 counter=100,7 tls=50,130" thread tls-reference
	expect "203 errno=0 counter=100,7 tls=25,203" probe tls-reference
	end_victim
}

test_cxx() {
	start_victim cxx "$VICTIMS/victim_cxx"
	expect "4 16 32 2" area 4
	expect square name
	expect "5 1.50" large 4
	expect -9 guard 11
	apply cxx
	expect "402 16000 32000 2" area 4
	expect "a very much longer name than that: square" name
	expect "1012 1.50" large 4
	expect -9 guard 11
	expect 3 guard 3
	revert cxx
	expect "4 16 32 2" area 4
	expect square name
	end_victim
}

# What cannot be done is refused, by the name of it, and nothing is changed.
test_refused_code() {
	start_victim lib "$VICTIMS/victim_lib"
	refused apply 1 symbol missing
	grep -q victim_is_not_there "$WORK/out" "$WORK/err" || fail "the symbol is not named"
	expect 42 answer 0
	[ "$(images)" -eq 0 ] || fail "a refused patch left $(images) mappings"
	end_victim
}

# Running threads have no room for new thread-local variables.
test_own_thread_local() {
	if "$ULP_PACKER" pack -o "$WORK/own_tls.so" -l "$O/selftests/patches/own_tls.so" \
		-t "$VICTIMS/libvictim.so" "$SELFTESTS/patches/own_tls.dsc" 2>"$WORK/err"; then
		fail "it was packed"
	fi
	grep -q thread-local "$WORK/err" || fail "not the reason: $(cat "$WORK/err")"
}

run_tests test_not_exported test_code test_tables test_variables test_thread_local test_cxx \
	test_refused_code test_own_thread_local
