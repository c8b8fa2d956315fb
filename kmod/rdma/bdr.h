/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bdr.h - what the parts of backdoor_rdma.ko share with one another.
 *
 * A monitor's connection is a queue pair of a grant. A grant has a protection
 * domain, registrations with keys and a region table of its own, so that what
 * one monitor gets or loses touches no other (DECISION 16).
 *
 * Locks, outermost first: the region table's and the carriers' of backdoor.ko,
 * then bdr_lock, which guards grants, connections, devices and the snapshot.
 * Nobody waits for memory under bdr_lock: what a grant is made of is allocated
 * ahead of it (rdma_reserve.c), and what a connection needs comes at once from
 * the kernel's reserves or not at all (rdma_listen.c).
 */
#ifndef BDR_H
#define BDR_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#include "bd.h"

/* rdma_main.c */
extern struct mutex bdr_lock;
extern struct workqueue_struct *bdr_wq;
extern uint bdr_grants_max;
extern uint bdr_qps_max;
extern uint bdr_spares_max;

/* The region table as it was published last; generation 0: withdrawn. */
struct bdr_snapshot {
	struct bd_root root;
	struct bd_table table;
};

extern struct bdr_snapshot *bdr_snapshot;

/* rdma_device.c: devices that may carry grants */
struct bdr_device {
	struct list_head list;
	struct ib_device *ibdev;
	bool software;	/* it copies with this machine's CPU */
};

extern struct list_head bdr_devices;

int bdr_device_init(void);
void bdr_device_exit(void);
struct bdr_device *bdr_device_find(struct ib_device *ibdev);

/* rdma_softirq.c */
void bdr_softirq_raise(void);
void bdr_softirq_restore(void);

/* rdma_workers.c */
#define BDR_AT_ONCE	16

bool bdr_worker_unbound(const struct task_struct *p);
int bdr_tasks_find(struct task_struct **found, bool (*wanted)(const struct task_struct *));
void bdr_workers_raise(void);
void bdr_workers_restore(void);

/* rdma_pin.c */
void bdr_pin_all(void);
void bdr_pin_none(void);
bool bdr_pin_any(void);

/* rdma_loop.c: a queue pair that is connected to itself, for registrations */
struct bdr_loop {
	struct ib_cq *cq;
	struct ib_qp *qp;
	struct ib_cqe cqe;
	enum ib_wc_status status;
	bool done;
	bool up;	/* it was connected */
	bool broken;	/* an operation did not end: nothing more is posted */
};

int bdr_loop_open(struct bdr_loop *loop, struct ib_pd *pd);
int bdr_loop_connect(struct bdr_loop *loop, struct rdma_cm_id *id);
void bdr_loop_close(struct bdr_loop *loop);
int bdr_loop_register(struct bdr_loop *loop, struct ib_mr *mr, int access);
int bdr_loop_invalidate(struct bdr_loop *loop, struct ib_mr *mr);

/* rdma_mr.c */
struct bdr_mr {
	struct bd_region region;	/* what it covers; perm is what the region allows */
	struct ib_mr *mr;
	struct ib_device *ibdev;
	u64 len;
	bool registered;		/* its key counts */
	u32 mapped;
	u64 dma[];
};

struct bdr_mr *bdr_mr_new(struct ib_pd *pd, const struct bd_region *r);
int bdr_mr_register(struct bdr_loop *loop, struct bdr_mr *m, u32 perm);
void bdr_mr_invalidate(struct bdr_loop *loop, struct bdr_mr *m);
void bdr_mr_free(struct bdr_loop *loop, struct bdr_mr *m);
u64 bdr_mr_most(const struct bdr_device *dev);

/* rdma_plan.c */
int bdr_plan(const struct bd_table *table, u64 most, struct bd_region *out, int room);
u32 bdr_allowed(const struct bd_region *r, u32 monitor);

/* rdma_grant.c */
enum bdr_state {
	BDR_SPARE,	/* nobody's: all is allocated and mapped, no key counts */
	BDR_STANDS,
	BDR_REVOKED,	/* no key counts any more; its connections are being closed */
};

struct bdr_grant {
	struct list_head list;	/* bdr_grants, or bdr_spares */
	struct list_head conns;
	enum bdr_state state;
	u32 number;
	u32 monitor;
	u32 qps;
	bool building;	/* something is being allocated for it without the lock */
	bool ended;	/* whoever builds frees it */
	struct bdr_device *dev;
	struct ib_pd *pd;
	struct bdr_loop loop;
	struct bd_root *root;
	struct bd_table *table;
	struct bdr_mr *root_mr;
	struct bdr_mr *mrs[BD_MAX_REGIONS];	/* 0: of the table; entry i of it is mrs[i]'s */
	DECLARE_BITMAP(left_out, BD_MAX_REGIONS);	/* of the plan: cannot be registered */
};

extern struct list_head bdr_grants;

struct bdr_grant *bdr_grant_take(struct bdr_device *dev, struct rdma_cm_id *id, u32 monitor);
struct bdr_grant *bdr_grant_find(u32 number, u32 monitor, struct bdr_device *dev);
u32 bdr_grant_count(u32 monitor);
void bdr_grant_sync(struct bdr_grant *g);
int bdr_grant_missing(const struct bdr_grant *g, struct bd_region *r);
bool bdr_grant_put(struct bdr_grant *g, const struct bd_region *r, struct bdr_mr *m);
void bdr_grant_revoke(struct bdr_grant *g, const char *why);
void bdr_grant_retire(struct bdr_grant *g, const char *why);
void bdr_grant_end(struct bdr_grant *g);
void bdr_revoke_where(u32 monitor, struct ib_device *ibdev, const char *why);

#define BDR_ANY_MONITOR	BD_MONITORS

/* rdma_stock.c: what a grant is made of */
struct bdr_grant *bdr_stock_new(struct bdr_device *dev);
int bdr_stock_own_pages(struct bdr_grant *g);
void bdr_stock_free(struct bdr_grant *g);

/* rdma_reserve.c: spare grants, and whoever allocates */
extern struct list_head bdr_spares;

void bdr_reserve_kick(void);
void bdr_reserve_fill(void);
void bdr_reserve_drop(struct bdr_device *dev);
void bdr_reserve_exit(void);
struct bdr_grant *bdr_reserve_ready(struct bdr_device *dev);
bool bdr_grant_ready(const struct bdr_grant *g);
bool bdr_reserve_wants(struct bdr_device *dev);

/* rdma_conn.c: one queue pair and its CM id */
struct bdr_conn {
	struct list_head list;
	struct rdma_cm_id *id;
	struct bdr_grant *grant;
	struct work_struct close;
	unsigned long state;	/* bits: accepted, wanted to end, its worker is queued */
	struct ib_cqe beat;	/* of the last question whether the monitor is there */
	bool asked;		/* it is not answered yet */
	u32 missed;		/* how often it was looked for in vain */
};

int bdr_conn_accept(struct rdma_cm_id *id, struct bdr_grant *g,
		    const struct rdma_conn_param *peer, const struct bd_grant *msg);
void bdr_conn_close(struct bdr_conn *conn);
bool bdr_conn_open(const struct bdr_conn *conn);

/* rdma_beat.c: is a monitor's machine still there */
void bdr_beat_init(void);
void bdr_beat_exit(void);

/* rdma_hello.c */
u32 bdr_hello_check(const struct bd_hello *h, u8 len);
void bdr_hello_deny(struct rdma_cm_id *id, const struct bd_hello *h, u32 reason);
void bdr_hello_grant(struct bd_grant *msg, const struct bd_hello *h, const struct bdr_grant *g);
u64 bdr_denials(u32 reason);

/* rdma_listen.c */
int bdr_listen_init(void);
void bdr_listen_exit(void);

/* rdma_sysfs.c */
int bdr_sysfs_init(void);
void bdr_sysfs_exit(void);

#endif
