// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Uses libvictim_cxx.so: calls through objects, virtual tables and templates.
 */
#include <execinfo.h>
#include <link.h>
#include <memory>
#include <pthread.h>
#include "victim.h"
#include "victim_cxx.h"

static void area(const char *arg)
{
	std::unique_ptr<Shape> shape(new Shape(atoi(arg))), square(new Square(atoi(arg)));

	reply("%d %d %d %d", shape->area(), square->area(), square->twice(), Shape::count());
}

static void name(const char *arg)
{
	Square square(1);

	(void)arg;
	reply("%s", square.name().c_str());
}

static void large(const char *arg)
{
	std::vector<int> ints = { 3, atoi(arg), 5 };
	std::vector<double> doubles = { 1.5, 0.5 };

	reply("%d %.2f", largest(ints), largest(doubles));
}

static void guard(const char *arg)
{
	reply("%d", guarded(atoi(arg)));
}

static void risk(const char *arg)
{
	try {
		reply("%d", risky(atoi(arg)));
	} catch (const std::exception &e) {
		reply("caught %s", e.what());
	}
}

static int throws(int x)
{
	if (x > 10)
		throw Fault("callback");
	return x;
}

static void pass(const char *arg)
{
	try {
		reply("%d", passes(throws, atoi(arg)));
	} catch (const Fault &e) {
		reply("caught %s, cleaned %d", e.what(), cleaned);
	}
}

/* Whether a backtrace from behind the library's function sees who called it. */
static void *caller;

static int looks_back(int x)
{
	void *frames[64];
	int i, n = backtrace(frames, 64);

	for (i = 0; i < n && frames[i] != caller; i++)
		;
	return i < n ? x : -x;
}

static NOINLINE void trace(const char *arg)
{
	caller = __builtin_return_address(0);
	reply("%d", passes(looks_back, atoi(arg)));
}

/* A thread that is cancelled behind the library's function. */
static int waits(int x)
{
	for (;;)
		pause();
	return x;
}

static void *thread(void *arg)
{
	*static_cast<int *>(arg) = passes(waits, 1);
	return nullptr;
}

static void cancel(const char *arg)
{
	int unused, before = cleaned;
	pthread_t id;
	void *how;

	(void)arg;
	if (pthread_create(&id, nullptr, thread, &unused) || pthread_cancel(id) ||
	    pthread_join(id, &how))
		die("cancel");
	reply("%s, cleaned %d", how == PTHREAD_CANCELED ? "cancelled" : "returned",
	      cleaned - before);
}

static int is_named(struct dl_phdr_info *info, size_t, void *name)
{
	return !strcmp(info->dlpi_name, static_cast<const char *>(name));
}

static void listed(const char *arg)
{
	reply("%d", dl_iterate_phdr(is_named, const_cast<char *>(arg)));
}

int main()
{
	static const struct victim_command commands[] = {
		{ "area", area },
		{ "name", name },
		{ "large", large },
		{ "guard", guard },
		{ "risk", risk },
		{ "pass", pass },
		{ "trace", trace },
		{ "cancel", cancel },
		{ "listed", listed },
		{ nullptr, nullptr },
	};

	return victim_talk(commands);
}
