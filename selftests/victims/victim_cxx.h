/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A C++ library to be patched: methods, virtual ones, templates, statics.
 */
#ifndef VICTIM_CXX_H
#define VICTIM_CXX_H

#include <exception>
#include <string>
#include <vector>

class Shape {
public:
	explicit Shape(int size);
	virtual ~Shape();
	virtual int area() const;
	int twice() const;
	const std::string &name() const;
	static int count();

protected:
	int size_;
	std::string name_;
	static int count_;
};

class Square : public Shape {
public:
	explicit Square(int size);
	int area() const override;
};

template <typename T> T largest(const std::vector<T> &values);
extern template int largest<int>(const std::vector<int> &values);
extern template double largest<double>(const std::vector<double> &values);

int guarded(int x);

/* Thrown by one side, caught by the other. */
class Fault : public std::exception {
public:
	explicit Fault(const char *what) : what_(what) {}
	const char *what() const noexcept override;

private:
	const char *what_;
};

int risky(int x);
int passes(int (*callback)(int), int x);
/* How often code of the library, or of a patch, has cleaned up. */
extern int cleaned;

#endif /* VICTIM_CXX_H */
