// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_device.c - which RDMA devices there are. The CM listens on all of them;
 * this client is here to let go of a device before it goes, and to know which
 * of them need a CPU of this machine to answer.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include "bdr.h"

LIST_HEAD(bdr_devices);
static uint software;	/* devices of this kind */

/** bdr_device_find() - the device, unless it is going; under bdr_lock */
struct bdr_device *bdr_device_find(struct ib_device *ibdev)
{
	struct bdr_device *dev;

	list_for_each_entry(dev, &bdr_devices, list)
		if (dev->ibdev == ibdev)
			return dev;
	return NULL;
}

static int device_comes(struct ib_device *ibdev)
{
	struct bdr_device *dev;

	/* no key can be made before an iWARP connection stands */
	if (!(ibdev->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS) ||
	    !rdma_cap_ib_cm(ibdev, rdma_start_port(ibdev))) {
		pr_info("%s: not used: no fast registration, or no InfiniBand CM\n",
			dev_name(&ibdev->dev));
		return -EOPNOTSUPP;
	}
	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return -ENOMEM;
	dev->ibdev = ibdev;
	dev->software = ib_uses_virt_dma(ibdev);
	mutex_lock(&bdr_lock);
	list_add_tail(&dev->list, &bdr_devices);
	if (dev->software && !software++) {
		bdr_softirq_raise();
		bdr_workers_raise();
	}
	mutex_unlock(&bdr_lock);
	bdr_reserve_kick();
	return 0;
}

static void device_goes(struct ib_device *ibdev, void *data)
{
	struct bdr_device *dev;

	mutex_lock(&bdr_lock);
	dev = bdr_device_find(ibdev);
	if (dev)
		list_del(&dev->list);	/* from now on nobody is accepted on it */
	if (dev && dev->software && !--software) {
		bdr_workers_restore();
		bdr_softirq_restore();
	}
	mutex_unlock(&bdr_lock);
	if (!dev)
		return;
	bdr_revoke_where(BDR_ANY_MONITOR, ibdev, "its device goes");
	flush_workqueue(bdr_wq);
	bdr_reserve_drop(dev);
	kfree(dev);
}

static struct ib_client client = {
	.name = "backdoor",
	.add = device_comes,
	.remove = device_goes,
};

int bdr_device_init(void)
{
	return ib_register_client(&client);
}

void bdr_device_exit(void)
{
	ib_unregister_client(&client);
}
