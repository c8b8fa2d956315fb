/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whole.c - a program that names no private state: it has some in all places, in
 * registers, in how it rounds, on a deep stack, in globals, in small and large
 * blocks, in a file that it reads, in the C library.
 */
#include <dsm.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 30, LARGE = 1 << 20 };

struct cell { struct cell *next; long value; };

static struct cell *list;
static long counter = 1, *shared, lock;
static char *large;
static FILE *input;

static void must(int err)
{
	if (err >= 0)
		return;
	fprintf(stderr, "%s\n", dsm_error());
	exit(1);
}

static void add(long v)
{
	struct cell *c = malloc(sizeof(*c));

	*c = (struct cell){ list, v };
	list = c;
	large[counter * 997 % LARGE]++;
	counter++;
	must(dsm_lock(lock));
	*shared += v;
	must(dsm_unlock(lock));
}

/* The stack is as deep as it is private. */
static double descend(int depth, double x)
{
	char room[2000];
	double y;

	memset(room, depth, sizeof(room));
	add(depth);
	y = depth < DEPTH ? descend(depth + 1, x + sqrt(depth)) : x;
	add(-depth);
	for (size_t i = 0; i < sizeof(room); i++)
		if (room[i] != (char)depth)
			abort();
	return y + 1. / depth;
}

int main(int argc, char **argv)
{
	long sum = 0, v = 0, touched = 0;

	if (argc != 2)
		return 2;
	must(dsm_join_whole(NULL));
	shared = dsm_slice(sizeof(*shared));
	must(lock = dsm_locks(1));
	large = calloc(LARGE, 1);
	input = fopen("input", "r");
	if (!shared || !large || !input) {
		perror("input");
		return 3;
	}
	must(dsm_barrier(1));
	fesetround(FE_UPWARD);
	printf("begins\n");
	srand(7);
	while (fscanf(input, "%ld", &v) == 1) {
		add(v);
		add(rand() % 1000);
		printf("%ld: %.17g\n", v, descend(1, v));
	}
	for (struct cell *c = list; c; c = c->next)
		sum = sum * 3 + c->value;
	for (int i = 0; i < LARGE; i++)
		touched += large[i];
	must(dsm_barrier(2));
	printf("%s %ld %ld %ld %ld\n", argv[1], *shared, sum, touched, counter);
	must(dsm_end());
	return 0;
}
