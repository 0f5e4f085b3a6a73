#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 600
#
# All kinds of programs and libraries: how they are linked, compiled, stripped.
. "$(dirname "$0")/../../lib.sh"

EXE=$O/selftests/flow/matrix/victim_exe

# exe VARIANT - an exported and a static function of a program
exe() {
	start_victim exe "$EXE.$1"
	expect 42 answer 0
	expect 22 static 3
	apply "exe.$1"
	expect 1000 answer 0
	expect 5021 static 3
	expect set set 9
	expect 5027 static 3
	tool 0 patches --json -p "${PID[exe]}"
	json processes.0.objects.0.patches.0.active=true
	revert "exe.$1"
	expect 42 answer 0
	expect 28 static 3
	apply "exe.$1"
	expect 1000 answer 0
	end_victim
}

# lib VARIANT - static, hidden and exported functions of a library
lib() {
	export LD_PRELOAD=$VICTIMS/libvictim.$1.so
	start_victim lib "$VICTIMS/victim_lib"
	unset LD_PRELOAD
	expect 37 secret 5
	expect 38 hidden 5
	apply "secret.$1"
	expect 5036 secret 5
	expect 6036 hidden 5
	if [ -e "$PATCHES/outer.$1.so" ]; then
		expect 0x10102 outer
		apply "outer.$1"
		expect 0x20304 outer
		revert "outer.$1"
		expect 0x10102 outer
	fi
	revert "secret.$1"
	expect 37 secret 5
	expect 38 hidden 5
	end_victim
}

tests=()
for variant in pie nopie static static-pie pie-O0 pie-O3 pie-Os nopie-O0 static-O3 pie-cet \
	pie-nop16 pie-nop5 pie-cet-nop16 static-cet pie.stripped nopie.stripped static.stripped \
	static-pie.stripped pie-cet-nop16.stripped; do
	eval "test_exe_${variant}() { exe $variant; }"
	tests+=("test_exe_$variant")
done
for variant in O0 O3 Os cet nop16 nop5 cet-nop16 stripped; do
	eval "test_lib_${variant}() { lib $variant; }"
	tests+=("test_lib_$variant")
done
run_tests "${tests[@]}"
