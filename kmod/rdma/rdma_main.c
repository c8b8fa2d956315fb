// SPDX-License-Identifier: GPL-2.0
/*
 * backdoor_rdma.ko - carries the regions of backdoor.ko to monitors over RDMA.
 * Here: parameters, the order of birth and of death, and what backdoor.ko calls.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>
#include "bdr.h"

uint bdr_grants_max = 8;
module_param_named(grants, bdr_grants_max, uint, 0444);
MODULE_PARM_DESC(grants, "monitors that may be connected at once, each with keys of its own (count, default 8)");

uint bdr_qps_max = 16;
module_param_named(qps, bdr_qps_max, uint, 0444);
MODULE_PARM_DESC(qps, "queue pairs that may share the keys of one grant (count, default 16)");

DEFINE_MUTEX(bdr_lock);
struct workqueue_struct *bdr_wq;
struct bdr_snapshot *bdr_snapshot;

static int rdma_start(void)
{
	return 0;
}

/*
 * The table is stable while it is published. What is new is allocated first, so
 * that grants change in one step; until then they show what was, which is still
 * there.
 */
static void rdma_publish(void)
{
	struct bdr_grant *g;

	mutex_lock(&bdr_lock);
	bd_region_root(&bdr_snapshot->root);
	memcpy(&bdr_snapshot->table, bd_region_table(), sizeof(bdr_snapshot->table));
	mutex_unlock(&bdr_lock);
	bdr_reserve_fill();
	mutex_lock(&bdr_lock);
	list_for_each_entry(g, &bdr_grants, list)
		bdr_grant_sync(g);
	list_for_each_entry(g, &bdr_spares, list)
		bdr_grant_sync(g);
	mutex_unlock(&bdr_lock);
	bdr_reserve_kick();	/* what had no place beside what went */
}

static void rdma_withdraw(void)
{
	mutex_lock(&bdr_lock);
	bdr_snapshot->root.generation = 0;
	mutex_unlock(&bdr_lock);
	bdr_revoke_where(BDR_ANY_MONITOR, NULL, "the module goes");
	bdr_reserve_drop(NULL);
}

static void rdma_stop(void)
{
	flush_workqueue(bdr_wq);	/* every connection is closed */
}

static void rdma_monitor(u32 monitor)
{
	bdr_revoke_where(monitor, NULL, "its key or policy changed");
}

static struct bd_backend backend = {
	.name = "rdma",
	.start = rdma_start,
	.publish = rdma_publish,
	.withdraw = rdma_withdraw,
	.monitor = rdma_monitor,
	.stop = rdma_stop,
};

static int __init bdr_init(void)
{
	int err = -ENOMEM;

	bdr_snapshot = kzalloc(sizeof(*bdr_snapshot), GFP_KERNEL);
	if (!bdr_snapshot)
		return err;
	bdr_wq = alloc_workqueue("backdoor_rdma", WQ_UNBOUND | WQ_HIGHPRI, 0);
	if (!bdr_wq)
		goto err_snapshot;
	err = bdr_sysfs_init();
	if (err)
		goto err_wq;
	err = bd_backend_register(&backend);
	if (err)
		goto err_sysfs;
	err = bdr_device_init();
	if (err)
		goto err_backend;
	err = bdr_listen_init();
	if (err)
		goto err_device;
	bdr_beat_init();
	return 0;

err_device:
	bdr_device_exit();
err_backend:
	bd_backend_unregister(&backend);
	bdr_reserve_exit();
err_sysfs:
	bdr_sysfs_exit();
err_wq:
	destroy_workqueue(bdr_wq);
err_snapshot:
	kfree(bdr_snapshot);
	return err;
}

static void __exit bdr_exit(void)
{
	bdr_listen_exit();		/* nobody comes any more */
	bdr_beat_exit();
	bd_backend_unregister(&backend);	/* everybody goes */
	bdr_device_exit();
	bdr_reserve_exit();
	bdr_sysfs_exit();
	destroy_workqueue(bdr_wq);
	kfree(bdr_snapshot);
}

module_init(bdr_init);
module_exit(bdr_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("remote monitoring and repair of this kernel over RDMA (Backdoors)");
MODULE_VERSION("1.0");
