#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# fork copies what is applied, exec drops it.
. "$(dirname "$0")/../lib.sh"

test_fork() {
	local child
	start_victim lib "$VICTIMS/victim_lib"
	apply answer
	ask fork
	child=$REPLY
	# the child answers now
	expect 1000 answer 0
	tool 0 patches --json -p "$child"
	json processes.0.objects.0.patches.0.active=true
	tool 0 revert --json -p "$child" "$PATCHES/answer.so"
	json results.0.status=success
	expect 42 answer 0
	tool 0 apply --json -p "$child" "$PATCHES/second.so"
	json results.0.status=success
	expect 7000 second 0
	echo leave >&"${TO[lib]}"
	hear
	[ "$REPLY" = "child ended with 0" ] || fail "$REPLY"
	# the parent's is as it was
	expect 1000 answer 0
	expect 100 second 0
	revert answer
	expect 42 answer 0
	end_victim
}

test_exec() {
	start_victim lib "$VICTIMS/victim_lib"
	apply answer
	expect 1000 answer 0
	expect ready exec
	expect 42 answer 0
	[ "$(images)" -eq 0 ] || fail "$(images) mappings after exec"
	refused revert 0 not-applied answer
	apply answer
	expect 1000 answer 0
	end_victim
}

run_tests test_fork test_exec
