// SPDX-License-Identifier: LGPL-2.1-or-later
// timeout: 120
/*
 * The stubs of an image, run in this process: who is in the table goes one way, all
 * others the other, with the registers as they were; and the displaced
 * instructions do what they did in their place.
 */
#include <kselftest_harness.h>
#include <asm/prctl.h>
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "peer.h"
#include "victims/libvictim.h"

#define TABLE	(ULP_UNIVERSE_WORDS * 8UL)
#define ROOM	(8UL << 20)

/* What a function that is entered finds: all registers but rsp and rip, in this order. */
static const char *const names[] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
	"r14", "r15",
};

#define REGISTERS	15
uint64_t stub_given[REGISTERS], stub_found[REGISTERS], stub_sp[2];

/*
 * stub_probe stands for a new function: notes what it finds.  stub_enter calls
 * @to with the registers of stub_given.
 */
__asm__(".text\n"
	".globl stub_probe\n"
	"stub_probe:\n"
	"	endbr64\n"
	"	mov	%rsp, stub_sp+8(%rip)\n"
	"	mov	%rax, stub_found(%rip)\n"
	"	mov	%rbx, stub_found+8(%rip)\n"
	"	mov	%rcx, stub_found+16(%rip)\n"
	"	mov	%rdx, stub_found+24(%rip)\n"
	"	mov	%rsi, stub_found+32(%rip)\n"
	"	mov	%rdi, stub_found+40(%rip)\n"
	"	mov	%rbp, stub_found+48(%rip)\n"
	"	mov	%r8, stub_found+56(%rip)\n"
	"	mov	%r9, stub_found+64(%rip)\n"
	"	mov	%r10, stub_found+72(%rip)\n"
	"	mov	%r11, stub_found+80(%rip)\n"
	"	mov	%r12, stub_found+88(%rip)\n"
	"	mov	%r13, stub_found+96(%rip)\n"
	"	mov	%r14, stub_found+104(%rip)\n"
	"	mov	%r15, stub_found+112(%rip)\n"
	"	mov	$0x4711, %eax\n"
	"	ret\n"
	".globl stub_enter\n"
	"stub_enter:\n"
	"	push	%rbx\n"
	"	push	%rbp\n"
	"	push	%r12\n"
	"	push	%r13\n"
	"	push	%r14\n"
	"	push	%r15\n"
	"	push	%rdi\n"
	"	mov	stub_given(%rip), %rax\n"
	"	mov	stub_given+8(%rip), %rbx\n"
	"	mov	stub_given+16(%rip), %rcx\n"
	"	mov	stub_given+24(%rip), %rdx\n"
	"	mov	stub_given+32(%rip), %rsi\n"
	"	mov	stub_given+40(%rip), %rdi\n"
	"	mov	stub_given+48(%rip), %rbp\n"
	"	mov	stub_given+56(%rip), %r8\n"
	"	mov	stub_given+64(%rip), %r9\n"
	"	mov	stub_given+72(%rip), %r10\n"
	"	mov	stub_given+80(%rip), %r11\n"
	"	mov	stub_given+88(%rip), %r12\n"
	"	mov	stub_given+96(%rip), %r13\n"
	"	mov	stub_given+104(%rip), %r14\n"
	"	mov	stub_given+112(%rip), %r15\n"
	"	mov	%rsp, stub_sp(%rip)\n"
	"	call	*(%rsp)\n"
	"	pop	%rdi\n"
	"	pop	%r15\n"
	"	pop	%r14\n"
	"	pop	%r13\n"
	"	pop	%r12\n"
	"	pop	%rbp\n"
	"	pop	%rbx\n"
	"	ret\n");
long stub_probe(void);
long stub_enter(uint64_t to);

static uint64_t fs_base(void)
{
	uint64_t base = 0;

	syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
	return base;
}

FIXTURE(stub) {
	struct ulp_context *ctx;
	struct ulp_patch *patch;
	void *library;
	struct ulp_object object, *objects[1];
	struct ulp_image image;
	struct ulp_record_switch *switches;
	uint64_t *table;
	uint8_t *room;
};

FIXTURE_SETUP(stub)
{
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
}

static void forget(FIXTURE_DATA(stub) * self)
{
	if (self->room)
		munmap(self->room, ROOM);
	if (self->library)
		dlclose(self->library);
	ulp_patch_close(self->patch);
	free(self->switches);
	self->room = NULL;
	self->library = NULL;
	self->patch = NULL;
	self->switches = NULL;
}

FIXTURE_TEARDOWN(stub)
{
	forget(self);
	ulp_context_free(self->ctx);
}

static void *map_near(uint64_t addr)
{
	for (uint64_t at = addr - ROOM; at > addr - (1UL << 30); at -= ROOM) {
		void *room = mmap((void *)(at & ~4095UL), ROOM, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (room != MAP_FAILED)
			return room;
	}
	return NULL;
}

/* An image of the patch for the library in this process; new functions are probes. */
static bool make(FIXTURE_DATA(stub) * self, const char *patch, const char *library)
{
	const uint8_t jump[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0, 0, 0, 0 };
	struct ulp_image *image = &self->image;
	uint64_t probe = (uint64_t)stub_probe;
	struct link_map *map;
	char path[PATH_MAX];

	forget(self);
	snprintf(path, sizeof(path), "%s", beside("../packed/"));
	strcat(path, patch);
	if (ulp_patch_open(self->ctx, path, &self->patch))
		return false;
	self->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!self->library || dlinfo(self->library, RTLD_DI_LINKMAP, &map))
		return false;
	self->object.bias = map->l_addr;
	self->objects[0] = &self->object;
	self->room = map_near(map->l_addr);
	self->switches = calloc(self->patch->nr_functions, sizeof(*self->switches));
	if (!self->room || !self->switches || !ulp_stubs_size(self->patch))
		return false;
	self->table = (uint64_t *)self->room;
	memset(image, 0, sizeof(*image));
	image->objects = self->objects;
	image->table = (uint64_t)self->room;
	image->stubs = image->table + TABLE;
	image->bias = image->table + (ROOM / 2);
	for (size_t i = 0; i < self->patch->nr_functions; i++) {
		uint8_t *to = (uint8_t *)(self->patch->raw_functions[i].new_value + image->bias);

		/* they may be shorter than this: only one at a time is entered */
		if (self->patch->raw_functions[i].new_size < sizeof(jump) + 8 && i)
			continue;
		memcpy(to, jump, sizeof(jump));
		memcpy(to + sizeof(jump), &probe, sizeof(probe));
	}
	ulp_stubs_make(self->patch, image, (uint8_t *)image->stubs, self->switches);
	return true;
}

static uint64_t bucket(uint64_t base, uint64_t hash)
{
	return ((base * hash) >> ULP_UNIVERSE_SHIFT) * ULP_UNIVERSE_BUCKET;
}

static int index_of(const FIXTURE_DATA(stub) * self, const char *name)
{
	for (size_t i = 0; i < self->patch->nr_functions; i++)
		if (!strcmp(self->patch->functions[i].old_name, name))
			return (int)i;
	return -1;
}

/* In each of the sixteen places it can be, and nowhere else. */
TEST_F(stub, finds_the_thread_wherever_it_is)
{
	uint64_t base = fs_base();
	const uint64_t starts[] = { bucket(base, ULP_UNIVERSE_HASH_1),
				    bucket(base, ULP_UNIVERSE_HASH_2) };
	int (*forth)(void), (*back)(void), trip;

	ASSERT_TRUE(make(self, "universe.so", beside("../victims/libvictim.so")));
	trip = index_of(self, "victim_trip");
	ASSERT_LE(0, trip);
	forth = (int (*)(void))self->switches[trip].forth;
	back = (int (*)(void))self->switches[trip].back;
	EXPECT_EQ(0x4711, forth());
	EXPECT_EQ(12, back());
	/* the words before it are others' or were somebody's */
	for (int i = 0; i < 16; i++) {
		uint64_t *word = &self->table[starts[i / 8] + i % 8];

		*word = base;
		EXPECT_EQ(12, forth());
		EXPECT_EQ(0x4711, back());
		*word = i % 2 ? ULP_UNIVERSE_STRUCK : base + 4096;
		EXPECT_EQ(0x4711, forth());
		EXPECT_EQ(12, back());
	}
	/* all other words full of other threads, and of this one where it is not looked for */
	for (size_t i = 0; i < ULP_UNIVERSE_WORDS; i++)
		self->table[i] = base +
				 64 * (i / 8 * 8 == starts[0] || i / 8 * 8 == starts[1]);
	EXPECT_EQ(0x4711, forth());
	EXPECT_EQ(12, back());
}

TEST_F(stub, keeps_all_registers)
{
	uint64_t base = fs_base();
	int trip;

	ASSERT_TRUE(make(self, "universe.so", beside("../victims/libvictim.so")));
	trip = index_of(self, "victim_trip");
	for (int member = 0; member < 2; member++) {
		for (int i = 0; i < REGISTERS; i++)
			stub_given[i] = 0x1111111111111111UL * (i + 1) + member;
		/* the longest way */
		for (int i = 0; i < 8; i++) {
			self->table[bucket(base, ULP_UNIVERSE_HASH_1) + i] = ULP_UNIVERSE_STRUCK;
			self->table[bucket(base, ULP_UNIVERSE_HASH_2) + i] = ULP_UNIVERSE_STRUCK;
		}
		if (member)
			self->table[bucket(base, ULP_UNIVERSE_HASH_2) + 7] = base;
		memset(stub_found, 0, sizeof(stub_found));
		EXPECT_EQ(0x4711, stub_enter(member ? self->switches[trip].back :
					     self->switches[trip].forth));
		for (int i = 0; i < REGISTERS; i++) {
			EXPECT_EQ(stub_given[i], stub_found[i]) {
				TH_LOG("%s, member %d", names[i], member);
			}
		}
		EXPECT_EQ(stub_sp[0] - 8, stub_sp[1]);
	}
}

static void *without_pointer(void *arg)
{
	int (*forth)(void) = arg;
	static long result;
	uint64_t base = fs_base();

	/* nothing of libc in between */
	syscall(SYS_arch_prctl, ARCH_SET_FS, 0);
	result = forth();
	__asm__ volatile("syscall" : : "a"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(base)
			 : "rcx", "r11", "memory");
	return &result;
}

/* The free words of the table are zero, as its thread pointer is. */
TEST_F(stub, a_thread_without_pointer_is_in_no_table)
{
	pthread_t thread;
	void *result;

	ASSERT_TRUE(make(self, "universe.so", beside("../victims/libvictim.so")));
	ASSERT_EQ(0, pthread_create(&thread, NULL, without_pointer,
				    (void *)self->switches[index_of(self, "victim_trip")].forth));
	ASSERT_EQ(0, pthread_join(thread, &result));
	EXPECT_EQ(0x4711, *(long *)result);
}

/* Functions of all builds begin otherwise: the old one is still what it was. */
TEST_F(stub, the_old_function_is_what_it_was)
{
	static const char *const builds[] = {
		"", ".O0", ".O3", ".Os", ".cet", ".nop16", ".nop5", ".cet-nop16",
	};

	for (size_t i = 0; i < sizeof(builds) / sizeof(*builds); i++) {
		char patch[64], library[64];
		long (*outer)(void);

		snprintf(patch, sizeof(patch), "outer%s.so", builds[i]);
		snprintf(library, sizeof(library), "../victims/libvictim%s.so", builds[i]);
		ASSERT_TRUE(make(self, patch, beside(library))) {
			TH_LOG("%s: %s", patch, ulp_error(self->ctx));
		}
		outer = (long (*)(void))self->switches[index_of(self, "victim_outer")].original;
		EXPECT_EQ(0x10102, outer()) {
			TH_LOG("%s", patch);
		}
		outer = (long (*)(void))self->switches[index_of(self, "victim_left")].original;
		EXPECT_EQ(1, (int)outer());
	}
}

TEST_F(stub, functions_of_zlib)
{
	typedef unsigned long checksum(unsigned long sum, const unsigned char *data,
				       unsigned int size);
	static const char *const both[] = { "crc32", "adler32" };
	static const unsigned char data[] = "0123456789abcdefghijklmnopqrstuvwxyz";

	ASSERT_TRUE(make(self, "zlib.so", "libz.so.1"));
	for (int i = 0; i < 2; i++) {
		checksum *at = (checksum *)dlsym(self->library, both[i]);
		checksum *original =
			(checksum *)self->switches[index_of(self, both[i])].original;

		ASSERT_NE(NULL, at);
		for (unsigned int size = 0; size < sizeof(data); size++)
			EXPECT_EQ(at(i, data, size), original(i, data, size));
	}
}

TEST_HARNESS_MAIN
