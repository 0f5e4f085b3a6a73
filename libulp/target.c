// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A process as /proc shows it.
 *
 * It runs on while we look, and may exit or exec at any time.  What is said
 * about it here is a snapshot; what is written later is verified again.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define OPEN_ATTEMPTS	8
#define FIRST_PAUSE_NS	100000		/* between them, doubled each time */
#define EXITING		0x00000004	/* PF_EXITING of /proc/PID/stat */
#define KERNEL_THREAD	0x00200000	/* PF_KTHREAD */

static int proc_open(pid_t pid, pid_t tid, const char *name, int flags)
{
	char path[128];
	int fd;

	if (tid)
		snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	else
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int ulp_target_proc(const struct ulp_target *target, const char *name, int flags)
{
	return proc_open(target->pid, target->tid, name, flags);
}

FILE *ulp_target_file(const struct ulp_target *target, const char *name)
{
	int fd = ulp_target_proc(target, name, O_RDONLY);
	FILE *file;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

/* Bytes read, at most @size - 1, and a NUL; or -errno. */
static ssize_t proc_read(const struct ulp_target *target, const char *name, void *out,
			 size_t size)
{
	size_t have = 0;
	ssize_t n = 0;
	int fd;

	fd = ulp_target_proc(target, name, O_RDONLY);
	if (fd < 0)
		return fd;
	while (have < size - 1) {
		n = read(fd, (char *)out + have, size - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	n = n < 0 ? -errno : (ssize_t)have;
	close(fd);
	((char *)out)[have] = '\0';
	return n;
}

int ulp_target_stat(const struct ulp_target *target, char stat[ULP_STAT_MAX])
{
	ssize_t n = proc_read(target, "stat", stat, ULP_STAT_MAX);

	return n < 0 ? (int)n : 0;
}

const char *ulp_stat_field(const char *stat, int number)
{
	/* "pid (comm) state ...", and comm may hold anything */
	const char *at = strrchr(stat, ')');

	for (int field = 2; at && field < number; field++)
		at = strchr(at + 1, ' ');
	return at ? at + 1 : "";
}

uint64_t ulp_target_auxv(const struct ulp_target *target, uint64_t type)
{
	uint64_t entry[2];

	for (size_t i = 0; i + sizeof(entry) <= target->auxv_size; i += sizeof(entry)) {
		memcpy(entry, target->auxv + i, sizeof(entry));
		if (entry[0] == type)
			return entry[1];
	}
	return 0;
}

int ulp_target_gone(const struct ulp_target *target)
{
	return ulp_err(target->ctx, -ULP_E_NO_PROCESS,
		       "%s (pid %d): it has exited or started another program", target->name,
		       target->pid);
}

int ulp_target_busy(const struct ulp_target *target)
{
	return ulp_err(target->ctx, -ULP_E_TRACED,
		       "%s (pid %d): another tool is patching it; nothing was changed, try again",
		       target->name, target->pid);
}

static bool is_gone(int code)
{
	return code == -ENOENT || code == -ESRCH;
}

static int fail(struct ulp_target *target, int code, const char *what)
{
	if (is_gone(code))
		return ulp_err(target->ctx, -ULP_E_NO_PROCESS,
			       "process %d does not exist (any more)", target->pid);
	if (code == -EACCES || code == -EPERM)
		return ulp_err(target->ctx, -ULP_E_PERMISSION,
			       "no permission to read %s of process %d%s%s%s: it takes root, or a user who may trace it",
			       what, target->pid, target->name[0] ? " (" : "", target->name,
			       target->name[0] ? ")" : "");
	if (code == -ENOMEM)
		return ulp_err(target->ctx, code, "out of memory");
	return ulp_err(target->ctx, code, "cannot read %s of process %d: %s", what, target->pid,
		       strerror(-code));
}

/* Why a process that exists has no address space; -ESTALE if that was a moment ago. */
static int no_memory(struct ulp_target *target)
{
	char stat[ULP_STAT_MAX], state;
	unsigned long flags;
	int ret;

	target->tid = 0;
	ret = ulp_target_stat(target, stat);
	if (ret)
		return fail(target, ret, "the state");
	state = *ulp_stat_field(stat, 3);
	flags = strtoul(ulp_stat_field(stat, 9), NULL, 10);
	if (flags & KERNEL_THREAD)
		return ulp_err(target->ctx, -ULP_E_NOT_TARGET,
			       "process %d (%s) is a kernel thread: it has no memory to patch",
			       target->pid, target->name);
	/* No thread has memory: an exiting leader is the end of all of it. */
	if (state != 'Z' && state != 'X' && !(flags & EXITING))
		return -ESTALE;
	return ulp_err(target->ctx, -ULP_E_NO_PROCESS, "process %d (%s) has exited%s", target->pid,
		       target->name, state == 'Z' ? " and was not waited for (zombie)" : "");
}

/* 0 with target->mem open and alive, -ENOMSG without an address space, -errno. */
static int mem_open(struct ulp_target *target)
{
	target->mem_writable = true;
	target->mem = ulp_target_proc(target, "mem", O_RDWR);
	if (target->mem == -EACCES || target->mem == -EPERM || target->mem == -EROFS) {
		target->mem_writable = false;
		target->mem = ulp_target_proc(target, "mem", O_RDONLY);
	}
	if (target->mem < 0)
		return target->mem;
	if (ulp_memory_alive(target))
		return 0;
	close(target->mem);
	target->mem = -1;
	return -ENOMSG;
}

/*
 * A leader that has ended before its threads has no memory: kernels say so by
 * an empty file or by ESRCH.  Any live thread shows the same address space.
 */
static int mem_open_any(struct ulp_target *target)
{
	struct dirent *entry;
	char path[64];
	DIR *dir;
	int ret;

	target->tid = 0;
	ret = mem_open(target);
	if (ret != -ENOMSG && ret != -ESRCH)
		return ret;
	snprintf(path, sizeof(path), "/proc/%d/task", target->pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	ret = -ENOMSG;
	while (ret && (entry = readdir(dir))) {
		target->tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (target->tid > 0 && target->tid != target->pid)
			ret = mem_open(target);
	}
	closedir(dir);
	return ret ? -ENOMSG : 0;
}

/* The thread that /proc was read through may have ended: take another. */
static int thread_again(struct ulp_target *target)
{
	int mem = target->mem;
	bool writable = target->mem_writable;
	int ret;

	ret = mem_open_any(target);
	if (!ret)
		close(target->mem);
	target->mem = mem;
	target->mem_writable = writable;
	return ret;
}

/* @pid must be a process, not one of its threads, which /proc shows as well. */
static int check_leader(struct ulp_target *target)
{
	char status[4096], *line;
	long tgid;
	ssize_t n;

	n = proc_read(target, "status", status, sizeof(status));
	if (n < 0)
		return fail(target, (int)n, "the state");
	line = strstr(status, "\nTgid:");
	tgid = line ? strtol(line + 6, NULL, 10) : 0;
	if (tgid > 0 && tgid != target->pid)
		return ulp_err(target->ctx, -ULP_E_NO_PROCESS,
			       "%d is a thread of process %ld, not a process: use %ld",
			       target->pid, tgid, tgid);
	return 0;
}

static const char *machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit (i386)";
	case EM_X86_64:
		return "32-bit (x32)";
	default:
		return "foreign";
	}
}

static bool is_main_mapping(const struct ulp_mapping *map, const char *exe)
{
	return !map->offset && map->inode && !strcmp(map->path, exe);
}

/* By the program's own ELF header: its memory, else its file. */
static int check_machine(struct ulp_target *target)
{
	const size_t suffix = strlen(" (deleted)");
	char path[64], exe[PATH_MAX];
	Elf64_Ehdr header;	/* e_machine is at the same place in both classes */
	bool found = false;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", target->tid ? target->tid : target->pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		for (int pass = 0; pass < 2 && !found; pass++) {
			for (size_t i = 0; i < target->nr_mappings && !found; i++)
				found = is_main_mapping(&target->mappings[i], exe) &&
					!ulp_memory_read(target, target->mappings[i].start,
							 &header, sizeof(header));
			if ((size_t)n > suffix && !strcmp(exe + n - suffix, " (deleted)"))
				exe[n - (ssize_t)suffix] = '\0';
		}
	}
	if (!found)
		found = proc_read(target, "exe", &header, sizeof(header)) ==
			(ssize_t)sizeof(header) - 1;
	if (!found || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return 0;
	if (header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64)
		return 0;
	return ulp_err(target->ctx, -ULP_E_ARCH,
		       "process %d (%s) is a %s program: only 64-bit x86 programs can be patched",
		       target->pid, target->name, machine_name(header.e_machine));
}

/* -ESTALE: it exited or started another program meanwhile. */
static int check_same(const struct ulp_target *target)
{
	uint8_t auxv[ULP_AUXV_MAX];
	ssize_t n;

	if (!ulp_memory_alive(target))
		return -ESTALE;
	/* With CLONE_VM and vfork the memory outlives the exec: /proc shows another. */
	n = proc_read(target, "auxv", auxv, sizeof(auxv));
	if (n != (ssize_t)target->auxv_size || memcmp(auxv, target->auxv, target->auxv_size) != 0)
		return -ESTALE;
	return 0;
}

static void forget(struct ulp_target *target)
{
	ulp_objects_free(target);
	ulp_maps_free(target->mappings, target->nr_mappings);
	target->mappings = NULL;
	target->nr_mappings = 0;
	free(target->links);
	target->links = NULL;
	target->nr_links = 0;
}

/* A snapshot of the address space that target->mem is of; -ESTALE if it is not. */
static int snapshot(struct ulp_target *target)
{
	int ret;

	forget(target);
	ret = ulp_maps_read(target, &target->mappings, &target->nr_mappings);
	if (is_gone(ret) || (!ret && !target->nr_mappings))
		return -ESTALE;
	if (ret)
		return ret;
	ret = ulp_objects_read(target);
	if (!ret)
		ret = ulp_links_read(target);
	return ret ? ret : check_same(target);
}

int ulp_target_refresh(struct ulp_target *target)
{
	int ret;

	if (!target->outdated)
		return 0;
	ret = snapshot(target);
	for (int i = 0; ret == -ESTALE && i < OPEN_ATTEMPTS; i++) {
		if (!ulp_memory_alive(target) || thread_again(target))
			break;
		ret = snapshot(target);
	}
	if (ret == -ESTALE)
		return ulp_target_gone(target);
	if (ret)
		return fail(target, ret, "the memory map");
	target->outdated = false;
	return 0;
}

static void mem_close(struct ulp_target *target)
{
	if (target->mem >= 0)
		close(target->mem);
	target->mem = -1;
}

static int target_open(struct ulp_target *target)
{
	ssize_t n;
	int ret;

	target->tid = 0;
	n = proc_read(target, "comm", target->name, sizeof(target->name));
	if (n < 0)
		return fail(target, (int)n, "the name");
	target->name[strcspn(target->name, "\n")] = '\0';
	ret = check_leader(target);
	if (ret)
		return ret;
	/* The auxiliary vector before the memory: see check_same(). */
	ret = mem_open_any(target);
	if (ret == -ENOMSG)
		return no_memory(target);
	if (ret)
		return fail(target, ret, "the memory");
	mem_close(target);
	n = proc_read(target, "auxv", target->auxv, sizeof(target->auxv));
	if (n < 0)
		return is_gone((int)n) ? -ESTALE : fail(target, (int)n, "the auxiliary vector");
	target->auxv_size = (size_t)n;
	ret = mem_open(target);
	if (ret == -ENOMSG || is_gone(ret))
		return -ESTALE;
	if (ret)
		return fail(target, ret, "the memory");
	ret = snapshot(target);
	if (ret == -ESTALE)
		return ret;
	if (ret)
		return fail(target, ret, "the memory map");
	return check_machine(target);
}

int ulp_target_open(struct ulp_context *ctx, pid_t pid, struct ulp_target **out)
{
	struct ulp_target *target;
	int ret = -ESTALE;

	*out = NULL;
	target = calloc(1, sizeof(*target));
	if (!target)
		return ulp_err(ctx, -ENOMEM, "out of memory");
	target->ctx = ctx;
	target->pid = pid;
	target->mem = -1;
	if (pid <= 0)
		ret = ulp_err(ctx, -ULP_E_NO_PROCESS, "%d is not a process id", pid);
	for (int i = 0; ret == -ESTALE && i < OPEN_ATTEMPTS; i++) {
		struct timespec pause = { .tv_nsec = FIRST_PAUSE_NS << i };

		mem_close(target);
		ret = target_open(target);
		if (ret == -ESTALE)
			nanosleep(&pause, NULL);
	}
	if (ret == -ESTALE)
		ret = ulp_err(ctx, -ULP_E_CHANGING,
			      "process %d (%s) is exiting, or starting one program after the other: try again",
			      target->pid, target->name);
	if (ret) {
		ulp_target_close(target);
		return ret;
	}
	*out = target;
	return 0;
}

void ulp_target_close(struct ulp_target *target)
{
	if (!target)
		return;
	ulp_records_free(target->records);
	free(target->messages);
	free(target->message_text);
	free(target->threads);
	forget(target);
	mem_close(target);
	free(target);
}

pid_t ulp_target_pid(const struct ulp_target *target)
{
	return target->pid;
}

const char *ulp_target_name(const struct ulp_target *target)
{
	return target->name;
}

const struct ulp_mapping *ulp_target_mapping(const struct ulp_target *target, uint64_t addr)
{
	size_t low = 0, high = target->nr_mappings;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct ulp_mapping *map = &target->mappings[middle];

		if (addr < map->start)
			high = middle;
		else if (addr >= map->end)
			low = middle + 1;
		else
			return map;
	}
	return NULL;
}
