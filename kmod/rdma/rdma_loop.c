// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_loop.c - a fast registration is posted to a queue pair that is ready to
 * send, and the keys must exist before the CM message that carries them. So
 * each grant has one that is connected to itself; nothing is ever sent on it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <rdma/ib_cache.h>
#include "bdr.h"

#define PATIENCE	(2 * HZ)
#define MIN_RNR_TIMER	12
#define ACK_TIMEOUT	14
#define RETRIES		7

static void to_itself(struct rdma_ah_attr *ah, struct rdma_cm_id *id)
{
	const struct ib_gid_attr *gid = id->route.addr.dev_addr.sgid_attr;
	struct ib_port_attr port;

	ah->type = rdma_ah_find_type(id->device, id->port_num);
	rdma_ah_set_port_num(ah, id->port_num);
	if (gid)
		rdma_ah_set_grh(ah, (union ib_gid *)&gid->gid, 0, gid->index, 1, 0);
	if (!rdma_protocol_roce(id->device, id->port_num) &&
	    !ib_query_port(id->device, id->port_num, &port))
		rdma_ah_set_dlid(ah, port.lid);
}

static int to_init(struct ib_qp *qp, struct rdma_cm_id *id)
{
	struct ib_qp_attr a = {
		.qp_state = IB_QPS_INIT,
		.port_num = id->port_num,
	};

	return ib_modify_qp(qp, &a, IB_QP_STATE | IB_QP_PKEY_INDEX | IB_QP_PORT |
			    IB_QP_ACCESS_FLAGS);
}

static int to_rtr(struct ib_qp *qp, struct rdma_cm_id *id)
{
	struct ib_qp_attr a = {
		.qp_state = IB_QPS_RTR,
		.path_mtu = IB_MTU_256,
		.dest_qp_num = qp->qp_num,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = MIN_RNR_TIMER,
	};

	to_itself(&a.ah_attr, id);
	return ib_modify_qp(qp, &a, IB_QP_STATE | IB_QP_AV | IB_QP_PATH_MTU |
			    IB_QP_DEST_QPN | IB_QP_RQ_PSN |
			    IB_QP_MAX_DEST_RD_ATOMIC | IB_QP_MIN_RNR_TIMER);
}

static int to_rts(struct ib_qp *qp)
{
	struct ib_qp_attr a = {
		.qp_state = IB_QPS_RTS,
		.timeout = ACK_TIMEOUT,
		.retry_cnt = RETRIES,
		.rnr_retry = RETRIES,
		.max_rd_atomic = 1,
	};

	return ib_modify_qp(qp, &a, IB_QP_STATE | IB_QP_TIMEOUT | IB_QP_RETRY_CNT |
			    IB_QP_RNR_RETRY | IB_QP_SQ_PSN |
			    IB_QP_MAX_QP_RD_ATOMIC);
}

/**
 * bdr_loop_open() - make the queue pair and its completion queue
 * @loop: zeroed
 * @pd: of the grant
 */
int bdr_loop_open(struct bdr_loop *loop, struct ib_pd *pd)
{
	struct ib_qp_init_attr a = {
		.cap = { .max_send_wr = 4, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.sq_sig_type = IB_SIGNAL_ALL_WR,
		.qp_type = IB_QPT_RC,
	};
	int room = min_t(u64, 16 + 2ULL * bdr_qps_max, pd->device->attrs.max_cqe), err;

	/*
	 * Polled here: a completion is not to wait for a worker of a sick machine.
	 * Its own operations, and a question and its flush of each connection.
	 */
	loop->cq = ib_alloc_cq_any(pd->device, loop, room, IB_POLL_DIRECT);
	if (IS_ERR(loop->cq)) {
		err = PTR_ERR(loop->cq);
		loop->cq = NULL;
		return err;
	}
	a.send_cq = loop->cq;
	a.recv_cq = loop->cq;
	loop->qp = ib_create_qp(pd, &a);
	if (!IS_ERR(loop->qp))
		return 0;
	err = PTR_ERR(loop->qp);
	loop->qp = NULL;
	bdr_loop_close(loop);
	return err;
}

/**
 * bdr_loop_connect() - connect it to itself, once
 * @loop: open
 * @id: of a monitor's connection: port and address are taken from it
 */
int bdr_loop_connect(struct bdr_loop *loop, struct rdma_cm_id *id)
{
	int err;

	if (loop->up)
		return 0;
	err = to_init(loop->qp, id);
	err = err ?: to_rtr(loop->qp, id);
	err = err ?: to_rts(loop->qp);
	loop->up = !err;
	loop->broken = err;
	return err;
}

/** bdr_loop_close() - also of one that is half open, or not at all */
void bdr_loop_close(struct bdr_loop *loop)
{
	if (loop->qp)
		ib_destroy_qp(loop->qp);
	if (loop->cq)
		ib_free_cq(loop->cq);
	loop->qp = NULL;
	loop->cq = NULL;
}

static void ended(struct ib_cq *cq, struct ib_wc *wc)
{
	struct bdr_loop *loop = container_of(wc->wr_cqe, struct bdr_loop, cqe);

	loop->status = wc->status;
	loop->done = true;
}

static int post(struct bdr_loop *loop, struct ib_send_wr *wr)
{
	unsigned long end = jiffies + PATIENCE;
	int err;

	if (loop->broken)
		return -EIO;
	loop->done = false;
	loop->cqe.done = ended;
	wr->wr_cqe = &loop->cqe;
	err = ib_post_send(loop->qp, wr, NULL);
	if (err)
		return err;
	for (;;) {
		ib_process_cq_direct(loop->cq, -1);
		if (loop->done)
			break;
		if (time_after(jiffies, end)) {
			loop->broken = true;
			return -ETIMEDOUT;
		}
		usleep_range(20, 100);
	}
	if (loop->status == IB_WC_SUCCESS)
		return 0;
	pr_warn_ratelimited("registration: %s\n", ib_wc_status_msg(loop->status));
	loop->broken = true;	/* its queue pair is in the error state */
	return -EIO;
}

/**
 * bdr_loop_register() - make a mapped region count
 * @loop: of the grant
 * @mr: mapped; its key is set
 * @access: IB_ACCESS_*
 */
int bdr_loop_register(struct bdr_loop *loop, struct ib_mr *mr, int access)
{
	struct ib_reg_wr wr = {
		.wr = { .opcode = IB_WR_REG_MR, .send_flags = IB_SEND_SIGNALED },
		.mr = mr,
		.key = mr->rkey,
		.access = access,
	};

	return post(loop, &wr.wr);
}

/**
 * bdr_loop_invalidate() - make its key count no more
 * @loop: of the grant
 * @mr: registered
 */
int bdr_loop_invalidate(struct bdr_loop *loop, struct ib_mr *mr)
{
	struct ib_send_wr wr = {
		.opcode = IB_WR_LOCAL_INV,
		.send_flags = IB_SEND_SIGNALED,
		.ex.invalidate_rkey = mr->rkey,
	};

	return post(loop, &wr);
}
