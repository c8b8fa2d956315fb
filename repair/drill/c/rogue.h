/* SPDX-License-Identifier: Apache-2.0 */
/* rogue.h - the programs of the drills, one function each; args are numbers. */
#ifndef ROGUE_H
#define ROGUE_H

/* bomb.c */
int bomb_cpu(long n, long unused);	/* refills to n processes, each busy */
int bomb_io(long n, long unused);	/* the same, /dev/zero to /dev/null */
int bomb_sleep(long n, long unused);	/* fills the process table, uses no CPU */
int bomb_short(long n, long live_ms);	/* short-lived, never more than n at once */
int bomb_deep(long n, long unused);	/* a chain of n, each the child of the last */
int bomb_threads(long n, long unused);	/* one process of n busy threads */

/* hog.c */
int hog_pool(long n, long mib);		/* a controller that respawns n hogs */
int hog_one(long mib, long last_mib);	/* one process */

/* decent.c: what must not be harmed */
int useful(long loops, long mib);	/* prints its wall time for each iteration */
int burst(long n, long live_ms);	/* n processes that end by themselves */
int build(long width, long jobs);	/* like a parallel build */
int resident(long mib, long unused);	/* holds memory and sleeps */

/* timed.c: n of one kind of work; prints ns */
int timed_loop(long loops, long unused);
int timed_fork(long n, long unused);	/* fork, exit, wait */
int timed_exec(long n, long unused);	/* vfork, exec, wait */
int timed_pipe(long n, long unused);	/* round trips between two processes */

/* work.c */
void spin(long loops);
void copy_zero(void);
void touch(unsigned char *mem, unsigned long bytes, unsigned long salt);
unsigned char *take(long mib);
void limit_processes(long n);
void nap_ms(long ms);

#endif
