// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Uses libvictim_cxx.so: calls through objects, virtual tables and templates.
 */
#include <memory>
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

int main()
{
	static const struct victim_command commands[] = {
		{ "area", area },
		{ "name", name },
		{ "large", large },
		{ "guard", guard },
		{ nullptr, nullptr },
	};

	return victim_talk(commands);
}
