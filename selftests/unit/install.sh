#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 180
#
# What make install puts down can be used from there: a program built against
# libulp by pkg-config, and the module built from the sources for DKMS.
. "$(dirname "$0")/../lib.sh"

TREE=$(cd "$SELFTESTS/.." && pwd)
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH

run_make() {
	make -s -C "$TREE" O="$O" "$@" >"$WORK/make" 2>&1 && return
	note "$(tail -n 20 "$WORK/make")"
	fail "make $*: status $?"
}

# put_down - install under $WORK/root
put_down() {
	run_make install DESTDIR="$WORK/root" PREFIX=/usr
	PKG_CONFIG_SYSROOT_DIR=$WORK/root
	PKG_CONFIG_PATH=$WORK/root/usr/lib/pkgconfig
}

test_program() {
	put_down
	cat >"$WORK/use.c" <<-'END'
	#include <libulp.h>
	#include <stdio.h>

	int main(void)
	{
		struct ulp_context *ctx;
		struct ulp_patch *patch;

		if (ulp_context_new(&ctx))
			return 1;
		if (ulp_patch_open(ctx, "/nothing", &patch) >= 0)
			return 1;
		puts(ulp_error(ctx));
		ulp_context_free(ctx);
		return 0;
	}
	END
	# shellcheck disable=SC2046 # flags are words
	gcc -Wall -Werror -o "$WORK/shared" "$WORK/use.c" $(pkg-config --cflags --libs libulp) ||
		fail "the shared library cannot be linked"
	# shellcheck disable=SC2046
	gcc -Wall -Werror -o "$WORK/static" "$WORK/use.c" $(pkg-config --cflags libulp) \
		"$WORK/root/usr/lib/libulp.a" $(sed -n 's/^Libs.private: //p' "$O/libulp/libulp.pc") ||
		fail "the static library cannot be linked"
	LD_LIBRARY_PATH=$WORK/root/usr/lib "$WORK/shared" | grep -q /nothing || fail "shared"
	"$WORK/static" | grep -q /nothing || fail "static"
	g++ -Wall -Werror -fsyntax-only -x c++ "$WORK/root/usr/include/ulp/libulp.h" ||
		fail "libulp.h is not for C++"
}

test_exports() {
	put_down
	nm -D --defined-only "$WORK/root/usr/lib/libulp.so" |
		sed -n 's/.* \([^ ]*\)@@.*/\1/p' | grep -vx 'ULP_[0-9.]*' | sort >"$WORK/exported"
	grep -o '\bulp_[a-z_]*(' "$WORK/root/usr/include/ulp/libulp.h" | tr -d '(' | sort -u \
		>"$WORK/declared"
	[ -s "$WORK/exported" ] || fail "libulp.so exports nothing"
	while read -r name; do
		grep -qx "$name" "$WORK/declared" || fail "$name is exported and not in libulp.h"
	done <"$WORK/exported"
}

test_dkms() {
	local kdir
	put_down
	kdir=$(make -s -C "$TREE" O="$O" print-KDIR)
	[ -d "$kdir" ] || skip "no kernel headers"
	cd "$WORK"/root/usr/src/ulp-* || fail "no sources"
	make -s -C "$kdir" M="$PWD/kmod" modules >"$WORK/make" 2>&1 ||
		fail "the module does not build: $(tail -n 5 "$WORK/make")"
	[ -f kmod/ulp.ko ] || fail "no module"
	grep -q '^BUILT_MODULE_NAME\[0\]="ulp"$' dkms.conf || fail "dkms.conf"
	if grep -q '@[A-Z]*@' dkms.conf; then
		fail "dkms.conf is not filled in"
	fi
}

test_modules_install() {
	run_make modules_install DESTDIR="$WORK/root"
	modinfo -F name "$(find "$WORK/root/lib/modules" -name 'ulp.ko*')" | grep -qx ulp ||
		fail "no module"
}

# systemd takes the units, the two together, and finds no order that goes in a circle.
test_units() {
	command -v systemd-analyze >/dev/null || skip "no systemd"
	mkdir "$WORK/units"
	sed "s,@PREFIX@/sbin/ulp-tool,$ULP_TOOL," "$TREE/ulp-tool/systemd/ulp.service.in" \
		>"$WORK/units/ulp.service"
	cp "$TREE/ulp-tool/systemd/ulp.path" "$WORK/units"
	systemd-analyze verify --man=no "$WORK/units/ulp.service" "$WORK/units/ulp.path" \
		>"$WORK/verify" 2>&1 || fail "$(cat "$WORK/verify")"
	[ ! -s "$WORK/verify" ] || fail "$(cat "$WORK/verify")"
}

run_tests test_program test_exports test_dkms test_modules_install test_units
