#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 240
#
# ulp-packer diff: original code and the target's that are the same, or look like it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
. "$(dirname "$0")/diff.lib"

# relaxed_target FORM REGISTER FLAG... - a target with it, after what the linker makes of it
relaxed_target() {
	local form=$1 reg=$2
	shift 2
	$CC -x assembler-with-cpp "-DFORM=$form" "-DREG=%$reg" "$@" -nostdlib -Wl,--build-id=sha1 -Wl,-e,f \
		-o "$WORK/target.so" "$WORK/x.src" || fail "cannot link $form $reg $*"
	! objdump -d "$WORK/target.so" | grep '(%rip)' | grep -qv lea || fail "$form $reg $*: not relaxed"
}

# FORM|FLAGS: an access through the GOT that the linker makes direct.  The register stays,
# in another field of the instruction, and with another bit of its prefix.
test_relaxed_register() {
	local form flags regs ours theirs
	while IFS='|' read -r form flags; do
		for regs in "rax r8" "rdx rcx" "r12 rsp"; do
			read -r ours theirs <<<"$regs"
			LANGUAGE=assembler-with-cpp objects x "-DFORM=$form" "-DREG=%$ours" <<-END
			.section .text.f,"ax"
			.globl f
			.type f,@function
			f:	.cfi_startproc
				push %rbx
				FORM, REG
				xor %ebx, %ebx
			#ifdef FIXED
				inc %ebx
			#endif
				pop %rbx
				ret
				.cfi_endproc
				.size f, .-f
			.data
			.hidden v
			.globl v
			v:	.quad 1
			.section .tdata,"awT"
			.hidden t
			.globl t
			t:	.quad 1
			.section .note.GNU-stack,""
			END
			# shellcheck disable=SC2086
			relaxed_target "$form" "$ours" $flags
			made
			replaces f
			# shellcheck disable=SC2086
			relaxed_target "$form" "$theirs" $flags
			refused_diff "'f' changed, but its original code is not in" "%$theirs" "%$ours"
		done
	done <<-END
	mov v@GOTPCREL(%rip)|-shared
	mov v@GOTPCREL(%rip)|-static-pie
	mov v@GOTPCREL(%rip)|-no-pie -static
	mov v@GOTPCREL(%rip)|-no-pie -static -fuse-ld=lld
	mov v@GOTPCREL(%rip)|-no-pie -static -fuse-ld=gold
	add v@GOTPCREL(%rip)|-no-pie -static
	cmp v@GOTPCREL(%rip)|-no-pie -static
	xor v@GOTPCREL(%rip)|-no-pie -static -fuse-ld=lld
	mov t@gottpoff(%rip)|-no-pie -static
	add t@gottpoff(%rip)|-no-pie -static
	mov t@gottpoff(%rip)|-no-pie -static -fuse-ld=lld
	add t@gottpoff(%rip)|-no-pie -static -fuse-ld=lld
	add t@gottpoff(%rip)|-no-pie -static -fuse-ld=gold
	END
}

run_tests test_relaxed_register
