// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Constants and variables that the code wants aligned, strings of all widths and ends
 * of strings, numbers of all sizes, old ones and ones that come with the patch.
 *
 * FLAVOURS lib pie nopie static Os O0 O3 gold lld
 * VM pie
 * ASK 1 | 3.5 2.25 aligned 40 cdef wide 1 | 7.0 4.50 aligned 80 def weit 2 aligned | 3.5 2.25 aligned 40 cdef wide 1
 */
#include <stdint.h>
#include <wchar.h>
#include <uchar.h>
#include "case.h"

typedef float vector __attribute__((vector_size(16)));
typedef long wide __attribute__((vector_size(32)));
typedef long widest __attribute__((vector_size(64)));

#ifdef FIXED
#define BY 2
#else
#define BY 1
#endif

static volatile int one = 1;

static bool is_aligned(const void *at, uintptr_t to)
{
	return !((uintptr_t)at & (to - 1));
}

static NOINLINE float of_vector(void)
{
	vector all = { 1.5f * BY, 2.0f * BY, 0, 0 };

	for (int i = 0; i < one; i++)
		all += (vector){ 0, 0, BY, 0.5f };
	return all[0] + all[1];
}

/* wants all of the alignment that the processor has, or faults */
__attribute__((target("avx2"))) static NOINLINE long of_wide(void)
{
	wide all = { 1 * BY, 2 * BY, 3 * BY, 4 * BY };
	volatile wide sum = all;

	sum *= (wide){ 4, 4, 4, 4 };
	return sum[0] + sum[1] + sum[2] + sum[3];
}

static const widest table = { 1, 2, 3, 4, 5, 6, 7, 8 };
static widest counts;

#ifdef FIXED
static const widest new_table = { 8, 7, 6, 5, 4, 3, 2, 1 };
static widest new_counts, new_values = { 1 };
#endif

static NOINLINE const char *places(void)
{
	const void *volatile all[] = { &table, &counts,
#ifdef FIXED
				       &new_table, &new_counts, &new_values,
#endif
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!is_aligned(all[i], 64))
			return "crooked";
	counts[one] += table[one];
#ifdef FIXED
	new_counts[one] += new_table[one] + new_values[one];
#endif
	return "aligned";
}

static NOINLINE const char *end_of(int x)
{
#ifdef FIXED
	return x ? "def" : "abcdef";
#else
	return x ? "cdef" : "abcdef";
#endif
}

static NOINLINE const wchar_t *of_wide_letters(void)
{
#ifdef FIXED
	return L"weit";
#else
	return L"wide";
#endif
}

static NOINLINE int of_letters(void)
{
	const char16_t *text = u"\x1\x2";

	return text[BY - one];
}

void ask(const char *arg)
{
	long double big = 2.25L * BY;
	char text[32] = "";

	wcstombs(text, of_wide_letters(), sizeof(text) - 1);
	reply("%.1f %.2Lf %s %ld %s %s %d%s", (double)of_vector(), big * one, places(),
	      __builtin_cpu_supports("avx2") ? of_wide() : 40 * BY, end_of(one), text,
	      of_letters(), BY == 2 ? is_aligned(&table, 64) ? " aligned" : " crooked" : "");
}
