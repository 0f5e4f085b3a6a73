#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The command line says the same as the manual, and says no to nonsense.
. "$(dirname "$0")/../lib.sh"

TREE=$(cd "$SELFTESTS/.." && pwd)
MANUAL=$TREE/Documentation/man/ulp-tool.8
COMPLETION=$TREE/ulp-tool/ulp-tool.bash-completion

test_version() {
	local version
	version=$(sed -n 's/^VERSION[ \t]*:= //p' "$TREE/Makefile")
	for program in "$ULP_TOOL" "$ULP_PACKER"; do
		"$program" --version >"$WORK/out" || fail "$program --version: status $?"
		grep -qwF "$version" "$WORK/out" || fail "$program is not $version: $(cat "$WORK/out")"
	done
}

commands() {
	"$ULP_TOOL" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# all long options that the help of any command shows
help_options() {
	for command in $(commands); do
		"$ULP_TOOL" "$command" --help || fail "$command --help: status $?"
	done | grep -o -- '--[a-z][a-z-]*' | sort -u
}

# plain FILE - without the escapes of roff
plain() {
	sed 's/\\-/-/g; s/\\f[A-Z]//g' "$1"
}

test_manual() {
	[ "$(commands | wc -l)" -ge 6 ] || fail "--help shows no commands"
	plain "$MANUAL" >"$WORK/manual" || fail "no manual page"
	for word in $(commands) $(help_options); do
		grep -qw -e "$word" "$WORK/manual" || fail "ulp-tool.8 does not know $word"
	done
	for option in $(grep -o -- '--[a-z][a-z-]*' "$WORK/manual" | sort -u); do
		help_options | grep -qxe "$option" || fail "no --help shows $option of ulp-tool.8"
	done
}

test_completion() {
	for word in $(commands) $(help_options); do
		grep -qwe "$word" "$COMPLETION" || fail "the completion does not know $word"
	done
}

# wrong STATUS ARG... - with a complaint on standard error and nothing else
wrong() {
	local want=$1
	shift
	tool "$want" "$@"
	[ -s "$WORK/err" ] || fail "ulp-tool $* says nothing"
	[ ! -s "$WORK/out" ] || fail "ulp-tool $* prints: $(cat "$WORK/out")"
}

test_usage() {
	wrong 2
	wrong 2 no-such-command
	wrong 2 apply --no-such-option
	wrong 2 apply
	wrong 2 dump
	wrong 2 apply -p 1 --retries=many patch.so
	wrong 2 status --retries=1
}

test_no_such_file() {
	wrong 1 dump "$WORK/nothing.so"
	grep -qF "$WORK/nothing.so" "$WORK/err" || fail "the message does not name the file"
}

run_tests test_version test_manual test_completion test_usage test_no_such_file
