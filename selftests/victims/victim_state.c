// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A process in a state that patchers have trouble with:
 *
 *	victim_state STATE [ARG]
 *	seccomp		may call read, write, exit and what signals need
 *	noexec		may make no memory executable (MemoryDenyWriteExecute)
 *	chroot DIR	sees DIR only
 *	nondumpable	PR_SET_DUMPABLE 0
 *	uid N		another user
 *	zombie		its main thread has ended
 *	vfork		its main thread waits for a vfork child, which shares its memory
 *	spin		a thread uses all the processor time that it gets
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include "libvictim.h"
#include "victim.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE			65
#define PR_MDWE_REFUSE_EXEC_GAIN	1
#endif

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value)	BPF_STMT(BPF_RET | BPF_K, value)
#define ALLOW(nr)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), RETURN(SECCOMP_RET_ALLOW)

static void answer(const char *arg)
{
	reply("%d", victim_answer(atoi(arg)));
}

/* executable: "yes" if the process may make its memory executable */
static void executable(const char *arg)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	reply(page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) ? "no" : "yes");
}

static const struct victim_command commands[] = {
	{ "answer", answer },
	{ "executable", executable },
	{ NULL, NULL },
};

static void filter_set(struct sock_filter *filter, size_t count)
{
	struct sock_fprog program = { .len = (unsigned short)count, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp");
}

static void set_seccomp(const char *arg)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_exit_group), ALLOW(SYS_exit),
		ALLOW(SYS_rt_sigreturn), ALLOW(SYS_restart_syscall),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};

	(void)arg;
	/* no system call for memory later on: stdio's buffers are ours */
	setvbuf(stdout, malloc(4096), _IOLBF, 4096);
	setvbuf(stdin, malloc(4096), _IOFBF, 4096);
	filter_set(filter, ARRAY_SIZE(filter));
}

static void set_noexec(const char *arg)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ALLOW),
	};

	(void)arg;
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		filter_set(filter, ARRAY_SIZE(filter));
}

static void set_chroot(const char *arg)
{
	if (chroot(arg) || chdir("/"))
		die("chroot %s", arg);
}

static void set_nondumpable(const char *arg)
{
	(void)arg;
	prctl(PR_SET_DUMPABLE, 0);
}

static void set_uid(const char *arg)
{
	uid_t uid = (uid_t)atoi(arg);

	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		die("setresuid");
}

static void *talker_main(void *arg)
{
	(void)arg;
	_exit(victim_talk(commands));
}

static void start_thread(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL))
		die("pthread_create");
}

static void set_zombie(const char *arg)
{
	(void)arg;
	start_thread(talker_main);
	pthread_exit(NULL);
}

/* In user mode all the time, and seldom inside the library. */
__attribute__((noreturn))
static void spin(void)
{
	for (;;) {
		for (volatile int i = 0; i < 3000; i++)
			;
		if (!victim_answer(0))
			abort();
	}
}

/* The child shares our memory. */
static void set_vfork(const char *arg)
{
	pid_t pid;

	(void)arg;
	start_thread(talker_main);
	pid = vfork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		spin();
	}
	die("vfork");
}

static void *spinner_main(void *arg)
{
	(void)arg;
	spin();
}

static void set_spin(const char *arg)
{
	(void)arg;
	start_thread(spinner_main);
	start_thread(spinner_main);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*set)(const char *arg);
	} states[] = {
		{ "seccomp", set_seccomp },
		{ "noexec", set_noexec },
		{ "chroot", set_chroot },
		{ "nondumpable", set_nondumpable },
		{ "uid", set_uid },
		{ "zombie", set_zombie },
		{ "vfork", set_vfork },
		{ "spin", set_spin },
	};

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(states); i++) {
		if (!strcmp(states[i].name, argv[1]))
			states[i].set(argc > 2 ? argv[2] : "");
	}
	return victim_talk(commands);
}
