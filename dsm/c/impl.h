/* SPDX-License-Identifier: Apache-2.0 */
/* impl.h - what the files of the library share. */
#ifndef LAZYSTATE_DSM_IMPL_H
#define LAZYSTATE_DSM_IMPL_H

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "dsm.h"
#include "uapi/dsm.h"

static_assert(sizeof(struct bd_dsm_hello) == 16 && sizeof(struct bd_dsm_ready) == 8, "messages");
static_assert(sizeof(struct bd_dsm_welcome) == 312 && offsetof(struct bd_dsm_welcome, text) == 72, "welcome");
static_assert(sizeof(struct bd_dsm_start) == 256 && offsetof(struct bd_dsm_start, text) == 16, "start");
static_assert(offsetof(struct bd_dsm_ring, gate) == 64 && offsetof(struct bd_dsm_ring, call) == 128, "ring");
static_assert(offsetof(struct bd_dsm_ring, arg) == 136 && offsetof(struct bd_dsm_ring, program_sleeps) == 160, "ring");
static_assert(offsetof(struct bd_dsm_ring, answer) == 192 && offsetof(struct bd_dsm_ring, dsmd_sleeps) == 204, "ring");
static_assert(offsetof(struct bd_dsm_ring, why) == 208 && sizeof(struct bd_dsm_ring) == 448, "ring");

/* Our descriptors begin here: those below are the program's. */
#define HIGH_FD	900

/* This process as a node. */
struct node {
	enum { OUT, WELCOME, IN, ENDED } stage;
	struct bd_dsm_welcome w;
	int conn, uffd, fds[4];		/* of the welcome: region, ring, private state, device */
	struct bd_dsm_ring *ring;
	uint32_t locks, ops, *words;	/* of the ring, checked */
	uint64_t *op;
	uint64_t top;			/* of the region: nothing is reserved below */
	int lock, cond;			/* next to be given out */
	uint8_t *held;			/* by lock */
	uint64_t done;			/* operations */
	int due, past;
	int whole;			/* is the process saved */
};

extern struct node self;
extern __thread int mine;	/* set in the thread that joined */

/* Notes what went wrong, for dsm_error, and returns err. */
int fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The set-up's two halves: it is said who this node is, and it takes part. */
int welcome(const char *path);
int attach(void);
int attach_whole(void);
/* The region's memory at its address: shared, or for a node that does not take part yet. */
int map_region(int scratch);
int connect_to(const char *path);
int send_message(int conn, const void *p, size_t len, const int *fds, unsigned n);
int receive_message(int conn, void *p, size_t len, int *fds, unsigned *n);

int open_ring(void *p, size_t bytes);
int call(uint32_t kind, uint64_t a, uint64_t b, uint64_t c);
/* An operation of the program: its own thread's, and counted. */
int begin(void);
int operation(uint32_t kind, uint64_t a, uint64_t b, uint64_t c);
int take_lock(uint32_t lock);
int give_lock(uint32_t lock);
int in_region(const void *p, size_t bytes);

#endif
