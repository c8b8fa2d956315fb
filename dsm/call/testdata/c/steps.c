/* SPDX-License-Identifier: Apache-2.0 */
/* steps.c - a program with private state; it writes each step, and the sum. */
#include <dsm.h>
#include <stdio.h>
#include <stdlib.h>

static struct { long sum; char name[5]; } mine;
static long other = 1;

static int step(int k, void *arg)
{
	printf("%d\n", k);
	mine.sum += k;
	other *= 2;
	dsm_barrier(1);
	return k < *(int *)arg;
}

int main(int argc, char **argv)
{
	int last = 3, blocks = argc > 1 ? atoi(argv[1]) : 2;

	if (dsm_join(NULL) < 0 || (blocks > 0 && dsm_private(&mine, sizeof(mine)) < 0) || (blocks > 1 && dsm_private(&other, sizeof(other)) < 0) ||
	    (blocks > 2 && dsm_private(&last, sizeof(last)) < 0) || dsm_run(step, &last) < 0 || dsm_end() < 0) {
		fprintf(stderr, "%s\n", dsm_error());
		return 1;
	}
	printf("sum %ld, %ld\n", mine.sum, other);
	return 0;
}
