// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The stubs of an image: while a patch is applied thread by thread, the jump at an
 * entry leads to one, and it sends each thread to the old or to the new function
 * by the table of threads that have not switched (struct ulp_universe).
 *
 *	[ record | table | lookup, (forth, back, original) for each function | ... ]
 *
 * At a function's first instruction all registers but the flags may hold something
 * (arguments, rax for the number of vector ones, r10 for a static chain), and
 * there is nothing below the stack pointer: the red zone takes what is needed.
 * The stack pointer does not move, so that the return address is where it was.
 */
#include <string.h>

#include "internal.h"

_Static_assert(ULP_UNIVERSE_WORDS * 8 == 32768 && ULP_UNIVERSE_BUCKET == 8, "lookup");

#define TEXT_(x)	#x
#define TEXT(x)		TEXT_(x)

/* Return address in rdx; the zero flag says whether the thread is in the table. */
#define LOOK_INTO(hash)					\
	"	movabs	$" TEXT(hash) ", %rcx\n"	\
	"	imul	%rax, %rcx\n"			\
	"	shr	$" TEXT(ULP_UNIVERSE_SHIFT) ", %rcx\n"	\
	"	shl	$6, %rcx\n"			\
	"	add	%r11, %rcx\n"			\
	"	.irp	word, 0, 8, 16, 24, 32, 40, 48, 56\n"	\
	"	cmp	\\word(%rcx), %rax\n"		\
	"	je	9f\n"				\
	"	cmpq	$0, \\word(%rcx)\n"		\
	"	je	8f\n"				\
	"	.endr\n"

__asm__(".section .rodata\n"
	".balign 64\n"
	"stub_lookup:\n"
	"	mov	%rax, -8(%rsp)\n"
	"	mov	%rcx, -16(%rsp)\n"
	"	mov	%r11, -32(%rsp)\n"
	"	rdfsbase %rax\n"
	/* no thread pointer, which would look like a free or a struck word */
	"	cmp	$" TEXT(ULP_UNIVERSE_STRUCK) ", %rax\n"
	"	jbe	8f\n"
	"	lea	stub_lookup - 32768(%rip), %r11\n"
	LOOK_INTO(ULP_UNIVERSE_HASH_1)
	LOOK_INTO(ULP_UNIVERSE_HASH_2)
	"8:	test	%rsp, %rsp\n"
	"9:	mov	-8(%rsp), %rax\n"
	"	mov	-16(%rsp), %rcx\n"
	"	mov	-32(%rsp), %r11\n"
	"	jmp	*%rdx\n"
	"stub_lookup_end:\n"
	"stub_switch:\n"
	"	mov	%rdx, -24(%rsp)\n"
	"	lea	1f(%rip), %rdx\n"
	"	.byte	0xe9\n"			/* jmp */
	"stub_to_lookup: .long 0\n"
	"1:	endbr64\n"
	"	mov	-24(%rsp), %rdx\n"
	"	.byte	0x0f, 0x84\n"		/* je */
	"stub_to_member: .long 0\n"
	"	.byte	0xe9\n"
	"stub_to_other: .long 0\n"
	"stub_switch_end:\n"
	"	.byte	0\n"
	".previous\n");

#define HIDDEN	__attribute__((visibility("hidden")))
extern const uint8_t stub_lookup[] HIDDEN, stub_lookup_end[] HIDDEN;
extern const uint8_t stub_switch[] HIDDEN, stub_switch_end[] HIDDEN;
extern const uint8_t stub_to_lookup[] HIDDEN, stub_to_member[] HIDDEN, stub_to_other[] HIDDEN;

static size_t bytes_between(const uint8_t *from, const uint8_t *to)
{
	return (size_t)(to - from);
}

/* Room for each, and for the lookup. */
#define LOOKUP_ROOM	384
#define SWITCH_ROOM	48
#define ORIGINAL_ROOM	(ULP_ORIGINAL_CODE + 8)
#define FUNCTION_ROOM	(2 * SWITCH_ROOM + ORIGINAL_ROOM)

uint64_t ulp_stubs_size(const struct ulp_patch *patch)
{
	return patch->nr_originals ? LOOKUP_ROOM + patch->nr_functions * FUNCTION_ROOM : 0;
}

static size_t target_of(const struct ulp_patch *patch, uint32_t function)
{
	size_t t = 0;

	while (function >= patch->raw_targets[t].first_function +
			   patch->raw_targets[t].nr_functions)
		t++;
	return t;
}

int ulp_patch_original(const struct ulp_patch *patch, size_t t, uint64_t old_value)
{
	for (size_t i = 0; i < patch->nr_originals; i++) {
		uint32_t function = patch->raw_originals[i].function;

		if (patch->raw_functions[function].old_value == old_value &&
		    target_of(patch, function) == t)
			return (int)function;
	}
	return -1;
}

static bool put_distance(uint8_t *field, uint64_t from, uint64_t to)
{
	int64_t distance = (int64_t)(to - from);
	int32_t value = (int32_t)distance;

	if (value != distance)
		return false;
	memcpy(field, &value, sizeof(value));
	return true;
}

/* @next: see struct ulp_container_field */
static bool put_field(uint8_t *field, uint64_t at, uint32_t next, uint64_t to)
{
	uint32_t half;

	if (next != ULP_FIELD_LOW && next != ULP_FIELD_HIGH)
		return put_distance(field, at + next, to);
	half = (uint32_t)(next == ULP_FIELD_LOW ? to : to >> 32);
	memcpy(field, &half, sizeof(half));
	return true;
}

/* The old function at @at: what was displaced, then a jump behind it. */
static bool put_original(const struct ulp_patch *patch, const struct ulp_image *image,
			 const struct ulp_container_original *original,
			 const struct ulp_object *object, uint8_t *code, uint64_t at)
{
	const struct ulp_container_function *function = &patch->raw_functions[original->function];
	uint32_t size = original->code.length;
	bool good = true;

	memcpy(code, patch->bytes + original->code.offset, size);
	for (uint32_t i = 0; i < original->nr_fields && good; i++) {
		const struct ulp_container_field *field = &original->fields[i];

		good = put_field(code + field->offset, at, field->next,
				 field->value + object->bias);
	}
	if (original->flags & ULP_ORIGINAL_ENDS)
		return good;
	code[size] = 0xe9;
	return good && put_distance(code + size + 1, at + size + 5,
				    function->entry + original->displaced + object->bias);
}

static void put_switch(uint8_t *code, uint64_t at, uint64_t lookup, uint64_t member,
		       uint64_t other)
{
	memcpy(code, stub_switch, bytes_between(stub_switch, stub_switch_end));
	/* All of these are in one image: they are in reach. */
	put_distance(code + bytes_between(stub_switch, stub_to_lookup),
		     at + bytes_between(stub_switch, stub_to_lookup) + 4, lookup);
	put_distance(code + bytes_between(stub_switch, stub_to_member),
		     at + bytes_between(stub_switch, stub_to_member) + 4, member);
	put_distance(code + bytes_between(stub_switch, stub_to_other),
		     at + bytes_between(stub_switch, stub_to_other) + 4, other);
}

void ulp_stubs_make(const struct ulp_patch *patch, const struct ulp_image *image, uint8_t *code,
		    struct ulp_record_switch *switches)
{
	_Static_assert(sizeof(struct ulp_record_switch) == 40, "ulp_record_switch");
	memset(code, 0xcc, ulp_stubs_size(patch));
	memcpy(code, stub_lookup, bytes_between(stub_lookup, stub_lookup_end));
	for (size_t i = 0; i < patch->nr_originals; i++) {
		const struct ulp_container_original *original = &patch->raw_originals[i];
		uint32_t function = original->function;
		uint64_t new_start = patch->raw_functions[function].new_value + image->bias;
		uint64_t offset = LOOKUP_ROOM + function * FUNCTION_ROOM;
		uint64_t forth = image->stubs + offset, back = forth + SWITCH_ROOM;
		uint64_t old = back + SWITCH_ROOM;

		if (!put_original(patch, image, original,
				  image->objects[target_of(patch, function)],
				  code + offset + 2 * SWITCH_ROOM, old))
			continue;
		put_switch(code + offset, forth, image->stubs, old, new_start);
		put_switch(code + offset + SWITCH_ROOM, back, image->stubs, new_start, old);
		switches[function] = (struct ulp_record_switch){
			.forth = forth,
			.back = back,
			.original = old,
			.forth_old = forth + bytes_between(stub_switch, stub_to_member),
			.back_old = back + bytes_between(stub_switch, stub_to_other),
		};
	}
}
