#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make demo where the packages of redis cannot be had: the small demo is run, which one
# it was is said before and after, and its exit status is the demo's.
. "$(dirname "$0")/../lib.sh"

# tree STATUS KIND - a tree in which the small demo ends with STATUS, and all of redis
# can be fetched but what is of KIND
tree() {
	local demo=$WORK/tree/selftests/demo vm=$WORK/tree/selftests/vm
	mkdir -p "$demo/redis" "$vm"
	cp "$SELFTESTS/demo/redis/run" "$demo/redis"
	printf '#!/bin/sh\necho "the small one runs"\nexit %s\n' "$1" >"$demo/run"
	cat >"$vm/package" <<-END
	#!/bin/sh
	[ "\$1" != "$2" ] || { echo "package: \$2 \$3: not there" >&2; exit 3; }
	END
	printf '#!/bin/sh\necho "a VM was started"\n' >"$vm/run"
	chmod +x "$demo/run" "$vm"/*
}

# falls_back STATUS WHY
falls_back() {
	local status=0
	O=$WORK/build "$WORK/tree/selftests/demo/redis/run" >"$WORK/out" 2>"$WORK/err" || status=$?
	[ "$status" -eq "$1" ] || fail "exit status $status: $(cat "$WORK/out" "$WORK/err")"
	[ "$(cat "$WORK/out")" = "the small one runs" ] || fail "$(cat "$WORK/out")"
	[ "$(grep -c "this is the small demo, with zlib, in place of redis: .*$2" "$WORK/err")" = 2 ] ||
		fail "$(cat "$WORK/err")"
}

test_no_binary() {
	tree 0 binary
	falls_back 0 "redis-tools 5:.* cannot be had"
}

test_no_source() {
	tree 0 source
	falls_back 0 "redis 5:.* cannot be had"
}

test_no_tools() {
	tree 0 tools
	falls_back 0 "what redis is built with cannot be installed"
}

# It says what it was also where that fails.
test_fails() {
	tree 5 debian
	falls_back 5 "redis 5:.* cannot be had"
}

run_tests test_no_binary test_no_source test_no_tools test_fails
