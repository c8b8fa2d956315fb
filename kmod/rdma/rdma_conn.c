// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_conn.c - one queue pair of a grant, from the accept to its end. A CM id
 * cannot be destroyed in its own event handler, so a worker closes it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include "bdr.h"

enum { ACCEPTED, DOOMED, CLOSING };

static void close_work(struct work_struct *work)
{
	struct bdr_conn *conn = container_of(work, struct bdr_conn, close);
	struct bdr_grant *g = conn->grant;

	mutex_lock(&bdr_lock);	/* whoever has found it open is done with its queue pair */
	mutex_unlock(&bdr_lock);
	rdma_disconnect(conn->id);
	rdma_destroy_qp(conn->id);
	rdma_destroy_id(conn->id);	/* no event comes after this */
	mutex_lock(&bdr_lock);
	/* Nothing is added for its queue pair any more: with this none is left. */
	ib_process_cq_direct(g->loop.cq, -1);
	list_del(&conn->list);
	g->qps--;
	if (list_empty(&g->conns))
		bdr_grant_end(g);
	mutex_unlock(&bdr_lock);
	kfree(conn);
}

/**
 * bdr_conn_close() - begin its end, once; from any context that may queue work
 * @conn: if it is still being accepted, it ends right after; whoever guesses its
 *        number can make its queue pair fail before the answer is sent
 */
void bdr_conn_close(struct bdr_conn *conn)
{
	set_bit(DOOMED, &conn->state);
	smp_mb__after_atomic();	/* either this sees ACCEPTED or the accept DOOMED */
	if (test_bit(ACCEPTED, &conn->state) && !test_and_set_bit(CLOSING, &conn->state))
		queue_work(bdr_wq, &conn->close);
}

/** bdr_conn_open() - accepted, and nobody wants to end it */
bool bdr_conn_open(const struct bdr_conn *conn)
{
	return test_bit(ACCEPTED, &conn->state) && !test_bit(DOOMED, &conn->state);
}

static void accepted(struct bdr_conn *conn)
{
	set_bit(ACCEPTED, &conn->state);
	smp_mb__after_atomic();	/* as in bdr_conn_close() */
	if (test_bit(DOOMED, &conn->state))
		bdr_conn_close(conn);
}

static void qp_event(struct ib_event *event, void *data)
{
	struct bdr_conn *conn = data;

	if (event->event == IB_EVENT_COMM_EST)
		rdma_notify(conn->id, event->event);
	else
		bdr_conn_close(conn);
}

static int new_qp(struct bdr_conn *conn)
{
	struct bdr_grant *g = conn->grant;
	struct ib_qp_init_attr a = {
		.event_handler = qp_event,
		.qp_context = conn,
		.send_cq = g->loop.cq,
		.recv_cq = g->loop.cq,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.sq_sig_type = IB_SIGNAL_ALL_WR,
		.qp_type = IB_QPT_RC,
	};

	return rdma_create_qp(conn->id, g->pd, &a);
}

static int answer(struct bdr_conn *conn, const struct rdma_conn_param *peer,
		  const struct bd_grant *msg)
{
	struct rdma_conn_param p = {
		.private_data = msg,
		.private_data_len = sizeof(*msg),
		/* as many reads as the peer wants to have under way, or we can serve */
		.responder_resources = min_t(int, peer->responder_resources,
					     conn->id->device->attrs.max_qp_rd_atom),
		.rnr_retry_count = 7,
	};

	return rdma_accept(conn->id, &p);
}

/**
 * bdr_conn_accept() - give a connection request a queue pair and its answer
 * @id: of the request; its context becomes the connection
 * @g: whose keys it uses
 * @peer: what the request asks for
 * @msg: private data of the answer
 *
 * On an error the id is the caller's as before. Under bdr_lock.
 */
int bdr_conn_accept(struct rdma_cm_id *id, struct bdr_grant *g,
		    const struct rdma_conn_param *peer, const struct bd_grant *msg)
{
	struct bdr_conn *conn = kzalloc(sizeof(*conn), GFP_KERNEL);
	int err;

	if (!conn)
		return -ENOMEM;
	INIT_WORK(&conn->close, close_work);
	conn->id = id;
	conn->grant = g;
	err = new_qp(conn);
	if (err)
		goto err_free;
	list_add_tail(&conn->list, &g->conns);
	g->qps++;
	id->context = conn;
	err = answer(conn, peer, msg);
	if (!err) {
		accepted(conn);
		return 0;
	}
	id->context = NULL;
	g->qps--;
	list_del(&conn->list);
	rdma_destroy_qp(id);	/* no event of it comes after this */
err_free:
	kfree(conn);
	return err;
}
