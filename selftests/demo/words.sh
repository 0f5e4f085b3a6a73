# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the demos say and check; sourced, with $work a directory.
: "${work:?}"

die() {
	echo "demo: $*" >&2
	exit 1
}

story() {
	echo
	echo "== $* =="
}

# show STATUS COMMAND... - print the command and its output, which is kept for
# says; it must end with STATUS
show() {
	local want=$1 status
	shift
	echo
	echo "# ${*@Q}" | sed "s/'\([[:alnum:]_.\/:@%+=-]*\)'/\1/g"
	"$@" >"$work/output" 2>&1
	status=$?
	cat "$work/output"
	[ $status -eq "$want" ] || die "'$*': exit status $status instead of $want"
	[ $status -eq 0 ] || echo "(exit status $status)"
}

# says TEXT... - the last command's output must have all of them
says() {
	local text
	for text; do
		grep -qF -- "$text" "$work/output" || die "the output lacks '$text'"
	done
}
