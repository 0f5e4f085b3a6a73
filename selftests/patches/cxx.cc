// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Methods, a virtual one, a template instance, and one that throws; by their
 * mangled names.  The new ones are free functions that take "this".
 */
#include <numeric>
#include <stdexcept>
#include "victims/victim_cxx.h"

/* The layout is that of the class; its protected members are reached this way. */
struct Open : Shape {
	using Shape::size_;
	using Shape::name_;
	using Shape::count_;
};

extern "C" {

int new_area(const Open *self)
{
	return self->size_ * 100 + Open::count_;
}

int new_square_area(const Open *self)
{
	return self->size_ * self->size_ * 1000;
}

const std::string &new_name(const Open *self)
{
	static std::string longer;

	longer = "a very much longer name than that: " + self->name_;
	return longer;
}

int new_largest(const std::vector<int> *values)
{
	return std::accumulate(values->begin(), values->end(), 1000);
}

}
