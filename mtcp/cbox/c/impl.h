/* SPDX-License-Identifier: Apache-2.0 */
/* impl.h - what the files of the library share. */
#ifndef LAZYSTATE_CBOX_IMPL_H
#define LAZYSTATE_CBOX_IMPL_H

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "cbox.h"

static_assert(sizeof(struct bd_cbox_head) == 256, "head");
static_assert(offsetof(struct bd_cbox_head, crc) == 164 && offsetof(struct bd_cbox_head, state) == 168, "head");
static_assert(sizeof(struct bd_cbox_proc) == 128 && offsetof(struct bd_cbox_proc, owner) == 64, "process");
static_assert(sizeof(struct bd_cbox_snap) == 64 && offsetof(struct bd_cbox_snap, number) == 16, "snapshot");
static_assert(sizeof(struct bd_cbox_chan) == 192 && offsetof(struct bd_cbox_chan, head) == 64 && offsetof(struct bd_cbox_chan, lsr) == 128, "channel");
static_assert(sizeof(struct bd_cbox_act) == 48 && sizeof(struct bd_cbox_opt) == 32 && sizeof(struct bd_cbox_pass) == 56, "records");
static_assert(sizeof(struct bd_cbox_end) == 16 && sizeof(struct bd_cbox_area) == 16 && sizeof(struct bd_cbox_table) == 8, "parts");

/* As mtcp.Reader and mtcp.Writer. */
struct reader { uint64_t lsr, pos, end; };
struct writer { uint64_t pos, head; int ndi; };

struct ring {
	uint8_t *data;
	uint64_t len, base;
};

/* A checked copy of what a box begins with. The tables lie in raw. */
struct head {
	struct bd_cbox_head h;
	uint8_t *raw;
	uint32_t len;
	struct bd_cbox_proc *procs;
	struct bd_cbox_chan *chans;
	struct bd_cbox_opt *opts;
	struct bd_cbox_act *acts;
};

/* This process's end of one ring. */
struct end {
	uint32_t idx, peer;
	int writes, closed;
	struct bd_cbox_chan *chan;	/* in the box */
	struct ring ring;
	struct reader r;
	struct writer w;
};

struct snapshot {
	struct bd_cbox_snap s;
	struct bd_cbox_end *ends;
	void *data;
	uint8_t *raw;
};

struct cbox {
	struct cbox_region where;
	struct cbox_keeper *keeper;
	struct cbox *next;		/* of the keeper's */
	uint8_t *m;
	struct bd_cbox_head *h;		/* in m */
	struct bd_cbox_head fixed;	/* a checked copy: what is written once */
	struct bd_cbox_proc *proc;	/* in m */
	uint64_t snap_off;		/* checked copies */
	uint32_t snap_len, parent;
	uint32_t slot, owner;
	uint64_t seq;
	int ndi, shut;
	void *state;			/* imported */
	size_t state_len;
	int has_state;
	struct end *ends[BD_CBOX_CHANS_MAX];
	unsigned nends;

	/* the root's */
	int conn;			/* -1: not the root */
	int bell, epoll;		/* -1: none */
	int nonblock;
	struct ring log, hold;
	struct reader up;
	struct writer down;
	uint64_t release, touched;
	int ended, shut_held, shut_due;
	struct bd_cbox_opt opts[BD_CBOX_OPTS_MAX];
	unsigned nopts;
	struct bd_cbox_act acts[BD_CBOX_ACTS_MAX];	/* since the snapshot, from act_first on */
	uint32_t act_first, act_next, nacts;
};

#define LOAD(p)		__atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v)	__atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define CAS(p, old, v)	__atomic_compare_exchange_n(p, old, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
/* On amd64 stores are seen in their order; this keeps the compiler from changing it. */
#define PUT(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

static inline uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* crc32c.c */
uint32_t cbox_crc32c(const void *p, size_t n);

/* head.c */
int head_read(const uint8_t *m, uint64_t length, struct head *x);
void head_free(struct head *x);
int head_joined(const struct head *x, uint32_t slot);

/* layout.c */
uint8_t *layout(const struct cbox_config *cfg, int *err);
void layout_write(uint8_t *m, uint8_t *b);

/* region.c */
int region_new(struct cbox_region *r, uint64_t length, int conn);
int region_map(const struct cbox_region *r, uint8_t **m);

/* owner.c */
int box_begin(struct cbox *c);		/* of an operation */
void box_leave(struct cbox *c);
int box_take_over(struct cbox *c);
int box_stays(struct cbox *c, int *err);	/* though that has failed */

/* ring.c */
void ring_put(const struct ring *r, uint64_t off, const void *p, uint64_t n);
void ring_take(const struct ring *r, uint64_t off, void *p, uint64_t n);
uint8_t *ring_at(const struct ring *r, uint64_t off, uint64_t *n);
uint64_t reader_logged(const struct reader *r, uint64_t n);
int reader_crowded(const struct reader *r, uint64_t size);
uint64_t writer_swallow(const struct writer *w, uint64_t n);
int writer_holds(const struct writer *w);
void writer_write(struct writer *w, uint64_t n);
void futex_wake(void *word);
void futex_sleep(void *word, uint32_t seen, void *word2, uint32_t seen2);

/* snap.c */
int snap_last(const struct cbox *c, const struct head *x, struct snapshot *s);
void snap_free(struct snapshot *s);
int snap_take(struct cbox *c, const void *state, size_t len, uint16_t flags);

/* conn.c */
int conn_begin(struct cbox *c, struct head *x, const struct snapshot *s);
void conn_position(const struct cbox *c, struct bd_cbox_snap *s);
void conn_exported(struct cbox *c, int ndi);
int conn_offsets(int fd, uint64_t read_base, uint64_t write_base, uint64_t *read, uint64_t *written);
int conn_check(int fd);
int conn_send(struct cbox *c);		/* -EAGAIN: the socket takes no more for now */
int conn_pending(const struct cbox *c);

/* act.c */
int act_begin(struct cbox *c, struct head *x, const struct snapshot *s);
int act_do(struct cbox *c, struct bd_cbox_act *a, int (*perform)(struct cbox *, const struct bd_cbox_act *));
int act_ends_writing(const struct cbox *c);
void act_exported(struct cbox *c);

/* end.c */
int end_find(struct cbox *c, const struct head *x, const struct snapshot *s);
int end_add(struct cbox *c, const struct head *x, uint32_t idx, const struct bd_cbox_end *at);
void end_exported(struct end *e, int ndi);
void end_close(struct cbox *c, struct end *e);
void end_position(const struct end *e, struct bd_cbox_end *at);

/* pass.c */
struct cbox *pass_take(int sock, struct bd_cbox_pass *p, int *err);

/* keeper.c */
int keeper_keep(struct cbox_keeper *k, struct cbox *c);
int keeper_done(struct cbox_keeper *k, const struct cbox *c);
void keeper_forget(struct cbox_keeper *k, struct cbox *c);

#endif
