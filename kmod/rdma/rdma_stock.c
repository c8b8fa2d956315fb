// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_stock.c - what a grant is made of, before it is anybody's: a protection
 * domain, a queue pair for registrations, and the two pages by which a monitor
 * finds the rest.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/slab.h>
#include "bdr.h"

static struct bdr_mr *page_mr(struct bdr_grant *g, const char *name, void *va, size_t len)
{
	struct bd_region r = {
		.kind = BD_KIND_TABLE, .perm = BD_PERM_READ,
		.addr = (u64)(uintptr_t)va, .gpa = virt_to_phys(va), .len = len,
	};
	struct bdr_mr *m;

	strscpy(r.name, name, sizeof(r.name));
	memcpy(r.boot_id, bd_boot_id, sizeof(r.boot_id));
	m = bdr_mr_new(g->pd, &r);
	return IS_ERR(m) ? NULL : m;
}

static int build(struct bdr_grant *g, struct ib_device *ibdev)
{
	int err;

	g->root = bd_pages_alloc(PAGE_SIZE);
	g->table = bd_pages_alloc(PAGE_SIZE);
	if (!g->root || !g->table)
		return -ENOMEM;
	g->pd = ib_alloc_pd(ibdev, 0);
	if (IS_ERR(g->pd)) {
		err = PTR_ERR(g->pd);
		g->pd = NULL;
		return err;
	}
	err = bdr_loop_open(&g->loop, g->pd);
	if (err)
		return err;
	g->root_mr = page_mr(g, "root", g->root, sizeof(*g->root));
	g->mrs[0] = page_mr(g, "table", g->table, sizeof(*g->table));
	return g->root_mr && g->mrs[0] ? 0 : -ENOMEM;
}

/**
 * bdr_stock_new() - a grant of nobody's, with no regions yet
 * @dev: that carries it; it does not go before this returns
 *
 * It waits for memory: not under bdr_lock.
 */
struct bdr_grant *bdr_stock_new(struct bdr_device *dev)
{
	struct bdr_grant *g = kzalloc(sizeof(*g), GFP_KERNEL);
	int err;

	if (!g)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&g->list);
	INIT_LIST_HEAD(&g->conns);
	g->dev = dev;
	err = build(g, dev->ibdev);
	if (!err)
		return g;
	bdr_stock_free(g);
	return ERR_PTR(err);
}

/** bdr_stock_own_pages() - root and table become readable, and name one another */
int bdr_stock_own_pages(struct bdr_grant *g)
{
	struct bd_region r = g->mrs[0]->region;
	int err = bdr_mr_register(&g->loop, g->root_mr, BD_PERM_READ);

	err = err ?: bdr_mr_register(&g->loop, g->mrs[0], BD_PERM_READ);
	if (err)
		return err;
	memset(g->table, 0, sizeof(*g->table));
	g->table->magic = BD_TABLE_MAGIC;
	g->table->entry_size = sizeof(struct bd_region);
	memcpy(g->table->boot_id, bd_boot_id, sizeof(g->table->boot_id));
	r.key = g->mrs[0]->mr->rkey;
	r.generation = bdr_snapshot->root.generation;
	g->table->regions[0] = r;
	*g->root = bdr_snapshot->root;
	g->root->table_addr = r.addr;
	g->root->table_gpa = r.gpa;
	g->root->table_key = r.key;
	return 0;
}

/** bdr_stock_free() - of one in no list, whose keys count no more */
void bdr_stock_free(struct bdr_grant *g)
{
	u32 i;

	for (i = BD_MAX_REGIONS; i-- > 0;)
		bdr_mr_free(&g->loop, g->mrs[i]);
	bdr_mr_free(&g->loop, g->root_mr);
	bdr_loop_close(&g->loop);
	if (g->pd)
		ib_dealloc_pd(g->pd);
	bd_pages_free(g->table, PAGE_SIZE);
	bd_pages_free(g->root, PAGE_SIZE);
	kfree(g);
}
