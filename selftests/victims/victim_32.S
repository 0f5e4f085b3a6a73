/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A 32-bit program that waits: built without any 32-bit library.  It says
 * "ready" and reads until the end of its input.
 */
	.text
	.globl _start
_start:
	movl $4, %eax		/* write(1, ready, 6) */
	movl $1, %ebx
	movl $ready, %ecx
	movl $6, %edx
	int $0x80
1:	movl $3, %eax		/* read(0, buffer, 64) */
	xorl %ebx, %ebx
	movl $buffer, %ecx
	movl $64, %edx
	int $0x80
	testl %eax, %eax
	jg 1b
	movl $1, %eax		/* exit(0) */
	xorl %ebx, %ebx
	int $0x80
	.data
ready:	.ascii "ready\n"
	.bss
buffer:	.skip 64
	.section .note.GNU-stack, "", @progbits
