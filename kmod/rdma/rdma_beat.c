// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_beat.c - a monitor whose machine died says no goodbye. So each connection
 * is asked now and then, by a WRITE of no bytes, which the monitor's NIC answers
 * and nobody's memory sees; one that owes its answer for the lease, or cannot even
 * be asked, is closed, and with its last connection a grant ends.
 *
 * That is housekeeping: no repair and no key waits for it. A machine that hangs
 * asks nothing and closes nothing, and one look counts as one, however much time
 * has passed since the one before: who comes back from a hang has to ask again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include "bdr.h"

static uint lease = 30;
module_param(lease, uint, 0444);
MODULE_PARM_DESC(lease, "how long a monitor that does not answer keeps its connections (s, 0 for ever, default 30)");

#define LOOKS	5	/* in a lease: the question, and four times no answer */

static void beat(struct work_struct *work);
static DECLARE_DELAYED_WORK(beater, beat);

static void answered(struct ib_cq *cq, struct ib_wc *wc)
{
	struct bdr_conn *conn = container_of(wc->wr_cqe, struct bdr_conn, beat);

	conn->asked = false;
	conn->missed = 0;
	if (wc->status != IB_WC_SUCCESS)	/* it refused, or retries have run out */
		bdr_conn_close(conn);
}

/* False: the device did not take the question. */
static bool ask(struct bdr_conn *conn)
{
	struct ib_rdma_wr wr = {
		.wr = {
			.opcode = IB_WR_RDMA_WRITE,
			.send_flags = IB_SEND_SIGNALED,
			.wr_cqe = &conn->beat,
		},
	};

	conn->beat.done = answered;
	conn->asked = !ib_post_send(conn->id->qp, &wr.wr, NULL);
	return conn->asked;
}

static void look(struct bdr_conn *conn)
{
	if (!bdr_conn_open(conn))
		return;
	if (!conn->asked && ask(conn))
		return;
	if (++conn->missed < LOOKS - 1)
		return;
	pr_info_ratelimited("monitor %u at %pISpc has not answered for %u s\n", conn->grant->monitor,
			    &conn->id->route.addr.dst_addr, lease);
	bdr_conn_close(conn);
}

/*
 * On the NIC's CPU, which the repair lock leaves running where a device needs one:
 * elsewhere this could be stopped with a lock of the device's or of ours in hand.
 */
static void next_beat(void)
{
	queue_delayed_work_on(bd_nic_cpu, system_highpri_wq, &beater, max(lease * HZ / LOOKS, 1U));
}

static void beat(struct work_struct *work)
{
	struct bdr_grant *g;
	struct bdr_conn *conn;

	mutex_lock(&bdr_lock);
	list_for_each_entry(g, &bdr_grants, list) {
		ib_process_cq_direct(g->loop.cq, -1);
		list_for_each_entry(conn, &g->conns, list)
			look(conn);
	}
	mutex_unlock(&bdr_lock);
	next_beat();
}

void bdr_beat_init(void)
{
	if (lease)
		next_beat();
}

void bdr_beat_exit(void)
{
	cancel_delayed_work_sync(&beater);
}
