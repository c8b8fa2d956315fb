/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lu.h - the computation of bench/apps/dsmapps/lu, for C by threads and for C++ on
 * another DSM: the same sums in the same order, so the same bits. Who calls has the
 * memory and the barriers.
 */
#ifndef THREADS_LU_H
#define THREADS_LU_H

#include <stdint.h>

/* struct lu is a matrix in blocks, which nodes own in a pattern of rows and columns. */
struct lu {
	long size, block, n; /* rows, rows of a block, blocks in a row */
	long rows, cols, self;
	double *blocks;
};

/* lu_sizes returns whether they are none. */
static inline int lu_sizes(struct lu *m, long size, long block, long nodes)
{
	if (block < 1 || size < block || size % block)
		return 1;
	m->size = size;
	m->block = block;
	m->n = size / block;
	m->rows = 1;
	for (long r = 1; r * r <= nodes; r++)
		if (nodes % r == 0)
			m->rows = r;
	m->cols = nodes / m->rows;
	return 0;
}

/* lu_random is the first of Go's rand.NewPCG(1, i): PCG-DXSM, as a number below 1. */
static inline double lu_random(uint64_t i)
{
	unsigned __int128 mul = (unsigned __int128)0x2360ed051fc65da4u << 64 | 0x4385df649fccf645u;
	unsigned __int128 inc = (unsigned __int128)0x5851f42d4c957f2du << 64 | 0x14057b7ef767814fu;
	unsigned __int128 state = ((unsigned __int128)1 << 64 | i) * mul + inc;
	uint64_t hi = (uint64_t)(state >> 64), lo = (uint64_t)state;

	hi ^= hi >> 32;
	hi *= 0xda942042e4dd58b5u;
	hi ^= hi >> 48;
	hi *= lo | 1;
	return (double)(hi << 11 >> 11) / (double)(1ull << 53);
}

static inline double lu_element(const struct lu *m, long i, long j)
{
	return lu_random(i * m->size + j) + (i == j ? (double)m->size : 0);
}

static inline double *lu_at(const struct lu *m, long i, long j)
{
	return m->blocks + (i * m->n + j) * m->block * m->block;
}

/* lu_row is row i of the matrix, as far as it lies in blocks of column j. */
static inline const double *lu_row(const struct lu *m, long i, long j)
{
	return lu_at(m, i / m->block, j) + i % m->block * m->block;
}

static inline int lu_mine(const struct lu *m, long i, long j)
{
	return i % m->rows * m->cols + j % m->cols == m->self;
}

static inline void lu_fill(const struct lu *m)
{
	long b = m->block;

	for (long i = 0; i < m->n; i++)
		for (long j = 0; j < m->n; j++)
			for (long e = 0; lu_mine(m, i, j) && e < b * b; e++)
				lu_at(m, i, j)[e] = lu_element(m, i * b + e / b, j * b + e % b);
}

static inline void lu_factor(double *a, long b)
{
	for (long k = 0; k < b; k++) {
		for (long i = k + 1; i < b; i++) {
			a[i * b + k] /= a[k * b + k];
			for (long j = k + 1; j < b; j++)
				a[i * b + j] -= a[i * b + k] * a[k * b + j];
		}
	}
}

/* lu_below divides a block below the diagonal by its upper triangle. */
static inline void lu_below(double *a, const double *diag, long b)
{
	for (long k = 0; k < b; k++) {
		for (long i = 0; i < b; i++) {
			a[i * b + k] /= diag[k * b + k];
			for (long j = k + 1; j < b; j++)
				a[i * b + j] -= a[i * b + k] * diag[k * b + j];
		}
	}
}

/* lu_right solves a block right of the diagonal by its lower triangle. */
static inline void lu_right(double *a, const double *diag, long b)
{
	for (long k = 0; k < b; k++)
		for (long i = k + 1; i < b; i++)
			for (long j = 0; j < b; j++)
				a[i * b + j] -= diag[i * b + k] * a[k * b + j];
}

/* lu_subtract takes away the product of a block below and one right of the diagonal. */
static inline void lu_subtract(double *a, const double *l, const double *u, long b)
{
	for (long i = 0; i < b; i++)
		for (long k = 0; k < b; k++)
			for (long j = 0; j < b; j++)
				a[i * b + j] -= l[i * b + k] * u[k * b + j];
}

/* lu_perimeter is what depends on a diagonal block alone. */
static inline void lu_perimeter(const struct lu *m, long k)
{
	for (long i = k + 1; i < m->n; i++) {
		if (lu_mine(m, i, k))
			lu_below(lu_at(m, i, k), lu_at(m, k, k), m->block);
		if (lu_mine(m, k, i))
			lu_right(lu_at(m, k, i), lu_at(m, k, k), m->block);
	}
}

static inline void lu_interior(const struct lu *m, long k)
{
	for (long i = k + 1; i < m->n; i++)
		for (long j = k + 1; j < m->n; j++)
			if (lu_mine(m, i, j))
				lu_subtract(lu_at(m, i, j), lu_at(m, i, k), lu_at(m, k, j), m->block);
}

/* lu_step takes one diagonal block: its interior is the next step's, for a step ends with a barrier. */
static inline void lu_step(const struct lu *m, long k, void (*barrier)(void))
{
	if (k == 0)
		lu_fill(m);
	else
		lu_interior(m, k - 1);
	if (lu_mine(m, k, k))
		lu_factor(lu_at(m, k, k), m->block);
	barrier();
	lu_perimeter(m, k);
	barrier();
}

#endif
