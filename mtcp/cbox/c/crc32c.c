/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.c - CRC-32C (Castagnoli), by the processor's instruction where it has one. */
#include "impl.h"

static uint32_t table[256];

__attribute__((constructor)) static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = i;

		for (int k = 0; k < 8; k++)
			v = v & 1 ? v >> 1 ^ 0x82f63b78u : v >> 1;
		table[i] = v;
	}
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t wide = crc, v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		wide = __builtin_ia32_crc32di(wide, v);
	}
	crc = (uint32_t)wide;
	while (n--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

uint32_t cbox_crc32c(const void *p, size_t n)
{
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(~0u, p, n);
	return ~by_table(~0u, p, n);
}
