// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_grant.c - what one monitor holds: a protection domain, registrations
 * with keys of their own, and a region table that names them. All under
 * bdr_lock. A grant that is revoked lives on without keys until the last of its
 * connections is closed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/slab.h>
#include "bdr.h"

LIST_HEAD(bdr_grants);
static u32 numbers;

/**
 * bdr_grant_count() - grants that stand
 * @monitor: whose, or BDR_ANY_MONITOR
 */
u32 bdr_grant_count(u32 monitor)
{
	struct bdr_grant *g;
	u32 n = 0;

	list_for_each_entry(g, &bdr_grants, list)
		n += !g->revoked && (monitor == BDR_ANY_MONITOR || g->monitor == monitor);
	return n;
}

/** bdr_grant_find() - a standing grant of that monitor on that device, or NULL */
struct bdr_grant *bdr_grant_find(u32 number, u32 monitor, struct bdr_device *dev)
{
	struct bdr_grant *g;

	list_for_each_entry(g, &bdr_grants, list)
		if (g->number == number && g->monitor == monitor && g->dev == dev &&
		    !g->revoked)
			return g;
	return NULL;
}

/* A reader who sees the new generation sees the entries too. */
static void announce(struct bdr_grant *g)
{
	u64 generation = bdr_snapshot->root.generation;
	u32 i, count = 0;

	for (i = 0; i < BD_MAX_REGIONS; i++)
		if (g->table->regions[i].kind)
			count = i + 1;
	g->table->count = count;
	smp_wmb();	/* entries before the generation that announces them */
	WRITE_ONCE(g->table->generation, generation);
	smp_wmb();	/* the table before the root */
	WRITE_ONCE(g->root->generation, generation);
}

static bool same(const struct bd_region *a, const struct bd_region *b)
{
	return a->kind == b->kind && a->addr == b->addr && a->len == b->len &&
	       a->perm == b->perm && a->generation == b->generation;
}

static bool has(const struct bd_region *list, int n, const struct bd_region *r)
{
	int i;

	for (i = 0; i < n; i++)
		if (same(&list[i], r))
			return true;
	return false;
}

static void put_entry(struct bd_region *entry, const struct bd_region *r, u32 key)
{
	struct bd_region body = *r;

	body.kind = 0;
	body.key = key;
	memcpy(entry, &body, sizeof(body));
	smp_wmb();	/* the body before the kind that makes it an entry */
	WRITE_ONCE(entry->kind, r->kind);
}

/* Entries first, so that nobody is told of a key that is dead. */
static void drop(struct bdr_grant *g, const struct bd_region *plan, int n)
{
	DECLARE_BITMAP(gone, BD_MAX_REGIONS) = {};
	u32 i;

	for (i = 1; i < BD_MAX_REGIONS; i++) {
		struct bd_region *entry = &g->table->regions[i];

		if (entry->kind && !has(plan, n, entry)) {
			WRITE_ONCE(entry->kind, 0);
			__set_bit(i, gone);
		}
	}
	if (bitmap_empty(gone, BD_MAX_REGIONS))
		return;
	announce(g);
	for_each_set_bit(i, gone, BD_MAX_REGIONS) {
		bdr_mr_free(&g->loop, g->mrs[i]);
		g->mrs[i] = NULL;
	}
}

static int free_slot(const struct bdr_grant *g)
{
	int i;

	for (i = 1; i < BD_MAX_REGIONS; i++)
		if (!g->mrs[i])
			return i;
	return -ENOSPC;
}

static int add(struct bdr_grant *g, const struct bd_region *r)
{
	int i = free_slot(g);
	struct bdr_mr *m;

	if (i < 0)
		return i;
	m = bdr_mr_new(&g->loop, g->pd, (void *)(uintptr_t)r->addr, r->len, r->perm);
	if (IS_ERR(m))
		return PTR_ERR(m);
	g->mrs[i] = m;
	put_entry(&g->table->regions[i], r, m->mr->rkey);
	return 0;
}

/**
 * bdr_grant_sync() - make a grant's table what the snapshot and the policy say
 * @g: other grants are not touched, nor are its own keys that go on counting
 */
void bdr_grant_sync(struct bdr_grant *g)
{
	struct bd_region *plan;
	int i, n, err;

	if (g->revoked)
		return;
	plan = kmalloc_array(BD_MAX_REGIONS, sizeof(*plan), GFP_KERNEL);
	if (!plan) {	/* what is withdrawn must not stay readable */
		bdr_grant_revoke(g, "no memory");
		return;
	}
	n = bdr_plan(&bdr_snapshot->table, g->monitor, bdr_mr_most(g->dev), plan,
		     BD_MAX_REGIONS - 1);
	drop(g, plan, n);
	for (i = 0; i < n; i++) {
		if (has(g->table->regions + 1, BD_MAX_REGIONS - 1, &plan[i]))
			continue;
		err = add(g, &plan[i]);
		if (err)
			pr_warn("grant %u: region %s is left out: error %d\n", g->number,
				plan[i].name, err);
	}
	announce(g);
	kfree(plan);
}

static int pages_new(struct bdr_grant *g)
{
	g->root = bd_pages_alloc(PAGE_SIZE);
	g->table = bd_pages_alloc(PAGE_SIZE);
	return g->root && g->table ? 0 : -ENOMEM;
}

static struct bdr_mr *page_mr(struct bdr_grant *g, void *va, size_t len)
{
	struct bdr_mr *m = bdr_mr_new(&g->loop, g->pd, va, len, BD_PERM_READ);

	return IS_ERR(m) ? NULL : m;
}

/* The two pages by which a monitor finds the rest. */
static int own_pages(struct bdr_grant *g)
{
	struct bd_region r = {
		.name = "table", .kind = BD_KIND_TABLE, .perm = BD_PERM_READ,
		.addr = (u64)(uintptr_t)g->table, .gpa = virt_to_phys(g->table),
		.len = sizeof(*g->table), .generation = bdr_snapshot->root.generation,
	};

	g->root_mr = page_mr(g, g->root, sizeof(*g->root));
	g->mrs[0] = page_mr(g, g->table, sizeof(*g->table));
	if (!g->root_mr || !g->mrs[0])
		return -EIO;
	memcpy(r.boot_id, bd_boot_id, sizeof(r.boot_id));
	g->table->magic = BD_TABLE_MAGIC;
	g->table->entry_size = sizeof(struct bd_region);
	memcpy(g->table->boot_id, bd_boot_id, sizeof(g->table->boot_id));
	put_entry(&g->table->regions[0], &r, g->mrs[0]->mr->rkey);
	*g->root = bdr_snapshot->root;
	g->root->table_addr = r.addr;
	g->root->table_gpa = r.gpa;
	g->root->table_key = g->mrs[0]->mr->rkey;
	return 0;
}

static int build(struct bdr_grant *g, struct rdma_cm_id *id)
{
	int err = pages_new(g);

	if (err)
		return err;
	g->pd = ib_alloc_pd(id->device, 0);
	if (IS_ERR(g->pd)) {
		err = PTR_ERR(g->pd);
		g->pd = NULL;
		return err;
	}
	err = bdr_loop_open(&g->loop, g->pd, id);
	return err ?: own_pages(g);
}

/**
 * bdr_grant_new() - keys for a monitor that has shown who it is
 * @dev: that carries it
 * @id: of its connection
 * @monitor: slot
 */
struct bdr_grant *bdr_grant_new(struct bdr_device *dev, struct rdma_cm_id *id, u32 monitor)
{
	struct bdr_grant *g = kzalloc(sizeof(*g), GFP_KERNEL);
	int err;

	if (!g)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&g->conns);
	g->dev = dev;
	g->monitor = monitor;
	g->number = ++numbers ?: ++numbers;
	list_add_tail(&g->list, &bdr_grants);
	err = build(g, id);
	if (err) {
		bdr_grant_free(g);
		return ERR_PTR(err);
	}
	bdr_grant_sync(g);
	return g;
}

static void free_keys(struct bdr_grant *g)
{
	u32 i;

	if (g->root)
		WRITE_ONCE(g->root->generation, 0);	/* withdrawn */
	for (i = BD_MAX_REGIONS; i-- > 0;) {
		bdr_mr_free(&g->loop, g->mrs[i]);
		g->mrs[i] = NULL;
	}
	bdr_mr_free(&g->loop, g->root_mr);
	g->root_mr = NULL;
}

/**
 * bdr_grant_revoke() - its keys are dead when this returns; its connections follow
 * @g: may be revoked already
 * @why: for the log
 */
void bdr_grant_revoke(struct bdr_grant *g, const char *why)
{
	struct bdr_conn *conn;

	if (g->revoked)
		return;
	g->revoked = true;
	free_keys(g);
	list_for_each_entry(conn, &g->conns, list)
		bdr_conn_close(conn);
	pr_info("grant %u of monitor %u is revoked: %s\n", g->number, g->monitor, why);
}

/** bdr_grant_free() - of a grant without connections */
void bdr_grant_free(struct bdr_grant *g)
{
	free_keys(g);
	list_del(&g->list);
	bdr_loop_close(&g->loop);
	if (g->pd)
		ib_dealloc_pd(g->pd);
	bd_pages_free(g->table, PAGE_SIZE);
	bd_pages_free(g->root, PAGE_SIZE);
	kfree(g);
}

/**
 * bdr_revoke_where() - revoke all grants that match; takes bdr_lock
 * @monitor: slot or BDR_ANY_MONITOR
 * @ibdev: device or NULL for any
 * @why: for the log
 */
void bdr_revoke_where(u32 monitor, struct ib_device *ibdev, const char *why)
{
	struct bdr_grant *g;

	mutex_lock(&bdr_lock);
	list_for_each_entry(g, &bdr_grants, list)
		if ((monitor == BDR_ANY_MONITOR || g->monitor == monitor) &&
		    (!ibdev || g->dev->ibdev == ibdev))
			bdr_grant_revoke(g, why);
	mutex_unlock(&bdr_lock);
}
