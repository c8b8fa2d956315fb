// SPDX-License-Identifier: GPL-2.0
/* bd_sysfs.c - read-only state under /sys/kernel/backdoor */
#include <linux/kobject.h>
#include <linux/sysfs.h>
#include "bd.h"
#include "bd_arena.h"

static struct kobject *kobj;

static ssize_t boot_id_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	return sysfs_emit(buf, "%*phN\n", 16, bd_boot_id);
}

static ssize_t generation_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	return sysfs_emit(buf, "%llu\n", bd_generation);
}

static ssize_t lock_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	struct bd_lock_ack *ack = bd_lock_ack();

	return sysfs_emit(buf, "state %u holder %u epoch %u grants %llu expired %llu\n",
			  ack->state, ack->holder, ack->epoch, ack->grants,
			  ack->expired);
}

static ssize_t regions_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	struct bd_table *t = bd_region_table();
	int i, n = 0;

	for (i = 0; i < BD_MAX_REGIONS; i++) {
		struct bd_region *r = &t->regions[i];

		if (r->kind)
			n += sysfs_emit_at(buf, n, "%-16s kind %2u perm %u len %llu\n",
					   r->name, r->kind, r->perm, r->len);
	}
	return n;
}

static ssize_t boxes_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	struct bd_boxes *b = bd_arena();

	if (!b)
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "boxes %u of %u pages %u of %u\n", READ_ONCE(b->boxes),
			  b->capacity, READ_ONCE(b->touched), b->slots);
}

static struct kobj_attribute attributes[] = {
	__ATTR_RO(boot_id), __ATTR_RO(generation), __ATTR_RO(lock), __ATTR_RO(regions),
	__ATTR_RO(boxes),
};

static struct attribute *list[] = {
	&attributes[0].attr, &attributes[1].attr, &attributes[2].attr,
	&attributes[3].attr, &attributes[4].attr, NULL,
};

static const struct attribute_group group = { .attrs = list };

int bd_sysfs_init(void)
{
	int err;

	kobj = kobject_create_and_add("backdoor", kernel_kobj);
	if (!kobj)
		return -ENOMEM;
	err = sysfs_create_group(kobj, &group);
	if (err)
		kobject_put(kobj);
	return err;
}

void bd_sysfs_exit(void)
{
	kobject_put(kobj);
}
