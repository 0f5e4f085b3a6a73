#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# module: release
# timeout: 400
#
# Registers of threads that spin in user mode: general, flags, x87, SSE, AVX; and errno.
. "$(dirname "$0")/../lib.sh"

COUNT=$(scaled 20)

test_registers() {
	start_victim regs "$VICTIMS/victim_regs"
	ask vectors
	note "vector registers: $REPLY"
	for i in $(seq "$COUNT"); do
		apply answer
		revert answer
		# each check stops the spinning, so most operations go by without one
		[ $((i % 5)) -ne 0 ] || expect ok check
	done
	tool 0 patches --json -p "${PID[regs]}"
	expect ok check
	apply answer
	expect ok check
	expect 1000 answer 0
	end_victim
}

test_registers_stop_machine() {
	start_victim regs "$VICTIMS/victim_regs"
	for _ in 1 2 3 4 5; do
		apply answer --backend stop-machine
		revert answer --backend stop-machine
	done
	expect ok check
	end_victim
}

run_tests test_registers test_registers_stop_machine
