// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A live patch for CVE-2026-27171: zlib before 1.3.2 never returns from
 * crc32_combine64() and crc32_combine_gen64() when the length is negative, as
 * an unchecked length from the network may be.  Debian 12 ships zlib 1.2.13.
 *
 * The loop in zlib halves the length until it is 0; halving a negative one by
 * an arithmetic shift ends at -1 and stays there.  Here a negative length is
 * answered with 0, and the loop counts with an unsigned number.
 *
 * crc32_combine() and crc32_combine_gen() need no replacement: they jump to
 * the functions above.  zlibVersion() is replaced too, so that everybody can
 * see which code is running; all three change at the same instant.
 */
#include <stdint.h>

/* Not part of the patch: libz's own, found in the target when it is applied. */
unsigned long crc32_combine_op(unsigned long crc1, unsigned long crc2, unsigned long op);

/*
 * Polynomials over GF(2) of degree < 32, the coefficient of x^0 in the highest
 * bit; arithmetic is modulo the polynomial of CRC-32.
 */
#define MODULUS	0xedb88320u
#define ONE	(1u << 31)
#define X_TO_8	(1u << 23)

static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0, bit;

	for (bit = ONE; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ MODULUS : b >> 1; /* times x */
	}
	return product;
}

/* what appending @len2 bytes does to a CRC: x^(8 * len2) */
unsigned long fixed_combine_gen64(int64_t len2)
{
	uint32_t power = ONE, factor = X_TO_8;
	uint64_t count = len2;

	if (len2 < 0)
		return 0;
	for (; count; count >>= 1) {
		if (count & 1)
			power = multiply(power, factor);
		factor = multiply(factor, factor);
	}
	return power;
}

unsigned long fixed_combine64(unsigned long crc1, unsigned long crc2, int64_t len2)
{
	if (len2 < 0)
		return 0;
	return crc32_combine_op(crc1, crc2, fixed_combine_gen64(len2));
}

const char *fixed_version(void)
{
	return "1.2.13+CVE-2026-27171";
}
