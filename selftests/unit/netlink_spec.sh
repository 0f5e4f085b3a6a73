#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The YAML spec of the events says what the headers say.
. "$(dirname "$0")/../lib.sh"

TREE=$(cd "$SELFTESTS/.." && pwd)
SPEC=$TREE/Documentation/netlink/ulp.yaml

# enum HEADER PREFIX - its constants in order, as the spec writes names
enum() {
	sed -n "s/^\t$2\([A-Z0-9_]*\)\(,\|[ \t]*=.*\)/\1/p" "$TREE/uapi/$1" | tr 'A-Z_' 'a-z-'
}

# list BEGIN END - names of "[ a, b ]", or of "name: a", between two lines
list() {
	sed -n "/$1/,/$2/p" "$SPEC"
}

same() {
	[ -s "$WORK/header" ] || fail "no $1 in the header"
	diff "$WORK/header" "$WORK/spec" >"$WORK/diff" || fail "$1: $(cat "$WORK/diff")"
}

test_attributes() {
	enum ulp_netlink.h ULP_A_ | grep -vx unspec >"$WORK/header"
	list '^attribute-sets' '^operations' | sed -n 's/^        name: //p' >"$WORK/spec"
	same attributes
}

test_events() {
	enum ulp_netlink.h ULP_EVENT_ >"$WORK/header"
	list '^operations' '^mcast' | sed -n 's/^      name: //p' >"$WORK/spec"
	same events
}

test_enums() {
	local name
	for name in action backend reason place; do
		cat <(enum ulp.h "ULP_${name^^}_") <(enum ulp_sensor.h "ULP_${name^^}_") >"$WORK/header"
		sed -n "/^    name: $name$/,/\]/p" "$SPEC" | tr -d '\n' |
			sed 's/.*\[\(.*\)\].*/\1/' | tr ',' '\n' | tr -d ' ' >"$WORK/spec"
		echo >>"$WORK/spec"
		same "$name"
	done
}

# What each event lists is known, and none is left out of all of them.
test_lists() {
	list '^operations' '^mcast' | tr -d '\n' | grep -o '\[[^]]*\]' | tr '[],' '\n\n\n' |
		tr -d ' ' | sed '/^$/d' | sort -u >"$WORK/spec"
	enum ulp_netlink.h ULP_A_ | grep -vxE 'unspec|pad' | sort >"$WORK/header"
	same "attributes of events"
}

# And it is YAML.
test_yaml() {
	python3 -c 'import yaml' 2>/dev/null || skip "no python3-yaml"
	python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$SPEC" || fail "no YAML"
}

run_tests test_attributes test_events test_enums test_lists test_yaml
