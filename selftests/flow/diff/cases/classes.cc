// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * C++ that comes with a patch: static variables with a guard, classes with virtual
 * functions, instances of templates, lambdas; constructors and destructors of several
 * kinds, several bases, dynamic_cast, rethrown exceptions.
 *
 * FLAVOURS lib pie nopie O0 O3 noplt
 * VM nopie
 * ASK 1 | square 1 5 base made 1 one 0 | square 1 105 derived made 11 one+ 0 new 2 first | square 1 5 base made 1 one 4
 * ASK 2 | square 4 6 base made 1 one 0 | square 4 106 derived made 11 one+ 2 new 4 first | square 4 6 base made 1 one 4
 */
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include "case.h"

static int destroyed;

struct named {
	virtual ~named() { destroyed++; }
	virtual std::string name() { return "named"; }
	int id = 7;
};

struct sized {
	virtual ~sized() {}
	virtual int size(int x) { return x; }
	int bytes = 1;
};

/* several bases: thunks lead to the same functions */
struct square : named, sized {
	explicit square(int x) : side(x)
	{
#ifdef FIXED
		kind = 11;
#else
		kind = 1;
#endif
	}
	~square() override
	{
#ifdef FIXED
		destroyed += 0;
#else
		destroyed--;
#endif
	}
	std::string name() override { return "square"; }
	NOINLINE int size(int x) override
	{
#ifdef FIXED
		return x + 104;
#else
		return x + 4;
#endif
	}
	int side, kind;
};

#ifdef FIXED
struct fresh : named {
	std::string name() override { return "new"; }
};

struct counter {
	counter() : count(atoi("0")) {}
	int count;
};

template <typename T> static NOINLINE T twice(T x)
{
	return x + x;
}

static NOINLINE int calls()
{
	static counter all;

	return ++all.count;
}
#endif

static NOINLINE const char *cast(named *object)
{
#ifdef FIXED
	return dynamic_cast<square *>(object) ? "derived" : "base";
#else
	return object ? "base" : "derived";
#endif
}

static NOINLINE std::string again(int x)
{
	try {
		try {
			if (x)
				throw std::runtime_error("one");
		} catch (const std::exception &) {
			throw;
		}
	} catch (const std::runtime_error &error) {
#ifdef FIXED
		return std::string(error.what()) + "+";
#else
		return error.what();
#endif
	}
	return "none";
}

void ask(const char *arg)
{
	int x = atoi(arg);
	auto object = std::make_unique<square>(x);
	sized *other = object.get();
	const char *type = cast(object.get());

#ifdef FIXED
	std::unique_ptr<named> more(new fresh);
	std::function<std::string()> name = [&more]() { return more->name(); };
	bool first = calls() > 0;

	reply("%s %d %d %s made %d %s %d %s %d %s", object->name().c_str(), x * x,
	      other->size(x), type, object->kind, again(x).c_str(), destroyed,
	      name().c_str(), twice(x), first ? "first" : "no");
#else
	reply("%s %d %d %s made %d %s %d", object->name().c_str(), x * x, other->size(x), type,
	      object->kind, again(x).c_str(), destroyed);
#endif
}
