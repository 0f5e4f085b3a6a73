#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make corpus, of packages that are made up here: which diffs are taken of an update, for
# which files, by which compiler they are built, what is done to them in the VM, and what
# the table says of it.
. "$(dirname "$0")/../lib.sh"

# update - a package, old and new, in a tree where all fetching is copying
update() {
	local corpus=$WORK/tree/selftests/corpus vm=$WORK/tree/selftests/vm
	local old=$WORK/have/source new=$WORK/have/debian
	mkdir -p "$corpus" "$vm" "$WORK/have/binary/usr/bin"
	cp "$SELFTESTS"/corpus/{build,table,root} "$corpus"
	mkdir -p "$old/debian/patches" "$new/debian/patches"
	cat >"$vm/package" <<-END
	#!/bin/sh
	case \$1 in
	binaries) echo "pkg \$3" ;;
	*)
		[ "\$1" != "${GONE:-}" ] || { echo "package: this machine's mirror does not have it"; exit 3; }
		mkdir -p "\$(dirname "\$4")"
		cp -a "$WORK/have/\$1" "\$4" ;;
	esac
	END
	# what would be built
	cat >"$vm/build-root" <<-END
	#!/bin/sh
	printf '%s\n' "\$@" >"$WORK/called"
	END
	cat >"$corpus/root" <<-END
	#!/bin/sh
	[ "\$1" != compiler ] || echo "$COMPILER"
	END
	chmod +x "$vm"/* "$corpus/root"
	cp /bin/true "$WORK/have/binary/usr/bin/one"
	ln "$WORK/have/binary/usr/bin/one" "$WORK/have/binary/usr/bin/two"
}

# diff_of VERSION NAME LINE [HEADING] - of its debian/patches
diff_of() {
	local dir=$WORK/have/$1/debian/patches
	printf '%s\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-0\n+%s\n' "${4:-}" "$3" >"$dir/$2"
	echo "$2" >>"$dir/series"
}

corpus_build() {
	O=$WORK/build "$WORK/tree/selftests/corpus/build" pkg 1.0-1 1.0-1+deb1 \
		>"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
	DIR=$WORK/build/corpus/pkg
}

# in_vm - inside, where nothing of a VM is wanted; $SAYS is what ulp-tool says
in_vm() {
	local bin=$WORK/bin build=$WORK/build
	mkdir -p "$bin" "$build/ulp-tool" "$build/corpus/pkg"/{files,patches/new} "$WORK/results"
	for name in insmod mount; do
		ln -s /bin/true "$bin/$name"
	done
	printf '#!/bin/sh\nshift\nexec "$@"\n' >"$bin/chroot"
	cat >"$build/ulp-tool/ulp-tool" <<-END
	#!/bin/sh
	case \$1 in
	patches) echo new ;;
	*) echo "true (pid: 1): $SAYS" ;;
	esac
	echo "ulp-tool: 1 of something, 0 of something else"
	END
	chmod +x "$bin/chroot" "$build/ulp-tool/ulp-tool"
	"${CC:-gcc}" -shared -fPIC -o "$build/corpus/hold.so" "$SELFTESTS/corpus/hold.c" ||
		fail "cannot compile hold.c"
	echo "1234 $(realpath "$bin/mount")" >"$build/corpus/pkg/targets"
	echo new.patch >"$build/corpus/pkg/diffs"
	echo "$COMMAND" >"$build/corpus/pkg/command"
	: >"$build/corpus/pkg/patches/new/1234.so"
	# what is left behind holds the pipe open
	O=$build ULP_OUT=$WORK/results PATH=$bin:$PATH timeout "$((LIMIT / 2))" \
		"$SELFTESTS/corpus/inside" pkg 2>&1 | cat >"$WORK/out"
	[ "${PIPESTATUS[0]}" = 0 ] || fail "it does not end: $(cat "$WORK/out")"
}

table() {
	O=$WORK/build "$WORK/tree/selftests/corpus/table" pkg >"$WORK/table" 2>&1
}

# Not those that the old version has: they would be applied twice.
test_diffs() {
	update
	diff_of source same 1 "Date: today"
	diff_of debian same 1 "Date: tomorrow"
	diff_of source other 1
	diff_of debian other 2
	diff_of debian new 3
	corpus_build
	[ "$(cat "$DIR/diffs")" = new ] || fail "diffs: $(cat "$DIR/diffs")"
	grep -q '/patches/new$' "$WORK/called" || fail "$(cat "$WORK/called")"
	! grep -qE '/patches/(same|other)$' "$WORK/called" || fail "$(cat "$WORK/called")"
	table
	grep -q "not counted: pkg other: the old version has it already" "$WORK/table" ||
		fail "$(cat "$WORK/table")"
	! grep -q same "$WORK/table" || fail "$(cat "$WORK/table")"
}

test_names_of_a_file() {
	update
	diff_of debian new 1
	corpus_build
	[ "$(grep -cx -- --target "$WORK/called")" = 1 ] || fail "$(cat "$WORK/called")"
}

test_compiler() {
	COMPILER=/usr/lib/older
	update
	diff_of debian new 1
	corpus_build
	grep -qE '^PATH=([^:]*:){2}/usr/lib/older:' "$WORK/called" || fail "$(cat "$WORK/called")"
}

test_gone() {
	GONE=source
	update
	diff_of debian new 1
	corpus_build
	[ ! -e "$WORK/called" ] || fail "something was built"
	! table || fail "a table of nothing is no success"
	grep -q "not counted: pkg: the mirror does not have 1.0-1 (source)" "$WORK/table" ||
		fail "$(cat "$WORK/table")"
}

test_inside() {
	COMMAND='' SAYS="SUCCESS x" in_vm
	grep -qx "new 1234 ok '.*' runs as before" "$WORK/results/pkg" ||
		fail "$(cat "$WORK/results/pkg")"
}

# The whole of what the tool says is in the notes, not its reason alone.
test_message() {
	COMMAND='' SAYS="FAILED $WORK/build/corpus/pkg/patches/new/1234.so: symbol: there is no such thing" in_vm
	grep -qx "new 1234 failed apply: FAILED new/1234.so: symbol: there is no such thing" \
		"$WORK/results/pkg" || fail "$(cat "$WORK/results/pkg")"
}

# Many reasons are not all in the notes.
test_refused() {
	local patch=$WORK/build/corpus/pkg/patches/new
	update
	mkdir -p "$patch"
	echo new.patch >"$WORK/build/corpus/pkg/diffs"
	echo 1 >"$patch/status"
	printf 'ulp-packer: error: reason %s\n' 1 2 2 3 4 >"$patch/log"
	table || true
	grep -q "^pkg new: reason 1; reason 2; and 2 more" "$WORK/table" ||
		fail "$(cat "$WORK/table")"
	grep -q "^0 of 1 patches" "$WORK/table" || fail "$(cat "$WORK/table")"
}

run_tests test_diffs test_names_of_a_file test_compiler test_gone test_inside test_message \
	test_refused
