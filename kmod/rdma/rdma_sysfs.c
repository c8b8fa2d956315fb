// SPDX-License-Identifier: GPL-2.0
/* rdma_sysfs.c - read-only state under /sys/kernel/backdoor_rdma */
#include <linux/kobject.h>
#include <linux/sysfs.h>
#include "bdr.h"

static struct kobject *kobj;

static u32 regions_of(const struct bdr_grant *g)
{
	u32 i, n = 0;

	for (i = 0; i < BD_MAX_REGIONS; i++)
		n += !!g->table->regions[i].kind;
	return n;
}

/* A line for each grant: number, monitor, device, queue pairs, regions, state. */
static ssize_t grants_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	struct bdr_grant *g;
	int n = 0;

	mutex_lock(&bdr_lock);
	list_for_each_entry(g, &bdr_grants, list)
		n += sysfs_emit_at(buf, n, "grant %u monitor %u device %s qps %u regions %u%s\n",
				   g->number, g->monitor, dev_name(&g->dev->ibdev->dev),
				   g->qps, regions_of(g), g->state == BDR_REVOKED ? " revoked" : "");
	mutex_unlock(&bdr_lock);
	return n;
}

/* How often hellos were denied, for each enum bd_denial_reason. */
static ssize_t denials_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	u32 reason;
	int n = 0;

	for (reason = BD_DENY_MALFORMED; reason <= BD_DENY_CLOSED; reason++)
		n += sysfs_emit_at(buf, n, "%u %llu\n", reason, bdr_denials(reason));
	return n;
}

/* A line for each device: grants that are kept for who comes next, and are ready now. */
static ssize_t spares_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	struct bdr_device *dev;
	struct bdr_grant *g;
	int n = 0;

	mutex_lock(&bdr_lock);
	list_for_each_entry(dev, &bdr_devices, list) {
		u32 spares = 0, ready = 0;

		list_for_each_entry(g, &bdr_spares, list) {
			if (g->dev != dev)
				continue;
			spares++;
			ready += bdr_grant_ready(g);
		}
		n += sysfs_emit_at(buf, n, "device %s spares %u ready %u\n",
				   dev_name(&dev->ibdev->dev), spares, ready);
	}
	mutex_unlock(&bdr_lock);
	return n;
}

static struct kobj_attribute attributes[] = {
	__ATTR_RO(grants), __ATTR_RO(denials), __ATTR_RO(spares),
};

static struct attribute *list[] = {
	&attributes[0].attr, &attributes[1].attr, &attributes[2].attr, NULL,
};

static const struct attribute_group group = { .attrs = list };

int bdr_sysfs_init(void)
{
	int err;

	kobj = kobject_create_and_add("backdoor_rdma", kernel_kobj);
	if (!kobj)
		return -ENOMEM;
	err = sysfs_create_group(kobj, &group);
	if (err)
		kobject_put(kobj);
	return err;
}

void bdr_sysfs_exit(void)
{
	kobject_put(kobj);
}
