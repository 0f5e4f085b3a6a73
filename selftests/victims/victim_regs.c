// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Threads, the main thread among them, that hold values in all registers while
 * they spin in user mode: general ones, flags with DF, x87 stack and control
 * word, mxcsr, xmm or ymm 0-15.  errno is looked at around it.
 *
 *	check	stop the spinning, compare, spin again: "ok" or what was wrong
 *	vectors	"ymm" or "xmm"
 */
#include <pthread.h>
#include "libvictim.h"
#include "victim.h"

#define NR_THREADS	3

/* Known to the assembly by offset. */
struct registers {
	uint64_t general[13];	/* 0: rax rbx rdx rsi rdi rbp r8-r14 */
	uint64_t flags;		/* 104 */
	uint32_t mxcsr;		/* 112 */
	uint16_t fcw;		/* 116 */
	uint16_t pad;
	uint64_t avx;		/* 120: whether vector[] are 32 bytes or 16 */
	uint8_t vector[16][32];	/* 128 */
	uint8_t x87[8][16];	/* 640: 10 bytes each */
};

void registers_spin(struct registers *in, struct registers *out);

static volatile uint64_t registers_stop __asm__("registers_stop") __attribute__((used));

/*
 * rdi in, rsi out.  rcx is what the loop works with, rsp is the stack, r15
 * holds "in"; all else has a pattern.  The loop touches no
 * flag: jrcxz looks at rcx alone.
 */
__asm__(
".text\n"
".globl registers_spin\n"
".type registers_spin, @function\n"
"registers_spin:\n"
"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
"	push %rsi\n"
"	mov %rdi, %r15\n"
"	fninit\n"
"	fldcw 116(%r15)\n"
"	ldmxcsr 112(%r15)\n"
".irp i, 7, 6, 5, 4, 3, 2, 1, 0\n"
"	fldt 640+16*\\i(%r15)\n"
".endr\n"
"	cmpq $0, 120(%r15)\n"
"	je 1f\n"
".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	vmovdqu 128+32*\\i(%r15), %ymm\\i\n"
".endr\n"
"	jmp 2f\n"
"1:\n"
".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	movdqu 128+32*\\i(%r15), %xmm\\i\n"
".endr\n"
"2:\n"
"	mov 0(%r15), %rax; mov 8(%r15), %rbx; mov 16(%r15), %rdx; mov 24(%r15), %rsi\n"
"	mov 32(%r15), %rdi; mov 40(%r15), %rbp; mov 48(%r15), %r8; mov 56(%r15), %r9\n"
"	mov 64(%r15), %r10; mov 72(%r15), %r11; mov 80(%r15), %r12; mov 88(%r15), %r13\n"
"	mov 96(%r15), %r14\n"
"	pushq 104(%r15)\n"
"	popfq\n"
"3:	mov registers_stop(%rip), %rcx\n"
"	jrcxz 3b\n"
"	pushfq\n"
"	popq %rcx\n"
"	cld\n"
"	xchg %r15, (%rsp)\n"		/* r15 out, (rsp) in */
"	mov %rcx, 104(%r15)\n"
"	mov %rax, 0(%r15); mov %rbx, 8(%r15); mov %rdx, 16(%r15); mov %rsi, 24(%r15)\n"
"	mov %rdi, 32(%r15); mov %rbp, 40(%r15); mov %r8, 48(%r15); mov %r9, 56(%r15)\n"
"	mov %r10, 64(%r15); mov %r11, 72(%r15); mov %r12, 80(%r15); mov %r13, 88(%r15)\n"
"	mov %r14, 96(%r15)\n"
"	pop %rdi\n"
"	fnstcw 116(%r15)\n"
"	stmxcsr 112(%r15)\n"
".irp i, 0, 1, 2, 3, 4, 5, 6, 7\n"
"	fstpt 640+16*\\i(%r15)\n"
".endr\n"
"	mov 120(%rdi), %rcx\n"
"	mov %rcx, 120(%r15)\n"
"	test %rcx, %rcx\n"
"	jz 4f\n"
".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	vmovdqu %ymm\\i, 128+32*\\i(%r15)\n"
".endr\n"
"	vzeroupper\n"
"	jmp 5f\n"
"4:\n"
".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
"	movdqu %xmm\\i, 128+32*\\i(%r15)\n"
".endr\n"
"5:\n"
"	fninit\n"
"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
"	ret\n"
".size registers_spin, .-registers_spin\n"
);

static pthread_barrier_t stopped, again;
static char wrong[NR_THREADS][128];
static int rounds;

static void fill(struct registers *regs, unsigned int seed)
{
	memset(regs, 0, sizeof(*regs));
	for (size_t i = 0; i < ARRAY_SIZE(regs->general); i++)
		regs->general[i] = 0x0101010101010101ull * (i + 1) + seed;
	/* CF PF AF ZF SF DF OF, and the bit that is always set; IF shows as set */
	regs->flags = 0x1 | 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x200 | 0x400 | 0x800;
	regs->mxcsr = 0x1f80 | 0x6000 | (seed & 1 ? 0x8000 : 0);
	regs->fcw = 0x37f & ~0x300;
	regs->avx = !!__builtin_cpu_supports("avx");
	for (int i = 0; i < 16; i++) {
		for (int k = 0; k < (regs->avx ? 32 : 16); k++)
			regs->vector[i][k] = (uint8_t)(i * 16 + k + seed);
	}
	for (int i = 0; i < 8; i++) {
		/* a normal number: integer bit set, exponent in the middle */
		for (int k = 0; k < 7; k++)
			regs->x87[i][k] = (uint8_t)(i * 8 + k + seed);
		regs->x87[i][7] = 0x80 | (uint8_t)i;
		regs->x87[i][8] = 0xff;
		regs->x87[i][9] = 0x3f;
	}
}

static void spin(int index)
{
	struct registers in, out;

	fill(&in, (unsigned int)(rounds * 8 + index));
	memset(&out, 0, sizeof(out));
	errno = 4000 + index;
	registers_spin(&in, &out);
	if (errno != 4000 + index)
		sprintf(wrong[index], "thread %d: errno became %d", index, errno);
	for (size_t i = 0; i < sizeof(in) && !wrong[index][0]; i++) {
		if (((uint8_t *)&in)[i] != ((uint8_t *)&out)[i])
			sprintf(wrong[index], "thread %d: byte %zu of the registers is %#x, was %#x",
				index, i, ((uint8_t *)&out)[i], ((uint8_t *)&in)[i]);
	}
}

static void *spinner_main(void *arg)
{
	int index = (int)(intptr_t)arg;

	for (;;) {
		spin(index);
		pthread_barrier_wait(&stopped);
		pthread_barrier_wait(&again);
	}
	return NULL;
}

static void check(const char *arg)
{
	(void)arg;
	registers_stop = 1;
	pthread_barrier_wait(&stopped);
	rounds++;
	for (int i = 0; i < NR_THREADS; i++) {
		if (wrong[i][0]) {
			reply("%s", wrong[i]);
			return;
		}
	}
	registers_stop = 0;
	pthread_barrier_wait(&again);
	reply("ok");
}

static void vectors(const char *arg)
{
	(void)arg;
	reply("%s", __builtin_cpu_supports("avx") ? "ymm" : "xmm");
}

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

/* The main thread spins; this one talks. */
static void *talker_main(void *arg)
{
	static const struct victim_command commands[] = {
		{ "check", check },
		{ "vectors", vectors },
		{ "answer", answer },
		{ NULL, NULL },
	};

	(void)arg;
	_exit(victim_talk(commands));
}

int main(void)
{
	pthread_t thread;

	pthread_barrier_init(&stopped, NULL, NR_THREADS + 1);
	pthread_barrier_init(&again, NULL, NR_THREADS + 1);
	if (pthread_create(&thread, NULL, talker_main, NULL))
		die("pthread_create");
	for (int i = 1; i < NR_THREADS; i++) {
		if (pthread_create(&thread, NULL, spinner_main, (void *)(intptr_t)i))
			die("pthread_create");
	}
	spinner_main(NULL);
	return 1;
}
