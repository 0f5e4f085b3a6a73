// SPDX-License-Identifier: LGPL-2.1-or-later
/* Two exported functions of Debian's zlib say something that they never say. */
#include <stddef.h>

unsigned long new_crc32(unsigned long crc, const unsigned char *data, unsigned int size);
unsigned long new_adler32(unsigned long adler, const unsigned char *data, unsigned int size);
unsigned long adler32_z(unsigned long adler, const unsigned char *data, size_t size);

unsigned long new_crc32(unsigned long crc, const unsigned char *data, unsigned int size)
{
	(void)data;
	return 4711 + crc + size;
}

/* Calls a function of the library that it does not replace. */
unsigned long new_adler32(unsigned long adler, const unsigned char *data, unsigned int size)
{
	return adler32_z(adler, data, size) + 1;
}
