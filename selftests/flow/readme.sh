#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 200
#
# The lines of README under "Use it", as they are written there.
. "$(dirname "$0")/../lib.sh"

README=$SELFTESTS/../README

test_ten_lines() {
	[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
	start_victim python /usr/bin/python3 -c '
import ctypes, sys
z = ctypes.CDLL("libz.so.1")
z.zlibVersion.restype = ctypes.c_char_p
print("ready", flush=True)
for line in iter(sys.stdin.readline, "quit\n"):
    print(z.zlibVersion().decode(), flush=True)
print("EXIT-SUCCESS", flush=True)
'
	ask version
	local version=$REPLY

	sed -n '/^Use it$/,/^    ulp-tool revert/s/^    //p' "$README" >"$WORK/lines"
	grep -q '^ulp-tool revert' "$WORK/lines" || fail "README has no such lines any more"
	mkdir "$WORK/tree"
	ln -s "$O" "$WORK/tree/build"
	cd "$WORK/tree" || fail "no $WORK/tree"
	PATH=$O/packer:$O/ulp-tool:$PATH

	# up to the last line, and then that: what is between is seen by the victim
	sed '$d' "$WORK/lines" >"$WORK/first"
	bash -ex "$WORK/first" >"$WORK/out" 2>"$WORK/err" ||
		fail "status $?: $(cat "$WORK/out" "$WORK/err")"
	note "$(cat "$WORK/out")"
	expect "1.2.13 (patched)" version
	grep -q CVE-2022-37434 "$WORK/out" || fail "ulp-tool patches does not show the label"
	bash -ex <(tail -n 1 "$WORK/lines") >"$WORK/out" 2>"$WORK/err" ||
		fail "status $?: $(cat "$WORK/out" "$WORK/err")"
	expect "$version" version
	end_victim
}

run_tests test_ten_lines
