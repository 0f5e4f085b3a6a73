#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Everything that was built says the version of the top Makefile.
. "$(dirname "$0")/../lib.sh"

VERSION=$(sed -n 's/^VERSION[ \t]*:= //p' "$SELFTESTS/../Makefile")

test_programs() {
	for program in "$ULP_TOOL" "$ULP_PACKER"; do
		"$program" --version >"$WORK/out" || fail "$program --version: status $?"
		grep -qwF "$VERSION" "$WORK/out" || fail "$program is not $VERSION: $(cat "$WORK/out")"
	done
}

test_pkg_config() {
	grep -qx "Version: $VERSION" "$O/libulp/libulp.pc" || fail "libulp.pc is not $VERSION"
}

test_modules() {
	for module in "$ULP_KO" "${ULP_KO%/kmod/*}/kmod-debug/ulp.ko"; do
		modinfo -F version "$module" >"$WORK/out" || fail "no $module"
		grep -qxF "$VERSION" "$WORK/out" || fail "$module is not $VERSION: $(cat "$WORK/out")"
	done
}

run_tests test_programs test_pkg_config test_modules
