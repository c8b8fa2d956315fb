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

int bdr_device_init(void);
void bdr_device_exit(void);
struct bdr_device *bdr_device_find(struct ib_device *ibdev);

/* rdma_softirq.c */
void bdr_softirq_raise(void);
void bdr_softirq_restore(void);

/* rdma_workers.c */
void bdr_workers_raise(void);
void bdr_workers_restore(void);

/* rdma_loop.c: a queue pair that is connected to itself, for registrations */
struct bdr_loop {
	struct ib_cq *cq;
	struct ib_qp *qp;
	struct ib_cqe cqe;
	enum ib_wc_status status;
	bool done;
	bool broken;	/* an operation did not end: nothing more is posted */
};

int bdr_loop_open(struct bdr_loop *loop, struct ib_pd *pd, struct rdma_cm_id *id);
void bdr_loop_close(struct bdr_loop *loop);
int bdr_loop_register(struct bdr_loop *loop, struct ib_mr *mr, int access);
int bdr_loop_invalidate(struct bdr_loop *loop, struct ib_mr *mr);

/* rdma_mr.c */
struct bdr_mr {
	struct ib_mr *mr;
	struct ib_device *ibdev;
	u64 len;
	u32 mapped;
	u64 dma[];
};

struct bdr_mr *bdr_mr_new(struct bdr_loop *loop, struct ib_pd *pd, void *va,
			  u64 len, u32 perm);
void bdr_mr_free(struct bdr_loop *loop, struct bdr_mr *m);
u64 bdr_mr_most(const struct bdr_device *dev);

/* rdma_plan.c */
int bdr_plan(const struct bd_table *table, u32 monitor, u64 most,
	     struct bd_region *out, int room);

/* rdma_grant.c */
struct bdr_grant {
	struct list_head list;
	struct list_head conns;
	u32 number;
	u32 monitor;
	u32 qps;
	bool revoked;
	struct bdr_device *dev;
	struct ib_pd *pd;
	struct bdr_loop loop;
	struct bd_root *root;
	struct bd_table *table;
	struct bdr_mr *root_mr;
	struct bdr_mr *mrs[BD_MAX_REGIONS];	/* of table->regions; 0: of the table */
};

extern struct list_head bdr_grants;

struct bdr_grant *bdr_grant_new(struct bdr_device *dev, struct rdma_cm_id *id, u32 monitor);
struct bdr_grant *bdr_grant_find(u32 number, u32 monitor, struct bdr_device *dev);
u32 bdr_grant_count(u32 monitor);
void bdr_grant_sync(struct bdr_grant *g);
void bdr_grant_revoke(struct bdr_grant *g, const char *why);
void bdr_grant_free(struct bdr_grant *g);
void bdr_revoke_where(u32 monitor, struct ib_device *ibdev, const char *why);

#define BDR_ANY_MONITOR	BD_MONITORS

/* rdma_conn.c: one queue pair and its CM id */
struct bdr_conn {
	struct list_head list;
	struct rdma_cm_id *id;
	struct bdr_grant *grant;
	struct work_struct close;
	unsigned long state;	/* bits: accepted, wanted to end, its worker is queued */
};

int bdr_conn_accept(struct rdma_cm_id *id, struct bdr_grant *g,
		    const struct rdma_conn_param *peer, const struct bd_grant *msg);
void bdr_conn_close(struct bdr_conn *conn);

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
