// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdexcept>
#include "victim_cxx.h"

int Shape::count_;

Shape::Shape(int size) : size_(size), name_("shape")
{
	count_++;
}

Shape::~Shape()
{
	count_--;
}

int Shape::area() const
{
	return size_ + count_ - count_;
}

int Shape::twice() const
{
	return area() * 2;
}

const std::string &Shape::name() const
{
	return name_;
}

int Shape::count()
{
	return count_;
}

Square::Square(int size) : Shape(size)
{
	name_ = "square";
}

int Square::area() const
{
	return size_ * size_;
}

template <typename T> T largest(const std::vector<T> &values)
{
	T best = values.at(0);

	for (const T &value : values) {
		if (value > best)
			best = value;
	}
	return best;
}

template int largest<int>(const std::vector<int> &values);
template double largest<double>(const std::vector<double> &values);

/* Throws, and catches what it threw. */
int guarded(int x)
{
	try {
		if (x > 10)
			throw std::out_of_range("too large");
		return x;
	} catch (const std::exception &e) {
		return -static_cast<int>(std::string(e.what()).size());
	}
}

int cleaned;

const char *Fault::what() const noexcept
{
	return what_;
}

int risky(int x)
{
	if (x > 100)
		throw Fault("old");
	return x;
}

/* Nothing to clean up: exceptions pass. */
int passes(int (*callback)(int), int x)
{
	return callback(x) + 1;
}
