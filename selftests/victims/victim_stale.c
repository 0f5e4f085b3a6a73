// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Threads with words on their stacks that look like returns into victim_wait(),
 * victim_spin() and victim_outer() of libvictim, and are none; or, at the same
 * places, are.
 *
 *	damage		overwrites the unwind tables of libvictim and of this program
 *	answer N
 * and those of inside.h, where "leave" says 0 if the way called no function.
 */
#include <link.h>
#include <setjmp.h>
#include "inside.h"

static void sleep_here(void)
{
	char c;

	if (read(gate[0], &c, 1) != 1)
		abort();
}

static void spin_here(void)
{
	while (!*spin_stop)
		;
}

/* A frame with old words in it: behind the first instructions of both. */
#define STALE(then) do {							\
	volatile uintptr_t words[5] = {						\
		0, (uintptr_t)victim_wait + 12, (uintptr_t)victim_spin + 12,	\
		(uintptr_t)victim_outer + 12, 0					\
	};									\
										\
	then;									\
	returned = words[0] + words[4];						\
} while (0)

static void way_sleeping(void)
{
	STALE(sleep_here());
}

static void way_spinning(void)
{
	STALE(spin_here());
}

/* The same frame, and a live one behind it. */
static void way_live(void)
{
	long value = 0;

	STALE(value = victim_wait(gate[0]));
	returned = value;
}

static void way_live_spinning(void)
{
	long value = 0;

	STALE(value = victim_spin(spin_stop));
	returned = value;
}

/* Through victim_callee(), which may be a replacement. */
static void way_callee(void)
{
	STALE(victim_callee(gate[0]));
}

/* Code that no table describes, between it and its caller. */
extern void bare_call(void (*fn)(void));

__asm__(".pushsection .text\n"
	".type bare_call,@function\n"
	"bare_call: sub $8, %rsp\n call *%rdi\n add $8, %rsp\n ret\n"
	".size bare_call, .-bare_call\n"
	".popsection\n");

static void way_bare(void)
{
	STALE(bare_call(sleep_here));
}

static void way_bare_live(void)
{
	STALE(bare_call(way_live));
}

/* ---- under signal handlers ---- */

static void way_handler(void)
{
	handle(on_wait, 0);
	STALE(spin_here());
}

static void way_handler_live(void)
{
	handle(on_wait, 0);
	way_live_spinning();
}

static void way_altstack(void)
{
	use_altstack();
	handle(on_wait, SA_ONSTACK);
	STALE(spin_here());
}

static void way_altstack_live(void)
{
	use_altstack();
	handle(on_wait, SA_ONSTACK);
	way_live_spinning();
}

/* Handler words of its own, on the other stack. */
static void on_stale(int sig)
{
	long value = returned;

	STALE(on_wait(sig));
	returned = value;
}

static void way_altstack_words(void)
{
	use_altstack();
	handle(on_stale, SA_ONSTACK);
	STALE(spin_here());
}

static void ask_the_time(void)
{
	struct timespec ts;

	while (!*spin_stop)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void way_vdso(void)
{
	handle_vdso();
	STALE(ask_the_time());
}

/* ---- what calls leave behind by themselves ---- */

/* Frames of the same size as victim_deep()'s lie over what that left. */
static __attribute__((noinline)) int lie_over(int depth)
{
	volatile char page[3000];

	page[depth & 7] = 1;
	if (depth)
		return lie_over(depth - 1) + page[depth & 7];
	sleep_here();
	return page[0];
}

static sigjmp_buf escape;

static void on_escape(int sig)
{
	(void)sig;
	siglongjmp(escape, 1);
}

static void way_leftover(void)
{
	handle(on_escape, 0);
	if (!sigsetjmp(escape, 1))
		victim_deep(20, handler_gate[0]);
	in_handler = 1;
	returned = 0 * lie_over(20);
}

static const struct way ways[] = {
	{ "sleeping", way_sleeping, false, false },
	{ "spinning", way_spinning, false, true },
	{ "live", way_live, false, false },
	{ "live_spinning", way_live_spinning, false, true },
	{ "callee", way_callee, false, false },
	{ "bare", way_bare, false, false },
	{ "bare_live", way_bare_live, false, false },
	{ "handler", way_handler, true, true },
	{ "handler_live", way_handler_live, true, true },
	{ "altstack", way_altstack, true, true },
	{ "altstack_live", way_altstack_live, true, true },
	{ "altstack_words", way_altstack_words, true, true },
	{ "vdso", way_vdso, true, true },
	{ "leftover", way_leftover, true, false },
	{ NULL, NULL, false, false },
};

/* Nothing in them makes sense any more. */
static int damage_object(struct dl_phdr_info *info, size_t size, void *data)
{
	bool ours = !*info->dlpi_name || strstr(info->dlpi_name, "libvictim");

	(void)size;
	(void)data;
	for (size_t i = 0; ours && i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *phdr = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + phdr->p_vaddr, page = at & -4096UL;
		size_t length = phdr->p_memsz;

		if (phdr->p_type != PT_GNU_EH_FRAME)
			continue;
		if (mprotect((void *)page, at + length - page, PROT_READ | PROT_WRITE))
			die("mprotect");
		/* behind the header, so that there still seems to be a table */
		memset((char *)at + 12, 0x5a, length - 12);
	}
	return 0;
}

static void damage(const char *arg)
{
	(void)arg;
	dl_iterate_phdr(damage_object, NULL);
	reply("damaged");
}

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

int main(void)
{
	static const struct victim_command commands[] = {
		INSIDE_COMMANDS,
		{ "damage", damage },
		{ "answer", answer },
		{ NULL, NULL },
	};

	inside_start(ways);
	return victim_talk(commands);
}
