// SPDX-License-Identifier: GPL-2.0
/*
 * rdma_plan.c - what a grant covers, whoever gets it: RAM in pieces that one
 * registration can cover, without the page that holds the monitors' keys, and
 * all other regions; and what of it a monitor's policy lets it read or write.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include "bdr.h"

struct plan {
	struct bd_region *out;
	int room;
	int count;
	int pieces;	/* of RAM, so far */
	u64 most;
};

static void add(struct plan *p, const struct bd_region *r)
{
	if (p->count < p->room)
		p->out[p->count] = *r;
	p->count++;
}

static void add_pieces(struct plan *p, const struct bd_region *r, u64 from, u64 to)
{
	struct bd_region piece = *r;
	u64 end;

	for (; from < to; from = end) {
		/* no two pieces share a large page's record by chance */
		end = min_t(u64, to, (from / p->most + 1) * p->most);
		piece.addr = from;
		piece.gpa = r->gpa + (from - r->addr);
		piece.len = end - from;
		if (p->pieces)
			snprintf(piece.name, sizeof(piece.name), "memory.%d", p->pieces);
		p->pieces++;
		add(p, &piece);
	}
}

static void add_ram(struct plan *p, const struct bd_region *r)
{
	u64 keys = (u64)(uintptr_t)bd_key_page(), end = r->addr + r->len;

	if (keys < r->addr || keys >= end) {
		add_pieces(p, r, r->addr, end);
		return;
	}
	add_pieces(p, r, r->addr, keys);
	add_pieces(p, r, keys + PAGE_SIZE, end);
}

/** bdr_allowed() - what a monitor may do with a region: BD_PERM_* */
u32 bdr_allowed(const struct bd_region *r, u32 monitor)
{
	u32 perm = 0;

	if (r->perm & BD_PERM_READ && bd_may_read(monitor, r->kind))
		perm |= BD_PERM_READ;
	if (r->perm & BD_PERM_WRITE && bd_may_write(monitor, r->kind))
		perm |= BD_PERM_WRITE;
	return perm;
}

static void add_all(struct plan *p, const struct bd_table *table, bool ram)
{
	int i;

	for (i = 0; i < BD_MAX_REGIONS; i++) {
		struct bd_region r = table->regions[i];

		if (!r.kind || r.kind == BD_KIND_TABLE || (r.kind == BD_KIND_MEMORY) != ram ||
		    r.flags & (BD_REGION_MMIO | BD_REGION_BAR))
			continue;
		r.key = 0;
		if (ram)
			add_ram(p, &r);
		else
			add(p, &r);
	}
}

/**
 * bdr_plan() - regions for a grant
 * @table: what there is
 * @most: bytes that one registration covers
 * @out: filled; names, kinds, permissions and ranges, no keys
 * @room: entries of @out; if there are more, RAM is what finds none
 *
 * Returns how many it filled.
 */
int bdr_plan(const struct bd_table *table, u64 most, struct bd_region *out, int room)
{
	struct plan p = { .out = out, .room = room, .most = most };

	add_all(&p, table, false);
	add_all(&p, table, true);
	if (p.count > room)
		pr_warn_once("%d pieces of RAM find no room in a table\n", p.count - room);
	return min(p.count, room);
}
