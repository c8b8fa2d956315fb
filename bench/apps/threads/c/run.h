/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - what programs by plain threads have in common: so many threads that do the
 * same, and the line and numbers that package threads reads.
 */
#ifndef THREADS_RUN_H
#define THREADS_RUN_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_THREADS 256

static long threads;
static pthread_barrier_t all;

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* run has work(0) up to work(threads - 1) done at once, writes what they took, and returns 0. */
static inline int run(void *(*work)(void *))
{
	pthread_t t[MOST_THREADS];
	double begin;

	if (pthread_barrier_init(&all, NULL, threads))
		return 1;
	begin = now();
	for (long i = 1; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, (void *)i))
			return 1;
	work(NULL);
	for (long i = 1; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("%.9f\n", now() - begin);
	return 0;
}

/* put writes numbers as they lie in memory. */
static inline int put(const double *v, long count)
{
	return fwrite(v, sizeof(*v), count, stdout) != (size_t)count;
}

#endif
