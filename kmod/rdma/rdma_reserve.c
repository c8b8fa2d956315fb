// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_reserve.c - grants that are made before anybody asks: a monitor that is
 * restarted while a process eats all memory must get in without an allocation of
 * megabytes. All that waits for memory is done here, by one worker and without
 * bdr_lock. A grant whose connections have ended becomes a spare one again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/moduleparam.h>
#include "bdr.h"

uint bdr_spares_max = 1;
module_param_named(spares, bdr_spares_max, uint, 0444);
MODULE_PARM_DESC(spares, "grants that are kept ready on each device for monitors that come (count, at least 1, default 1)");

#define AGAIN	HZ	/* after an allocation that failed */

LIST_HEAD(bdr_spares);

static void build(struct work_struct *work);
static DECLARE_DELAYED_WORK(builder, build);

/** bdr_reserve_kick() - see whether something is missing; from any context */
void bdr_reserve_kick(void)
{
	mod_delayed_work(system_unbound_wq, &builder, 0);
}

/** bdr_reserve_fill() - the same, and wait for it; not under bdr_lock */
void bdr_reserve_fill(void)
{
	bdr_reserve_kick();
	flush_delayed_work(&builder);
}

/** bdr_reserve_wants() - would one more spare be kept; under bdr_lock */
bool bdr_reserve_wants(struct bdr_device *dev)
{
	struct bdr_grant *g;
	u32 n = 0;

	if (!bdr_snapshot->root.generation || !bdr_device_find(dev->ibdev))
		return false;
	list_for_each_entry(g, &bdr_spares, list)
		n += g->dev == dev;
	return n < max(bdr_spares_max, 1U);
}

/** bdr_grant_ready() - has this spare all that a grant needs; under bdr_lock */
bool bdr_grant_ready(const struct bdr_grant *g)
{
	struct bd_region r;

	return !g->building && bdr_grant_missing(g, &r) < 0;
}

/** bdr_reserve_ready() - such a spare of a device, or NULL; under bdr_lock */
struct bdr_grant *bdr_reserve_ready(struct bdr_device *dev)
{
	struct bdr_grant *g;

	list_for_each_entry(g, &bdr_spares, list)
		if (g->dev == dev && bdr_grant_ready(g))
			return g;
	return NULL;
}

static struct bdr_grant *incomplete(struct list_head *list, struct bd_region *r, int *index)
{
	struct bdr_grant *g;

	list_for_each_entry(g, list, list) {
		if (g->state == BDR_REVOKED)
			continue;
		*index = bdr_grant_missing(g, r);
		if (*index >= 0)
			return g;
	}
	return NULL;
}

/* One region more for a grant. */
static int complete_grant(struct bdr_grant *g, const struct bd_region *r, int index)
{
	struct bdr_mr *m;

	g->building = true;	/* nobody but this worker frees it from here on */
	mutex_unlock(&bdr_lock);
	m = bdr_mr_new(g->pd, r);
	mutex_lock(&bdr_lock);
	g->building = false;
	if (g->ended) {
		if (!IS_ERR(m))
			bdr_mr_free(&g->loop, m);
		bdr_stock_free(g);
		return 0;
	}
	if (IS_ERR(m) && PTR_ERR(m) == -ENOMEM)
		return -ENOMEM;
	if (IS_ERR(m)) {
		pr_warn("region %s is left out: error %ld\n", r->name, PTR_ERR(m));
		__set_bit(index, g->left_out);
		return 0;
	}
	if (!bdr_grant_put(g, r, m))
		__set_bit(index, g->left_out);	/* until bdr_grant_sync() */
	return 0;
}

/* One spare more for a device; it has no regions yet. */
static int add_spare(struct bdr_device *dev)
{
	struct bdr_grant *g;

	mutex_unlock(&bdr_lock);
	g = bdr_stock_new(dev);	/* a device that goes waits for this worker */
	mutex_lock(&bdr_lock);
	if (IS_ERR(g))
		return PTR_ERR(g);
	if (bdr_reserve_wants(dev))
		list_add_tail(&g->list, &bdr_spares);
	else
		bdr_stock_free(g);
	return 0;
}

/* Does one thing that is to be done. Returns 1 if there may be more, or an error. */
static int step(void)
{
	struct bdr_device *dev;
	struct bdr_grant *g;
	struct bd_region r;
	int index, err;

	g = incomplete(&bdr_grants, &r, &index) ?: incomplete(&bdr_spares, &r, &index);
	if (g) {
		err = complete_grant(g, &r, index);
		return err ?: 1;
	}
	list_for_each_entry(dev, &bdr_devices, list) {
		if (!bdr_reserve_wants(dev))
			continue;
		err = add_spare(dev);
		return err ?: 1;
	}
	return 0;
}

static void build(struct work_struct *work)
{
	int err;

	mutex_lock(&bdr_lock);
	do
		err = step();
	while (err > 0);
	mutex_unlock(&bdr_lock);
	if (!err)
		return;
	pr_warn_ratelimited("no spare grant yet: error %d\n", err);
	queue_delayed_work(system_unbound_wq, &builder, AGAIN);
}

/**
 * bdr_reserve_drop() - no spares any more; not under bdr_lock
 * @dev: of a device that is in no list any more; NULL: of any, the regions are gone
 */
void bdr_reserve_drop(struct bdr_device *dev)
{
	struct bdr_grant *g, *next;

	mutex_lock(&bdr_lock);
	list_for_each_entry_safe(g, next, &bdr_spares, list)
		if (!dev || g->dev == dev)
			bdr_grant_end(g);
	mutex_unlock(&bdr_lock);
	if (dev)
		bdr_reserve_fill();	/* nothing is being built on it */
	else
		cancel_delayed_work_sync(&builder);
}

/** bdr_reserve_exit() - there is no device, no grant and no region any more */
void bdr_reserve_exit(void)
{
	cancel_delayed_work_sync(&builder);
}
