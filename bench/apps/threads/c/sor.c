/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sor.c - bench/apps/dsmapps/sor by plain threads: sor SIZE ITERATIONS THREADS. It
 * writes a line with the seconds it took, and the points as they lie in memory.
 */
#define _POSIX_C_SOURCE 200809L
#include "run.h"

#define OMEGA 0.8

static long size, iterations;
static double *points;

static void heat(long row)
{
	double *r = points + row * size;

	for (long x = 0; x < size; x++)
		r[x] = row == 0 || x == 0;
}

static void relax(long row, int colour)
{
	const double *up = points + (row - 1) * size, *down = points + (row + 1) * size;
	double *r = points + row * size;

	for (long x = 1 + (row + 1 + colour) % 2; x < size - 1; x += 2)
		r[x] += OMEGA * (0.25 * (up[x] + down[x] + r[x - 1] + r[x + 1]) - r[x]);
}

static void *work(void *id)
{
	long i = (long)id, from = size * i / threads, to = size * (i + 1) / threads;

	for (long row = from; row < to; row++)
		heat(row);
	pthread_barrier_wait(&all);
	for (long k = 0; k < iterations; k++) {
		for (int colour = 0; colour < 2; colour++) {
			for (long row = from ? from : 1; row < to && row < size - 1; row++)
				relax(row, colour);
			pthread_barrier_wait(&all);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	size = atol(argv[1]);
	iterations = atol(argv[2]);
	threads = atol(argv[3]);
	if (size < 3 || iterations < 1 || threads < 1 || threads > MOST_THREADS)
		return 2;
	points = malloc(sizeof(*points) * size * size);
	if (!points)
		return 1;
	return run(work) || put(points, size * size) || fflush(stdout);
}
