/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A FUSE file system of one file of zeros, whose pages come late, or never: as much
 * of the protocol as mmap needs.
 */
#ifndef FUZZ_FUSE_H
#define FUZZ_FUSE_H

#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "fuzz.h"

#define FUZZ_FUSE_DIR	"/tmp/fuzz-fuse"
#define FUZZ_FUSE_FILE	FUZZ_FUSE_DIR "/stack"
#define FUZZ_FUSE_SIZE	(64 * RAW_PAGE)
#define FUZZ_FUSE_READ	(128 * 1024)

static inline void fuzz_fuse_reply(int fd, uint64_t unique, int error, const void *data,
				   size_t size)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + size, .error = error, .unique = unique,
	};
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)data, size } };

	/* the request may have been given up */
	if (writev(fd, parts, 2) < 0)
		return;
}

static inline struct fuse_attr fuzz_fuse_attr(uint64_t node)
{
	if (node == FUSE_ROOT_ID)
		return (struct fuse_attr){ .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	return (struct fuse_attr){ .ino = 2, .mode = S_IFREG | 0600, .nlink = 1,
				   .size = FUZZ_FUSE_SIZE, .blksize = RAW_PAGE };
}

static inline void fuzz_fuse_serve(int fd, struct fuzz_random *random)
{
	static char request[FUZZ_FUSE_READ + 4096], zeros[FUZZ_FUSE_READ];
	const struct fuse_in_header *in = (void *)request;
	const struct fuse_read_in *read_in = (void *)(in + 1);
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31,
				      .max_write = RAW_PAGE, .max_background = 8 };
	struct fuse_entry_out entry = { .nodeid = 2, .attr_valid = 60, .entry_valid = 60,
					.attr = fuzz_fuse_attr(2) };
	struct fuse_attr_out attr = { .attr_valid = 60 };
	struct fuse_open_out open_out = { .fh = 1 };

	while (read(fd, request, sizeof(request)) > 0 || errno == EINTR) {
		switch (in->opcode) {
		case FUSE_INIT:
			fuzz_fuse_reply(fd, in->unique, 0, &init, sizeof(init));
			break;
		case FUSE_LOOKUP:
			fuzz_fuse_reply(fd, in->unique, 0, &entry, sizeof(entry));
			break;
		case FUSE_GETATTR:
			attr.attr = fuzz_fuse_attr(in->nodeid);
			fuzz_fuse_reply(fd, in->unique, 0, &attr, sizeof(attr));
			break;
		case FUSE_OPEN:
			fuzz_fuse_reply(fd, in->unique, 0, &open_out, sizeof(open_out));
			break;
		case FUSE_READ:
			if (!random)
				break;
			usleep(fuzz_below(random, 3000));
			fuzz_fuse_reply(fd, in->unique, 0, zeros,
					read_in->size < sizeof(zeros) ? read_in->size :
									sizeof(zeros));
			break;
		case FUSE_FLUSH:
		case FUSE_RELEASE:
			fuzz_fuse_reply(fd, in->unique, 0, NULL, 0);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		default:
			fuzz_fuse_reply(fd, in->unique, -ENOSYS, NULL, 0);
		}
	}
}

/*
 * Mounts it; the process that serves it, or 0 where there is no FUSE.  How late pages
 * come says @random; with NULL they never do.
 */
static inline pid_t fuzz_fuse_start(struct fuzz_random *random)
{
	char options[128];
	pid_t pid;
	int fd;

	/* kmod's wants an index that a kernel which is not installed has not got */
	if (system("modprobe -q fuse 2>/dev/null || busybox modprobe fuse 2>/dev/null"))
		return 0;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	mkdir(FUZZ_FUSE_DIR, 0700);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (fd < 0 || mount("fuzz", FUZZ_FUSE_DIR, "fuse", MS_NOSUID | MS_NODEV, options))
		return 0;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fuzz_fuse_serve(fd, random);
		_exit(0);
	}
	close(fd);
	return pid;
}

static inline void fuzz_fuse_end(pid_t pid)
{
	umount2(FUZZ_FUSE_DIR, MNT_DETACH);
	raw_kill(pid);
}

#endif /* FUZZ_FUSE_H */
