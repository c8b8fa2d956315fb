// SPDX-License-Identifier: Apache-2.0
/* timed.c - a fixed piece of work of one kind; prints how long it took, in ns */
#include <stdio.h>
#include <sys/types.h>
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

static int report(long long began)
{
	return printf("%lld\n", now_ns() - began) < 0;
}

int timed_loop(long loops, long unused)
{
	long long began = now_ns();

	(void)unused;
	spin(loops);
	return report(began);
}

int timed_fork(long n, long unused)
{
	long long began = now_ns();

	(void)unused;
	while (n-- > 0) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			return 1;
	}
	return report(began);
}

int timed_exec(long n, long unused)
{
	long long began = now_ns();

	(void)unused;
	while (n-- > 0) {
		pid_t child = vfork();
		int status;

		if (!child) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			return 1;
	}
	return report(began);
}

/* Two processes and two pipes: on one CPU each round trip is two switches. */
int timed_pipe(long n, long unused)
{
	int to[2], from[2];
	long long began;
	char c = 0;

	(void)unused;
	if (pipe(to) || pipe(from))
		return 1;
	switch (fork()) {
	case -1:
		return 1;
	case 0:
		close(to[1]);
		close(from[0]);
		while (read(to[0], &c, 1) == 1 && write(from[1], &c, 1) == 1)
			;
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	began = now_ns();
	while (n-- > 0)
		if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
			return 1;
	return report(began);
}
