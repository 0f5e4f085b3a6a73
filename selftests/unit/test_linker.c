// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Finding the place in a dynamic linker: in this machine's, and in what is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../libulp/linker.h"
#include "kselftest_harness.h"

#define LD	"/lib64/ld-linux-x86-64.so.2"
#define HEADERS	2048	/* bytes that are damaged: ELF and program headers */

static int place_of(const char *path, uint64_t *offset)
{
	int err, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	err = ulp_linker_place(fd, offset);
	close(fd);
	return err;
}

/* A copy in memory, whose first byte is at *@data. */
static int copy_of(const char *path, uint8_t **data, size_t *size)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), fd = memfd_create("copy", MFD_CLOEXEC);
	struct stat st;

	if (from < 0 || fd < 0 || fstat(from, &st) || ftruncate(fd, st.st_size))
		return -1;
	*size = (size_t)st.st_size;
	*data = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*data == MAP_FAILED || read(from, *data, *size) != (ssize_t)*size)
		return -1;
	close(from);
	return fd;
}

TEST(own)
{
	uint64_t offset = 0;
	uint8_t code[4];
	int fd;

	if (access(LD, R_OK))
		SKIP(return, "no " LD);
	ASSERT_EQ(0, place_of(LD, &offset));
	fd = open(LD, O_RDONLY | O_CLOEXEC);
	ASSERT_EQ((ssize_t)sizeof(code), pread(fd, code, sizeof(code), (off_t)offset));
	close(fd);
	/* a function begins there: it saves a register, or makes room */
	EXPECT_TRUE((code[0] & 0xf8) == 0x50 || (code[0] == 0x41 && (code[1] & 0xf8) == 0x50) ||
		    (code[0] == 0x48 && (code[1] == 0x83 || code[1] == 0x89)));
}

TEST(others)
{
	uint64_t offset;

	EXPECT_EQ(-ENOEXEC, place_of("/proc/self/exe", &offset));
	EXPECT_EQ(-ENOEXEC, place_of("/lib/x86_64-linux-gnu/libc.so.6", &offset));
	EXPECT_EQ(-ENOEXEC, place_of("/etc/passwd", &offset));
	EXPECT_EQ(-ENOEXEC, place_of("/dev/null", &offset));
	EXPECT_EQ(-ENOEXEC, place_of("/", &offset));
}

/* Whatever the file says, the answer is a place inside of it, or none. */
TEST(damaged)
{
	uint8_t *data, original[HEADERS];
	uint64_t offset;
	size_t size;
	int fd, err, found = 0;

	if (access(LD, R_OK))
		SKIP(return, "no " LD);
	fd = copy_of(LD, &data, &size);
	ASSERT_LE(0, fd);
	memcpy(original, data, sizeof(original));
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		for (int k = random() % 4; k >= 0; k--)
			data[random() % HEADERS] = (uint8_t)random();
		offset = 0;
		err = ulp_linker_place(fd, &offset);
		ASSERT_TRUE(!err || err == -ENOEXEC);
		ASSERT_TRUE(err || (offset && offset < size));
		found += !err;
		memcpy(data, original, sizeof(original));
	}
	/* most of these bytes say nothing of the place */
	EXPECT_LT(0, found);
	for (size_t cut = 0; cut < size; cut += size / 100) {
		ASSERT_EQ(0, ftruncate(fd, (off_t)cut));
		err = ulp_linker_place(fd, &offset);
		ASSERT_TRUE(!err || err == -ENOEXEC);
	}
	munmap(data, size);
	close(fd);
}

TEST_HARNESS_MAIN
