#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# .ci/deps, with an apt-get and a dpkg-query of our own that install nothing:
# what is missing is asked for once, and never by two at a time.
. "$(dirname "$0")/../lib.sh"

DEPS=$SELFTESTS/../.ci/deps

# machine - one with apt, on which nothing is installed.  Like dpkg's lock, that of
# this apt-get fails who comes second.
machine() {
	mkdir "$WORK/bin" "$WORK/installed"
	cat >"$WORK/bin/apt-get" <<-END
	#!/bin/sh
	[ "\$1" = install ] || exit 0
	echo "\$*" >>"$WORK/calls"
	mkdir "$WORK/locked" 2>/dev/null || { echo "Could not get lock"; exit 100; }
	sleep 0.3
	shift
	for word; do
		case \$word in -* | DPkg*) ;; *) : >"$WORK/installed/\$word" ;; esac
	done
	rmdir "$WORK/locked"
	END
	cat >"$WORK/bin/dpkg-query" <<-END
	#!/bin/sh
	for word; do
		[ ! -e "$WORK/installed/\$word" ] || echo "\$word installed"
	done
	END
	printf '#!/bin/sh\nexit 1\n' >"$WORK/bin/apt-cache"
	printf '#!/bin/sh\necho 0\n' >"$WORK/bin/id"
	chmod +x "$WORK"/bin/*
	PATH=$WORK/bin:$PATH
	: >"$WORK/calls"
}

test_several_at_once() {
	local step pids=()
	machine
	for step in build unit vm lint vm; do
		KDIR=/none "$DEPS" "$step" >"$WORK/out.${#pids[@]}" 2>&1 &
		pids+=($!)
	done
	for step in "${!pids[@]}"; do
		wait "${pids[$step]}" || fail "deps: $(cat "$WORK/out.$step")"
	done
	for package in gcc qemu-system-x86 sparse; do
		[ -e "$WORK/installed/$package" ] || fail "$package was not asked for"
	done
	[ "$(grep -cw qemu-system-x86 "$WORK/calls")" = 1 ] || fail "asked for again"
	[ "$(grep -cw man-db "$WORK/calls")" = 1 ] || fail "asked for again"
	[ "$(grep -cw xz-utils "$WORK/calls")" = 1 ] || fail "asked for by two steps"
}

test_all_there() {
	machine
	KDIR=/none "$DEPS" build >"$WORK/out" || fail "deps build"
	: >"$WORK/calls"
	KDIR=/none "$DEPS" build >"$WORK/out" || fail "deps build again"
	[ ! -s "$WORK/calls" ] || fail "installs again: $(cat "$WORK/calls")"
	[ ! -s "$WORK/out" ] || fail "not silent: $(cat "$WORK/out")"
}

test_refused() {
	machine
	printf '#!/bin/sh\necho no such package\nexit 100\n' >"$WORK/bin/apt-get"
	if KDIR=/none "$DEPS" vm >"$WORK/out" 2>&1; then
		fail "success without packages"
	fi
	grep -q 'no such package' "$WORK/out" || fail "why is not said"
	grep -q 'could not install.* qemu-system-x86' "$WORK/out" || fail "what is not said"
	printf '#!/bin/sh\necho 1000\n' >"$WORK/bin/id"
	if KDIR=/none "$DEPS" vm >"$WORK/out" 2>&1; then
		fail "success without root"
	fi
	grep -q 'as root: apt-get install .*qemu-system-x86' "$WORK/out" || fail "no hint"
}

run_tests test_several_at_once test_all_there test_refused
