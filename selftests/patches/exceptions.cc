// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Throws to the old code, catches what old code throws, and cleans up while an
 * exception passes.
 */
#include <stdexcept>
#include "victims/victim_cxx.h"

namespace {

struct Cleaner {
	~Cleaner() { cleaned++; }
};

int fault(int x)
{
	if (x < 0)
		throw Fault("patch");
	return risky(x);
}

}

extern "C" {

int new_risky(int x)
{
	if (x > 10)
		throw std::out_of_range("new");
	return 2 * x;
}

int new_passes(int (*callback)(int), int x)
{
	Cleaner cleaner;

	return callback(x) + 1000;
}

int new_guarded(int x)
{
	try {
		return passes(fault, x);
	} catch (const Fault &e) {
		return -1000;
	} catch (const std::exception &e) {
		return -2000;
	}
}

}
