/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parmacs.h - the macros of the Argonne National Laboratory, as the programs of
 * SPLASH-2 and Splash-3 use them, over the DSM. parmacs.m4 brings this file into a
 * program; one that is not preprocessed by m4 includes it, and defines
 * DSM_PARMACS_MAIN before where its main is.
 *
 * Threads become nodes. Node 0 runs main. So do the others, up to CREATE, so that
 * their globals are set, but on memory of their own that is forgotten then, with a
 * standard output that nobody reads; behind CREATE they run its function and end.
 * Until then locks do nothing, for there is one thread. So:
 *
 * - CREATE has two arguments, once in a program, and as many processes as nodes;
 * - globals that are written after CREATE are private. What is shared comes from
 *   G_MALLOC: from the same call at all nodes before CREATE, from one of them later;
 * - what main reads (input, files) all nodes find;
 * - a signal wakes all that wait, so waiters look again.
 *
 * Behind CREATE processes are saved whole (dsm_join_whole), and go on from there.
 *
 * What cannot be ends the program with exit 1 and a line that says why.
 */
#ifndef LAZYSTATE_PARMACS_H
#define LAZYSTATE_PARMACS_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct dsm_pause { int lock, cond, set; };

void dsm_parmacs(void);
void dsm_create(void (*f)(void), long processes);
void dsm_wait_for_end(long processes);
void dsm_main_end(void);
void *dsm_malloc(size_t bytes);
void dsm_release(void *p);
int dsm_new_lock(void);
int dsm_new_barrier(void);
int dsm_new_cond(const void *at);
void dsm_take(int lock);
void dsm_give(int lock);
void dsm_meet(int barrier, long processes);
void dsm_await(int cond, int lock);
void dsm_wake(int cond);
void dsm_new_pause(struct dsm_pause *p);
void dsm_set_pause(struct dsm_pause *p);
void dsm_wait_pause(struct dsm_pause *p);

#ifdef DSM_PARMACS_MAIN
/* Before main, which may write something before it comes to MAIN_INITENV. */
static void __attribute__((constructor)) dsm_before_main(void)
{
	dsm_parmacs();
}
#endif

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#define MAIN_INITENV(...)	{ dsm_parmacs(); }
#define MAIN_END		{ dsm_main_end(); }
#define CREATE(f, n)		{ dsm_create((void (*)(void))(f), (n)); }
#define WAIT_FOR_END(n)		{ dsm_wait_for_end(n); }

#define G_MALLOC(n)		dsm_malloc(n)
#define NU_MALLOC(n, ...)	dsm_malloc(n)
#define G_FREE(p)		{ dsm_release(p); }

#define LOCKDEC(l)		int l;
#define LOCKINIT(l)		{ (l) = dsm_new_lock(); }
#define LOCK(l)			{ dsm_take(l); }
#define UNLOCK(l)		{ dsm_give(l); }

#define ALOCKDEC(l, n)		int (l)[n];
#define ALOCKINIT(l, n)		{ for (long dsm_i = 0; dsm_i < (n); dsm_i++) (l)[dsm_i] = dsm_new_lock(); }
#define ALOCK(l, i)		{ dsm_take((l)[i]); }
#define AULOCK(l, i)		{ dsm_give((l)[i]); }
#define AGETL(l, i)		((l)[i])

#define BARDEC(b)		int b;
#define BARINIT(b, ...)		{ (b) = dsm_new_barrier(); }
#define BARRIER(b, n)		{ dsm_meet((b), (n)); }

#define CONDVARDEC(c)		int c;
#define CONDVARINIT(c)		{ (c) = dsm_new_cond(&(c)); }
#define CONDVARWAIT(c, l)	{ dsm_await((c), (l)); }
#define CONDVARSIGNAL(c)	{ dsm_wake(c); }
#define CONDVARBCAST(c)		{ dsm_wake(c); }

#define PAUSEDEC(p)		struct dsm_pause p;
#define PAUSEINIT(p)		{ dsm_new_pause(&(p)); }
#define SETPAUSE(p)		{ dsm_set_pause(&(p)); }
#define WAITPAUSE(p)		{ dsm_wait_pause(&(p)); }
#define CLEARPAUSE(p)		{ ; }

/* Between nodes order comes from locks and barriers; this is for the compiler. */
#define RELEASE_FENCE()		{ __atomic_thread_fence(__ATOMIC_RELEASE); }
#define ACQUIRE_FENCE()		{ __atomic_thread_fence(__ATOMIC_ACQUIRE); }
#define FULL_FENCE()		{ __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#define CLOCK(t)	{ struct timeval dsm_t; gettimeofday(&dsm_t, NULL); (t) = dsm_t.tv_sec * 1000000UL + dsm_t.tv_usec; }

#define SPLASH3_ROI_BEGIN()
#define SPLASH3_ROI_END()

#endif
