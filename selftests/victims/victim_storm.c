// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Does one thing all the time, in several threads, and calls the functions of
 * libvictim while it does.
 *
 *	victim_storm clone|fork|malloc|dlopen|localtime|text
 *	victim_storm exec COUNT
 *	report	"old=0/1 new=0/1 mixed=N failed=N", and whether anything was done
 *	end	stop the storm, then report
 *
 * text: drops and protects the pages of the functions themselves, so that what
 * was written to them may be gone, each page by itself.
 *
 * exec: the process executes itself COUNT times, calling the functions each
 * time, and says "ready" after the last one.
 */
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "hammer.h"

#define NR_THREADS	8

static volatile int storm_stop;
static volatile uint64_t rounds, failures;
static struct hammer counts;
static pthread_t threads[NR_THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void count(long value)
{
	pthread_mutex_lock(&lock);
	hammer_count(&counts, value);
	pthread_mutex_unlock(&lock);
}

static void *newborn_main(void *arg)
{
	(void)arg;
	count(victim_outer());
	return NULL;
}

static bool storm_clone(void)
{
	pthread_t newborn[8];
	int made = 0;

	while (made < 8 && !pthread_create(&newborn[made], NULL, newborn_main, NULL))
		made++;
	for (int i = 0; i < made; i++)
		pthread_join(newborn[i], NULL);
	return made > 0;
}

/* The child tells by its exit status what it found. */
static bool storm_fork(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid < 0)
		return false;
	if (!pid) {
		long first = victim_outer(), second = victim_outer();

		if (first != second || (first != OUTER_OLD && first != OUTER_NEW))
			_exit(9);
		_exit(first == OUTER_OLD ? 1 : 2);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	if (!WIFEXITED(status))
		return false;
	count(WEXITSTATUS(status) == 1 ? OUTER_OLD : WEXITSTATUS(status) == 2 ? OUTER_NEW : 0);
	return true;
}

static bool storm_malloc(void)
{
	for (int i = 0; i < 200; i++) {
		size_t size = 16u << (i % 12);
		char *block = malloc(size);

		if (!block)
			return false;
		block[0] = block[size - 1] = (char)i;
		free(block);
	}
	count(victim_outer());
	return true;
}

static bool storm_dlopen(void)
{
	void *handle = dlopen("libstorm.so", RTLD_NOW | RTLD_LOCAL);
	int (*answer)(void);
	bool good;

	if (!handle)
		return false;
	*(void **)&answer = dlsym(handle, "storm_answer");
	good = answer && answer() == 4711;
	count(victim_outer());
	return !dlclose(handle) && good;
}

static bool storm_localtime(void)
{
	time_t when = 86400 * 365;
	bool good = true;

	for (int i = 0; i < 50; i++) {
		struct tm tm;

		good &= localtime_r(&when, &tm) && tm.tm_year >= 70;
		good &= localtime(&when) != NULL;
	}
	count(victim_outer());
	return good;
}

/* The pages with the code of libvictim: start and bytes. */
static int find_text(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t *text = data, addr = (uintptr_t)victim_outer;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X) || addr < start ||
		    addr >= start + ph->p_memsz)
			continue;
		text[0] = start & -4096UL;
		text[1] = start + ph->p_memsz - text[0];
		return 1;
	}
	return 0;
}

static bool storm_text(void)
{
	static __thread unsigned int round;
	uintptr_t text[2];
	void *start;
	long value;

	if (!dl_iterate_phdr(find_text, text))
		return false;
	start = (void *)text[0];
	if (mprotect(start, text[1], PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    mprotect(start, text[1], PROT_READ | PROT_EXEC) ||
	    (++round % 16 == 0 && madvise(start, text[1], MADV_DONTNEED)))
		return false;
	value = victim_outer();
	/* each of the functions is old or new */
	count(OUTER_OLD);
	usleep(2000);
	return (value >> 16 == 1 || value >> 16 == 2) &&
	       ((value >> 8 & 255) == 1 || (value >> 8 & 255) == 3) &&
	       ((value & 255) == 2 || (value & 255) == 4);
}

static bool (*storm)(void);

static void *storm_main(void *arg)
{
	(void)arg;
	setpriority(PRIO_PROCESS, (id_t)tid_self(), 5);
	while (!storm_stop) {
		if (!storm())
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void report(const char *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	reply("old=%d new=%d mixed=%llu failed=%llu busy=%d", counts.old_calls != 0,
	      counts.new_calls != 0, (unsigned long long)counts.mixed_calls,
	      (unsigned long long)failures, rounds > NR_THREADS);
	pthread_mutex_unlock(&lock);
}

static void end(const char *arg)
{
	storm_stop = 1;
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	report(arg);
}

static void outer(const char *arg)
{
	(void)arg;
	reply("%#lx", victim_outer());
}

static void exec_again(char **argv, int left)
{
	char number[16];

	for (int i = 0; i < 100; i++) {
		long value = victim_outer();

		if (value != OUTER_OLD && value != OUTER_NEW)
			die("a mixture: %#lx", value);
	}
	if (left > 0) {
		snprintf(number, sizeof(number), "%d", left - 1);
		execl("/proc/self/exe", argv[0], "exec", number, NULL);
		die("exec");
	}
}

int main(int argc, char **argv)
{
	static const struct victim_command commands[] = {
		{ "report", report },
		{ "end", end },
		{ "outer", outer },
		{ NULL, NULL },
	};
	static const struct {
		const char *name;
		bool (*run)(void);
	} storms[] = {
		{ "clone", storm_clone },
		{ "fork", storm_fork },
		{ "malloc", storm_malloc },
		{ "dlopen", storm_dlopen },
		{ "localtime", storm_localtime },
		{ "text", storm_text },
	};

	if (argc > 2 && !strcmp(argv[1], "exec"))
		exec_again(argv, atoi(argv[2]));
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(storms); i++) {
		if (!strcmp(storms[i].name, argv[1]))
			storm = storms[i].run;
	}
	for (int i = 0; storm && i < NR_THREADS; i++) {
		if (pthread_create(&threads[i], NULL, storm_main, NULL))
			die("pthread_create");
	}
	return victim_talk(commands);
}
