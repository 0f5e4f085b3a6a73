# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Where the VM scripts find things.  Sourced, not run; the caller sets HERE.
#
# O      build directory (default: build/ of this tree)
# VMDIR  what was downloaded and unpacked for the VM (default: $O/vm)
# KVER   kernel to boot (default: the newest with installed headers);
#        "debug" is the one that debug-kernel builds

: "${HERE:?}"
TOP=$(cd "$HERE/../.." && pwd)
O=$(realpath -m "${O:-$TOP/build}")
VMDIR=$(realpath -m "${VMDIR:-$O/vm}")

die() {
	echo "${0##*/}: $*" >&2
	exit 125
}

# The running kernel if its headers are there, else the newest that has some.
default_kver() {
	if [ -e "/usr/src/linux-headers-$(uname -r)" ]; then
		uname -r
		return
	fi
	for dir in /usr/src/linux-headers-*; do
		[ -e "$dir/.config" ] && echo "${dir#*/linux-headers-}"
	done | sort -V | tail -n 1
}

KVER=${KVER:-$(default_kver)}
[ -n "$KVER" ] || die "no kernel headers in /usr/src: run 'make deps', or name a kernel by KVER="

# Several people and several runs share VMDIR: one at a time fills it.
LOCK=$VMDIR/.lock
LOCK_WAIT=900

with_lock() {
	mkdir -p "$VMDIR" || die "cannot create $VMDIR"
	exec 9>"$LOCK"
	flock -w "$LOCK_WAIT" 9 ||
		die "another run has held $LOCK for $((LOCK_WAIT / 60)) minutes"
	"$@" 9>&-
	exec 9>&-
}
