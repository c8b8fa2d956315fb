// SPDX-License-Identifier: GPL-2.0
/* rdma_listen.c - the connection manager's events */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <net/net_namespace.h>
#include "bdr.h"

static ushort port = BD_RDMA_PORT;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "where monitors connect (port in the RDMA CM's TCP space, default 7777)");

/* A monitor that comes while its grant is still being made waits a little. */
#define NOT_YET		(BD_DENY_CLOSED + 1)
#define TRIES		50
#define PAUSE_MS	20

static struct rdma_cm_id *listeners[2];	/* IPv4, IPv6 */

/* Others of the same monitor end before its new one begins. */
static void take_over(u32 monitor)
{
	struct bdr_grant *g;

	list_for_each_entry(g, &bdr_grants, list)
		if (g->monitor == monitor)
			bdr_grant_retire(g, "its monitor has come again");
}

/*
 * A monitor's first grant may take any place. A further one leaves a place for
 * each other monitor with a key, so that no single one can lock the rest out.
 */
static bool room_for(u32 monitor)
{
	u32 m, kept = 0;

	for (m = 0; m < BD_MONITORS && bdr_grant_count(monitor); m++)
		kept += m != monitor && bd_key_present(m) && !bdr_grant_count(m);
	return bdr_grant_count(BDR_ANY_MONITOR) + kept < bdr_grants_max;
}

/* The grant whose keys the new connection uses; or why there is none. */
static struct bdr_grant *grant_for(struct rdma_cm_id *id, const struct bd_hello *h, u32 *why)
{
	struct bdr_device *dev = bdr_device_find(id->device);
	struct bdr_grant *g;

	*why = BD_DENY_CLOSED;
	if (!dev || !bdr_snapshot->root.generation)
		return NULL;
	if (h->join) {
		g = bdr_grant_find(h->join, h->monitor, dev);
		*why = g ? BD_DENY_FULL : BD_DENY_JOIN;
		return g && g->qps < bdr_qps_max ? g : NULL;
	}
	*why = BD_DENY_FULL;
	if (!room_for(h->monitor))
		return NULL;
	*why = NOT_YET;
	g = bdr_grant_take(dev, id, h->monitor);
	if (!IS_ERR(g))
		return g;
	pr_warn_ratelimited("no grant for monitor %u: error %ld\n", h->monitor, PTR_ERR(g));
	*why = BD_DENY_CLOSED;
	return NULL;
}

/* Returns a reason to deny, or 0. Nothing here waits for memory. */
static u32 let_in(struct rdma_cm_id *id, const struct bd_hello *h,
		  const struct rdma_conn_param *peer)
{
	struct bdr_grant *g;
	struct bd_grant msg;
	u32 why;
	int err;

	g = grant_for(id, h, &why);
	if (!g)
		return why;
	bdr_hello_grant(&msg, h, g);
	err = bdr_conn_accept(id, g, peer, &msg);
	if (err) {
		pr_warn_ratelimited("accept of monitor %u: error %d\n", h->monitor, err);
		if (list_empty(&g->conns))
			bdr_grant_end(g);
		return BD_DENY_CLOSED;
	}
	pr_info("monitor %u at %pISpc: grant %u on %s\n", h->monitor,
		&id->route.addr.dst_addr, g->number, dev_name(&id->device->dev));
	return 0;
}

/*
 * The few pages of a queue pair and of the answer come out of the kernel's
 * reserves if there are no others: the monitor has shown who it is, and may be
 * the one that frees memory again.
 */
static u32 try_let_in(struct rdma_cm_id *id, const struct bd_hello *h,
		      const struct rdma_conn_param *peer)
{
	uint flags;
	u32 why;

	mutex_lock(&bdr_lock);
	flags = memalloc_noreclaim_save();
	why = let_in(id, h, peer);
	memalloc_noreclaim_restore(flags);
	mutex_unlock(&bdr_lock);
	return why;
}

/* Who is this? Its earlier grants end here, and with them it may be let in. */
static u32 check(const struct bd_hello *h, u8 len)
{
	u32 why;

	mutex_lock(&bdr_lock);
	why = bdr_hello_check(h, len);
	if (!why && bdr_snapshot->root.generation && h->flags & BD_HELLO_TAKEOVER)
		take_over(h->monitor);
	mutex_unlock(&bdr_lock);
	return why;
}

/* Non-zero destroys the id. */
static int request(struct rdma_cm_id *id, const struct rdma_conn_param *peer)
{
	struct bd_hello h = {};
	int tries = TRIES;
	u32 why;

	id->context = NULL;	/* no connection yet */
	memcpy(&h, peer->private_data, min_t(size_t, peer->private_data_len, sizeof(h)));
	why = check(&h, peer->private_data_len);
	if (!why)
		why = try_let_in(id, &h, peer);
	while (why == NOT_YET && tries-- > 0) {
		msleep(PAUSE_MS);
		why = try_let_in(id, &h, peer);
	}
	if (!why)
		return 0;
	bdr_hello_deny(id, &h, why == NOT_YET ? BD_DENY_CLOSED : why);
	return -ECONNREFUSED;
}

static int event(struct rdma_cm_id *id, struct rdma_cm_event *ev)
{
	struct bdr_conn *conn = id->context;

	if (ev->event == RDMA_CM_EVENT_CONNECT_REQUEST)
		return request(id, &ev->param.conn);
	if (conn && ev->event != RDMA_CM_EVENT_ESTABLISHED)
		bdr_conn_close(conn);
	return 0;
}

static struct rdma_cm_id *listen(struct sockaddr *addr)
{
	struct rdma_cm_id *id = rdma_create_id(&init_net, event, NULL, RDMA_PS_TCP, IB_QPT_RC);
	int err;

	if (IS_ERR(id))
		return id;
	err = rdma_set_afonly(id, 1);
	err = err ?: rdma_bind_addr(id, addr);
	err = err ?: rdma_listen(id, 16);
	if (!err)
		return id;
	rdma_destroy_id(id);
	return ERR_PTR(err);
}

int bdr_listen_init(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	listeners[0] = listen((struct sockaddr *)&v4);
	if (IS_ERR(listeners[0])) {
		pr_err("listen on port %u: error %ld\n", port, PTR_ERR(listeners[0]));
		return PTR_ERR(listeners[0]);
	}
	listeners[1] = listen((struct sockaddr *)&v6);
	if (IS_ERR(listeners[1])) {
		pr_info("no IPv6: error %ld\n", PTR_ERR(listeners[1]));
		listeners[1] = NULL;
	}
	return 0;
}

void bdr_listen_exit(void)
{
	if (listeners[1])
		rdma_destroy_id(listeners[1]);
	rdma_destroy_id(listeners[0]);
}
