/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lu.c - bench/apps/dsmapps/lu by plain threads: lu SIZE BLOCK THREADS. It writes a
 * line with the seconds it took, and the matrix row by row. In memory it lies block by
 * block, as there.
 */
#define _POSIX_C_SOURCE 200809L
#include "run.h"

#include "lu.h"

static struct lu m;

static void barrier(void) { pthread_barrier_wait(&all); }

static void *work(void *id)
{
	struct lu mine = m;

	mine.self = (long)id;
	for (long k = 0; k < m.n; k++)
		lu_step(&mine, k, barrier);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	threads = atol(argv[3]);
	if (threads < 1 || threads > MOST_THREADS || lu_sizes(&m, atol(argv[1]), atol(argv[2]), threads))
		return 2;
	m.blocks = malloc(sizeof(*m.blocks) * m.size * m.size);
	if (!m.blocks || run(work))
		return 1;
	for (long i = 0; i < m.size; i++)
		for (long j = 0; j < m.n; j++)
			if (put(lu_row(&m, i, j), m.block))
				return 1;
	return fflush(stdout);
}
