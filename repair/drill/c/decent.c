// SPDX-License-Identifier: Apache-2.0
/* decent.c - programs that a repair must not touch */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "rogue.h"

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* One line for each iteration: its number and its wall time in ns. */
int useful(long loops, long mib)
{
	unsigned char *mem = take(mib);
	char line[64];

	for (unsigned long i = 1; mem; i++) {
		long long start = now_ns();

		touch(mem, (unsigned long)mib << 20, i);
		spin(loops);
		snprintf(line, sizeof(line), "%lu %lld\n", i, now_ns() - start);
		if (write(1, line, strlen(line)) < 0)
			return 1;
	}
	return 1;
}

int burst(long n, long live_ms)
{
	for (long i = 0; i < n; i++)
		if (fork() == 0) {
			nap_ms(live_ms);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	return 0;
}

int build(long width, long jobs)
{
	long running = 0;

	for (; jobs > 0; jobs--) {
		if (running == width && wait(NULL) > 0)
			running--;
		if (fork() == 0) {
			spin(20000000);
			_exit(0);
		}
		running++;
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

int resident(long mib, long unused)
{
	unsigned char *mem = take(mib);

	(void)unused;
	if (!mem)
		return 1;
	for (unsigned long salt = 1;; salt++) {
		touch(mem, (unsigned long)mib << 20, salt);
		nap_ms(200);
	}
}
