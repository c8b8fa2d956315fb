// SPDX-License-Identifier: GPL-2.0
/* inject_net.c - a network driver that stops sending */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/net_namespace.h>
#include "inject.h"

static struct net_device_ops mute;	/* of one device at a time */

/*
 * As a driver does whose ring stays full: the frame stays with the stack, the queue
 * is stopped, and who wakes it finds it full again.
 */
static netdev_tx_t mute_xmit(struct sk_buff *skb, struct net_device *dev)
{
	netif_tx_stop_queue(netdev_get_tx_queue(dev, skb_get_queue_mapping(skb)));
	return NETDEV_TX_BUSY;
}

/* A table takes the place of another by one store, as in bd_silence.c. */
static void mute_on(struct net_device *dev)
{
	mute = *dev->netdev_ops;
	mute.ndo_start_xmit = mute_xmit;
	smp_wmb();	/* the table before the pointer to it */
	WRITE_ONCE(dev->netdev_ops, &mute);
}

static void mute_off(struct net_device *dev, const struct net_device_ops *was)
{
	WRITE_ONCE(dev->netdev_ops, was);
	synchronize_net();	/* nobody is inside mute_xmit() any more */
	netif_tx_wake_all_queues(dev);
}

void inject_mute(struct fault *f)
{
	struct net_device *dev = dev_get_by_name(&init_net, f->word);
	const struct net_device_ops *was;

	if (!dev) {
		pr_err("mute: no device %s\n", f->word);
		return;
	}
	was = dev->netdev_ops;
	mute_on(dev);
	if (f->ms) {
		msleep(f->ms);
		mute_off(dev, was);
	} else {
		__module_get(THIS_MODULE);	/* the device calls us from now on */
	}
	dev_put(dev);
}
