#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 60
#
# ulp-packer: the debug file of a stripped target, where debuggers find it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
. "$(dirname "$0")/diff.lib"

# refused_debug FILE TEXT
refused_debug() {
	pair x
	differ 1 "${PAIRS[@]}" --debug "$1"
	says "$2"
}

# shipped - target.so is stripped and names x.debug, its debug file, which is moved away
shipped() {
	changed_static
	objcopy --only-keep-debug "$WORK/target.so" "$WORK/x.debug"
	strip "$WORK/target.so"
	(cd "$WORK" && objcopy --add-gnu-debuglink=x.debug target.so) || fail "objcopy"
	mkdir "$WORK/away" && mv "$WORK/x.debug" "$WORK/away"
}

# uses FILE - the patch is made with the symbols of this one
uses() {
	made
	replaces g
	grep -qFx "$WORK/target.so: symbols of the debug file $1" "$WORK/out" &&
		grep -q 'named by its debug file' "$WORK/out" ||
		fail "not $1: $(cat "$WORK/out" "$WORK/err")"
}

uses_none() {
	made "$@"
	replaces g
	! grep -q 'debug file' "$WORK/out" || fail "$(cat "$WORK/out")"
}

test_beside_the_target() {
	shipped
	uses_none
	[ ! -s "$WORK/err" ] || fail "$(cat "$WORK/err")"
	mkdir "$WORK/.debug"
	cp "$WORK/away/x.debug" "$WORK/.debug"
	uses "$WORK/.debug/x.debug"
	cp "$WORK/away/x.debug" "$WORK"
	uses "$WORK/x.debug"
	# through a link
	mkdir "$WORK/elsewhere"
	mv "$WORK/target.so" "$WORK/x.debug" "$WORK/elsewhere"
	ln -s elsewhere/target.so "$WORK/target.so"
	uses "$WORK/elsewhere/x.debug"
	# a hand-written patch
	new_function
	describe "$WORK/new.so" "@$WORK/target.so" g:new_f
	pack 0 -v -o "$WORK/out.so" "$WORK/x.dsc"
	grep -q "symbols of the debug file $WORK/elsewhere/x.debug" "$WORK/out" ||
		fail "$(cat "$WORK/out")"
	pack 1 --debug= -o "$WORK/out.so" "$WORK/x.dsc"
	says "'g' not found" "install it, or use --debug FILE"
}

# What is given counts, also if it is that there is none.
test_given() {
	shipped
	cp "$WORK/away/x.debug" "$WORK"
	uses_none --debug=
	made --debug "$WORK/away/x.debug"
	grep -q "symbols of the debug file $WORK/away/x.debug" "$WORK/out" ||
		fail "$(cat "$WORK/out")"
	# the build's own output tells as much
	cp "$WORK/x.shipped.o" "$WORK/again.o"
	$CC -shared -Wl,--build-id=sha1 -o "$WORK/whole.so" "$WORK/again.o"
	uses_none --reproduced "$WORK/whole.so"
	refused_debug "$WORK/x.o" "its build-id is another one"
}

# A file of the right name that is another one is not used, and that is said.
test_others() {
	shipped
	printf x | cat "$WORK/away/x.debug" - >"$WORK/x.debug"
	uses_none
	says "x.debug: not used as the debug file of $WORK/target.so: its CRC is not"
	head -c 1000 "$WORK/away/x.debug" >"$WORK/x.debug"
	uses_none
	says "x.debug: not used as the debug file of $WORK/target.so: it cannot be read"
	echo text >"$WORK/x.debug"
	uses_none
	says "x.debug: not an ELF file"
	# another build with the same code, and a link that fits it
	$CC -shared -Wl,--build-id=md5 -o "$WORK/other.so" "$WORK/x.shipped.o"
	objcopy --only-keep-debug "$WORK/other.so" "$WORK/x.debug"
	objcopy --remove-section=.gnu_debuglink "$WORK/target.so"
	(cd "$WORK" && objcopy --add-gnu-debuglink=x.debug target.so)
	uses_none
	says "x.debug: not used as the debug file of $WORK/target.so: its build-id is another one"
	# a link to the target itself
	mkdir "$WORK/self"
	cp "$WORK/away/x.debug" "$WORK/self/target.so"
	objcopy --remove-section=.gnu_debuglink "$WORK/target.so"
	objcopy --add-gnu-debuglink="$WORK/self/target.so" "$WORK/target.so"
	uses_none
	[ ! -s "$WORK/err" ] || fail "$(cat "$WORK/err")"
}

# At the place for the whole machine, by build-id and by directory.
test_installed() {
	local id dir place
	shipped
	unshare -Urm true 2>/dev/null || skip "no namespaces"
	[ -d /usr/lib/debug ] || skip "no /usr/lib/debug"
	cat >"$WORK/installed" <<-'END'
	#!/bin/sh
	# installed FILE PLACE COMMAND...
	mount -t tmpfs none /usr/lib/debug && mkdir -p "$(dirname "$2")" && cp "$1" "$2" || exit 99
	shift 2
	exec "$@"
	END
	id=$(readelf -n "$WORK/target.so" | awk '/Build ID/ { print $3 }')
	dir=$(realpath "$WORK")
	for place in ".build-id/${id:0:2}/${id:2}.debug" "$dir/x.debug"; do
		cat >"$WORK/packer" <<-END
		#!/bin/sh
		exec unshare -Urm sh "$WORK/installed" "$WORK/away/x.debug" "/usr/lib/debug/$place" \
			"$ULP_PACKER" "\$@"
		END
		chmod +x "$WORK/packer"
		(ULP_PACKER=$WORK/packer && uses "$(realpath -m "/usr/lib/debug/$place")") || exit
	done
}

run_tests test_beside_the_target test_given test_others test_installed
