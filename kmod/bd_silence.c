// SPDX-License-Identifier: GPL-2.0
/*
 * bd_silence.c - a machine that says nothing any more but what its carrier needs.
 *
 * A fence stops every CPU. Where a CPU must run on, because it serves the NIC of a
 * monitor that came over a device in software (rxe), it stops every other sender
 * instead: each Ethernet device gets a transmit function that lets pass RoCEv2 and
 * what finds its neighbours, and drops all else; what is received is dropped
 * likewise, so that TCP does not go on changing what the monitor reads.
 *
 * The function takes the place of the driver's in the device's table of functions,
 * which changes hands by one store: until there is a fence no packet pays for it,
 * as it would for a netfilter hook. Nothing ever takes it back.
 */
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/preempt.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ndisc.h>
#include "bd.h"

#define ROCE_PORT	4791	/* RoCEv2, IBTA annex A17 */

/* What a device gets, made when it comes: a fence finds memory for nothing. */
struct quiet {
	struct list_head list;
	struct net_device *dev;
	const struct net_device_ops *was;
	struct net_device_ops ops;
};

static LIST_HEAD(devices);	/* changed under RTNL */
static bool silent;

static bool roce(struct sk_buff *skb, int at)
{
	struct udphdr space, *udp = skb_header_pointer(skb, at, sizeof(space), &space);

	return udp && udp->dest == htons(ROCE_PORT);
}

static bool roce_ip(struct sk_buff *skb)
{
	int at = skb_network_offset(skb);
	struct iphdr space, *ip = skb_header_pointer(skb, at, sizeof(space), &space);

	return ip && ip->version == 4 && ip->protocol == IPPROTO_UDP &&
	       !(ip->frag_off & htons(IP_OFFSET)) && roce(skb, at + ip->ihl * 4);
}

static bool neighbour(struct sk_buff *skb, int at)
{
	struct icmp6hdr space, *icmp = skb_header_pointer(skb, at, sizeof(space), &space);

	return icmp && icmp->icmp6_type >= NDISC_ROUTER_SOLICITATION &&
	       icmp->icmp6_type <= NDISC_NEIGHBOUR_ADVERTISEMENT;
}

static bool roce_ipv6(struct sk_buff *skb)
{
	int at = skb_network_offset(skb);
	struct ipv6hdr space, *ip = skb_header_pointer(skb, at, sizeof(space), &space);

	if (!ip || ip->version != 6)
		return false;
	at += sizeof(*ip);
	return (ip->nexthdr == IPPROTO_UDP && roce(skb, at)) ||
	       (ip->nexthdr == IPPROTO_ICMPV6 && neighbour(skb, at));
}

static bool carriers(struct sk_buff *skb)
{
	switch (vlan_get_protocol(skb)) {
	case htons(ETH_P_ARP):
		return true;
	case htons(ETH_P_IP):
		return roce_ip(skb);
	case htons(ETH_P_IPV6):
		return roce_ipv6(skb);
	}
	return false;
}

static netdev_tx_t quiet_xmit(struct sk_buff *skb, struct net_device *dev)
{
	const struct quiet *q = container_of(dev->netdev_ops, struct quiet, ops);

	if (carriers(skb))
		return q->was->ndo_start_xmit(skb, dev);
	dev_kfree_skb_any(skb);
	return NETDEV_TX_OK;
}

/* Frames that are forwarded below the stack. */
static int quiet_xdp(struct net_device *dev, int n, struct xdp_frame **frames, u32 flags)
{
	return -ENETDOWN;
}

static rx_handler_result_t quiet_receive(struct sk_buff **skb)
{
	if (carriers(*skb))
		return RX_HANDLER_PASS;
	kfree_skb(*skb);
	return RX_HANDLER_CONSUMED;
}

/* A device that has a master hands its frames to that, which is silenced too. */
static void silence(struct quiet *q)
{
	struct net_device *dev = q->dev;

	q->was = dev->netdev_ops;
	q->ops = *q->was;
	q->ops.ndo_start_xmit = quiet_xmit;
	if (q->ops.ndo_xdp_xmit)
		q->ops.ndo_xdp_xmit = quiet_xdp;
	smp_wmb();	/* the table before the pointer to it */
	WRITE_ONCE(dev->netdev_ops, &q->ops);
	if (!rcu_access_pointer(dev->rx_handler))
		rcu_assign_pointer(dev->rx_handler, quiet_receive);
}

/*
 * The spared CPU would run whoever wakes on it, and take from the held ones what
 * waits there: they would go on changing what the monitor reads. Who forks just now
 * finds the signal pending and does not. Each thread gets a signal of its own, for the
 * one that takes it stops the others: the first may wait for ever for a CPU that hangs.
 */
static void stop_processes(void)
{
	struct task_struct *p, *t;

	for_each_process_thread(p, t)
		if (!(t->flags & PF_KTHREAD))
			send_sig_info(SIGSTOP, SEND_SIG_PRIV, t);
}

/**
 * bd_silence() - from now on nothing leaves but the carrier's frames
 *
 * In hard interrupt context, when a fence that spares a CPU is accepted. A CPU
 * that is inside its driver's transmit function still sends what it was given;
 * all others are held, and for the spared one see bd_silence_seen().
 */
void bd_silence(void)
{
	struct quiet *q;

	if (silent)
		return;
	silent = true;
	__module_get(THIS_MODULE);	/* the devices call us from now on */
	rcu_read_lock();
	list_for_each_entry_rcu(q, &devices, list)
		silence(q);
	if (!bd_nmi_held())	/* that CPU may have stopped with siglock */
		stop_processes();
	rcu_read_unlock();
}

/*
 * A CPU that is held by NMI, or hangs, keeps what locks it has: then nobody waits for
 * the one lock that it takes to stop the process that runs here.
 */
static bool may_signal(void)
{
	spinlock_t *lock = &rcu_dereference_raw(current->sighand)->siglock;

	if (!bd_nmi_held())
		return true;
	if (!spin_trylock(lock))
		return false;
	spin_unlock(lock);
	return true;
}

/**
 * bd_silence_broken() - does a process run on the spared CPU, in whose interrupt we are
 * @where: enum bd_cpu_where
 *
 * It is stopped: at the end of its system call, if it is in one.
 */
bool bd_silence_broken(u8 where)
{
	if (where == BD_CPU_USER && may_signal())
		send_sig_info(SIGSTOP, SEND_SIG_PRIV, current);
	return where == BD_CPU_USER ||
	       (where == BD_CPU_KERNEL && !(current->flags & PF_KTHREAD) && !is_idle_task(current));
}

/*
 * Whether a process waits for this CPU. One that waits for a held CPU comes here when
 * the scheduler moves it; if it may not come (isolcpus, its affinity) it waits for ever.
 */
static bool somebody_waits(int cpu, bool moves)
{
	struct task_struct *p, *t;
	bool waits = false;

	rcu_read_lock();
	for_each_process_thread(p, t) {
		if (t->flags & PF_KTHREAD || READ_ONCE(t->__state) != TASK_RUNNING)
			continue;
		if (task_cpu(t) == cpu || (moves && !READ_ONCE(t->on_cpu)))
			waits = true;
	}
	rcu_read_unlock();
	return waits;
}

/**
 * bd_silence_seen() - the spared CPU, in its poller interrupt; the others are held
 * @cpu: this one, on which no process runs just now
 * @moves: those that wait for a held CPU have still time to come here
 *
 * Returns true if nothing on it can still be on its way to a device, for who
 * transmits has softirqs disabled, and no process is in the middle of changing what
 * the monitor reads, or comes to be when it has its turn.
 */
bool bd_silence_seen(int cpu, bool moves)
{
	return silent && !softirq_count() && !somebody_waits(cpu, moves);
}

static int add(struct net_device *dev)
{
	struct quiet *q = kzalloc(sizeof(*q), GFP_KERNEL);

	if (!q)
		return -ENOMEM;
	q->dev = dev;
	list_add_rcu(&q->list, &devices);
	return 0;
}

static void remove(struct net_device *dev)
{
	struct quiet *q;

	list_for_each_entry(q, &devices, list) {
		if (q->dev != dev)
			continue;
		list_del_rcu(&q->list);
		synchronize_rcu();	/* who accepts a fence may look at it */
		kfree(q);
		return;
	}
}

/* A device that could not be silenced does not come. */
static int changed(struct notifier_block *nb, unsigned long event, void *info)
{
	struct net_device *dev = netdev_notifier_info_to_dev(info);

	if (dev->type != ARPHRD_ETHER || READ_ONCE(silent))
		return NOTIFY_DONE;
	if (event == NETDEV_REGISTER)
		return notifier_from_errno(add(dev));
	if (event == NETDEV_UNREGISTER)
		remove(dev);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = changed };

/* It is told of the devices that there are, and of each that comes. */
int bd_silence_init(void)
{
	return bd_allow_fence ? register_netdevice_notifier(&notifier) : 0;
}

/* Which tells it that each has gone. */
void bd_silence_exit(void)
{
	if (bd_allow_fence)
		unregister_netdevice_notifier(&notifier);
}
