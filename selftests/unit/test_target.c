// SPDX-License-Identifier: LGPL-2.1-or-later
// timeout: 180
/*
 * What libulp sees of a process: its objects against what the process says about
 * itself, names that deceive, processes that go away or lie, places for patches.
 */
#include <elfutils/libdwelf.h>
#include <kselftest_harness.h>

#include "peer.h"

FIXTURE(target) {
	struct ulp_context *ctx;
	struct ulp_target *target;
	struct peer peer;
	char directory[64];
};

FIXTURE_SETUP(target)
{
	ASSERT_EQ(0, ulp_context_new(&self->ctx));
	strcpy(self->directory, "/tmp/ulp-test-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
}

FIXTURE_TEARDOWN(target)
{
	char command[128];

	ulp_target_close(self->target);
	peer_end(&self->peer);
	ulp_context_free(self->ctx);
	snprintf(command, sizeof(command), "rm -rf %s", self->directory);
	EXPECT_EQ(0, system(command));
}

#define ERROR_HAS(text) EXPECT_NE(NULL, strstr(ulp_error(self->ctx), text)) { \
	TH_LOG("\"%s\" is not in: %s", text, ulp_error(self->ctx)); \
}

static int look(FIXTURE_DATA(target) * self, pid_t pid)
{
	ulp_target_close(self->target);
	return ulp_target_open(self->ctx, pid, &self->target);
}

#define LOOK() ASSERT_EQ(0, look(self, self->peer.pid)) { \
	TH_LOG("%s", ulp_error(self->ctx)); \
}

static bool copy_file(const char *from, const char *to)
{
	char bytes[65536];
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	size_t n;

	if (!in || !out)
		return false;
	while ((n = fread(bytes, 1, sizeof(bytes), in)))
		fwrite(bytes, 1, n, out);
	fclose(in);
	return !fclose(out) && !chmod(to, 0755);
}

static struct ulp_object *object_at(struct ulp_target *target, uint64_t bias)
{
	for (size_t i = 0; i < target->nr_objects; i++) {
		if (target->objects[i].bias == bias)
			return &target->objects[i];
	}
	return NULL;
}

/* Every object the process knows, at its place, in its order, and no others. */
static void check_objects(struct __test_metadata *_metadata, FIXTURE_DATA(target) * self)
{
	char line[PATH_MAX + 64];
	size_t nr = 0;
	int order = -1;

	fputs("objects\n", self->peer.to);
	fflush(self->peer.to);
	while (fgets(line, sizeof(line), self->peer.from) && strcmp(line, ".\n")) {
		uint64_t bias = strtoull(line, NULL, 16);
		struct ulp_object *object = object_at(self->target, bias);

		nr++;
		ASSERT_NE(NULL, object) {
			TH_LOG("not found: %s", line);
		}
		if (object->link_order >= 0) {
			EXPECT_LT(order, object->link_order);
			order = object->link_order;
		}
	}
	EXPECT_EQ(nr, self->target->nr_objects);
}

static void check_build_ids(struct __test_metadata *_metadata, FIXTURE_DATA(target) * self)
{
	elf_version(EV_CURRENT);
	for (size_t i = 0; i < self->target->nr_objects; i++) {
		const struct ulp_object *object = &self->target->objects[i];
		const void *build_id = NULL;
		int fd = open(object->path, O_RDONLY | O_CLOEXEC);
		ssize_t size;
		Elf *elf;

		if (!strcmp(object->path, ULP_VDSO))
			continue;
		ASSERT_GE(fd, 0);
		elf = elf_begin(fd, ELF_C_READ, NULL);
		size = dwelf_elf_gnu_build_id(elf, &build_id);
		ASSERT_GT(size, 0);
		ASSERT_EQ(size, object->build_id_size);
		EXPECT_EQ(0, memcmp(build_id, object->build_id, (size_t)size));
		EXPECT_EQ(2 * (size_t)size, strlen(object->build_id_hex));
		elf_end(elf);
		close(fd);
	}
}

TEST_F(target, objects)
{
	static const char * const programs[] = { "peer", "peer.nopie", "peer.now", "peer_static",
						 "peer_static_pie" };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		ASSERT_TRUE(peer_start(&self->peer, programs[i], NULL));
		LOOK();
		EXPECT_STREQ(programs[i], ulp_target_name(self->target));
		EXPECT_EQ(self->peer.pid, ulp_target_pid(self->target));
		EXPECT_EQ(0, self->target->tid);
		check_objects(_metadata, self);
		check_build_ids(_metadata, self);
		peer_end(&self->peer);
	}
}

TEST_F(target, dlopened_objects)
{
	size_t before;

	ASSERT_TRUE(peer_start(&self->peer, "peer", "libpre.so"));
	LOOK();
	before = self->target->nr_objects;
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	self->target->outdated = true;
	ASSERT_EQ(0, ulp_target_refresh(self->target));
	EXPECT_EQ(before + 2, self->target->nr_objects);
	check_objects(_metadata, self);
	/* A second time in a namespace of its own, with all it needs. */
	ASSERT_EQ(1, peer_ask(&self->peer, "space %s", beside("libplug.so")));
	self->target->outdated = true;
	ASSERT_EQ(0, ulp_target_refresh(self->target));
	EXPECT_LE(before + 4, self->target->nr_objects);
	EXPECT_EQ(1, self->target->links[self->target->nr_links - 1].list);
}

static bool spawn(struct peer *peer, char *const argv[])
{
	char line[64];
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return false;
	peer->pid = fork();
	if (!peer->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	peer->to = fdopen(to[1], "w");
	peer->from = fdopen(from[0], "r");
	return fgets(line, sizeof(line), peer->from);
}

TEST_F(target, programs_of_the_system)
{
	static char *const commands[][4] = {
		{ "/usr/bin/python3", "-c", "print('ready', flush=True); input()" },
		{ "/bin/sh", "-c", "echo ready; read answer" },
		{ "/bin/busybox", "sh", "-c", "echo ready; read answer" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		size_t ordered = 0, programs = 0;

		if (access(commands[i][0], X_OK))
			continue;
		/* busybox has one argument more than fits with the NULL */
		if (!strcmp(commands[i][0], "/bin/busybox")) {
			char *const argv[] = { commands[i][0], commands[i][1], commands[i][2],
					       commands[i][3], NULL };

			ASSERT_TRUE(spawn(&self->peer, argv));
		} else {
			ASSERT_TRUE(spawn(&self->peer, commands[i]));
		}
		LOOK();
		check_build_ids(_metadata, self);
		for (size_t k = 0; k < self->target->nr_objects; k++) {
			ordered += self->target->objects[k].link_order >= 0;
			programs += self->target->objects[k].program;
		}
		EXPECT_EQ(1, programs);
		/* all but the vDSO, or none of a static one */
		if (ordered)
			EXPECT_EQ(self->target->nr_objects - 1, ordered);
		peer_end(&self->peer);
	}
}

TEST_F(target, deleted_and_replaced_library)
{
	char path[128], other[128], build_id[2 * ULP_BUILD_ID_MAX + 1];
	struct ulp_object *object;

	snprintf(path, sizeof(path), "%s/libcopy.so", self->directory);
	snprintf(other, sizeof(other), "%s/libother.so", self->directory);
	ASSERT_TRUE(copy_file(beside("libplugdep.so"), path));
	ASSERT_TRUE(copy_file(beside("libpre.so"), other));
	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", path));
	LOOK();
	object = ulp_target_object_named(self->target, "libcopy.so");
	ASSERT_NE(NULL, object);
	EXPECT_FALSE(object->deleted);
	EXPECT_STREQ("libplugdep.so", object->soname);
	strcpy(build_id, object->build_id_hex);
	ASSERT_EQ(0, rename(other, path));
	for (int i = 0; i < 2; i++) {
		LOOK();
		object = ulp_target_object_named(self->target, "libcopy.so");
		ASSERT_NE(NULL, object);
		EXPECT_TRUE(object->deleted);
		EXPECT_STREQ(path, object->path);
		EXPECT_STREQ(build_id, object->build_id_hex);
		EXPECT_EQ(object, ulp_target_object(self->target, object->build_id,
						    object->build_id_size));
		unlink(path);
	}
}

TEST_F(target, names_that_deceive)
{
	static const char * const names[] = { "with two  spaces", "new\nline", "back\\012slash",
					      "ends (deleted)", "is (deleted) (deleted)",
					      " (deleted)" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct ulp_object *object;
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", self->directory, names[i]);
		ASSERT_TRUE(copy_file(beside("peer"), path));
		ASSERT_TRUE(peer_start(&self->peer, path, NULL));
		for (int gone = 0; gone < 2; gone++) {
			LOOK();
			object = ulp_target_object_named(self->target, names[i]);
			ASSERT_NE(NULL, object) {
				TH_LOG("%s", path);
			}
			EXPECT_STREQ(path, object->path);
			EXPECT_EQ(!!gone, object->deleted) {
				TH_LOG("%s", path);
			}
			EXPECT_TRUE(object->program);
			unlink(path);
		}
		peer_end(&self->peer);
	}
}

TEST_F(target, file_mapped_as_data_is_no_object)
{
	size_t before;

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	LOOK();
	before = self->target->nr_objects;
	ASSERT_EQ(1, peer_ask(&self->peer, "data %s", beside("libplug.so")));
	ASSERT_EQ(1, peer_ask(&self->peer, "data %s", beside("peer.nopie")));
	LOOK();
	EXPECT_EQ(before, self->target->nr_objects);
}

/* Bytes that this process has read. */
static uint64_t bytes_read(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	uint64_t bytes = 0;

	if (file && fscanf(file, "rchar: %" SCNu64, &bytes) != 1)
		bytes = 0;
	if (file)
		fclose(file);
	return bytes;
}

/* Whoever is looked at must not keep us busy: 512 headers that all mean the same 64 KiB. */
TEST_F(target, notes_without_end)
{
	static const size_t notes = 32768, size = 32768 + 65536;
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_phoff = sizeof(header), .e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 512,
	};
	Elf64_Phdr phdr = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = size,
			    .p_memsz = size, .p_align = 4096 };
	uint64_t before, plain;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/notes.so", self->directory);
	file = fopen(path, "wb");
	ASSERT_NE(NULL, file);
	fwrite(&header, sizeof(header), 1, file);
	fwrite(&phdr, sizeof(phdr), 1, file);
	phdr = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = notes, .p_vaddr = notes,
			     .p_filesz = size - notes, .p_memsz = size - notes };
	for (int i = 1; i < 512; i++)
		fwrite(&phdr, sizeof(phdr), 1, file);
	fseek(file, (long)size - 1, SEEK_SET);
	fputc(0, file);
	ASSERT_EQ(0, fclose(file));
	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	before = bytes_read();
	LOOK();
	plain = bytes_read() - before;
	ASSERT_NE(0, plain);
	ASSERT_EQ(1, peer_ask(&self->peer, "code %s", path));
	before = bytes_read();
	LOOK();
	EXPECT_NE(NULL, ulp_target_object_named(self->target, "notes.so"));
	EXPECT_LT(bytes_read() - before, plain + 2 * size);
}

TEST_F(target, leader_is_a_zombie)
{
	char path[64], stat[256], *state;
	FILE *file;

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	fputs("leave\n", self->peer.to);
	fflush(self->peer.to);
	/* The other thread answers; wait until the first one has ended. */
	EXPECT_NE(0, peer_ask(&self->peer, "ask malloc"));
	snprintf(path, sizeof(path), "/proc/%d/stat", self->peer.pid);
	do {
		file = fopen(path, "r");
		ASSERT_NE(NULL, file);
		ASSERT_NE(NULL, fgets(stat, sizeof(stat), file));
		fclose(file);
		state = strrchr(stat, ')');
	} while (state && state[2] != 'Z');
	LOOK();
	EXPECT_NE(0, self->target->tid);
	check_objects(_metadata, self);
	self->target->outdated = true;
	EXPECT_EQ(0, ulp_target_refresh(self->target));
}

TEST_F(target, gone)
{
	uint64_t addr;
	char byte;

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	LOOK();
	addr = self->target->objects[0].start;
	EXPECT_EQ(0, ulp_memory_read(self->target, addr, &byte, 1));
	EXPECT_TRUE(ulp_memory_alive(self->target));
	kill(self->peer.pid, SIGKILL);
	waitid(P_PID, (id_t)self->peer.pid, NULL, WEXITED | WNOWAIT);
	EXPECT_EQ(-EFAULT, ulp_memory_read(self->target, addr, &byte, 1));
	EXPECT_FALSE(ulp_memory_alive(self->target));
	self->target->outdated = true;
	EXPECT_EQ(-ULP_E_NO_PROCESS, ulp_target_refresh(self->target));
	/* a zombie still */
	EXPECT_EQ(-ULP_E_NO_PROCESS, look(self, self->peer.pid));
	ERROR_HAS("zombie");
	waitpid(self->peer.pid, NULL, 0);
	EXPECT_EQ(-ULP_E_NO_PROCESS, look(self, self->peer.pid));
	EXPECT_EQ(-ULP_E_NO_PROCESS, look(self, 0));
	EXPECT_EQ(-ULP_E_NO_PROCESS, look(self, -1));
	EXPECT_EQ(-ULP_E_NO_PROCESS, look(self, INT_MAX));
	fclose(self->peer.to);
	fclose(self->peer.from);
	self->peer.pid = 0;
}

TEST_F(target, another_program)
{
	char line[64], byte;
	uint64_t addr;

	ASSERT_TRUE(peer_start(&self->peer, "peer.nopie", NULL));
	LOOK();
	addr = ulp_target_object_named(self->target, "peer.nopie")->start;
	/* the same program at the same address, and yet another address space */
	fprintf(self->peer.to, "exec %s\n", beside("peer.nopie"));
	fflush(self->peer.to);
	ASSERT_NE(NULL, fgets(line, sizeof(line), self->peer.from));
	EXPECT_EQ(-EFAULT, ulp_memory_read(self->target, addr, &byte, 1));
	self->target->outdated = true;
	EXPECT_EQ(-ULP_E_NO_PROCESS, ulp_target_refresh(self->target));
	LOOK();
}

TEST_F(target, exec_storm)
{
	int seen = 0;

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	fputs("storm\n", self->peer.to);
	fflush(self->peer.to);
	for (int i = 0; i < 300; i++) {
		int ret = look(self, self->peer.pid);

		EXPECT_TRUE(!ret || ret == -ULP_E_CHANGING) {
			TH_LOG("%d %s", ret, ulp_error(self->ctx));
		}
		seen += !ret;
	}
	TH_LOG("%d of 300 looks found one program", seen);
}

TEST_F(target, thread_is_no_process)
{
	char path[64], hint[32];

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	fputs("leave\n", self->peer.to);
	fflush(self->peer.to);
	EXPECT_NE(0, peer_ask(&self->peer, "ask malloc"));
	/* the thread's id is the next one, or some higher one */
	for (pid_t tid = self->peer.pid + 1; tid < self->peer.pid + 1000; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d", self->peer.pid, tid);
		if (access(path, F_OK))
			continue;
		EXPECT_EQ(-ULP_E_NO_PROCESS, look(self, tid));
		snprintf(hint, sizeof(hint), "use %d", self->peer.pid);
		ERROR_HAS(hint);
		return;
	}
	SKIP(return, "thread ids are not in sequence here");
}

TEST_F(target, kernel_thread)
{
	char comm[32] = "";
	FILE *file = fopen("/proc/2/comm", "r");

	if (file) {
		if (!fgets(comm, sizeof(comm), file))
			comm[0] = '\0';
		fclose(file);
	}
	if (strcmp(comm, "kthreadd\n") || geteuid())
		SKIP(return, "needs root, and kthreadd as process 2");
	EXPECT_EQ(-ULP_E_NOT_TARGET, look(self, 2));
	ERROR_HAS("kernel thread");
}

TEST_F(target, no_permission)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(2);
		_exit(look(self, 1) == -ULP_E_PERMISSION && strstr(ulp_error(self->ctx), "root") ?
		      0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(target, program_of_32_bits)
{
	char *const argv[] = { (char *)beside("../victims/victim_32"), NULL };

	if (access(argv[0], X_OK))
		SKIP(return, "victim_32 was not built");
	if (!spawn(&self->peer, argv))
		SKIP(return, "this kernel does not run 32-bit programs");
	EXPECT_EQ(-ULP_E_ARCH, look(self, self->peer.pid));
	ERROR_HAS("32-bit");
}

/* ---- places for patches ---- */

static void check_hole(struct __test_metadata *_metadata, FIXTURE_DATA(target) * self,
		       uint64_t low, uint64_t high, uint64_t addr, uint64_t size)
{
	const uint64_t reach = 0x7fffffff;

	EXPECT_EQ(0, addr & 4095);
	EXPECT_LE((addr + size > high ? addr + size : high) - (addr < low ? addr : low), reach);
	EXPECT_GE(addr, 1 << 20);
	for (size_t i = 0; i < self->target->nr_mappings; i++) {
		const struct ulp_mapping *map = &self->target->mappings[i];

		EXPECT_TRUE(addr + size + 4096 <= map->start || map->end + 4096 <= addr) {
			TH_LOG("0x%lx is at %s", (unsigned long)addr, map->path);
		}
		/* the rest of the test's 8 MiB, or more, below the stack */
		if (!strcmp(map->path, "[stack]"))
			EXPECT_TRUE(addr >= map->end || addr + size <= map->end - (8 << 20));
		/* the heap can grow to more than it has */
		if (!strcmp(map->path, "[heap]"))
			EXPECT_TRUE(addr < map->start || addr >= map->end + (64 << 20));
	}
}

TEST_F(target, holes)
{
	static const char * const programs[] = { "peer", "peer.nopie", "peer_static",
						 "peer_static_pie" };
	static const uint64_t sizes[] = { 1, 4096, 100000, 64 << 20 };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		ASSERT_TRUE(peer_start(&self->peer, programs[i], NULL));
		LOOK();
		for (size_t k = 0; k < self->target->nr_objects * ARRAY_SIZE(sizes); k++) {
			const struct ulp_object *object =
				&self->target->objects[k / ARRAY_SIZE(sizes)];
			uint64_t size = sizes[k % ARRAY_SIZE(sizes)], addr = 0;

			ASSERT_EQ(0, ulp_target_hole(self->target, object->start, object->end,
						     size, &addr));
			check_hole(_metadata, self, object->start, object->end, addr, size);
		}
		peer_end(&self->peer);
	}
}

/* Until there is no room left within reach, each place is a good one. */
TEST_F(target, holes_end)
{
	static const char * const programs[] = { "peer", "peer.nopie", "peer_static_pie" };
	const uint64_t size = 100 << 20;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		int ret = 0, nr = 0;

		ASSERT_TRUE(peer_start(&self->peer, programs[i], NULL));
		for (; nr < 50; nr++) {
			const struct ulp_object *object;
			uint64_t addr;

			LOOK();
			object = ulp_target_object_named(self->target, programs[i]);
			ASSERT_NE(NULL, object);
			ret = ulp_target_hole(self->target, object->start, object->end, size,
					      &addr);
			if (ret)
				break;
			check_hole(_metadata, self, object->start, object->end, addr, size);
			ASSERT_EQ(1, peer_ask(&self->peer, "reserve %" PRIx64 " %" PRIx64, addr,
					      size));
		}
		EXPECT_EQ(-ULP_E_NO_ROOM, ret);
		EXPECT_GT(nr, 10);
		peer_end(&self->peer);
	}
}

TEST_F(target, holes_refused)
{
	uint64_t addr;

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	LOOK();
	EXPECT_EQ(-ULP_E_NO_ROOM, ulp_target_hole(self->target, 0x400000, 0x500000, 0, &addr));
	EXPECT_EQ(-ULP_E_NO_ROOM, ulp_target_hole(self->target, 0x500000, 0x400000, 1, &addr));
	EXPECT_EQ(-ULP_E_NO_ROOM, ulp_target_hole(self->target, 0, UINT64_MAX, 1, &addr));
	EXPECT_EQ(-ULP_E_NO_ROOM,
		  ulp_target_hole(self->target, 0x400000, 0x500000, UINT64_MAX, &addr));
	EXPECT_EQ(-ULP_E_NO_ROOM, ulp_target_hole(self->target, 0x400000, 0x500000, 1ULL << 31,
						  &addr));
}

/* ---- a process that lies ---- */

/* Everything that reads an object's tables; only what it returns matters. */
static int use_everything(FIXTURE_DATA(target) * self)
{
	const char *wanted = "dl_iterate_phdr";
	struct plain_patch patch;
	uint64_t bias, module;
	uint8_t *image;
	char name[64];
	int ret;

	ret = look(self, self->peer.pid);
	if (ret)
		return ret;
	for (size_t i = 0; i < self->target->nr_objects; i++) {
		struct ulp_object *object = &self->target->objects[i];

		if (!strstr(object->path, "libplug"))
			continue;
		ulp_target_symbolize(self->target, object->start + 0x1000, name, sizeof(name));
		ulp_object_may_name(self->target, object, &wanted, 1);
		ret |= ulp_tls_module(self->target, object, &module) < 0;
		if (!plain_patch_open(&patch, self->ctx, "patch_odd.plug.so"))
			return -ENOENT;
		image = plain_patch_relocate(&patch, self->target, object, &bias, &ret);
		free(image);
		plain_patch_close(&patch);
	}
	return ret;
}

TEST_F(target, damaged_tables)
{
	uint64_t start, dynamic, old;
	int failed = 0, rounds = 0;
	uint32_t seed = 7;

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	ASSERT_EQ(1, peer_ask(&self->peer, "load %s", beside("libplug.so")));
	ASSERT_EQ(0, use_everything(self)) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
	start = ulp_target_object_named(self->target, "libplug.so")->start;
	dynamic = ulp_target_object_named(self->target, "libplug.so")->dynamic;
	for (; rounds < 400; rounds++) {
		static const uint64_t values[] = { 0, 1, UINT64_MAX, 1ULL << 63, 0x1000, INT32_MAX,
						   0xffffffff };
		uint64_t at, value;

		seed = seed * 1103515245 + 12345;
		/* headers and tables, which are in the first page, or the dynamic section */
		at = rounds & 1 ? start + (seed >> 8) % 1400 : dynamic + (seed >> 8) % 0x180;
		value = seed >> 28 < ARRAY_SIZE(values) ? values[seed >> 28] :
			(uint64_t)seed << (seed >> 26);
		LOOK();
		ASSERT_EQ(0, ulp_memory_read(self->target, at, &old, sizeof(old)));
		ASSERT_EQ(1, peer_ask(&self->peer, "poke %" PRIx64 " %" PRIx64, at, value));
		failed += use_everything(self) != 0;
		ASSERT_EQ(1, peer_ask(&self->peer, "poke %" PRIx64 " %" PRIx64, at, old));
	}
	EXPECT_GT(failed, 20);
	EXPECT_EQ(0, use_everything(self)) {
		TH_LOG("%s", ulp_error(self->ctx));
	}
}

TEST_F(target, list_without_end)
{
	struct ulp_link *link;

	ASSERT_TRUE(peer_start(&self->peer, "peer", NULL));
	LOOK();
	link = &self->target->links[self->target->nr_links - 1];
	ASSERT_EQ(1, peer_ask(&self->peer, "poke %" PRIx64 " %" PRIx64, link->map + 24,
			      link[-1].map));
	LOOK();
	/* Objects that come twice do no harm. */
	EXPECT_GT(self->target->nr_links, self->target->nr_objects);
}

TEST_HARNESS_MAIN
