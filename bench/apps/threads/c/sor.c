/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sor.c - bench/apps/dsmapps/sor by plain threads: sor SIZE ITERATIONS THREADS. It
 * writes a line with the seconds it took, and the points as they lie in memory.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OMEGA 0.8

static long size, iterations, threads;
static double *points;
static pthread_barrier_t all;

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

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	pthread_t t[256];
	double begin;

	if (argc != 4)
		return 2;
	size = atol(argv[1]);
	iterations = atol(argv[2]);
	threads = atol(argv[3]);
	if (size < 3 || iterations < 1 || threads < 1 || threads > 256)
		return 2;
	points = malloc(sizeof(*points) * size * size);
	if (!points || pthread_barrier_init(&all, NULL, threads))
		return 1;
	begin = now();
	for (long i = 1; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, (void *)i))
			return 1;
	work(NULL);
	for (long i = 1; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("%.9f\n", now() - begin);
	if (fwrite(points, sizeof(*points), size * size, stdout) != (size_t)(size * size) || fflush(stdout))
		return 1;
	return 0;
}
