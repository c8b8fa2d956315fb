// SPDX-License-Identifier: Apache-2.0
/* bomb.c - fork bombs. Every process of a bomb forks, so none can be spared. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rogue.h"

/*
 * Between two forks a process works; a child that is killed is replaced at once.
 * A session of its own for each child: the scheduler's autogroups do not help.
 */
static int refill(long n, void (*work)(void))
{
	limit_processes(n);
	while (n >= 0) {
		if (fork() == 0)
			setsid();
		work();
	}
	return 2;
}

static void busy(void) { spin(2000000); }
static void asleep(void) { nap_ms(200); }

int bomb_cpu(long n, long unused) { (void)unused; return refill(n, busy); }
int bomb_io(long n, long unused) { (void)unused; return refill(n, copy_zero); }
int bomb_sleep(long n, long unused) { (void)unused; return refill(n, asleep); }

int bomb_short(long n, long live_ms)
{
	limit_processes(n + 1);
	for (;;) {
		if (fork() == 0) {
			if (live_ms > 0)
				nap_ms(live_ms);
			_exit(0);
		}
	}
}

/* A link whose child dies makes a new one: the chain grows again from there. */
int bomb_deep(long n, long unused)
{
	for (long depth = 1; depth < n; depth++) {
		pid_t pid = fork();

		if (pid == 0)
			continue;
		while (pid > 0 && waitpid(pid, NULL, 0) == pid) {
			pid = fork();
			if (pid == 0)
				break;
		}
		if (pid != 0) {
			nap_ms(50);
			depth--;
		}
	}
	(void)unused;
	for (;;)
		busy();
}

static volatile int all_there;

/* They wait for one another: a busy thread would keep the next from its start. */
static void *thread(void *arg)
{
	while (!all_there)
		nap_ms(20);
	for (;;)
		busy();
	return arg;
}

int bomb_threads(long n, long unused)
{
	pthread_attr_t attr;
	pthread_t id;

	(void)unused;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (long i = 1; i < n; i++)
		while (pthread_create(&id, &attr, thread, NULL))
			nap_ms(20);
	all_there = 1;
	thread(NULL);
	return 0;
}
