/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * dsm.h - what a process of a parallel program says to the daemon of its node
 * (dsmd), little-endian and of fixed size. lazystate/dsm/call tells the story.
 *
 * Set-up goes over a unix socket of type SOCK_SEQPACKET, one message each:
 *
 *	program	bd_dsm_hello
 *	dsmd	bd_dsm_welcome	descriptors: region, ring, private state,
 *				and /dev/userfaultfd if BD_DSM_DEVICE
 *	program	bd_dsm_ready	descriptors: userfaultfd, /proc/self/pagemap
 *	dsmd	bd_dsm_start
 *
 * Then nothing is said there any more. Calls go over the ring, one at a time: the
 * program has one thread that uses the shared memory.
 */
#ifndef LAZYSTATE_UAPI_DSM_H
#define LAZYSTATE_UAPI_DSM_H

#include <linux/types.h>

#define BD_DSM_MAGIC	0x3130474e524d5344ULL	/* "DSMRNG01" */
#define BD_DSM_TEXT	240

struct bd_dsm_hello {
	__u64 magic;
	__u32 thread;		/* the one that uses the shared memory */
	__u32 reserved;
};

enum bd_dsm_welcome_flag {
	BD_DSM_DEVICE = 1,	/* /dev/userfaultfd comes along: USERFAULTFD_IOC_NEW on it */
	BD_DSM_RESTORED = 2,	/* the program goes on from its private state */
};

struct bd_dsm_welcome {
	__u64 magic;
	__s32 error;		/* 0, or an errno and text; then the rest is nothing */
	__u32 flags;		/* enum bd_dsm_welcome_flag */
	__u64 base;		/* where the region is to be mapped, shared */
	__u64 bytes;		/* of the region */
	__u64 private_bytes;	/* of the private state to go on from */
	__u32 page_size;
	__u32 ring_bytes;
	__u32 node;
	__u32 nodes;
	__u32 incarnation;
	__u32 locks;		/* 0 to locks - 1; lock number locks is the heap's */
	__u32 conds;
	__u32 reserved;
	char  text[BD_DSM_TEXT];
};

struct bd_dsm_ready {
	__u64 magic;
};

struct bd_dsm_start {
	__u64 magic;
	__s32 error;		/* 0, or an errno and text */
	__u32 reserved;
	char  text[BD_DSM_TEXT];
};

enum bd_dsm_call {
	BD_DSM_ACQUIRE = 1,	/* lock */
	BD_DSM_RELEASE = 2,	/* lock */
	BD_DSM_BARRIER = 3,	/* barrier: any number but BD_DSM_LAST */
	BD_DSM_WAIT = 4,	/* condition, lock, which is held */
	BD_DSM_SIGNAL = 5,	/* condition */
	BD_DSM_BROADCAST = 6,	/* condition */
	BD_DSM_PLACE = 7,	/* first page, pages, node: homes, where there is none yet */
	BD_DSM_PREFETCH = 8,	/* first page, pages, 1: to write; they come while the program goes on */
	/*
	 * Bytes of private state that lie in its descriptor, 1: wait until it is safe.
	 * Right behind another call, and before any access.
	 */
	BD_DSM_CHECKPOINT = 9,
	/* The program is over; the answer comes when that is so for all. */
	BD_DSM_END = 10,
};

#define BD_DSM_LAST	0xffffffffU	/* the barrier of BD_DSM_END */

enum bd_dsm_answer_error {
	BD_DSM_OK = 0,
	BD_DSM_INVALID = 1,	/* no such call, lock, condition, page: nothing was done */
	BD_DSM_REFUSED = 2,	/* this node cannot go on, why says why */
	BD_DSM_LOST = 3,	/* the checkpoint was not written, why says why; the node goes on */
};

enum bd_dsm_answer_flag {
	BD_DSM_DUE = 1,		/* a checkpoint is wanted */
	BD_DSM_REPLAYED = 2,	/* the node is in its past: what follows was done before */
};

/*
 * The ring. A call: arguments and kind, then call is raised by one; the answer is
 * there when answer is as high. Both are futexes of the shared kind; who sleeps
 * says so, before it looks a last time.
 *
 * A token that is here and that nobody waits for is taken and released without a
 * call: word[lock] is 1, the program puts ((kind << 32) | lock) into
 * op[tail % ops] and then raises the tail in gate, from the value that it had
 * before it looked at the word. If that fails, or the gate is shut, or the ring
 * is full (tail - taken == ops), it calls. dsmd shuts the gate, takes what is
 * there, changes words as it must, and opens the gate with a new turn.
 */
#define BD_DSM_GATE_SHUT	0x8000000000000000ULL
#define BD_DSM_GATE_TURN	0x7fffffff00000000ULL
#define BD_DSM_GATE_TAIL	0x00000000ffffffffULL

struct bd_dsm_ring {
	__u64 magic;
	__u32 locks;		/* words there are, the heap's among them */
	__u32 ops;		/* a power of two */
	__u32 words_at;		/* from the ring's beginning */
	__u32 ops_at;
	__u32 reserved0[10];

	__u64 gate;		/* both write it, by compare and swap */
	__u32 taken;		/* dsmd: of the tail */
	__u32 reserved1[13];

	__u32 call;		/* the program's, to the line's end */
	__u32 kind;		/* enum bd_dsm_call */
	__u64 arg[3];
	__u32 program_sleeps;
	__u32 reserved2[7];

	__u32 answer;		/* dsmd's, to the end */
	__u32 error;		/* enum bd_dsm_answer_error */
	__u32 flags;		/* enum bd_dsm_answer_flag */
	__u32 dsmd_sleeps;
	char  why[BD_DSM_TEXT];
};

#endif
