#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# What does not fit is refused, for the right reason, and nothing is changed.
. "$(dirname "$0")/../lib.sh"

# address FUNCTION - of libvictim, in the victim
address() {
	local base value
	base=$(awk '/libvictim.so/ { print substr($1, 1, index($1, "-") - 1); exit }' \
		"/proc/${PID[$VICTIM]}/maps")
	value=$(nm -D "$VICTIMS/libvictim.so" | awk -v name="$1" '$3 == name { print $1 }')
	echo $((0x$base + 0x$value))
}

# peek ADDRESS LENGTH
peek() {
	dd if="/proc/${PID[$VICTIM]}/mem" bs=1 skip="$1" count="$2" status=none | od -An -tx1
}

test_other_build() {
	mkdir "$WORK/lib"
	cp "$VICTIMS/libvictim.O3.so" "$WORK/lib/libvictim.so"
	cp "$VICTIMS/libvictim.O3.so" "$WORK/lib/libvictim.O3.so"
	start_victim lib env LD_LIBRARY_PATH="$WORK/lib" "$VICTIMS/victim_lib"
	refused apply 0 build-id answer
	expect 42 answer 0
	[ "$(images)" -eq 0 ] || fail "it left $(images) mappings"
	end_victim
}

test_not_the_target() {
	start_victim exe "$O/selftests/flow/matrix/victim_exe.pie"
	refused apply 0 not-target answer
	expect 42 answer 0
	end_victim
}

# A breakpoint on the first byte, and a jump of somebody else.
test_foreign_hook() {
	local where saved hook
	start_victim lib "$VICTIMS/victim_lib"
	where=$(address victim_answer)
	saved=$(peek "$where" 5)
	for hook in '\xcc' '\xe9\x10\x00\x00\x00'; do
		poke "$where" "$hook"
		refused apply 1 foreign-hook answer
		[ "$(images)" -eq 0 ] || fail "it left $(images) mappings"
		# shellcheck disable=SC2001
		poke "$where" "$(echo "$saved" | sed 's/ /\\x/g')"
		[ "$(peek "$where" 5)" = "$saved" ] || fail "restored wrongly"
	done
	expect 42 answer 0
	apply answer
	expect 1000 answer 0
	end_victim
}

test_other_bytes() {
	local where saved
	start_victim lib "$VICTIMS/victim_lib"
	where=$(address victim_answer)
	saved=$(peek "$where" 5)
	poke "$where" '\x48\x89\xc0'
	refused apply 1 bytes-differ answer
	[ "$(peek "$where" 3)" = " 48 89 c0" ] || fail "the function is changed"
	# shellcheck disable=SC2001
	poke "$where" "$(echo "$saved" | sed 's/ /\\x/g')"
	apply answer
	end_victim
}

# Of three functions the last one does not fit: the first ones are not replaced.
test_all_or_nothing() {
	local where
	start_victim lib "$VICTIMS/victim_lib"
	where=$(address victim_right)
	saved=$(peek "$where" 5)
	poke "$where" '\x48\x89\xc0'
	refused apply 1 bytes-differ outer
	# shellcheck disable=SC2001
	poke "$where" "$(echo "$saved" | sed 's/ /\\x/g')"
	expect 0x10102 outer
	apply outer
	expect 0x20304 outer
	end_victim
}

# Somebody hooks the function after it was patched: a revert must not undo that.
test_hook_after_patch() {
	local where saved
	start_victim lib "$VICTIMS/victim_lib"
	apply answer
	where=$(address victim_answer)
	saved=$(peek "$where" 5)
	poke "$where" '\xcc'
	"$ULP_TOOL" revert --json -p "${PID[lib]}" "$PATCHES/answer.so" >"$WORK/out" 2>"$WORK/err"
	[ $? -eq 1 ] || fail "exit status $?"
	case $(json_value results.0.reason) in
	foreign-hook | bytes-differ) ;;
	*) fail "reason $(json_value results.0.reason)" ;;
	esac
	[ "$(peek "$where" 1)" = " cc" ] || fail "it undid the hook of another"
	# shellcheck disable=SC2001
	poke "$where" "$(echo "$saved" | sed 's/ /\\x/g')"
	expect 1000 answer 0
	revert answer
	expect 42 answer 0
	end_victim
}

damaged() {
	tool 1 apply --json -p "${PID[$VICTIM]}" "$WORK/damaged.so"
	json errors.0.reason=container errors.0.message results.#=0 summary.success=0
	expect 42 answer 0
}

test_truncated() {
	local size length
	start_victim lib "$VICTIMS/victim_lib"
	size=$(stat -c %s "$PATCHES/answer.so")
	for length in 0 1 63 64 1000 $((size / 2)) $((size - 64)) $((size - 1)); do
		head -c "$length" "$PATCHES/answer.so" >"$WORK/damaged.so"
		damaged
	done
	cat "$PATCHES/answer.so" - <<<x >"$WORK/damaged.so"
	damaged
	cp "$O/selftests/patches/answer.so" "$WORK/damaged.so"
	damaged
	[ "$(images)" -eq 0 ] || fail "it left $(images) mappings"
	end_victim
}

# One bit anywhere in the file, within .ulp and outside of it.
test_flipped() {
	local size at byte
	start_victim lib "$VICTIMS/victim_lib"
	size=$(stat -c %s "$PATCHES/answer.so")
	for i in $(seq "$(scaled 40)"); do
		at=$((size * (i - 1) / $(scaled 40)))
		cp "$PATCHES/answer.so" "$WORK/damaged.so"
		byte=$(od -An -tu1 -j $at -N 1 "$WORK/damaged.so")
		# shellcheck disable=SC2059
		printf "\\x$(printf %x $((byte ^ (1 << (i % 8)))))" |
			dd of="$WORK/damaged.so" bs=1 seek=$at conv=notrunc status=none
		damaged
	done
	[ "$(images)" -eq 0 ] || fail "it left $(images) mappings"
	apply answer
	expect 1000 answer 0
	end_victim
}

run_tests test_other_build test_not_the_target test_foreign_hook test_other_bytes \
	test_all_or_nothing test_hook_after_patch test_truncated test_flipped
