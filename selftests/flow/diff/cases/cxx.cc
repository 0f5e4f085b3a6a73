// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * C++: methods, virtual and overloaded functions, templates, lambdas, constructors,
 * static variables with guards, objects with virtual tables that were made before.
 *
 * FLAVOURS lib pie nopie cet O0
 * VM lib
 * FLAGS -fno-exceptions
 * ASK 2 | circle 12 4 made 1 6 22 | Circle! 112 104 made 1 16 122 | circle 12 4 made 1 6 22
 * ASK 3 | circle 27 9 made 1 9 33 | Circle! 127 109 made 1 19 133 | circle 27 9 made 1 9 33
 */
#include <string>
#include <vector>
#include "case.h"

#ifdef FIXED
#define MORE 100
#else
#define MORE 0
#endif

class shape {
public:
	explicit shape(int size) : size_(size) { made++; }
	virtual ~shape() {}
	virtual int area() const { return size_ * size_ + MORE; }
	virtual std::string name() const { return "shape"; }
	static int made;
protected:
	int size_;
};

int shape::made;

class circle : public shape {
public:
	explicit circle(int size) : shape(size) {}
	int area() const override { return 3 * size_ * size_ + MORE; }
	std::string name() const override
	{
#ifdef FIXED
		return std::string("Circle") + "!";
#else
		return "circle";
#endif
	}
};

template <typename T> NOINLINE T thrice(T x)
{
#ifdef FIXED
	return 3 * x + 10;
#else
	return 3 * x;
#endif
}

static NOINLINE const std::string &guarded()
{
	static std::string text = shape::made ? "made" : "first";

#ifdef FIXED
	text += "";
#endif
	return text;
}

static NOINLINE int folded(const std::vector<int> &all)
{
	int sum = MORE;
	auto add = [&sum](int x) NOINLINE { sum += x; };

	for (int x : all)
		add(x);
	return sum;
}

void ask(const char *arg)
{
	static shape *round = new circle(0), *plain = new shape(0);
	int x = atoi(arg);

	if (guarded() != "made")
		reply("wrong");
	*round = circle(x);
	shape *again = new circle(x), *flat = new shape(x);
	reply("%s %d %d %s %d %d %d", again->name().c_str(), again->area(), flat->area(),
	      guarded().c_str(), round != plain, thrice(x), folded({ x, 10 * x }));
	delete again;
	delete flat;
}
