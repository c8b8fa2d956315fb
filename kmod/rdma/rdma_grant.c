// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_grant.c - what one monitor holds: a protection domain, registrations
 * with keys of their own, and a region table that names them. All under
 * bdr_lock, and nothing here allocates. A grant covers every region there is;
 * those that its monitor may not touch have no key. One that is revoked lives on
 * without keys until the last of its connections is closed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include "bdr.h"

LIST_HEAD(bdr_grants);
static u32 numbers;

/* What a grant is to cover; made anew by each that looks. */
static struct bd_region plan[BD_MAX_REGIONS - 1];
static int planned;

static void make_plan(const struct bdr_grant *g)
{
	planned = bdr_plan(&bdr_snapshot->table, bdr_mr_most(g->dev), plan, ARRAY_SIZE(plan));
}

static bool stands(const struct bdr_grant *g)
{
	return g->state == BDR_STANDS;
}

/**
 * bdr_grant_count() - grants that stand
 * @monitor: whose, or BDR_ANY_MONITOR
 */
u32 bdr_grant_count(u32 monitor)
{
	struct bdr_grant *g;
	u32 n = 0;

	list_for_each_entry(g, &bdr_grants, list)
		n += stands(g) && (monitor == BDR_ANY_MONITOR || g->monitor == monitor);
	return n;
}

/** bdr_grant_find() - a standing grant of that monitor on that device, or NULL */
struct bdr_grant *bdr_grant_find(u32 number, u32 monitor, struct bdr_device *dev)
{
	struct bdr_grant *g;

	list_for_each_entry(g, &bdr_grants, list)
		if (g->number == number && g->monitor == monitor && g->dev == dev && stands(g))
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

static bool in_plan(const struct bd_region *r)
{
	int i;

	for (i = 0; i < planned; i++)
		if (same(&plan[i], r))
			return true;
	return false;
}

static bool covers(const struct bdr_grant *g, const struct bd_region *r)
{
	int i;

	for (i = 1; i < BD_MAX_REGIONS; i++)
		if (g->mrs[i] && same(&g->mrs[i]->region, r))
			return true;
	return false;
}

/* An entry of the table, once its key counts. */
static void show(struct bdr_grant *g, int i)
{
	struct bd_region *entry = &g->table->regions[i], body = g->mrs[i]->region;
	u32 kind = body.kind;
	int err;

	body.perm = bdr_allowed(&body, g->monitor);
	if (entry->kind || !body.perm)
		return;
	err = bdr_mr_register(&g->loop, g->mrs[i], body.perm);
	if (err) {
		pr_warn("grant %u: region %s is left out: error %d\n", g->number, body.name, err);
		return;
	}
	body.kind = 0;
	body.key = g->mrs[i]->mr->rkey;
	memcpy(entry, &body, sizeof(body));
	smp_wmb();	/* the body before the kind that makes it an entry */
	WRITE_ONCE(entry->kind, kind);
}

static void show_all(struct bdr_grant *g)
{
	int i;

	for (i = 1; i < BD_MAX_REGIONS; i++)
		if (g->mrs[i] && in_plan(&g->mrs[i]->region))
			show(g, i);
	announce(g);
}

/* Entries first, so that nobody is told of a key that is dead. */
static void drop(struct bdr_grant *g)
{
	DECLARE_BITMAP(gone, BD_MAX_REGIONS) = {};
	u32 i;

	for (i = 1; i < BD_MAX_REGIONS; i++) {
		if (!g->mrs[i] || in_plan(&g->mrs[i]->region))
			continue;
		WRITE_ONCE(g->table->regions[i].kind, 0);
		__set_bit(i, gone);
	}
	if (bitmap_empty(gone, BD_MAX_REGIONS))
		return;
	if (stands(g))
		announce(g);
	for_each_set_bit(i, gone, BD_MAX_REGIONS) {
		bdr_mr_free(&g->loop, g->mrs[i]);
		g->mrs[i] = NULL;
	}
}

/**
 * bdr_grant_sync() - make a grant's table what the snapshot and the policy say
 * @g: other grants are not touched, nor are its own keys that go on counting
 */
void bdr_grant_sync(struct bdr_grant *g)
{
	make_plan(g);
	bitmap_zero(g->left_out, BD_MAX_REGIONS);
	drop(g);
	if (stands(g))
		show_all(g);
}

/**
 * bdr_grant_missing() - the first region that a grant should cover and does not
 * @g: any
 * @r: filled with it
 *
 * Returns its place in the plan, or -1.
 */
int bdr_grant_missing(const struct bdr_grant *g, struct bd_region *r)
{
	int i;

	make_plan(g);
	for (i = 0; i < planned; i++) {
		if (test_bit(i, g->left_out) || covers(g, &plan[i]))
			continue;
		*r = plan[i];
		return i;
	}
	return -1;
}

static int free_slot(const struct bdr_grant *g)
{
	int i;

	for (i = 1; i < BD_MAX_REGIONS; i++)
		if (!g->mrs[i])
			return i;
	return -ENOSPC;
}

/**
 * bdr_grant_put() - what was missing has been allocated
 * @g: not ended
 * @r: region
 * @m: of it; the grant's from here on, or freed if the region is gone meanwhile
 *     or there is no place beside those that are about to go
 */
bool bdr_grant_put(struct bdr_grant *g, const struct bd_region *r, struct bdr_mr *m)
{
	int i = free_slot(g);

	make_plan(g);
	if (i < 0 || !in_plan(r)) {
		bdr_mr_free(&g->loop, m);
		return false;
	}
	g->mrs[i] = m;
	/* Else bdr_grant_sync() follows, and shows all that is new at once. */
	if (stands(g) && g->table->generation == bdr_snapshot->root.generation)
		show_all(g);
	return true;
}

static void hide_keys(struct bdr_grant *g)
{
	u32 i;

	WRITE_ONCE(g->root->generation, 0);	/* withdrawn */
	for (i = BD_MAX_REGIONS; i-- > 0;)
		bdr_mr_invalidate(&g->loop, g->mrs[i]);
	bdr_mr_invalidate(&g->loop, g->root_mr);
}

/**
 * bdr_grant_take() - keys for a monitor that has shown who it is
 * @dev: that carries it
 * @id: of its connection
 * @monitor: slot
 *
 * NULL if no spare is ready, now.
 */
struct bdr_grant *bdr_grant_take(struct bdr_device *dev, struct rdma_cm_id *id, u32 monitor)
{
	struct bdr_grant *g = bdr_reserve_ready(dev);
	int err;

	if (!g)
		return NULL;
	g->state = BDR_STANDS;
	g->monitor = monitor;
	g->number = ++numbers ?: ++numbers;
	list_move_tail(&g->list, &bdr_grants);
	bdr_reserve_kick();
	err = bdr_loop_connect(&g->loop, id);
	err = err ?: bdr_stock_own_pages(g);
	if (err) {
		bdr_grant_end(g);
		return ERR_PTR(err);
	}
	make_plan(g);
	show_all(g);
	return g;
}

/* Its connections follow. */
static void revoked(struct bdr_grant *g, const char *why)
{
	struct bdr_conn *conn;

	g->state = BDR_REVOKED;
	list_for_each_entry(conn, &g->conns, list)
		bdr_conn_close(conn);
	pr_info("grant %u of monitor %u is revoked: %s\n", g->number, g->monitor, why);
}

/**
 * bdr_grant_revoke() - its keys are dead and nobody is inside when this returns
 * @g: may be revoked already
 * @why: for the log
 */
void bdr_grant_revoke(struct bdr_grant *g, const char *why)
{
	u32 i;

	hide_keys(g);
	/* Its own two pages stay for who comes next, unless that failed. */
	for (i = g->loop.broken ? 0 : 1; i < BD_MAX_REGIONS; i++) {
		bdr_mr_free(&g->loop, g->mrs[i]);
		g->mrs[i] = NULL;
	}
	if (g->loop.broken) {
		bdr_mr_free(&g->loop, g->root_mr);
		g->root_mr = NULL;
	}
	if (g->state != BDR_REVOKED)
		revoked(g, why);
}

/**
 * bdr_grant_retire() - its keys begin nothing any more when this returns
 * @g: of a monitor that has come again; what it is made of is kept for the next
 * @why: for the log
 */
void bdr_grant_retire(struct bdr_grant *g, const char *why)
{
	if (!stands(g))
		return;
	hide_keys(g);
	if (g->loop.broken)
		bdr_grant_revoke(g, why);
	else
		revoked(g, why);
}

/**
 * bdr_grant_end() - of one without connections: it becomes a spare, or is freed
 * @g: in a list
 */
void bdr_grant_end(struct bdr_grant *g)
{
	bool spare = g->state != BDR_SPARE && !g->loop.broken && bdr_reserve_wants(g->dev);

	if (spare) {
		hide_keys(g);
		spare = !g->loop.broken;
	}
	if (spare) {
		memset(g->table, 0, sizeof(*g->table));
		g->state = BDR_SPARE;
		list_move_tail(&g->list, &bdr_spares);
		bdr_grant_sync(g);
	} else {
		list_del_init(&g->list);
		g->ended = true;
		if (!g->building)
			bdr_stock_free(g);
	}
	bdr_reserve_kick();
}

/**
 * bdr_revoke_where() - revoke grants
 * @monitor: whose, or BDR_ANY_MONITOR
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
