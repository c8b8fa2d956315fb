/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm.h - the DSM for programs in C, as package dsm/client has it for Go, whose
 * documentation is this library's too. parmacs.h has the macros of SPLASH-2.
 *
 * The same program runs as one process on every node, and one thread of it uses
 * the DSM. Calls return 0 or what they are asked for, or a negative error:
 * -errno, or one of those below; dsm_error() says more.
 *
 *	dsm_join(NULL);				// the daemon that dsmrun started
 *	long *sums = dsm_slice(dsm_nodes() * sizeof(*sums));
 *	sums[dsm_node()] = part(dsm_node());
 *	dsm_barrier(1);				// now each sees all sums
 *	dsm_end();
 */
#ifndef LAZYSTATE_DSM_H
#define LAZYSTATE_DSM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define DSM_EREFUSED	1101	/* this node cannot go on */
#define DSM_ELOST	1102	/* a checkpoint was not written; the node goes on */

/* Joins the node whose daemon listens at path, NULL: at $DSM_SOCKET. */
int dsm_join(const char *path);
/*
 * The same for a program that names no private state and is saved whole, behind any
 * operation where a checkpoint is due: memory, stack, where it reads its files. It
 * has one thread, and no sockets or pipes that matter. It goes on in another process
 * if that is of the same build, on the same kernel. The first thing in main: it may
 * run the program anew, at addresses that it finds again. Where that is not allowed
 * there are no checkpoints, and it is replayed from its beginning.
 */
int dsm_join_whole(const char *path);
/* The program is over; returns when all nodes' are. Shared memory is gone then. */
int dsm_end(void);
/* What went wrong last. */
const char *dsm_error(void);

int dsm_node(void);
int dsm_nodes(void);
size_t dsm_page_size(void);
/* The node does again what it did before it was lost: output was written then. */
int dsm_replayed(void);

/*
 * Before the first operation: all nodes ask for the same, in the same order, and
 * get the same, without a word between them. Memory is zeros; what has a page or
 * more begins at one. Locks and conditions: the first of count.
 */
void *dsm_slice(size_t bytes);
int dsm_locks(int count);
int dsm_conds(int count);

/* At any time, by one node; what was freed before is not zeros. */
void *dsm_alloc(size_t bytes);
int dsm_free(void *p);

int dsm_lock(int lock);
int dsm_unlock(int lock);
/* All nodes name the same barrier. */
int dsm_barrier(unsigned barrier);
/* Releases the lock and takes it again, after a signal or without one. */
int dsm_wait(int cond, int lock);
int dsm_signal(int cond);
int dsm_broadcast(int cond);

/* A home for pages that have none; pages fetched before they are used. */
int dsm_place(const void *p, size_t bytes, int node);
int dsm_prefetch(const void *p, size_t bytes, int write);

/*
 * A program that is to survive the loss of a node: it registers its private
 * state, and makes steps 0, 1, ... until one returns 0. A step ends with an
 * operation. A process that is restarted finds its private state, and goes on
 * with the step behind its last checkpoint. No operation comes before dsm_run.
 */
int dsm_private(void *p, size_t bytes);
int dsm_run(int (*step)(int k, void *arg), void *arg);
/* Asks for a checkpoint at the end of this step. */
void dsm_checkpoint(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
