/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.c - CRC-32C (Castagnoli), by the processor's instruction where it has one. */
#include "impl.h"

/* The instruction takes three cycles, but one can begin in each: three blocks at once. */
#define BLOCK	256

static uint32_t table[256];
static uint32_t zeros[4][256];	/* what BLOCK bytes of zeros make of a state, byte by byte of it */

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

__attribute__((constructor)) static void make_tables(void)
{
	static const uint8_t nothing[BLOCK];

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = i;

		for (int k = 0; k < 8; k++)
			v = v & 1 ? v >> 1 ^ 0x82f63b78u : v >> 1;
		table[i] = v;
	}
	/* It is linear: the rest follows from the single bits. */
	for (uint32_t bit = 0; bit < 32; bit++)
		zeros[bit / 8][1u << bit % 8] = by_table(1u << bit, nothing, BLOCK);
	for (uint32_t k = 0; k < 4; k++)
		for (uint32_t i = 1; i < 256; i++)
			zeros[k][i] = zeros[k][i & (i - 1)] ^ zeros[k][i & -i];
}

static uint32_t behind_block(uint32_t crc)
{
	return zeros[0][crc & 255] ^ zeros[1][crc >> 8 & 255] ^ zeros[2][crc >> 16 & 255] ^ zeros[3][crc >> 24];
}

static uint64_t word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t a, b, c;

	for (; n >= 3 * BLOCK; p += 3 * BLOCK, n -= 3 * BLOCK) {
		a = crc;
		b = c = 0;
		for (size_t i = 0; i < BLOCK; i += 8) {
			a = __builtin_ia32_crc32di(a, word(p + i));
			b = __builtin_ia32_crc32di(b, word(p + BLOCK + i));
			c = __builtin_ia32_crc32di(c, word(p + 2 * BLOCK + i));
		}
		crc = behind_block(behind_block((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
	}
	for (a = crc; n >= 8; p += 8, n -= 8)
		a = __builtin_ia32_crc32di(a, word(p));
	for (crc = (uint32_t)a; n; n--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

uint32_t cbox_crc32c(const void *p, size_t n)
{
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(~0u, p, n);
	return ~by_table(~0u, p, n);
}
